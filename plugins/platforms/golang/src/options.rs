//! This platform's `config`, parsed and checked once.

use crate::error::OptionsError;
use serde::Deserialize;
use std::path::PathBuf;
use url::Url;

/// The image when nobody names one: what Fabric 2.5 uses.
const DEFAULT_IMAGE: &str = "hyperledger/fabric-baseos:2.5";
/// What the peer tells from core.yaml.
const IMAGE: &str = "chaincode.golang.runtime";
const DYNAMIC_LINK: &str = "chaincode.golang.dynamicLink";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Config {
    runtime_image: String,
    builder_image: String,
    go_proxy: String,
    go_no_proxy: String,
    go_private: String,
    go_sum_db: String,
    go_no_sum_db: String,
    go_flags: String,
    netrc_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    dynamic_link: Option<bool>,
}

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) runtime_image: String,
    /// Empty: the peer's `chaincode.builder`.
    pub(crate) builder_image: String,
    /// Variables of the go command that are set.
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) netrc_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) dynamic_link: bool,
}

impl Options {
    /// Parses the config; `fact` is what the peer tells beside it.
    pub(crate) fn parse<'a>(
        json: &str,
        fact: &dyn Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, OptionsError> {
        let config: Config = serde_json::from_str(json)?;
        check_proxy(&config.go_proxy)?;
        let variables = [
            ("GOPROXY", config.go_proxy),
            ("GONOPROXY", config.go_no_proxy),
            ("GOPRIVATE", config.go_private),
            ("GOSUMDB", config.go_sum_db),
            ("GONOSUMDB", config.go_no_sum_db),
            ("GOFLAGS", config.go_flags),
        ];
        let images = [config.runtime_image.as_str(), fact(IMAGE).unwrap_or_default()];
        Ok(Self {
            runtime_image: images
                .into_iter()
                .find(|image| !image.is_empty())
                .unwrap_or(DEFAULT_IMAGE)
                .to_owned(),
            builder_image: config.builder_image,
            variables: variables
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
            netrc_file: config.netrc_file,
            ca_file: config.ca_file,
            dynamic_link: config.dynamic_link.unwrap_or(fact(DYNAMIC_LINK) == Some("true")),
        })
    }
}

/// Credentials in it would end up in logs.
fn check_proxy(text: &str) -> Result<(), OptionsError> {
    for part in text
        .split([',', '|'])
        .map(str::trim)
        .filter(|part| !matches!(*part, "" | "direct" | "off"))
    {
        // what stands before an @ may be a password
        let shown = || OptionsError::Proxy(part.rsplit('@').next().unwrap_or_default().to_owned());
        let url = Url::parse(part).map_err(|_not_a_url| shown())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OptionsError::Credentials);
        }
        if !matches!(url.scheme(), "http" | "https" | "file") {
            return Err(shown());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Options, String> {
        Options::parse(json, &|_| None).map_err(|error| error.text())
    }

    #[test]
    fn settings_become_variables_of_the_go_command() {
        let options = parse(
            r#"{"goProxy": "https://a.example|https://b.example,direct", "goNoSumDb": "x.example/*", "goFlags": "-v"}"#,
        )
        .unwrap();
        assert_eq!(
            options.variables,
            [
                ("GOPROXY", "https://a.example|https://b.example,direct".to_owned()),
                ("GONOSUMDB", "x.example/*".to_owned()),
                ("GOFLAGS", "-v".to_owned()),
            ]
        );
        let none = parse("{}").unwrap();
        assert!(none.variables.is_empty() && !none.dynamic_link);
        assert_eq!(none.runtime_image, DEFAULT_IMAGE);
    }

    #[test]
    fn the_configuration_goes_before_the_peers_keys() {
        let facts = |name: &str| match name {
            IMAGE => Some("acme/of-core:1"),
            DYNAMIC_LINK => Some("true"),
            _ => None,
        };
        let of_core = Options::parse("{}", &facts).unwrap();
        assert!(of_core.dynamic_link && of_core.runtime_image == "acme/of-core:1");
        let own = Options::parse(r#"{"dynamicLink": false, "runtimeImage": "acme/own:1"}"#, &facts).unwrap();
        assert!(!own.dynamic_link && own.runtime_image == "acme/own:1");
    }

    #[test]
    fn what_cannot_be_a_proxy_is_refused() {
        for wrong in [
            "nowhere",
            "https://me:s3cret@a.example",
            "ftp://a.example",
            "https://me:s3cret@:x",
        ] {
            let error = parse(&format!(r#"{{"goProxy": "off,{wrong}"}}"#)).unwrap_err();
            assert!(
                error.starts_with("goProxy must") && !error.contains("s3cret"),
                "{error}"
            );
        }
        assert!(parse(r#"{"goPoxy": ""}"#).is_err());
    }
}
