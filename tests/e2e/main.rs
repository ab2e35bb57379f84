//! End to end: real shims, real clients.
