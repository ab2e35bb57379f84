//! Filtered blocks: what happened to each transaction, without what it did (core/peer/deliverevents.go).
//!
//! Fabric gives up on a whole block when one transaction in it does not decode, which lets one client blind
//! all listeners; here such a transaction merely has no actions.

use bytes::Bytes;
use prost::{DecodeError, Message};
use protos::common::{Block, ChannelHeader, Envelope, HeaderType, Payload};
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEvent, FilteredBlock, FilteredChaincodeAction,
    FilteredTransaction, FilteredTransactionActions, ProposalResponsePayload, Transaction, TransactionAction,
    TxValidationCode, filtered_transaction,
};
use protos::tx_filter;

/// The filtered form of a block of that channel.
#[must_use]
pub fn filtered_block(channel: &str, block: &Block) -> FilteredBlock {
    let filter = tx_filter(block);
    let envelopes = block.data.iter().flat_map(|data| &data.data);
    let filtered_transactions = envelopes
        .enumerate()
        .filter_map(|(index, envelope)| {
            let code = filter
                .get(index)
                .map_or(TxValidationCode::NotValidated as i32, |code| i32::from(*code));
            filtered_transaction(envelope.clone(), code)
        })
        .collect();
    FilteredBlock {
        channel_id: channel.to_owned(),
        number: block.header.as_ref().map_or(0, |header| header.number),
        filtered_transactions,
    }
}

fn filtered_transaction(envelope: Bytes, tx_validation_code: i32) -> Option<FilteredTransaction> {
    let payload = Payload::decode(Envelope::decode(envelope).ok()?.payload).ok()?;
    let header = ChannelHeader::decode(payload.header?.channel_header).ok()?;
    let data = (header.r#type == HeaderType::EndorserTransaction as i32).then(|| {
        let transaction = Transaction::decode(payload.data).unwrap_or_default();
        let chaincode_actions = transaction
            .actions
            .into_iter()
            .filter_map(filtered_action)
            .collect();
        filtered_transaction::Data::TransactionActions(FilteredTransactionActions { chaincode_actions })
    });
    Some(FilteredTransaction {
        txid: header.tx_id,
        r#type: header.r#type,
        tx_validation_code,
        data,
    })
}

/// The event of an action, without its payload; `None` when there is no event.
fn filtered_action(action: TransactionAction) -> Option<FilteredChaincodeAction> {
    let event = event_of(action).ok().flatten()?;
    if event.chaincode_id.is_empty() {
        return None;
    }
    let event = ChaincodeEvent {
        payload: Bytes::new(),
        ..event
    };
    Some(FilteredChaincodeAction {
        chaincode_event: Some(event),
    })
}

fn event_of(action: TransactionAction) -> Result<Option<ChaincodeEvent>, DecodeError> {
    let Some(endorsed) = ChaincodeActionPayload::decode(action.payload)?.action else {
        return Ok(None);
    };
    let response = ProposalResponsePayload::decode(endorsed.proposal_response_payload)?;
    let action = ChaincodeAction::decode(response.extension)?;
    ChaincodeEvent::decode(action.events).map(Some)
}

#[cfg(test)]
mod tests;
