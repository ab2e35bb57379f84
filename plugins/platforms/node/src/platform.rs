//! The platform itself: Fabric's rules for the type `NODE`.

use crate::options::Options;
use crate::{build, package, payload};
use plugin_api::packages::{chain, chaincode_spec, deployment_spec};
use plugin_api::{Plan, Platform, PluginError, Result};
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

impl Platform for Node {
    fn chaincode_type(&self) -> String {
        "NODE".to_owned()
    }

    /// A local folder must exist; anything with a scheme is left to whoever fetches it.
    fn validate_spec(&self, spec: &[u8]) -> Result<()> {
        let spec = chaincode_spec(spec)?;
        let path = spec.path();
        let local = Url::parse(path).is_err();
        if local && !path.is_empty() && !Path::new(path).exists() {
            return Err(PluginError::unknown(format!(
                "path to chaincode does not exist: {path}"
            )));
        }
        Ok(())
    }

    fn validate_deployment_spec(&self, spec: &[u8]) -> Result<()> {
        let package = deployment_spec(spec)?.code_package;
        if package.is_empty() {
            return Ok(());
        }
        match package::validate(&package) {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    fn deployment_payload(&self, spec: &[u8]) -> Result<Vec<u8>> {
        payload::pack(chaincode_spec(spec)?.path()).map_err(|error| failed(&error))
    }

    fn dockerfile(&self, _deployment_spec: &[u8]) -> Result<String> {
        Ok(format!(
            "FROM {}\nADD binpackage.tar /usr/local/src",
            self.options.runtime_image
        ))
    }

    fn build_plan(&self, spec: &[u8]) -> Result<Plan> {
        let package = deployment_spec(spec)?.code_package;
        let vendored = !package.is_empty()
            && package::validate(&package)
                .map_err(|error| failed(&error))?
                .vendored;
        build::plan(&self.options, vendored).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::Code;
    use plugin_api::packages::{ChaincodeDeploymentSpec, ChaincodeSpec};
    use prost::Message;

    fn node(config: &str) -> Node {
        Node::new(Options::parse(config, &|_| None).unwrap())
    }

    fn spec(path: &str) -> Vec<u8> {
        ChaincodeSpec::of_path(path).encode_to_vec()
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
            ..ChaincodeDeploymentSpec::default()
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
