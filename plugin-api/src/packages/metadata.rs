//! Files below `META-INF`: definitions of state database indexes, checked as Fabric checks them.

use serde_json::{Map, Value};

/// Checks one file below `META-INF`; `path` is relative to the package.
///
/// # Errors
/// Fabric's text for what is wrong with it.
pub fn validate(path: &str, content: &[u8]) -> Result<(), String> {
    let parts: Vec<&str> = path.split('/').collect();
    let index = match parts.as_slice() {
        ["META-INF", "statedb", "couchdb", "indexes", .., file] => file.ends_with(".json"),
        [
            "META-INF",
            "statedb",
            "couchdb",
            "collections",
            name,
            "indexes",
            ..,
            file,
        ] => is_collection(name) && file.ends_with(".json"),
        _ => false,
    };
    if !index {
        return Err(unsupported(path));
    }
    let Ok(Value::Object(definition)) = serde_json::from_slice(content) else {
        return Err(format!("Index metadata file [{path}] is not a valid JSON"));
    };
    validate_definition(&definition)
        .map_err(|error| format!("Index metadata file [{path}] is not a valid index definition: {error}"))
}

fn is_collection(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn unsupported(path: &str) -> String {
    let folder = path
        .rfind('/')
        .and_then(|end| path.get(..=end))
        .unwrap_or_default();
    let parts: Vec<&str> = folder.trim_end_matches('/').split('/').collect();
    match parts.as_slice() {
        ["META-INF", "statedb", database, _, ..] if *database != "couchdb" => {
            format!("database name [{database}] is not supported, valid options: [couchdb]")
        }
        ["META-INF", "statedb", _, last] if *last != "indexes" => {
            format!("metadata file path does not have an indexes directory: {folder}")
        }
        ["META-INF", "statedb", _, "collections", name, "indexes"] if !is_collection(name) => {
            format!("collection name is not valid: {name}")
        }
        ["META-INF", "statedb", _, _, ..] => format!("metadata file path or name is not supported: {folder}"),
        ["META-INF", "statedb", ..] => {
            format!("metadata file path must include a database and index directory: {folder}")
        }
        _ => format!("metadata file path must begin with META-INF/statedb, found: {folder}"),
    }
}

fn validate_definition(definition: &Map<String, Value>) -> Result<(), String> {
    for (key, value) in definition {
        match (key.as_str(), value) {
            ("index", Value::Object(index)) => validate_index(index)?,
            ("index", _) => return Err("Invalid entry, \"index\" must be a JSON".to_owned()),
            ("ddoc" | "name", Value::String(_)) => {}
            ("ddoc" | "name", _) => return Err(format!("Invalid entry, \"{key}\" must be a string")),
            ("type", Value::String(kind)) if kind == "json" => {}
            ("type", _) => return Err("Index type must be json".to_owned()),
            _ => return Err(format!("Invalid Entry.  Entry {key}")),
        }
    }
    if definition.contains_key("index") {
        return Ok(());
    }
    Err("Index definition must include a \"fields\" definition".to_owned())
}

fn validate_index(index: &Map<String, Value>) -> Result<(), String> {
    for (key, value) in index {
        match (key.as_str(), value) {
            ("fields", Value::Array(fields)) => fields.iter().try_for_each(validate_field)?,
            ("fields", _) => return Err("Expecting a JSON array of fields".to_owned()),
            ("partial_filter_selector", _) => {}
            _ => return Err(format!("Invalid Entry.  Entry {key}")),
        }
    }
    Ok(())
}

fn validate_field(field: &Value) -> Result<(), String> {
    let Value::Object(sorted) = field else {
        return Ok(());
    };
    for sort in sorted.values() {
        match sort {
            Value::String(sort) if ["asc", "desc"].contains(&sort.to_lowercase().as_str()) => {}
            Value::String(sort) => {
                return Err(format!(
                    "Sort must be either \"asc\" or \"desc\".  \"{sort}\" was found."
                ));
            }
            _ => {
                let text = "Invalid field definition, fields must be in the form \"fieldname\":\"sort\"";
                return Err(text.to_owned());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &[u8] =
        br#"{"index":{"fields":["owner",{"size":"desc"}]},"ddoc":"d","name":"n","type":"json"}"#;

    #[test]
    fn indexes_are_accepted_where_they_belong() {
        for path in [
            "META-INF/statedb/couchdb/indexes/a.json",
            "META-INF/statedb/couchdb/collections/my_coll-1/indexes/a.json",
        ] {
            assert_eq!(validate(path, INDEX), Ok(()), "{path}");
        }
    }

    #[test]
    fn other_places_are_refused() {
        for (path, text) in [
            ("META-INF/a.json", "must begin with META-INF/statedb"),
            ("META-INF/statedb/a.json", "must include a database"),
            (
                "META-INF/statedb/mongo/indexes/a.json",
                "database name [mongo] is not supported",
            ),
            (
                "META-INF/statedb/couchdb/index/a.json",
                "does not have an indexes directory",
            ),
            (
                "META-INF/statedb/couchdb/collections/a b/indexes/a.json",
                "collection name is not valid",
            ),
            ("META-INF/statedb/couchdb/indexes/a.txt", "not supported"),
        ] {
            let error = validate(path, INDEX).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn wrong_definitions_are_refused() {
        let path = "META-INF/statedb/couchdb/indexes/a.json";
        for (content, text) in [
            ("{", "is not a valid JSON"),
            ("[]", "is not a valid JSON"),
            ("{}", "must include a \"fields\" definition"),
            (r#"{"index": 1}"#, "\"index\" must be a JSON"),
            (r#"{"index": {"fields": 1}}"#, "Expecting a JSON array"),
            (r#"{"index": {"fields": [{"a": "up"}]}}"#, "Sort must be either"),
            (r#"{"index": {"fields": [{"a": 1}]}}"#, "Invalid field definition"),
            (r#"{"index": {"other": 1}}"#, "Invalid Entry.  Entry other"),
            (r#"{"index": {}, "type": "text"}"#, "Index type must be json"),
            (r#"{"index": {}, "name": 1}"#, "\"name\" must be a string"),
        ] {
            let error = validate(path, content.as_bytes()).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
