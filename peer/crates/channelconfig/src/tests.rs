//! Configurations made by Fabric's own tools, read, judged and made again.
//!
//! The fixtures were written by cryptogen and configtxgen from the two YAML files beside them.

mod acls;
mod encoding;
mod fixtures;
mod hostile;
mod new_channels;
mod reading;
mod updates;
