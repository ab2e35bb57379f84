//! The plugins that `peer.handlers` names, loaded, and the adapters to the crates that use them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use container::{BuildError, BuildPlan, ChaincodeSource, PlatformBuilder};
use core_config::CoreConfig;
use handlers::{Platform, PlatformError, Registry, Reload, SectionFault};
use scc::{DeployablePlugins, PackageValidator};

use super::settings::{Faults, image_name};

/// Loads every plugin, or says of each faulty entry what is wrong with it.
///
/// # Errors
/// When `peer.handlers` is malformed or an entry cannot be loaded.
pub fn load(config: &CoreConfig) -> Result<Registry> {
    let mut handlers = section(config).map_err(Faults)?;
    handlers.facts = facts(config);
    Ok(Registry::load(&handlers, &own_dirs(config))?)
}

/// Puts the plugins of this configuration in the place of those that run.
///
/// # Errors
/// As [`load`]; then nothing has changed.
pub fn reload(registry: &Registry, config: &CoreConfig) -> Result<Reload> {
    let mut handlers = section(config).map_err(Faults)?;
    handlers.facts = facts(config);
    Ok(registry.reload(&handlers, &own_dirs(config))?)
}

/// Checks every entry without running code of a plugin.
///
/// # Errors
/// When `peer.handlers` is malformed.
pub fn verify(config: &CoreConfig) -> Result<handlers::Verification> {
    let handlers = section(config).map_err(Faults)?;
    Ok(handlers::verify(&handlers, &own_dirs(config)))
}

/// Reads `peer.handlers`.
///
/// # Errors
/// Every fault, with the place that stated the faulty value.
pub fn section(config: &CoreConfig) -> Result<handlers::Config, Vec<String>> {
    handlers::Config::read(&config.peer.handlers).map_err(|faults| {
        let placed = |fault: &SectionFault| match config.source_of(&fault.path) {
            Some(source) => format!("{fault} (in {source})"),
            None => fault.to_string(),
        };
        faults.iter().map(placed).collect()
    })
}

/// Where the plugins are that came with the program: beside it, as `cargo xtask dist` lays them out.
fn own_dirs(config: &CoreConfig) -> Vec<PathBuf> {
    let beside = |folder: &Path| vec![folder.join("../plugins"), folder.join("plugins")];
    config.program_dir().map(beside).unwrap_or_default()
}

/// The keys below `chaincode` that are about one language, for its platform, and those of the peer for plugins that do
/// what is built into Fabric's peer.
fn facts(config: &CoreConfig) -> BTreeMap<String, String> {
    let chaincode = &config.chaincode;
    let window = config.peer.authentication_timewindow;
    let facts = [
        (
            "peer.authentication.timewindow",
            format!("{}ms", window.as_millis()),
        ),
        ("chaincode.builder", image_name(&chaincode.builder)),
        ("chaincode.golang.runtime", image_name(&chaincode.golang.runtime)),
        (
            "chaincode.golang.dynamicLink",
            chaincode.golang.dynamic_link.to_string(),
        ),
        ("chaincode.java.runtime", image_name(&chaincode.java.runtime)),
        ("chaincode.node.runtime", image_name(&chaincode.node.runtime)),
        (
            "chaincode.node.registry",
            chaincode.node.registry.clone().unwrap_or_default(),
        ),
    ];
    facts
        .into_iter()
        .map(|(key, fact)| (key.to_owned(), fact))
        .collect()
}

/// The platform plugins as a runtime sees them.
pub struct PlatformPlugins(pub Registry);

impl PlatformPlugins {
    /// The platform of now; a build that has begun ends with the one that it began with.
    fn platform(&self, source: &ChaincodeSource) -> Result<Platform, BuildError> {
        let platforms = self.0.platforms();
        let platform = platforms.by_type(&source.chaincode_type);
        platform.cloned().map_err(|error| refused(&error))
    }
}

fn refused(error: &PlatformError) -> BuildError {
    BuildError::Platform(protos::wire_message(error))
}

#[async_trait]
impl PlatformBuilder for PlatformPlugins {
    async fn dockerfile(&self, source: &ChaincodeSource) -> Result<String, BuildError> {
        let lines = self
            .platform(source)?
            .dockerfile(source.deployment_spec.clone())
            .await;
        lines.map_err(|error| refused(&error))
    }

    async fn build_plan(&self, source: &ChaincodeSource) -> Result<BuildPlan, BuildError> {
        let plan = self
            .platform(source)?
            .build_plan(source.deployment_spec.clone())
            .await;
        let plan = plan.map_err(|error| refused(&error))?;
        Ok(BuildPlan {
            image: plan.image,
            cmd: plan.cmd,
            env: plan.env,
            files: plan
                .files
                .into_iter()
                .map(|(name, content)| (name, content.into()))
                .collect(),
            launch: plan.launch,
            secrets: plan.secrets,
            offline: plan.offline,
            container_launch: plan.container_launch,
        })
    }
}

#[async_trait]
impl PackageValidator for PlatformPlugins {
    async fn validate(
        &self,
        chaincode_type: &str,
        deployment_spec: &Bytes,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let platforms = self.0.platforms();
        let platform = platforms.by_type(chaincode_type)?;
        Ok(platform.validate_deployment_spec(deployment_spec.clone()).await?)
    }
}

/// The endorsement and validation plugins as LSCC sees them.
#[derive(Debug)]
pub struct DefinablePlugins(pub Registry);

impl DeployablePlugins for DefinablePlugins {
    fn endorses(&self, name: &str) -> bool {
        self.0.endorsers().contains(name)
    }

    fn validates(&self, name: &str) -> bool {
        self.0.validators().get(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use crate::node::settings::image_name;

    #[test]
    fn variables_in_images_get_fabrics_values() {
        assert_eq!(
            image_name("$(DOCKER_NS)/fabric-nodeenv:$(TWO_DIGIT_VERSION)"),
            "hyperledger/fabric-nodeenv:2.5"
        );
        assert!(!image_name("$(BASE_DOCKER_NS)/fabric-baseos:$(ARCH)-$(BASE_VERSION)").contains('$'));
        assert_eq!(image_name("acme/node:1"), "acme/node:1");
    }
}
