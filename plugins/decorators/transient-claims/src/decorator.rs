//! The decorator itself.

use crate::config::Config;
use plugin_api::{Code, Decorator, Editor, PluginError, Request, Result};
use serde_json::{Map, Value};

/// Most claims that become decorations of their own.
const MAX_CLAIMS: usize = 256;

/// Sets decorations from a fact.
pub(crate) struct TransientClaims(Config);

impl TransientClaims {
    pub(crate) fn new(config: Config) -> Self {
        Self(config)
    }

    /// What the chaincode gets for a fact: names and values.
    fn decorations(&self, fact: Option<&[u8]>) -> Result<Vec<(String, Vec<u8>)>> {
        let Some(fact) = fact else {
            return match self.0.required {
                true => Err(PluginError::denied(format!(
                    "no filter has said {}, which this peer's chaincode needs",
                    self.0.attribute
                ))),
                false => Ok(Vec::new()),
            };
        };
        let mut decorations = Vec::new();
        if let Some(name) = &self.0.decoration {
            decorations.push((name.clone(), fact.to_vec()));
        }
        if let Some(prefix) = self.0.prefix() {
            for (name, value) in self.claims(fact)? {
                decorations.push((format!("{prefix}{name}"), text(value)));
            }
        }
        Ok(decorations)
    }

    fn claims(&self, fact: &[u8]) -> Result<Map<String, Value>> {
        let wrong = |what: String| {
            // the filter's fault or the configuration's, not the client's
            PluginError::new(Code::INTERNAL, format!("{} {what}", self.0.attribute))
        };
        let claims: Map<String, Value> = serde_json::from_slice(fact)
            .map_err(|error| wrong(format!("is no JSON object ({:?} error)", error.classify())))?;
        if claims.len() > MAX_CLAIMS {
            return Err(wrong(format!("has more than {MAX_CLAIMS} members")));
        }
        Ok(claims)
    }
}

/// Text without quotation marks, everything else as JSON.
fn text(value: Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

impl Decorator for TransientClaims {
    fn decorate(&self, request: &Request, input: &mut Editor<'_>) -> Result<()> {
        let fact = request.attr(self.0.attribute.as_str().into()).into_option();
        for (name, value) in self.decorations(fact.as_deref())? {
            input.set_decoration(name.as_str().into(), value.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decorations(config: Value, fact: Option<&str>) -> Result<Vec<(String, String)>> {
        let decorator = TransientClaims::new(serde_json::from_value(config).unwrap());
        let made = decorator.decorations(fact.map(str::as_bytes))?;
        Ok(made
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
            .collect())
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn claims_become_decorations_of_their_own_or_one() {
        let fact = r#"{"age": 7, "email": "a@b", "roles": ["x", "y"], "staff": true}"#;
        let one_each = [
            ("claim.age", "7"),
            ("claim.email", "a@b"),
            ("claim.roles", r#"["x","y"]"#),
            ("claim.staff", "true"),
        ];
        assert_eq!(decorations(json!({}), Some(fact)).unwrap(), owned(&one_each));
        let whole = json!({"decoration": "claims"});
        assert_eq!(
            decorations(whole, Some(fact)).unwrap(),
            owned(&[("claims", fact)])
        );
        let both = json!({"decoration": "all", "prefix": ""});
        assert_eq!(
            decorations(both, Some(r#"{"a": "b"}"#)).unwrap(),
            owned(&[("all", r#"{"a": "b"}"#), ("a", "b")])
        );
        let text = json!({"attribute": "ext-authz.user", "decoration": "user"});
        assert_eq!(
            decorations(text, Some("alice")).unwrap(),
            owned(&[("user", "alice")])
        );
    }

    #[test]
    fn absence_matters_when_it_is_said_to_and_garbage_always() {
        assert_eq!(decorations(json!({}), None).unwrap(), []);
        let missing = decorations(json!({"required": true}), None).unwrap_err();
        assert_eq!(missing.code, Code::PERMISSION_DENIED);
        assert!(missing.message.contains("jwt.claims"), "{}", missing.message);
        assert_eq!(decorations(json!({"required": true}), Some("{}")).unwrap(), []);
        let nested = "[".repeat(100_000);
        let large = json!(
            (0..=MAX_CLAIMS)
                .map(|n| (n.to_string(), json!(n)))
                .collect::<Map<_, _>>()
        )
        .to_string();
        for garbage in ["", "7", "[]", "{", "alice", &nested, &large] {
            let error = decorations(json!({}), Some(garbage)).unwrap_err();
            assert!(error.message.starts_with("jwt.claims "), "{}", error.message);
        }
    }
}
