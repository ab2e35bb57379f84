//! The key of the local identity.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::digest::{Digest, SHA256, SHA384};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
};
use bytes::Bytes;
use prost::Message;
use protos::msp::SerializedIdentity;
use protos::sha256;

use crate::certificate::Certificate;
use crate::ecdsa_signature::{Curve, to_low_s};
use crate::public_key::KeyKind;

/// Labels of PEM blocks that hold a private key: PKCS#8 and SEC1.
const KEY_LABELS: [&str; 2] = ["PRIVATE KEY", "EC PRIVATE KEY"];

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The certificate's key is on no supported curve.
    #[error("the signing certificate's key is not ECDSA on P-256 or P-384")]
    UnsupportedKey,
    /// The key store holds no key that fits the certificate.
    #[error(
        "no private key for the signing certificate (SKI {ski}) in {folder}{}",
        also(unread)
    )]
    NoKey {
        /// The id of the key.
        ski: String,
        /// The key store.
        folder: String,
        /// Files of it that could not be read, and why.
        unread: Vec<String>,
    },
    /// The private key given is another certificate's, or none.
    #[error("the private key does not belong to the signing certificate")]
    OtherKey,
}

fn also(unread: &[String]) -> String {
    match unread {
        [] => String::new(),
        unread => format!(", where these could not be read: {}", unread.join(", ")),
    }
}

/// The key store refused to sign, which only a broken random source causes.
#[derive(Debug, thiserror::Error)]
#[error("failed to sign")]
pub struct SignError;

/// A certificate with its private key: signs with ECDSA over SHA-256, DER, low S.
pub struct LocalSigner {
    serialized_identity: Bytes,
    curve: Curve,
    key: EcdsaKeyPair,
}

impl LocalSigner {
    /// Pairs a certificate with its private key in PEM (PKCS#8 or SEC1).
    ///
    /// # Errors
    /// When the key is not the certificate's.
    pub fn new(msp_id: &str, certificate: &Certificate, key_pem: &[u8]) -> Result<Self, SignerError> {
        let curve = curve_of(certificate)?;
        let key = matching_key(curve, certificate, key_pem).ok_or(SignerError::OtherKey)?;
        Ok(Self::with_key(msp_id, certificate, curve, key))
    }

    /// Finds the certificate's key in a key store folder: by name, else by looking at every file.
    ///
    /// # Errors
    /// When no file holds the certificate's key.
    pub fn from_keystore(
        msp_id: &str,
        certificate: &Certificate,
        keystore: &Path,
    ) -> Result<Self, SignerError> {
        let curve = curve_of(certificate)?;
        let ski = hex::encode(certificate.key_id());
        let mut unread = BTreeSet::new();
        let mut failed = |path: &Path, error: &io::Error| {
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
            ) {
                unread.insert(format!("{}: {error}", path.display()));
            }
        };
        let mut read = |path: &Path| {
            let pem = fs::read(path).inspect_err(|error| failed(path, error)).ok()?;
            matching_key(curve, certificate, &pem)
        };
        let named = read(&keystore.join(format!("{ski}_sk")));
        let key = named.or_else(|| {
            let entries = fs::read_dir(keystore).ok()?;
            entries.flatten().find_map(|entry| read(&entry.path()))
        });
        let key = key.ok_or_else(|| SignerError::NoKey {
            ski,
            folder: keystore.display().to_string(),
            unread: unread.into_iter().collect(),
        })?;
        Ok(Self::with_key(msp_id, certificate, curve, key))
    }

    fn with_key(msp_id: &str, certificate: &Certificate, curve: Curve, key: EcdsaKeyPair) -> Self {
        let identity = SerializedIdentity {
            mspid: msp_id.to_owned(),
            id_bytes: certificate.to_pem().into(),
        };
        Self {
            serialized_identity: identity.encode_to_vec().into(),
            curve,
            key,
        }
    }

    /// The identity whose signatures these are, as `msp.SerializedIdentity`.
    #[must_use]
    pub fn serialized_identity(&self) -> Bytes {
        self.serialized_identity.clone()
    }

    /// Signs the concatenation of `parts`.
    ///
    /// # Errors
    /// When the library refuses to sign.
    pub fn sign(&self, parts: &[&[u8]]) -> Result<Bytes, SignError> {
        let hash = sha256(parts);
        // aws-lc ties P-384 to SHA-384. ECDSA signs a number, and 16 zero bytes before a SHA-256 do not change it.
        let digest = match self.curve {
            Curve::P256 => Digest::import_less_safe(&hash, &SHA256),
            Curve::P384 => {
                let mut padded = [0; 48];
                padded
                    .iter_mut()
                    .skip(16)
                    .zip(hash)
                    .for_each(|(place, byte)| *place = byte);
                Digest::import_less_safe(&padded, &SHA384)
            }
        };
        let signature = digest
            .and_then(|digest| self.key.sign_digest(&digest))
            .or(Err(SignError))?;
        let low = to_low_s(self.curve, signature.as_ref()).or(Err(SignError))?;
        Ok(low.map_or_else(|| Bytes::copy_from_slice(signature.as_ref()), Bytes::from))
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner")
            .field("curve", &self.curve)
            .finish_non_exhaustive()
    }
}

fn curve_of(certificate: &Certificate) -> Result<Curve, SignerError> {
    match certificate.key_kind() {
        KeyKind::Ec(curve) => Ok(curve),
        _ => Err(SignerError::UnsupportedKey),
    }
}

/// The key in a PEM file, if it is the certificate's.
fn matching_key(curve: Curve, certificate: &Certificate, pem: &[u8]) -> Option<EcdsaKeyPair> {
    let algorithm = match curve {
        Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
    };
    // openssl writes the curve's parameters as a block of their own before a SEC1 key
    let blocks = pem::parse_many(pem).ok()?;
    let block = blocks.iter().find(|block| KEY_LABELS.contains(&block.tag()))?;
    let key = EcdsaKeyPair::from_private_key_der(algorithm, block.contents()).ok()?;
    (key.public_key().as_ref() == certificate.public_key()).then_some(key)
}
