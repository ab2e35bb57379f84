//! What the endorser needs of the rest of the peer. The composition root plugs it in.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use chaincode::{ChaincodeSupport, DefinitionError, ExecuteError, ExecuteOutcome, Invocation, TransactionParams};
use channelconfig::Bundle;
use ledger::KvLedger;
use msp::LocalMsp;
use protos::peer::{ChaincodeData, ChaincodeInput};
use protos::{ChannelId, SignedData, UnpackedProposal};

/// The resource that guards proposals to user chaincode.
const PROPOSE: &str = "peer/Propose";

/// One channel, as it is now.
#[derive(Clone)]
pub struct ChannelView {
    /// Its ledger.
    pub ledger: Arc<KvLedger>,
    /// Its configuration.
    pub bundle: Arc<Bundle>,
}

/// The channels of the peer.
pub trait Channels: Send + Sync {
    /// A channel that the peer has joined.
    fn channel(&self, channel: &ChannelId) -> Option<ChannelView>;

    /// The MSP that judges proposals without a channel, and the identity that endorses.
    fn local_msp(&self) -> &Arc<LocalMsp>;

    /// Whether the proposal's creator may propose on its channel (resource `peer/Propose`).
    ///
    /// # Errors
    /// When it may not.
    fn check_propose(&self, proposal: &UnpackedProposal) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// The chaincodes of the peer.
#[async_trait]
pub trait Chaincodes: Send + Sync {
    /// Whether a name is that of a system chaincode.
    fn is_system_chaincode(&self, name: &str) -> bool;

    /// Reads the definition through the transaction's simulator and checks the installed package against
    /// it. Blocks.
    ///
    /// # Errors
    /// When there is none, or the installed package does not fit it.
    fn definition(&self, params: &TransactionParams, name: &str) -> Result<ChaincodeData, DefinitionError>;

    /// Runs a chaincode.
    ///
    /// # Errors
    /// When it could not be run, did not answer in time or answered ERROR.
    async fn execute(&self, params: Arc<TransactionParams>, invocation: Invocation) -> Result<ExecuteOutcome, ExecuteError>;
}

#[async_trait]
impl Chaincodes for ChaincodeSupport {
    fn is_system_chaincode(&self, name: &str) -> bool {
        Self::is_system_chaincode(self, name)
    }

    fn definition(&self, params: &TransactionParams, name: &str) -> Result<ChaincodeData, DefinitionError> {
        let definition = Self::definition(self, params, name)?;
        self.packages().check(&definition).map_err(DefinitionError::Security)?;
        Ok(definition)
    }

    async fn execute(&self, params: Arc<TransactionParams>, invocation: Invocation) -> Result<ExecuteOutcome, ExecuteError> {
        Self::execute(self, params, invocation).await
    }
}

/// The decorators, in their order.
#[async_trait]
pub trait Decorators: Send + Sync {
    /// Replaces the client's decorations by those of the configured decorators.
    ///
    /// # Errors
    /// When a decorator fails.
    async fn decorate(
        &self,
        proposal: &UnpackedProposal,
        input: ChaincodeInput,
    ) -> Result<ChaincodeInput, Box<dyn Error + Send + Sync>>;
}

impl Channels for channel::Channels {
    fn channel(&self, channel: &ChannelId) -> Option<ChannelView> {
        let channel = self.get(channel)?;
        Some(ChannelView { ledger: Arc::clone(channel.ledger()), bundle: channel.bundle() })
    }

    fn local_msp(&self) -> &Arc<LocalMsp> {
        self.local_msp()
    }

    fn check_propose(&self, proposal: &UnpackedProposal) -> Result<(), Box<dyn Error + Send + Sync>> {
        let signed = SignedData {
            data: proposal.signed.proposal_bytes.clone(),
            identity: proposal.signature_header.creator.clone(),
            signature: proposal.signed.signature.clone(),
        };
        Ok(self.check_acl(PROPOSE, Some(&proposal.channel), &signed)?)
    }
}
