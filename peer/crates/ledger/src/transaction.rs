//! What the ledger reads of a transaction's envelope.

use bytes::Bytes;
use prost::{DecodeError, Message};
use protos::TxId;
use protos::common::{ChannelHeader, Envelope, HeaderType, Payload};
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ProposalResponsePayload, Transaction, TxValidationCode,
};

use crate::rwset::TxRwSet;

/// A transaction as far as it decodes; anyone may have made it.
#[derive(Default)]
pub(crate) struct BlockTx {
    pub header: ChannelHeader,
    /// The payload's data; none where the headers do not decode.
    data: Option<Bytes>,
}

impl BlockTx {
    /// Reads an envelope of a block. What does not decode stays empty.
    pub fn read(envelope: Bytes) -> Self {
        Self::try_read(envelope).ok().flatten().unwrap_or_default()
    }

    fn try_read(envelope: Bytes) -> Result<Option<Self>, DecodeError> {
        let payload = Payload::decode(Envelope::decode(envelope)?.payload)?;
        let Some(header) = payload.header else {
            return Ok(None);
        };
        Ok(Some(Self {
            header: ChannelHeader::decode(header.channel_header)?,
            data: Some(payload.data),
        }))
    }

    pub fn tx_id(&self) -> TxId {
        self.header.tx_id.as_str().into()
    }

    pub fn is(&self, kind: HeaderType) -> bool {
        self.data.is_some() && self.header.r#type == i32::from(kind)
    }

    /// The read-write set of an endorser transaction, or the code that judges its absence.
    pub fn rwset(&self) -> Result<TxRwSet, TxValidationCode> {
        let results = self
            .data
            .clone()
            .and_then(|data| action_results(data).ok().flatten())
            .ok_or(TxValidationCode::NilTxaction)?;
        TxRwSet::decode(results).or(Err(TxValidationCode::InvalidOtherReason))
    }
}

/// The results of the first action; none where a level is absent.
fn action_results(data: Bytes) -> Result<Option<Bytes>, DecodeError> {
    let Some(action) = Transaction::decode(data)?.actions.into_iter().next() else {
        return Ok(None);
    };
    let Some(action) = ChaincodeActionPayload::decode(action.payload)?.action else {
        return Ok(None);
    };
    let response = ProposalResponsePayload::decode(action.proposal_response_payload)?;
    if response.extension.is_empty() {
        return Ok(None);
    }
    Ok(Some(ChaincodeAction::decode(response.extension)?.results))
}
