//! Images that others make: which are pulled, when, and from where.

use std::time::Duration;

use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};

use super::engine::{Session, within};
use super::error::DockerError;

/// Where the limit of a pull is set.
const KEY: &str = "vm.docker.pullTimeout";

/// `vm.docker.pullPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Images are on the engine already.
    Never,
    /// What is not there is pulled.
    #[default]
    Missing,
    /// Every build pulls.
    Always,
}

/// How images are pulled.
#[derive(Debug, Clone)]
pub(super) struct Puller {
    pub(super) policy: PullPolicy,
    pub(super) mirror: String,
    pub(super) limit: Duration,
}

impl Puller {
    /// Sees to it that `image` is on the engine.
    pub(super) async fn ensure(&self, session: &Session, image: &str) -> Result<(), DockerError> {
        let action = format!("Failed to pull {image}");
        let looked_at = session.ask(&action, session.docker().inspect_image(image)).await;
        let present = match looked_at {
            Ok(_found) => true,
            Err(error) if error.is_not_found() => false,
            Err(error) => return Err(error),
        };
        match self.policy {
            PullPolicy::Never if present => Ok(()),
            PullPolicy::Never => Err(DockerError::NotPulled(image.to_owned())),
            PullPolicy::Missing if present => Ok(()),
            PullPolicy::Missing | PullPolicy::Always => {
                within(&action, self.limit, KEY, self.pull(session, image, &action)).await
            }
        }
    }

    async fn pull(&self, session: &Session, image: &str, action: &str) -> Result<(), DockerError> {
        let source = mirrored(image, &self.mirror);
        tracing::info!(image = source, "pulling image");
        let (name, tag) = split(&source);
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
        let pulled = session.docker().create_image(Some(options), None, None);
        session.drain(action, pulled, |_progress| ()).await?;
        if source != image {
            let (name, tag) = split(image);
            let options = TagImageOptionsBuilder::new().repo(name).tag(tag).build();
            session
                .ask(action, session.docker().tag_image(&source, Some(options)))
                .await?;
        }
        Ok(())
    }
}

/// Name and tag or digest, `latest` if there is none: an engine pulls every tag of a name without one.
fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// The image's name at the mirror. Names that say their registry, and images by digest, which cannot be tagged,
/// stay as they are.
fn mirrored(image: &str, mirror: &str) -> String {
    let mirror = mirror.trim_end_matches('/');
    let first = image.split_once('/').map(|(first, _)| first);
    let has_registry = first.is_some_and(|first| first.contains(['.', ':']) || first == "localhost");
    if mirror.is_empty() || has_registry || image.contains('@') {
        return image.to_owned();
    }
    format!("{mirror}/{image}")
}

/// The images that a Dockerfile starts from, without stages of its own.
pub(super) fn base_images(dockerfile: &str) -> Vec<String> {
    let mut images: Vec<String> = Vec::new();
    let mut stages: Vec<String> = Vec::new();
    for line in dockerfile.lines() {
        let mut words = line.split_whitespace();
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("FROM")) {
            continue;
        }
        let mut words = words.skip_while(|word| word.starts_with("--"));
        let Some(image) = words.next() else { continue };
        let known = image.eq_ignore_ascii_case("scratch") || image.contains('$');
        if !known && !stages.iter().any(|stage| stage == image) && !images.iter().any(|known| known == image)
        {
            images.push(image.to_owned());
        }
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("AS")) {
            stages.extend(words.next().map(str::to_owned));
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_stands_in_front_of_names_without_registry() {
        let at = |image: &str| mirrored(image, "mirror.example:5000/hub/");
        assert_eq!(
            at("hyperledger/fabric-nodeenv:2.5"),
            "mirror.example:5000/hub/hyperledger/fabric-nodeenv:2.5"
        );
        assert_eq!(at("node:20"), "mirror.example:5000/hub/node:20");
        for own in ["r.example/x:1", "localhost/x", "host:5000/x:1", "x@sha256:00"] {
            assert_eq!(at(own), own);
        }
        assert_eq!(mirrored("x:1", ""), "x:1");
    }

    #[test]
    fn tags_are_not_ports() {
        assert_eq!(split("host:5000/x"), ("host:5000/x", "latest"));
        assert_eq!(split("host:5000/x:1"), ("host:5000/x", "1"));
        assert_eq!(split("x@sha256:00"), ("x", "sha256:00"));
    }

    #[test]
    fn base_images_are_read_from_a_dockerfile() {
        let text = "# FROM no\nFROM a:1 AS build\nRUN x\nfrom --platform=x b:2\nFROM build\nFROM scratch\nFROM a:1\n";
        assert_eq!(base_images(text), ["a:1", "b:2"]);
        assert!(base_images("").is_empty());
    }
}
