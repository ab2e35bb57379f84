//! Fabric's messages and services, generated from our own .proto files, and the constructions on them.
