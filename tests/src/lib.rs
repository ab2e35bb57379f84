//! Integration tests: the harness and the behaviours.
