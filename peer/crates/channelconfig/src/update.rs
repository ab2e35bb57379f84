//! The update that turns one configuration into another (Fabric configtxlator, `compute_update`).

use std::collections::BTreeMap;

use protos::common::{ConfigGroup, ConfigPolicy, ConfigUpdate, ConfigValue};

/// The configurations are the same.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no differences detected between original and updated config")]
pub struct NoDifference;

/// Computes what must be read and written so that `original` becomes `updated`.
///
/// # Errors
/// When there is no difference.
pub fn compute_update(
    channel: &str,
    original: &ConfigGroup,
    updated: &ConfigGroup,
) -> Result<ConfigUpdate, NoDifference> {
    let sets = group_update(original, updated);
    if !sets.changed {
        return Err(NoDifference);
    }
    Ok(ConfigUpdate {
        channel_id: channel.to_owned(),
        read_set: Some(sets.read),
        write_set: Some(sets.write),
        ..ConfigUpdate::default()
    })
}

/// What a group reads and writes.
struct GroupSets {
    read: ConfigGroup,
    write: ConfigGroup,
    changed: bool,
}

/// What the members of one kind read and write, and those that stay the same.
struct MemberSets<T> {
    read: BTreeMap<String, T>,
    write: BTreeMap<String, T>,
    same: BTreeMap<String, T>,
    /// Whether a member appeared or disappeared.
    members_changed: bool,
}

impl<T> Default for MemberSets<T> {
    fn default() -> Self {
        Self {
            read: BTreeMap::new(),
            write: BTreeMap::new(),
            same: BTreeMap::new(),
            members_changed: false,
        }
    }
}

impl<T: Clone> MemberSets<T> {
    fn is_unchanged(&self) -> bool {
        self.read.is_empty() && self.write.is_empty()
    }

    /// When the group itself changes, it lists the unchanged members as well.
    fn with_same(mut self) -> (BTreeMap<String, T>, BTreeMap<String, T>) {
        self.read.extend(self.same.clone());
        self.write.extend(self.same);
        (self.read, self.write)
    }
}

fn group_update(original: &ConfigGroup, updated: &ConfigGroup) -> GroupSets {
    let policies = policies_update(&original.policies, &updated.policies);
    let values = values_update(&original.values, &updated.values);
    let groups = groups_update(&original.groups, &updated.groups);
    let own_change = policies.members_changed
        || values.members_changed
        || groups.members_changed
        || original.mod_policy != updated.mod_policy;
    let group = |version, policies, values, groups, mod_policy| ConfigGroup {
        version,
        groups,
        values,
        policies,
        mod_policy,
    };
    let version = original.version;
    if own_change {
        let (read_policies, write_policies) = policies.with_same();
        let (read_values, write_values) = values.with_same();
        let (read_groups, write_groups) = groups.with_same();
        let mod_policy = updated.mod_policy.clone();
        return GroupSets {
            read: group(version, read_policies, read_values, read_groups, String::new()),
            write: group(
                version.saturating_add(1),
                write_policies,
                write_values,
                write_groups,
                mod_policy,
            ),
            changed: true,
        };
    }
    let changed = !(policies.is_unchanged() && values.is_unchanged() && groups.is_unchanged());
    GroupSets {
        read: group(version, policies.read, values.read, groups.read, String::new()),
        write: group(version, policies.write, values.write, groups.write, String::new()),
        changed,
    }
}

fn policies_update(
    original: &BTreeMap<String, ConfigPolicy>,
    updated: &BTreeMap<String, ConfigPolicy>,
) -> MemberSets<ConfigPolicy> {
    let mut sets = MemberSets {
        members_changed: !same_names(original, updated),
        ..MemberSets::default()
    };
    for (name, new) in updated {
        let version = match original.get(name) {
            Some(old) if old.mod_policy == new.mod_policy && old.policy == new.policy => {
                let unchanged = ConfigPolicy {
                    version: old.version,
                    ..ConfigPolicy::default()
                };
                sets.same.insert(name.clone(), unchanged);
                continue;
            }
            Some(old) => old.version.saturating_add(1),
            None => 0,
        };
        let written = ConfigPolicy {
            version,
            ..new.clone()
        };
        sets.write.insert(name.clone(), written);
    }
    sets
}

fn values_update(
    original: &BTreeMap<String, ConfigValue>,
    updated: &BTreeMap<String, ConfigValue>,
) -> MemberSets<ConfigValue> {
    let mut sets = MemberSets {
        members_changed: !same_names(original, updated),
        ..MemberSets::default()
    };
    for (name, new) in updated {
        let version = match original.get(name) {
            Some(old) if old.mod_policy == new.mod_policy && old.value == new.value => {
                let unchanged = ConfigValue {
                    version: old.version,
                    ..ConfigValue::default()
                };
                sets.same.insert(name.clone(), unchanged);
                continue;
            }
            Some(old) => old.version.saturating_add(1),
            None => 0,
        };
        let written = ConfigValue {
            version,
            ..new.clone()
        };
        sets.write.insert(name.clone(), written);
    }
    sets
}

fn groups_update(
    original: &BTreeMap<String, ConfigGroup>,
    updated: &BTreeMap<String, ConfigGroup>,
) -> MemberSets<ConfigGroup> {
    let mut sets = MemberSets {
        members_changed: !same_names(original, updated),
        ..MemberSets::default()
    };
    for (name, new) in updated {
        match original.get(name) {
            Some(old) => {
                let group = group_update(old, new);
                if group.changed {
                    sets.read.insert(name.clone(), group.read);
                    sets.write.insert(name.clone(), group.write);
                } else {
                    sets.same.insert(name.clone(), group.read);
                }
            }
            None => {
                let written = ConfigGroup {
                    version: 0,
                    mod_policy: new.mod_policy.clone(),
                    ..group_update(&ConfigGroup::default(), new).write
                };
                sets.write.insert(name.clone(), written);
            }
        }
    }
    sets
}

fn same_names<T>(original: &BTreeMap<String, T>, updated: &BTreeMap<String, T>) -> bool {
    original.keys().eq(updated.keys())
}
