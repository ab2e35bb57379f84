//! This platform's `config`, parsed and checked once.

use crate::error::OptionsError;
use plugin_api::OWN_CONFIG;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tracing::warn;
use url::Url;

/// The image when nobody names one: what Fabric 2.5 uses.
const DEFAULT_IMAGE: &str = "hyperledger/fabric-nodeenv:2.5";
/// What the peer tells: the image of core.yaml, and the registry of its variable `NODE_REGISTRY`.
const IMAGE: &str = "chaincode.node.runtime";
const REGISTRY: &str = "chaincode.node.registry";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Config {
    runtime_image: String,
    npm_registry: String,
    npm: NpmConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct NpmConfig {
    registry: String,
    scopes: BTreeMap<String, String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    proxy: String,
    strict_ssl: Option<bool>,
    replace_registry_host: Option<ReplaceRegistryHost>,
}

impl Config {
    /// The registry, and the key that states it.
    fn registry(&self) -> Option<(&'static str, &str)> {
        [
            ("npm.registry", self.npm.registry.as_str()),
            ("npmRegistry", self.npm_registry.as_str()),
        ]
        .into_iter()
        .find(|(_, url)| !url.is_empty())
    }
}

/// Whose packages npm fetches from the configured registry although the lock file names another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReplaceRegistryHost {
    Always,
    Npmjs,
    Never,
}

impl ReplaceRegistryHost {
    /// In npm's words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Npmjs => "npmjs",
            Self::Never => "never",
        }
    }
}

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) runtime_image: String,
    pub(crate) registry: Option<Url>,
    pub(crate) scopes: BTreeMap<String, Url>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxy: Option<Url>,
    pub(crate) strict_ssl: bool,
    pub(crate) replace_registry_host: ReplaceRegistryHost,
}

impl Options {
    /// Parses the config. What is said for one chaincode goes before the peer's variable, which goes before the rest.
    pub(crate) fn parse<'a>(
        json: &str,
        fact: &dyn Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, OptionsError> {
        let config: Config = serde_json::from_str(json)?;
        let own: Config = match fact(OWN_CONFIG) {
            Some(own) => serde_json::from_str(own)?,
            None => Config::default(),
        };
        let variable = fact(REGISTRY).filter(|url| !url.is_empty());
        let stated = own
            .registry()
            .or(variable.map(|url| ("NODE_REGISTRY", url)))
            .or(config.registry());
        let registry = stated.map(|(key, url)| http_url(key, url)).transpose()?;
        let token_file = token_file(&config, &own, registry.as_ref())?;
        let scopes = config.npm.scopes.iter();
        let images = [config.runtime_image.as_str(), fact(IMAGE).unwrap_or_default()];
        Ok(Self {
            runtime_image: images
                .into_iter()
                .find(|image| !image.is_empty())
                .unwrap_or(DEFAULT_IMAGE)
                .to_owned(),
            registry,
            scopes: scopes
                .map(|(scope, url)| Ok((scope.clone(), http_url(&format!("npm.scopes.{scope}"), url)?)))
                .collect::<Result<_, OptionsError>>()?,
            token_file,
            ca_file: config.npm.ca_file,
            proxy: match config.npm.proxy.as_str() {
                "" => None,
                url => Some(http_url("npm.proxy", url)?),
            },
            strict_ssl: config.npm.strict_ssl.unwrap_or(true),
            replace_registry_host: config
                .npm
                .replace_registry_host
                .unwrap_or(ReplaceRegistryHost::Always),
        })
    }
}

/// A token belongs to the registry that is stated beside it: no other one gets to see it.
fn token_file(
    config: &Config,
    own: &Config,
    registry: Option<&Url>,
) -> Result<Option<PathBuf>, OptionsError> {
    if own.npm.token_file.is_some() {
        return Ok(own.npm.token_file.clone());
    }
    let beside = config
        .registry()
        .map(|(key, url)| http_url(key, url))
        .transpose()?;
    let elsewhere = own.registry().is_some()
        || !own.npm.scopes.is_empty() && registry.is_none()
        || beside.is_some() && beside.as_ref() != registry;
    if elsewhere && config.npm.token_file.is_some() {
        warn!("npm.tokenFile is left out: it is for another registry than the one in force");
        return Ok(None);
    }
    Ok(config.npm.token_file.clone())
}

/// A URL; credentials in it would end up in logs.
fn http_url(key: &str, value: &str) -> Result<Url, OptionsError> {
    let at = value.find('@');
    let url = Url::parse(value).map_err(|source| OptionsError::Url {
        key: key.to_owned(),
        // what stands before an @ may be a password
        value: value.get(at.unwrap_or_default()..).unwrap_or_default().to_owned(),
        source,
    })?;
    match url.scheme() {
        "http" | "https" => {}
        scheme => {
            return Err(OptionsError::Scheme {
                key: key.to_owned(),
                scheme: scheme.to_owned(),
            });
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OptionsError::Credentials { key: key.to_owned() });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, variable: Option<&str>, own: Option<&str>) -> Result<Options, String> {
        let fact = |name: &str| match name {
            REGISTRY => variable,
            OWN_CONFIG => own,
            _ => None,
        };
        Options::parse(json, &fact).map_err(|error| error.text())
    }

    fn registry(json: &str, variable: Option<&str>, own: Option<&str>) -> Option<String> {
        parse(json, variable, own).unwrap().registry.map(String::from)
    }

    #[test]
    fn the_variable_goes_before_the_file_and_the_chaincode_before_both() {
        let both = r#"{"npmRegistry": "http://short:4873", "npm": {"registry": "http://long:4873"}}"#;
        let short = r#"{"npmRegistry": "http://short:4873"}"#;
        let variable = Some("http://variable:4873");
        assert_eq!(registry("{}", None, None), None);
        assert_eq!(registry("{}", Some(""), None), None);
        assert_eq!(registry(both, None, None).unwrap(), "http://long:4873/");
        assert_eq!(registry(short, None, None).unwrap(), "http://short:4873/");
        assert_eq!(registry(both, variable, None).unwrap(), "http://variable:4873/");
        assert_eq!(
            registry(both, variable, Some(short)).unwrap(),
            "http://short:4873/"
        );
    }

    #[test]
    fn the_image_is_the_configured_one_then_the_peers() {
        let image = |json: &str| {
            let fact = |name: &str| (name == IMAGE).then_some("acme/of-core:1");
            Options::parse(json, &fact).unwrap().runtime_image
        };
        assert_eq!(image("{}"), "acme/of-core:1");
        assert_eq!(image(r#"{"runtimeImage": "acme/own:1"}"#), "acme/own:1");
        assert_eq!(parse("{}", None, None).unwrap().runtime_image, DEFAULT_IMAGE);
    }

    #[test]
    fn a_token_goes_to_the_registry_beside_it_and_to_no_other() {
        let with = r#"{"npm": {"registry": "http://a:1", "tokenFile": "/t"}}"#;
        let alone = r#"{"npm": {"tokenFile": "/t"}}"#;
        let merged = r#"{"npm": {"registry": "http://b:1", "tokenFile": "/t"}}"#;
        let merged_token = r#"{"npm": {"registry": "http://b:1", "tokenFile": "/o"}}"#;
        let other = Some(r#"{"npm": {"registry": "http://b:1"}}"#);
        let other_token = Some(r#"{"npm": {"registry": "http://b:1", "tokenFile": "/o"}}"#);
        for (json, variable, own, token) in [
            (with, None, None, Some("/t")),
            (with, Some("http://a:1/"), None, Some("/t")),
            (with, Some("http://b:1"), None, None),
            (alone, Some("http://b:1"), None, Some("/t")),
            (merged, None, other, None),
            (merged_token, Some("http://c:1"), other_token, Some("/o")),
        ] {
            let file = parse(json, variable, own).unwrap().token_file;
            assert_eq!(file.as_deref().and_then(|file| file.to_str()), token, "{json}");
        }
    }

    #[test]
    fn what_cannot_be_a_registry_is_refused() {
        for (url, text) in [
            ("not a url", "NODE_REGISTRY is no URL"),
            ("http://x; rm -rf /", "NODE_REGISTRY is no URL"),
            ("file:///etc", "NODE_REGISTRY must be an http or https URL"),
            (
                "http://me:secret@registry",
                "NODE_REGISTRY must not contain a user",
            ),
            ("http://me:secret@:x", "NODE_REGISTRY is no URL"),
        ] {
            let error = parse("{}", Some(url), None).unwrap_err();
            assert!(error.starts_with(text), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        for wrong in [
            r#"{"npm": {"scopes": {"@a": "nowhere"}}}"#,
            r#"{"npm": {"registri": ""}}"#,
            r#"{"npm": {"proxy": "http://me:secret@proxy"}}"#,
        ] {
            assert!(parse(wrong, None, None).is_err(), "{wrong}");
        }
    }
}
