//! Requests with many results: ranges, rich queries, history, and what follows on them.

use bytes::Bytes;
use ledger::TxSimulator;
use prost::Message;
use protos::peer::{
    GetHistoryForKey, GetQueryResult, GetStateByRange, QueryMetadata, QueryResponse, QueryStateClose,
    QueryStateNext,
};
use uuid::Uuid;

use super::{Request, RequestError};
use crate::ledger_access;
use crate::query_response::{Batch, Query};

/// How a query is cut into pages.
struct Paging {
    page_size: i32,
    bookmark: String,
}

/// What the shim wants of paging: absent, or present but empty, is none.
fn paging(metadata: Bytes) -> Result<Option<Paging>, RequestError> {
    let metadata = QueryMetadata::decode(metadata)?;
    let wanted = metadata.page_size != 0 || !metadata.bookmark.is_empty();
    Ok(wanted.then_some(Paging {
        page_size: metadata.page_size,
        bookmark: metadata.bookmark,
    }))
}

impl Paging {
    /// Records of this page: the page size, unless it is none or beyond the total limit.
    fn limit(&self, total: u32) -> u32 {
        match u32::try_from(self.page_size) {
            Ok(size) if size > 0 => size.min(total),
            _ => total,
        }
    }
}

fn total_limit(request: &Request) -> Result<u32, RequestError> {
    let support = request.handler.support.upgrade();
    support
        .map(|support| support.config().total_query_limit)
        .ok_or(RequestError::NoLedgerContext)
}

pub(super) fn range(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    let range: GetStateByRange = request.decode()?;
    let paging = paging(range.metadata)?;
    request.no_collection(&range.collection)?;
    request.context.check_room()?;
    let total = total_limit(request)?;
    let namespace = request.namespace();
    let query = match paging {
        None => {
            let records = ledger_access::range(simulator, namespace, &range.start_key, &range.end_key)?;
            Query::plain(records, total)
        }
        Some(paging) => {
            let start = if paging.bookmark.is_empty() {
                &range.start_key
            } else {
                &paging.bookmark
            };
            let limit = paging.limit(total);
            let records = ledger_access::page(simulator, namespace, (start, &range.end_key), limit)?;
            Query::paginated(records, limit)
        }
    };
    begin(request, query)
}

pub(super) fn rich(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    let rich: GetQueryResult = request.decode()?;
    let paging = paging(rich.metadata)?;
    request.no_collection(&rich.collection)?;
    request.context.check_room()?;
    let total = total_limit(request)?;
    let namespace = request.namespace();
    let query = match paging {
        None => Query::plain(
            ledger_access::rich_query(simulator, namespace, &rich.query)?,
            total,
        ),
        Some(paging) => {
            let limit = paging.limit(total);
            let page = (paging.bookmark.as_str(), limit);
            let records = ledger_access::rich_query_page(simulator, namespace, &rich.query, page)?;
            Query::paginated(records, limit)
        }
    };
    begin(request, query)
}

pub(super) fn history(request: &Request) -> Result<Bytes, RequestError> {
    let history = request.context.params.history.clone();
    let history = history.ok_or_else(|| RequestError::refused("history database is not enabled"))?;
    let wanted: GetHistoryForKey = request.decode()?;
    request.context.check_room()?;
    let records = ledger_access::history(&history, request.namespace(), &wanted.key)?;
    begin(request, Query::plain(records, total_limit(request)?))
}

pub(super) fn next(request: &Request) -> Result<Bytes, RequestError> {
    let next: QueryStateNext = request.decode()?;
    let query = request
        .context
        .take_query(&next.id)
        .ok_or(RequestError::UnknownQuery)?;
    advance(request, next.id, query)
}

pub(super) fn close(request: &Request) -> Result<Bytes, RequestError> {
    let close: QueryStateClose = request.decode()?;
    drop(request.context.take_query(&close.id));
    let response = QueryResponse {
        id: close.id,
        ..Default::default()
    };
    Ok(response.encode_to_vec().into())
}

fn begin(request: &Request, query: Query) -> Result<Bytes, RequestError> {
    advance(request, Uuid::new_v4().to_string(), query)
}

/// The next batch; the query is kept only if there is more.
fn advance(request: &Request, id: String, mut query: Query) -> Result<Bytes, RequestError> {
    match query.next_batch(&id)? {
        Batch::Last(response) => Ok(response.encode_to_vec().into()),
        Batch::More(response) => {
            request.context.keep_query(id, query);
            Ok(response.encode_to_vec().into())
        }
    }
}
