//! Plugins: finds, checks, loads and runs auth filters, decorators and platforms.
