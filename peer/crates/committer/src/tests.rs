//! Blocks of real transactions against a state in memory.

mod deployments;
mod envelopes;
mod policies;

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use bytes::Bytes;
use channelconfig::Bundle;
use msp::policy::from_string;
use prost::Message;
use protos::TxId;
use protos::common::{Capabilities, Capability, Envelope, SignaturePolicyEnvelope};
use protos::new_block;
use protos::peer::{ChaincodeData, TxValidationCode as Code};

use crate::test_support::{TestNetwork, TestProposal, TestTransaction};
use crate::{ChannelRules, CommittedState, SourceError, TxValidator, ValidationError};

const CHANNEL: &str = "mychannel";

/// One network for all tests of this crate: making keys takes longer than the tests.
fn network() -> &'static TestNetwork {
    static NETWORK: OnceLock<TestNetwork> = OnceLock::new();
    NETWORK.get_or_init(TestNetwork::new)
}

/// A ledger in memory.
#[derive(Default)]
struct FakeState {
    committed: HashSet<TxId>,
    values: HashMap<(String, String), Bytes>,
    key_policies: HashMap<(String, String), Bytes>,
    hash_policies: HashMap<(String, String, Bytes), Bytes>,
    broken: bool,
}

impl CommittedState for FakeState {
    fn tx_id_exists(&self, tx_id: &TxId) -> Result<bool, SourceError> {
        if self.broken {
            Err("disk is gone".into())
        } else {
            Ok(self.committed.contains(tx_id))
        }
    }

    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SourceError> {
        Ok(self.values.get(&(namespace.into(), key.into())).cloned())
    }

    fn validation_parameter(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SourceError> {
        Ok(self.key_policies.get(&(namespace.into(), key.into())).cloned())
    }

    fn validation_parameter_by_hash(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
    ) -> Result<Option<Bytes>, SourceError> {
        let place = (
            namespace.into(),
            collection.into(),
            Bytes::copy_from_slice(key_hash),
        );
        Ok(self.hash_policies.get(&place).cloned())
    }
}

fn policy(text: &str) -> SignaturePolicyEnvelope {
    from_string(text).unwrap()
}

fn definition(name: &str, version: &str, endorsement: &str) -> ChaincodeData {
    ChaincodeData {
        name: name.into(),
        version: version.into(),
        escc: "escc".into(),
        vscc: "vscc".into(),
        policy: policy(endorsement).encode_to_vec().into(),
        instantiation_policy: policy("OR('Org1MSP.admin', 'Org2MSP.admin')")
            .encode_to_vec()
            .into(),
        ..Default::default()
    }
}

impl FakeState {
    /// A channel with `mycc` 1.0 (one organisation endorses) and `both` 1.0 (both do).
    fn new() -> Self {
        let mut state = Self::default();
        state.define(&definition("mycc", "1.0", "OR('Org1MSP.peer', 'Org2MSP.peer')"));
        state.define(&definition("both", "1.0", "AND('Org1MSP.peer', 'Org2MSP.peer')"));
        state
    }

    fn define(&mut self, data: &ChaincodeData) {
        self.values
            .insert(("lscc".into(), data.name.clone()), data.encode_to_vec().into());
    }
}

/// The same organisations with other application capabilities.
fn with_capabilities(names: &[&str]) -> Bundle {
    let present = network().bundle(CHANNEL);
    let mut config = present.config().clone();
    let group = config.channel_group.as_mut().unwrap();
    let values = &mut group.groups.get_mut("Application").unwrap().values;
    let capabilities = names
        .iter()
        .map(|name| ((*name).to_owned(), Capability {}))
        .collect();
    values.get_mut("Capabilities").unwrap().value = Capabilities { capabilities }.encode_to_vec().into();
    Bundle::from_config(CHANNEL, &config).unwrap()
}

/// Codes of a block under a configuration.
fn validate_under(
    bundle: &Bundle,
    state: &FakeState,
    envelopes: &[Bytes],
) -> Result<Vec<Code>, ValidationError> {
    static VALIDATOR: OnceLock<TxValidator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| TxValidator::new(2).unwrap());
    let block = new_block(1, Bytes::new(), envelopes.to_vec());
    validator.validate(state, &ChannelRules::from(bundle), &block)
}

fn validate(state: &FakeState, envelopes: &[Envelope]) -> Vec<Code> {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    let bundle = BUNDLE.get_or_init(|| network().bundle(CHANNEL));
    let bytes: Vec<Bytes> = envelopes
        .iter()
        .map(|envelope| envelope.encode_to_vec().into())
        .collect();
    validate_under(bundle, state, &bytes).unwrap()
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
