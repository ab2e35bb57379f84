//! Fabric's messages that are read here. Those that nobody has decoded before are declared with all their fields: bytes
//! that are no such message for Fabric must be none here.

use bytes::Bytes;
use prost::{Message, Oneof};
use prost_types::Timestamp;
use std::collections::HashMap;

/// `rwset.TxReadWriteSet`; the peer has decoded it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TxReadWriteSet {
    #[prost(message, repeated, tag = "2")]
    pub(crate) namespaces: Vec<NsReadWriteSet>,
}

/// `rwset.NsReadWriteSet`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NsReadWriteSet {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) rwset: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(crate) collections: Vec<CollectionHashedReadWriteSet>,
}

/// `rwset.CollectionHashedReadWriteSet`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CollectionHashedReadWriteSet {
    #[prost(string, tag = "1")]
    pub(crate) collection: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) hashed_rwset: Bytes,
}

/// `kvrwset.KVRWSet`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KvRwSet {
    #[prost(message, repeated, tag = "3")]
    pub(crate) writes: Vec<KvWrite>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metadata_writes: Vec<KvMetadataWrite>,
}

/// `kvrwset.KVWrite`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KvWrite {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) value: Bytes,
}

/// `kvrwset.KVMetadataWrite`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KvMetadataWrite {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
}

/// `kvrwset.HashedRWSet`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HashedRwSet {
    #[prost(message, repeated, tag = "2")]
    pub(crate) writes: Vec<HashedWrite>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata_writes: Vec<HashedWrite>,
}

/// `kvrwset.KVWriteHash` and `kvrwset.KVMetadataWriteHash`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HashedWrite {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key_hash: Bytes,
}

/// `protos.ChaincodeProposalPayload`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeProposalPayload {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) input: Bytes,
    #[prost(map = "string, bytes", tag = "2")]
    pub(crate) transient_map: HashMap<String, Bytes>,
}

/// `protos.ChaincodeInvocationSpec`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeInvocationSpec {
    #[prost(message, optional, tag = "1")]
    pub(crate) chaincode_spec: Option<ChaincodeSpec>,
    #[prost(string, tag = "2")]
    pub(crate) id_generation_alg: String,
}

/// `protos.ChaincodeSpec`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeSpec {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) chaincode_id: Option<ChaincodeId>,
    #[prost(message, optional, tag = "3")]
    pub(crate) input: Option<ChaincodeInput>,
    #[prost(int32, tag = "4")]
    pub(crate) timeout: i32,
}

/// `protos.ChaincodeID`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeId {
    #[prost(string, tag = "1")]
    pub(crate) path: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) version: String,
}

/// `protos.ChaincodeInput`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeInput {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) args: Vec<Bytes>,
    #[prost(map = "string, bytes", tag = "2")]
    pub(crate) decorations: HashMap<String, Bytes>,
    #[prost(bool, tag = "3")]
    pub(crate) is_init: bool,
}

/// `protos.ChaincodeDeploymentSpec`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeDeploymentSpec {
    #[prost(message, optional, tag = "1")]
    pub(crate) chaincode_spec: Option<ChaincodeSpec>,
    #[prost(message, optional, tag = "2")]
    pub(crate) effective_date: Option<Timestamp>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) code_package: Bytes,
    #[prost(int32, tag = "4")]
    pub(crate) exec_env: i32,
}

/// `protos.ChaincodeData`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeData {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(string, tag = "3")]
    pub(crate) escc: String,
    #[prost(string, tag = "4")]
    pub(crate) vscc: String,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) policy: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) data: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) id: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    pub(crate) instantiation_policy: Bytes,
}

/// `common.CollectionConfigPackage`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CollectionConfigPackage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) config: Vec<CollectionConfig>,
}

/// `common.CollectionConfig`; its only choice.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CollectionConfig {
    #[prost(message, optional, tag = "1")]
    pub(crate) static_collection: Option<StaticCollectionConfig>,
}

/// `common.StaticCollectionConfig`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StaticCollectionConfig {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) member_orgs_policy: Option<CollectionPolicyConfig>,
    #[prost(int32, tag = "3")]
    pub(crate) required_peer_count: i32,
    #[prost(int32, tag = "4")]
    pub(crate) maximum_peer_count: i32,
    #[prost(uint64, tag = "5")]
    pub(crate) block_to_live: u64,
    #[prost(bool, tag = "6")]
    pub(crate) member_only_read: bool,
    #[prost(bool, tag = "7")]
    pub(crate) member_only_write: bool,
    #[prost(message, optional, tag = "8")]
    pub(crate) endorsement_policy: Option<ApplicationPolicy>,
}

/// `common.CollectionPolicyConfig`; its only choice.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CollectionPolicyConfig {
    #[prost(message, optional, tag = "1")]
    pub(crate) signature_policy: Option<SignaturePolicyEnvelope>,
}

/// `common.ApplicationPolicy`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ApplicationPolicy {
    #[prost(oneof = "application_policy::Kind", tags = "1, 2")]
    pub(crate) kind: Option<application_policy::Kind>,
}

/// Inside of [`ApplicationPolicy`].
pub(crate) mod application_policy {
    use super::{Oneof, SignaturePolicyEnvelope};

    /// The choice.
    #[derive(Clone, PartialEq, Oneof)]
    pub(crate) enum Kind {
        #[prost(message, tag = "1")]
        SignaturePolicy(SignaturePolicyEnvelope),
        #[prost(string, tag = "2")]
        ChannelConfigPolicyReference(String),
    }
}

/// `common.SignaturePolicyEnvelope`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignaturePolicyEnvelope {
    #[prost(int32, tag = "1")]
    pub(crate) version: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) rule: Option<SignaturePolicy>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) identities: Vec<MspPrincipal>,
}

/// `common.SignaturePolicy`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignaturePolicy {
    #[prost(oneof = "signature_policy::Kind", tags = "1, 2")]
    pub(crate) kind: Option<signature_policy::Kind>,
}

/// Inside of [`SignaturePolicy`].
pub(crate) mod signature_policy {
    use super::{Message, Oneof, SignaturePolicy};

    /// The choice.
    #[derive(Clone, PartialEq, Oneof)]
    pub(crate) enum Kind {
        #[prost(int32, tag = "1")]
        SignedBy(i32),
        #[prost(message, tag = "2")]
        NOutOf(NOutOf),
    }

    /// So many of the rules.
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct NOutOf {
        #[prost(int32, tag = "1")]
        pub(crate) n: i32,
        #[prost(message, repeated, tag = "2")]
        pub(crate) rules: Vec<SignaturePolicy>,
    }
}

/// `common.MSPPrincipal`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MspPrincipal {
    #[prost(int32, tag = "1")]
    pub(crate) classification: i32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) principal: Bytes,
}
