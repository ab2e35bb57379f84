//! Public keys of certificates, checked by aws-lc.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use x509_parser::der_parser::asn1_rs::Oid;
use x509_parser::oid_registry;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::ecdsa_signature::Curve;

/// What kind of key a certificate carries. Identities are `Ec`; CAs may be any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// A curve that identities may use.
    Ec(Curve),
    /// RSA, for CAs only.
    Rsa,
    /// Ed25519, for CAs only.
    Ed25519,
    /// Anything else: no signature of it can be checked.
    Unknown,
}

impl KeyKind {
    pub(crate) fn of(key: &SubjectPublicKeyInfo<'_>) -> Self {
        let algorithm = &key.algorithm.algorithm;
        if *algorithm == oid_registry::OID_PKCS1_RSAENCRYPTION {
            return Self::Rsa;
        }
        if *algorithm == oid_registry::OID_SIG_ED25519 {
            return Self::Ed25519;
        }
        if *algorithm != oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY {
            return Self::Unknown;
        }
        let curve = key
            .algorithm
            .parameters
            .as_ref()
            .and_then(|any| any.as_oid().ok());
        match curve {
            Some(curve) if curve == oid_registry::OID_EC_P256 => Self::Ec(Curve::P256),
            Some(curve) if curve == oid_registry::OID_NIST_EC_P384 => Self::Ec(Curve::P384),
            _ => Self::Unknown,
        }
    }
}

/// The algorithm of a certificate's or CRL's own signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    RsaSha256,
    RsaSha384,
    RsaSha512,
    Ed25519,
    Unknown,
}

impl SignatureAlgorithm {
    pub(crate) fn of(oid: &Oid<'_>) -> Self {
        let known = [
            (oid_registry::OID_SIG_ECDSA_WITH_SHA256, Self::EcdsaSha256),
            (oid_registry::OID_SIG_ECDSA_WITH_SHA384, Self::EcdsaSha384),
            (oid_registry::OID_SIG_ECDSA_WITH_SHA512, Self::EcdsaSha512),
            (oid_registry::OID_PKCS1_SHA256WITHRSA, Self::RsaSha256),
            (oid_registry::OID_PKCS1_SHA384WITHRSA, Self::RsaSha384),
            (oid_registry::OID_PKCS1_SHA512WITHRSA, Self::RsaSha512),
            (oid_registry::OID_SIG_ED25519, Self::Ed25519),
        ];
        let found = known.into_iter().find(|(candidate, _)| candidate == oid);
        found.map_or(Self::Unknown, |(_, algorithm)| algorithm)
    }

    /// Whether the signature has an S that can be high.
    pub(crate) fn is_ecdsa(self) -> bool {
        matches!(self, Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512)
    }
}

/// Whether `signature` by the key over `message` is right, for certificates and CRLs.
pub(crate) fn signed_by(
    kind: KeyKind,
    key: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Some(algorithm) = verification(kind, algorithm) else {
        return false;
    };
    signature::UnparsedPublicKey::new(algorithm, key)
        .verify(message, signature)
        .is_ok()
}

fn verification(kind: KeyKind, algorithm: SignatureAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    use SignatureAlgorithm as Sig;
    Some(match (kind, algorithm) {
        (KeyKind::Ec(Curve::P256), Sig::EcdsaSha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (KeyKind::Ec(Curve::P256), Sig::EcdsaSha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (KeyKind::Ec(Curve::P256), Sig::EcdsaSha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (KeyKind::Ec(Curve::P384), Sig::EcdsaSha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (KeyKind::Ec(Curve::P384), Sig::EcdsaSha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (KeyKind::Ec(Curve::P384), Sig::EcdsaSha512) => &signature::ECDSA_P384_SHA512_ASN1,
        (KeyKind::Rsa, Sig::RsaSha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (KeyKind::Rsa, Sig::RsaSha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (KeyKind::Rsa, Sig::RsaSha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (KeyKind::Ed25519, Sig::Ed25519) => &signature::ED25519,
        _ => return None,
    })
}

/// A parsed key of an identity: messages are signed over SHA-256 whatever the curve.
pub(crate) fn identity_key(curve: Curve, key: &[u8]) -> Option<ParsedPublicKey> {
    let parsed = match curve {
        Curve::P256 => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, key),
        Curve::P384 => ParsedPublicKey::new(&signature::ECDSA_P384_SHA256_ASN1, key),
    };
    parsed.ok()
}
