//! [`Reload`]: what an exchange of the plugins has changed.

use crate::instance::PluginInfo;
use crate::kind::Kind;
use crate::plugin_set::PluginSet;
use serde::Serialize;
use std::collections::BTreeMap;
use tracing::{debug, info};

/// A finished exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reload {
    /// The set that is in force now.
    pub generation: u64,
    /// One for each plugin that there was or is.
    pub changes: Vec<Change>,
}

/// What has become of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What happened.
    pub what: What,
    /// The instance's name.
    pub instance: String,
    /// What it is.
    pub kind: Kind,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PluginInfo>,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<PluginInfo>,
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Another file.
    Upgraded,
    /// The same file with other settings.
    Changed,
    /// The same at another place in the list.
    Moved,
    /// Everything as before.
    Kept,
}

impl What {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Upgraded => "upgraded",
            Self::Changed => "changed",
            Self::Moved => "moved",
            Self::Kept => "kept",
        }
    }
}

impl Reload {
    pub(crate) fn log(&self) {
        for change in &self.changes {
            let Some(plugin) = change.to.as_ref().or(change.from.as_ref()) else {
                continue;
            };
            let former = change.from.as_ref().map(|from| from.sha256.as_str());
            let (what, kind) = (change.what.name(), change.kind.name());
            if change.what == What::Kept {
                debug!(plugin = plugin.instance, kind, what, "plugin");
                continue;
            }
            info!(
                plugin = plugin.instance,
                kind,
                what,
                version = plugin.version,
                file = plugin.file,
                sha256 = plugin.sha256,
                former,
                "plugin"
            );
        }
        info!(generation = self.generation, "plugins are in force");
    }
}

/// Which instance an entry has, to see whether it went on.
type Identity = (Kind, String);

pub(crate) fn changes(from: &PluginSet, to: &PluginSet) -> Vec<Change> {
    let before: BTreeMap<Identity, PluginInfo> = by_identity(from.list());
    let now = to.list();
    let mut changes: Vec<Change> = now
        .iter()
        .map(|info| {
            let former = before.get(&identity(info));
            Change {
                what: former.map_or(What::Added, |former| what(former, info)),
                instance: info.instance.clone(),
                kind: info.kind,
                from: former.cloned(),
                to: Some(info.clone()),
            }
        })
        .collect();
    let now = by_identity(now);
    let gone = before
        .into_iter()
        .filter(|(identity, _)| !now.contains_key(identity));
    changes.extend(gone.map(|((kind, instance), info)| Change {
        what: What::Removed,
        instance,
        kind,
        from: Some(info),
        to: None,
    }));
    changes
}

fn identity(info: &PluginInfo) -> Identity {
    (info.kind, info.instance.clone())
}

fn by_identity(infos: Vec<PluginInfo>) -> BTreeMap<Identity, PluginInfo> {
    infos.into_iter().map(|info| (identity(&info), info)).collect()
}

fn what(from: &PluginInfo, to: &PluginInfo) -> What {
    if from == to {
        return What::Kept;
    }
    if from.sha256 != to.sha256 {
        return What::Upgraded;
    }
    // the configuration of the plugin is not in here, but another one makes another instance
    let elsewhere = PluginInfo {
        config_path: from.config_path.clone(),
        file: from.file.clone(),
        ..to.clone()
    };
    if elsewhere == *from {
        What::Moved
    } else {
        What::Changed
    }
}
