//! Why plugins were refused: which entry, which file, what was expected, what was found, what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why one library, or one instance of it, was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the texts name")]
pub enum LoadError {
    /// Reading failed.
    #[error("cannot read the file")]
    Io(#[source] io::Error),
    /// No such file or plugin.
    #[error("Could not find plugin at path {path}: {found}")]
    Missing { path: String, found: String },
    /// Several files claim the plugin's name.
    #[error("expected one plugin of that name in the plugin folders, found {found}")]
    Ambiguous { found: String },
    /// The file lies elsewhere.
    #[error("expected a file below the plugin folders {expected}, found it at {found}")]
    Path { expected: String, found: PathBuf },
    /// Somebody else could change the file.
    #[error("expected {component} to be writable by root or the peer's user alone, found {found}")]
    Perm { component: PathBuf, found: String },
    /// The pin does not match, or there is none.
    #[error("expected SHA-256 {expected}, found {found}")]
    Sha { expected: String, found: String },
    /// Not a shared library for this machine.
    #[error("not a shared library: expected {expected}, found {found}")]
    NotElf { expected: String, found: String },
    /// No manifest.
    #[error("not a plugin: expected a manifest in section .fabplug, found {found}")]
    NoManifest { found: String },
    /// Unusable metadata in the file.
    #[error("unusable metadata: expected those of the plugin in section .fabplug.meta, found {found}")]
    Metadata { found: String },
    /// Another contract.
    #[error("incompatible plugin API: expected version {expected}, found {found}")]
    Api { expected: String, found: String },
    /// Another kind of plugin.
    #[error("wrong kind: expected {expected}, found {found}")]
    Kind { expected: &'static str, found: String },
    /// Built for another machine.
    #[error("wrong target: expected {expected}, found {found}")]
    Target { expected: String, found: String },
    /// Built by a refused compiler.
    #[error("refused compiler: expected none of denyToolchains, found {found}")]
    Toolchain { found: String },
    /// Built with unusable settings.
    #[error("unusable build: expected panic = \"unwind\", found panic = \"abort\"")]
    Flags,
    /// The dynamic linker refused.
    #[error("the dynamic linker refuses it: {reason}")]
    Dlopen { reason: String },
    /// The mapped library is not what the file said.
    #[error("expected symbol {symbol}, found {found}")]
    NoSymbol { symbol: &'static str, found: String },
    /// No usable abi_stable header.
    #[error("incompatible module header: expected one of abi_stable 0.11 with a layout, found {found}")]
    Header { found: String },
    /// The types differ.
    #[error("incompatible layout: expected the types of plugin API {expected}, found {found}")]
    Layout { expected: String, found: String },
    /// The constructor refused, failed or returned nothing.
    #[error("the constructor failed: {reason}")]
    Ctor { reason: String },
    /// The entry is wrong.
    #[error("expected {expected}, found {found}")]
    Config { expected: String, found: String },
    /// Too many libraries.
    #[error("expected at most {limit} different libraries in one process, found one more")]
    Limit { limit: usize },
    /// The very file was mapped before, and refused then.
    #[error("{said}")]
    Again { said: String, remedy: &'static str },
    /// It was mapped in a process of its own first, and the peer was spared what came of that.
    #[error("the process in which it was tried out {found}")]
    Trial { found: String },
    /// The dynamic linker cannot map anything now.
    #[error(
        "library {hangs} hangs in its initialiser, and the dynamic linker maps nothing else before that has ended"
    )]
    LinkerBusy { hangs: &'static str },
}

impl LoadError {
    /// What the operator can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Io(_) => "check that the peer's user may read it",
            Self::Missing { .. } => "correct library or name, or add the folder to peer.handlers.pluginDirs",
            Self::Ambiguous { .. } => "remove the others or name the file in library",
            Self::Path { .. } => "move the file or add its folder to peer.handlers.pluginDirs",
            Self::Perm { .. } => "correct owner and mode (chown, chmod go-w)",
            Self::Sha { .. } => "install the right file, or correct sha256 once its origin is certain",
            Self::NotElf { .. } => "install a complete plugin library built for this machine",
            Self::NoManifest { .. } | Self::Metadata { .. } => {
                "build it as a cdylib that calls plugin_api::export_plugin!"
            }
            Self::Api { .. } | Self::Header { .. } | Self::Layout { .. } => {
                "rebuild the plugin with a matching plugin-api, or use a matching peer"
            }
            Self::Kind { .. } => "move the entry to the list of its kind",
            Self::Target { .. } => "build the plugin for the peer's target",
            Self::Toolchain { .. } => "build the plugin with another Rust version",
            Self::Flags => "build the plugin with panic = \"unwind\"",
            Self::Dlopen { .. } | Self::NoSymbol { .. } => "rebuild the plugin and install what it links to",
            Self::Ctor { .. } => "see the plugin's log lines above and its documentation",
            Self::Config { .. } => "correct the entry",
            Self::Again { remedy, .. } => remedy,
            Self::Trial { .. } => {
                "build the plugin without such an initialiser, or see what it wants of the machine"
            }
            Self::LinkerBusy { .. } => "take that plugin out of the configuration and restart the peer",
            Self::Limit { .. } => "restart the peer, or raise peer.handlers.maxReloads",
        }
    }
}

/// One refused entry.
#[derive(Debug)]
pub struct Refusal {
    /// The entry, for example `peer.handlers.authFilters[2]`.
    pub config_path: String,
    /// The entry's name.
    pub name: String,
    /// The file, once one was found.
    pub file: Option<PathBuf>,
    /// Why.
    pub error: LoadError,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (name {:?}", self.config_path, self.name)?;
        if let Some(file) = &self.file {
            write!(f, ", file {}", file.display())?;
        }
        write!(f, "): {}", self.error)?;
        if let LoadError::Io(source) = &self.error {
            write!(f, ": {source}")?;
        }
        write!(f, "; {}", self.error.remedy())
    }
}

/// Every refused entry of a configuration.
#[derive(Debug)]
pub struct LoadErrors(pub Vec<Refusal>);

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} plugin(s) refused", self.0.len())?;
        for refusal in &self.0 {
            write!(f, "\n  {refusal}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}
