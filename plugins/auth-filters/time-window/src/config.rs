//! This filter's `config`.

use crate::filter::TimeWindow;
use plugin_api::{PluginError, Result};
use serde::Deserialize;
use std::time::Duration;

/// Keys and their meaning, for operators and for the peer's check.
pub(crate) const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "before": {
            "type": "string",
            "default": "15m",
            "description": "How far a proposal's timestamp may be behind the peer's clock, such as 90s, 15m or 1h 30m."
        },
        "after": {
            "type": "string",
            "default": "15m",
            "description": "How far a proposal's timestamp may be ahead of the peer's clock."
        }
    }
}"#;

/// What Fabric's `peer.authentication.timewindow` is.
const DEFAULT: &str = "15m";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    before: String,
    after: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            before: DEFAULT.to_owned(),
            after: DEFAULT.to_owned(),
        }
    }
}

/// The filter that a configuration describes.
pub(crate) fn parse(json: &str) -> Result<TimeWindow> {
    let config: Config =
        serde_json::from_str(json).map_err(|error| PluginError::config(error.to_string()))?;
    Ok(TimeWindow {
        before: duration("before", &config.before)?,
        after: duration("after", &config.after)?,
    })
}

fn duration(key: &str, text: &str) -> Result<Duration> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_zero) => Err(PluginError::config(format!(
            "{key} is {text:?}, and no clock is that exact: write a longer time, such as 15m"
        ))),
        Err(error) => Err(PluginError::config(format!(
            "{key} is {text:?}, which is no duration such as 90s, 15m or 1h 30m: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let window = parse("{}").unwrap();
        assert_eq!((window.before, window.after), (minutes(15), minutes(15)));
        let window = parse(r#"{"before": "1h 30m", "after": "90s"}"#).unwrap();
        assert_eq!(
            (window.before, window.after),
            (minutes(90), Duration::from_secs(90))
        );
    }

    #[test]
    fn what_is_no_duration_is_refused_by_its_key() {
        for (json, text) in [
            (
                r#"{"before": "soon"}"#,
                "before is \"soon\", which is no duration",
            ),
            (r#"{"after": "15"}"#, "after is \"15\", which is no duration"),
            (r#"{"after": "-15m"}"#, "after is \"-15m\", which is no duration"),
            (
                r#"{"before": "0s"}"#,
                "before is \"0s\", and no clock is that exact",
            ),
            (r#"{"befor": "1s"}"#, "unknown field `befor`"),
        ] {
            let error = parse(json).err().unwrap();
            assert_eq!(error.code, plugin_api::Code::CONFIG);
            assert!(error.message.starts_with(text), "{error}");
        }
    }
}
