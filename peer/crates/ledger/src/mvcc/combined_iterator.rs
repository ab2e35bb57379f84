//! A range of the state as it is once the changes of the block so far are applied.

use std::cmp::Ordering;
use std::iter::Peekable;

use bytes::Bytes;
use protos::kvrwset::RangeQueryInfo;

use crate::error::StoreError;
use crate::snapshot::{Snapshot, StateRange};
use crate::state::decode_version;
use crate::update_batch::{Update, UpdateBatch};
use crate::version::Version;

type Changes<'a> = Peekable<Box<dyn Iterator<Item = (&'a Bytes, &'a Update)> + 'a>>;

/// Merges committed keys with changes; a change hides the committed key, a deletion both.
pub(super) struct CombinedIterator<'a> {
    committed: StateRange,
    next_committed: Option<(Bytes, Version)>,
    changes: Changes<'a>,
    /// The key that a query which was not exhausted ended with.
    end_key: Option<(Bytes, Option<Version>)>,
}

impl<'a> CombinedIterator<'a> {
    pub fn open(
        snapshot: &Snapshot,
        updates: &'a UpdateBatch,
        namespace: &str,
        query: &RangeQueryInfo,
    ) -> Result<Self, StoreError> {
        let (start, end) = (query.start_key.as_bytes(), query.end_key.as_bytes());
        let end_key = match (query.itr_exhausted, updates.get(namespace, "", end)) {
            (true, _) => None,
            (false, Some(update)) => Some(update.value.as_ref().map(|_| update.version)),
            (false, None) => Some(snapshot.version(namespace, end)?),
        };
        let changes: Box<dyn Iterator<Item = _>> = Box::new(updates.range(namespace, start, end));
        let mut opened = Self {
            committed: snapshot.state_range(namespace, start, end)?,
            next_committed: None,
            changes: changes.peekable(),
            end_key: end_key.map(|version| (Bytes::copy_from_slice(end), version)),
        };
        opened.advance_committed()?;
        Ok(opened)
    }

    /// The next key and its version.
    pub fn next(&mut self) -> Result<Option<(Bytes, Version)>, StoreError> {
        loop {
            let order = match (&self.next_committed, self.changes.peek()) {
                (None, None) => {
                    return Ok(self
                        .end_key
                        .take()
                        .and_then(|(key, version)| Some((key, version?))));
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((committed, _)), Some((changed, _))) => committed.cmp(changed),
            };
            if order.is_lt() {
                let next = self.next_committed.take();
                self.advance_committed()?;
                return Ok(next);
            }
            if order.is_eq() {
                self.advance_committed()?;
            }
            if let Some((key, update)) = self.changes.next()
                && update.value.is_some()
            {
                return Ok(Some((key.clone(), update.version)));
            }
        }
    }

    fn advance_committed(&mut self) -> Result<(), StoreError> {
        self.next_committed = match self.committed.next().transpose()? {
            Some((key, stored)) => {
                let (_, key) = key.value();
                Some((Bytes::copy_from_slice(key), decode_version(stored.value())?))
            }
            None => None,
        };
        Ok(())
    }
}
