//! Index files for a document database inside a code package (Fabric internal/ccmetadata). They must be right,
//! although the state database of this peer has no use for them: other peers of the channel have.

use std::io::{self, Read};

use bytes::Bytes;
use container::{PackageTarget, UnpackError, UnpackLimits, read_package};
use serde_json::{Map, Value};

/// Where files for the state database are.
const STATEDB: &str = "META-INF/statedb/";
/// Largest index file; real ones have some hundred bytes.
const MAX_INDEX: u64 = 1024 * 1024;

/// What is wrong with a file for the state database, or with the package around it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("could not read code package")]
    Package(#[source] UnpackError),
    #[error("metadata file path or name is not supported: {0}")]
    Place(String),
    #[error("Index metadata file [{0}] is too large")]
    TooLarge(String),
    #[error("Index metadata file [{0}] is not a valid JSON")]
    NotJson(String),
    #[error("Index metadata file [{file}] is not a valid index definition: {reason}")]
    Definition { file: String, reason: String },
}

/// Checks every file below `META-INF/statedb` of a code package, which is read as builds read it.
pub(super) fn check(code_package: &Bytes) -> Result<(), IndexError> {
    if code_package.is_empty() {
        return Ok(());
    }
    let mut files = IndexFiles(None);
    let read = read_package(code_package, &mut files, &UnpackLimits::default());
    match files.0 {
        Some(fault) => Err(fault),
        None => read.map_err(IndexError::Package),
    }
}

/// The first fault that was found.
struct IndexFiles(Option<IndexError>);

impl PackageTarget for IndexFiles {
    fn folder(&mut self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, name: &str, size: u64, _: bool, content: &mut dyn Read) -> io::Result<()> {
        if !name.starts_with(STATEDB) {
            return Ok(());
        }
        let fault = if !is_index_place(name) {
            IndexError::Place(name.to_owned())
        } else if size > MAX_INDEX {
            IndexError::TooLarge(name.to_owned())
        } else {
            let mut text = Vec::new();
            content.read_to_end(&mut text)?;
            match check_index(name.to_owned(), &text) {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            }
        };
        self.0 = Some(fault);
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// `couchdb/indexes/<file>.json` or `couchdb/collections/<collection>/indexes/<file>.json`.
fn is_index_place(path: &str) -> bool {
    let below = path
        .strip_prefix(STATEDB)
        .and_then(|path| path.strip_prefix("couchdb/"));
    let parts: Vec<&str> = below.unwrap_or_default().split('/').collect();
    let collection = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let file = match parts.as_slice() {
        ["indexes", file] => file,
        ["collections", name, "indexes", file] if collection(name) => file,
        _ => return false,
    };
    file.ends_with(".json")
}

fn check_index(file: String, content: &[u8]) -> Result<(), IndexError> {
    let Ok(Value::Object(definition)) = serde_json::from_slice(content) else {
        return Err(IndexError::NotJson(file));
    };
    check_definition(&definition).map_err(|reason| IndexError::Definition { file, reason })
}

fn check_definition(definition: &Map<String, Value>) -> Result<(), String> {
    for (key, value) in definition {
        match (key.as_str(), value) {
            ("index", Value::Object(index)) => check_fields(index)?,
            ("index", _) => return Err("Invalid entry, \"index\" must be a JSON".into()),
            ("ddoc" | "name", Value::String(_)) => {}
            ("ddoc" | "name", _) => return Err(format!("Invalid entry, \"{key}\" must be a string")),
            ("type", Value::String(kind)) if kind == "json" => {}
            ("type", _) => return Err("Index type must be json".into()),
            _ => return Err(format!("Invalid Entry.  Entry {key}")),
        }
    }
    if definition.contains_key("index") {
        return Ok(());
    }
    Err("Index definition must include a \"fields\" definition".into())
}

fn check_fields(index: &Map<String, Value>) -> Result<(), String> {
    let unknown = |key: &&String| key.as_str() != "fields" && key.as_str() != "partial_filter_selector";
    if let Some(key) = index.keys().find(unknown) {
        return Err(format!("Invalid Entry.  Entry {key}"));
    }
    let fields = match index.get("fields") {
        Some(Value::Array(fields)) if !fields.is_empty() => fields,
        Some(_) => return Err("Expecting a JSON array of fields".into()),
        None => return Err("Index definition must include a \"fields\" definition".into()),
    };
    fields.iter().try_for_each(check_field)
}

fn check_field(field: &Value) -> Result<(), String> {
    match field {
        Value::String(_) => Ok(()),
        Value::Object(sorted) => sorted.values().try_for_each(|order| match order.as_str() {
            Some(order) if order.eq_ignore_ascii_case("asc") || order.eq_ignore_ascii_case("desc") => Ok(()),
            Some(order) => Err(format!(
                "Sort must be either \"asc\" or \"desc\".  \"{order}\" was found."
            )),
            None => Err("Invalid field definition, fields must be in the form \"fieldname\":\"sort\"".into()),
        }),
        _ => Err("Expecting a JSON array of fields".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    const GOOD: &str =
        r#"{"index":{"fields":["color",{"size":"desc"}]},"ddoc":"d","name":"n","type":"json"}"#;

    fn package(path: &str, content: &str) -> Bytes {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
        builder.into_inner().unwrap().finish().unwrap().into()
    }

    #[test]
    fn only_proper_index_files_pass() {
        let place = "META-INF/statedb/couchdb/indexes/i.json";
        assert!(check(&package(place, GOOD)).is_ok());
        assert!(
            check(&package(
                "META-INF/statedb/couchdb/collections/c-1/indexes/i.json",
                GOOD
            ))
            .is_ok()
        );
        assert!(check(&package("src/main.js", "not json")).is_ok());
        for path in [
            "META-INF/statedb/couchdb/indexes/i.txt",
            "META-INF/statedb/couchdb/index/i.json",
            "META-INF/statedb/leveldb/indexes/i.json",
            "META-INF/statedb/couchdb/collections/c.1/indexes/i.json",
            "META-INF/statedb/i.json",
        ] {
            assert!(
                matches!(check(&package(path, GOOD)), Err(IndexError::Place(_))),
                "{path}"
            );
        }
        for bad in [
            "{",
            "[]",
            r#"{"ddoc":"d"}"#,
            r#"{"index":{}}"#,
            r#"{"index":{"fields":[]}}"#,
            r#"{"index":{"fields":"a"}}"#,
            r#"{"index":{"fields":[1]}}"#,
            r#"{"index":{"fields":[{"a":"up"}]}}"#,
            r#"{"index":{"fields":["a"]},"type":"text"}"#,
            r#"{"index":{"fields":["a"]},"other":1}"#,
        ] {
            assert!(check(&package(place, bad)).is_err(), "{bad}");
        }
    }

    /// A name of a gigabyte is a few megabytes of gzip.
    #[test]
    fn a_package_that_is_none_costs_no_memory() {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(2 << 20);
        header.set_cksum();
        tar.append(&header, io::repeat(b'a').take(2 << 20)).unwrap();
        let package: Bytes = tar.into_inner().unwrap().finish().unwrap().into();
        let error = check(&package).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.ends_with("is larger than 16384 bytes"), "{cause}");
    }

    #[test]
    fn a_package_that_is_no_archive_is_refused() {
        assert!(matches!(
            check(&Bytes::from_static(b"junk")),
            Err(IndexError::Package(_))
        ));
    }
}
