//! Logins for the registries that images are pulled from: read from files for every pull, so that a rotated token counts
//! at once, shown nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::vm::redact;

/// Docker Hub, by the name that this module uses for it, and as Docker's own files and the engine do.
const HUB: &str = "docker.io";
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Largest file with a login.
const MAX_FILE: u64 = 1 << 20;

/// `vm.docker.auth`: logins for registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryLogins {
    /// A file in the form of Docker's `config.json`, of which `auths` counts.
    pub config_file: Option<PathBuf>,
    /// Single registries; they go before the file.
    pub registries: Vec<RegistryLogin>,
}

/// One of `vm.docker.auth.registries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// `host` or `host:port`, as in the names of images.
    pub registry: String,
    /// Who logs in.
    pub username: String,
    /// A file with nothing but the password or token.
    pub password_file: PathBuf,
}

/// Why a login cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginError {
    /// A file that the configuration names.
    #[error("the login for {registry} cannot be read from {}", path.display())]
    File {
        /// Of which registry.
        registry: String,
        /// The file.
        path: PathBuf,
        /// What reading said.
        #[source]
        source: Arc<io::Error>,
    },
    /// It is kept by a program.
    #[error(
        "the login for {registry} is kept by the credential helper docker-credential-{helper} (in {}), which the peer \
         does not run: name user and password file in vm.docker.auth.registries",
        path.display()
    )]
    Helper {
        /// Of which registry.
        registry: String,
        /// The program's name without what all of them begin with.
        helper: String,
        /// Where that is said.
        path: PathBuf,
    },
}

/// The login for one registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    registry: String,
    username: String,
    password: String,
    identity_token: Option<String>,
    registry_token: Option<String>,
    /// What the configuration calls the place it is from.
    pub(super) origin: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user())
    }
}

impl Login {
    /// Who logs in, as a text.
    pub(super) fn user(&self) -> String {
        if self.username.is_empty() {
            format!("a token at {}", self.registry)
        } else {
            format!("{} at {}", self.username, self.registry)
        }
    }

    /// What the engine sends on to the registry.
    pub(super) fn credentials(&self) -> DockerCredentials {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        DockerCredentials {
            username: some(&self.username),
            password: some(&self.password),
            serveraddress: Some(server(&self.registry).to_owned()),
            identitytoken: self.identity_token.clone(),
            registrytoken: self.registry_token.clone(),
            ..DockerCredentials::default()
        }
    }

    /// A text of the engine or the registry without what is secret.
    pub(super) fn redact(&self, text: String) -> String {
        let basic = STANDARD.encode(format!("{}:{}", self.username, self.password));
        let mut secrets = vec![self.password.clone(), basic];
        secrets.extend(self.identity_token.clone());
        secrets.extend(self.registry_token.clone());
        redact(&secrets, text)
    }
}

/// How an engine names a registry.
pub(super) fn server(registry: &str) -> &str {
    if registry == HUB { HUB_KEY } else { registry }
}

/// The registry that an image is pulled from.
pub(super) fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => canonical(first),
        _ => HUB,
    }
}

/// A registry's name without what people and programs write around it.
fn canonical(name: &str) -> &str {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    match name.split('/').next().unwrap_or_default() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    #[serde(alias = "identityToken")]
    identitytoken: String,
    #[serde(alias = "registryToken")]
    registrytoken: String,
}

impl RegistryLogins {
    /// The login for the registry of an image; none if there is none for it. Reads files on the blocking pool.
    pub(super) async fn for_image(&self, image: &str) -> Result<Option<Login>, LoginError> {
        if self.registries.is_empty() && self.config_file.is_none() {
            return Ok(None);
        }
        let (this, registry) = (self.clone(), registry_of(image).to_owned());
        let wanted = registry.clone();
        match tokio::task::spawn_blocking(move || this.find(&wanted)).await {
            Ok(found) => found,
            Err(lost) => Err(LoginError::File {
                registry,
                path: PathBuf::from("vm.docker.auth"),
                source: Arc::new(io::Error::other(lost)),
            }),
        }
    }

    fn find(&self, registry: &str) -> Result<Option<Login>, LoginError> {
        if let Some(own) = self
            .registries
            .iter()
            .find(|own| canonical(&own.registry) == registry)
        {
            return own.read(registry).map(Some);
        }
        match &self.config_file {
            Some(path) => in_config_file(path, registry),
            None => Ok(None),
        }
    }
}

impl RegistryLogin {
    fn read(&self, registry: &str) -> Result<Login, LoginError> {
        let failed = unreadable(registry, &self.password_file);
        let text = read(&self.password_file).map_err(&failed)?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() || password.chars().any(char::is_control) {
            return Err(failed(io::Error::other("it is no single line with a password")));
        }
        Ok(Login {
            registry: registry.to_owned(),
            username: self.username.clone(),
            password: password.to_owned(),
            identity_token: None,
            registry_token: None,
            origin: "vm.docker.auth.registries".to_owned(),
        })
    }
}

fn in_config_file(path: &Path, registry: &str) -> Result<Option<Login>, LoginError> {
    let failed = unreadable(registry, path);
    let text = read(path).map_err(&failed)?;
    // the parser's own words may quote a part of the file
    let file: ConfigFile = serde_json::from_str(&text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        failed(io::Error::other(format!(
            "it is no config.json of Docker: {place}"
        )))
    })?;
    let helper = |helper: &str| LoginError::Helper {
        registry: registry.to_owned(),
        helper: helper.to_owned(),
        path: path.to_owned(),
    };
    if let Some((_, own)) = file
        .cred_helpers
        .iter()
        .find(|(key, _)| canonical(key) == registry)
    {
        return Err(helper(own));
    }
    let Some((_, entry)) = file.auths.iter().find(|(key, _)| canonical(key) == registry) else {
        return Ok(None);
    };
    let (username, password) = match STANDARD.decode(&entry.auth).map(String::from_utf8) {
        Ok(Ok(pair)) if !entry.auth.is_empty() => {
            let pair = pair.trim_end_matches('\0');
            let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
            (user.to_owned(), password.to_owned())
        }
        Ok(Ok(_empty)) => (entry.username.clone(), entry.password.clone()),
        _ => {
            return Err(failed(io::Error::other("auth is no base64 of user and password")));
        }
    };
    let token = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let login = Login {
        registry: registry.to_owned(),
        username,
        password,
        identity_token: token(&entry.identitytoken),
        registry_token: token(&entry.registrytoken),
        origin: path.display().to_string(),
    };
    let nothing =
        login.password.is_empty() && login.identity_token.is_none() && login.registry_token.is_none();
    match nothing {
        // what `docker login` writes when a helper has the rest
        true if !file.creds_store.is_empty() => Err(helper(&file.creds_store)),
        true => Ok(None),
        false => Ok(Some(login)),
    }
}

fn unreadable(registry: &str, path: &Path) -> impl Fn(io::Error) -> LoginError {
    move |source| LoginError::File {
        registry: registry.to_owned(),
        path: path.to_owned(),
        source: Arc::new(source),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    let read = file.take(MAX_FILE.saturating_add(1)).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
