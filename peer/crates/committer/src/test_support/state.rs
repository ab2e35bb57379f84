//! A ledger in memory.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use msp::policy::from_string;
use prost::Message;
use protos::TxId;
use protos::common::SignaturePolicyEnvelope;
use protos::peer::ChaincodeData;

use crate::rules::{CommittedState, SourceError};

/// Committed state that tests write into.
#[derive(Clone, Default)]
pub struct FakeState {
    /// The ids of committed transactions.
    pub committed: HashSet<TxId>,
    /// Values by namespace and key.
    pub values: HashMap<(String, String), Bytes>,
    /// Policies of keys, by namespace and key.
    pub key_policies: HashMap<(String, String), Bytes>,
    /// Policies of private keys, by namespace, collection and hash.
    pub hash_policies: HashMap<(String, String, Bytes), Bytes>,
    /// Whether transaction ids cannot be looked up.
    pub broken: bool,
    /// Whether metadata cannot be read.
    pub broken_metadata: bool,
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

    fn state_metadata(&self, namespace: &str, key: &str, entry: &str) -> Result<Option<Bytes>, SourceError> {
        if self.broken_metadata {
            return Err("disk is gone".into());
        }
        let policy = self.key_policies.get(&(namespace.into(), key.into()));
        Ok(policy.filter(|_| entry == "VALIDATION_PARAMETER").cloned())
    }

    fn private_metadata(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
        entry: &str,
    ) -> Result<Option<Bytes>, SourceError> {
        let place = (
            namespace.into(),
            collection.into(),
            Bytes::copy_from_slice(key_hash),
        );
        let policy = self.hash_policies.get(&place);
        Ok(policy.filter(|_| entry == "VALIDATION_PARAMETER").cloned())
    }
}

impl FakeState {
    /// A channel with `mycc` 1.0 (one organisation endorses) and `both` 1.0 (both do).
    #[must_use]
    pub fn new() -> Self {
        let mut state = Self::default();
        state.define(&definition("mycc", "1.0", "OR('Org1MSP.peer', 'Org2MSP.peer')"));
        state.define(&definition("both", "1.0", "AND('Org1MSP.peer', 'Org2MSP.peer')"));
        state
    }

    /// Stores a definition.
    pub fn define(&mut self, data: &ChaincodeData) {
        self.values
            .insert(("lscc".into(), data.name.clone()), data.encode_to_vec().into());
    }
}

/// A policy from its text.
#[must_use]
pub fn policy(text: &str) -> SignaturePolicyEnvelope {
    from_string(text).expect("a policy")
}

/// A definition that the admins of both organisations may change.
#[must_use]
pub fn definition(name: &str, version: &str, endorsement: &str) -> ChaincodeData {
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
