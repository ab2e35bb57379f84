//! The channels of this orderer: opened at start, created by transactions, joined by genesis block.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use deliver::server::{BlockSource, Sources};
use ledger::BlockStore;
use msp::LocalSigner;
use parking_lot::RwLock;
use prost::Message;
use protos::common::{Block, Envelope};
use protos::{BlockError, ChannelId, EnvelopeError, block_data_hash, last_config_index, new_block};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::block_cutter::BlockCutter;
use crate::block_writer::BlockWriter;
use crate::chain::Chain;
use crate::chain_task::ChainTask;
use crate::processor::Processor;
use crate::resources::{Resources, ResourcesError};

/// The folder of the channels, below the orderer's own.
const CHAINS_FOLDER: &str = "chains";

/// The file of a channel's blocks, in the channel's folder.
const BLOCKS_FILE: &str = "blocks.redb";

/// The orderer's settings.
#[derive(Clone, Debug)]
pub struct OrdererSettings {
    /// Where blocks are kept (`orderer.fileSystemPath`).
    pub file_system_path: PathBuf,
    /// How far a Deliver request's timestamp may be from this machine's clock.
    pub time_window: Duration,
    /// Whether clients must show a TLS certificate, which their Deliver requests are then bound to.
    pub mutual_tls: bool,
    /// Accepts messages of expired identities, for reviving a network whose certificates have run out.
    pub no_expiration_checks: bool,
}

/// Why a channel cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenChainError {
    /// The folder.
    #[error("orderer's folder {} is unusable", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The blocks.
    #[error("blocks of channel {channel} cannot be read")]
    Store {
        /// The channel.
        channel: String,
        /// What the store said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The last blocks do not lead to a configuration.
    #[error("channel {channel} has no configuration block")]
    NoConfig {
        /// The channel.
        channel: String,
        /// What is wrong with the last block.
        #[source]
        source: BlockError,
    },
    /// The configuration.
    #[error("configuration of channel {channel} is unusable")]
    Config {
        /// The channel.
        channel: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Two channels with consortiums.
    #[error("there appear to be two system channels {0} and {1}")]
    TwoSystemChannels(ChannelId, ChannelId),
}

/// Why a channel is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It exists.
    #[error("channel {0} already exists")]
    Exists(ChannelId),
    /// The block is not the first of a channel.
    #[error("join block is not a genesis block")]
    NotGenesis,
    /// The transaction does not unpack.
    #[error("configuration transaction is malformed")]
    Malformed(#[source] EnvelopeError),
    /// The configuration is refused.
    #[error("configuration is unusable")]
    Config(#[source] Box<dyn Error + Send + Sync>),
    /// The channel cannot be written or opened.
    #[error(transparent)]
    Open(#[from] OpenChainError),
}

/// All channels. Methods that make or open channels block.
pub(crate) struct Registrar {
    settings: OrdererSettings,
    signer: Arc<LocalSigner>,
    chains: RwLock<Chains>,
    /// One creation at a time: looking whether a channel exists and making it belong together.
    creating: parking_lot::Mutex<()>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    runtime: tokio::runtime::Handle,
}

#[derive(Default)]
struct Chains {
    by_id: BTreeMap<ChannelId, Arc<Chain>>,
    system: Option<Arc<Chain>>,
}

impl Registrar {
    /// Opens all channels below the folder and starts ordering on them.
    pub(crate) fn open(
        settings: OrdererSettings,
        signer: Arc<LocalSigner>,
        runtime: tokio::runtime::Handle,
    ) -> Result<Arc<Self>, OpenChainError> {
        let folder = settings.file_system_path.join(CHAINS_FOLDER);
        let registrar = Arc::new(Self {
            settings,
            signer,
            chains: RwLock::default(),
            creating: parking_lot::Mutex::new(()),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            runtime,
        });
        for name in subfolders(&folder).map_err(|source| OpenChainError::Folder { path: folder, source })? {
            let store = registrar.open_store(&name)?;
            if store.height() == 0 {
                // a crash between making the folder and writing block 0: the channel was never there
                warn!(channel = name, "channel has no block, it is passed over");
                continue;
            }
            registrar.start(&name, store)?;
        }
        Ok(registrar)
    }

    /// Whether there is a channel of that name.
    pub(crate) fn contains(&self, channel: &str) -> bool {
        self.chains.read().by_id.contains_key(channel)
    }

    /// The channel of that name.
    pub(crate) fn chain(&self, channel: &str) -> Option<Arc<Chain>> {
        self.chains.read().by_id.get(channel).cloned()
    }

    /// The system channel, from which channels are created.
    pub(crate) fn system_channel(&self) -> Option<Arc<Chain>> {
        self.chains.read().system.clone()
    }

    /// The names of all channels.
    pub(crate) fn channels(&self) -> Vec<ChannelId> {
        self.chains.read().by_id.keys().cloned().collect()
    }

    /// What processes the messages of a channel.
    pub(crate) fn processor<'a>(&'a self, chain: &'a Chain) -> Processor<'a> {
        Processor {
            chain,
            signer: &self.signer,
            check_expiration: !self.settings.no_expiration_checks,
            channel_count: self.chains.read().by_id.len(),
        }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &OrdererSettings {
        &self.settings
    }

    /// Ends ordering and streams when cancelled.
    pub(crate) fn shutdown_token(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Ends ordering; returns when every accepted message is in a block.
    pub(crate) async fn shutdown(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Creates a channel whose genesis block holds that CONFIG transaction.
    pub(crate) fn create_chain(self: &Arc<Self>, config: &Envelope) -> Result<ChannelId, CreateError> {
        let data = vec![config.encode_to_vec().into()];
        self.join(&new_block(0, bytes::Bytes::new(), data))
    }

    /// Creates a channel from its genesis block.
    pub(crate) fn join(self: &Arc<Self>, genesis: &Block) -> Result<ChannelId, CreateError> {
        check_genesis(genesis)?;
        let resources =
            Resources::from_config_block(genesis).map_err(|error| CreateError::Config(Box::new(error)))?;
        let id = resources.channel().clone();
        let _creating = self.creating.lock();
        if self.contains(id.as_str()) {
            return Err(CreateError::Exists(id));
        }
        // what is on disk is opened at every start, so the check comes before anything is written
        if let Some(other) = self.system_channel().filter(|_| resources.is_system()) {
            return Err(OpenChainError::TwoSystemChannels(other.id.clone(), id).into());
        }
        let store = self.open_store(id.as_str())?;
        if store.height() == 0 {
            store
                .append(genesis)
                .map_err(|source| store_error(id.as_str(), source))?;
            self.sync_folders(id.as_str())?;
        }
        self.start(id.as_str(), store)?;
        Ok(id)
    }

    /// Makes the names of a new channel's folder and file durable.
    fn sync_folders(&self, channel: &str) -> Result<(), OpenChainError> {
        let root = &self.settings.file_system_path;
        let chains = root.join(CHAINS_FOLDER);
        for path in [chains.join(channel), chains, root.clone()] {
            let synced = fs::File::open(&path).and_then(|folder| folder.sync_all());
            synced.map_err(|source| OpenChainError::Folder { path, source })?;
        }
        Ok(())
    }

    fn open_store(&self, channel: &str) -> Result<Arc<BlockStore>, OpenChainError> {
        let path = self.settings.file_system_path.join(CHAINS_FOLDER).join(channel);
        fs::create_dir_all(&path).map_err(|source| OpenChainError::Folder {
            path: path.clone(),
            source,
        })?;
        BlockStore::open(&path.join(BLOCKS_FILE))
            .map(Arc::new)
            .map_err(|source| store_error(channel, source))
    }

    /// Makes a channel of the blocks in a store and starts its task.
    fn start(self: &Arc<Self>, channel: &str, store: Arc<BlockStore>) -> Result<(), OpenChainError> {
        let (writer, resources) = tip(channel, &store)?;
        let id = resources.channel().clone();
        let is_system = resources.is_system();
        let height = store.height();
        let (chain, queue) = Chain::new(id.clone(), store, resources);
        {
            let mut chains = self.chains.write();
            if is_system {
                if let Some(other) = &chains.system {
                    return Err(OpenChainError::TwoSystemChannels(other.id.clone(), id));
                }
                chains.system = Some(chain.clone());
            }
            chains.by_id.insert(id.clone(), chain.clone());
        }
        let task = ChainTask {
            chain,
            registrar: Arc::downgrade(self),
            signer: self.signer.clone(),
            writer,
            queue,
            cutter: BlockCutter::default(),
            cut_at: None,
        };
        self.tasks
            .spawn_on(task.run(self.shutdown.clone()), &self.runtime);
        info!(channel = %id, height, system = is_system, "ordering channel");
        Ok(())
    }
}

impl Sources for Registrar {
    fn source(&self, channel: &str) -> Option<Arc<dyn BlockSource>> {
        self.chain(channel).map(|chain| chain as Arc<dyn BlockSource>)
    }
}

/// The end of a channel's blocks and the configuration that holds there.
fn tip(channel: &str, store: &BlockStore) -> Result<(BlockWriter, Resources), OpenChainError> {
    let no_config = |source| OpenChainError::NoConfig {
        channel: channel.to_owned(),
        source,
    };
    let read = |number| {
        store
            .block_by_number(number)
            .map_err(|source| store_error(channel, source))
    };
    let last = read(store.height().saturating_sub(1))?;
    let config_number = last_config_index(&last).map_err(no_config)?;
    let writer = BlockWriter::after(&last).map_err(no_config)?;
    let resources = Resources::from_config_block(&read(config_number)?);
    let resources = resources.map_err(|source: ResourcesError| OpenChainError::Config {
        channel: channel.to_owned(),
        source: Box::new(source),
    })?;
    Ok((writer, resources))
}

fn check_genesis(block: &Block) -> Result<(), CreateError> {
    let header = block.header.as_ref().ok_or(CreateError::NotGenesis)?;
    let data = block.data.as_ref().ok_or(CreateError::NotGenesis)?;
    let is_genesis = header.number == 0
        && header.previous_hash.is_empty()
        && header.data_hash == block_data_hash(&data.data).as_slice();
    if is_genesis {
        Ok(())
    } else {
        Err(CreateError::NotGenesis)
    }
}

fn store_error(channel: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> OpenChainError {
    OpenChainError::Store {
        channel: channel.to_owned(),
        source: source.into(),
    }
}

/// The names of the folders in a folder, which is made if need be.
fn subfolders(folder: &Path) -> io::Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}
