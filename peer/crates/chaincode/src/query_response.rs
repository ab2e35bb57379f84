//! Query results in batches, exactly as Fabric cuts them: the prefetched record shows in the read-write
//! set, so endorsers agree only if they cut alike.

use bytes::Bytes;
use prost::Message;
use protos::peer::{QueryResponse, QueryResponseMetadata, QueryResultBytes};

use crate::ledger_access::{LedgerAccessError, ResultsIterator};

/// Records in one batch of a query without paging (Fabric's constant).
pub const BATCH_SIZE: usize = 100;

/// A query whose results chaincode has not seen to the end.
pub struct Query {
    iterator: Box<dyn ResultsIterator>,
    pending: Vec<QueryResultBytes>,
    paginated: bool,
    /// Records returned at most, over all batches.
    limit: u32,
    total: u32,
}

/// One answer to chaincode.
pub enum Batch {
    /// More records follow; the query stays open.
    More(QueryResponse),
    /// That was all; the query is over.
    Last(QueryResponse),
}

impl Query {
    /// A query that answers everything in batches.
    pub fn plain(iterator: Box<dyn ResultsIterator>, limit: u32) -> Self {
        Self {
            iterator,
            pending: Vec::new(),
            paginated: false,
            limit,
            total: 0,
        }
    }

    /// A query for one page, which is answered at once.
    pub fn paginated(iterator: Box<dyn ResultsIterator>, limit: u32) -> Self {
        Self {
            paginated: true,
            ..Self::plain(iterator, limit)
        }
    }

    /// The next batch (Fabric `BuildQueryResponse`, step by step).
    pub fn next_batch(&mut self, id: &str) -> Result<Batch, LedgerAccessError> {
        loop {
            if self.total >= self.limit {
                return Ok(Batch::Last(self.last(id)?));
            }
            let Some(record) = self.iterator.next()? else {
                return Ok(Batch::Last(self.last(id)?));
            };
            let full = !self.paginated && self.pending.len() == BATCH_SIZE;
            let batch = full.then(|| std::mem::take(&mut self.pending));
            self.pending.push(QueryResultBytes { result_bytes: record });
            self.total += 1;
            if let Some(results) = batch {
                return Ok(Batch::More(QueryResponse {
                    results,
                    has_more: true,
                    id: id.into(),
                    metadata: Bytes::new(),
                }));
            }
        }
    }

    fn last(&mut self, id: &str) -> Result<QueryResponse, LedgerAccessError> {
        let metadata = if self.paginated {
            QueryResponseMetadata {
                fetched_records_count: i32::try_from(self.total).unwrap_or(i32::MAX),
                bookmark: self.iterator.bookmark()?,
            }
            .encode_to_vec()
            .into()
        } else {
            Bytes::new()
        };
        Ok(QueryResponse {
            results: std::mem::take(&mut self.pending),
            has_more: false,
            id: id.into(),
            metadata,
        })
    }
}

#[cfg(test)]
mod tests;
