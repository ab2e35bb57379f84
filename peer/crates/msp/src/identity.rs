//! Identities: a certificate that an MSP's CAs vouch for, and the signatures of its key.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{Context, Digest, SHA256};
use aws_lc_rs::signature::ParsedPublicKey;
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use protos::msp::{MspPrincipal, SerializedIdentity};
use protos::sha256;

use crate::certificate::{Certificate, CertificateError};
use crate::chain::{ChainError, X509Error};
use crate::ecdsa_signature::{Curve, SignatureFormatError, check_low_s};
use crate::msp::{Msp, certifiers_identifier};
use crate::organizational_units::Units;
use crate::principal::{PrincipalError, satisfies};
use crate::public_key::{KeyKind, identity_key};
use crate::validate::{ValidateError, validate};

/// Most principals whose answer one identity remembers: policies of a channel name a handful of them.
const MAX_REMEMBERED_PRINCIPALS: usize = 64;

/// Longest principal that is remembered; roles are far shorter.
const MAX_REMEMBERED_PRINCIPAL: usize = 256;

/// Why bytes are not an identity of an MSP. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum DeserializeError {
    /// Not a `SerializedIdentity`.
    #[error("could not deserialize a SerializedIdentity")]
    Undecodable(#[source] prost::DecodeError),
    /// Of another MSP than the one asked.
    #[error("expected MSP ID {expected}, received {received}")]
    OtherMsp {
        /// The MSP asked.
        expected: String,
        /// The MSP the identity names.
        received: String,
    },
    /// Of an MSP the channel does not have.
    #[error("MSP {0} is unknown")]
    UnknownMsp(String),
    /// The channel has no MSP at all.
    #[error("channel doesn't exist")]
    NoMsps,
    /// Not a certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A key that identities may not have.
    #[error("failed to import certificate's public key")]
    UnsupportedKey,
    /// No CA of the MSP vouches for it.
    #[error(transparent)]
    NotIssued(ChainError),
}

/// Why a signature is not the identity's. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The signature's numbers are refused before the key is asked.
    #[error("could not determine the validity of the signature")]
    Format(#[source] SignatureFormatError),
    /// The key did not make it.
    #[error("The signature is invalid")]
    Invalid,
}

type PrincipalKey = (i32, Bytes);
type Remembered = HashMap<PrincipalKey, Result<(), Arc<PrincipalError>>>;

/// A member (perhaps) of one MSP. Whether it is valid is asked with [`Identity::validate`].
pub struct Identity {
    msp: Arc<Msp>,
    serialized: Bytes,
    certificate: Certificate,
    chain: Vec<Arc<Certificate>>,
    id: String,
    curve: Curve,
    key: ParsedPublicKey,
    validation: OnceLock<Result<(), Arc<ValidateError>>>,
    principals: Mutex<Remembered>,
}

impl Msp {
    /// Reads an identity of this MSP from a serialized `msp.SerializedIdentity`.
    ///
    /// # Errors
    /// When the bytes are no identity, name another MSP or no CA of the MSP vouches for it.
    pub fn deserialize(self: &Arc<Self>, serialized: &[u8]) -> Result<Identity, DeserializeError> {
        let identity = SerializedIdentity::decode(serialized).map_err(DeserializeError::Undecodable)?;
        if identity.mspid != *self.id {
            return Err(DeserializeError::OtherMsp {
                expected: self.id.to_string(),
                received: identity.mspid,
            });
        }
        Identity::new(Arc::clone(self), serialized, &identity.id_bytes)
    }
}

impl Identity {
    pub(crate) fn new(msp: Arc<Msp>, serialized: &[u8], pem: &[u8]) -> Result<Self, DeserializeError> {
        let certificate = Certificate::from_pem(pem)?;
        let KeyKind::Ec(curve) = certificate.key_kind() else {
            return Err(DeserializeError::UnsupportedKey);
        };
        let key = identity_key(curve, certificate.public_key()).ok_or(DeserializeError::UnsupportedKey)?;
        let (certificate, chain) = issued(&msp, certificate).map_err(DeserializeError::NotIssued)?;
        Ok(Self {
            id: hex::encode(sha256(&[certificate.der()])),
            msp,
            // a copy: the bytes may be a slice of a whole request, which must not stay alive with the identity
            serialized: Bytes::copy_from_slice(serialized),
            certificate,
            chain,
            curve,
            key,
            validation: OnceLock::new(),
            principals: Mutex::default(),
        })
    }

    /// The id of the identity's MSP.
    #[must_use]
    pub fn msp_id(&self) -> &Arc<str> {
        self.msp.id()
    }

    /// The identity's id inside its MSP: hexadecimal SHA-256 of the certificate.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The bytes the identity was read from.
    #[must_use]
    pub fn serialized(&self) -> &Bytes {
        &self.serialized
    }

    /// The certificate, with low S in its own signature.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Checks that the identity's key signed `message`.
    ///
    /// # Errors
    /// When the signature is malformed, has a high S or is another key's.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        self.verify_parts(&[message], signature)
    }

    /// Checks that the identity's key signed the concatenation of `parts`.
    ///
    /// # Errors
    /// As [`Identity::verify`].
    pub fn verify_parts(&self, parts: &[&[u8]], signature: &[u8]) -> Result<(), VerifyError> {
        let signature = check_low_s(self.curve, signature).map_err(VerifyError::Format)?;
        let mut digest = Context::new(self.msp.signature_hash);
        for part in parts {
            digest.update(part);
        }
        // aws-lc ties keys to SHA-2; ECDSA itself signs the number that any hash of this length is
        let digest = Digest::import_less_safe(digest.finish().as_ref(), &SHA256);
        let checked = digest.and_then(|digest| self.key.verify_digest_sig(&digest, &signature));
        checked.or(Err(VerifyError::Invalid))
    }

    /// Checks the identity against its MSP: chain, revocation and units. The answer is kept.
    ///
    /// # Errors
    /// When the identity is not a valid member.
    pub fn validate(&self) -> Result<(), Arc<ValidateError>> {
        let validated = || validate(&self.msp, &self.certificate).map_err(Arc::new);
        self.validation.get_or_init(validated).clone()
    }

    /// Checks the identity against a principal. The answer is kept.
    ///
    /// # Errors
    /// When the identity does not satisfy the principal.
    pub fn satisfies_principal(&self, principal: &MspPrincipal) -> Result<(), Arc<PrincipalError>> {
        let key = (principal.principal_classification, principal.principal.clone());
        if let Some(answer) = self.principals.lock().get(&key) {
            return answer.clone();
        }
        let answer = satisfies(self, principal).map_err(Arc::new);
        let mut remembered = self.principals.lock();
        if remembered.len() < MAX_REMEMBERED_PRINCIPALS && key.1.len() <= MAX_REMEMBERED_PRINCIPAL {
            let key = (key.0, Bytes::copy_from_slice(&key.1));
            remembered.insert(key, answer.clone());
        }
        answer
    }

    pub(crate) fn msp(&self) -> &Arc<Msp> {
        &self.msp
    }

    /// The units with the CAs that vouch for them; `None` when the chain breaks a rule.
    pub(crate) fn units(&self) -> Option<Units> {
        self.msp.certification_chain(&self.certificate).ok()?;
        Some(Units {
            names: self.certificate.organizational_units().to_vec(),
            certifiers: certifiers_identifier(&self.chain),
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("msp", &self.msp.id())
            .field("subject", &self.certificate.subject())
            .finish_non_exhaustive()
    }
}

/// Finds the CAs above a certificate and gives it low S.
pub(crate) fn issued(
    msp: &Msp,
    certificate: Certificate,
) -> Result<(Certificate, Vec<Arc<Certificate>>), ChainError> {
    let chain = msp.cas.parents(&certificate)?;
    let Some(parent) = chain.first().cloned() else {
        return Ok((certificate, chain));
    };
    let malformed = Err(ChainError::NotValid(X509Error::UnknownAuthority));
    certificate
        .sanitized(&parent)
        .or(malformed)
        .map(|certificate| (certificate, chain))
}
