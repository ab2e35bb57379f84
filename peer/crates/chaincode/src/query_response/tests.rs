//! The table of the specification, and how many records each step pulls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

struct Numbers {
    left: usize,
    fails_at: Option<usize>,
    pulled: Arc<AtomicUsize>,
}

impl ResultsIterator for Numbers {
    fn next(&mut self) -> Result<Option<Bytes>, LedgerAccessError> {
        if self.fails_at == Some(self.left) {
            return Err(LedgerAccessError::Simulation(ledger::SimulationError::Done));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.pulled.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Bytes::from_static(b"record")))
    }

    fn bookmark(&mut self) -> Result<String, LedgerAccessError> {
        Ok("next".into())
    }
}

fn numbers(count: usize) -> (Box<dyn ResultsIterator>, Arc<AtomicUsize>) {
    let pulled = Arc::new(AtomicUsize::new(0));
    let iterator = Numbers {
        left: count,
        fails_at: None,
        pulled: pulled.clone(),
    };
    (Box::new(iterator), pulled)
}

/// Record counts of the batches.
fn batches(query: &mut Query) -> Vec<usize> {
    let mut counts = Vec::new();
    loop {
        match query.next_batch("id").unwrap() {
            Batch::More(response) => {
                assert!(response.has_more);
                assert_eq!(response.id, "id");
                counts.push(response.results.len());
            }
            Batch::Last(response) => {
                assert!(!response.has_more);
                counts.push(response.results.len());
                return counts;
            }
        }
    }
}

#[test]
fn batches_are_cut_as_the_table_says() {
    let table: &[(&[usize], usize)] = &[
        (&[0, 1, 10, 98, 99, 100], 0),
        (&[101, 102, 150, 200], 1),
        (&[201], 2),
        (&[998, 999, 1000], 9),
        (&[1001, 1002], 10),
    ];
    for (counts, more) in table {
        for count in *counts {
            let got = batches(&mut Query::plain(numbers(*count).0, 10_000));
            assert_eq!(got.len() - 1, *more, "{count} records");
            assert_eq!(got.iter().sum::<usize>(), *count);
            assert!(got.iter().take(*more).all(|batch| *batch == 100));
        }
    }
}

#[test]
fn exactly_one_record_is_fetched_past_a_full_batch() {
    let (iterator, pulled) = numbers(300);
    let mut query = Query::plain(iterator, 10_000);
    assert!(matches!(query.next_batch("id"), Ok(Batch::More(_))));
    assert_eq!(pulled.load(Ordering::SeqCst), 101);
    assert!(matches!(query.next_batch("id"), Ok(Batch::More(_))));
    assert_eq!(pulled.load(Ordering::SeqCst), 201);
}

#[test]
fn the_total_limit_ends_the_result_without_another_fetch() {
    let (iterator, pulled) = numbers(20_000);
    let got = batches(&mut Query::plain(iterator, 10_000));
    assert_eq!(got.iter().sum::<usize>(), 10_000);
    assert_eq!(pulled.load(Ordering::SeqCst), 10_000);
}

#[test]
fn a_page_comes_in_one_answer_and_fetches_nothing_beyond_it() {
    let (iterator, pulled) = numbers(500);
    let mut query = Query::paginated(iterator, 250);
    let Ok(Batch::Last(response)) = query.next_batch("id") else {
        panic!("a page is the last batch")
    };
    assert_eq!(response.results.len(), 250);
    assert_eq!(pulled.load(Ordering::SeqCst), 250);
    let metadata = QueryResponseMetadata::decode(response.metadata).unwrap();
    assert_eq!(metadata.fetched_records_count, 250);
    assert_eq!(metadata.bookmark, "next");
}

#[test]
fn a_page_of_ten_out_of_twenty_reports_ten() {
    let Ok(Batch::Last(response)) = Query::paginated(numbers(20).0, 10).next_batch("id") else {
        panic!("a page is the last batch")
    };
    let metadata = QueryResponseMetadata::decode(response.metadata).unwrap();
    assert_eq!((response.results.len(), metadata.fetched_records_count), (10, 10));
}

#[test]
fn a_failing_iterator_fails_the_batch() {
    let iterator = Numbers {
        left: 150,
        fails_at: Some(40),
        pulled: Arc::default(),
    };
    let mut query = Query::plain(Box::new(iterator), 10_000);
    assert!(matches!(query.next_batch("id"), Ok(Batch::More(_))));
    assert!(query.next_batch("id").is_err());
}
