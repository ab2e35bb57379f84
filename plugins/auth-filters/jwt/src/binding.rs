//! Whether a token belongs to the creator of the proposal that it came with.

use crate::config::{Bind, ClaimPath, Fact, Rule};
use crate::creator::Creator;
use crate::error::Refusal;
use serde_json::{Map, Value};

/// Where RFC 8705 puts the certificate's hash.
const CONFIRMATION: [&str; 2] = ["cnf", "x5t#S256"];

/// All of these must hold.
pub(crate) struct Bindings(Vec<Binding>);

struct Binding {
    claim: ClaimPath,
    fact: Fact,
}

impl Bindings {
    pub(crate) fn new(bind: Bind) -> Result<Self, String> {
        let rules = match bind {
            Bind::Not(_said) => return Ok(Self(Vec::new())),
            Bind::Rules(rules) => rules,
        };
        if rules.is_empty() {
            return Err("bind is empty: say which claims the creator must match, or none".to_owned());
        }
        let bindings = Self(rules.into_iter().map(Binding::new).collect::<Result<_, _>>()?);
        if !bindings.has(Fact::MspId) && !bindings.has(Fact::CertificateSha256) {
            tracing::warn!(
                "tokens are bound to a name, which another MSP may give to somebody else: bind mspId, too"
            );
        }
        Ok(bindings)
    }

    fn has(&self, fact: Fact) -> bool {
        self.0.iter().any(|binding| binding.fact == fact)
    }

    /// Compares claims with the creator: `msp_id` and `id_bytes` as the proposal has them.
    pub(crate) fn check(
        &self,
        claims: &Map<String, Value>,
        msp_id: &str,
        id_bytes: &[u8],
    ) -> Result<(), Refusal> {
        let needs_certificate = self.0.iter().any(|binding| binding.fact != Fact::MspId);
        let creator = needs_certificate.then(|| Creator::from_pem(id_bytes)).flatten();
        for Binding { claim, fact } in &self.0 {
            let of_creator = match fact {
                Fact::MspId => Some(msp_id.to_owned()),
                _ => creator.as_ref().and_then(|creator| creator.fact(*fact)),
            };
            let of_creator = of_creator
                .filter(|text| !text.is_empty())
                .ok_or(Refusal::NoFact(*fact))?;
            let claimed = claim.find(claims).and_then(Value::as_str);
            if claimed != Some(of_creator.as_str()) {
                return Err(Refusal::Mismatch {
                    claim: claim.clone(),
                    fact: *fact,
                });
            }
        }
        Ok(())
    }
}

impl Binding {
    fn new(rule: Rule) -> Result<Self, String> {
        let claim = match (rule.claim, rule.to) {
            (Some(claim), _) => claim,
            (None, Fact::CertificateSha256) => ClaimPath::of(CONFIRMATION),
            (None, fact) => return Err(format!("bind: say which claim must be the creator's {fact}")),
        };
        Ok(Self { claim, fact: rule.to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::creator::tests::certificate;
    use serde_json::json;

    fn bindings(bind: Value) -> Result<Bindings, String> {
        Bindings::new(serde_json::from_value(bind).map_err(|error| error.to_string())?)
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn every_rule_must_hold() {
        let rules = bindings(
            json!([{"claim": "sub", "to": "commonName"}, {"claim": ["fabric", "msp"], "to": "mspId"}]),
        );
        let rules = rules.unwrap();
        let pem = certificate(&["alice"], None);
        let check = |claims: Value, msp: &str| rules.check(&map(claims), msp, pem.as_bytes());
        let good = json!({"sub": "alice", "fabric": {"msp": "Org1MSP"}});
        assert_eq!(check(good.clone(), "Org1MSP"), Ok(()));
        let fact = |fact| move |refusal| matches!(refusal, Refusal::Mismatch { fact: of, .. } if of == fact);
        assert!(check(good, "Org2MSP").is_err_and(fact(Fact::MspId)));
        for claims in [
            json!({}),
            json!({"sub": "Alice", "fabric": {"msp": "Org1MSP"}}),
            json!({"sub": ["alice"], "fabric": {"msp": "Org1MSP"}}),
            json!({"sub": null, "fabric": {"msp": "Org1MSP"}}),
        ] {
            assert!(check(claims, "Org1MSP").is_err_and(fact(Fact::CommonName)));
        }
        let dotted = json!({"sub": "alice", "fabric.msp": "Org1MSP"});
        assert!(check(dotted, "Org1MSP").is_err_and(fact(Fact::MspId)));
    }

    #[test]
    fn the_certificate_itself_is_bound_as_rfc_8705_says() {
        let rules = bindings(json!([{"to": "certificateSha256"}])).unwrap();
        let (own, other) = (certificate(&["a"], None), certificate(&["a"], None));
        let thumbprint = Creator::from_pem(own.as_bytes())
            .unwrap()
            .fact(Fact::CertificateSha256);
        let claims = map(json!({"cnf": {"x5t#S256": thumbprint}}));
        assert_eq!(rules.check(&claims, "", own.as_bytes()), Ok(()));
        assert!(matches!(
            rules.check(&claims, "", other.as_bytes()),
            Err(Refusal::Mismatch { .. })
        ));
    }

    #[test]
    fn a_creator_without_the_fact_matches_nothing() {
        let rules = bindings(json!([{"claim": "sub", "to": "commonName"}])).unwrap();
        let claims = map(json!({"sub": ""}));
        for creator in [
            certificate(&[], None),
            certificate(&["a", "b"], None),
            certificate(&[""], None),
            String::new(),
        ] {
            assert_eq!(
                rules.check(&claims, "Org1MSP", creator.as_bytes()),
                Err(Refusal::NoFact(Fact::CommonName))
            );
        }
        let rules = bindings(json!([{"claim": "m", "to": "mspId"}])).unwrap();
        assert_eq!(
            rules.check(&map(json!({"m": ""})), "", b""),
            Err(Refusal::NoFact(Fact::MspId))
        );
    }

    #[test]
    fn no_binding_has_to_be_said() {
        assert_eq!(
            bindings(json!("none")).unwrap().check(&Map::new(), "", b""),
            Ok(())
        );
        for wrong in [
            json!([]),
            json!("nothing"),
            json!([{"to": "commonName"}]),
            json!([{"claim": "sub"}]),
        ] {
            assert!(bindings(wrong).is_err());
        }
    }
}
