//! [`contents`]: the files that a configuration names and the plugin reads when it is constructed. A plugin's schema says
//! which: `"x-read-at-start": true` beside the `type` of a path. An instance is good as long as they are what they were.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use std::fs::{File, metadata};
use std::io::Read;
use std::path::Path;

/// The mark in a schema.
const READ_AT_START: &str = "x-read-at-start";
/// Deepest part of a schema that is looked at, and how many parts: one that refers to itself has no end.
const MAX_DEPTH: usize = 32;
const MAX_STEPS: usize = 10_000;
/// How much of a file counts, in bytes: what plugins read when they start is small.
const MAX_SIZE: u64 = 16 << 20;

/// Paths, and the SHA-256 of what they lead to; none when it cannot be read.
pub(crate) type Contents = Vec<(String, Option<Vec<u8>>)>;

/// The files that `config` names where `schema` says that they are read. Blocking.
pub(crate) fn contents(schema: &Value, config: &Value) -> Contents {
    let mut search = Search {
        root: schema,
        steps: MAX_STEPS,
        paths: Vec::new(),
    };
    search.look(schema, config, MAX_DEPTH);
    search.paths.sort_unstable();
    search.paths.dedup();
    let with_content = |path: &str| (path.to_owned(), content(Path::new(path)));
    search.paths.into_iter().map(with_content).collect()
}

struct Search<'s, 'c> {
    root: &'s Value,
    /// What is left of [`MAX_STEPS`].
    steps: usize,
    paths: Vec<&'c str>,
}

impl<'s, 'c> Search<'s, 'c> {
    fn look(&mut self, schema: &'s Value, config: &'c Value, depth: usize) {
        let (Some(depth), Some(steps)) = (depth.checked_sub(1), self.steps.checked_sub(1)) else {
            return;
        };
        self.steps = steps;
        let is_read = schema.get(READ_AT_START) == Some(&Value::Bool(true));
        self.paths.extend(config.as_str().filter(|_| is_read));
        for same in self.alternatives(schema) {
            self.look(same, config, depth);
        }
        match (config, schema.get("properties"), schema.get("items")) {
            (Value::Object(members), Some(properties), _) => {
                for (name, member) in members {
                    if let Some(property) = properties.get(name) {
                        self.look(property, member, depth);
                    }
                }
            }
            (Value::Array(members), _, Some(items)) => {
                for member in members {
                    self.look(items, member, depth);
                }
            }
            _ => {}
        }
    }

    /// Other schemas for the same value.
    fn alternatives(&self, schema: &'s Value) -> Vec<&'s Value> {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let referred = reference.and_then(|reference| self.root.pointer(reference.strip_prefix('#')?));
        let lists = ["allOf", "anyOf", "oneOf"];
        let listed = lists.into_iter().filter_map(|word| schema.get(word)?.as_array());
        referred.into_iter().chain(listed.flatten()).collect()
    }
}

fn content(path: &Path) -> Option<Vec<u8>> {
    // opening a pipe would wait for its writer
    if !metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_SIZE).read_to_end(&mut bytes).ok()?;
    Some(digest(&SHA256, &bytes).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    #[test]
    fn files_are_found_where_the_schema_says_and_compared_by_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["a", "b", "c", "not-read"] {
            fs::write(at(name), name).unwrap();
        }
        let schema = json!({
            "properties": {
                "files": { "type": "array", "items": { "$ref": "#/$defs/file" } },
                "tls": { "properties": { "ca": { "oneOf": [{ "type": "null" }, { "$ref": "#/$defs/file" }] } } },
                "log": { "type": "string" },
                "number": { "x-read-at-start": true },
            },
            "$defs": { "file": { "type": "string", "x-read-at-start": true } },
        });
        let config = json!({
            "files": [at("b"), at("a"), at("none"), at("a"), 7, "/dev/zero"],
            "tls": { "ca": at("c"), "more": at("not-read") },
            "log": at("not-read"),
            "number": 7,
        });
        let first = contents(&schema, &config);
        let paths: Vec<&str> = first.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/dev/zero", &at("a"), &at("b"), &at("c"), &at("none")]);
        let readable: Vec<bool> = first.iter().map(|(_, content)| content.is_some()).collect();
        assert_eq!(readable, [false, true, true, true, false]);
        fs::write(at("not-read"), "changed").unwrap();
        assert_eq!(contents(&schema, &config), first);
        fs::write(at("c"), "d").unwrap();
        assert_ne!(contents(&schema, &config), first);
    }

    #[test]
    fn a_schema_without_end_has_one() {
        let again = json!({ "$ref": "#" });
        let schema = json!({
            "$ref": "#",
            "x-read-at-start": true,
            "allOf": [again, again, again],
            "properties": { "a": again },
        });
        let config = (0..100).fold(json!("/dev/null"), |inner, _| json!({ "a": inner }));
        assert_eq!(contents(&schema, &config), []);
        assert_eq!(
            contents(&schema, &json!("/dev/null")),
            [("/dev/null".to_owned(), None)]
        );
        assert_eq!(contents(&json!(true), &json!("a")), []);
    }
}
