//! What the ledgers of a peer are told.

use std::path::PathBuf;

/// Settings that all ledgers of a peer share.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder that holds the ledgers.
    pub root_dir: PathBuf,
    /// Whether `GetHistoryForKey` can be answered.
    pub history_enabled: bool,
    /// Results that one query may return.
    pub total_query_limit: u32,
}

impl Config {
    /// Results of one query where nothing else is configured, as in Fabric's sample configuration.
    pub const TOTAL_QUERY_LIMIT: u32 = 100_000;

    /// The defaults for ledgers in a folder.
    #[must_use]
    pub fn new(root_dir: impl Into<PathBuf>) -> Self {
        Self {
            root_dir: root_dir.into(),
            history_enabled: true,
            total_query_limit: Self::TOTAL_QUERY_LIMIT,
        }
    }
}
