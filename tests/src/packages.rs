//! Chaincode packages, good and hostile.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use protos::peer::{ChaincodeDeploymentSpec, ChaincodeId, ChaincodeInput, ChaincodeSpec, chaincode_spec};
use tar::{Builder, EntryType, Header};

/// An entry of a package, whose name is not checked by the writer.
pub struct Entry<'a> {
    /// The name as it stands in the archive.
    pub name: &'a str,
    /// File, link, device …
    pub kind: EntryType,
    /// Permission bits.
    pub mode: u32,
    /// The content.
    pub content: &'a [u8],
}

impl<'a> Entry<'a> {
    /// A plain file.
    #[must_use]
    pub fn file(name: &'a str, content: &'a [u8]) -> Self {
        Self {
            name,
            kind: EntryType::Regular,
            mode: 0o100_644,
            content,
        }
    }

    /// Something else.
    #[must_use]
    pub fn of_kind(name: &'a str, kind: EntryType) -> Self {
        Self {
            name,
            kind,
            mode: 0o100_644,
            content: b"",
        }
    }
}

/// A tar.gz of these entries.
#[must_use]
pub fn archive(entries: &[Entry<'_>]) -> Bytes {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for entry in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_size(entry.content.len() as u64);
        if entry.kind == EntryType::Symlink || entry.kind == EntryType::Link {
            header.set_link_name("/etc/passwd").expect("link name");
        }
        header.set_cksum();
        builder.append(&header, entry.content).expect("tar");
    }
    builder.into_inner().expect("tar").finish().expect("gzip").into()
}

/// The smallest package that the node platform takes.
#[must_use]
pub fn node_package() -> Bytes {
    archive(&[Entry::file(
        "src/package.json",
        br#"{"name":"kv","version":"1.0.0"}"#,
    )])
}

/// A deployment spec as `install` takes it.
#[must_use]
pub fn deployment_spec(name: &str, version: &str, code_package: Bytes) -> Bytes {
    let spec = ChaincodeSpec {
        r#type: chaincode_spec::Type::Node.into(),
        chaincode_id: Some(ChaincodeId {
            name: name.into(),
            version: version.into(),
            path: "kv".into(),
        }),
        input: Some(ChaincodeInput::default()),
        ..Default::default()
    };
    ChaincodeDeploymentSpec {
        chaincode_spec: Some(spec),
        code_package,
        ..Default::default()
    }
    .encode_to_vec()
    .into()
}
