//! What Maven and Gradle are told about repositories: files beside the unpacked package, for the build alone.

use crate::error::OptionsError;
use crate::options::{Mirror, Options};
use std::fs;
use std::path::Path;
use url::Url;

/// Where Gradle's init script finds the password, beside the unpacked package.
pub(crate) const GRADLE_PASSWORD: &str = "mirror.password";
/// Largest password file.
const MAX_FILE: u64 = 1 << 16;

/// The files' contents, and what in them is secret.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) maven: Option<String>,
    pub(crate) gradle: Option<String>,
    /// Of the mirror, for the file that Gradle's init script reads it from.
    pub(crate) gradle_password: Option<String>,
    pub(crate) gradle_properties: Option<String>,
    pub(crate) secrets: Vec<String>,
}

impl Settings {
    pub(crate) fn of(options: &Options) -> Result<Self, OptionsError> {
        if options.mirror.is_none() && options.proxy.is_none() {
            return Ok(Self::default());
        }
        let credentials = options
            .mirror
            .as_ref()
            .and_then(|mirror| mirror.credentials.as_ref());
        let credentials = match credentials {
            Some((user, file)) => Some((user.as_str(), password(file)?)),
            None => None,
        };
        let credentials = credentials
            .as_ref()
            .map(|(user, password)| (*user, password.as_str()));
        let mut secrets = Vec::new();
        if let Some((_, password)) = credentials {
            secrets = vec![password.to_owned(), xml(password)];
            secrets.dedup();
        }
        Ok(Self {
            maven: Some(maven(
                options.mirror.as_ref(),
                options.proxy.as_ref(),
                credentials,
            )),
            gradle: options
                .mirror
                .as_ref()
                .map(|mirror| gradle(&mirror.url, credentials.map(|(user, _)| user))),
            gradle_password: credentials.map(|(_, password)| password.to_owned()),
            gradle_properties: options.proxy.as_ref().map(gradle_properties),
            secrets,
        })
    }
}

fn password(path: &Path) -> Result<String, OptionsError> {
    let failed = |source| OptionsError::File {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(failed(std::io::Error::other("it is larger than 64 KiB")));
    }
    let content = fs::read_to_string(path).map_err(failed)?;
    let password = content.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.chars().any(char::is_control) {
        return Err(OptionsError::NoPassword(path.to_owned()));
    }
    Ok(password.to_owned())
}

/// Maven's `settings.xml`.
fn maven(mirror: Option<&Mirror>, proxy: Option<&Url>, credentials: Option<(&str, &str)>) -> String {
    let mut text = "<settings>\n".to_owned();
    if let Some(mirror) = mirror {
        text.push_str(&format!(
            "  <mirrors>\n    <mirror>\n      <id>configured</id>\n      <mirrorOf>{}</mirrorOf>\n      \
             <url>{}</url>\n    </mirror>\n  </mirrors>\n",
            xml(&mirror.mirror_of),
            xml(mirror.url.as_str())
        ));
    }
    if let Some((user, password)) = credentials {
        text.push_str(&format!(
            "  <servers>\n    <server>\n      <id>configured</id>\n      <username>{}</username>\n      \
             <password>{}</password>\n    </server>\n  </servers>\n",
            xml(user),
            xml(password)
        ));
    }
    if let Some(proxy) = proxy {
        text.push_str("  <proxies>\n");
        for protocol in ["http", "https"] {
            text.push_str(&format!(
                "    <proxy>\n      <id>{protocol}</id>\n      <active>true</active>\n      \
                 <protocol>{protocol}</protocol>\n      <host>{}</host>\n      <port>{}</port>\n    </proxy>\n",
                xml(proxy.host_str().unwrap_or_default()),
                proxy.port_or_known_default().unwrap_or_default()
            ));
        }
        text.push_str("  </proxies>\n");
    }
    text.push_str("</settings>\n");
    text
}

/// Text in XML.
fn xml(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&apos;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

/// Gradle's init script: the mirror is the only repository, for plugins and dependencies, whatever build files say.
/// The password stays in a file of its own: Gradle keeps scripts that it has compiled.
fn gradle(url: &Url, user: Option<&str>) -> String {
    let credentials = user.map_or_else(String::new, |user| {
        format!(
            "\n        credentials {{\n            username = '{}'\n            \
             password = new File(System.getenv('CHAINCODE_INPUT'), '{GRADLE_PASSWORD}').getText('UTF-8')\n        }}",
            groovy(user)
        )
    });
    let insecure = if url.scheme() == "http" {
        "\n        if (repository.hasProperty('allowInsecureProtocol')) { repository.allowInsecureProtocol = true }"
    } else {
        ""
    };
    format!(
        "def configured = {{ repositories ->
    repositories.clear()
    repositories.maven {{ repository ->
        repository.url = '{}'{insecure}{credentials}
    }}
}}
settingsEvaluated {{ settings -> configured(settings.pluginManagement.repositories) }}
allprojects {{
    configured(buildscript.repositories)
    afterEvaluate {{ project -> configured(project.repositories) }}
}}
",
        groovy(url.as_str())
    )
}

/// Text between single quotes in Groovy.
fn groovy(text: &str) -> String {
    text.replace('\\', r"\\").replace('\'', r"\'")
}

fn gradle_properties(proxy: &Url) -> String {
    let host = proxy.host_str().unwrap_or_default();
    let port = proxy.port_or_known_default().unwrap_or_default();
    ["http", "https"]
        .map(|protocol| {
            format!("systemProp.{protocol}.proxyHost={host}\nsystemProp.{protocol}.proxyPort={port}\n")
        })
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Result<Settings, String> {
        Settings::of(&Options::parse(json, &|_| None).unwrap()).map_err(|error| error.text())
    }

    #[test]
    fn without_settings_there_are_no_files() {
        let none = settings("{}").unwrap();
        assert!(none.maven.is_none() && none.gradle.is_none() && none.gradle_properties.is_none());
    }

    #[test]
    fn mirror_credentials_and_proxy_reach_both_tools_escaped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "a<b'c\\d\n").unwrap();
        let json = format!(
            r#"{{"maven": {{"mirror": "https://m.example/all?a=1&b=2", "user": "u&v", "passwordFile": "{}",
                "proxy": "http://p.example:3128"}}}}"#,
            file.display()
        );
        let settings = settings(&json).unwrap();
        let maven = settings.maven.unwrap();
        for part in [
            "<mirrorOf>*</mirrorOf>",
            "<url>https://m.example/all?a=1&amp;b=2</url>",
            "<username>u&amp;v</username>",
            "<password>a&lt;b&apos;c\\d</password>",
            "<host>p.example</host>\n      <port>3128</port>",
        ] {
            assert!(maven.contains(part), "{part} in {maven}");
        }
        let gradle = settings.gradle.unwrap();
        assert!(
            gradle.contains("repository.url = 'https://m.example/all?a=1&b=2'"),
            "{gradle}"
        );
        assert!(
            gradle.contains("'mirror.password'") && !gradle.contains("a<b"),
            "{gradle}"
        );
        assert_eq!(settings.gradle_password.as_deref(), Some("a<b'c\\d"));
        assert!(!gradle.contains("allowInsecureProtocol"));
        assert_eq!(
            settings.gradle_properties.unwrap(),
            "systemProp.http.proxyHost=p.example\nsystemProp.http.proxyPort=3128\n\
             systemProp.https.proxyHost=p.example\nsystemProp.https.proxyPort=3128\n"
        );
        for form in ["a<b'c\\d", "a&lt;b&apos;c\\d"] {
            assert!(settings.secrets.iter().any(|secret| secret == form), "{form}");
        }
        let proxy = super::tests::settings(r#"{"maven": {"proxy": "http://p.example"}}"#).unwrap();
        assert!(proxy.gradle.is_none() && !proxy.maven.unwrap().contains("<mirror>"));
    }

    #[test]
    fn a_password_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let json = format!(
            r#"{{"maven": {{"mirror": "https://m.example", "user": "u", "passwordFile": "{}"}}}}"#,
            file.display()
        );
        assert!(
            settings(&json)
                .unwrap_err()
                .starts_with("cannot read maven.passwordFile")
        );
        for none in ["", "\n", "a\nb"] {
            fs::write(&file, none).unwrap();
            assert!(
                settings(&json).unwrap_err().contains("holds no password"),
                "{none:?}"
            );
        }
    }
}
