//! Chaincode packages as a client makes them: a folder becomes a deployment spec, which may be signed.

use std::path::PathBuf;

use bytes::Bytes;
use handlers::{PlatformError, Platforms};
use msp::LocalSigner;
use msp::policy::{PolicyTextError, signed_by_msp_admin};
use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload};
use protos::msp::SerializedIdentity;
use protos::now_timestamp;
use protos::peer::{
    ChaincodeDeploymentSpec, ChaincodeId, ChaincodeInput, ChaincodeSpec, Endorsement,
    SignedChaincodeDeploymentSpec, chaincode_spec,
};

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
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The language has no number in Fabric's message.
    #[error("Unknown chaincodeType: {0}")]
    Language(String),
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
    let mut spec = ChaincodeSpec {
        r#type: type_number(&kind)?,
        chaincode_id: Some(ChaincodeId {
            path: path.display().to_string(),
            name: request.name.clone(),
            version: request.version.clone(),
        }),
        input: Some(ChaincodeInput::default()),
        ..Default::default()
    };
    let bytes: Bytes = spec.encode_to_vec().into();
    platform.validate_spec(bytes.clone()).await.map_err(refused)?;
    let normalized = platform.normalize_path(bytes.clone()).await.map_err(refused)?;
    let code_package = platform.deployment_payload(bytes).await.map_err(refused)?;
    if let (Some(path), Some(id)) = (normalized, &mut spec.chaincode_id) {
        id.path = path;
    }
    let deployment = ChaincodeDeploymentSpec {
        chaincode_spec: Some(spec),
        code_package,
        ..Default::default()
    };
    Ok(deployment.encode_to_vec().into())
}

fn type_number(kind: &str) -> Result<i32, PackageError> {
    chaincode_spec::Type::from_str_name(kind)
        .map(i32::from)
        .ok_or_else(|| PackageError::Language(kind.to_owned()))
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
    /// What Init gets.
    pub input: ChaincodeInput,
}

impl DeploymentSpec<'_> {
    /// The spec's bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let spec = ChaincodeSpec {
            r#type: type_number(&self.lang.to_uppercase()).unwrap_or_default(),
            chaincode_id: Some(ChaincodeId {
                name: self.name.to_owned(),
                version: self.version.to_owned(),
                ..Default::default()
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
        instantiation_policy: instantiation_policy.clone(),
        ..Default::default()
    };
    if with_signature {
        let signature = signer
            .sign(&[deployment, &instantiation_policy, &owner])
            .map_err(|source| ClientError::Sign(Box::new(source)))?;
        signed.owner_endorsements.push(Endorsement {
            endorser: owner,
            signature,
        });
    }
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
    Ok(Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    }
    .encode_to_vec()
    .into())
}
