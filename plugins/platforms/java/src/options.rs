//! This platform's `config`, parsed and checked once.

use crate::error::OptionsError;
use plugin_api::OWN_CONFIG;
use serde::Deserialize;
use std::path::PathBuf;
use url::Url;

/// The image when nobody names one: what Fabric 2.5 uses.
const DEFAULT_IMAGE: &str = "hyperledger/fabric-javaenv:2.5";
/// What the peer tells from core.yaml.
const IMAGE: &str = "chaincode.java.runtime";
/// Maven's word for every repository.
const ALL: &str = "*";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Config {
    runtime_image: String,
    maven: MavenConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct MavenConfig {
    mirror: String,
    mirror_of: String,
    user: String,
    password_file: Option<PathBuf>,
    proxy: String,
}

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) runtime_image: String,
    pub(crate) mirror: Option<Mirror>,
    pub(crate) proxy: Option<Url>,
}

/// The repository in place of others.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    pub(crate) url: Url,
    pub(crate) mirror_of: String,
    /// User, and the file with the password.
    pub(crate) credentials: Option<(String, PathBuf)>,
}

impl Options {
    /// Parses the config; `fact` is what the peer tells beside it.
    pub(crate) fn parse<'a>(
        json: &str,
        fact: &dyn Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, OptionsError> {
        let config: Config = serde_json::from_str(json)?;
        let own: Config = match fact(OWN_CONFIG) {
            Some(own) => serde_json::from_str(own)?,
            None => Config::default(),
        };
        let maven = config.maven;
        let url = |key, text: &str| (!text.is_empty()).then(|| http_url(key, text)).transpose();
        let credentials = match (maven.user.as_str(), maven.password_file) {
            ("", None) => None,
            ("", Some(_)) | (_, None) => return Err(OptionsError::HalfCredentials),
            // A password belongs to the mirror that is stated beside it: no other one gets to see it.
            _ if !own.maven.mirror.is_empty() && own.maven.password_file.is_none() => {
                tracing::warn!(
                    "maven.passwordFile is left out: it is for another mirror than the chaincode's"
                );
                None
            }
            (user, Some(file)) => Some((user.to_owned(), file)),
        };
        let mirror = url("maven.mirror", &maven.mirror)?.map(|url| Mirror {
            url,
            mirror_of: match maven.mirror_of.as_str() {
                "" => ALL.to_owned(),
                stated => stated.to_owned(),
            },
            credentials,
        });
        let images = [config.runtime_image.as_str(), fact(IMAGE).unwrap_or_default()];
        Ok(Self {
            runtime_image: images
                .into_iter()
                .find(|image| !image.is_empty())
                .unwrap_or(DEFAULT_IMAGE)
                .to_owned(),
            mirror,
            proxy: url("maven.proxy", &maven.proxy)?,
        })
    }
}

/// A URL; credentials in it would end up in logs.
fn http_url(key: &'static str, value: &str) -> Result<Url, OptionsError> {
    let url = Url::parse(value).map_err(|source| OptionsError::Url {
        key,
        // what stands before an @ may be a password
        value: value.rsplit('@').next().unwrap_or_default().to_owned(),
        source,
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme().to_owned();
        return Err(OptionsError::Scheme { key, scheme });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OptionsError::Credentials(key));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, own: Option<&str>) -> Result<Options, String> {
        Options::parse(json, &|name| own.filter(|_| name == OWN_CONFIG)).map_err(|error| error.text())
    }

    #[test]
    fn a_mirror_takes_the_place_of_everything_unless_it_says_otherwise() {
        let mirror = |json: &str| parse(json, None).unwrap().mirror.unwrap();
        assert_eq!(
            mirror(r#"{"maven": {"mirror": "https://m.example"}}"#).mirror_of,
            "*"
        );
        let json = r#"{"maven": {"mirror": "https://m.example", "mirrorOf": "central", "user": "u", "passwordFile": "/p"}}"#;
        assert_eq!(mirror(json).mirror_of, "central");
        assert_eq!(
            mirror(json).credentials.unwrap(),
            ("u".to_owned(), PathBuf::from("/p"))
        );
        let none = parse("{}", None).unwrap();
        assert!(none.mirror.is_none() && none.proxy.is_none());
        assert_eq!(none.runtime_image, DEFAULT_IMAGE);
    }

    #[test]
    fn a_password_goes_to_the_mirror_beside_it_and_to_no_other() {
        let merged = r#"{"maven": {"mirror": "https://b.example", "user": "u", "passwordFile": "/p"}}"#;
        let own = r#"{"maven": {"mirror": "https://b.example"}}"#;
        assert!(
            parse(merged, Some(own))
                .unwrap()
                .mirror
                .unwrap()
                .credentials
                .is_none()
        );
        assert!(
            parse(merged, Some(merged))
                .unwrap()
                .mirror
                .unwrap()
                .credentials
                .is_some()
        );
        assert!(
            parse(merged, Some("{}"))
                .unwrap()
                .mirror
                .unwrap()
                .credentials
                .is_some()
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (maven, text) in [
            (r#""mirror": "nowhere""#, "maven.mirror is no URL"),
            (
                r#""mirror": "https://me:s3cret@m.example""#,
                "maven.mirror must not",
            ),
            (r#""proxy": "ftp://p.example""#, "maven.proxy must be"),
            (r#""proxy": "https://me:s3cret@:x""#, "maven.proxy is no URL"),
            (r#""user": "u""#, "maven.user and"),
            (r#""passwordFile": "/p""#, "maven.user and"),
        ] {
            let error = parse(&format!(r#"{{"maven": {{{maven}}}}}"#), None).unwrap_err();
            assert!(error.starts_with(text) && !error.contains("s3cret"), "{error}");
        }
        assert!(parse(r#"{"mavn": {}}"#, None).is_err());
    }
}
