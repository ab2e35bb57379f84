//! One package: a plain `ChaincodeDeploymentSpec`, or a signed one inside an envelope.

use std::borrow::Cow;
use std::path::PathBuf;

use bytes::Bytes;
use container::ChaincodeSource;
use prost::{DecodeError, Message};
use protos::common::{Envelope, HeaderType};
use protos::peer::{
    CdsData, ChaincodeData, ChaincodeDeploymentSpec, ChaincodeId, Endorsement, SignedCdsData,
    SignedChaincodeDeploymentSpec,
};
use protos::{MAX_MESSAGE_SIZE, UnpackedEnvelope, chaincode_type_text, sha256};

/// Why bytes are no package, or a package cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// More bytes than a proposal can carry.
    #[error("chaincode package has {size} bytes, the limit is {MAX_MESSAGE_SIZE}")]
    TooLarge {
        /// The package's size.
        size: u64,
    },
    /// The bytes are neither form.
    #[error("failed to unmarshal {0}")]
    Undecodable(&'static str, #[source] DecodeError),
    /// The bytes are neither form: no envelope with a payload and a header.
    #[error("failed to unmarshal envelope from bytes")]
    NoEnvelope(#[source] protos::EnvelopeError),
    /// An envelope, but of something else.
    #[error("invalid type of envelope for chaincode package")]
    OtherEnvelope,
    /// Something that the package must have is missing or not as it must be.
    #[error("{0}")]
    Invalid(String),
    /// A file with this name and version exists.
    #[error("chaincode {} exists", .0.display())]
    Exists(PathBuf),
    /// The file system refuses.
    #[error("{action} {}", .path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// Why an installed package does not fit a definition.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// There is no readable package.
    #[error("invalid deployment spec")]
    Package(protos::ChaincodeId, #[source] PackageError),
    /// It is of another chaincode.
    #[error("chaincode fingerprint mismatch: invalid chaincode data {defined} ({installed})")]
    OtherChaincode {
        /// Name and version in the definition.
        defined: protos::ChaincodeId,
        /// Name and version in the package.
        installed: protos::ChaincodeId,
    },
    /// The definition's fingerprint does not decode.
    #[error("chaincode fingerprint mismatch")]
    Undecodable(#[source] DecodeError),
    /// It has other code, or other signers.
    #[error("chaincode fingerprint mismatch: data mismatch")]
    Mismatch,
    /// The definition has another instantiation policy than the package.
    #[error("Instantiation policy mismatch for cc {0}")]
    Policy(protos::ChaincodeId),
}

/// Checks a chaincode's name by Fabric 1.4's rule. It also makes the name safe as part of a file name.
///
/// # Errors
/// With Fabric's text.
pub fn check_name(name: &str) -> Result<(), PackageError> {
    // ^[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*$
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if name.split(['-', '_']).all(word) {
        return Ok(());
    }
    Err(PackageError::Invalid(format!(
        "invalid chaincode name '{name}'. Names must start with an alphanumeric character and can only \
         consist of alphanumerics, '_', and '-'"
    )))
}

/// Checks a chaincode's version by Fabric 1.4's rule.
///
/// # Errors
/// With Fabric's text.
pub fn check_version(version: &str) -> Result<(), PackageError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    if !version.is_empty() && version.bytes().all(allowed) {
        return Ok(());
    }
    Err(PackageError::Invalid(format!(
        "invalid chaincode version '{version}'. Versions must not be empty and can only consist of \
         alphanumerics, '_',  '-', '+', and '.'"
    )))
}

/// What only a signed package has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signed {
    instantiation_policy: Bytes,
    signature_hash: [u8; 32],
}

/// A package whose every level decoded. Name and version have not been checked against any rule.
#[derive(Clone, Debug)]
pub struct Package {
    raw: Bytes,
    deployment_spec_bytes: Bytes,
    deployment_spec: ChaincodeDeploymentSpec,
    id: protos::ChaincodeId,
    code_hash: [u8; 32],
    metadata_hash: [u8; 32],
    signed: Option<Signed>,
}

impl Package {
    /// Reads a package in either form: a plain deployment spec first, then a signed one.
    ///
    /// # Errors
    /// The reason of the second attempt when the bytes are neither.
    pub fn parse(raw: Bytes) -> Result<Self, PackageError> {
        if raw.len() > MAX_MESSAGE_SIZE {
            return Err(PackageError::TooLarge {
                size: u64::try_from(raw.len()).unwrap_or(u64::MAX),
            });
        }
        match plain_spec(raw.clone()) {
            Ok(spec) => Self::new(raw.clone(), raw, spec, None),
            Err(_not_plain) => Self::parse_signed(raw),
        }
    }

    fn parse_signed(raw: Bytes) -> Result<Self, PackageError> {
        let envelope = Envelope::decode(raw.clone())
            .map_err(|source| PackageError::Undecodable("envelope from bytes", source))?;
        let envelope = UnpackedEnvelope::try_from(envelope).map_err(PackageError::NoEnvelope)?;
        if envelope.channel_header.r#type != i32::from(HeaderType::ChaincodePackage) {
            return Err(PackageError::OtherEnvelope);
        }
        let signed = SignedChaincodeDeploymentSpec::decode(envelope.data)
            .map_err(|source| PackageError::Undecodable("SignedChaincodeDeploymentSpec", source))?;
        let spec = plain_spec(signed.chaincode_deployment_spec.clone())?;
        if signed.instantiation_policy.is_empty() {
            let id = id_of(&spec)?;
            return Err(PackageError::Invalid(format!(
                "instantiation policy cannot be nil for chaincode ({id})"
            )));
        }
        check_endorsements(&signed.owner_endorsements)?;
        let mut hashed: Vec<&[u8]> = vec![&signed.instantiation_policy];
        hashed.extend(
            signed
                .owner_endorsements
                .iter()
                .map(|owner| owner.endorser.as_ref()),
        );
        let parts = Signed {
            signature_hash: sha256(&hashed),
            instantiation_policy: signed.instantiation_policy,
        };
        Self::new(raw, signed.chaincode_deployment_spec, spec, Some(parts))
    }

    fn new(
        raw: Bytes,
        deployment_spec_bytes: Bytes,
        deployment_spec: ChaincodeDeploymentSpec,
        signed: Option<Signed>,
    ) -> Result<Self, PackageError> {
        let id = id_of(&deployment_spec)?;
        Ok(Self {
            raw,
            deployment_spec_bytes,
            code_hash: sha256(&[&deployment_spec.code_package]),
            metadata_hash: sha256(&[id.name.as_bytes(), id.version.as_bytes()]),
            deployment_spec,
            id,
            signed,
        })
    }

    /// Name and version.
    #[must_use]
    pub fn id(&self) -> &protos::ChaincodeId {
        &self.id
    }

    /// What a runtime builds.
    #[must_use]
    pub fn source(&self) -> ChaincodeSource {
        ChaincodeSource {
            id: self.id.to_string(),
            name: self.id.name.to_string(),
            version: self.id.version.to_string(),
            chaincode_type: self.chaincode_type().into_owned(),
            deployment_spec: self.deployment_spec_bytes.clone(),
            code_package: self.code_package().clone(),
        }
    }

    /// The bytes as received, which are what is stored.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The deployment spec; of a signed package the inner one.
    #[must_use]
    pub fn deployment_spec(&self) -> &ChaincodeDeploymentSpec {
        &self.deployment_spec
    }

    /// The same as bytes, which are what clients and platforms get.
    #[must_use]
    pub fn deployment_spec_bytes(&self) -> &Bytes {
        &self.deployment_spec_bytes
    }

    /// The code, a tar.gz.
    #[must_use]
    pub fn code_package(&self) -> &Bytes {
        &self.deployment_spec.code_package
    }

    /// The language: the name of `ChaincodeSpec.Type`, or the number of a language that Fabric does not know.
    #[must_use]
    pub fn chaincode_type(&self) -> Cow<'static, str> {
        let spec = self.deployment_spec.chaincode_spec.as_ref();
        chaincode_type_text(spec.map_or(0, |spec| spec.r#type))
    }

    /// The path that the client named when it packed the code.
    #[must_use]
    pub fn path(&self) -> &str {
        chaincode_id(&self.deployment_spec).map_or("", |id| id.path.as_str())
    }

    /// The instantiation policy that a signed package carries.
    #[must_use]
    pub fn instantiation_policy(&self) -> Option<&Bytes> {
        self.signed.as_ref().map(|signed| &signed.instantiation_policy)
    }

    /// The fingerprint of the whole package.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        match &self.signed {
            None => sha256(&[&self.code_hash, &self.metadata_hash]),
            Some(signed) => sha256(&[&self.code_hash, &self.metadata_hash, &signed.signature_hash]),
        }
    }

    /// What LSCC stores of this package: name, version, fingerprints and the package's own policy.
    #[must_use]
    pub fn chaincode_data(&self) -> ChaincodeData {
        ChaincodeData {
            name: self.id.name.to_string(),
            version: self.id.version.to_string(),
            data: self.hashes().into(),
            id: self.fingerprint().to_vec().into(),
            instantiation_policy: self.instantiation_policy().cloned().unwrap_or_default(),
            ..Default::default()
        }
    }

    fn hashes(&self) -> Vec<u8> {
        let codehash = self.code_hash.to_vec().into();
        let metadatahash = self.metadata_hash.to_vec().into();
        match &self.signed {
            None => CdsData {
                codehash,
                metadatahash,
            }
            .encode_to_vec(),
            Some(signed) => SignedCdsData {
                codehash,
                metadatahash,
                signaturehash: signed.signature_hash.to_vec().into(),
            }
            .encode_to_vec(),
        }
    }
}

/// Whether what is installed is what a definition means (Fabric `ValidateCC` and the policy check).
pub(super) fn validate(
    installed: &ChaincodeData,
    signed: bool,
    defined: &ChaincodeData,
) -> Result<(), SecurityError> {
    let id = |data: &ChaincodeData| protos::ChaincodeId::new(&data.name, &data.version);
    if id(installed) != id(defined) {
        return Err(SecurityError::OtherChaincode {
            defined: id(defined),
            installed: id(installed),
        });
    }
    if signed {
        same_hashes::<SignedCdsData>(installed, defined)?;
        if installed.instantiation_policy != defined.instantiation_policy {
            return Err(SecurityError::Policy(id(installed)));
        }
        return Ok(());
    }
    same_hashes::<CdsData>(installed, defined)
}

/// Compares decoded, as Fabric does: the bytes in the ledger may be another encoder's.
fn same_hashes<M: Message + Default + PartialEq>(
    installed: &ChaincodeData,
    defined: &ChaincodeData,
) -> Result<(), SecurityError> {
    let decode = |data: &ChaincodeData| M::decode(data.data.clone()).map_err(SecurityError::Undecodable);
    if decode(installed)? == decode(defined)? {
        Ok(())
    } else {
        Err(SecurityError::Mismatch)
    }
}

fn chaincode_id(spec: &ChaincodeDeploymentSpec) -> Option<&ChaincodeId> {
    spec.chaincode_spec.as_ref()?.chaincode_id.as_ref()
}

fn id_of(spec: &ChaincodeDeploymentSpec) -> Result<protos::ChaincodeId, PackageError> {
    let id = chaincode_id(spec)
        .ok_or_else(|| PackageError::Invalid("chaincode deployment spec names no chaincode".into()))?;
    Ok(protos::ChaincodeId::new(&id.name, &id.version))
}

/// Protobuf reads much into other messages' bytes: only what names a chaincode is a deployment spec.
fn plain_spec(bytes: Bytes) -> Result<ChaincodeDeploymentSpec, PackageError> {
    let spec = ChaincodeDeploymentSpec::decode(bytes)
        .map_err(|source| PackageError::Undecodable("deployment spec from bytes", source))?;
    let id = id_of(&spec)?;
    if id.name.chars().any(char::is_control) {
        let name: &str = &id.name;
        return Err(PackageError::Invalid(format!("invalid chaincode name: {name:?}")));
    }
    Ok(spec)
}

/// Owners' signatures are not verified here, but each must be one: all of the package is endorsed, or none.
fn check_endorsements(owners: &[Endorsement]) -> Result<(), PackageError> {
    let complete = |owner: &Endorsement| !owner.endorser.is_empty() && !owner.signature.is_empty();
    if owners.iter().all(complete) {
        return Ok(());
    }
    Err(PackageError::Invalid(
        "an owner endorsement without endorser or signature: all of a package must be endorsed, or none"
            .into(),
    ))
}
