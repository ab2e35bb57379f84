//! The orderer from its streams: envelopes in, answers and blocks out. Streams without sockets, so that paused
//! time is safe; the wire has its own test.

mod configuration;
mod network;
mod ordering;
mod persistence;
mod refusals;
mod signatures;
mod wire;
