//! Entries below the names that chaincode definitions spell: endorsement and validation plugins.

use super::fits::fits;
use super::{Candidate, Loader, Named};
use crate::config::Entry;
use crate::instance::{Instance, Origin};
use crate::kind::Kind;
use abi_stable::std_types::ROption;
use plugin_api::{Init, PluginMod_Ref, Res};
use std::collections::BTreeMap;
use std::sync::Arc;

impl<'a> Loader<'a> {
    /// Loads every entry. An instance is named as chaincode definitions spell it; with the section's name before it
    /// where another instance has that name, since the same one may endorse and validate.
    pub(super) fn named<T: Send + 'static>(
        &mut self,
        kind: Kind,
        entries: &'a BTreeMap<String, Entry>,
        kept: impl Fn(&str, &Origin) -> Option<Arc<Instance<T>>>,
        constructor: impl Fn(PluginMod_Ref) -> ROption<extern "C" fn(Init<'_>) -> Res<T>> + Copy,
    ) -> Named<T> {
        let mut made = BTreeMap::new();
        for (key, entry) in entries {
            let qualified = format!("{}.{key}", kind.key());
            let candidate = Candidate {
                entry,
                kind,
                name: match self.names.contains_key(key) {
                    true => qualified.clone(),
                    false => key.clone(),
                },
                config_path: format!("peer.handlers.{qualified}"),
                file: None,
            };
            let instance = self.one(candidate, |loader, candidate| {
                fits(candidate.kind, candidate.entry)?;
                loader.instance(candidate, &kept, constructor)
            });
            if let Some((instance, _info)) = instance {
                made.insert(key.clone(), instance);
            }
        }
        made
    }
}
