//! ECDSA keys whose signatures have a low S.

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm};

use crate::CryptogenError;

/// Half the order of each curve, rounded down: the largest S that Fabric takes.
const HALF_ORDER_P256: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
const HALF_ORDER_P384: [u8; 48] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe3, 0xb1, 0xa6, 0xc0, 0xfa, 0x1b, 0x96, 0xef, 0xac, 0x0d,
    0x06, 0xd9, 0x24, 0x58, 0x53, 0xbd, 0x76, 0x76, 0x0c, 0xb5, 0x66, 0x62, 0x94, 0xb9,
];

/// Each attempt has a low S with a chance of one half, so this many never fail.
const ATTEMPTS: usize = 256;

/// The curve of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Curve {
    /// P-256, signing with SHA-256.
    #[default]
    P256,
    /// P-384, signing with SHA-384.
    P384,
}

impl Curve {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        }
    }

    fn half_order(self) -> &'static [u8] {
        match self {
            Self::P256 => &HALF_ORDER_P256,
            Self::P384 => &HALF_ORDER_P384,
        }
    }
}

/// A private key.
#[derive(Debug)]
pub struct SigningKey {
    pair: KeyPair,
    curve: Curve,
}

impl SigningKey {
    /// A new key.
    pub fn generate(curve: Curve) -> Result<Self, CryptogenError> {
        let pair = KeyPair::generate_for(curve.algorithm()).map_err(CryptogenError::certificate("a key"))?;
        Ok(Self { pair, curve })
    }

    /// The key as PKCS #8 in PEM.
    pub fn pkcs8_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The key as PKCS #8.
    pub fn pkcs8_der(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// Fabric's name for a key, the "SKI": SHA-256 of the public point.
    pub fn subject_key_id(&self) -> Vec<u8> {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.pair.der_bytes())
            .as_ref()
            .to_vec()
    }
}

impl PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        self.pair.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.curve.algorithm()
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        for _ in 0..ATTEMPTS {
            let signature = rcgen::SigningKey::sign(&self.pair, message)?;
            if has_low_s(&signature, self.curve) {
                return Ok(signature);
            }
        }
        Err(rcgen::Error::RemoteKeyError)
    }
}

/// Whether the S of a signature, a DER sequence of R and S, is at most half the order of the curve.
pub(crate) fn has_low_s(signature: &[u8], curve: Curve) -> bool {
    let Some(s) = second_integer(signature) else {
        return false;
    };
    let significant = s
        .iter()
        .position(|byte| *byte != 0)
        .and_then(|at| s.get(at..))
        .unwrap_or_default();
    let half = curve.half_order();
    match significant.len().cmp(&half.len()) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => significant <= half,
        std::cmp::Ordering::Greater => false,
    }
}

/// Signatures of these curves are short enough for lengths of one byte.
fn second_integer(signature: &[u8]) -> Option<&[u8]> {
    let (content, _) = element(signature, 0x30)?;
    let (_, rest) = element(content, 0x02)?;
    let (s, rest) = element(rest, 0x02)?;
    rest.is_empty().then_some(s)
}

fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (header, rest) = der.split_at_checked(2)?;
    match header {
        [found, length @ 0..=0x7f] if *found == tag => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Curve, HALF_ORDER_P256, SigningKey, has_low_s};

    fn signature_with(s: &[u8]) -> Vec<u8> {
        let mut content = vec![0x02, 1, 1, 0x02, u8::try_from(s.len()).unwrap()];
        content.extend(s);
        let mut der = vec![0x30, u8::try_from(content.len()).unwrap()];
        der.extend(content);
        der
    }

    #[test]
    fn half_the_order_is_the_limit() {
        assert!(has_low_s(&signature_with(&HALF_ORDER_P256), Curve::P256));
        let mut above = HALF_ORDER_P256;
        above[31] += 1;
        assert!(!has_low_s(&signature_with(&above), Curve::P256));
        assert!(has_low_s(&signature_with(&above), Curve::P384));
        assert!(has_low_s(&signature_with(&[0, 1]), Curve::P256));
        let mut padded = vec![0];
        padded.extend([0xff; 32]);
        assert!(!has_low_s(&signature_with(&padded), Curve::P256));
        assert!(!has_low_s(&[0x30, 0x80], Curve::P256));
    }

    #[test]
    fn every_signature_has_a_low_s() {
        for curve in [Curve::P256, Curve::P384] {
            let key = SigningKey::generate(curve).unwrap();
            for round in 0u8..16 {
                assert!(has_low_s(
                    &rcgen::SigningKey::sign(&key, &[round]).unwrap(),
                    curve
                ));
            }
        }
    }
}
