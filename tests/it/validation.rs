//! Blocks of real transactions, judged by the peer's validator with the shipped validation plugin.

mod deployments;
mod policies;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use channelconfig::Bundle;
use committer::test_support::{FakeState, TestNetwork, TestProposal, TestTransaction, definition, policy};
use committer::{ChannelRules, TxValidator, ValidationError};
use handlers::Registry;
use integration::binaries::plugin_dir;
use peer::node::validators::ValidatorPlugins;
use prost::Message;
use protos::common::Envelope;
use protos::new_block;
use protos::peer::{ChaincodeData, TxValidationCode as Code};
use serde_json::json;

const CHANNEL: &str = "mychannel";

/// One network for all tests of this module: making keys takes longer than the tests.
fn network() -> &'static TestNetwork {
    static NETWORK: OnceLock<TestNetwork> = OnceLock::new();
    NETWORK.get_or_init(TestNetwork::new)
}

/// One after the other where the call is made, and on threads of the plugin's own.
fn validators() -> &'static [TxValidator; 2] {
    static VALIDATORS: OnceLock<[TxValidator; 2]> = OnceLock::new();
    VALIDATORS.get_or_init(|| {
        ["inline", "isolated"].map(|executor| {
            let entry = json!({ "name": "DefaultValidation", "executor": executor });
            let section = json!({ "validators": { "vscc": entry } });
            let config = serde_json::from_value(section).unwrap();
            let registry = Registry::load(&config, &[plugin_dir()]).unwrap();
            TxValidator::new(2, Arc::new(ValidatorPlugins(registry))).unwrap()
        })
    })
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
    let block = new_block(1, Bytes::new(), envelopes.to_vec());
    let rules = ChannelRules::from(Arc::clone(bundle));
    let [inline, isolated] = validators().each_ref().map(|validator| {
        let judged = validator.validate(Arc::new(state.clone()), &rules, &block);
        judged.map_err(|error| (error.to_string(), error))
    });
    assert_eq!(
        inline.as_ref().map_err(|(text, _)| text),
        isolated.as_ref().map_err(|(text, _)| text)
    );
    inline.map_err(|(_, error)| error)
}

fn validate(state: &FakeState, envelopes: &[Envelope]) -> Vec<Code> {
    let encode = |envelope: &Envelope| envelope.encode_to_vec().into();
    let bytes: Vec<Bytes> = envelopes.iter().map(encode).collect();
    validate_under(&bundle(), state, &bytes).unwrap()
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
