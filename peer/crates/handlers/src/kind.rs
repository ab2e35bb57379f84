//! The kinds of plugins.

use plugin_api::manifest::{KIND_AUTH_FILTER, KIND_DECORATOR, KIND_PLATFORM};
use serde::Serialize;
use std::time::Duration;

/// What a plugin instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Sees signed proposals before the endorser.
    AuthFilter,
    /// Edits chaincode input.
    Decorator,
    /// A chaincode language.
    Platform,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::AuthFilter, Self::Decorator, Self::Platform];

    pub(crate) fn bit(self) -> u32 {
        match self {
            Self::AuthFilter => KIND_AUTH_FILTER,
            Self::Decorator => KIND_DECORATOR,
            Self::Platform => KIND_PLATFORM,
        }
    }

    /// The kind in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthFilter => "auth filter",
            Self::Decorator => "decorator",
            Self::Platform => "platform",
        }
    }

    /// The key of its list in `peer.handlers`.
    pub fn key(self) -> &'static str {
        match self {
            Self::AuthFilter => "authFilters",
            Self::Decorator => "decorators",
            Self::Platform => "platforms",
        }
    }

    /// Deadline of a call whose entry does not name one.
    pub(crate) fn default_timeout(self) -> Duration {
        match self {
            Self::AuthFilter => Duration::from_millis(1000),
            Self::Decorator => Duration::from_millis(200),
            Self::Platform => Duration::from_secs(10),
        }
    }

    pub(crate) fn names(bits: u32) -> String {
        let names: Vec<&str> = Self::ALL
            .into_iter()
            .filter(|kind| bits & kind.bit() != 0)
            .map(Self::name)
            .collect();
        if names.is_empty() {
            "no known kind".to_owned()
        } else {
            names.join(", ")
        }
    }
}
