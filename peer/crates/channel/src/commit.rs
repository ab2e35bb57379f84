//! The way of a block into a channel: verified, validated, stored; a configuration in it takes effect.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use channelconfig::{Bundle, BundleError};
use committer::{ChannelRules, ValidationError};
use deliver::client::{BlockSink, SinkError};
use deliver::{VerifyBlockError, verify_block};
use ledger::{CommittedBlock, KvLedger};
use protos::channel_header_of;
use protos::common::{Block, HeaderType};
use protos::peer::TxValidationCode;

use crate::channel::Channel;

/// Why a block was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It is not what the channel's orderers signed.
    #[error("block is not trusted")]
    Verify(#[from] VerifyBlockError),
    /// The peer could not judge its transactions.
    #[error("block could not be validated")]
    Validate(#[from] ValidationError),
    /// The new configuration cannot be worked with.
    #[error("configuration in block cannot be applied")]
    Config(#[from] BundleError),
    /// It is not the next block, or the ledger failed.
    #[error("block could not be stored")]
    Ledger(#[from] ledger::CommitError),
    /// Nobody holds the channel any longer.
    #[error("channel has been closed")]
    Closed,
    /// The task that committed broke off; a bug.
    #[error("commit broke off")]
    Broken(#[source] tokio::task::JoinError),
}

impl CommitError {
    /// Whether the block is to blame, so that another orderer may have a better one.
    #[must_use]
    pub fn is_bad_block(&self) -> bool {
        use ledger::CommitError as Ledger;
        match self {
            Self::Verify(_) => true,
            Self::Ledger(error) => matches!(
                error,
                Ledger::Missing(_)
                    | Ledger::WrongNumber { .. }
                    | Ledger::WrongPreviousHash { .. }
                    | Ledger::WrongDataHash(_)
            ),
            Self::Validate(_) | Self::Config(_) | Self::Closed | Self::Broken(_) => false,
        }
    }
}

impl Channel {
    /// Verifies, validates and stores a block; a configuration in it is in force when this returns. Blocks are
    /// committed one at a time. Goes on to the end even if nobody waits for it.
    ///
    /// # Errors
    /// When the block is not trusted, is not the next one, or the peer cannot judge or store it.
    pub async fn commit(&self, block: Block) -> Result<CommittedBlock, CommitError> {
        let channel = self.shared().ok_or(CommitError::Closed)?;
        let span = tracing::Span::current();
        let committed = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let _turn = channel.turn.lock();
            channel.commit_now(block)
        });
        committed
            .await
            .unwrap_or_else(|error| Err(CommitError::Broken(error)))
    }

    fn commit_now(&self, block: Block) -> Result<CommittedBlock, CommitError> {
        let started = Instant::now();
        let bundle = self.bundle();
        verify_block(&bundle, &block)?;
        let rules = ChannelRules::from(bundle);
        let ledger = Arc::<KvLedger>::clone(self.ledger());
        let codes = self.validator.validate(ledger, &rules, &block)?;
        // a configuration that cannot be applied must not be stored either
        let next = next_bundle(&block, &codes)?;
        let committed = self.ledger().commit(block, codes)?;
        if let Some(next) = next {
            self.apply(next);
        }
        self.metrics().committed(&committed.codes, started.elapsed());
        Ok(committed)
    }
}

/// The configuration that a block brings, if it is a valid configuration block.
fn next_bundle(block: &Block, codes: &[TxValidationCode]) -> Result<Option<Arc<Bundle>>, BundleError> {
    let data = block
        .data
        .as_ref()
        .map(|data| data.data.as_slice())
        .unwrap_or_default();
    let ([envelope], [TxValidationCode::Valid]) = (data, codes) else {
        return Ok(None);
    };
    let header = channel_header_of(envelope.clone())?;
    if header.r#type != i32::from(HeaderType::Config) {
        return Ok(None);
    }
    Bundle::from_config_block(block).map(Arc::new).map(Some)
}

#[async_trait]
impl BlockSink for Channel {
    async fn block(&self, block: Block) -> Result<(), SinkError> {
        match self.commit(block).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_bad_block() => Err(SinkError::BadBlock(Box::new(error))),
            Err(error) => Err(SinkError::Fatal(Box::new(error))),
        }
    }
}
