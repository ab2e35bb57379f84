//! Blocks of real transactions against a state in memory.

mod envelopes;
mod plugins;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use channelconfig::Bundle;
use prost::Message;
use protos::TxId;
use protos::common::Envelope;
use protos::new_block;
use protos::peer::TxValidationCode as Code;

use crate::test_support::{FakeState, PolicyPlugins, TestNetwork, TestProposal, TestTransaction};
use crate::{ChannelRules, PluginSource, TxValidator, ValidationError, ValidationPlugins};

const CHANNEL: &str = "mychannel";

/// One network for all tests of this crate: making keys takes longer than the tests.
fn network() -> &'static TestNetwork {
    static NETWORK: OnceLock<TestNetwork> = OnceLock::new();
    NETWORK.get_or_init(TestNetwork::new)
}

/// The same organisations with other application capabilities.
fn with_capabilities(names: &[&str]) -> Arc<Bundle> {
    Arc::new(network().bundle_with_capabilities(CHANNEL, names))
}

/// The network's own configuration.
fn bundle() -> Arc<Bundle> {
    static BUNDLE: OnceLock<Arc<Bundle>> = OnceLock::new();
    Arc::clone(BUNDLE.get_or_init(|| Arc::new(network().bundle(CHANNEL))))
}

/// Codes of a block under a configuration.
fn validate_under(
    bundle: &Arc<Bundle>,
    state: &FakeState,
    envelopes: &[Bytes],
) -> Result<Vec<Code>, ValidationError> {
    validate_with(Arc::new(PolicyPlugins), bundle, state, envelopes)
}

fn validate_with(
    plugins: Arc<dyn PluginSource>,
    bundle: &Arc<Bundle>,
    state: &FakeState,
    envelopes: &[Bytes],
) -> Result<Vec<Code>, ValidationError> {
    let block = new_block(1, Bytes::new(), envelopes.to_vec());
    let rules = ChannelRules::from(Arc::clone(bundle));
    TxValidator::new(2, plugins)
        .unwrap()
        .validate(Arc::new(state.clone()), &rules, &block)
}

fn validate(state: &FakeState, envelopes: &[Envelope]) -> Vec<Code> {
    validate_under(&bundle(), state, &encoded(envelopes)).unwrap()
}

fn encoded(envelopes: &[Envelope]) -> Vec<Bytes> {
    let encode = |envelope: &Envelope| envelope.encode_to_vec().into();
    envelopes.iter().map(encode).collect()
}

/// The code of the only transaction of a block.
fn code(state: &FakeState, envelope: Envelope) -> Code {
    validate(state, &[envelope])[0]
}

fn proposal(chaincode: &str) -> TestProposal {
    TestProposal::new(&network().org1.user, CHANNEL, chaincode, &[b"put", b"a", b"1"])
}

/// A good transaction of `mycc`.
fn good() -> TestTransaction {
    TestTransaction::new(proposal("mycc"), "1.0", &[&network().org1.node]).write("mycc", "a", "1")
}
