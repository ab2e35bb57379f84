//! A loaded library: manifest, metadata, configuration schema and constructors.

use super::file::PluginFile;
use super::files::Contents;
use super::image::{self, Mapped};
use super::metadata::Metadata;
use super::schema::Schema;
use super::trial;
use crate::current::intern;
use crate::deadline::{LOADING, lasting};
use crate::kind::Kind;
use crate::load_error::LoadError;
use parking_lot::Mutex;
use plugin_api::manifest::{API_MAJOR, API_MINOR, FLAG_C, FLAG_DEBUG, FLAG_UNWIND, TARGET};
use plugin_api::{Note, PluginMod_Ref};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::warn;

/// Every usable library of this process by its hash. Static, because a library is never unmapped.
static LOADED: Mutex<BTreeMap<String, Arc<Library>>> = Mutex::new(BTreeMap::new());
/// Every library that is mapped and was refused, by its hash, with why and what to do: mapping it again would cost memory
/// and change nothing.
static REFUSED: Mutex<BTreeMap<String, (String, &'static str)>> = Mutex::new(BTreeMap::new());
/// The library whose initialiser has outlasted its deadline. Its thread holds the dynamic linker's lock.
static HANGS: Mutex<Option<&'static str>> = Mutex::new(None);

/// What the configuration says about all libraries.
pub(crate) struct Policy<'a> {
    pub(crate) deny_toolchains: &'a [String],
    pub(crate) max_libraries: usize,
    /// Whether a library that is new to the process is mapped in one of its own first.
    pub(crate) try_out: bool,
}

/// A library that is mapped and has passed every check.
pub(crate) struct Library {
    pub(crate) sha256: String,
    pub(crate) note: Note,
    pub(crate) module: PluginMod_Ref,
    pub(crate) description: String,
    schema: Schema,
}

impl Library {
    /// The library of these bytes: the one that is loaded already, or a new one.
    pub(crate) fn load(file: PluginFile, kind: Kind, policy: &Policy<'_>) -> Result<Arc<Self>, LoadError> {
        let note = file.note()?;
        check_note(&note, kind, policy)?;
        let stated = file.metadata(&note)?;
        if let Some(library) = LOADED.lock().get(&file.sha256) {
            return Ok(Arc::clone(library));
        }
        if Mapped::of_process().libraries >= u64::try_from(policy.max_libraries).unwrap_or(u64::MAX) {
            return Err(LoadError::Limit {
                limit: policy.max_libraries,
            });
        }
        if let Some(hangs) = *HANGS.lock() {
            return Err(LoadError::LinkerBusy { hangs });
        }
        if let Some((said, remedy)) = REFUSED.lock().get(&file.sha256) {
            let said = said.clone();
            return Err(LoadError::Again { said, remedy });
        }
        if policy.try_out {
            trial::try_out(&file)?;
        }
        let sha256 = file.sha256.clone();
        Self::map(file, note, stated)?.inspect_err(|error| {
            // what the linker refused is not mapped, and what it needs may be there the next time
            if !matches!(error, LoadError::Dlopen { .. }) {
                REFUSED.lock().insert(sha256, (error.to_string(), error.remedy()));
            }
        })
    }

    /// Maps a library in a process that is there for nothing else.
    pub(super) fn map_alone(file: PluginFile) -> Result<(), LoadError> {
        let note = file.note()?;
        let stated = file.metadata(&note)?;
        Self::map(file, note, stated)??;
        Ok(())
    }

    /// Maps a library and keeps it, also when nobody waits for it any more. The outer error: it took too long.
    fn map(
        file: PluginFile,
        note: Note,
        stated: Option<Metadata>,
    ) -> Result<Result<Arc<Self>, LoadError>, LoadError> {
        let plugin = intern(note.name());
        let mapped = Arc::new(AtomicBool::new(false));
        let is_mapped = Arc::clone(&mapped);
        let library = lasting(LOADING, plugin, "its library", move || {
            let module = image::map(&file, &note);
            {
                let mut hangs = HANGS.lock();
                is_mapped.store(true, Ordering::Relaxed);
                hangs.take_if(|hangs| *hangs == plugin);
            }
            let library = Self::describe(&file, note, stated.as_ref(), module?)?;
            // of two that were loaded at the same time one stays unused
            let mut loaded = LOADED.lock();
            let library = loaded
                .entry(library.sha256.clone())
                .or_insert_with(|| Arc::new(library));
            Ok(Arc::clone(library))
        });
        if library.is_err() {
            let mut hangs = HANGS.lock();
            if !mapped.load(Ordering::Relaxed) {
                *hangs = Some(plugin);
            }
        }
        library
    }

    /// Runs code of the library.
    fn describe(
        file: &PluginFile,
        note: Note,
        stated: Option<&Metadata>,
        module: PluginMod_Ref,
    ) -> Result<Self, LoadError> {
        let bad = |found: String| LoadError::Ctor {
            reason: format!("its metadata is unusable: {found}"),
        };
        let json = (module.metadata_json())();
        let metadata = Metadata::parse(json.as_bytes(), &note).map_err(bad)?;
        // what can be read without running anything is what verify has checked the configuration against
        if stated.is_some_and(|stated| *stated != metadata) {
            return Err(bad("it is another one than in the file".to_owned()));
        }
        let schema = metadata.schema().map_err(bad)?;
        Ok(Self {
            sha256: file.sha256.clone(),
            note,
            module,
            description: metadata.description,
            schema,
        })
    }

    /// Checks an entry's `config`, which stands at `at`, against the plugin's schema.
    pub(crate) fn check_config(&self, config: &Value, at: &str) -> Result<(), LoadError> {
        self.schema.check(self.note.name(), config, at)
    }

    /// The files that an entry's `config` names and the plugin reads when it is constructed. Blocking.
    pub(crate) fn contents(&self, config: &Value) -> Contents {
        self.schema.contents(config)
    }
}

/// Whether this peer takes a plugin with such a manifest as a plugin of that kind.
pub(crate) fn check_note(note: &Note, kind: Kind, policy: &Policy<'_>) -> Result<(), LoadError> {
    if note.api_major != API_MAJOR {
        return Err(LoadError::Api {
            expected: format!("{API_MAJOR}.x (this peer has {API_MAJOR}.{API_MINOR})"),
            found: format!("{}.{}", note.api_major, note.api_minor),
        });
    }
    if note.kinds & kind.bit() == 0 {
        return Err(LoadError::Kind {
            expected: kind.name(),
            found: Kind::names(note.kinds),
        });
    }
    // C has nothing that unwinds
    if note.flags & (FLAG_UNWIND | FLAG_C) == 0 {
        return Err(LoadError::Flags);
    }
    if note.target() != TARGET {
        return Err(LoadError::Target {
            expected: TARGET.to_owned(),
            found: note.target().to_owned(),
        });
    }
    if policy
        .deny_toolchains
        .iter()
        .any(|denied| note.toolchain().starts_with(denied.as_str()))
    {
        return Err(LoadError::Toolchain {
            found: note.toolchain().to_owned(),
        });
    }
    if note.flags & FLAG_DEBUG != 0 && !cfg!(debug_assertions) {
        warn!(plugin = note.name(), "plugin is a debug build");
    }
    Ok(())
}
