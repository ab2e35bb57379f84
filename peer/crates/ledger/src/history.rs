//! Who wrote a key: the index of writes, and the values read back from the blocks.

use std::sync::Arc;

use protos::common::HeaderType;
use protos::peer::TxValidationCode;
use protos::queryresult::KeyModification;
use protos::tx_filter;
use redb::{OwnedRange, WriteTransaction};

use crate::block_index::code_byte;
use crate::chain_state::ChainState;
use crate::error::{LedgerError, StoreError};
use crate::rwset::{TxRwSet, deletes};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::tables::{HISTORY, HistoryKey};
use crate::transaction::BlockTx;

/// Blocks that one transaction adds to a history that lags behind.
const CATCH_UP_BLOCKS: u64 = 500;

/// Adds the writes of a block's valid endorser transactions.
pub(crate) fn write<'a>(
    transaction: &WriteTransaction,
    block: u64,
    rwsets: impl Iterator<Item = (u64, &'a TxRwSet)>,
) -> Result<(), StoreError> {
    let mut history = transaction.open_table(HISTORY)?;
    for (index, rwset) in rwsets {
        for set in &rwset.namespaces {
            for write in &set.kv.writes {
                history.insert((set.namespace.as_str(), write.key.as_str(), block, index), ())?;
            }
        }
    }
    Ok(())
}

/// Adds the blocks that were committed while the history was off.
pub(crate) fn catch_up(store: &Store) -> Result<(), LedgerError> {
    loop {
        let chain = store.snapshot().chain.clone();
        if chain.history_height >= chain.height {
            return Ok(());
        }
        tracing::info!(
            from = chain.history_height,
            to = chain.height,
            "history catches up"
        );
        store.update(|before, transaction| {
            let first = before.chain.history_height;
            let end = before.chain.height.min(first.saturating_add(CATCH_UP_BLOCKS));
            for number in first..end {
                let rwsets = valid_rwsets(before, number)?;
                write(
                    transaction,
                    number,
                    rwsets.iter().map(|(index, rwset)| (*index, rwset)),
                )?;
            }
            let chain = ChainState {
                history_height: end,
                ..before.chain.clone()
            };
            Ok::<_, LedgerError>((chain, ()))
        })?;
    }
}

fn valid_rwsets(snapshot: &Snapshot, number: u64) -> Result<Vec<(u64, TxRwSet)>, LedgerError> {
    let block = snapshot.block(number)?;
    let filter = tx_filter(&block);
    let valid = code_byte(TxValidationCode::Valid);
    let envelopes = block.data.unwrap_or_default().data;
    let txs = (0u64..).zip(envelopes.into_iter().zip(filter));
    let valid = txs.filter(|(_, (_, code))| *code == valid);
    let rwsets = valid.filter_map(|(index, (envelope, _))| {
        let tx = BlockTx::read(envelope);
        let endorsed = tx.is(HeaderType::EndorserTransaction);
        endorsed.then(|| tx.rwset().ok().map(|rwset| (index, rwset)))?
    });
    Ok(rwsets.collect())
}

/// History queries at one height.
pub struct HistoryQueryExecutor {
    snapshot: Arc<Snapshot>,
}

impl HistoryQueryExecutor {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot }
    }

    /// The writes to a key, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get_history_for_key(&self, namespace: &str, key: &str) -> Result<HistoryIterator, LedgerError> {
        Ok(HistoryIterator {
            writes: Some(self.snapshot.history(namespace, key)?),
            snapshot: Arc::clone(&self.snapshot),
            namespace: namespace.to_owned(),
            key: key.to_owned(),
        })
    }
}

/// The writes to a key, newest first, read one by one.
pub struct HistoryIterator {
    writes: Option<OwnedRange<HistoryKey, ()>>,
    snapshot: Arc<Snapshot>,
    namespace: String,
    key: String,
}

impl HistoryIterator {
    /// The next older write; none at the end or after [`Self::close`].
    ///
    /// # Errors
    /// When the database fails.
    #[expect(
        clippy::should_implement_trait,
        reason = "fallible, and named as Fabric's ResultsIterator"
    )]
    pub fn next(&mut self) -> Result<Option<KeyModification>, LedgerError> {
        let Some(write) = self.writes.as_mut().and_then(DoubleEndedIterator::next_back) else {
            return Ok(None);
        };
        let (place, _) = write.map_err(StoreError::from)?;
        let (_, _, block, index) = place.value();
        Ok(Some(self.modification(block, index)?))
    }

    /// Releases the iterator.
    pub fn close(&mut self) {
        self.writes = None;
    }

    fn modification(&self, block: u64, index: u64) -> Result<KeyModification, StoreError> {
        let tx = BlockTx::read(self.snapshot.envelope_bytes(block, index)?);
        let rwset = tx.rwset().unwrap_or_default();
        let set = rwset
            .namespaces
            .into_iter()
            .find(|set| set.namespace == self.namespace);
        let mut writes = set.into_iter().flat_map(|set| set.kv.writes);
        let write = writes.find(|write| write.key == self.key).ok_or_else(|| {
            StoreError::Inconsistent(format!(
                "no namespace or key is found for namespace {} and key {} with decoded blockNum {block} and tranNum {index}",
                self.namespace, self.key
            ))
        })?;
        Ok(KeyModification {
            tx_id: tx.header.tx_id,
            is_delete: deletes(&write),
            value: write.value,
            timestamp: tx.header.timestamp,
        })
    }
}
