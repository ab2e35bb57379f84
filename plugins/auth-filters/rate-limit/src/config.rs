//! This filter's `config`.

use crate::key::By;
use crate::rule::{Restriction, Rule};
use governor::Quota;
use governor::clock::DefaultClock;
use plugin_api::{PluginError, Result};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

/// Keys and their meaning, for operators and for the peer's check.
pub(crate) const SCHEMA: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "required": ["rules"],
    "properties": {
        "rules": {
            "type": "array",
            "minItems": 1,
            "maxItems": 100,
            "description": "The limits; a proposal must pass each that is for it.",
            "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name", "by", "rate"],
                "properties": {
                    "name": {
                        "type": "string",
                        "pattern": "^[A-Za-z0-9._-]{1,64}$",
                        "description": "Unique name, shown in refusals and metrics."
                    },
                    "by": {
                        "type": "array",
                        "uniqueItems": true,
                        "description": "What has a bucket of its own: any combination; [] is one bucket for all proposals.",
                        "items": {
                            "enum": ["identity", "mspid", "channel", "chaincode", "function", "tls-cert", "remote-ip"]
                        }
                    },
                    "rate": {
                        "type": "number",
                        "minimum": 0.0003,
                        "maximum": 1000000,
                        "description": "Proposals per second in the long run."
                    },
                    "burst": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 1000000,
                        "description": "Proposals at once; as many as come in a second when absent, at least one."
                    },
                    "match": {
                        "type": "object",
                        "additionalProperties": false,
                        "description": "Which proposals the rule is for; all when absent. A * at the end matches any rest.",
                        "properties": {
                            "channel": { "$ref": "#/$defs/texts" },
                            "chaincode": { "$ref": "#/$defs/texts" },
                            "function": { "$ref": "#/$defs/texts" },
                            "mspid": { "$ref": "#/$defs/texts" }
                        }
                    },
                    "maxBuckets": {
                        "type": "integer",
                        "minimum": 1000,
                        "maximum": 10000000,
                        "default": 65536,
                        "description": "Buckets that are kept at a time."
                    }
                }
            }
        }
    },
    "$defs": {
        "texts": {
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 }
            ]
        }
    }
}"##;

const DEFAULT_BUCKETS: usize = 65_536;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    rules: Vec<RuleConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleConfig {
    name: String,
    by: Vec<By>,
    rate: f64,
    burst: Option<NonZeroU32>,
    #[serde(default)]
    r#match: Match,
    max_buckets: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Match {
    channel: Option<Texts>,
    chaincode: Option<Texts>,
    function: Option<Texts>,
    mspid: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Texts {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        }
    }
}

/// The rules that a configuration describes.
pub(crate) fn parse(json: &str) -> Result<Vec<Rule>> {
    let config: Config =
        serde_json::from_str(json).map_err(|error| PluginError::config(error.to_string()))?;
    let mut names = BTreeSet::new();
    let rules = config.rules.into_iter().map(|rule| {
        if !names.insert(rule.name.clone()) {
            return Err(PluginError::config(format!(
                "two rules have the name {:?}: give each its own",
                rule.name
            )));
        }
        let quota = quota(&rule).ok_or_else(|| {
            PluginError::config(format!(
                "rate of rule {:?} is {}: say how many proposals per second, from 0.0003 to 1000000",
                rule.name, rule.rate
            ))
        })?;
        let restriction = Restriction {
            channel: rule.r#match.channel.map(Texts::into_list),
            chaincode: rule.r#match.chaincode.map(Texts::into_list),
            function: rule.r#match.function.map(Texts::into_list),
            mspid: rule.r#match.mspid.map(Texts::into_list),
        };
        let buckets = rule.max_buckets.unwrap_or(DEFAULT_BUCKETS);
        let clock = DefaultClock::default();
        Ok(Rule::new(rule.name, rule.by, restriction, quota, buckets, clock))
    });
    rules.collect()
}

fn quota(rule: &RuleConfig) -> Option<Quota> {
    if !(0.0003..=1_000_000.0).contains(&rule.rate) {
        return None;
    }
    let period = Duration::try_from_secs_f64(1.0 / rule.rate).ok()?;
    // as many as come in a second
    let second = Duration::from_secs(1).as_nanos().checked_div(period.as_nanos())?;
    let in_a_second = u32::try_from(second).ok().and_then(NonZeroU32::new);
    let burst = rule.burst.or(in_a_second).unwrap_or(NonZeroU32::MIN);
    Some(Quota::with_period(period)?.allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(rate: f64, burst: Option<u32>) -> Option<(Duration, u32)> {
        let json = json!({ "name": "r", "by": [], "rate": rate, "burst": burst });
        let quota = quota(&serde_json::from_value(json).unwrap())?;
        Some((quota.replenish_interval(), quota.burst_size().get()))
    }

    #[test]
    fn rates_become_periods_and_bursts() {
        let millis = |millis| Duration::from_millis(millis);
        assert_eq!(of(50.0, None), Some((millis(20), 50)));
        assert_eq!(of(50.0, Some(100)), Some((millis(20), 100)));
        assert_eq!(of(0.1, None), Some((millis(10_000), 1)));
        assert!(of(0.0003, Some(1_000_000)).is_some() && of(1_000_000.0, None).is_some());
        for wrong in [0.0, -1.0, 1e-9, 1e9, f64::MIN_POSITIVE] {
            assert_eq!(of(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rule = |name: &str| json!({ "name": name, "by": ["identity"], "rate": 1 });
        for (config, text) in [
            (
                json!({ "rules": [rule("a"), rule("a")] }),
                "two rules have the name \"a\"",
            ),
            (
                json!({ "rules": [{ "name": "a", "by": ["client"], "rate": 1 }] }),
                "unknown variant `client`",
            ),
            (
                json!({ "rules": [{ "name": "a", "by": [], "rate": 0 }] }),
                "rate of rule \"a\" is 0",
            ),
        ] {
            let error = parse(&config.to_string()).err().unwrap();
            assert!(error.message.contains(text), "{error}");
        }
        assert_eq!(
            parse(&json!({ "rules": [rule("a"), rule("b")] }).to_string())
                .unwrap()
                .len(),
            2
        );
    }
}
