//! Filtered blocks of made-up transactions.

use protos::common::{BlockMetadataIndex, Header};
use protos::peer::ChaincodeEndorsedAction;
use protos::{new_block, set_metadata};

use super::*;

fn envelope(header_type: HeaderType, tx_id: &str, data: Bytes) -> Bytes {
    let header = ChannelHeader {
        r#type: header_type.into(),
        tx_id: tx_id.into(),
        channel_id: "ch".into(),
        ..Default::default()
    };
    let header = Header {
        channel_header: header.encode_to_vec().into(),
        ..Default::default()
    };
    let payload = Payload {
        header: Some(header),
        data,
    };
    Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    }
    .encode_to_vec()
    .into()
}

fn transaction(event: &ChaincodeEvent) -> Bytes {
    let action = ChaincodeAction {
        events: event.encode_to_vec().into(),
        ..Default::default()
    };
    let response = ProposalResponsePayload {
        extension: action.encode_to_vec().into(),
        ..Default::default()
    };
    let endorsed = ChaincodeEndorsedAction {
        proposal_response_payload: response.encode_to_vec().into(),
        ..Default::default()
    };
    let payload = ChaincodeActionPayload {
        action: Some(endorsed),
        ..Default::default()
    };
    let action = TransactionAction {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    };
    Transaction {
        actions: vec![action],
    }
    .encode_to_vec()
    .into()
}

fn event() -> ChaincodeEvent {
    ChaincodeEvent {
        chaincode_id: "mycc".into(),
        tx_id: "tx0".into(),
        event_name: "ev".into(),
        payload: "secret".into(),
    }
}

fn actions(transaction: &FilteredTransaction) -> Option<&Vec<FilteredChaincodeAction>> {
    let Some(filtered_transaction::Data::TransactionActions(actions)) = &transaction.data else {
        return None;
    };
    Some(&actions.chaincode_actions)
}

#[test]
fn events_lose_their_payload_and_other_types_have_no_actions() {
    let data = vec![
        envelope(HeaderType::EndorserTransaction, "tx0", transaction(&event())),
        envelope(
            HeaderType::EndorserTransaction,
            "tx1",
            transaction(&ChaincodeEvent::default()),
        ),
        envelope(HeaderType::Config, "", Bytes::from_static(b"config")),
    ];
    let mut block = new_block(7, Bytes::new(), data);
    set_metadata(
        &mut block,
        BlockMetadataIndex::TransactionsFilter,
        vec![0, 11, 0].into(),
    );
    let filtered = filtered_block("ch", &block);
    assert_eq!((filtered.channel_id.as_str(), filtered.number), ("ch", 7));
    let [with_event, without, config] = filtered.filtered_transactions.as_slice() else {
        panic!("three transactions, not {filtered:?}");
    };
    let expected = ChaincodeEvent {
        payload: Bytes::new(),
        ..event()
    };
    assert_eq!(
        actions(with_event).expect("actions")[0].chaincode_event,
        Some(expected)
    );
    assert_eq!(
        (with_event.txid.as_str(), with_event.tx_validation_code),
        ("tx0", 0)
    );
    assert_eq!(actions(without), Some(&Vec::new()));
    assert_eq!(without.tx_validation_code(), TxValidationCode::MvccReadConflict);
    assert_eq!((config.r#type(), &config.data), (HeaderType::Config, &None));
}

#[test]
fn one_broken_transaction_does_not_hide_the_others() {
    let garbage = Bytes::from_static(&[0xff]);
    let data = vec![
        garbage.clone(),
        envelope(HeaderType::EndorserTransaction, "tx1", garbage),
        envelope(HeaderType::EndorserTransaction, "tx2", transaction(&event())),
    ];
    let filtered = filtered_block("ch", &new_block(1, Bytes::new(), data));
    let ids: Vec<_> = filtered
        .filtered_transactions
        .iter()
        .map(|tx| tx.txid.as_str())
        .collect();
    assert_eq!(ids, ["tx1", "tx2"]);
    let codes: Vec<_> = filtered
        .filtered_transactions
        .iter()
        .map(|tx| tx.tx_validation_code())
        .collect();
    assert_eq!(
        codes,
        [TxValidationCode::NotValidated; 2],
        "a block that was never validated says so"
    );
    assert_eq!(actions(&filtered.filtered_transactions[0]), Some(&Vec::new()));
}
