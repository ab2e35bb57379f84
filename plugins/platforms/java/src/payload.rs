//! Packs a chaincode's folder.

use plugin_api::packages::{PackError, pack_folder};
use std::path::Path;

/// Folders of compiled code, and of Gradle's and IDEs' own things, at the root of the project.
const LEFT_OUT: [&str; 6] = ["target", "build", "out", ".gradle", ".idea", ".settings"];

/// The tar.gz of a folder, without what builds leave behind in it.
pub(crate) fn pack(folder: &str) -> Result<Vec<u8>, PackError> {
    pack_folder(folder, |path, is_folder| {
        if is_folder {
            LEFT_OUT.iter().any(|name| path == Path::new(name))
        } else {
            path.extension().is_some_and(|extension| extension == "class")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::validate;
    use plugin_api::packages::{ReadError, visit};
    use std::fs;

    #[test]
    fn compiled_code_stays_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "pom.xml",
            "src/main/java/A.java",
            "src/main/java/A.class",
            "src/main/java/build/B.java",
            "target/classes/A.class",
            "build/libs/chaincode.jar",
            ".gradle/x",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let package = pack(folder.path().to_str().unwrap()).unwrap();
        validate(&package).unwrap();
        let mut names = Vec::new();
        visit::<ReadError>(&package, |name, _| {
            names.push(name.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(
            names,
            [
                "src/pom.xml",
                "src/src/main/java/A.java",
                "src/src/main/java/build/B.java"
            ]
        );
    }
}
