//! What a peer made on an engine for chaincode that is no longer installed.

use std::collections::{BTreeSet, HashMap};

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};

use super::config::DockerConfig;
use super::engine::{Engine, Session};
use super::error::DockerError;
use super::labels::{CHAINCODE, Labels, ROLE, Role};
use crate::garbage::{Garbage, GarbageKind};
use crate::naming::Naming;

/// Finds and removes garbage on an engine. What it finds bears the labels of this very peer.
pub struct DockerGarbage {
    session: Session,
    labels: Labels,
}

impl DockerGarbage {
    /// Connects to the engine.
    pub async fn connect(config: &DockerConfig, naming: Naming) -> Result<Self, DockerError> {
        let engine = Engine::new(config.endpoint.clone(), config.tls.clone(), config.hints.clone());
        Ok(Self {
            session: engine.connect().await?,
            labels: Labels::new(naming),
        })
    }

    /// Containers first, images after them, without those of `installed` chaincodes.
    pub async fn find(&self, installed: &BTreeSet<String>) -> Result<Vec<Garbage>, DockerError> {
        let mut found = self.containers(installed).await?;
        found.extend(self.images(installed).await?);
        found.sort();
        Ok(found)
    }

    /// Removes one of the things found.
    pub async fn remove(&self, garbage: &Garbage) -> Result<(), DockerError> {
        let docker = self.session.docker();
        match garbage.kind {
            GarbageKind::Container => {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                let removed = docker.remove_container(&garbage.id, Some(options));
                self.session.ask("remove container", removed).await
            }
            GarbageKind::Image => {
                let options = RemoveImageOptionsBuilder::new()
                    .force(true)
                    .noprune(false)
                    .build();
                let removed = docker.remove_image(&garbage.id, Some(options), None);
                self.session.ask("remove image", removed).await.map(|_deleted| ())
            }
            GarbageKind::Build | GarbageKind::Cache | GarbageKind::Logs => Ok(()),
        }
    }

    async fn containers(&self, installed: &BTreeSet<String>) -> Result<Vec<Garbage>, DockerError> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&self.labels.filter())
            .build();
        let listed = self.session.docker().list_containers(Some(options));
        let listed = self.session.ask("list containers", listed).await?;
        let garbage = |container: bollard::models::ContainerSummary| {
            let labels = container.labels.unwrap_or_default();
            // a builder belongs to a build at work; the peer removes it, at its next start if need be
            if labels.get(ROLE).map(String::as_str) == Some(Role::Builder.word()) {
                return None;
            }
            let chaincode = self.unneeded(&labels, installed)?;
            let id = container.id?;
            let name = container.names.and_then(|names| names.into_iter().next());
            Some(Garbage {
                kind: GarbageKind::Container,
                name: name.map_or_else(|| id.clone(), |name| name.trim_start_matches('/').to_owned()),
                chaincode,
                id,
            })
        };
        Ok(listed.into_iter().filter_map(garbage).collect())
    }

    async fn images(&self, installed: &BTreeSet<String>) -> Result<Vec<Garbage>, DockerError> {
        let options = ListImagesOptionsBuilder::new()
            .filters(&self.labels.filter())
            .build();
        let listed = self.session.docker().list_images(Some(options));
        let listed = self.session.ask("list images", listed).await?;
        let garbage = |image: bollard::models::ImageSummary| {
            let named = image.repo_tags.into_iter().find(|tag| !tag.starts_with("<none>"));
            let chaincode = match (self.unneeded(&image.labels, installed), &named) {
                (Some(chaincode), _) => chaincode,
                // of an installed chaincode, replaced by a newer build
                (None, None) if self.labels.are_ours(&image.labels) => {
                    image.labels.get(CHAINCODE).cloned().unwrap_or_default()
                }
                (None, _) => return None,
            };
            Some(Garbage {
                kind: GarbageKind::Image,
                name: named.unwrap_or_else(|| image.id.clone()),
                chaincode,
                id: image.id,
            })
        };
        Ok(listed.into_iter().filter_map(garbage).collect())
    }

    /// The chaincode, if the labels are this peer's and it is not installed.
    fn unneeded(&self, labels: &HashMap<String, String>, installed: &BTreeSet<String>) -> Option<String> {
        let chaincode = labels.get(CHAINCODE)?;
        let unneeded = self.labels.are_ours(labels) && !installed.contains(chaincode);
        unneeded.then(|| chaincode.clone())
    }
}
