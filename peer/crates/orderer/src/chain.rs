//! One channel of the orderer: its configuration, its blocks and the way into its queue.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use deliver::server::{BlockForm, BlockSource};
use ledger::{BlockStore, LedgerError};
use protos::common::{Block, Envelope};
use protos::{ChannelId, SignedData};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::block_cutter::message_size;
use crate::rejection::Rejection;
use crate::resources::Resources;

/// Messages that wait for one channel's task: a few blocks' worth.
const QUEUED_MESSAGES: usize = 2_000;

/// Bytes of the messages that wait for one channel's task; above one message of the largest size.
const QUEUED_BYTES: usize = 256 * 1024 * 1024;

/// How long a client waits for a place in the queue before it is told 503. Blocks are written within
/// milliseconds, so a queue that stays full this long is a disk that does not keep up.
const QUEUE_DEADLINE: Duration = Duration::from_secs(5);

/// A channel.
pub(crate) struct Chain {
    pub(crate) id: ChannelId,
    pub(crate) store: Arc<BlockStore>,
    resources: ArcSwap<Resources>,
    queue: mpsc::Sender<Queued>,
    queued_bytes: Arc<Semaphore>,
    serviceable: watch::Sender<bool>,
}

/// A message that passed all checks under some configuration.
#[derive(Debug)]
pub(crate) enum Message {
    /// A transaction.
    Normal(Envelope),
    /// A CONFIG or ORDERER_TRANSACTION message that this orderer made.
    Config(Envelope),
}

/// A message in the queue.
pub(crate) struct Queued {
    pub(crate) message: Message,
    /// The sequence of the configuration it was checked against.
    pub(crate) config_sequence: u64,
    /// Its share of the queue; given back when the message leaves the task.
    pub(crate) _share: OwnedSemaphorePermit,
}

impl Chain {
    /// A channel and the end of its queue, which its task takes from.
    pub(crate) fn new(
        id: ChannelId,
        store: Arc<BlockStore>,
        resources: Resources,
    ) -> (Arc<Self>, mpsc::Receiver<Queued>) {
        let (queue, receiver) = mpsc::channel(QUEUED_MESSAGES);
        let chain = Self {
            id,
            store,
            resources: ArcSwap::from_pointee(resources),
            queue,
            queued_bytes: Arc::new(Semaphore::new(QUEUED_BYTES)),
            serviceable: watch::Sender::new(true),
        };
        (Arc::new(chain), receiver)
    }

    /// The configuration in force.
    pub(crate) fn resources(&self) -> Arc<Resources> {
        self.resources.load_full()
    }

    /// Puts another configuration in force.
    pub(crate) fn reconfigure(&self, resources: Resources) {
        self.resources.store(Arc::new(resources));
    }

    /// Marks the channel as unable to order.
    pub(crate) fn fail(&self) {
        self.serviceable.send_replace(false);
    }

    /// Puts a message into the queue; from then on it counts as accepted.
    pub(crate) async fn order(&self, message: Message, config_sequence: u64) -> Result<(), Rejection> {
        if !*self.serviceable.borrow() {
            return Err(Rejection::Stopped);
        }
        let (Message::Normal(envelope) | Message::Config(envelope)) = &message;
        let bytes = message_size(envelope).min(QUEUED_BYTES as u64);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let enqueue = async {
            let share = self.queued_bytes.clone().acquire_many_owned(bytes).await.ok();
            let queued = share.map(|share| Queued {
                message,
                config_sequence,
                _share: share,
            });
            self.queue
                .send(queued.ok_or(Rejection::Stopped)?)
                .await
                .ok()
                .ok_or(Rejection::Stopped)
        };
        match tokio::time::timeout(QUEUE_DEADLINE, enqueue).await {
            Ok(enqueued) => enqueued,
            Err(_elapsed) => Err(Rejection::Overloaded(QUEUE_DEADLINE)),
        }
    }
}

impl BlockSource for Chain {
    fn height_watch(&self) -> watch::Receiver<u64> {
        self.store.height_watch()
    }

    fn block(&self, number: u64) -> Result<Option<Block>, Box<dyn Error + Send + Sync>> {
        match self.store.block_by_number(number) {
            Ok(block) => Ok(Some(block)),
            Err(LedgerError::NoSuchBlockNumber(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn check_access(
        &self,
        _form: BlockForm,
        signed: &SignedData,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let resources = self.resources();
        let policy = match resources.in_maintenance() {
            true => "/Channel/Orderer/Readers",
            false => "/Channel/Readers",
        };
        resources.evaluate(policy, signed)
    }

    fn config_sequence(&self) -> u64 {
        self.resources.load().sequence()
    }

    fn serviceable(&self) -> Option<watch::Receiver<bool>> {
        Some(self.serviceable.subscribe())
    }
}
