//! Behaviours of a peer, seen over gRPC.
