//! Contexts: one per channel and transaction, closed in every way a transaction ends.

use bytes::Bytes;

use super::*;
use crate::ledger_access::{LedgerAccessError, ResultsIterator};

struct Empty;

impl ResultsIterator for Empty {
    fn next(&mut self) -> Result<Option<Bytes>, LedgerAccessError> {
        Ok(None)
    }

    fn bookmark(&mut self) -> Result<String, LedgerAccessError> {
        Ok(String::new())
    }
}

fn context(channel: &str, tx_id: &str) -> TransactionContext {
    let params = TransactionParams {
        channel: channel.into(),
        tx_id: tx_id.into(),
        signed_proposal: None,
        simulator: None,
        history: None,
        invoked_by: None,
    };
    TransactionContext::new(Arc::new(params), "mycc".into(), false).0
}

#[test]
fn the_same_transaction_on_the_same_channel_exists_only_once() {
    let contexts = TransactionContexts::default();
    let first = contexts.create(context("ch", "tx")).unwrap();
    let error = contexts.create(context("ch", "tx")).err().unwrap();
    assert_eq!(error.to_string(), "txid: tx(ch) exists");
    assert!(contexts.create(context("other", "tx")).is_ok());
    contexts.delete(&first);
    contexts.delete(&first);
    assert!(contexts.create(context("ch", "tx")).is_ok());
}

#[test]
fn deleting_an_old_context_leaves_a_newer_one_alone() {
    let contexts = TransactionContexts::default();
    let first = contexts.create(context("ch", "tx")).unwrap();
    contexts.take("ch", "tx").unwrap();
    let second = contexts.create(context("ch", "tx")).unwrap();
    contexts.delete(&first);
    assert!(Arc::ptr_eq(&contexts.get("ch", "tx").unwrap(), &second));
}

#[test]
fn closing_all_contexts_closes_all_queries() {
    let contexts = TransactionContexts::default();
    let all = ["a", "b"].map(|tx| contexts.create(context("ch", tx)).unwrap());
    for context in &all {
        context.keep_query("q".into(), Query::plain(Box::new(Empty), 10));
        assert_eq!(context.open_queries(), Some(1));
    }
    contexts.close();
    for context in &all {
        assert_eq!(context.open_queries(), None);
        context.keep_query("late".into(), Query::plain(Box::new(Empty), 10));
        assert_eq!(context.open_queries(), None);
        assert!(context.take_query("q").is_none());
    }
    assert!(contexts.get("ch", "a").is_none());
}

#[test]
fn a_transaction_has_one_request_at_a_time() {
    let context = context("ch", "tx");
    let permit = context.begin_request().unwrap();
    assert!(context.begin_request().is_none());
    drop(permit);
    assert!(context.begin_request().is_some());
}

#[test]
fn the_number_of_open_queries_is_limited() {
    let context = context("ch", "tx");
    for number in 0..MAX_OPEN_QUERIES {
        context.check_room().unwrap();
        context.keep_query(number.to_string(), Query::plain(Box::new(Empty), 10));
    }
    assert_eq!(context.check_room(), Err(TooManyQueries));
    context.take_query("0").unwrap();
    assert_eq!(context.check_room(), Ok(()));
}

#[tokio::test]
async fn only_the_first_completion_counts() {
    let params = context("ch", "tx").params.clone();
    let (context, receiver) = TransactionContext::new(params, "mycc".into(), false);
    let message = |txid: &str| ChaincodeMessage {
        txid: txid.into(),
        ..Default::default()
    };
    context.complete(message("first"));
    context.complete(message("second"));
    assert_eq!(receiver.await.unwrap().txid, "first");
}
