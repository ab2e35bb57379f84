//! Which chaincode is being launched and which is connected.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::MAX_REGISTERED_NAME;
use crate::handler::ChaincodeHandler;
use crate::launch_state::{LaunchFailure, LaunchState};

/// Why a chaincode may not register.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegisterError {
    /// It did not say who it is.
    #[error("error in handling register chaincode, chaincodeID name is empty")]
    EmptyName,
    /// Nobody is called like that.
    #[error(
        "error in handling register chaincode, chaincodeID name has {0} bytes, the limit is {MAX_REGISTERED_NAME}"
    )]
    LongName(usize),
    /// Another stream has that name.
    #[error("duplicate chaincodeID: {0}")]
    Duplicate(String),
    /// The peer did not launch it.
    #[error("peer will not accept external chaincode connection {0} (except in dev mode)")]
    Unsolicited(String),
}

/// There is no such handler.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("could not find handler: {0}")]
pub struct HandlerNotFound(pub String);

struct Entry {
    launch: Arc<LaunchState>,
    handler: Option<Arc<ChaincodeHandler>>,
}

/// Chaincode by the id it registers with, `name:version`.
pub struct HandlerRegistry {
    allow_unsolicited: bool,
    entries: Mutex<HashMap<String, Entry>>,
}

impl HandlerRegistry {
    /// An empty registry. Dev mode allows chaincode that the peer did not launch.
    #[must_use]
    pub fn new(allow_unsolicited: bool) -> Self {
        Self {
            allow_unsolicited,
            entries: Mutex::default(),
        }
    }

    /// The launch of a chaincode, and whether somebody had begun it already. If not, it is the caller's task.
    pub fn launching(&self, chaincode: &str) -> (Arc<LaunchState>, bool) {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(chaincode) {
            return (entry.launch.clone(), true);
        }
        let launch = Arc::new(LaunchState::default());
        let entry = Entry {
            launch: launch.clone(),
            handler: None,
        };
        entries.insert(chaincode.into(), entry);
        (launch, false)
    }

    /// The launch of a chaincode, if there is one.
    pub fn launch(&self, chaincode: &str) -> Option<Arc<LaunchState>> {
        self.entries
            .lock()
            .get(chaincode)
            .map(|entry| entry.launch.clone())
    }

    #[cfg(test)]
    pub(crate) fn is_unclaimed(&self, chaincode: &str) -> bool {
        let entries = self.entries.lock();
        entries.get(chaincode).is_none_or(|entry| entry.handler.is_none())
    }

    /// The handler of a chaincode that is ready for transactions.
    pub fn ready_handler(&self, chaincode: &str) -> Option<Arc<ChaincodeHandler>> {
        let entries = self.entries.lock();
        let entry = entries.get(chaincode)?;
        entry.handler.clone().filter(|_| entry.launch.is_ready())
    }

    /// Enters a stream that sent REGISTER.
    ///
    /// # Errors
    /// When it may not register.
    pub fn register(&self, handler: &Arc<ChaincodeHandler>) -> Result<(), RegisterError> {
        let name = handler.name();
        if name.is_empty() {
            return Err(RegisterError::EmptyName);
        }
        if name.len() > MAX_REGISTERED_NAME {
            return Err(RegisterError::LongName(name.len()));
        }
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get_mut(name) {
            if entry.handler.is_some() {
                return Err(RegisterError::Duplicate(name.into()));
            }
            entry.handler = Some(handler.clone());
            return Ok(());
        }
        if !self.allow_unsolicited {
            return Err(RegisterError::Unsolicited(name.into()));
        }
        let entry = Entry {
            launch: Arc::default(),
            handler: Some(handler.clone()),
        };
        entries.insert(name.into(), entry);
        Ok(())
    }

    /// READY has been sent. Nothing happens if the chaincode is unknown.
    pub fn ready(&self, chaincode: &str) {
        if let Some(launch) = self.launch(chaincode) {
            launch.notify(Ok(()));
        }
    }

    /// Registration has failed. Nothing happens if the chaincode is unknown.
    pub fn failed(&self, chaincode: &str, failure: LaunchFailure) {
        if let Some(launch) = self.launch(chaincode) {
            launch.notify(Err(Arc::new(failure)));
        }
    }

    /// Forgets a chaincode and closes its transactions.
    ///
    /// # Errors
    /// When it was not connected.
    pub fn deregister(&self, chaincode: &str) -> Result<(), HandlerNotFound> {
        let entry = self.entries.lock().remove(chaincode);
        let handler = entry
            .and_then(|entry| entry.handler)
            .ok_or_else(|| HandlerNotFound(chaincode.into()))?;
        handler.close();
        Ok(())
    }

    /// Forgets the chaincode of a stream that has ended, unless another stream has taken the name since.
    /// Returns its launch, which knows how the process ended.
    pub fn deregister_handler(&self, handler: &Arc<ChaincodeHandler>) -> Option<Arc<LaunchState>> {
        let mut entries = self.entries.lock();
        let entry = entries.get(handler.name())?;
        let same = entry
            .handler
            .as_ref()
            .is_some_and(|found| Arc::ptr_eq(found, handler));
        if !same {
            return None;
        }
        entries.remove(handler.name()).map(|entry| entry.launch)
    }

    /// Forgets a launch that has failed, unless another one has begun since.
    pub fn deregister_launch(&self, chaincode: &str, launch: &Arc<LaunchState>) {
        let mut entries = self.entries.lock();
        let same = entries
            .get(chaincode)
            .is_some_and(|entry| Arc::ptr_eq(&entry.launch, launch));
        let entry = if same { entries.remove(chaincode) } else { None };
        drop(entries);
        if let Some(handler) = entry.and_then(|entry| entry.handler) {
            handler.close();
        }
    }
}

#[cfg(test)]
mod tests;
