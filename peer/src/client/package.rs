//! Chaincode packages as a client makes them: a folder becomes a deployment spec, which may be signed.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use handlers::{PlatformError, Platforms};
use msp::LocalSigner;
use msp::policy::{PolicyTextError, signed_by_msp_admin};
use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload};
use protos::msp::SerializedIdentity;
use protos::peer::{
    ChaincodeDeploymentSpec, ChaincodeId, ChaincodeInput, ChaincodeSpec, Endorsement,
    SignedChaincodeDeploymentSpec, chaincode_spec,
};
use protos::{UnpackedEnvelope, chaincode_type_number, now_timestamp, wire_message};

use super::ClientError;
use super::proposal::signature_header;

/// What to package.
#[derive(Clone, Debug)]
pub struct PackageRequest {
    /// The chaincode's name.
    pub name: String,
    /// The chaincode's version.
    pub version: String,
    /// The chaincode's folder, or what else its language goes by, such as an import path.
    pub path: PathBuf,
    /// The chaincode's language.
    pub lang: String,
    /// What Fabric's CLI puts into a package as its input; nothing reads it.
    pub input: ChaincodeInput,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The platform's plugin refused.
    #[error("could not package {}", path.display())]
    Platform {
        /// The chaincode's folder.
        path: PathBuf,
        /// What the plugin said.
        #[source]
        source: PlatformError,
    },
    /// The instantiation policy does not parse.
    #[error("invalid instantiation policy")]
    Policy(#[from] PolicyTextError),
    /// The package or the identity does not decode.
    #[error("malformed package")]
    Malformed(#[from] prost::DecodeError),
    /// Signing failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file is no package, or another one than was asked for.
    #[error("{0}")]
    Other(String),
}

/// Packages a folder with the platform of its language.
///
/// # Errors
/// When there is no such platform or it refuses the folder.
pub async fn package(platforms: &Platforms, request: &PackageRequest) -> Result<Bytes, PackageError> {
    // What is no folder may be something that only the platform knows, such as an import path.
    let path = std::fs::canonicalize(&request.path).unwrap_or_else(|_no_folder| request.path.clone());
    let refused = |source| PackageError::Platform {
        path: request.path.clone(),
        source,
    };
    let kind = request.lang.to_uppercase();
    let platform = platforms.by_type(&kind).map_err(refused)?;
    let spec = |path: &Path| ChaincodeSpec {
        r#type: chaincode_type_number(&kind),
        chaincode_id: Some(ChaincodeId {
            path: path.display().to_string(),
            name: request.name.clone(),
            version: request.version.clone(),
        }),
        input: Some(request.input.clone()),
        ..Default::default()
    };
    let bytes: Bytes = spec(&path).encode_to_vec().into();
    platform.validate_spec(bytes.clone()).await.map_err(refused)?;
    let normalized = platform.normalize_path(bytes.clone()).await.map_err(refused)?;
    let code_package = platform.deployment_payload(bytes).await.map_err(refused)?;
    let deployment = ChaincodeDeploymentSpec {
        // as the language names it, else as it was typed: where the folder lies on this machine is nobody else's
        // business
        chaincode_spec: Some(spec(
            &normalized.map_or_else(|| request.path.clone(), PathBuf::from),
        )),
        code_package,
        ..Default::default()
    };
    Ok(deployment.encode_to_vec().into())
}

/// A deployment spec without code, as instantiate and upgrade send it.
#[derive(Clone, Debug)]
pub struct DeploymentSpec<'a> {
    /// The chaincode's name.
    pub name: &'a str,
    /// The chaincode's version.
    pub version: &'a str,
    /// The chaincode's language.
    pub lang: &'a str,
    /// The chaincode's folder, if it was said.
    pub path: Option<&'a Path>,
    /// What Init gets.
    pub input: ChaincodeInput,
}

impl DeploymentSpec<'_> {
    /// The spec's bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        // the installed package says what it is; Fabric's committers refuse a number that they do not know
        let lang = chaincode_spec::Type::from_str_name(&self.lang.to_uppercase());
        let spec = ChaincodeSpec {
            r#type: lang.unwrap_or(chaincode_spec::Type::Golang).into(),
            chaincode_id: Some(ChaincodeId {
                name: self.name.to_owned(),
                version: self.version.to_owned(),
                path: self
                    .path
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
            }),
            input: Some(self.input),
            ..Default::default()
        };
        ChaincodeDeploymentSpec {
            chaincode_spec: Some(spec),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

/// Wraps a deployment spec into a signed package (Fabric core/common/ccpackage).
///
/// # Errors
/// When the policy does not parse or signing fails.
pub fn sign_package(
    deployment: &Bytes,
    instantiation_policy: Option<&str>,
    with_signature: bool,
    signer: &LocalSigner,
) -> Result<Bytes, PackageError> {
    let owner = signer.serialized_identity();
    let policy = match instantiation_policy {
        Some(text) => msp::policy::from_string(text)?,
        None => signed_by_msp_admin(&SerializedIdentity::decode(owner.clone())?.mspid),
    };
    let instantiation_policy: Bytes = policy.encode_to_vec().into();
    let mut signed = SignedChaincodeDeploymentSpec {
        chaincode_deployment_spec: deployment.clone(),
        instantiation_policy,
        ..Default::default()
    };
    if with_signature {
        add_signature(&mut signed, signer)?;
    }
    Ok(signed_package(&signed, signer))
}

/// Adds a signature to a signed package.
///
/// # Errors
/// When the bytes are no signed package, it carries no signature yet, or this identity has signed it already.
pub fn sign_again(package: &Bytes, signer: &LocalSigner) -> Result<Bytes, PackageError> {
    let envelope = Envelope::decode(package.clone())?;
    let unpacked = UnpackedEnvelope::try_from(envelope)
        .map_err(|error| PackageError::Other(format!("not a signed package: {}", wire_message(&error))))?;
    if unpacked.channel_header.r#type != i32::from(HeaderType::ChaincodePackage) {
        return Err(PackageError::Other(
            "invalid type of envelope for chaincode package".to_owned(),
        ));
    }
    let mut signed = SignedChaincodeDeploymentSpec::decode(unpacked.data)?;
    let owner = signer.serialized_identity();
    if signed.owner_endorsements.is_empty() {
        return Err(PackageError::Other(
            "the package was made without a signature, make it with package -s -S".to_owned(),
        ));
    }
    if signed.owner_endorsements.iter().any(|one| one.endorser == owner) {
        return Err(PackageError::Other(
            "this identity has signed the package already".to_owned(),
        ));
    }
    add_signature(&mut signed, signer)?;
    Ok(signed_package(&signed, signer))
}

fn add_signature(
    signed: &mut SignedChaincodeDeploymentSpec,
    signer: &LocalSigner,
) -> Result<(), PackageError> {
    let owner = signer.serialized_identity();
    let signature = signer
        .sign(&[
            &signed.chaincode_deployment_spec,
            &signed.instantiation_policy,
            &owner,
        ])
        .map_err(|source| ClientError::Sign(Box::new(source)))?;
    signed.owner_endorsements.push(Endorsement {
        endorser: owner,
        signature,
    });
    Ok(())
}

fn signed_package(signed: &SignedChaincodeDeploymentSpec, signer: &LocalSigner) -> Bytes {
    let channel_header = ChannelHeader {
        r#type: HeaderType::ChaincodePackage.into(),
        timestamp: Some(now_timestamp()),
        ..Default::default()
    };
    let header = Header {
        channel_header: channel_header.encode_to_vec().into(),
        signature_header: signature_header(signer).encode_to_vec().into(),
    };
    let payload = Payload {
        header: Some(header),
        data: signed.encode_to_vec().into(),
    };
    Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    }
    .encode_to_vec()
    .into()
}

/// Checks that a package is of the chaincode and version that were asked for, as far as they were.
///
/// # Errors
/// With Fabric's texts.
pub fn expect_package(
    package: &Bytes,
    name: Option<&str>,
    version: Option<&str>,
) -> Result<(), PackageError> {
    let parsed = chaincode::Package::parse(package.clone())
        .map_err(|error| PackageError::Other(wire_message(&error)))?;
    let id = parsed.id();
    if let Some(name) = name.filter(|name| **name != *id.name) {
        let text = format!("chaincode name {name} does not match name {} in package", id.name);
        return Err(PackageError::Other(text));
    }
    if let Some(version) = version.filter(|version| **version != *id.version) {
        let text = format!(
            "chaincode version {version} does not match version {} in packages",
            id.version
        );
        return Err(PackageError::Other(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::identities::{ADMIN, Identities, USER};

    fn deployment(name: &str, version: &str) -> Bytes {
        let spec = DeploymentSpec {
            name,
            version,
            lang: "node",
            path: None,
            input: ChaincodeInput::default(),
        };
        let mut deployment = ChaincodeDeploymentSpec::decode(spec.encode().as_slice()).unwrap();
        deployment.code_package = Bytes::from_static(b"code");
        deployment.encode_to_vec().into()
    }

    #[test]
    fn a_package_file_must_be_what_was_asked_for() {
        let package = deployment("kv", "1.0");
        for (name, version) in [(None, None), (Some("kv"), None), (Some("kv"), Some("1.0"))] {
            expect_package(&package, name, version).unwrap();
        }
        let other = expect_package(&package, Some("n"), None).unwrap_err();
        assert_eq!(
            other.to_string(),
            "chaincode name n does not match name kv in package"
        );
        let other = expect_package(&package, None, Some("2")).unwrap_err();
        assert_eq!(
            other.to_string(),
            "chaincode version 2 does not match version 1.0 in packages"
        );
        expect_package(&Bytes::from_static(b"garbage"), None, None).unwrap_err();
    }

    #[test]
    fn owners_sign_a_package_one_after_the_other_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::ensure(folder.path().join("crypto-config")).unwrap();
        let (admin, user) = (
            identities.load_user(ADMIN).unwrap(),
            identities.load_user(USER).unwrap(),
        );
        let deployment = deployment("kv", "1.0");
        let unsigned = sign_package(&deployment, None, false, admin.signer()).unwrap();
        let refused = sign_again(&unsigned, user.signer()).unwrap_err().to_string();
        assert!(refused.contains("without a signature"), "{refused}");
        let one = sign_package(&deployment, None, true, admin.signer()).unwrap();
        let refused = sign_again(&one, admin.signer()).unwrap_err().to_string();
        assert_eq!(refused, "this identity has signed the package already");
        let two = sign_again(&one, user.signer()).unwrap();
        expect_package(&two, Some("kv"), Some("1.0")).unwrap();
        let envelope = Envelope::decode(two).unwrap();
        let payload = Payload::decode(envelope.payload).unwrap();
        let signed = SignedChaincodeDeploymentSpec::decode(payload.data).unwrap();
        let owners: Vec<_> = signed
            .owner_endorsements
            .into_iter()
            .map(|one| one.endorser)
            .collect();
        assert_eq!(owners, [admin.serialized_identity(), user.serialized_identity()]);
        assert!(
            sign_again(&deployment, user.signer()).is_err(),
            "a plain package has no owners"
        );
    }
}
