//! The small archives that are put into containers: TLS files, and a plan's files.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::container_command::TlsPaths;
use crate::unpack::{UnpackError, checked_name};
use crate::vm::TlsFiles;

/// Fabric's folder for TLS files in a container.
pub(super) const TLS_FOLDER: &str = "/etc/hyperledger/fabric";

/// Who the files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Only this user can read them.
    User(u64, u64),
    /// The image names its user by a name that only its own files explain: everybody can read them, as in Fabric.
    Everybody,
}

impl Owner {
    /// The user that an image's configuration names: nobody (root), `1000`, `1000:1000`, `chaincode`.
    pub(super) fn of_image(user: &str) -> Self {
        let (user, group) = user.split_once(':').unwrap_or((user, ""));
        let id = |text: &str| match text {
            "" | "root" => Some(0),
            text => text.parse().ok(),
        };
        match (id(user), id(group)) {
            (Some(user), Some(group)) => Self::User(user, group),
            _ => Self::Everybody,
        }
    }
}

impl Owner {
    /// Mode, user and group of a file.
    fn attributes(self) -> (u32, u64, u64) {
        match self {
            Self::User(uid, gid) => (0o100_400, uid, gid),
            Self::Everybody => (0o100_644, 0, 0),
        }
    }
}

/// The TLS files as tar.gz, to be unpacked in `TLS_FOLDER` itself or, with the folder's name, in `/`.
pub(super) fn tls_archive(tls: &TlsFiles, owner: Owner, below_root: bool) -> io::Result<Vec<u8>> {
    let paths = TlsPaths::in_folder(TLS_FOLDER);
    let files = [
        (&paths.key_path, STANDARD.encode(&tls.client_key_pem).into_bytes()),
        (
            &paths.cert_path,
            STANDARD.encode(&tls.client_cert_pem).into_bytes(),
        ),
        (&paths.key_file, tls.client_key_pem.clone()),
        (&paths.cert_file, tls.client_cert_pem.clone()),
        (&paths.root_cert_file, tls.root_cert_pem.clone()),
    ];
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let name = if below_root {
            path.trim_start_matches('/')
        } else {
            path.rsplit('/').next().unwrap_or(path)
        };
        append(&mut tar, name, &content, owner.attributes())?;
    }
    tar.into_inner()?.finish()
}

/// A plan's files as tar.gz; they may hold tokens. They come from a plugin, so their names are looked at.
pub(super) fn plan_archive(files: &[(String, Vec<u8>)], owner: Owner) -> Result<Vec<u8>, UnpackError> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        // the same rules as for the package, with one exception: it may lie beside `src`
        if checked_name(format!("src/{name}").as_bytes()).is_none() {
            return Err(UnpackError::Name(format!("{name:?}")));
        }
        append(&mut tar, name, content, owner.attributes())
            .map_err(|error| UnpackError::Write(format!("{name:?}"), error))?;
    }
    let written = tar.into_inner().and_then(GzEncoder::finish);
    written.map_err(|error| UnpackError::Write("end of archive".to_owned(), error))
}

/// Empty folders as tar.gz, for builder images that have none.
pub(super) fn folder_archive(folders: &[&str]) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for folder in folders {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        tar.append_data(&mut header, format!("{folder}/"), io::empty())?;
    }
    tar.into_inner()?.finish()
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    name: &str,
    content: &[u8],
    (mode, uid, gid): (u32, u64, u64),
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(0);
    header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
    tar.append_data(&mut header, name, content)
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;
    use std::io::Read as _;

    use super::*;

    type Entry = (String, u32, u64, u64, String);

    fn entries(archive: &[u8]) -> Vec<Entry> {
        let mut tar = tar::Archive::new(GzDecoder::new(archive));
        let read = |entry: io::Result<tar::Entry<'_, GzDecoder<&[u8]>>>| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let (mode, uid, gid) = {
                let header = entry.header();
                (
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                )
            };
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, mode, uid, gid, text)
        };
        tar.entries().unwrap().map(read).collect()
    }

    #[test]
    fn tls_files_have_fabrics_names_and_only_the_images_user_reads_them() {
        let tls = TlsFiles {
            client_cert_pem: b"CERT".to_vec(),
            client_key_pem: b"KEY".to_vec(),
            root_cert_pem: b"ROOT".to_vec(),
        };
        let archive = tls_archive(&tls, Owner::of_image("500:501"), true).unwrap();
        let found = entries(&archive);
        let expected = [
            ("client.key", "S0VZ"),
            ("client.crt", "Q0VSVA=="),
            ("client_pem.key", "KEY"),
            ("client_pem.crt", "CERT"),
            ("peer.crt", "ROOT"),
        ];
        for ((name, mode, uid, gid, text), (file, content)) in found.iter().zip(expected) {
            assert_eq!(name, &format!("etc/hyperledger/fabric/{file}"));
            assert_eq!((*mode, *uid, *gid, text.as_str()), (0o100_400, 500, 501, content));
        }
        assert_eq!(found.len(), 5);
        let open = entries(&tls_archive(&tls, Owner::of_image("chaincode"), false).unwrap());
        assert_eq!((open[0].0.as_str(), open[0].1), ("client.key", 0o100_644));
        assert_eq!(Owner::of_image(""), Owner::User(0, 0));
        assert_eq!(Owner::of_image("1000"), Owner::User(1000, 0));
    }

    #[test]
    fn a_plugins_file_names_stay_inside() {
        let files = vec![
            ("npmrc".to_owned(), b"x".to_vec()),
            ("a/b".to_owned(), Vec::new()),
        ];
        let found = entries(&plan_archive(&files, Owner::User(0, 0)).unwrap());
        assert_eq!(
            (found[0].0.as_str(), found[0].1, found[1].0.as_str()),
            ("npmrc", 0o100_400, "a/b")
        );
        for name in ["../x", "/etc/x", "a//b", "", "."] {
            let refused = plan_archive(&[(name.to_owned(), Vec::new())], Owner::Everybody);
            assert!(matches!(refused, Err(UnpackError::Name(_))), "{name:?}");
        }
        assert_eq!(entries(&folder_archive(&["a", "a/b"]).unwrap()).len(), 2);
    }
}
