//! The plugins that `peer.handlers` names, loaded, and the adapters to the crates that use them.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use container::{BuildError, BuildPlan, ChaincodeSource, PlatformBuilder};
use core_config::CoreConfig;
use handlers::{Platform, PlatformError, Platforms, Registry};
use scc::PackageValidator;

/// Loads every plugin, or says of each faulty entry what is wrong with it.
///
/// # Errors
/// When `peer.handlers` is malformed or an entry cannot be loaded.
pub fn load(config: &CoreConfig) -> Result<Registry> {
    let handlers: handlers::Config =
        serde_json::from_value(config.peer.handlers.clone()).context("peer.handlers is malformed")?;
    Ok(Registry::load(&handlers, &[])?)
}

/// The platform plugins as a runtime sees them.
pub struct PlatformPlugins(pub Platforms);

impl PlatformPlugins {
    fn platform(&self, source: &ChaincodeSource) -> Result<&Platform, BuildError> {
        self.0
            .by_type(&source.chaincode_type)
            .map_err(|error| refused(&error))
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
        let platform = self.0.by_type(chaincode_type)?;
        Ok(platform.validate_deployment_spec(deployment_spec.clone()).await?)
    }
}

/// Names of the filters in their order, for logs.
#[must_use]
pub fn filter_names(registry: &Registry) -> Arc<str> {
    let names: Vec<String> = registry
        .list()
        .into_iter()
        .filter(|plugin| plugin.kind == handlers::Kind::AuthFilter)
        .map(|plugin| plugin.instance)
        .collect();
    names.join(", ").into()
}
