//! What the ledger reads of a transaction's envelope.

use bytes::Bytes;
use prost::DecodeError;
use protos::common::{ChannelHeader, Envelope, HeaderType, Payload, SignatureHeader};
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ProposalResponsePayload, Transaction, TxValidationCode,
};
use protos::{TxId, compute_tx_id, decode_as_go};

use crate::rwset::TxRwSet;

/// A transaction as far as it decodes; anyone may have made it.
#[derive(Default)]
pub(crate) struct BlockTx {
    pub header: ChannelHeader,
    /// The id that a transaction without one is found by: made of nonce and creator as other ids are.
    computed_id: Option<TxId>,
    /// The payload's data; none where the headers do not decode.
    data: Option<Bytes>,
}

impl BlockTx {
    /// Reads an envelope of a block. What does not decode stays empty.
    pub fn read(envelope: Bytes) -> Self {
        Self::try_read(envelope).ok().flatten().unwrap_or_default()
    }

    fn try_read(envelope: Bytes) -> Result<Option<Self>, DecodeError> {
        let payload = decode_as_go::<Payload>(decode_as_go::<Envelope>(envelope)?.payload)?;
        let Some(header) = payload.header else {
            return Ok(None);
        };
        let channel_header = decode_as_go::<ChannelHeader>(header.channel_header)?;
        let signature_header = decode_as_go::<SignatureHeader>(header.signature_header).ok();
        let computed_id = signature_header
            .filter(|_| channel_header.tx_id.is_empty())
            .map(|header| compute_tx_id(&header.nonce, &header.creator));
        Ok(Some(Self {
            header: channel_header,
            computed_id,
            data: Some(payload.data),
        }))
    }

    /// The id that the transaction is found by, empty where there is none. Configurations have none of their own.
    pub fn index_id(&self) -> &str {
        self.computed_id.as_ref().map_or(&self.header.tx_id, TxId::as_str)
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
    let Some(action) = decode_as_go::<Transaction>(data)?.actions.into_iter().next() else {
        return Ok(None);
    };
    let Some(action) = decode_as_go::<ChaincodeActionPayload>(action.payload)?.action else {
        return Ok(None);
    };
    let response = decode_as_go::<ProposalResponsePayload>(action.proposal_response_payload)?;
    if response.extension.is_empty() {
        return Ok(None);
    }
    Ok(Some(decode_as_go::<ChaincodeAction>(response.extension)?.results))
}
