//! Conformance kit that any plugin library must pass.
