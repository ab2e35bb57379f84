//! What the tests of this crate share: chaincode support in dev mode, transactions and proposals.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::common::{ChannelHeader, Header, SignatureHeader};
use protos::peer::{
    ChaincodeHeaderExtension, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload,
    ChaincodeSpec, Proposal, SignedProposal,
};
use protos::{ChaincodeId, UnpackedProposal};

use crate::config::Config;
use crate::packages::PackageStore;
use crate::support::{ChaincodeSupport, ExecuteError, Parts};
use crate::test_support::{FakeChannels, FakeShim, ShimHandle};
use crate::transaction::{ExecuteOutcome, Invocation, InvocationKind, TransactionParams};

/// Chaincode support whose chaincode is started by the test.
pub struct DevBench {
    _folder: tempfile::TempDir,
    pub support: Arc<ChaincodeSupport>,
    pub channels: Arc<FakeChannels>,
}

impl DevBench {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let channels = FakeChannels::new();
        let parts = Parts {
            vm: None,
            packages: Arc::new(PackageStore::open(folder.path()).unwrap()),
            channels: channels.clone(),
            tls: None,
        };
        let config = Config {
            dev_mode: true,
            ..config
        };
        Self {
            _folder: folder,
            support: ChaincodeSupport::new(config, parts),
            channels,
        }
    }

    /// Connects a chaincode and waits until it may be called.
    pub async fn attach(&self, shim: FakeShim) -> ShimHandle {
        let handle = shim.attach(&self.support);
        handle.ready().await;
        handle
    }

    /// Runs `mycc:1.0` without a ledger.
    pub async fn call(&self, args: &[&str]) -> Result<ExecuteOutcome, ExecuteError> {
        self.support.execute(params("tx"), invoke("mycc", args)).await
    }
}

/// A transaction on channel `ch` without a ledger.
pub fn params(tx_id: &str) -> Arc<TransactionParams> {
    Arc::new(TransactionParams {
        channel: "ch".into(),
        tx_id: tx_id.into(),
        signed_proposal: None,
        simulator: None,
        history: None,
        invoked_by: None,
    })
}

/// A TRANSACTION for version 1.0 of a chaincode.
pub fn invoke(name: &str, args: &[&str]) -> Invocation {
    Invocation {
        chaincode: ChaincodeId::new(name, "1.0"),
        input: ChaincodeInput {
            args: args
                .iter()
                .map(|arg| Bytes::copy_from_slice(arg.as_bytes()))
                .collect(),
            ..Default::default()
        },
        kind: InvocationKind::Transaction,
    }
}

/// A proposal that decodes and that nobody has signed.
pub fn proposal() -> Arc<UnpackedProposal> {
    let id = protos::peer::ChaincodeId {
        name: "mycc".into(),
        ..Default::default()
    };
    let extension = ChaincodeHeaderExtension {
        chaincode_id: Some(id),
        ..Default::default()
    };
    let channel_header = ChannelHeader {
        channel_id: "ch".into(),
        tx_id: "tx".into(),
        extension: extension.encode_to_vec().into(),
        ..Default::default()
    };
    let header = Header {
        channel_header: channel_header.encode_to_vec().into(),
        signature_header: SignatureHeader::default().encode_to_vec().into(),
    };
    let invocation = ChaincodeInvocationSpec {
        chaincode_spec: Some(ChaincodeSpec {
            input: Some(ChaincodeInput::default()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let payload = ChaincodeProposalPayload {
        input: invocation.encode_to_vec().into(),
        ..Default::default()
    };
    let proposal = Proposal {
        header: header.encode_to_vec().into(),
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    };
    let signed = SignedProposal {
        proposal_bytes: proposal.encode_to_vec().into(),
        ..Default::default()
    };
    Arc::new(UnpackedProposal::try_from(signed).unwrap())
}
