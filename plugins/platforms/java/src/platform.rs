//! The platform itself: Fabric's rules for the type `JAVA`.

use crate::options::Options;
use crate::{build, package, payload};
use plugin_api::packages::{chain, chaincode_spec, deployment_spec};
use plugin_api::{Plan, Platform, PluginError, Result};
use std::path::Path;
use url::Url;

/// Chaincode for the Java virtual machine.
pub(crate) struct Java {
    options: Options,
}

impl Java {
    pub(crate) fn new(options: Options) -> Self {
        Self { options }
    }
}

fn failed(error: &dyn std::error::Error) -> PluginError {
    PluginError::unknown(chain(error))
}

impl Platform for Java {
    fn chaincode_type(&self) -> String {
        "JAVA".to_owned()
    }

    /// A local folder must exist; anything with a scheme is left to whoever fetches it.
    fn validate_spec(&self, spec: &[u8]) -> Result<()> {
        let spec = chaincode_spec(spec)?;
        let path = spec.path();
        if Url::parse(path).is_err() && !path.is_empty() && !Path::new(path).exists() {
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
        package::validate(&package).map_err(|error| failed(&error))
    }

    fn deployment_payload(&self, spec: &[u8]) -> Result<Vec<u8>> {
        payload::pack(chaincode_spec(spec)?.path()).map_err(|error| failed(&error))
    }

    fn dockerfile(&self, _deployment_spec: &[u8]) -> Result<String> {
        Ok(format!(
            "FROM {}\nADD binpackage.tar /root/chaincode-java/chaincode",
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
    use plugin_api::Code;
    use plugin_api::packages::{ChaincodeDeploymentSpec, ChaincodeSpec};
    use prost::Message;

    fn java(config: &str) -> Java {
        Java::new(Options::parse(config, &|_| None).unwrap())
    }

    fn spec(path: &str) -> Vec<u8> {
        ChaincodeSpec::of_path(path).encode_to_vec()
    }

    #[test]
    fn a_local_path_must_exist() {
        let java = java("{}");
        let error = java.validate_spec(&spec("/there/is/nothing")).unwrap_err();
        assert_eq!(
            error.message,
            "path to chaincode does not exist: /there/is/nothing"
        );
        assert!(java.validate_spec(&spec("https://example.com/cc")).is_ok());
        assert_eq!(
            java.validate_spec(b"\xff").unwrap_err().code,
            Code::INVALID_ARGUMENT
        );
    }

    #[test]
    fn an_absent_package_is_valid_and_a_wrong_one_is_not() {
        let java = java("{}");
        assert!(java.validate_deployment_spec(b"").is_ok());
        let garbage = ChaincodeDeploymentSpec {
            code_package: "garbage".into(),
            ..ChaincodeDeploymentSpec::default()
        };
        let error = java
            .validate_deployment_spec(&garbage.encode_to_vec())
            .unwrap_err();
        assert!(
            error
                .message
                .starts_with("failure opening codepackage gzip stream: ")
        );
    }

    #[test]
    fn the_dockerfile_starts_from_the_configured_image() {
        let lines = java(r#"{"runtimeImage": "acme/java:1"}"#)
            .dockerfile(b"")
            .unwrap();
        assert_eq!(
            lines,
            "FROM acme/java:1\nADD binpackage.tar /root/chaincode-java/chaincode"
        );
    }
}
