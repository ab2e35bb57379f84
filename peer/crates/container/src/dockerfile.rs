//! The Dockerfile of a chaincode image: the platform's own lines, then labels and the build level (platforms.go).

use crate::vm::{BuildError, ChaincodeSource, PlatformBuilder};

/// `BASE_DOCKER_LABEL` of Fabric's build.
const LABEL: &str = "org.hyperledger.fabric";

/// What the image says about the peer that built it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildLevel {
    /// Version of the peer.
    pub version: String,
    /// Version of the base image; left out when empty.
    pub base_version: String,
}

/// Why no Dockerfile came about.
#[derive(Debug, thiserror::Error)]
pub enum DockerfileError {
    /// The platform failed.
    #[error("Failed to generate platform-specific Dockerfile")]
    Platform(#[source] BuildError),
    /// A label would end its line and become an instruction.
    #[error("{0} has characters that a Dockerfile label cannot hold")]
    Label(&'static str),
}

/// Asks the platform for its lines and adds the general ones.
pub async fn generate_dockerfile(
    platforms: &dyn PlatformBuilder,
    source: &ChaincodeSource,
    level: &BuildLevel,
) -> Result<String, DockerfileError> {
    let base = platforms
        .dockerfile(source)
        .await
        .map_err(DockerfileError::Platform)?;
    let mut labels = vec![
        label("chaincode.id.name", "the chaincode name", &source.name)?,
        label("chaincode.id.version", "the chaincode version", &source.version)?,
        label("chaincode.type", "the chaincode type", &source.chaincode_type)?,
        label("version", "the peer version", &level.version)?,
    ];
    if !level.base_version.is_empty() {
        labels.push(label("base.version", "the base version", &level.base_version)?);
    }
    let labels = labels.join(" \\\n      ");
    Ok(format!(
        "{base}\nLABEL {labels}\nENV CORE_CHAINCODE_BUILDLEVEL={}",
        level.version
    ))
}

fn label(key: &str, what: &'static str, value: &str) -> Result<String, DockerfileError> {
    // Quotes, backslashes, variables and line ends mean something to the Dockerfile's parser.
    if value
        .chars()
        .any(|c| c.is_control() || matches!(c, '"' | '\\' | '$' | '`'))
    {
        return Err(DockerfileError::Label(what));
    }
    Ok(format!("{LABEL}.{key}=\"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakePlatform, source};
    use protos::wire_message;

    fn level() -> BuildLevel {
        BuildLevel {
            version: "2.5.0".into(),
            base_version: String::new(),
        }
    }

    /// Acceptance 2.
    #[tokio::test]
    async fn the_platforms_lines_come_first_then_labels_and_level() {
        let platform = FakePlatform {
            dockerfile: "FROM R\nADD binpackage.tar /usr/local/src".into(),
            ..FakePlatform::default()
        };
        let text = generate_dockerfile(&platform, &source("mycc:1.0"), &level())
            .await
            .unwrap();
        assert_eq!(
            text,
            "FROM R\nADD binpackage.tar /usr/local/src\n\
             LABEL org.hyperledger.fabric.chaincode.id.name=\"mycc\" \\\n      \
             org.hyperledger.fabric.chaincode.id.version=\"1.0\" \\\n      \
             org.hyperledger.fabric.chaincode.type=\"NODE\" \\\n      \
             org.hyperledger.fabric.version=\"2.5.0\"\n\
             ENV CORE_CHAINCODE_BUILDLEVEL=2.5.0"
        );
        let base = BuildLevel {
            base_version: "0.4.22".into(),
            ..level()
        };
        let text = generate_dockerfile(&platform, &source("mycc:1.0"), &base)
            .await
            .unwrap();
        assert!(
            text.contains(" \\\n      org.hyperledger.fabric.base.version=\"0.4.22\"\nENV"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn errors_of_the_platform_and_hostile_labels_are_reported() {
        let platform = FakePlatform {
            refuse: Some(BuildError::Platform("no".into())),
            ..FakePlatform::default()
        };
        let error = generate_dockerfile(&platform, &source("mycc:1.0"), &level())
            .await
            .unwrap_err();
        assert_eq!(
            wire_message(&error),
            "Failed to generate platform-specific Dockerfile: no"
        );

        let hostile = ChaincodeSource {
            version: "1\"\nRUN evil".into(),
            ..source("mycc:1.0")
        };
        let error = generate_dockerfile(&FakePlatform::default(), &hostile, &level())
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the chaincode version has characters that a Dockerfile label cannot hold"
        );
    }
}
