//! The kinds of plugins.

use plugin_api::manifest::{
    KIND_AUTH_FILTER, KIND_DECORATOR, KIND_ENDORSEMENT, KIND_PLATFORM, KIND_VALIDATION,
};
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
    /// Endorses what chaincode came to.
    Endorsement,
    /// Judges committed transactions.
    Validation,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::AuthFilter,
        Self::Decorator,
        Self::Platform,
        Self::Endorsement,
        Self::Validation,
    ];

    pub(crate) fn bit(self) -> u32 {
        match self {
            Self::AuthFilter => KIND_AUTH_FILTER,
            Self::Decorator => KIND_DECORATOR,
            Self::Platform => KIND_PLATFORM,
            Self::Endorsement => KIND_ENDORSEMENT,
            Self::Validation => KIND_VALIDATION,
        }
    }

    /// The kind in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthFilter => "auth filter",
            Self::Decorator => "decorator",
            Self::Platform => "platform",
            Self::Endorsement => "endorsement plugin",
            Self::Validation => "validation plugin",
        }
    }

    /// The key of its list (endorsement and validation plugins: map) in `peer.handlers`.
    pub fn key(self) -> &'static str {
        match self {
            Self::AuthFilter => "authFilters",
            Self::Decorator => "decorators",
            Self::Platform => "platforms",
            Self::Endorsement => "endorsers",
            Self::Validation => "validators",
        }
    }

    /// Deadline of a call whose entry does not name one.
    pub(crate) fn default_timeout(self) -> Duration {
        match self {
            Self::AuthFilter => Duration::from_millis(1000),
            Self::Decorator => Duration::from_millis(200),
            Self::Platform => Duration::from_secs(10),
            Self::Endorsement => Duration::from_secs(2),
            // a passed deadline stops the channel
            Self::Validation => Duration::from_secs(60),
        }
    }

    /// Whether its entries are a map: below the names that chaincode definitions spell.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, Self::Endorsement | Self::Validation)
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
