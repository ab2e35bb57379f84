//! A set of public keys, as RFC 7517 writes it.

use crate::config::asymmetric;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use std::sync::Arc;
use thiserror::Error;

/// Keys that are looked at in one set; issuers publish a handful.
const MAX_KEYS: usize = 100;

/// Why a set of keys was not taken.
#[derive(Debug, Error)]
pub(crate) enum JwksError {
    /// It is something else.
    #[error("it is no JSON Web Key Set")]
    Malformed(#[source] serde_json::Error),
    /// It has too many keys.
    #[error("it has {0} keys, more than {MAX_KEYS}")]
    TooMany(usize),
    /// None of its keys can check a signature.
    #[error("none of its {0} keys can check a signature with an allowed algorithm")]
    NoUsableKey(usize),
}

/// The usable keys of a set.
#[derive(Debug)]
pub(crate) struct Jwks(Vec<Arc<Key>>);

/// A public key.
#[derive(Debug)]
pub(crate) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(crate) decoding: DecodingKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    /// Takes the keys of a set that can check signatures made with one of the `allowed` algorithms. Keys of other kinds
    /// are left out, as RFC 7517 asks for: a set may hold keys for other purposes. Secrets are among them.
    pub(crate) fn parse(json: &[u8], allowed: &[Algorithm]) -> Result<Self, JwksError> {
        let set: Set = serde_json::from_slice(json).map_err(JwksError::Malformed)?;
        let count = set.keys.len();
        if count > MAX_KEYS {
            return Err(JwksError::TooMany(count));
        }
        let keys: Vec<_> = set
            .keys
            .into_iter()
            .filter_map(|value| serde_json::from_value(value).ok())
            .filter_map(|jwk: Jwk| Key::new(&jwk, allowed))
            .map(Arc::new)
            .collect();
        if keys.is_empty() {
            return Err(JwksError::NoUsableKey(count));
        }
        Ok(Self(keys))
    }

    /// The key for a token: the one with this id; for a token that names none, the only one for its algorithm.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut found = self
            .0
            .iter()
            .filter(|key| key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id));
        let first = found.next()?;
        (id.is_some() || found.next().is_none()).then(|| Arc::clone(first))
    }
}

impl Key {
    fn new(jwk: &Jwk, allowed: &[Algorithm]) -> Option<Self> {
        let common = &jwk.common;
        let checks = common
            .public_key_use
            .as_ref()
            .is_none_or(|used| *used == PublicKeyUse::Signature)
            && common
                .key_operations
                .as_ref()
                .is_none_or(|does| does.contains(&KeyOperations::Verify));
        let suits = |algorithm: &Algorithm| {
            allowed.contains(algorithm)
                && suits(&jwk.algorithm, *algorithm)
                && common
                    .key_algorithm
                    .is_none_or(|only| only == (*algorithm).into())
        };
        let algorithms: Vec<_> = asymmetric().into_iter().filter(suits).collect();
        if !checks || algorithms.is_empty() {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithms,
            decoding: DecodingKey::from_jwk(jwk).ok()?,
        })
    }
}

/// Whether a key of this type can have made a signature with this algorithm.
fn suits(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match key {
        AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => algorithm == ES256,
            EllipticCurve::P384 => algorithm == ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519 && algorithm == EdDSA,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn p256(id: &str) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "kid": id,
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
        })
    }

    fn rsa() -> Value {
        json!({"kty": "RSA", "kid": "r", "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1", "e": "AQAB"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn parse(keys: Value) -> Result<Jwks, JwksError> {
        Jwks::parse(json!({ "keys": keys }).to_string().as_bytes(), &asymmetric())
    }

    #[test]
    fn a_key_is_found_by_id_and_algorithm() {
        let set = parse(json!([p256("a"), p256("b"), rsa()])).unwrap();
        let found = |id, algorithm| set.find(id, algorithm).map(|key| key.id.clone().unwrap());
        assert_eq!(found(Some("b"), Algorithm::ES256).as_deref(), Some("b"));
        assert_eq!(
            found(Some("b"), Algorithm::RS256),
            None,
            "the algorithm of another key"
        );
        assert_eq!(found(Some("c"), Algorithm::ES256), None);
        assert_eq!(
            found(None, Algorithm::PS384).as_deref(),
            Some("r"),
            "the only one"
        );
        assert_eq!(found(None, Algorithm::ES256), None, "which of the two?");
        assert_eq!(found(Some("r"), Algorithm::HS256), None);
    }

    #[test]
    fn keys_for_anything_else_are_left_out() {
        let secret = json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256"});
        for other in [
            secret,
            json!({"kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}),
            json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
            json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
            json!({"kty": "new"}),
            json!(7),
            with(p256("a"), "use", json!("enc")),
            with(p256("a"), "key_ops", json!(["sign"])),
            with(p256("a"), "alg", json!("ES384")),
            with(p256("a"), "alg", json!("HS256")),
            with(p256("a"), "x", json!("not base64!")),
        ] {
            let alone = parse(json!([other]));
            assert!(matches!(alone, Err(JwksError::NoUsableKey(1))), "{other}");
            let set = parse(json!([other, p256("good")])).unwrap();
            assert_eq!(set.0.len(), 1, "{other}");
        }
        let signs = with(with(p256("a"), "use", json!("sig")), "alg", json!("ES256"));
        assert!(parse(json!([signs])).is_ok());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["", "[]", "{}", r#"{"keys": 7}"#, "\u{0}"] {
            assert!(
                matches!(
                    Jwks::parse(text.as_bytes(), &asymmetric()),
                    Err(JwksError::Malformed(_))
                ),
                "{text}"
            );
        }
        assert!(matches!(parse(json!([])), Err(JwksError::NoUsableKey(0))));
        assert!(matches!(
            parse(json!(vec![p256("a"); MAX_KEYS + 1])),
            Err(JwksError::TooMany(_))
        ));
        let only = [Algorithm::RS256];
        let set = json!({ "keys": [p256("a")] }).to_string();
        assert!(
            matches!(Jwks::parse(set.as_bytes(), &only), Err(JwksError::NoUsableKey(1))),
            "not allowed"
        );
    }
}
