//! Packs a chaincode's folder.

use crate::package::says_vendored;
use plugin_api::packages::{PackError, pack_folder};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest `package.json` that is looked into.
pub(crate) const MAX_MANIFEST: u64 = 1 << 20;

/// The tar.gz of a folder, without the `node_modules` beside `package.json`: the build installs what belongs there.
/// If `package.json` says that they are vendored they go in, except `.bin`, whose links the build makes again.
pub(crate) fn pack(folder: &str) -> Result<Vec<u8>, PackError> {
    let vendored = says_vendored(&manifest(Path::new(folder)).unwrap_or_default());
    pack_folder(folder, |path, is_folder| {
        let dependencies = path.starts_with("node_modules");
        is_folder
            && dependencies
            && (!vendored
                || path
                    .file_name()
                    .is_some_and(|name| name == ".bin" || name == ".cache"))
    })
}

fn manifest(folder: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(folder.join("package.json"))?
        .take(MAX_MANIFEST)
        .read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::validate;
    use plugin_api::packages::{ReadError, visit};
    use std::fs;
    use std::os::unix::fs::symlink;

    fn names(manifest: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("package.json", manifest),
            ("lib/node_modules/kept.js", "1"),
            ("node_modules/x/index.js", "1"),
            ("node_modules/x/cli.js", "1"),
            ("node_modules/x/node_modules/.bin/y", "1"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fs::create_dir(folder.path().join("node_modules/.bin")).unwrap();
        symlink("../x/cli.js", folder.path().join("node_modules/.bin/x")).unwrap();
        let package = pack(folder.path().to_str().unwrap()).unwrap();
        validate(&package).unwrap();
        let mut names = Vec::new();
        visit::<ReadError>(&package, |name, _| {
            names.push(name.to_owned());
            Ok(())
        })
        .unwrap();
        names
    }

    #[test]
    fn dependencies_stay_out_unless_they_are_vendored() {
        assert_eq!(names("{}"), ["src/lib/node_modules/kept.js", "src/package.json"]);
        assert_eq!(
            names(r#"{"fabric": {"vendored": true}}"#),
            [
                "src/lib/node_modules/kept.js",
                "src/node_modules/x/cli.js",
                "src/node_modules/x/index.js",
                "src/package.json"
            ]
        );
    }
}
