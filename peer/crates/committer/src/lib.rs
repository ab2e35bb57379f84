//! Validates a block's transactions as Fabric's txvalidator and VSCC do.
