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
            "description": "How far a proposal's timestamp may be behind the peer's clock, such as 90s, 15m or 1h 30m. Default: peer.authentication.timewindow."
        },
        "after": {
            "type": "string",
            "description": "How far a proposal's timestamp may be ahead of the peer's clock. Default: peer.authentication.timewindow."
        }
    }
}"#;

/// What Fabric takes where `peer.authentication.timewindow` is not set, or is 0.
const DEFAULT: &str = "15m";
/// How the peer writes 0.
const UNSET: &str = "0ms";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    before: Option<String>,
    after: Option<String>,
}

/// The filter that a configuration describes; `of_peer` is the peer's own window.
pub(crate) fn parse(json: &str, of_peer: Option<&str>) -> Result<TimeWindow> {
    let config: Config =
        serde_json::from_str(json).map_err(|error| PluginError::config(error.to_string()))?;
    let default = of_peer.filter(|window| *window != UNSET).unwrap_or(DEFAULT);
    Ok(TimeWindow {
        before: duration("before", config.before.as_deref().unwrap_or(default))?,
        after: duration("after", config.after.as_deref().unwrap_or(default))?,
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
        let window = parse("{}", None).unwrap();
        assert_eq!((window.before, window.after), (minutes(15), minutes(15)));
        let window = parse(r#"{"before": "1h 30m", "after": "90s"}"#, Some("300000ms")).unwrap();
        assert_eq!(
            (window.before, window.after),
            (minutes(90), Duration::from_secs(90))
        );
    }

    #[test]
    fn the_peers_own_window_is_the_default() {
        let window = parse(r#"{"after": "90s"}"#, Some("300000ms")).unwrap();
        assert_eq!(window.before, Duration::from_secs(300));
        assert_eq!(window.after, Duration::from_secs(90));
        assert_eq!(parse("{}", Some(UNSET)).unwrap().before, Duration::from_secs(900));
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
            let error = parse(json, None).err().unwrap();
            assert_eq!(error.code, plugin_api::Code::CONFIG);
            assert!(error.message.starts_with(text), "{error}");
        }
    }
}
