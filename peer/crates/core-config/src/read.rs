//! Turns a value of a layer into the canonical form of its key.

use std::path::Path;

use serde_json::Value;

use crate::{go_values, known::Kind, yaml};

/// The folders that relative paths of a layer start from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folders<'a> {
    /// The folder of core.yaml.
    pub(crate) config: &'a Path,
    /// The folder of whatever states the value.
    pub(crate) layer: &'a Path,
}

/// What was expected instead.
pub(crate) type Expected = &'static str;

/// The canonical form of `value`: booleans, numbers and lists as such, texts as texts, paths absolute.
/// `None` when it says nothing: a key without a value, or an empty text where a text has no meaning.
pub(crate) fn canonical(kind: Kind, value: Value, folders: Folders<'_>) -> Result<Option<Value>, Expected> {
    if value.is_null() || (value.as_str() == Some("") && !matches!(kind, Kind::Text | Kind::Path)) {
        return Ok(None);
    }
    match kind {
        Kind::Text => text(value, "a text").map(Value::from),
        Kind::OneOf(words) => one_of(value, words).map(Value::from),
        Kind::Path => text(value, "a path").map(|path| absolute(folders.config, &path)),
        Kind::Bool => boolean(&value).map(Value::from).ok_or("true or false"),
        Kind::Integer => integer(&value).map(Value::from).ok_or("a whole number"),
        Kind::Number => number(&value).ok_or("a number"),
        Kind::Duration => duration(value),
        Kind::Texts => texts(value, go_values::words).map(Value::from),
        Kind::List => texts(value, |text| vec![text.to_owned()]).map(Value::from),
        Kind::Paths => Ok(all_absolute(folders.config, texts(value, go_values::words)?)),
        Kind::PathsOfLayer => Ok(all_absolute(folders.layer, texts(value, go_values::words)?)),
    }
    .map(Some)
}

fn text(value: Value, expected: Expected) -> Result<String, Expected> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(expected),
    }
}

fn one_of(value: Value, words: &'static [&'static str]) -> Result<&'static str, Expected> {
    let given = text(value, "a word")?;
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(given.trim()));
    found.copied().ok_or(match words {
        ["auto", "off", "required"] => "auto, off or required",
        ["process", "docker"] => "process or docker",
        ["never", "missing", "always"] => "never, missing or always",
        ["prometheus", "disabled", "statsd"] => "prometheus, disabled or statsd",
        _ => "one of the words in the shipped core.yaml",
    })
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => go_values::boolean(text),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => text
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(Value::from),
        _ => None,
    }
}

fn duration(value: Value) -> Result<Value, Expected> {
    const EXPECTED: Expected = "a duration such as 300s, 1m30s or 1.5h (a bare number means nanoseconds)";
    let text = text(value, EXPECTED)?;
    match go_values::duration(&text) {
        Some(_) => Ok(Value::from(text)),
        None => Err(EXPECTED),
    }
}

/// The texts of a list, in YAML or JSON as well, or those that `split` finds in a single text.
fn texts(value: Value, split: impl Fn(&str) -> Vec<String>) -> Result<Vec<String>, Expected> {
    const EXPECTED: Expected = "a list of texts, or texts separated by blanks";
    match value {
        Value::Array(items) => items.into_iter().map(|item| text(item, EXPECTED)).collect(),
        Value::String(list) if list.trim_start().starts_with('[') => match yaml::parse(&list) {
            Ok(Value::Array(items)) => items.into_iter().map(|item| text(item, EXPECTED)).collect(),
            _ => Err(EXPECTED),
        },
        other => text(other, EXPECTED).map(|list| split(&list)),
    }
}

fn all_absolute(folder: &Path, paths: Vec<String>) -> Value {
    paths
        .iter()
        .filter(|path| !path.is_empty())
        .map(|path| absolute(folder, path))
        .collect()
}

/// `path` against `folder`, without `.` and without touching `..` (which may cross a link); an empty path
/// stays empty, which means that there is none.
fn absolute(folder: &Path, path: &str) -> Value {
    if path.is_empty() {
        return Value::from("");
    }
    let joined: std::path::PathBuf = folder.join(path).components().collect();
    Value::from(joined.to_string_lossy().into_owned())
}
