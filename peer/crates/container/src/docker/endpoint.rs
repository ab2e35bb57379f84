//! Where the Docker Engine listens: `vm.endpoint`, else what the machine offers.

use std::fmt;
use std::path::{Path, PathBuf};

/// Fabric's and Docker's default.
pub(crate) const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";
/// The name of a rootless engine's socket in the user's runtime folder.
const ROOTLESS_SOCKET: &str = "docker.sock";

/// What the surroundings of the peer say about an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineHints {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

/// TLS towards an engine, `vm.docker.tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTls {
    /// PEM file with the roots of the engine's certificate.
    pub ca: PathBuf,
    /// PEM file with the peer's certificate.
    pub cert: PathBuf,
    /// PEM file with its key.
    pub key: PathBuf,
}

/// Why an endpoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Another scheme, or no address.
    #[error("vm.endpoint {0:?} is none of unix://PATH, tcp://HOST:PORT")]
    Unknown(String),
    /// It says that TLS is spoken, and nothing says with what.
    #[error("vm.endpoint {0:?} needs vm.docker.tls.enabled, with ca, cert and key")]
    NoTls(String),
    /// TLS over a socket file.
    #[error("vm.docker.tls.enabled needs a tcp:// endpoint, found {0}")]
    TlsOnSocket(String),
}

/// An engine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket file.
    Unix(PathBuf),
    /// `host:port`, with TLS or without.
    Tcp(String, Option<EngineTls>),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address, _) => write!(f, "tcp://{address}"),
        }
    }
}

impl Endpoint {
    /// `vm.endpoint` with TLS if configured. `None`: there is to be no Docker.
    pub fn parse(configured: &str, tls: Option<EngineTls>) -> Result<Option<Self>, EndpointError> {
        let unknown = || EndpointError::Unknown(configured.to_owned());
        if configured.is_empty() {
            return Ok(None);
        }
        // without a scheme it is a port, as for Fabric's client
        let (scheme, rest) = configured.split_once("://").unwrap_or(("tcp", configured));
        match scheme {
            "https" if tls.is_none() => Err(EndpointError::NoTls(configured.to_owned())),
            "unix" if tls.is_some() => Err(EndpointError::TlsOnSocket(configured.to_owned())),
            "unix" if rest.starts_with('/') => Ok(Some(Self::Unix(PathBuf::from(rest)))),
            "tcp" | "http" | "https" => {
                let address = rest.trim_end_matches('/');
                let (host, port) = address.rsplit_once(':').ok_or_else(unknown)?;
                if host.is_empty() || host.contains('/') || port.parse::<u16>().is_err() {
                    return Err(unknown());
                }
                Ok(Some(Self::Tcp(address.to_owned(), tls)))
            }
            _ => Err(unknown()),
        }
    }

    /// The engine to use: this one, unless it is the default and its socket does not exist. Then that of
    /// `DOCKER_HOST`, or a rootless engine's, if there is one.
    pub(crate) fn or_discovered(self, tls: Option<EngineTls>, hints: &EngineHints) -> Self {
        let Self::Unix(socket) = &self else { return self };
        if !is_default(socket) || socket.exists() {
            return self;
        }
        if let Some(host) = &hints.docker_host {
            match Self::parse(host, tls) {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "DOCKER_HOST is not usable"),
            }
        }
        let rootless = hints
            .runtime_dir
            .as_ref()
            .map(|folder| folder.join(ROOTLESS_SOCKET));
        match rootless.filter(|socket| socket.exists()) {
            Some(socket) => Self::Unix(socket),
            None => self,
        }
    }
}

fn is_default(socket: &Path) -> bool {
    DEFAULT_ENDPOINT.strip_prefix("unix://").map(Path::new) == Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls() -> EngineTls {
        EngineTls {
            ca: "ca".into(),
            cert: "cert".into(),
            key: "key".into(),
        }
    }

    #[test]
    fn endpoints_are_sockets_or_addresses_and_empty_is_none() {
        let shown = |text: &str| Endpoint::parse(text, None).unwrap().unwrap().to_string();
        assert_eq!(shown("unix:///run/d.sock"), "unix:///run/d.sock");
        assert_eq!(shown("tcp://engine:2375"), "tcp://engine:2375");
        assert_eq!(shown("http://[::1]:2375/"), "tcp://[::1]:2375");
        assert_eq!(shown("engine:2375"), "tcp://engine:2375");
        assert_eq!(Endpoint::parse("", None), Ok(None));
        let secured = Endpoint::parse("tcp://engine:2376", Some(tls()))
            .unwrap()
            .unwrap();
        assert_eq!(secured, Endpoint::Tcp("engine:2376".into(), Some(tls())));
        for wrong in [
            "engine",
            "/run/d.sock",
            "ssh://engine",
            "unix://relative",
            "tcp://engine",
            "tcp://:1",
            "tcp://a/b:1",
        ] {
            let error = Endpoint::parse(wrong, None).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("vm.endpoint {wrong:?} is none of unix://PATH, tcp://HOST:PORT")
            );
        }
        assert!(matches!(
            Endpoint::parse("https://engine:2376", None),
            Err(EndpointError::NoTls(_))
        ));
        assert!(matches!(
            Endpoint::parse("unix:///run/d.sock", Some(tls())),
            Err(EndpointError::TlsOnSocket(_))
        ));
    }

    #[test]
    fn only_an_absent_default_is_replaced_by_what_the_machine_offers() {
        let folder = tempfile::tempdir().unwrap();
        let hints = EngineHints {
            docker_host: Some("tcp://elsewhere:2375".into()),
            runtime_dir: Some(folder.path().to_owned()),
        };
        let chosen = Endpoint::Unix(folder.path().join("absent.sock"));
        assert_eq!(
            chosen.clone().or_discovered(None, &hints),
            chosen,
            "not the default"
        );
        let default = Endpoint::parse(DEFAULT_ENDPOINT, None).unwrap().unwrap();
        if Path::new("/var/run/docker.sock").exists() {
            assert_eq!(default.clone().or_discovered(None, &hints), default);
            return;
        }
        assert_eq!(
            default.clone().or_discovered(None, &hints).to_string(),
            "tcp://elsewhere:2375"
        );
        let rootless = EngineHints {
            docker_host: None,
            ..hints
        };
        assert_eq!(
            default.clone().or_discovered(None, &rootless),
            default,
            "no socket there"
        );
        std::fs::write(folder.path().join("docker.sock"), "").unwrap();
        let found = Endpoint::Unix(folder.path().join("docker.sock"));
        assert_eq!(default.or_discovered(None, &rootless), found);
    }
}
