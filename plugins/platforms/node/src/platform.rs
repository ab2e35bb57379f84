//! The platform itself: Fabric's rules for the type `NODE`.

use crate::build;
use crate::error::chain;
use crate::messages::{ChaincodeDeploymentSpec, ChaincodeSpec};
use crate::options::Options;
use crate::{package, payload};
use plugin_api::{Code, Plan, Platform, PluginError, Result};
use prost::Message;
use std::path::Path;
use url::Url;

/// Chaincode for Node.js.
pub(crate) struct Node {
    options: Options,
}

impl Node {
    pub(crate) fn new(options: Options) -> Self {
        Self { options }
    }
}

fn failed(error: &dyn std::error::Error) -> PluginError {
    PluginError::unknown(chain(error))
}

fn decode<T: Message + Default>(what: &str, bytes: &[u8]) -> Result<T> {
    T::decode(bytes).map_err(|error| {
        PluginError::new(
            Code::INVALID_ARGUMENT,
            format!("error unmarshaling {what}: {error}"),
        )
    })
}

fn path_of(chaincode_spec: &[u8]) -> Result<String> {
    let spec: ChaincodeSpec = decode("ChaincodeSpec", chaincode_spec)?;
    Ok(spec.chaincode_id.unwrap_or_default().path)
}

impl Platform for Node {
    fn chaincode_type(&self) -> String {
        "NODE".to_owned()
    }

    /// A local folder must exist; anything with a scheme is left to whoever fetches it.
    fn validate_spec(&self, chaincode_spec: &[u8]) -> Result<()> {
        let path = path_of(chaincode_spec)?;
        let local = Url::parse(&path).is_err();
        if local && !path.is_empty() && !Path::new(&path).exists() {
            return Err(PluginError::unknown(format!(
                "path to chaincode does not exist: {path}"
            )));
        }
        Ok(())
    }

    fn validate_deployment_spec(&self, deployment_spec: &[u8]) -> Result<()> {
        let spec: ChaincodeDeploymentSpec = decode("ChaincodeDeploymentSpec", deployment_spec)?;
        if spec.code_package.is_empty() {
            return Ok(());
        }
        package::validate(&spec.code_package).map_err(|error| failed(&error))
    }

    fn deployment_payload(&self, chaincode_spec: &[u8]) -> Result<Vec<u8>> {
        payload::pack(&path_of(chaincode_spec)?).map_err(|error| failed(&error))
    }

    fn dockerfile(&self, _deployment_spec: &[u8]) -> Result<String> {
        Ok(format!(
            "FROM {}\nADD binpackage.tar /usr/local/src",
            self.options.runtime_image
        ))
    }

    fn build_plan(&self, _deployment_spec: &[u8]) -> Result<Plan> {
        build::plan(&self.options).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::ChaincodeId;

    fn node(config: &str) -> Node {
        Node::new(Options::parse(config, None).unwrap())
    }

    fn spec(path: &str) -> Vec<u8> {
        ChaincodeSpec {
            chaincode_id: Some(ChaincodeId {
                path: path.to_owned(),
            }),
        }
        .encode_to_vec()
    }

    #[test]
    fn a_local_path_must_exist() {
        let node = node("{}");
        let error = node.validate_spec(&spec("/there/is/nothing")).unwrap_err();
        assert_eq!(
            error.message,
            "path to chaincode does not exist: /there/is/nothing"
        );
        assert!(node.validate_spec(&spec("/")).is_ok());
        assert!(node.validate_spec(&spec("https://example.com/cc")).is_ok());
        assert!(node.validate_spec(b"").is_ok());
        assert_eq!(
            node.validate_spec(b"\xff").unwrap_err().code,
            Code::INVALID_ARGUMENT
        );
        let error = node.deployment_payload(&spec("")).unwrap_err();
        assert_eq!(error.message, "ChaincodeSpec's path cannot be empty");
    }

    #[test]
    fn an_absent_package_is_valid_and_a_wrong_one_is_not() {
        let node = node("{}");
        assert!(node.validate_deployment_spec(b"").is_ok());
        let garbage = ChaincodeDeploymentSpec {
            code_package: "garbage".into(),
        }
        .encode_to_vec();
        let error = node.validate_deployment_spec(&garbage).unwrap_err();
        assert!(
            error
                .message
                .starts_with("failure opening codepackage gzip stream: ")
        );
    }

    #[test]
    fn the_dockerfile_starts_from_the_configured_image() {
        let lines = node(r#"{"runtimeImage": "acme/node:1"}"#)
            .dockerfile(b"")
            .unwrap();
        assert_eq!(lines, "FROM acme/node:1\nADD binpackage.tar /usr/local/src");
    }
}
