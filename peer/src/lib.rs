//! The peer: command line, composition root and gRPC services.
