//! The ledgers of a peer: creating, opening and listing them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use protos::ChannelId;
use protos::common::Block;
use protos::peer::TxValidationCode;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::config::Config;
use crate::error::{CommitError, LedgerError, StoreError};
use crate::kv_ledger::KvLedger;
use crate::store::open_database;

/// Channel to status.
const LEDGERS: TableDefinition<'_, &str, u8> = TableDefinition::new("ledgers");

const UNDER_CONSTRUCTION: u8 = 1;
const ACTIVE: u8 = 2;

/// Longest name of a channel, as Fabric's.
const MAX_CHANNEL_NAME: usize = 249;

/// Why the ledgers cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The name is no name of a channel.
    #[error("invalid channel name [{0}]")]
    InvalidName(String),
    /// The folder or a file in it fails.
    #[error("cannot prepare {}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The list of ledgers fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such ledger.
    #[error("cannot open ledger [{0}], ledger does not exist")]
    NotFound(ChannelId),
    /// The ledger does not open.
    #[error("cannot open ledger [{channel}]")]
    Open {
        /// The channel.
        channel: ChannelId,
        /// Why not.
        #[source]
        source: LedgerError,
    },
    /// There is one already.
    #[error("ledger [{0}] already exists with state [ACTIVE]")]
    AlreadyExists(ChannelId),
    /// The genesis block is not committed.
    #[error("genesis block of ledger [{channel}] is refused")]
    Genesis {
        /// The channel.
        channel: ChannelId,
        /// Why.
        #[source]
        source: CommitError,
    },
}

/// A ledger is not created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create ledger from genesis block")]
pub struct CreateError(#[from] pub ProviderError);

/// The ledgers of a peer. A folder of ledgers belongs to one process.
pub struct LedgerProvider {
    config: Config,
    list: Database,
    open: Mutex<BTreeMap<ChannelId, Arc<KvLedger>>>,
}

impl LedgerProvider {
    /// Opens the folder, creating it if there is none, and removes ledgers whose creation did not end.
    ///
    /// # Errors
    /// When the folder is in use by another process or cannot be read or written.
    pub fn open(config: Config) -> Result<Self, ProviderError> {
        let io_error = |source| ProviderError::Io {
            path: config.root_dir.clone(),
            source,
        };
        std::fs::create_dir_all(&config.root_dir).map_err(io_error)?;
        let list = open_database(&config.root_dir.join("ledgers.list"))?;
        let provider = Self {
            config,
            list,
            open: Mutex::default(),
        };
        for channel in provider.with_status(UNDER_CONSTRUCTION)? {
            tracing::warn!(%channel, "removing a ledger that was only partly created");
            provider.remove(&channel)?;
        }
        Ok(provider)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The channels that have a ledger.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn list(&self) -> Result<Vec<ChannelId>, ProviderError> {
        Ok(self.with_status(ACTIVE)?)
    }

    /// Creates a channel's ledger with its genesis block. Blocks until it is on disk.
    ///
    /// # Errors
    /// When there is one already, or the name or the block is not fit for it.
    pub fn create(&self, channel: &ChannelId, genesis: &Block) -> Result<Arc<KvLedger>, CreateError> {
        Ok(self.try_create(channel, genesis)?)
    }

    /// Opens a channel's ledger, or returns the one that is open.
    ///
    /// # Errors
    /// When there is none or it is damaged.
    pub fn open_ledger(&self, channel: &ChannelId) -> Result<Arc<KvLedger>, ProviderError> {
        check_name(channel)?;
        let mut open = self.open.lock();
        if let Some(ledger) = open.get(channel) {
            return Ok(Arc::clone(ledger));
        }
        if self.status(channel)? != Some(ACTIVE) {
            return Err(ProviderError::NotFound(channel.clone()));
        }
        let ledger = Arc::new(self.open_file(channel)?);
        open.insert(channel.clone(), Arc::clone(&ledger));
        Ok(ledger)
    }

    fn try_create(&self, channel: &ChannelId, genesis: &Block) -> Result<Arc<KvLedger>, ProviderError> {
        check_name(channel)?;
        let mut open = self.open.lock();
        match self.status(channel)? {
            Some(ACTIVE) => return Err(ProviderError::AlreadyExists(channel.clone())),
            Some(_) => self.remove(channel)?,
            None => {}
        }
        self.refuse_unlisted_file(channel)?;
        self.set_status(channel, Some(UNDER_CONSTRUCTION))?;
        match self.build(channel, genesis) {
            Ok(ledger) => {
                open.insert(channel.clone(), Arc::clone(&ledger));
                Ok(ledger)
            }
            Err(error) => {
                self.remove(channel)?;
                Err(error)
            }
        }
    }

    fn build(&self, channel: &ChannelId, genesis: &Block) -> Result<Arc<KvLedger>, ProviderError> {
        let ledger = self.open_file(channel)?;
        let transactions = genesis.data.as_ref().map_or(0, |data| data.data.len());
        let codes = vec![TxValidationCode::Valid; transactions];
        ledger
            .commit(genesis.clone(), codes)
            .map_err(|source| ProviderError::Genesis {
                channel: channel.clone(),
                source,
            })?;
        sync_directory(&self.config.root_dir)?;
        self.set_status(channel, Some(ACTIVE))?;
        Ok(Arc::new(ledger))
    }

    fn open_file(&self, channel: &ChannelId) -> Result<KvLedger, ProviderError> {
        let opened = KvLedger::open(channel.clone(), &self.path(channel), self.config.history_enabled);
        opened.map_err(|source| ProviderError::Open {
            channel: channel.clone(),
            source,
        })
    }

    fn path(&self, channel: &ChannelId) -> PathBuf {
        self.config.root_dir.join(format!("{channel}.redb"))
    }

    fn remove(&self, channel: &ChannelId) -> Result<(), ProviderError> {
        self.remove_file(channel)?;
        Ok(self.set_status(channel, None)?)
    }

    fn remove_file(&self, channel: &ChannelId) -> Result<(), ProviderError> {
        let path = self.path(channel);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ProviderError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// A file that the list does not know may be a ledger whose list was lost: nothing to overwrite.
    fn refuse_unlisted_file(&self, channel: &ChannelId) -> Result<(), ProviderError> {
        let path = self.path(channel);
        let found = match path.try_exists() {
            Ok(false) => return Ok(()),
            Ok(true) => io::ErrorKind::AlreadyExists.into(),
            Err(error) => error,
        };
        Err(ProviderError::Io { path, source: found })
    }

    fn status(&self, channel: &ChannelId) -> Result<Option<u8>, StoreError> {
        match self.list.begin_read()?.open_table(LEDGERS) {
            Ok(ledgers) => Ok(ledgers.get(channel.as_str())?.map(|status| status.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn set_status(&self, channel: &ChannelId, status: Option<u8>) -> Result<(), StoreError> {
        let transaction = self.list.begin_write()?;
        {
            let mut ledgers = transaction.open_table(LEDGERS)?;
            match status {
                Some(status) => ledgers.insert(channel.as_str(), status)?,
                None => ledgers.remove(channel.as_str())?,
            };
        }
        Ok(transaction.commit()?)
    }

    fn with_status(&self, wanted: u8) -> Result<Vec<ChannelId>, StoreError> {
        let ledgers = match self.list.begin_read()?.open_table(LEDGERS) {
            Ok(ledgers) => ledgers,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut channels = Vec::new();
        for row in ledgers.iter()? {
            let (channel, status) = row?;
            if status.value() == wanted {
                channels.push(channel.value().into());
            }
        }
        Ok(channels)
    }
}

/// Names become file names, so nothing else may pass: `[a-z][a-z0-9.-]*`.
fn check_name(channel: &ChannelId) -> Result<(), ProviderError> {
    let name = channel.as_str();
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if starts && name.len() <= MAX_CHANNEL_NAME && name.bytes().all(legal) {
        return Ok(());
    }
    Err(ProviderError::InvalidName(
        name.chars().take(MAX_CHANNEL_NAME).collect(),
    ))
}

/// Makes new file names in a folder durable.
fn sync_directory(path: &Path) -> Result<(), ProviderError> {
    let synced = std::fs::File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|source| ProviderError::Io {
        path: path.to_owned(),
        source,
    })
}
