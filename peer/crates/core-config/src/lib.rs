//! core.yaml: its layers, its typed values and where each value came from.
