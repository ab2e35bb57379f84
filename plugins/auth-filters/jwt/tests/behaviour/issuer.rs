//! An issuer of tokens.

use crate::harness::{AUDIENCE, ISSUER};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// Good claims, with others put in or (null) left out.
pub fn claims(more: Value) -> Value {
    let mut claims =
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now() + 300, "nbf": now() - 5 });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// Base64url of JSON.
pub fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// A key of the issuer.
pub struct Signer {
    id: String,
    algorithm: Algorithm,
    kind: Kind,
}

enum Kind {
    Library(EncodingKey),
    /// The library does not get the public part out of what rcgen writes: it is kept.
    Edwards(EncodingKey, Vec<u8>),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl Signer {
    /// A new key for this algorithm.
    pub fn new(id: &str, algorithm: Algorithm) -> Self {
        let made =
            |key: &'static rcgen::SignatureAlgorithm| KeyPair::generate_for(key).unwrap().serialize_der();
        let kind = match algorithm {
            Algorithm::ES256 => Kind::Library(EncodingKey::from_ec_der(&made(&PKCS_ECDSA_P256_SHA256))),
            Algorithm::ES384 => Kind::Library(EncodingKey::from_ec_der(&made(&PKCS_ECDSA_P384_SHA384))),
            Algorithm::EdDSA => {
                let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
                let encoding = EncodingKey::from_ed_der(&key.serialize_der());
                Kind::Edwards(encoding, key.public_key_raw().to_vec())
            }
            Algorithm::RS256 => Kind::Rsa(rsa(), &RSA_PKCS1_SHA256),
            Algorithm::PS256 => Kind::Rsa(rsa(), &RSA_PSS_SHA256),
            other => panic!("no key for {other:?}"),
        };
        Self {
            id: id.to_owned(),
            algorithm,
            kind,
        }
    }

    /// The public part.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.kind {
            Kind::Library(key) => json!(Jwk::from_encoding_key(key, self.algorithm).unwrap()),
            Kind::Edwards(_, public) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(public)})
            }
            Kind::Rsa(pair, _) => {
                let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({"kty": "RSA", "n": number(n.big_endian_without_leading_zero()), "e": number(e.big_endian_without_leading_zero())})
            }
        };
        jwk["kid"] = json!(self.id);
        jwk
    }

    /// A token with these claims and the usual header.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(json!({ "kid": self.id }), claims)
    }

    /// A token with more in its header.
    pub fn token_with(&self, header: Value, claims: &Value) -> String {
        let mut whole = json!({ "typ": "JWT", "alg": self.algorithm });
        for (name, value) in header.as_object().unwrap() {
            whole[name] = value.clone();
        }
        match &self.kind {
            Kind::Library(key) | Kind::Edwards(key, _) => {
                let header: Header = serde_json::from_value(whole).unwrap();
                encode(&header, claims, key).unwrap()
            }
            Kind::Rsa(pair, encoding) => {
                let message = format!("{}.{}", part(&whole), part(claims));
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    *encoding,
                    &SystemRandom::new(),
                    message.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
            }
        }
    }
}

fn rsa() -> RsaKeyPair {
    let made = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    RsaKeyPair::from_pkcs8(&made.serialize_der()).unwrap()
}

/// A set of the public parts.
pub fn jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    let keys: Vec<_> = signers.into_iter().map(Signer::jwk).collect();
    json!({ "keys": keys }).to_string()
}
