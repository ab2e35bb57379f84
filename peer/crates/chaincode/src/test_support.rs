//! Fakes for tests of this and other crates: a scripted chaincode, a runtime that starts it, channels and ledgers.

mod fake_channels;
mod fake_ledger;
mod fake_shim;
mod fake_vm;
mod shim_stub;

pub use fake_channels::FakeChannels;
pub use fake_ledger::FakeLedgers;
pub use fake_shim::{FakeShim, ShimAnswer, ShimHandle};
pub use fake_vm::{FakeStart, FakeVm};
pub use shim_stub::ShimStub;
