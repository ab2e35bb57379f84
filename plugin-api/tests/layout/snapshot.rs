//! Snapshots on disk, and what may differ between two of them.

use crate::walk::{Blocks, TABLE};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A version of plugin-api.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// This crate's.
    pub fn present() -> Self {
        Self::parse(env!("CARGO_PKG_VERSION")).unwrap()
    }

    fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
        match numbers?.as_slice() {
            [major, minor, patch] => Some(Self(*major, *minor, *patch)),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Where the snapshots are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("abi")
}

/// Whether a library of this version is kept, as one is from its release on.
pub fn is_released(version: Version) -> bool {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/abi");
    let prefix = format!("plugin-{version}-");
    let mut files = fs::read_dir(fixtures).into_iter().flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with(&prefix))
}

/// What to do about a snapshot that is missing or different.
pub fn advice(version: Version) -> String {
    let Version(major, minor, _) = version;
    if is_released(version) {
        return format!(
            "{version} has been released. If all of this was appended to tables: make it {major}.{}.0 (version in \
             Cargo.toml, API_MINOR in manifest.rs). If not: undo it, or make it {}.0.0. COMPATIBILITY.md has the rules",
            minor + 1,
            major + 1,
        );
    }
    format!(
        "{version} has not been released. If this is what it should have: UPDATE_ABI_SNAPSHOT=1 cargo test -p plugin-api \
         --test layout writes the snapshot. COMPATIBILITY.md says what may be in it"
    )
}

/// The snapshots of the same major version before this one.
pub fn earlier(than: Version) -> Vec<(Version, Blocks)> {
    let mut snapshots = Vec::new();
    for entry in fs::read_dir(folder()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let version = name.strip_suffix(".txt").and_then(Version::parse);
        let version = version.unwrap_or_else(|| panic!("{name} is not the snapshot of a version"));
        if version.0 == than.0 && version < than {
            snapshots.push((version, parse(&fs::read_to_string(entry.path()).unwrap())));
        }
    }
    snapshots.sort_by_key(|(version, _)| *version);
    snapshots
}

/// One block for each type: a line, and indented lines for what is in it.
pub fn text(blocks: &Blocks) -> String {
    let mut text = String::new();
    for (head, lines) in blocks {
        text.push_str(&format!("{head}\n"));
        lines
            .iter()
            .for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}

pub fn parse(text: &str) -> Blocks {
    let mut blocks = Blocks::new();
    let mut head = String::new();
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(inner) => blocks.entry(head.clone()).or_default().push(inner.to_owned()),
            None => {
                head = line.to_owned();
                blocks.insert(head.clone(), Vec::new());
            }
        }
    }
    blocks
}

/// Every line that only one of the two has.
pub fn differences(one: &Blocks, other: &Blocks) -> Vec<String> {
    if one == other {
        return Vec::new();
    }
    let lines = |blocks: &Blocks| {
        let pairs = blocks.iter().flat_map(|(head, lines)| {
            let head_line = std::iter::once(head.clone());
            // named by its type: most fields are called alike
            let inner = lines.iter().enumerate();
            let name = head.split(": ").next().unwrap_or_default().to_owned();
            head_line.chain(inner.map(move |(at, line)| format!("{name} [{at}] {line}")))
        });
        pairs.collect::<Vec<String>>()
    };
    let (one, other) = (lines(one), lines(other));
    let gone = one.iter().filter(|line| !other.contains(line));
    let new = other.iter().filter(|line| !one.contains(line));
    gone.map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect()
}

/// What of an earlier version's promise is broken. Types may come along, and tables may grow at their ends if the minor
/// version has.
pub fn faults(promised: &Blocks, present: &Blocks, may_grow: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (head, lines) in promised {
        let Some(now) = present.get(head) else {
            faults.push(format!("- {head}"));
            continue;
        };
        let is_table = head.contains(&format!(": {TABLE} of "));
        let grown = now.len() > lines.len();
        if !now.starts_with(lines) || (grown && !(is_table && may_grow)) {
            let former = Blocks::from([(head.clone(), lines.clone())]);
            let latter = Blocks::from([(head.clone(), now.clone())]);
            faults.extend(differences(&former, &latter));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        "Table: table of 1 and more, C\n  first: fn() -> u8\nValue: struct, size 8 align 8, C\n  a: u64\n";

    fn faults_of(new: &str) -> Vec<String> {
        faults(&parse(OLD), &parse(new), true)
    }

    #[test]
    fn tables_may_grow_and_types_may_come_along() {
        assert_eq!(text(&parse(OLD)), OLD);
        let grown = OLD.replace("-> u8\n", "-> u8\n  second: fn()\n");
        assert_eq!(faults_of(OLD), Vec::<String>::new());
        assert_eq!(faults_of(&grown), Vec::<String>::new());
        assert_eq!(
            faults_of(&format!("{OLD}Another: struct, size 1 align 1, C\n")),
            Vec::<String>::new()
        );
        // not within one minor version
        assert_eq!(
            faults(&parse(OLD), &parse(&grown), false),
            ["+ Table [1] second: fn()"]
        );
    }

    #[test]
    fn everything_else_is_a_fault() {
        for (from, to) in [
            ("  first: fn() -> u8\n", ""),
            ("-> u8", "-> u16"),
            ("  first", "  zeroth: fn()\n  first"),
            ("table of 1", "table of 2"),
            ("a: u64", "a: u64\n  b: u8"),
            ("a: u64", "b: u64"),
            ("size 8", "size 16"),
            ("Value", "Value2"),
        ] {
            let changed = OLD.replace(from, to);
            assert_ne!(changed, OLD, "{from}");
            assert_ne!(faults_of(&changed), Vec::<String>::new(), "{from} {to}");
        }
    }
}
