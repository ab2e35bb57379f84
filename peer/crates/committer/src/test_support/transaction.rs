//! A transaction, as a client assembles it of a proposal and its endorsements.

use std::sync::Arc;

use bytes::Bytes;
use msp::LocalSigner;
use prost::Message;
use protos::common::{Envelope, Payload};
use protos::kvrwset::{HashedRwSet, KvMetadataEntry, KvMetadataWrite, KvWrite, KvrwSet};
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeDeploymentSpec, ChaincodeEndorsedAction,
    ChaincodeEvent, ChaincodeId, ChaincodeSpec, Endorsement, ProposalResponse, ProposalResponsePayload,
    Response, Transaction, TransactionAction, chaincode_spec,
};
use protos::proposal_hash_at_commit;
use protos::rwset::{CollectionHashedReadWriteSet, NsReadWriteSet, TxReadWriteSet};

use super::proposal::{TestProposal, chaincode_input};

/// A deployment spec without code.
#[must_use]
pub fn deployment_spec(name: &str, version: &str) -> ChaincodeDeploymentSpec {
    let spec = ChaincodeSpec {
        r#type: chaincode_spec::Type::Golang.into(),
        chaincode_id: Some(ChaincodeId {
            name: name.into(),
            version: version.into(),
            path: format!("example.com/{name}"),
        }),
        input: Some(chaincode_input(&[b"init"])),
        ..Default::default()
    };
    ChaincodeDeploymentSpec {
        chaincode_spec: Some(spec),
        ..Default::default()
    }
}

/// A transaction before it is endorsed and signed; the fields may be changed to something wrong.
#[derive(Clone)]
pub struct TestTransaction {
    /// What was proposed.
    pub proposal: TestProposal,
    /// What the chaincode did.
    pub action: ChaincodeAction,
    /// Who endorses.
    pub endorsers: Vec<Arc<LocalSigner>>,
    namespaces: Vec<(String, KvrwSet)>,
    /// Namespace, collection, and what happens to its keys.
    collections: Vec<(String, String, HashedRwSet)>,
}

impl TestTransaction {
    /// A proposal executed by that version, nothing read or written.
    #[must_use]
    pub fn new(proposal: TestProposal, version: &str, endorsers: &[&Arc<LocalSigner>]) -> Self {
        let id = proposal
            .invocation
            .chaincode_spec
            .clone()
            .and_then(|spec| spec.chaincode_id);
        Self {
            action: ChaincodeAction {
                response: Some(Response {
                    status: 200,
                    ..Default::default()
                }),
                chaincode_id: Some(ChaincodeId {
                    version: version.into(),
                    ..id.unwrap_or_default()
                }),
                ..Default::default()
            },
            endorsers: endorsers.iter().map(|signer| Arc::clone(signer)).collect(),
            namespaces: Vec::new(),
            collections: Vec::new(),
            proposal,
        }
    }

    fn namespace(&mut self, name: &str) -> &mut KvrwSet {
        if !self.namespaces.iter().any(|(known, _)| known == name) {
            self.namespaces.push((name.to_owned(), KvrwSet::default()));
        }
        let found = self.namespaces.iter_mut().find(|(known, _)| known == name);
        &mut found.expect("namespace").1
    }

    /// Adds a write.
    #[must_use]
    pub fn write(mut self, namespace: &str, key: &str, value: impl Into<Bytes>) -> Self {
        let write = KvWrite {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        };
        self.namespace(namespace).writes.push(write);
        self
    }

    /// Adds a key's endorsement policy.
    #[must_use]
    pub fn set_policy(mut self, namespace: &str, key: &str, policy: impl Into<Bytes>) -> Self {
        let entry = KvMetadataEntry {
            name: "VALIDATION_PARAMETER".into(),
            value: policy.into(),
        };
        let write = KvMetadataWrite {
            key: key.into(),
            entries: vec![entry],
        };
        self.namespace(namespace).metadata_writes.push(write);
        self
    }

    /// Adds what happens to keys of a private collection.
    #[must_use]
    pub fn hashed(mut self, namespace: &str, collection: &str, set: HashedRwSet) -> Self {
        self.namespace(namespace);
        self.collections.push((namespace.into(), collection.into(), set));
        self
    }

    /// Sets an event.
    #[must_use]
    pub fn event(mut self, chaincode: &str) -> Self {
        let event = ChaincodeEvent {
            chaincode_id: chaincode.into(),
            ..Default::default()
        };
        self.action.events = event.encode_to_vec().into();
        self
    }

    /// The namespace again, as nobody may have it.
    #[must_use]
    pub fn repeat_namespace(mut self, name: &str) -> Self {
        self.namespaces.push((name.to_owned(), KvrwSet::default()));
        self
    }

    /// The transaction's single action, endorsed.
    #[must_use]
    pub fn endorse(&self) -> TransactionAction {
        let mut action = self.action.clone();
        let namespaces = self.namespaces.iter().map(|(name, set)| NsReadWriteSet {
            namespace: name.clone(),
            rwset: set.encode_to_vec().into(),
            collection_hashed_rwset: self.collections_of(name),
        });
        let set = TxReadWriteSet {
            ns_rwset: namespaces.collect(),
            ..Default::default()
        };
        if action.results.is_empty() {
            action.results = set.encode_to_vec().into();
        }
        let header = self.proposal.header();
        let hash = proposal_hash_at_commit(
            &header.channel_header,
            &header.signature_header,
            &self.proposal.payload(),
        );
        let response: Bytes = ProposalResponsePayload {
            proposal_hash: hash.to_vec().into(),
            extension: action.encode_to_vec().into(),
        }
        .encode_to_vec()
        .into();
        let endorse = |signer: &Arc<LocalSigner>| {
            let endorser = signer.serialized_identity();
            let signature = signer.sign(&[&response, &endorser]).expect("signature");
            Endorsement { endorser, signature }
        };
        action_of(
            &self.proposal,
            response.clone(),
            self.endorsers.iter().map(endorse).collect(),
        )
    }

    fn collections_of(&self, name: &str) -> Vec<CollectionHashedReadWriteSet> {
        let collections = self
            .collections
            .iter()
            .filter(|(namespace, ..)| namespace == name);
        let message = |(_, collection, set): &(String, String, HashedRwSet)| CollectionHashedReadWriteSet {
            collection_name: collection.clone(),
            hashed_rwset: set.encode_to_vec().into(),
            ..Default::default()
        };
        collections.map(message).collect()
    }

    /// Signs the whole.
    #[must_use]
    pub fn sign(&self) -> Envelope {
        self.sign_actions(vec![self.endorse()])
    }

    /// Signs the whole with these actions.
    #[must_use]
    pub fn sign_actions(&self, actions: Vec<TransactionAction>) -> Envelope {
        envelope(&self.proposal, actions)
    }

    /// The transaction that a client makes of responses of the endorser.
    #[must_use]
    pub fn assemble(proposal: &TestProposal, responses: &[ProposalResponse]) -> Envelope {
        let payload = responses
            .first()
            .map(|response| response.payload.clone())
            .unwrap_or_default();
        let endorsements = responses
            .iter()
            .filter_map(|response| response.endorsement.clone());
        envelope(
            proposal,
            vec![action_of(proposal, payload, endorsements.collect())],
        )
    }
}

fn action_of(proposal: &TestProposal, response: Bytes, endorsements: Vec<Endorsement>) -> TransactionAction {
    let payload = ChaincodeActionPayload {
        chaincode_proposal_payload: proposal.payload(),
        action: Some(ChaincodeEndorsedAction {
            proposal_response_payload: response,
            endorsements,
        }),
    };
    TransactionAction {
        header: proposal.header().signature_header,
        payload: payload.encode_to_vec().into(),
    }
}

fn envelope(proposal: &TestProposal, actions: Vec<TransactionAction>) -> Envelope {
    let payload: Bytes = Payload {
        header: Some(proposal.header()),
        data: Transaction { actions }.encode_to_vec().into(),
    }
    .encode_to_vec()
    .into();
    let signature = proposal.signer.sign(&[&payload]).expect("signature");
    Envelope { payload, signature }
}
