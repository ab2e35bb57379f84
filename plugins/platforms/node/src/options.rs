//! This platform's `config`, parsed and checked once.

use crate::error::OptionsError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// The image when the configuration names none: what Fabric 2.5 uses.
const DEFAULT_IMAGE: &str = "hyperledger/fabric-nodeenv:2.5";

#[derive(Deserialize)]
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            runtime_image: DEFAULT_IMAGE.to_owned(),
            npm_registry: String::new(),
            npm: NpmConfig::default(),
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
}

impl Options {
    /// Parses the config; `node_registry` is the peer's variable of that name, which wins.
    pub(crate) fn parse(json: &str, node_registry: Option<&str>) -> Result<Self, OptionsError> {
        let config: Config = serde_json::from_str(json)?;
        let registry = [
            ("NODE_REGISTRY", node_registry.unwrap_or_default()),
            ("npm.registry", config.npm.registry.as_str()),
            ("npmRegistry", config.npm_registry.as_str()),
        ];
        let registry = registry.into_iter().find(|(_, url)| !url.is_empty());
        let scopes = config.npm.scopes.iter();
        let image = config.runtime_image;
        Ok(Self {
            runtime_image: if image.is_empty() {
                DEFAULT_IMAGE.to_owned()
            } else {
                image
            },
            registry: registry.map(|(key, url)| http_url(key, url)).transpose()?,
            scopes: scopes
                .map(|(scope, url)| Ok((scope.clone(), http_url(&format!("npm.scopes.{scope}"), url)?)))
                .collect::<Result<_, OptionsError>>()?,
            token_file: config.npm.token_file,
            ca_file: config.npm.ca_file,
            proxy: match config.npm.proxy.as_str() {
                "" => None,
                url => Some(parsed("npm.proxy", url)?),
            },
            strict_ssl: config.npm.strict_ssl.unwrap_or(true),
        })
    }
}

fn parsed(key: &str, value: &str) -> Result<Url, OptionsError> {
    let url = Url::parse(value).map_err(|source| OptionsError::Url {
        key: key.to_owned(),
        value: value.to_owned(),
        source,
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(OptionsError::Scheme {
            key: key.to_owned(),
            scheme: scheme.to_owned(),
        }),
    }
}

/// A registry's URL; credentials in it would end up in logs.
fn http_url(key: &str, value: &str) -> Result<Url, OptionsError> {
    let url = parsed(key, value)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OptionsError::Credentials { key: key.to_owned() });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(json: &str, node_registry: Option<&str>) -> Option<String> {
        Options::parse(json, node_registry)
            .unwrap()
            .registry
            .map(String::from)
    }

    #[test]
    fn the_variable_goes_before_the_file() {
        let both = r#"{"npmRegistry": "http://short:4873", "npm": {"registry": "http://long:4873"}}"#;
        assert_eq!(registry("{}", None), None);
        assert_eq!(registry("{}", Some("")), None);
        assert_eq!(registry(both, None).unwrap(), "http://long:4873/");
        assert_eq!(
            registry(r#"{"npmRegistry": "http://short:4873"}"#, None).unwrap(),
            "http://short:4873/"
        );
        assert_eq!(
            registry(both, Some("http://variable:4873")).unwrap(),
            "http://variable:4873/"
        );
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
        ] {
            let error = Options::parse("{}", Some(url)).unwrap_err().text();
            assert!(error.starts_with(text), "{error}");
        }
        assert!(Options::parse(r#"{"npm": {"scopes": {"@a": "nowhere"}}}"#, None).is_err());
        assert!(Options::parse(r#"{"npm": {"registri": ""}}"#, None).is_err());
    }
}
