//! Images that others make: which are pulled, when, and from where.

use std::collections::HashMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};

use super::engine::{Session, within};
use super::error::DockerError;
use super::login::{Login, LoginError, RegistryLogins, registry_of, server};

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
    pub(super) logins: RegistryLogins,
}

/// Why an image was not pulled, where the configuration can change it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PullError {
    /// `pullPolicy: never`.
    #[error("it is not on the engine and vm.docker.pullPolicy is never: load it, or allow pulling")]
    Never,
    /// The login in the configuration cannot be used.
    #[error("vm.docker.auth")]
    Login(#[source] LoginError),
    /// There was none, and the registry wants one.
    #[error(
        "registry {registry} does not give it to everybody: {message}: name user and password file in \
         vm.docker.auth.registries, or a config.json of Docker in vm.docker.auth.configFile"
    )]
    LoginMissing {
        /// The registry.
        registry: String,
        /// The engine's words.
        message: String,
    },
    /// The registry did not take it.
    #[error("the registry refused the login of {user} (from {origin}): {message}")]
    LoginRefused {
        /// Who, and where.
        user: String,
        /// Where the login is from.
        origin: String,
        /// The engine's words.
        message: String,
    },
}

/// What engines and registries say when a login is missing or wrong.
const LOGIN_WORDS: [&str; 6] = [
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "access denied",
    "access to the resource is denied",
    "incorrect username or password",
];

impl Puller {
    /// The logins for these images, as an engine takes them for a build: by registry.
    pub(super) async fn logins_of(
        &self,
        images: &[String],
    ) -> Result<HashMap<String, DockerCredentials>, DockerError> {
        let mut logins = HashMap::new();
        for image in images {
            let login = self.logins.for_image(image).await;
            let login = login.map_err(PullError::Login).map_err(failed(image))?;
            if let Some(login) = login {
                logins.insert(server(registry_of(image)).to_owned(), login.credentials());
            }
        }
        Ok(logins)
    }

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
            PullPolicy::Never => Err(failed(image)(PullError::Never)),
            PullPolicy::Missing if present => Ok(()),
            PullPolicy::Missing | PullPolicy::Always => {
                within(&action, self.limit, KEY, self.pull(session, image, &action)).await
            }
        }
    }

    async fn pull(&self, session: &Session, image: &str, action: &str) -> Result<(), DockerError> {
        let source = mirrored(image, &self.mirror);
        let login = self.logins.for_image(&source).await;
        let login = login.map_err(PullError::Login).map_err(failed(image))?;
        let user = login.as_ref().map(Login::user);
        tracing::info!(image = source, user, "pulling image");
        let (name, tag) = split(&source);
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
        let credentials = login.as_ref().map(Login::credentials);
        let pulled = session.docker().create_image(Some(options), None, credentials);
        let pulled = session.drain(action, pulled, |_progress| ()).await;
        pulled.map_err(|error| judged(error, &source, login.as_ref()))?;
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

/// For `map_err`: names the image.
fn failed(image: &str) -> impl FnOnce(PullError) -> DockerError {
    move |source| DockerError::Pull {
        image: image.to_owned(),
        source,
    }
}

/// Whether an engine's refusal is about the login; nothing secret stays in its words.
fn judged(error: DockerError, image: &str, login: Option<&Login>) -> DockerError {
    let DockerError::Refused {
        action,
        message,
        status,
        last_lines,
    } = error
    else {
        return error;
    };
    let message = match login {
        Some(login) => login.redact(message),
        None => message,
    };
    let words = message.to_ascii_lowercase();
    let about_login =
        matches!(status, Some(401 | 403)) || LOGIN_WORDS.iter().any(|word| words.contains(word));
    match login {
        _ if !about_login => DockerError::Refused {
            action,
            message,
            status,
            last_lines,
        },
        Some(login) => failed(image)(PullError::LoginRefused {
            user: login.user(),
            origin: login.origin.clone(),
            message,
        }),
        None => failed(image)(PullError::LoginMissing {
            registry: registry_of(image).to_owned(),
            message,
        }),
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
