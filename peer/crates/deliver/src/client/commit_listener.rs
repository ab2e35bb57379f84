//! Waits on a peer until a transaction is committed (`peer chaincode invoke --waitForEvent`).

use std::time::Duration;

use futures::StreamExt;
use msp::LocalSigner;
use protos::TxId;
use protos::common::Status;
use protos::peer::{FilteredBlock, TxValidationCode};
use tokio::time::{Instant, timeout_at};

use super::peer_client::PeerDeliverClient;
use super::seek::{Delivered, Deliveries, from_on, newest, seek_envelope};
use crate::envelope::SignEnvelopeError;

/// A listener on one channel of one peer. Open it before the transaction is broadcast.
pub struct CommitListener {
    answers: Deliveries,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of the block that holds it.
    pub block: u64,
    /// The verdict on it.
    pub code: TxValidationCode,
}

/// Why the fate of a transaction is not known.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The request could not be signed.
    #[error("could not create the seek request")]
    Sign(#[from] SignEnvelopeError),
    /// The peer refused or ended the stream.
    #[error("deliver completed with status ({}) before txid received", .0.as_str_name())]
    Status(Status),
    /// The call failed.
    #[error("deliver call failed")]
    Call(#[source] Box<tonic::Status>),
    /// The peer hung up or sent something else.
    #[error("peer ended the stream before txid received")]
    Ended,
    /// It takes too long.
    #[error("timed out waiting for txid on the peer after {0:?}")]
    Timeout(Duration),
}

impl CommitListener {
    /// Opens a listener; when this returns, no later block can be missed.
    ///
    /// # Errors
    /// When the peer refuses or does not answer in time.
    pub async fn open(
        client: &PeerDeliverClient,
        signer: &LocalSigner,
        channel: &str,
        deadline: Duration,
    ) -> Result<Self, WaitError> {
        let envelope = seek_envelope(signer, channel, &from_on(newest()), client.tls_cert_hash())?;
        let mut listener = Self {
            answers: client.deliver_filtered(envelope),
        };
        let newest = tokio::time::timeout(deadline, listener.next_block()).await;
        newest.map_err(|_elapsed| WaitError::Timeout(deadline))??;
        Ok(listener)
    }

    /// Waits for the block that holds the transaction and returns its number and the transaction's validation code.
    ///
    /// # Errors
    /// When the stream ends before, or the deadline passes.
    pub async fn wait_for(&mut self, tx_id: &TxId, deadline: Duration) -> Result<Committed, WaitError> {
        let until = Instant::now() + deadline;
        loop {
            let block = timeout_at(until, self.next_block()).await;
            let block = block.map_err(|_elapsed| WaitError::Timeout(deadline))??;
            let mut transactions = block.filtered_transactions.into_iter();
            if let Some(found) = transactions.find(|transaction| transaction.txid == tx_id.as_str()) {
                return Ok(Committed {
                    block: block.number,
                    code: found.tx_validation_code(),
                });
            }
        }
    }

    async fn next_block(&mut self) -> Result<FilteredBlock, WaitError> {
        match self.answers.next().await {
            Some(Ok(Delivered::Filtered(block))) => Ok(block),
            Some(Ok(Delivered::Status(status))) => Err(WaitError::Status(status)),
            Some(Err(status)) => Err(WaitError::Call(Box::new(status))),
            Some(Ok(Delivered::Block(_) | Delivered::Unknown)) | None => Err(WaitError::Ended),
        }
    }
}
