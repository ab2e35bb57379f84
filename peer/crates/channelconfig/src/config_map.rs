//! A configuration as a flat map from path to element, which is how updates are judged.

use std::collections::BTreeMap;

use protos::common::{ConfigGroup, ConfigPolicy, ConfigValue};

use crate::keys;

/// Deepest nesting of groups; real channels have four levels.
const MAX_DEPTH: usize = 16;

/// Most groups, values and policies in one configuration; a hundred organisations have some thousand.
const MAX_ELEMENTS: usize = 50_000;

/// Longest name of a channel or an element.
const MAX_NAME: usize = 249;

/// A configuration larger or deeper than any honest one, or with a name that is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigMapError {
    /// Too many elements or levels.
    #[error("configuration is too large")]
    TooLarge,
    /// A name is refused.
    #[error("illegal characters in key: {kind}")]
    Name {
        /// What the name is of.
        kind: &'static str,
        /// Why.
        #[source]
        source: ConfigIdError,
    },
    /// A group that names an element which the result does not have.
    #[error("missing {what} at path: {path}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where.
        path: String,
    },
}

/// Why a name is refused. The texts are Fabric's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigIdError {
    /// No name at all.
    #[error("{0} ID illegal, cannot be empty")]
    Empty(&'static str),
    /// Too long.
    #[error("{kind} ID illegal, cannot be longer than {MAX_NAME}")]
    TooLong {
        /// Channel or config.
        kind: &'static str,
    },
    /// A folder's name.
    #[error("name '{0}' for config ID is not allowed")]
    NotAllowed(String),
    /// A character that elements may not have.
    #[error("config ID '{0}' contains illegal characters")]
    Characters(String),
    /// A character that channels may not have.
    #[error("'{0}' contains illegal characters")]
    ChannelCharacters(String),
}

/// Checks the name of a channel: lower case letters, digits, dots and dashes, starting with a letter.
///
/// # Errors
/// When the name breaks the rule.
pub fn validate_channel_id(channel: &str) -> Result<(), ConfigIdError> {
    check_length("channel", channel)?;
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if channel.starts_with(|c: char| c.is_ascii_lowercase()) && channel.chars().all(inside) {
        return Ok(());
    }
    Err(ConfigIdError::ChannelCharacters(channel.to_owned()))
}

/// Checks the name of an element.
pub(crate) fn validate_config_id(name: &str) -> Result<(), ConfigIdError> {
    check_length("config", name)?;
    if name == "." || name == ".." {
        return Err(ConfigIdError::NotAllowed(name.to_owned()));
    }
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if name.chars().all(inside) {
        return Ok(());
    }
    Err(ConfigIdError::Characters(name.to_owned()))
}

fn check_length(kind: &'static str, name: &str) -> Result<(), ConfigIdError> {
    match name.len() {
        0 => Err(ConfigIdError::Empty(kind)),
        1..=MAX_NAME => Ok(()),
        _ => Err(ConfigIdError::TooLong { kind }),
    }
}

/// Refuses configurations that are too large, before anything recurses through them.
pub(crate) fn check_size(group: &ConfigGroup) -> Result<(), ConfigMapError> {
    let mut budget = MAX_ELEMENTS;
    count(group, MAX_DEPTH, &mut budget)
}

fn count(group: &ConfigGroup, depth: usize, budget: &mut usize) -> Result<(), ConfigMapError> {
    let depth = depth.checked_sub(1).ok_or(ConfigMapError::TooLarge)?;
    let here = 1 + group.values.len() + group.policies.len();
    *budget = budget.checked_sub(here).ok_or(ConfigMapError::TooLarge)?;
    group
        .groups
        .values()
        .try_for_each(|group| count(group, depth, budget))
}

/// A group, value or policy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    Group(&'a ConfigGroup),
    Value(&'a ConfigValue),
    Policy(&'a ConfigPolicy),
}

/// An element with its place.
#[derive(Clone, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) item: Item<'a>,
    /// The names of the groups from the root to the element's own group; for a group, to itself.
    pub(crate) groups: Vec<&'a str>,
}

impl Element<'_> {
    pub(crate) fn version(&self) -> u64 {
        match self.item {
            Item::Group(group) => group.version,
            Item::Value(value) => value.version,
            Item::Policy(policy) => policy.version,
        }
    }

    pub(crate) fn mod_policy(&self) -> &str {
        match self.item {
            Item::Group(group) => &group.mod_policy,
            Item::Value(value) => &value.mod_policy,
            Item::Policy(policy) => &policy.mod_policy,
        }
    }
}

/// The elements of a configuration by Fabric's name for them, such as `[Group]  /Channel/Application`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigMap<'a>(pub(crate) BTreeMap<String, Element<'a>>);

const GROUP: &str = "[Group]  ";
const VALUE: &str = "[Value]  ";
const POLICY: &str = "[Policy] ";

/// Where the presence of this value lets elements without a mod policy get one.
const ORDERER_CAPABILITIES: &str = "[Value]  /Channel/Orderer/Capabilities";

impl<'a> ConfigMap<'a> {
    /// Flattens a configuration.
    pub(crate) fn new(channel_group: &'a ConfigGroup) -> Result<Self, ConfigMapError> {
        check_size(channel_group)?;
        let mut map = Self::default();
        map.add_group(&format!("/{}", keys::ROOT_GROUP), &[], channel_group)?;
        Ok(map)
    }

    fn add_group(
        &mut self,
        path: &str,
        groups: &[&'a str],
        group: &'a ConfigGroup,
    ) -> Result<(), ConfigMapError> {
        let element = |item| Element {
            item,
            groups: groups.to_vec(),
        };
        self.0
            .insert(format!("{GROUP}{path}"), element(Item::Group(group)));
        for (name, value) in &group.values {
            let key = element_key(VALUE, path, name)?;
            self.0.insert(key, element(Item::Value(value)));
        }
        for (name, policy) in &group.policies {
            let key = element_key(POLICY, path, name)?;
            self.0.insert(key, element(Item::Policy(policy)));
        }
        for (name, sub_group) in &group.groups {
            element_key(GROUP, path, name)?;
            let groups: Vec<&str> = groups.iter().copied().chain([name.as_str()]).collect();
            self.add_group(&format!("{path}/{name}"), &groups, sub_group)?;
        }
        Ok(())
    }

    /// Builds the configuration again. What a group contains is what the group itself lists.
    pub(crate) fn to_config(&self) -> Result<ConfigGroup, ConfigMapError> {
        self.build(&format!("/{}", keys::ROOT_GROUP))
    }

    fn build(&self, path: &str) -> Result<ConfigGroup, ConfigMapError> {
        let Some(Item::Group(group)) = self.item(&format!("{GROUP}{path}")) else {
            return Err(missing("group", format!("{GROUP}{path}")));
        };
        let mut built = ConfigGroup {
            version: group.version,
            mod_policy: group.mod_policy.clone(),
            ..ConfigGroup::default()
        };
        for name in group.groups.keys() {
            built
                .groups
                .insert(name.clone(), self.build(&format!("{path}/{name}"))?);
        }
        for name in group.values.keys() {
            let key = format!("{VALUE}{path}/{name}");
            match self.item(&key) {
                Some(Item::Value(value)) => built.values.insert(name.clone(), value.clone()),
                _ => return Err(missing("value", key)),
            };
        }
        for name in group.policies.keys() {
            let key = format!("{POLICY}{path}/{name}");
            match self.item(&key) {
                Some(Item::Policy(policy)) => built.policies.insert(name.clone(), policy.clone()),
                _ => return Err(missing("policy", key)),
            };
        }
        if self.0.contains_key(ORDERER_CAPABILITIES) {
            fill_mod_policies(&mut built);
        }
        Ok(built)
    }

    fn item(&self, key: &str) -> Option<Item<'a>> {
        self.0.get(key).map(|element| element.item)
    }
}

/// Channels made by version 1.0 have elements that nobody may change; Fabric gives them to the admins.
fn fill_mod_policies(group: &mut ConfigGroup) {
    let values = group.values.values_mut().map(|value| &mut value.mod_policy);
    let policies = group.policies.values_mut().map(|policy| &mut policy.mod_policy);
    for mod_policy in values.chain(policies).chain([&mut group.mod_policy]) {
        if mod_policy.is_empty() {
            keys::ADMINS.clone_into(mod_policy);
        }
    }
}

fn element_key(kind: &'static str, path: &str, name: &str) -> Result<String, ConfigMapError> {
    validate_config_id(name).map_err(|source| ConfigMapError::Name { kind, source })?;
    Ok(format!("{kind}{path}/{name}"))
}

fn missing(what: &'static str, path: String) -> ConfigMapError {
    ConfigMapError::Missing { what, path }
}
