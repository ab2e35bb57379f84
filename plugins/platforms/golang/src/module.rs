//! A chaincode's module: where it is, what it is called, what import path the chaincode has in it. Found without the
//! go command, so that packing needs none.

use crate::error::PathError;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of a module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// The module's folder.
    pub(crate) root: PathBuf,
    /// Import path of the chaincode.
    pub(crate) import_path: String,
    /// The chaincode's folder.
    pub(crate) folder: PathBuf,
}

/// The module that a folder with Go files belongs to, if there is one.
pub(crate) fn find(folder: &Path) -> Result<Option<Module>, PathError> {
    let folder = fs::canonicalize(folder).map_err(PathError::file(folder))?;
    if !has_source(&folder)? {
        return Err(PathError::NoSource(folder));
    }
    let Some(root) = folder.ancestors().find(|root| root.join("go.mod").is_file()) else {
        return Ok(None);
    };
    let go_mod = root.join("go.mod");
    let text = fs::read_to_string(&go_mod).map_err(PathError::file(&go_mod))?;
    let name = module_name(&text).ok_or(PathError::NoModule(go_mod))?;
    let below = folder.strip_prefix(root).unwrap_or(Path::new(""));
    let import_path = match below.to_str().unwrap_or_default() {
        "" => name,
        below => format!("{name}/{below}"),
    };
    if !is_import_path(&import_path) {
        return Err(PathError::ImportPath(import_path));
    }
    Ok(Some(Module {
        root: root.to_owned(),
        import_path,
        folder,
    }))
}

fn has_source(folder: &Path) -> Result<bool, PathError> {
    let mut entries = fs::read_dir(folder).map_err(PathError::file(folder))?.flatten();
    Ok(entries.any(|entry| {
        entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "go")
    }))
}

/// What the `module` line of a `go.mod` says.
pub(crate) fn module_name(text: &str) -> Option<String> {
    let line = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim())
        .find_map(|line| line.strip_prefix("module")?.strip_prefix([' ', '\t']))?;
    let name = line.trim().trim_matches(['"', '`']);
    is_import_path(name).then(|| name.to_owned())
}

/// What Go takes for an import path, a little stricter: nothing in it means anything to a shell, and it can be no option.
pub(crate) fn is_import_path(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || "-._~+".contains(char))
    };
    text.len() <= 1024 && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_line_is_read() {
        for (text, name) in [
            ("module example.com/kv\n\ngo 1.24\n", Some("example.com/kv")),
            ("// a comment\nmodule\t\"kv\" // kv\n", Some("kv")),
            ("go 1.24\n", None),
            ("module $(touch x)\n", None),
            ("modules a", None),
            ("", None),
        ] {
            assert_eq!(module_name(text).as_deref(), name, "{text:?}");
        }
    }

    #[test]
    fn import_paths_are_no_options_and_no_shell() {
        for good in ["kv", "example.com/a-b/v2", "gopkg.in/x.v1"] {
            assert!(is_import_path(good), "{good}");
        }
        for bad in [
            "", "-o", "a/../b", "/abs", "a//b", "a;b", "$(x)", "a b", "a/-x", ".",
        ] {
            assert!(!is_import_path(bad), "{bad}");
        }
    }

    #[test]
    fn a_folder_belongs_to_the_module_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let cc = root.join("cmd/cc");
        fs::create_dir_all(&cc).unwrap();
        assert!(matches!(find(&cc), Err(PathError::NoSource(_))));
        fs::write(cc.join("main.go"), "package main").unwrap();
        assert!(find(&cc).unwrap().is_none());
        fs::write(root.join("go.mod"), "module example.com/kv").unwrap();
        let module = find(&cc).unwrap().unwrap();
        assert_eq!(
            (module.root.as_path(), module.import_path.as_str()),
            (root.as_path(), "example.com/kv/cmd/cc")
        );
        assert!(matches!(find(&root), Err(PathError::NoSource(_))));
        fs::write(root.join("go.mod"), "go 1.24").unwrap();
        assert!(matches!(find(&cc), Err(PathError::NoModule(_))));
        assert!(find(&root.join("nothing")).is_err());
    }
}
