//! `peer.handlers` of core.yaml. Fabric's own form (`name`, `library`) is a subset of it.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The section `peer.handlers`. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Folders that plugin libraries may lie in; empty = the peer's defaults.
    #[serde(deserialize_with = "null_is_default")]
    pub plugin_dirs: Vec<PathBuf>,
    /// The auth filters, in the order in which they see a proposal.
    #[serde(deserialize_with = "null_is_default")]
    pub auth_filters: Vec<Entry>,
    /// The decorators, in the order in which they edit the input.
    #[serde(deserialize_with = "null_is_default")]
    pub decorators: Vec<Entry>,
    /// The language platforms.
    #[serde(deserialize_with = "null_is_default")]
    pub platforms: Vec<Entry>,
    /// Endorsement plugins; for now only what Fabric ships.
    #[serde(deserialize_with = "null_is_default")]
    pub endorsers: BTreeMap<String, BuiltIn>,
    /// Validation plugins; for now only what Fabric ships.
    #[serde(deserialize_with = "null_is_default")]
    pub validators: BTreeMap<String, BuiltIn>,
    /// Whether every entry must carry a `sha256`.
    pub require_pins: bool,
    /// Compilers whose plugins are refused: beginnings of `rustc -V`.
    pub deny_toolchains: Vec<String>,
    /// How many different library files one process loads before it refuses more.
    pub max_reloads: usize,
    /// Not a key: what the peer tells platforms beside their own configuration, by name.
    #[serde(skip)]
    pub facts: BTreeMap<String, String>,
}

impl Config {
    /// Entries of `denyToolchains` that every plugin's compiler begins with, and their places: lists that came
    /// apart at their blanks.
    pub(crate) fn boundless_denials(&self) -> impl Iterator<Item = (usize, &String)> {
        let denied = self.deny_toolchains.iter().enumerate();
        denied.filter(|(_, denied)| matches!(denied.trim(), "" | "rustc"))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            plugin_dirs: Vec::new(),
            auth_filters: Vec::new(),
            decorators: Vec::new(),
            platforms: Vec::new(),
            endorsers: BTreeMap::new(),
            validators: BTreeMap::new(),
            require_pins: false,
            // miscompiles abi_stable's layouts
            deny_toolchains: vec!["rustc 1.98.0".to_owned()],
            max_reloads: 200,
            facts: BTreeMap::new(),
        }
    }
}

/// One plugin instance.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The instance's unique name; without `library` also the name of the plugin to look for.
    pub name: String,
    /// A path, or a file name to look for in the plugin folders; empty = look for the plugin's name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub library: PathBuf,
    /// Expected SHA-256 of the library, as hex, with or without `sha256:` in front.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Where calls run.
    #[serde(default)]
    pub executor: Executor,
    /// Deadline of one call in milliseconds; the default depends on the kind.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// What a failed call means; the choice depends on the kind.
    #[serde(default)]
    pub on_error: Option<OnError>,
    /// Any value, handed to the plugin as JSON. That of a platform may have the key `chaincodes`, which the plugin
    /// does not see: what is said there for one chaincode goes before the rest.
    #[serde(default)]
    pub config: Value,
}

/// Where calls of an instance run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Executor {
    /// On the peer's own threads: cheapest, and a plugin that blocks harms others.
    Inline,
    /// On threads of its own.
    #[default]
    Isolated,
}

impl Executor {
    /// As in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Isolated => "isolated",
        }
    }
}

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The request is refused (auth filters, always).
    Deny,
    /// The proposal fails (decorators, platforms).
    Fail,
    /// The decorator's edits are left out.
    Skip,
}

/// An endorsement or validation entry in Fabric's form.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuiltIn {
    /// Name of the factory.
    pub name: String,
    /// Path of a library; must be empty for now.
    #[serde(default, deserialize_with = "null_is_default")]
    pub library: String,
}

/// What `endorsers` and `validators` may contain: plugin name, factory name (Fabric's sampleconfig).
pub(crate) const BUILT_IN_ENDORSERS: (&str, &str) = ("escc", "DefaultEndorsement");
pub(crate) const BUILT_IN_VALIDATORS: (&str, &str) = ("vscc", "DefaultValidation");

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fabrics_own_section_is_accepted() {
        let config: Config = serde_json::from_value(json!({
            "authFilters": [{"name": "A", "library": null}, {"name": "B", "library": ""}],
            "decorators": [{"name": "C", "library": "/opt/lib/decorator.so"}],
            "endorsers": {"escc": {"name": "DefaultEndorsement", "library": null}},
            "validators": {"vscc": {"name": "DefaultValidation", "library": ""}},
        }))
        .unwrap();
        assert_eq!(config.auth_filters.len(), 2);
        assert_eq!(
            config.decorators[0].library,
            PathBuf::from("/opt/lib/decorator.so")
        );
        assert_eq!(config.decorators[0].executor, Executor::Isolated);
        assert_eq!(config.max_reloads, 200);
    }

    #[test]
    fn unknown_keys_are_errors_on_every_level() {
        for wrong in [
            json!({"authFilter": []}),
            json!({"authFilters": [{"name": "A", "libary": "x"}]}),
            json!({"endorsers": {"escc": {"name": "A", "lib": "x"}}}),
            json!({"authFilters": [{"library": "x.so"}]}),
            json!({"authFilters": [{"name": "A", "executor": "thread"}]}),
        ] {
            assert!(
                serde_json::from_value::<Config>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
    }
}
