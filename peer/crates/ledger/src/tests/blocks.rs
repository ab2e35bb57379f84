//! Blocks, their indexes and what commits refuse.

use bytes::Bytes;
use prost::Message;
use protos::common::{Block, BlockMetadataIndex, Envelope, HeaderType, Metadata, Payload, SignatureHeader};
use protos::peer::TxValidationCode::{
    self, BadPayload, DuplicateTxid, InvalidConfigTransaction, InvalidOtherReason, NilTxaction, NotValidated,
    Valid,
};
use protos::{block_header_hash, compute_tx_id, new_block, tx_filter, wire_message};

use crate::rwset::RwSetBuilder;
use crate::test_support::{TestLedger, endorser_tx, envelope, genesis, next_block, tx_id};
use crate::{BlockStore, CommitError};

const NS: &str = "ns";

fn hash(block: &Block) -> Vec<u8> {
    block_header_hash(block.header.as_ref().unwrap()).to_vec()
}

fn refusal(test: &TestLedger, block: Block, codes: &[TxValidationCode]) -> String {
    let height = test.ledger.height();
    let error = test.ledger.commit(block, codes.to_vec()).unwrap_err();
    assert_eq!(test.ledger.height(), height);
    wire_message(&error)
}

#[test]
fn only_the_next_whole_block_is_committed() {
    let test = TestLedger::new();
    let data = vec![endorser_tx("t", Bytes::new())];
    let good = next_block(&test.ledger, data.clone());
    let previous = good.header.as_ref().unwrap().previous_hash.clone();
    let later = new_block(2, previous.clone(), data.clone());
    assert_eq!(
        refusal(&test, later, &[Valid]),
        "block number should have been 1 but was 2"
    );
    let again = new_block(0, previous, data.clone());
    assert_eq!(
        refusal(&test, again, &[Valid]),
        "block number should have been 1 but was 0"
    );
    let foreign = new_block(1, Bytes::from_static(b"x"), data);
    let expected = hex::encode(hash(&genesis()));
    assert_eq!(
        refusal(&test, foreign, &[Valid]),
        format!(
            "unexpected Previous block hash. Expected PreviousHash = [{expected}], PreviousHash referred in the latest block= [78]"
        )
    );
    let mut tampered = good.clone();
    tampered.data.as_mut().unwrap().data.push("x".into());
    assert_eq!(
        refusal(&test, tampered, &[Valid]),
        "data hash of block [1] does not match its data"
    );
    let headless = Block::default();
    assert_eq!(refusal(&test, headless, &[]), "block has no header");
    let counted = refusal(&test, good.clone(), &[]);
    assert_eq!(counted, "0 validation codes for 1 transactions");
    let unjudged = refusal(&test, good.clone(), &[NotValidated]);
    assert_eq!(unjudged, "transaction 0 has not been validated (NOT_VALIDATED)");
    test.ledger.commit(good, vec![Valid]).unwrap();
}

#[test]
fn chain_info_follows_the_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let empty = BlockStore::open(&folder.path().join("blocks")).unwrap();
    assert_eq!(empty.chain_info(), Default::default());
    let test = TestLedger::new();
    let first = hash(&genesis());
    let info = test.ledger.chain_info();
    assert_eq!(
        (info.height, info.current_block_hash.as_ref()),
        (1, first.as_slice())
    );
    assert!(info.previous_block_hash.is_empty());
    let block = test.commit_results(vec![Bytes::new()]).block;
    let test = test.reopen();
    let info = test.ledger.chain_info();
    assert_eq!(
        (info.height, info.current_block_hash.as_ref()),
        (2, hash(&block).as_slice())
    );
    assert_eq!(info.previous_block_hash, first);
}

#[test]
fn blocks_and_transactions_are_found() {
    let test = TestLedger::new();
    test.commit_results(vec![Bytes::new(), Bytes::new()]);
    let third = test.commit_results(vec![Bytes::new()]);
    let test = test.reopen();
    let ledger = &test.ledger;
    for number in 0..3 {
        let block = ledger.block_by_number(number).unwrap();
        assert_eq!(block.header.as_ref().unwrap().number, number);
        assert_eq!(ledger.block_by_hash(&hash(&block)).unwrap(), block);
        assert_eq!(
            ledger.block_bytes_by_number(number).unwrap(),
            block.encode_to_vec()
        );
    }
    assert_eq!(ledger.block_by_number(u64::MAX).unwrap(), third.block);
    assert_eq!(ledger.block_bytes_by_number(u64::MAX).unwrap(), third.bytes);
    let block = ledger.block_by_tx_id(&tx_id("1-1")).unwrap();
    assert_eq!(block.header.as_ref().unwrap().number, 1);
    let transaction = ledger.transaction_by_id(&tx_id("1-1")).unwrap();
    let envelope = transaction.transaction_envelope.unwrap().encode_to_vec();
    assert_eq!(block.data.unwrap().data[1], envelope);
    assert_eq!(transaction.validation_code, i32::from(Valid));
    assert!(ledger.tx_exists(&tx_id("2-0")).unwrap());
    assert!(!ledger.tx_exists(&tx_id("2-1")).unwrap());
}

#[test]
fn what_is_missing_is_named() {
    let test = TestLedger::new();
    let ledger = &test.ledger;
    let text = wire_message(&ledger.block_by_number(1).unwrap_err());
    assert_eq!(text, "no such block number [1] in index");
    let text = wire_message(&ledger.block_by_hash(&[0xab, 1]).unwrap_err());
    assert_eq!(text, "no such block hash [ab01] in index");
    let text = "no such transaction ID [t] in index";
    assert_eq!(
        wire_message(&ledger.block_by_tx_id(&tx_id("t")).unwrap_err()),
        text
    );
    assert_eq!(
        wire_message(&ledger.transaction_by_id(&tx_id("t")).unwrap_err()),
        text
    );
    assert_eq!(
        wire_message(&ledger.tx_validation_code(&tx_id("t")).unwrap_err()),
        text
    );
}

#[test]
fn invalid_transactions_are_stored_with_their_codes() {
    let test = TestLedger::new();
    let write = |key: &str| {
        let mut builder = RwSetBuilder::new();
        builder.add_write(NS, key, "value".into());
        builder.build().0.encode()
    };
    let transactions = vec![
        endorser_tx("good", write("a")),
        endorser_tx("refused", write("b")),
        endorser_tx("good", write("c")),
        envelope(HeaderType::EndorserTransaction, "empty", Bytes::new()),
        endorser_tx("garbled", Bytes::from_static(&[0xff])),
        Bytes::from_static(&[0xff]),
        envelope(HeaderType::Message, "message", Bytes::new()),
    ];
    let judged = vec![Valid, BadPayload, DuplicateTxid, Valid, Valid, BadPayload, Valid];
    let block = next_block(&test.ledger, transactions);
    let committed = test.ledger.commit(block, judged).unwrap();
    let codes = [
        Valid,
        BadPayload,
        DuplicateTxid,
        NilTxaction,
        InvalidOtherReason,
        BadPayload,
        Valid,
    ];
    assert_eq!(committed.codes, codes);
    let filter: Vec<i32> = tx_filter(&committed.block).into_iter().map(i32::from).collect();
    assert_eq!(filter, codes.map(i32::from));
    assert_eq!(committed.tx_ids[4].as_str(), "garbled");
    assert_eq!(committed.updated_namespaces, [NS]);
    // of transactions with one id the first counts
    assert_eq!(test.ledger.tx_validation_code(&tx_id("good")).unwrap(), Valid);
    assert_eq!(
        test.ledger.tx_validation_code(&tx_id("refused")).unwrap(),
        BadPayload
    );
    let garbled = test.ledger.transaction_by_id(&tx_id("garbled")).unwrap();
    assert_eq!(garbled.validation_code, 255);
    assert_eq!(test.get(NS, "a").unwrap(), "value");
    assert_eq!((test.get(NS, "b"), test.get(NS, "c")), (None, None));
    let again = next_block(&test.ledger, vec![endorser_tx("refused", write("b"))]);
    test.ledger.commit(again, vec![DuplicateTxid]).unwrap();
    assert_eq!(
        test.ledger.tx_validation_code(&tx_id("refused")).unwrap(),
        BadPayload
    );
}

#[test]
fn the_last_configuration_block_is_known() {
    let test = TestLedger::new();
    assert_eq!(test.ledger.last_config_block_number(), 0);
    test.commit_results(vec![Bytes::new()]);
    assert_eq!(test.ledger.last_config_block_number(), 0);
    let config = envelope(HeaderType::Config, "config", Bytes::new());
    let block = next_block(&test.ledger, vec![config]);
    assert_eq!(test.ledger.commit(block, vec![Valid]).unwrap().codes, [Valid]);
    test.commit_results(vec![Bytes::new()]);
    assert_eq!(test.ledger.last_config_block_number(), 2);
    let refused = envelope(HeaderType::Config, "refused", Bytes::new());
    let block = next_block(&test.ledger, vec![refused]);
    test.ledger.commit(block, vec![InvalidConfigTransaction]).unwrap();
    assert_eq!(test.ledger.last_config_block_number(), 2);
    assert_eq!(test.reopen().ledger.last_config_block_number(), 2);
}

#[test]
fn a_configuration_is_found_by_the_id_that_it_would_have() {
    let test = TestLedger::new();
    let signature_header = SignatureHeader {
        creator: "creator".into(),
        nonce: "nonce".into(),
    };
    let config = envelope(HeaderType::Config, "", "config".into());
    let mut payload = Payload::decode(Envelope::decode(config).unwrap().payload).unwrap();
    payload.header.as_mut().unwrap().signature_header = signature_header.encode_to_vec().into();
    let config = Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    };
    let block = next_block(&test.ledger, vec![config.encode_to_vec().into()]);
    let committed = test.ledger.commit(block, vec![Valid]).unwrap();
    assert_eq!(committed.tx_ids, [tx_id("")]);
    let found = test
        .ledger
        .transaction_by_id(&compute_tx_id(b"nonce", b"creator"));
    assert_eq!(found.unwrap().transaction_envelope, Some(config));
}

#[test]
fn commit_hashes_chain() {
    let hash_of = |block: &Block| {
        let slot = usize::try_from(i32::from(BlockMetadataIndex::CommitHash)).unwrap();
        let slot = block.metadata.as_ref().unwrap().metadata[slot].clone();
        Metadata::decode(slot).unwrap().value
    };
    let run = || {
        let test = TestLedger::new();
        assert!(hash_of(&test.ledger.block_by_number(0).unwrap()).is_empty());
        test.put(NS, &[("k", "v")]);
        let test = test.reopen();
        test.put(NS, &[("k", "")]);
        let [first, second] = [1, 2].map(|number| hash_of(&test.ledger.block_by_number(number).unwrap()));
        assert_eq!((first.len(), second.len()), (32, 32));
        assert_ne!(first, second);
        second
    };
    assert_eq!(run(), run());
}

#[test]
fn waiting_for_a_block_ends_when_it_can_be_read() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let test = TestLedger::new();
    let ledger = test.ledger.clone();
    let mut height = ledger.height_watch();
    let waiting = runtime.spawn(async move {
        height.wait_for(|height| *height > 1).await.unwrap();
        ledger.block_by_number(1).unwrap().header.unwrap().number
    });
    test.commit_results(vec![Bytes::new()]);
    assert_eq!(runtime.block_on(waiting).unwrap(), 1);
}

#[test]
fn a_block_store_keeps_blocks_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks");
    let store = BlockStore::open(&path).unwrap();
    assert_eq!((store.height(), store.last_block().unwrap()), (0, None));
    let watch = store.height_watch();
    let first = genesis();
    store.append(&first).unwrap();
    let config = envelope(HeaderType::Config, "", Bytes::new());
    let second = new_block(1, hash(&first).into(), vec![config]);
    store.append(&second).unwrap();
    let third = new_block(2, hash(&second).into(), vec!["a".into(), "b".into()]);
    store.append(&third).unwrap();
    assert!(matches!(
        store.append(&third),
        Err(CommitError::WrongNumber { expected: 3, .. })
    ));
    assert_eq!(*watch.borrow(), 3);
    drop(store);
    let store = BlockStore::open(&path).unwrap();
    assert_eq!((store.height(), store.last_config_block_number()), (3, 1));
    assert_eq!(store.last_block().unwrap(), Some(third));
    assert_eq!(store.block_by_number(1).unwrap(), second);
    assert_eq!(store.block_bytes_by_number(0).unwrap(), first.encode_to_vec());
    assert_eq!(store.block_by_hash(&hash(&first)).unwrap(), first);
}
