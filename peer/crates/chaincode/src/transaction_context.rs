//! The transactions that run on one stream, and what each of them has open.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use protos::peer::ChaincodeMessage;
use protos::{ChannelId, TxId};
use tokio::sync::{Semaphore, oneshot};

use crate::config::MAX_OPEN_QUERIES;
use crate::query_response::Query;
use crate::transaction::TransactionParams;

/// A transaction with this id runs on the stream already, for instance because the chaincode called itself.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("txid: {tx_id}({channel}) exists")]
pub struct ContextExists {
    tx_id: TxId,
    channel: ChannelId,
}

/// More queries are open than a transaction may have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("too many open queries in one transaction (limit {MAX_OPEN_QUERIES})")]
pub struct TooManyQueries;

/// One transaction on one stream.
pub struct TransactionContext {
    /// The transaction.
    pub params: Arc<TransactionParams>,
    /// The namespace of its reads and writes: the name of the chaincode.
    pub namespace: Arc<str>,
    /// Whether INIT runs, where private data is banned.
    pub is_init: bool,
    /// One permit: a transaction asks for one thing at a time.
    busy: Arc<Semaphore>,
    completion: Mutex<Option<oneshot::Sender<ChaincodeMessage>>>,
    /// None once the transaction is over.
    queries: Mutex<Option<HashMap<String, Query>>>,
}

impl TransactionContext {
    /// A context, and where its completion will arrive.
    pub fn new(
        params: Arc<TransactionParams>,
        namespace: Arc<str>,
        is_init: bool,
    ) -> (Self, oneshot::Receiver<ChaincodeMessage>) {
        let (sender, receiver) = oneshot::channel();
        let context = Self {
            params,
            namespace,
            is_init,
            busy: Arc::new(Semaphore::new(1)),
            completion: Mutex::new(Some(sender)),
            queries: Mutex::new(Some(HashMap::new())),
        };
        (context, receiver)
    }

    /// Marks a request as active until the permit is dropped; none if one is active already.
    pub fn begin_request(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        self.busy.clone().try_acquire_owned().ok()
    }

    /// Waits until no request is active, so that nothing touches the simulator any more.
    pub async fn quiesce(&self) {
        // the semaphore is never closed: an error cannot happen and would mean the same
        drop(self.busy.acquire().await);
    }

    /// Hands the final message to whoever waits. Only the first one counts.
    pub fn complete(&self, message: ChaincodeMessage) {
        let waiting = self.completion.lock().take();
        if let Some(waiting) = waiting {
            // nobody waits after a timeout: the late answer is dropped
            drop(waiting.send(message));
        }
    }

    /// Takes a query out to work on it.
    pub fn take_query(&self, id: &str) -> Option<Query> {
        self.queries.lock().as_mut()?.remove(id)
    }

    /// Whether one more query may be opened.
    pub fn check_room(&self) -> Result<(), TooManyQueries> {
        let queries = self.queries.lock();
        let open = queries.as_ref().map_or(0, HashMap::len);
        if open < MAX_OPEN_QUERIES {
            Ok(())
        } else {
            Err(TooManyQueries)
        }
    }

    /// Keeps a query for later batches; it is closed instead if the transaction is over.
    pub fn keep_query(&self, id: String, query: Query) {
        if let Some(queries) = self.queries.lock().as_mut() {
            queries.insert(id, query);
        }
    }

    /// Closes all queries and lets no new one in.
    pub fn close(&self) {
        let queries = self.queries.lock().take();
        drop(queries);
    }

    #[cfg(test)]
    fn open_queries(&self) -> Option<usize> {
        self.queries.lock().as_ref().map(HashMap::len)
    }
}

/// All transactions of one stream. The key is channel and transaction id.
#[derive(Default)]
pub struct TransactionContexts {
    contexts: Mutex<HashMap<String, Arc<TransactionContext>>>,
}

fn key(channel: &str, tx_id: &str) -> String {
    [channel, "\0", tx_id].concat()
}

impl TransactionContexts {
    /// Enters a transaction.
    pub fn create(&self, context: TransactionContext) -> Result<Arc<TransactionContext>, ContextExists> {
        let params = &context.params;
        let key = key(params.channel.as_str(), params.tx_id.as_str());
        let mut contexts = self.contexts.lock();
        if contexts.contains_key(&key) {
            return Err(ContextExists {
                tx_id: params.tx_id.clone(),
                channel: params.channel.clone(),
            });
        }
        let context = Arc::new(context);
        contexts.insert(key, context.clone());
        Ok(context)
    }

    /// A running transaction.
    pub fn get(&self, channel: &str, tx_id: &str) -> Option<Arc<TransactionContext>> {
        self.contexts.lock().get(&key(channel, tx_id)).cloned()
    }

    /// Takes a transaction out: it has completed.
    pub fn take(&self, channel: &str, tx_id: &str) -> Option<Arc<TransactionContext>> {
        self.contexts.lock().remove(&key(channel, tx_id))
    }

    /// Takes out this very transaction, if it is still there, and closes it.
    pub fn delete(&self, context: &Arc<TransactionContext>) {
        let params = &context.params;
        let key = key(params.channel.as_str(), params.tx_id.as_str());
        let mut contexts = self.contexts.lock();
        if contexts
            .get(&key)
            .is_some_and(|found| Arc::ptr_eq(found, context))
        {
            contexts.remove(&key);
        }
        drop(contexts);
        context.close();
    }

    /// Closes everything: the stream has ended.
    pub fn close(&self) {
        let contexts = std::mem::take(&mut *self.contexts.lock());
        for context in contexts.into_values() {
            context.close();
        }
    }
}

#[cfg(test)]
mod tests;
