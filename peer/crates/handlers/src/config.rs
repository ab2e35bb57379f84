//! `peer.handlers` of core.yaml. Fabric's own form (`name`, `library`) is a subset of it.

use serde::de::Error as _;
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
    /// Names that core.yaml files of others have for a plugin, and the plugin's own; a plugin that really has the name
    /// goes before.
    #[serde(deserialize_with = "null_is_default")]
    pub aliases: BTreeMap<String, String>,
    /// The auth filters, in the order in which they see a proposal.
    #[serde(deserialize_with = "null_is_default")]
    pub auth_filters: Vec<Entry>,
    /// The decorators, in the order in which they edit the input.
    #[serde(deserialize_with = "null_is_default")]
    pub decorators: Vec<Entry>,
    /// The language platforms.
    #[serde(deserialize_with = "null_is_default")]
    pub platforms: Vec<Entry>,
    /// Endorsement plugins, by the name that chaincode definitions spell.
    #[serde(deserialize_with = "named")]
    pub endorsers: BTreeMap<String, Entry>,
    /// Validation plugins, by the name that chaincode definitions spell.
    #[serde(deserialize_with = "named")]
    pub validators: BTreeMap<String, Entry>,
    /// Whether every entry must carry a `sha256`.
    pub require_pins: bool,
    /// Compilers whose plugins are refused: beginnings of `rustc -V`.
    pub deny_toolchains: Vec<String>,
    /// How many different library files one process loads before it refuses more.
    pub max_reloads: usize,
    /// Not a key: what the peer tells plugins beside their own configuration, by name: platforms all of it, others
    /// what begins with `peer.`.
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
            aliases: BTreeMap::new(),
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
    /// Expected SHA-256 of the library, as hex, with or without `sha256:` in front. The key without a value is a pin that
    /// nothing matches.
    #[serde(default, deserialize_with = "null_is_empty")]
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
    /// For which proposals the entry is there; all without it. For auth filters and decorators.
    #[serde(default, rename = "match", deserialize_with = "null_is_default")]
    pub applies_to: Match,
    /// Whether its word counts. For auth filters and decorators.
    #[serde(default)]
    pub mode: Mode,
    /// When repeated failures switch it off for a while, and what happens then. Not for platforms and validators.
    #[serde(default, deserialize_with = "null_is_default")]
    pub quarantine: Quarantine,
    /// Any value, handed to the plugin as JSON. That of a platform may have the key `chaincodes`, which the plugin
    /// does not see: what is said there for one chaincode goes before the rest.
    #[serde(default)]
    pub config: Value,
}

/// Conditions on a proposal; those that are given must all be met. The facts are what the client claims, as everywhere
/// before its signature has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Match {
    /// The channel; `""` is a proposal without one.
    pub channel: Option<Patterns>,
    /// The chaincode's name.
    #[serde(deserialize_with = "without_version")]
    pub chaincode: Option<Patterns>,
    /// The first argument.
    pub function: Option<Patterns>,
    /// The creator's MSP id.
    pub mspid: Option<Patterns>,
}

impl Match {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Alternatives: one text or a list of them, in which `*` stands for any text and `?` for any character. An empty list is
/// refused: the entry would be there for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(pub Vec<String>);

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = match Value::deserialize(deserializer)? {
            Value::String(one) => Some(vec![one]),
            list @ Value::Array(_) => serde_json::from_value(list).ok(),
            _ => None,
        };
        texts.filter(|texts| !texts.is_empty()).map(Self).ok_or_else(|| {
            D::Error::custom("expected a text or a list of texts, such as pay or [pay, \"trade-*\"]")
        })
    }
}

/// Refuses what no chaincode is called: an entry that silently never applies is a filter that is not there.
fn without_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Patterns>, D::Error> {
    let patterns = Option::<Patterns>::deserialize(deserializer)?;
    let versioned = |Patterns(all): &Patterns| all.iter().find(|one| one.contains(':')).cloned();
    match patterns.as_ref().and_then(versioned) {
        Some(versioned) => Err(D::Error::custom(format!(
            "expected names of chaincodes without a version, found {versioned:?}"
        ))),
        None => Ok(patterns),
    }
}

/// Whether the word of an instance counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What it says happens.
    #[default]
    Enforce,
    /// It is asked beside the request, what it says is recorded, nothing happens.
    Shadow,
}

impl Mode {
    /// As in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// When an instance that fails is switched off, and what happens then. A failure is a panic or a missed deadline; a
/// refusal is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quarantine {
    /// So many failures within the window, if they are at least half of its calls, switch it off.
    pub failures: u32,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
    /// How long it stays switched off before one call may try again, in milliseconds.
    pub open_ms: u64,
    /// What happens to requests meanwhile.
    pub policy: QuarantinePolicy,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self {
            failures: 5,
            window_ms: 30_000,
            open_ms: 10_000,
            policy: QuarantinePolicy::Deny,
        }
    }
}

/// What happens to requests whose plugin is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QuarantinePolicy {
    /// They are refused.
    Deny,
    /// They go on without it (decorators only).
    Bypass,
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

/// Entries by name. What Fabric has built in has no `library`, and stock files say nothing else of it: without
/// `executor` such a plugin runs where the call is made, as Fabric's does. One from a file runs isolated.
fn named<'de, D>(deserializer: D) -> Result<BTreeMap<String, Entry>, D::Error>
where
    D: Deserializer<'de>,
{
    let sections = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    let mut entries = BTreeMap::new();
    for (name, section) in sections {
        let unstated = section.get("executor").is_none();
        let mut entry = Entry::deserialize(section).map_err(D::Error::custom)?;
        if unstated && entry.library.as_os_str().is_empty() {
            entry.executor = Executor::Inline;
        }
        entries.insert(name, entry);
    }
    Ok(entries)
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A key whose value was forgotten, or came out empty where the file was made, must not be the same as no key.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(
        Option::<String>::deserialize(deserializer)?.unwrap_or_default(),
    ))
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
        let own = json!({"library": "/opt/own.so", "name": "Own", "timeoutMs": 5, "config": {"a": 1}});
        let config: Config =
            serde_json::from_value(json!({"endorsers": {"escc": {"name": "E"}, "own": own}})).unwrap();
        let executors = config.endorsers.values().map(|entry| entry.executor);
        assert!(executors.eq([Executor::Inline, Executor::Isolated]));
        assert_eq!(config.endorsers["own"].timeout_ms, Some(5));
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
