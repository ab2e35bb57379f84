//! The `ledger` section.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::typed::duration;

/// `ledger`.
#[derive(Debug, Clone, Deserialize)]
pub struct LedgerConfig {
    /// `state`.
    pub state: StateConfig,
    /// `history.enableHistoryDatabase`: whether `GetHistoryForKey` answers.
    #[serde(rename = "history", deserialize_with = "enable_history")]
    pub enable_history_database: bool,
}

/// `ledger.state`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateConfig {
    /// `stateDatabase`.
    #[serde(deserialize_with = "state_database")]
    pub state_database: StateDatabase,
    /// `totalQueryLimit`: results of one query. Without the key Fabric's code takes 10000.
    #[serde(default = "query_limit")]
    pub total_query_limit: usize,
    /// `couchDBConfig`.
    #[serde(rename = "couchDBConfig", default)]
    pub couch_db_config: CouchDbConfig,
}

/// `ledger.state.stateDatabase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateDatabase {
    /// The embedded store, whatever it is called in the file.
    Embedded,
    /// Exactly `CouchDB`.
    CouchDb,
}

/// `ledger.state.couchDBConfig`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CouchDbConfig {
    /// `couchDBAddress`: host:port.
    #[serde(rename = "couchDBAddress")]
    pub couch_db_address: String,
    /// `username`.
    pub username: String,
    /// `password`.
    pub password: String,
    /// `maxRetries`.
    pub max_retries: u32,
    /// `maxRetriesOnStartup`.
    pub max_retries_on_startup: u32,
    /// `requestTimeout`.
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    /// `queryLimit` of 1.1.
    pub query_limit: usize,
    /// `internalQueryLimit`: the page size of one request.
    pub internal_query_limit: usize,
    /// `maxBatchUpdateSize`.
    pub max_batch_update_size: usize,
    /// `warmIndexesAfterNBlocks`.
    #[serde(rename = "warmIndexesAfterNBlocks")]
    pub warm_indexes_after_n_blocks: u64,
    /// `createGlobalChangesDB`.
    #[serde(rename = "createGlobalChangesDB")]
    pub create_global_changes_db: bool,
    /// `cacheSize` in MB.
    pub cache_size: usize,
}

impl Default for CouchDbConfig {
    fn default() -> Self {
        Self {
            couch_db_address: "127.0.0.1:5984".to_owned(),
            username: String::new(),
            password: String::new(),
            max_retries: 3,
            max_retries_on_startup: 10,
            request_timeout: Duration::from_secs(35),
            query_limit: query_limit(),
            internal_query_limit: 1000,
            max_batch_update_size: 1000,
            warm_indexes_after_n_blocks: 1,
            create_global_changes_db: false,
            cache_size: 64,
        }
    }
}

const fn query_limit() -> usize {
    10_000
}

fn state_database<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StateDatabase, D::Error> {
    let couch = String::deserialize(deserializer)? == "CouchDB";
    Ok(if couch {
        StateDatabase::CouchDb
    } else {
        StateDatabase::Embedded
    })
}

fn enable_history<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct History {
        enable_history_database: bool,
    }
    Ok(History::deserialize(deserializer)?.enable_history_database)
}
