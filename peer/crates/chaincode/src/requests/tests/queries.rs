//! Ranges, pages, rich queries and history, and what their prefetching leaves in the read-write set.

use protos::kvrwset::range_query_info::ReadsInfo;

use super::{LedgerBench, rwset};
use crate::config::MAX_OPEN_QUERIES;
use crate::test_support::{FakeLedgers, ShimAnswer};

#[tokio::test]
async fn a_range_comes_in_batches_and_prefetches_one_record() {
    let bench = LedgerBench::new();
    bench.fill(250);
    let (result, simulator) = bench
        .run(|stub| async move {
            let batches = stub.range_batches("k", "l").await?;
            let sizes: Vec<String> = batches
                .iter()
                .map(|batch| batch.results.len().to_string())
                .collect();
            assert!(batches.windows(2).all(|pair| pair[0].id == pair[1].id));
            Ok::<_, String>(sizes.join(","))
        })
        .await;
    assert_eq!(result.unwrap(), "100,100,50");
    let range = rwset(&simulator, "mycc").range_queries_info.remove(0);
    assert!(range.itr_exhausted);
    assert_eq!((range.start_key.as_str(), range.end_key.as_str()), ("k", "l"));
    assert!(matches!(range.reads_info, Some(ReadsInfo::ReadsMerkleHashes(_))));
}

#[tokio::test]
async fn a_range_that_is_not_read_on_ends_at_the_prefetched_record() {
    let bench = LedgerBench::new();
    bench.fill(250);
    let (result, simulator) = bench
        .run(|stub| async move {
            let first = stub.begin_range("k", "l").await?;
            assert!(first.has_more);
            let closed = stub.close(&first.id).await?;
            assert!(!closed.has_more && closed.id == first.id);
            // closing again, or something unknown, is no error
            stub.close(&first.id).await?;
            stub.close("unknown").await?;
            Ok::<_, String>(stub.next(&first.id).await.unwrap_err())
        })
        .await;
    assert_eq!(
        result.unwrap(),
        "QUERY_STATE_NEXT failed: transaction ID: tx: query iterator not found"
    );
    let range = rwset(&simulator, "mycc").range_queries_info.remove(0);
    assert!(!range.itr_exhausted);
    assert_eq!(range.end_key, "k0100");
}

#[tokio::test]
async fn records_carry_namespace_key_and_value() {
    let bench = LedgerBench::new();
    bench.fill(3);
    let (result, _) = bench
        .run(|stub| async move {
            let records = stub.range("k0001", "").await?;
            let show = |record: &protos::queryresult::Kv| {
                format!(
                    "{}/{}={}",
                    record.namespace,
                    record.key,
                    String::from_utf8_lossy(&record.value)
                )
            };
            Ok::<_, String>(records.iter().map(show).collect::<Vec<_>>().join(","))
        })
        .await;
    assert_eq!(result.unwrap(), "mycc/k0001=v1,mycc/k0002=v2");
}

#[tokio::test]
async fn pages_follow_each_other_by_their_bookmarks() {
    let bench = LedgerBench::new();
    bench.fill(250);
    let (result, simulator) = bench
        .run(|stub| async move {
            let (first, metadata) = stub.page(("k", "l"), 120, "").await?;
            assert_eq!((first.len(), metadata.fetched_records_count), (120, 120));
            assert_eq!(metadata.bookmark, "k0120");
            let (second, metadata) = stub.page(("k", "l"), 120, &metadata.bookmark).await?;
            assert_eq!((second[0].key.as_str(), second.len()), ("k0120", 120));
            let (third, metadata) = stub.page(("k", "l"), 120, &metadata.bookmark).await?;
            assert_eq!((third.len(), metadata.bookmark.as_str()), (10, ""));
            Ok::<_, String>(stub.put_state("k", "v").await.unwrap_err())
        })
        .await;
    let text = result.unwrap();
    assert!(
        text.contains("Transaction has already performed a paginated query"),
        "{text}"
    );
    let ranges = rwset(&simulator, "mycc").range_queries_info;
    assert_eq!(ranges.first().unwrap().end_key, "k0119");
}

#[tokio::test]
async fn rich_queries_are_not_supported_by_this_state_database() {
    let bench = LedgerBench::new();
    let (result, _) = bench
        .run(|stub| async move { stub.rich_query("{}").await.map(|_| "") })
        .await;
    assert_eq!(
        result.unwrap_err(),
        "GET_QUERY_RESULT failed: transaction ID: tx: ExecuteQuery not supported for leveldb"
    );
}

#[tokio::test]
async fn history_lists_the_changes_newest_first() {
    let bench = LedgerBench::new();
    for (tx, value) in [("tx1", "a"), ("tx2", "b"), ("tx3", "")] {
        FakeLedgers::commit(&bench.ledger, tx, |simulator| {
            simulator.set_state("mycc", "key", value.into())
        })
        .unwrap();
    }
    let (result, simulator) = bench
        .run(|stub| async move {
            let show = |change: &protos::queryresult::KeyModification| {
                let value = String::from_utf8_lossy(&change.value).into_owned();
                format!(
                    "{}:{}{}",
                    change.tx_id,
                    value,
                    if change.is_delete { "-" } else { "" }
                )
            };
            let changes = stub.history("key").await?;
            assert!(stub.history("other").await?.is_empty());
            Ok::<_, String>(changes.iter().map(show).collect::<Vec<_>>().join(","))
        })
        .await;
    assert_eq!(result.unwrap(), "tx3:-,tx2:b,tx1:a");
    assert_eq!(rwset(&simulator, "mycc"), protos::kvrwset::KvrwSet::default());
}

#[tokio::test]
async fn without_a_history_database_history_is_an_error() {
    let bench = LedgerBench::new();
    let _shim = bench
        .attach(|stub| async move { stub.history("key").await.map(|_| "") })
        .await;
    let params = crate::transaction::TransactionParams {
        history: None,
        ..bench.params()
    };
    let outcome = bench
        .dev
        .support
        .execute(std::sync::Arc::new(params), crate::bench::invoke("mycc", &[]))
        .await;
    assert_eq!(
        outcome.unwrap().response.message,
        "GET_HISTORY_FOR_KEY failed: transaction ID: tx: history database is not enabled"
    );
}

#[tokio::test]
async fn a_transaction_cannot_hoard_queries() {
    let bench = LedgerBench::new();
    bench.fill(101);
    let (result, _) = bench
        .run(|stub| async move {
            let mut last = String::new();
            for _ in 0..MAX_OPEN_QUERIES {
                last = stub.begin_range("", "").await?.id;
            }
            let refused = stub.begin_range("", "").await.unwrap_err();
            assert!(
                refused.ends_with("too many open queries in one transaction (limit 512)"),
                "{refused}"
            );
            stub.close(&last).await?;
            stub.begin_range("", "").await?;
            Ok::<_, String>("")
        })
        .await;
    result.unwrap();
}

#[tokio::test]
async fn the_next_transaction_does_not_see_the_queries_of_the_last() {
    let bench = LedgerBench::new();
    bench.fill(150);
    let kept = std::sync::Arc::new(parking_lot::Mutex::new(String::new()));
    let script = move |stub: crate::test_support::ShimStub| {
        let kept = kept.clone();
        async move {
            let id = kept.lock().clone();
            if id.is_empty() {
                let first = stub.begin_range("", "").await?;
                *kept.lock() = first.id;
                return Ok("");
            }
            stub.next(&id).await.map(|_| "")
        }
    };
    let _shim = bench.attach(script).await;
    bench.execute(crate::bench::invoke("mycc", &[])).await.0.unwrap();
    let text = bench
        .execute(crate::bench::invoke("mycc", &[]))
        .await
        .0
        .unwrap_err();
    assert!(text.ends_with("query iterator not found"), "{text}");
}

#[tokio::test]
async fn sending_the_same_query_twice_yields_two_ids() {
    let bench = LedgerBench::new();
    bench.fill(150);
    let (result, _) = bench
        .run(|stub| async move {
            let (one, two) = (stub.begin_range("", "").await?, stub.begin_range("", "").await?);
            assert_ne!(one.id, two.id);
            assert_eq!(uuid::Uuid::parse_str(&one.id).unwrap().get_version_num(), 4);
            Ok::<_, String>(ShimAnswer::success("")).map(|_| "")
        })
        .await;
    result.unwrap();
}
