//! [`Binding`]: for which proposals an entry is there.

use crate::config::{Match, Patterns};
use crate::request::ParsedRequest;
use serde::Serialize;
use std::fmt;
use wildmatch::WildMatch;

/// The `match` of an entry, compiled. Without conditions it applies to everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Binding {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    fact: Fact,
    patterns: Vec<WildMatch>,
    written: Patterns,
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Channel,
    Chaincode,
    Function,
    MspId,
}

impl Fact {
    fn key(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Chaincode => "chaincode",
            Self::Function => "function",
            Self::MspId => "mspid",
        }
    }
}

/// A proposal as somebody describes it who asks what would apply to it. What is `None` is left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The channel; empty for a proposal without one.
    pub channel: Option<String>,
    /// The chaincode.
    pub chaincode: Option<String>,
    /// The first argument.
    pub function: Option<String>,
    /// The creator's MSP.
    pub mspid: Option<String>,
}

/// Whether an entry applies to what a [`Question`] describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// In any case.
    Yes,
    /// In no case.
    No,
    /// That depends on what was left open.
    Depends,
}

impl Binding {
    pub(crate) fn new(conditions: &Match) -> Self {
        let Match {
            channel,
            chaincode,
            function,
            mspid,
        } = conditions;
        let facts = [
            (Fact::Channel, channel),
            (Fact::Chaincode, chaincode),
            (Fact::Function, function),
            (Fact::MspId, mspid),
        ];
        let conditions = facts.into_iter().filter_map(|(fact, written)| {
            let written = written.clone()?;
            let patterns = written.0.iter().map(|pattern| WildMatch::new(pattern)).collect();
            Some(Condition {
                fact,
                patterns,
                written,
            })
        });
        Self {
            conditions: conditions.collect(),
        }
    }

    /// Whether the entry is there for this request. It is for one whose facts are not known: what the peer cannot
    /// decode must not be a way around a filter.
    pub(crate) fn applies(&self, request: &ParsedRequest) -> bool {
        self.conditions.is_empty()
            || !request.decoded
            || self.conditions.iter().all(|condition| match condition.fact {
                Fact::Channel => condition.meets(&request.channel_id),
                Fact::Chaincode => condition.meets(&request.chaincode_name),
                Fact::Function => condition.meets(&String::from_utf8_lossy(&request.function)),
                Fact::MspId => condition.meets(&request.msp_id),
            })
    }

    /// Whether the entry is there for what the question describes.
    pub(crate) fn answer(&self, question: &Question) -> Applies {
        let answers = self.conditions.iter().map(|condition| {
            let described = match condition.fact {
                Fact::Channel => &question.channel,
                Fact::Chaincode => &question.chaincode,
                Fact::Function => &question.function,
                Fact::MspId => &question.mspid,
            };
            described.as_ref().map(|value| condition.meets(value))
        });
        let answers: Vec<Option<bool>> = answers.collect();
        if answers.contains(&Some(false)) {
            Applies::No
        } else if answers.contains(&None) {
            Applies::Depends
        } else {
            Applies::Yes
        }
    }
}

impl Condition {
    fn meets(&self, value: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(value))
    }
}

impl fmt::Display for Binding {
    /// `channel=a|b chaincode=c*`, empty without conditions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.conditions.iter().enumerate() {
            let blank = if at == 0 { "" } else { " " };
            write!(
                f,
                "{blank}{}={}",
                condition.fact.key(),
                condition.written.0.join("|")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;

    fn binding(conditions: serde_json::Value) -> Binding {
        Binding::new(&serde_json::from_value(conditions).unwrap())
    }

    fn request(channel: &str, chaincode: &str, function: &'static [u8], mspid: &str) -> ParsedRequest {
        ParsedRequest {
            channel_id: channel.to_owned(),
            chaincode_name: chaincode.to_owned(),
            function: Bytes::from_static(function),
            msp_id: mspid.to_owned(),
            decoded: true,
            ..ParsedRequest::default()
        }
    }

    #[test]
    fn every_condition_must_be_met_by_one_of_its_patterns() {
        let bound = binding(json!({"channel": ["pay", "trade-*"], "function": "set?"}));
        assert!(bound.applies(&request("pay", "cc", b"set1", "Org1MSP")));
        assert!(bound.applies(&request("trade-eu", "cc", b"setX", "")));
        assert!(!bound.applies(&request("pay", "cc", b"set", "Org1MSP")));
        assert!(!bound.applies(&request("other", "cc", b"set1", "Org1MSP")));
        assert!(
            !bound.applies(&request("Pay", "cc", b"set1", "Org1MSP")),
            "case matters"
        );
        assert_eq!(bound.to_string(), "channel=pay|trade-* function=set?");
        assert!(binding(json!({"channel": ""})).applies(&request("", "cc", b"f", "")));
        for never in [json!({"channel": []}), json!({"chaincode": "pay:1.0"})] {
            assert!(serde_json::from_value::<Match>(never.clone()).is_err(), "{never}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_no_way_around() {
        let bound = binding(json!({"chaincode": "pay"}));
        assert!(bound.applies(&ParsedRequest::default()));
        assert!(bound.applies(&request("c", "pay", &[0xff], "m")));
        assert!(binding(json!({"function": "*"})).applies(&request("c", "pay", &[0xff], "m")));
    }

    #[test]
    fn questions_may_leave_facts_open() {
        let bound = binding(json!({"channel": "pay", "mspid": "Org1MSP"}));
        let question = |channel: Option<&str>, mspid: Option<&str>| Question {
            channel: channel.map(str::to_owned),
            mspid: mspid.map(str::to_owned),
            ..Question::default()
        };
        assert_eq!(
            bound.answer(&question(Some("pay"), Some("Org1MSP"))),
            Applies::Yes
        );
        assert_eq!(bound.answer(&question(Some("pay"), None)), Applies::Depends);
        assert_eq!(bound.answer(&question(Some("other"), None)), Applies::No);
        assert_eq!(Binding::default().answer(&question(None, None)), Applies::Yes);
    }
}
