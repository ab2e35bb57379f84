//! The values in force, for `peer config print --effective`.

use figment::{
    Figment, Profile, Provider,
    value::{Dict, Value as FigmentValue},
};
use serde_json::Value;

use crate::{known::dotted, layers::Source};

const MASK: &str = "***";

/// One value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The dotted key.
    pub key: String,
    /// The value: a text as it is, anything else as JSON.
    pub value: String,
    /// Where it was stated.
    pub source: Source,
}

pub(crate) fn values(
    figment: &Figment,
    sources: &[Source],
) -> Result<Vec<EffectiveValue>, Box<figment::Error>> {
    let mut found = Vec::new();
    let data = figment.data()?;
    if let Some(tree) = data.get(&Profile::Default) {
        collect(figment, sources, tree, "", &mut found)?;
    }
    Ok(found)
}

fn collect(
    figment: &Figment,
    sources: &[Source],
    tree: &Dict,
    prefix: &str,
    found: &mut Vec<EffectiveValue>,
) -> Result<(), Box<figment::Error>> {
    for (name, value) in tree {
        let key = dotted(prefix, name);
        match value {
            FigmentValue::Dict(_, inner) => collect(figment, sources, inner, &key, found)?,
            leaf => {
                let name = figment
                    .get_metadata(leaf.tag())
                    .map(|metadata| metadata.name.as_ref());
                let source = sources
                    .iter()
                    .find(|source| Some(source.to_string().as_str()) == name);
                let value = shown(&key, &leaf.deserialize::<Value>()?);
                found.push(EffectiveValue {
                    key,
                    value,
                    source: source.cloned().unwrap_or(Source::Shipped),
                });
            }
        }
    }
    Ok(())
}

/// How a value is printed: texts as they are, the rest as JSON, secrets never.
pub(crate) fn shown(key: &str, value: &Value) -> String {
    match masked(key, value.clone()) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn masked(key: &str, value: Value) -> Value {
    match value {
        Value::String(text) if is_secret(key) && !text.is_empty() => Value::from(MASK),
        Value::String(text) => Value::from(without_credentials(&text)),
        Value::Number(_) if is_secret(key) => Value::from(MASK),
        Value::Array(items) => items.into_iter().map(|item| masked(key, item)).collect(),
        Value::Object(tree) => tree
            .into_iter()
            .map(|(name, value)| (name.clone(), masked(&name, value)))
            .collect(),
        other => other,
    }
}

/// A text without the user and password of URLs in it, whatever the key is called.
fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("://");
        let authority = part.split(['/', '?', '#', ',', '|', ' ']).next();
        let user = authority.and_then(|authority| authority.rfind('@'));
        match user.and_then(|end| part.get(end..)) {
            Some(host) => {
                shown.push_str(MASK);
                shown.push_str(host);
            }
            None => shown.push_str(part),
        }
    }
    shown
}

fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    name == "pin"
        || ["password", "secret", "token"]
            .iter()
            .any(|word| name.ends_with(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shown;

    #[test]
    fn secrets_are_masked_at_every_depth() {
        assert_eq!(shown("ledger.state.couchDBConfig.password", &json!("s3")), "***");
        assert_eq!(shown("ledger.state.couchDBConfig.password", &json!("")), "");
        let filters = json!([{"name": "x", "config": {"authToken": "t", "pin": 1234, "url": "u"}}]);
        let printed: serde_json::Value =
            serde_json::from_str(&shown("peer.handlers.platforms", &filters)).unwrap();
        let expected = json!([{"name": "x", "config": {"authToken": "***", "pin": "***", "url": "u"}}]);
        assert_eq!(printed, expected);
        assert_eq!(shown("peer.id", &json!("jdoe")), "jdoe");
    }

    #[test]
    fn credentials_in_urls_are_masked() {
        for (text, printed) in [
            ("http://me:s3@npm:4873/a", "http://***@npm:4873/a"),
            ("https://r.example/@acme", "https://r.example/@acme"),
            ("https://a,http://s3@b|direct", "https://a,http://***@b|direct"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(shown("chaincode.node.registry", &json!(text)), printed);
        }
        let nested = json!([{"config": {"goProxy": "https://me:s3@p"}}]);
        assert!(!shown("peer.handlers.platforms", &nested).contains("s3"));
    }
}
