//! A database file and its newest snapshot: one writer at a time, readers never wait.

use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use prost::Message;
use redb::{Builder, Database, DatabaseError, Durability, ReadableDatabase, TableError, WriteTransaction};
use tokio::sync::watch;

use crate::chain_state::ChainState;
use crate::error::StoreError;
use crate::snapshot::Snapshot;
use crate::tables::{BLOCK_HASHES, BLOCKS, CHAIN, HISTORY, STATE, TX_IDS, TX_LOCATIONS};

/// Memory that one database may use for its page cache.
const CACHE_BYTES: usize = 128 * 1024 * 1024;

/// A database of blocks, and of state and history where a ledger uses it.
pub(crate) struct Store {
    database: Database,
    writer: Mutex<()>,
    snapshot: RwLock<Arc<Snapshot>>,
    height: watch::Sender<u64>,
}

impl Store {
    /// Opens the file, creating it if there is none, and checks that it is consistent.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = open_database(path)?;
        create_tables(&database)?;
        let snapshot = Snapshot::load(&database)?;
        check(&snapshot)?;
        let (height, _) = watch::channel(snapshot.chain.height);
        Ok(Self {
            database,
            writer: Mutex::new(()),
            snapshot: RwLock::new(Arc::new(snapshot)),
            height,
        })
    }

    /// The newest height, as one consistent view.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    /// Follows the height.
    pub fn height_watch(&self) -> watch::Receiver<u64> {
        self.height.subscribe()
    }

    /// Runs `change` in one durable transaction. It sees the newest snapshot and returns the chain
    /// state to store; whoever waits for the height learns it when the change can be read.
    pub fn update<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&Snapshot, &WriteTransaction) -> Result<(ChainState, T), E>,
    ) -> Result<T, E> {
        let _writer = self.writer.lock();
        let before = self.snapshot();
        let mut transaction = self.database.begin_write().map_err(StoreError::from)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(StoreError::from)?;
        // after a kill a ledger opens at once, however large it is: without this redb walks the whole file
        transaction.set_quick_repair(true);
        let (chain, output) = change(&before, &transaction)?;
        drop(before);
        self.finish(transaction, &chain)?;
        Ok(output)
    }

    fn finish(&self, transaction: WriteTransaction, chain: &ChainState) -> Result<(), StoreError> {
        transaction
            .open_table(CHAIN)?
            .insert((), chain.encode_to_vec().as_slice())?;
        transaction.commit()?;
        let snapshot = Arc::new(Snapshot::load(&self.database)?);
        *self.snapshot.write() = snapshot;
        self.height.send_replace(chain.height);
        Ok(())
    }
}

/// Opens a database file for this process alone.
pub(crate) fn open_database(path: &Path) -> Result<Database, StoreError> {
    let opened = Builder::new().set_cache_size(CACHE_BYTES).create(path);
    opened.map_err(|source| match source {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
            path: path.to_owned(),
        },
        source => StoreError::Open {
            path: path.to_owned(),
            source: Box::new(source),
        },
    })
}

fn create_tables(database: &Database) -> Result<(), StoreError> {
    match database.begin_read()?.open_table(CHAIN) {
        Ok(_) => return Ok(()),
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let transaction = database.begin_write()?;
    transaction.open_table(CHAIN)?;
    transaction.open_table(BLOCKS)?;
    transaction.open_table(BLOCK_HASHES)?;
    transaction.open_table(TX_IDS)?;
    transaction.open_table(TX_LOCATIONS)?;
    transaction.open_table(STATE)?;
    transaction.open_table(HISTORY)?;
    transaction.commit()?;
    Ok(())
}

fn check(snapshot: &Snapshot) -> Result<(), StoreError> {
    let chain = &snapshot.chain;
    let stored = snapshot
        .last_stored_block()?
        .map_or(0, |last| last.saturating_add(1));
    if stored == chain.height && chain.state_height <= stored && chain.history_height <= stored {
        return Ok(());
    }
    Err(StoreError::Inconsistent(format!(
        "height {}, blocks {stored}, state {}, history {}",
        chain.height, chain.state_height, chain.history_height
    )))
}
