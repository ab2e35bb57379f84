//! [`Pin`]: the hash that an entry expects of its library.

use crate::config::Entry;
use crate::load_error::LoadError;
use serde::Serialize;

/// Optional beginning of a pin, as container images have it.
const ALGORITHM: &str = "sha256:";

/// What an entry's `sha256` says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Pin {
    /// It is this file's.
    Matches,
    /// It is another file's.
    Differs,
    /// It is no SHA-256.
    Malformed,
    /// The entry has none.
    Missing,
}

impl Pin {
    /// Compares the entry's pin, with or without `sha256:` in front, to a file's hash in hex.
    pub(crate) fn of(entry: &Entry, sha256: &str) -> Self {
        let Some(pin) = entry.sha256.as_deref().map(bare) else {
            return Self::Missing;
        };
        if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self::Malformed;
        }
        if pin.eq_ignore_ascii_case(sha256) {
            Self::Matches
        } else {
            Self::Differs
        }
    }

    /// Whether a library with this hash may be loaded for the entry.
    pub(crate) fn check(entry: &Entry, sha256: &str, required: bool) -> Result<(), LoadError> {
        let stated = entry.sha256.clone().unwrap_or_default();
        match Self::of(entry, sha256) {
            Self::Matches => Ok(()),
            Self::Missing if !required => Ok(()),
            Self::Missing => Err(LoadError::Sha {
                expected: "in the entry, because requirePins is set".to_owned(),
                found: format!("none (the file has {sha256})"),
            }),
            Self::Differs => Err(LoadError::Sha {
                expected: stated,
                found: sha256.to_owned(),
            }),
            Self::Malformed => Err(LoadError::Sha {
                expected: "as 64 hexadecimal digits".to_owned(),
                found: format!("{:?} (the file has {sha256})", bounded(&stated)),
            }),
        }
    }

    /// In a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Matches => "matches",
            Self::Differs => "differs",
            Self::Malformed => "malformed",
            Self::Missing => "none",
        }
    }
}

fn bare(pin: &str) -> &str {
    match pin.split_at_checked(ALGORITHM.len()) {
        Some((algorithm, hash)) if algorithm.eq_ignore_ascii_case(ALGORITHM) => hash,
        _ => pin,
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pin: Option<&str>) -> Entry {
        Entry {
            sha256: pin.map(str::to_owned),
            ..Entry::default()
        }
    }

    #[test]
    fn a_pin_may_say_its_algorithm() {
        let hash = "0123456789abcdef".repeat(4);
        for (pin, expected) in [
            (Some(hash.clone()), Pin::Matches),
            (Some(hash.to_uppercase()), Pin::Matches),
            (Some(format!("sha256:{hash}")), Pin::Matches),
            (Some(format!("SHA256:{hash}")), Pin::Matches),
            (Some("f".repeat(64)), Pin::Differs),
            (Some(format!("sha512:{hash}")), Pin::Malformed),
            (Some(format!("{hash}0")), Pin::Malformed),
            (Some(String::new()), Pin::Malformed),
            (None, Pin::Missing),
        ] {
            assert_eq!(Pin::of(&entry(pin.as_deref()), &hash), expected, "{pin:?}");
        }
        let refused = Pin::check(&entry(Some("abc")), &hash, false)
            .unwrap_err()
            .to_string();
        assert!(refused.starts_with("expected SHA-256 as 64 hexadecimal digits, found \"abc\""));
        assert!(Pin::check(&entry(None), &hash, false).is_ok());
        assert!(Pin::check(&entry(None), &hash, true).is_err());
    }
}
