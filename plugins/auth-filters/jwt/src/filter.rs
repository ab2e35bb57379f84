//! The filter itself.

use crate::binding::Bindings;
use crate::config::{ClaimPath, Config, Times};
use crate::error::Refusal;
use crate::fetch::Source;
use crate::keys::Keys;
use crate::token::{Claims, Verifier};
use plugin_api::{Filter, Flow, Request, Result};
use serde_json::Map;

/// Fact with the token's subject.
const SUBJECT: &str = "jwt.sub";
/// Fact with the chosen claims.
const CLAIMS: &str = "jwt.claims";

/// Lets a proposal pass that comes with its creator's token.
pub(crate) struct Jwt {
    verifier: Verifier,
    keys: Keys,
    bindings: Bindings,
    claims: Vec<ClaimPath>,
}

impl Jwt {
    pub(crate) fn new(config: Config) -> std::result::Result<Self, String> {
        let times = Times::try_from(&config.keys)?;
        let source = Source::new(&config.keys)?;
        let verifier = Verifier::new(&config);
        for (index, path) in config.claims.iter().enumerate() {
            let same = |other: &ClaimPath| other.to_string() == path.to_string();
            if config.claims.iter().take(index).any(same) {
                return Err(format!("claims: two of them would be named {path}"));
            }
        }
        Ok(Self {
            verifier,
            bindings: Bindings::new(config.bind)?,
            keys: Keys::new(source, config.algorithms, times)?,
            claims: config.claims,
        })
    }

    async fn check(&self, request: &Request) -> std::result::Result<(), Refusal> {
        let header = request.attr(self.verifier.fact().as_str().into()).into_option();
        let claims = self.verifier.verify(header.as_deref(), &self.keys).await?;
        self.bindings
            .check(&claims, request.msp_id().as_str(), &request.creator_cert())?;
        let set = |name: &str, value: &[u8]| request.set_attr(name.into(), value.to_vec().into());
        say(&claims, &self.claims, set)
    }
}

/// Tells later filters and decorators; fails when they would not hear it.
fn say(
    claims: &Claims,
    chosen: &[ClaimPath],
    set: impl Fn(&str, &[u8]) -> bool,
) -> std::result::Result<(), Refusal> {
    let set = |name: &str, value: &[u8]| set(name, value).then_some(()).ok_or(Refusal::NotTaken);
    if let Some(subject) = claims.get("sub").and_then(|subject| subject.as_str()) {
        set(SUBJECT, subject.as_bytes())?;
    }
    if chosen.is_empty() {
        return Ok(());
    }
    let chosen: Map<_, _> = chosen
        .iter()
        .filter_map(|path| Some((path.to_string(), path.find(claims)?.clone())))
        .collect();
    set(CLAIMS, serde_json::Value::Object(chosen).to_string().as_bytes())
}

impl Filter for Jwt {
    type State = ();

    async fn before(&self, request: &Request) -> Result<Flow<()>> {
        self.check(request).await?;
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nobody_would_hear_is_a_refusal() {
        let claims = json!({"sub": "alice", "email": "a@example.com"});
        let claims = claims.as_object().unwrap();
        let chosen = [ClaimPath::of(["email"])];
        for full in [SUBJECT, CLAIMS] {
            assert_eq!(
                say(claims, &chosen, |name, _| name != full),
                Err(Refusal::NotTaken)
            );
        }
        assert_eq!(say(claims, &chosen, |_, _| true), Ok(()));
        assert_eq!(say(&Claims::new(), &[], |_, _| false), Ok(()), "nothing to say");
    }
}
