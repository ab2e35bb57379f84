//! A database file and its newest snapshot: one writer at a time, readers never wait.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use prost::Message;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, StorageError, TableError,
    WriteTransaction,
};
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

/// Opens a database file for this process alone, creating it if there is none.
pub(crate) fn open_database(path: &Path) -> Result<Database, StoreError> {
    let opened = create_database(path).and_then(|()| open_or_create(path));
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

fn open_or_create(path: &Path) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(CACHE_BYTES).create(path)
}

/// Makes an empty database beside where it belongs, and gives it its name when it is whole: a file whose creation was
/// cut short by a kill is one that redb never opens again.
fn create_database(path: &Path) -> Result<(), DatabaseError> {
    let failed = |error: io::Error| DatabaseError::Storage(StorageError::Io(error));
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    let unfinished = unfinished(path);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    drop(open_or_create(&unfinished)?);
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&unfinished, path))
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(failed)
}

/// Where a database is while it is made; not a longer name, since channels have names that are as long as may be.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
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
