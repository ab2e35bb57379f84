//! The peer's own MSP: who it is, and who may administer it.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use protos::msp::msp_role::MspRoleType;
use protos::{SignedData, wire_message};

use crate::certificate::{Certificate, CertificateError};
use crate::folder::{FolderError, required_pems};
use crate::identity::{DeserializeError, VerifyError};
use crate::msp::Msp;
use crate::msp_manager::MspManager;
use crate::principal::role_principal;
use crate::signer::{LocalSigner, SignerError};

/// Why the local MSP cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LocalMspError {
    /// The folder or its rules.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The signing certificate is none.
    #[error("the signing certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// There is no key for it.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The MSP does not vouch for the signing certificate.
    #[error("the signing certificate is not of this MSP")]
    NotIssued(#[source] DeserializeError),
    /// The signing certificate has expired.
    #[error("signing identity expired {0}s ago")]
    Expired(i64),
}

/// A policy on the local MSP, by Fabric's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalPolicy {
    /// Any valid member of the organisation.
    Members,
    /// An admin of the organisation.
    Admins,
}

impl LocalPolicy {
    /// Fabric's name of the policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Members => "Members",
            Self::Admins => "Admins",
        }
    }
}

/// Why a local policy refuses a request. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum LocalPolicyError {
    /// The creator is no identity of the local MSP.
    #[error(
        "Failed deserializing proposal creator during channelless check policy with policy [{policy}]: [{reason}]"
    )]
    Creator {
        /// The policy's name.
        policy: &'static str,
        /// Why.
        reason: String,
    },
    /// The creator does not have the role.
    #[error(
        "Failed verifying that proposal's creator satisfies local MSP principal during channelless check policy with policy [{policy}]: [{reason}]"
    )]
    Principal {
        /// The policy's name.
        policy: &'static str,
        /// Why.
        reason: String,
    },
    /// The signature is not the creator's.
    #[error(transparent)]
    Signature(#[from] VerifyError),
}

/// The local MSP with the peer's own signer.
#[derive(Debug)]
pub struct LocalMsp {
    msp: Arc<Msp>,
    signer: Arc<LocalSigner>,
    /// Only the local MSP: a cache of the identities seen.
    identities: MspManager,
}

impl LocalMsp {
    /// Loads an MSP folder with its signing certificate and key.
    ///
    /// # Errors
    /// When a part is missing, breaks a rule or has expired.
    pub fn load_folder(folder: &Path, msp_id: &str) -> Result<Self, LocalMspError> {
        Self::load_with_keystore(folder, &folder.join("keystore"), msp_id)
    }

    /// The same with the key in another folder than the MSP's own.
    ///
    /// # Errors
    /// As [`load_folder`](Self::load_folder).
    pub fn load_with_keystore(folder: &Path, keystore: &Path, msp_id: &str) -> Result<Self, LocalMspError> {
        let certificates = required_pems("signer", &folder.join("signcerts"))?;
        let msp = Arc::new(Msp::load_folder(folder, msp_id)?);
        let pem = certificates.into_iter().next().unwrap_or_default();
        let certificate = Certificate::from_pem(&pem)?;
        let signer = LocalSigner::from_keystore(msp_id, &certificate, keystore)?;
        Self::new(msp, signer)
    }

    /// Puts an MSP and the signer together.
    ///
    /// # Errors
    /// When the MSP does not vouch for the signer or its certificate has expired.
    pub fn new(msp: Arc<Msp>, signer: LocalSigner) -> Result<Self, LocalMspError> {
        let identity = msp
            .deserialize(&signer.serialized_identity())
            .map_err(LocalMspError::NotIssued)?;
        let overdue = now().saturating_sub(identity.certificate().not_after());
        if overdue > 0 {
            return Err(LocalMspError::Expired(overdue));
        }
        Ok(Self {
            identities: MspManager::new([Arc::clone(&msp)]),
            msp,
            signer: Arc::new(signer),
        })
    }

    /// The MSP.
    #[must_use]
    pub fn msp(&self) -> &Arc<Msp> {
        &self.msp
    }

    /// The signer.
    #[must_use]
    pub fn signer(&self) -> &Arc<LocalSigner> {
        &self.signer
    }

    /// The local MSP as a manager: the identities it vouches for, remembered.
    #[must_use]
    pub fn identities(&self) -> &MspManager {
        &self.identities
    }

    /// The identity the peer signs with, as `msp.SerializedIdentity`.
    #[must_use]
    pub fn serialized_identity(&self) -> Bytes {
        self.signer.serialized_identity()
    }

    /// Checks signed data against a policy on the local MSP: first the signer's role, then the signature.
    ///
    /// # Errors
    /// When the signer does not have the role or the signature is not the signer's.
    pub fn check_policy(&self, policy: LocalPolicy, signed: &SignedData) -> Result<(), LocalPolicyError> {
        let name = policy.name();
        let identity =
            self.identities
                .deserialize(&signed.identity)
                .map_err(|error| LocalPolicyError::Creator {
                    policy: name,
                    reason: wire_message(&self.as_single_msp(error)),
                })?;
        let role = match policy {
            LocalPolicy::Members => MspRoleType::Member,
            LocalPolicy::Admins => MspRoleType::Admin,
        };
        let satisfied = identity.satisfies_principal(&role_principal(self.msp.id(), role));
        satisfied.map_err(|error| LocalPolicyError::Principal {
            policy: name,
            reason: wire_message(&*error),
        })?;
        Ok(identity.verify(&signed.data, &signed.signature)?)
    }

    /// A single MSP words the refusal of a foreign identity differently than a channel's manager.
    fn as_single_msp(&self, error: DeserializeError) -> DeserializeError {
        match error {
            DeserializeError::UnknownMsp(received) => DeserializeError::OtherMsp {
                expected: self.msp.id().to_string(),
                received,
            },
            other => other,
        }
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
