//! What core.yaml may hold: the tree of known keys, with Fabric's spelling and the form of each value.
//!
//! The tables themselves are in [`peer`], [`chaincode`] and [`services`].

mod chaincode;
mod peer;
mod services;

/// One key of a section.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) known: Known,
    /// `None`: this peer has the feature. Otherwise: when the key may be passed over in silence.
    pub(crate) unsupported: Option<Off>,
}

/// What stands at a key.
#[derive(Debug)]
pub(crate) enum Known {
    /// A section with keys of its own.
    Section(&'static [Entry]),
    /// A list of sections that all have the same keys.
    Items(&'static [Entry]),
    /// Sections under names that the operator chooses.
    Named(&'static [Entry]),
    /// Texts under names that the operator chooses, replaced as a whole by a higher layer. The names given
    /// here are those this peer has; others are reported unless switched off.
    Switches(&'static [&'static str]),
    /// Anything; its keys are left as they are.
    Opaque,
    /// A single value.
    Value(Kind),
}

/// The form of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// One of these, without regard to case.
    OneOf(&'static [&'static str]),
    /// A path, relative to the folder of core.yaml.
    Path,
    Bool,
    /// A whole number, also negative.
    Integer,
    /// A number that may have a fraction.
    Number,
    Duration,
    /// Blank-separated text or a list.
    Texts,
    /// A list of texts with blanks in them, or a single one.
    List,
    /// The same for paths relative to the folder of core.yaml.
    Paths,
    /// The same for paths relative to whatever states them: the file's folder, the program's for the
    /// shipped defaults.
    PathsOfLayer,
}

/// When a key that this peer does not support needs no warning.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Off {
    /// Never.
    Never,
    /// The value is one of these (or empty).
    At(&'static [&'static str]),
    /// The section's `enabled` is not true.
    Disabled,
    /// The section's `listenAddress` is empty.
    NoListener,
    /// Anything but `CouchDB`.
    NotCouchDb,
    /// Always: the key only tunes a feature whose own switch is reported.
    Always,
}

/// The whole file.
pub(crate) const CORE: &[Entry] = &[
    section("peer", peer::PEER),
    section("vm", services::VM),
    section("chaincode", chaincode::CHAINCODE),
    section("ledger", services::LEDGER),
    section("logging", services::LOGGING),
    section("operations", services::OPERATIONS),
    section("metrics", services::METRICS),
    section("orderer", services::ORDERER),
];

/// Variables that have no `CORE_` name, and the key each one sets.
pub(crate) const OTHER_VARIABLES: &[(&str, &str)] = &[
    ("FABRIC_LOGGING_SPEC", "logging.spec"),
    ("FABRIC_LOGGING_FORMAT", "logging.format"),
    ("NODE_REGISTRY", "chaincode.node.registry"),
];

const fn value(name: &'static str, kind: Kind) -> Entry {
    Entry {
        name,
        known: Known::Value(kind),
        unsupported: None,
    }
}

const fn section(name: &'static str, entries: &'static [Entry]) -> Entry {
    Entry {
        name,
        known: Known::Section(entries),
        unsupported: None,
    }
}

const fn other(name: &'static str, known: Known) -> Entry {
    Entry {
        name,
        known,
        unsupported: None,
    }
}

const fn unsupported(name: &'static str, off: Off, known: Known) -> Entry {
    Entry {
        name,
        known,
        unsupported: Some(off),
    }
}

/// `file:` below a key, the form in which Fabric names a certificate or key file.
const FILE: &[Entry] = &[value("file", Kind::Path)];
const FILES: &[Entry] = &[value("files", Kind::Paths)];

/// The TLS section of a listener.
const SERVER_TLS: &[Entry] = &[
    value("enabled", Kind::Bool),
    value("clientAuthRequired", Kind::Bool),
    section("cert", FILE),
    section("key", FILE),
    section("clientRootCAs", FILES),
];

/// The entry of a section whose name equals `name` without regard to case.
pub(crate) fn find(entries: &'static [Entry], name: &str) -> Option<&'static Entry> {
    entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// Follows a path of key names from the root; names that the operator chooses match anything.
pub(crate) fn at(path: &[&str]) -> Option<&'static Known> {
    let mut entries = Some(CORE);
    let mut found: Option<&'static Known> = None;
    for name in path {
        let known = match (found, entries) {
            (Some(Known::Named(inner)), _) => {
                entries = Some(inner);
                found = None;
                continue;
            }
            (_, Some(entries)) => &find(entries, name)?.known,
            (_, None) => return None,
        };
        entries = match known {
            Known::Section(inner) => Some(inner),
            _ => None,
        };
        found = Some(known);
    }
    found
}

/// Every key that a variable or an override can set, as its path from the root.
pub(crate) fn settable() -> Vec<Vec<&'static str>> {
    let mut paths = Vec::new();
    collect(CORE, &mut Vec::new(), &mut paths);
    paths
}

fn collect(entries: &'static [Entry], at: &mut Vec<&'static str>, paths: &mut Vec<Vec<&'static str>>) {
    for entry in entries {
        at.push(entry.name);
        match &entry.known {
            Known::Section(inner) => collect(inner, at, paths),
            Known::Opaque if entry.unsupported.is_some() => {}
            _ => paths.push(at.clone()),
        }
        at.pop();
    }
}

/// The keys of this peer that are not supported, as dotted names.
pub(crate) fn unsupported_sections() -> Vec<String> {
    let mut found = Vec::new();
    collect_unsupported(CORE, "", &mut found);
    found
}

fn collect_unsupported(entries: &'static [Entry], prefix: &str, found: &mut Vec<String>) {
    for entry in entries {
        let key = dotted(prefix, entry.name);
        match (&entry.known, entry.unsupported) {
            (_, Some(_)) => found.push(key),
            (Known::Section(inner), None) => collect_unsupported(inner, &key, found),
            _ => {}
        }
    }
}

/// `prefix.name`, or `name` at the root.
pub(crate) fn dotted(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}
