//! Plugins of a contract that is not this peer's, really built: refused before any of their code runs, with both versions
//! in the text.

use crate::builds::Compiler;
use crate::library::{Library, root, scratch};
use handlers::{Kind, LoadError};
use serde_json::json;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A copy of plugin-api and of the fixture, to be changed.
struct Copy(TempDir);

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        } else if entry.file_name() != "target" {
            copy_files(&entry.path(), &to.join(entry.file_name()));
        }
    }
}

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir_in(scratch()).unwrap());
        let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let (before, members) = workspace.split_once("members = [").unwrap();
        let (_members, after) = members.split_once(']').unwrap();
        let workspace = format!("{before}members = [\"plugin-api\"]{after}");
        fs::write(copy.path().join("Cargo.toml"), workspace).unwrap();
        for part in ["plugin-api", "tests/abi/fixture"] {
            copy_files(&root().join(part), &copy.path().join(part));
        }
        copy
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let file = self.path().join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {}", file.display());
        fs::write(&file, text.replace(from, to)).unwrap();
    }

    fn build(&self) -> Library {
        Compiler::own().build_source(&self.path().join("tests/abi/fixture"), "dev", &[])
    }
}

/// The one refusal of a library.
fn refusal(library: &Library) -> (LoadError, String) {
    let entry = library.entry("x", &json!({ "mode": "note" }));
    let mut errors = library.try_load(Kind::AuthFilter, &[entry]).unwrap_err();
    let text = errors.to_string();
    (errors.0.remove(0).error, text)
}

#[test]
fn another_major_version_is_refused_by_its_manifest() {
    let copy = Copy::new();
    copy.change(
        "plugin-api/src/manifest.rs",
        "API_MAJOR: u16 = 1;",
        "API_MAJOR: u16 = 2;",
    );
    let library = copy.build();
    assert!(library.manifest().api.starts_with("2."), "inspected all the same");
    let (error, text) = refusal(&library);
    assert!(matches!(error, LoadError::Api { .. }), "{text}");
    let both = format!(
        "expected version 1.x (this peer has {}), found {}; rebuild the plugin",
        handlers::api_version(),
        library.manifest().api
    );
    assert!(text.contains(&both), "{text}");
}

#[test]
fn a_changed_layout_under_the_same_version_is_refused() {
    let copy = Copy::new();
    // another order of fields: everything compiles as before
    let field = "    /// Whether `after` is to be called.\n    pub wants_after: bool,\n";
    copy.change("plugin-api/src/auth.rs", field, "");
    let last = "    pub response: RVec<u8>,\n";
    copy.change("plugin-api/src/auth.rs", last, &format!("{last}{field}"));
    let library = copy.build();
    let (error, text) = refusal(&library);
    assert!(matches!(error, LoadError::Layout { .. }), "{text}");
    let both = format!(
        "expected the types of plugin API {}, found those of {}, with differences in",
        handlers::api_version(),
        library.manifest().api
    );
    assert!(text.contains(&both), "{text}");
    assert!(text.len() < 2000, "{text}");
}
