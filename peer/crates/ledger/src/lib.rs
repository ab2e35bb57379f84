//! The ledger of a channel: blocks, state, history, simulation and MVCC commit.
