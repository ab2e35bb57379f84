//! Loads the fault plugin in all its modes, and many broken copies of it.

mod chain;
mod harness;
mod refusals;
