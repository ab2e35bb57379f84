//! The platform itself: Fabric's rules for the type `GOLANG`.

use crate::options::Options;
use crate::package::Contents;
use crate::payload::Source;
use crate::{build, package};
use plugin_api::packages::{chain, chaincode_spec, deployment_spec};
use plugin_api::{Plan, Platform, PluginError, Result};
use std::path::Path;
use url::Url;

/// Chaincode in Go.
pub(crate) struct Golang {
    options: Options,
}

impl Golang {
    pub(crate) fn new(options: Options) -> Self {
        Self { options }
    }
}

fn failed(error: &dyn std::error::Error) -> PluginError {
    PluginError::unknown(chain(error))
}

/// The source that an encoded `ChaincodeSpec` names.
fn source(spec: &[u8]) -> Result<Source> {
    Source::find(chaincode_spec(spec)?.path()).map_err(|error| failed(&error))
}

impl Platform for Golang {
    fn chaincode_type(&self) -> String {
        "GOLANG".to_owned()
    }

    /// A folder must be one; whether an import path leads to something only the go command knows. Anything with a
    /// scheme is left to whoever fetches it.
    fn validate_spec(&self, spec: &[u8]) -> Result<()> {
        let spec = chaincode_spec(spec)?;
        let path = spec.path();
        if Url::parse(path).is_err() && Path::new(path).is_absolute() && !Path::new(path).exists() {
            let missing = crate::error::PathError::Missing(path.to_owned());
            return Err(failed(&missing));
        }
        Ok(())
    }

    fn validate_deployment_spec(&self, spec: &[u8]) -> Result<()> {
        let spec = deployment_spec(spec)?;
        if spec.code_package.is_empty() {
            return Ok(());
        }
        match package::validate(&spec.code_package, spec.path()) {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    fn deployment_payload(&self, spec: &[u8]) -> Result<Vec<u8>> {
        source(spec)?.pack().map_err(|error| failed(&error))
    }

    fn dockerfile(&self, _deployment_spec: &[u8]) -> Result<String> {
        Ok(format!(
            "FROM {}\nADD binpackage.tar /usr/local/bin",
            self.options.runtime_image
        ))
    }

    fn build_plan(&self, spec: &[u8]) -> Result<Plan> {
        let spec = deployment_spec(spec)?;
        let contents = match spec.code_package.is_empty() {
            true => Contents::default(),
            false => package::validate(&spec.code_package, spec.path()).map_err(|error| failed(&error))?,
        };
        build::plan(&self.options, &contents, spec.path()).map_err(|error| failed(&error))
    }

    fn normalize_path(&self, spec: &[u8]) -> Result<Option<String>> {
        Ok(Some(source(spec)?.import_path().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::of_files;
    use plugin_api::Code;
    use plugin_api::packages::{ChaincodeDeploymentSpec, ChaincodeSpec};
    use prost::Message;
    use std::fs;

    fn golang(config: &str) -> Golang {
        Golang::new(Options::parse(config, &|_| None).unwrap())
    }

    fn spec(path: &str) -> Vec<u8> {
        ChaincodeSpec::of_path(path).encode_to_vec()
    }

    #[test]
    fn a_local_path_must_exist() {
        let golang = golang("{}");
        let error = golang.validate_spec(&spec("/there/is/nothing")).unwrap_err();
        assert_eq!(
            error.message,
            "path to chaincode does not exist: /there/is/nothing"
        );
        for good in ["/", "example.com/kv", "https://example.com/cc", ""] {
            assert!(golang.validate_spec(&spec(good)).is_ok(), "{good}");
        }
        assert_eq!(
            golang.validate_spec(b"\xff").unwrap_err().code,
            Code::INVALID_ARGUMENT
        );
        let error = golang.deployment_payload(&spec("")).unwrap_err();
        assert_eq!(error.message, "ChaincodeSpec's path cannot be empty");
    }

    #[test]
    fn a_folder_is_known_by_its_import_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("go.mod"), "module example.com/kv").unwrap();
        fs::write(folder.path().join("main.go"), "package main").unwrap();
        let path = golang("{}").normalize_path(&spec(folder.path().to_str().unwrap()));
        assert_eq!(path.unwrap().unwrap(), "example.com/kv");
    }

    #[test]
    fn the_plan_is_that_of_the_package() {
        let package = of_files(&[("src/go.mod", "module kv"), ("src/vendor/modules.txt", "")]);
        let deployment = ChaincodeDeploymentSpec {
            chaincode_spec: Some(ChaincodeSpec::of_path("kv")),
            code_package: package.into(),
        };
        let plan = golang("{}").build_plan(&deployment.encode_to_vec()).unwrap();
        assert!(plan.offline);
        let broken = ChaincodeDeploymentSpec {
            code_package: of_files(&[("etc/passwd", "")]).into(),
            ..deployment
        };
        let error = golang("{}").build_plan(&broken.encode_to_vec()).unwrap_err();
        assert_eq!(error.message, "illegal file name in payload: etc/passwd");
    }

    #[test]
    fn the_dockerfile_starts_from_the_configured_image() {
        let lines = golang(r#"{"runtimeImage": "acme/go:1"}"#)
            .dockerfile(b"")
            .unwrap();
        assert_eq!(lines, "FROM acme/go:1\nADD binpackage.tar /usr/local/bin");
    }
}
