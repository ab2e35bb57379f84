//! The seams of lower crates to the peer's channels: chaincode's calls to other channels, and Deliver.

use std::error::Error;
use std::sync::Arc;

use chaincode::{ChannelAccess, ChannelCapabilities};
use deliver::server::{BlockForm, BlockSource, Sources};
use ledger::{KvLedger, LedgerError};
use protos::common::Block;
use protos::{ChannelId, SignedData, UnpackedProposal};
use tokio::sync::watch;

use crate::channel::Channel;
use crate::channels::Channels;

type AccessError = Box<dyn Error + Send + Sync>;

impl ChannelAccess for Channels {
    fn ledger(&self, channel: &ChannelId) -> Option<Arc<KvLedger>> {
        self.get(channel).map(|channel| Arc::clone(channel.ledger()))
    }

    fn check_acl(
        &self,
        resource: &str,
        channel: &ChannelId,
        proposal: &UnpackedProposal,
    ) -> Result<(), AccessError> {
        let channel = Some(channel).filter(|channel| !channel.is_empty());
        Ok(Channels::check_acl(
            self,
            resource,
            channel,
            &proposal_signature(proposal),
        )?)
    }

    fn capabilities(&self, channel: &ChannelId) -> Option<ChannelCapabilities> {
        let bundle = self.get(channel)?.bundle();
        let capabilities = &bundle.application()?.capabilities;
        Some(ChannelCapabilities {
            key_level_endorsement: capabilities.key_level_endorsement(),
            purge_private_data: capabilities.purge_pvt_data(),
            new_lifecycle: capabilities.lifecycle_v2_0(),
        })
    }
}

/// What a proposal's creator signed, for a policy to judge.
#[must_use]
pub fn proposal_signature(proposal: &UnpackedProposal) -> SignedData {
    SignedData {
        data: proposal.signed.proposal_bytes.clone(),
        identity: proposal.signature_header.creator.clone(),
        signature: proposal.signed.signature.clone(),
    }
}

impl Sources for Channels {
    fn source(&self, channel: &str) -> Option<Arc<dyn BlockSource>> {
        let channel = self.get(&channel.into())?;
        Some(channel)
    }
}

impl BlockSource for Channel {
    fn height_watch(&self) -> watch::Receiver<u64> {
        self.ledger().height_watch()
    }

    fn block(&self, number: u64) -> Result<Option<Block>, AccessError> {
        match self.ledger().block_by_number(number) {
            Ok(block) => Ok(Some(block)),
            Err(LedgerError::NoSuchBlockNumber(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn check_access(&self, form: BlockForm, signed: &SignedData) -> Result<(), AccessError> {
        Ok(self.check_acl(form.resource(), signed)?)
    }

    fn config_sequence(&self) -> u64 {
        self.bundle().sequence()
    }
}
