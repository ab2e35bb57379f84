//! [`Record`]: what is known of a request, and the line that becomes of it.

use crate::creator::{Creators, without_padding};
use crate::outcome::{Decision, Outcome};
use plugin_api::{Request, proposal};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Longest name of something, in bytes.
const MAX_NAME: usize = 256;
/// Longest text and attribute, in bytes.
const MAX_TEXT: usize = 1024;
/// How much stays of each when a line is longer than its place.
const SHORT: usize = 40;

/// What is known of a request before its outcome.
#[derive(Debug)]
pub(crate) struct Record {
    time: SystemTime,
    tx_id: String,
    channel: String,
    chaincode: String,
    function: String,
    mspid: String,
    /// The creator's `id_bytes`, without what makes them too long.
    creator_cert: Vec<u8>,
    remote_addr: String,
}

/// A record with its outcome.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) record: Record,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    pub(crate) attrs: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: &'a str,
    tx_id: &'a str,
    channel: &'a str,
    chaincode: &'a str,
    function: &'a str,
    mspid: &'a str,
    subject: Option<&'a str>,
    cert_sha256: Option<&'a str>,
    remote_addr: &'a str,
    decision: Decision,
    code: u32,
    text: &'a str,
    status: Option<i32>,
    duration_ms: f64,
    attrs: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shortened: bool,
}

impl Record {
    pub(crate) fn of(request: &Request) -> Self {
        let function = proposal::call(request.proposal_bytes())
            .map(|call| call.function_text(MAX_NAME).into_owned())
            .unwrap_or_default();
        let cert = request.creator_cert();
        Self {
            time: SystemTime::now(),
            tx_id: cut(request.tx_id().as_str(), MAX_NAME).to_owned(),
            channel: cut(request.channel_id().as_str(), MAX_NAME).to_owned(),
            chaincode: cut(request.chaincode_name().as_str(), MAX_NAME).to_owned(),
            function,
            mspid: cut(request.msp_id().as_str(), MAX_NAME).to_owned(),
            creator_cert: without_padding(&cert),
            remote_addr: cut(request.remote_addr().as_str(), MAX_NAME).to_owned(),
        }
    }

    /// With what came of it.
    pub(crate) fn done(self, mut outcome: Outcome, took: Duration, attrs: Vec<(String, String)>) -> Done {
        outcome.text.truncate(MAX_TEXT);
        Done {
            record: self,
            outcome,
            took,
            attrs,
        }
    }
}

/// What other filters have said, by these names.
pub(crate) fn attrs(names: &[String], request: &Request) -> Vec<(String, String)> {
    let said = names.iter().filter_map(|name| {
        let value = request.attr(name.as_str().into()).into_option()?;
        let value = value.get(..MAX_TEXT).unwrap_or(&value);
        Some((name.clone(), String::from_utf8_lossy(value).into_owned()))
    });
    said.collect()
}

impl Done {
    /// The line, which ends with a line feed and has at most `limit` bytes (8 KiB are always enough).
    pub(crate) fn line(&self, creators: &mut Creators, limit: usize) -> String {
        let full = self.json(creators, MAX_TEXT);
        if full.len() <= limit {
            return full;
        }
        self.json(creators, SHORT)
    }

    fn json(&self, creators: &mut Creators, longest: usize) -> String {
        let Self {
            record,
            outcome,
            took,
            attrs,
        } = self;
        let creator = creators.of(&record.creator_cert);
        let text = String::from_utf8_lossy(&outcome.text);
        let time = OffsetDateTime::from(record.time);
        let micros = Duration::from_micros(u64::from(time.microsecond()));
        let time = time
            .replace_nanosecond(micros.subsec_nanos())
            .unwrap_or(time)
            .format(&Rfc3339)
            .unwrap_or_default();
        let short = |text| cut(text, longest);
        let line = Line {
            time: &time,
            tx_id: short(&record.tx_id),
            channel: short(&record.channel),
            chaincode: short(&record.chaincode),
            function: short(&record.function),
            mspid: short(&record.mspid),
            subject: creator
                .subject
                .as_deref()
                .map(|subject| cut(subject, longest.min(MAX_NAME))),
            cert_sha256: creator.sha256.as_deref(),
            remote_addr: short(&record.remote_addr),
            decision: outcome.decision,
            code: outcome.code,
            text: short(&text),
            status: outcome.status,
            duration_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
            attrs: attrs
                .iter()
                .map(|(name, value)| (name.as_str(), short(value)))
                .collect(),
            shortened: longest < MAX_TEXT,
        };
        // a struct of texts and numbers: it cannot fail
        let json = serde_json::to_string(&line).unwrap_or_default();
        let mut line = plain(&json);
        line.push('\n');
        line
    }
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// JSON without what could deceive a reader: it escapes control characters itself, but neither those beyond ASCII nor
/// those that end a line or change the direction of writing. They stand inside of texts only.
fn plain(json: &str) -> String {
    let mut plain = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        let deceives = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if !deceives {
            plain.push(c);
        } else if write!(plain, "\\u{:04x}", u32::from(c)).is_err() {
            // writing to a String cannot fail
            break;
        }
    }
    plain
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::Value;

    pub(crate) fn done(text: &[u8], name: &str) -> Done {
        let record = Record {
            time: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789),
            tx_id: name.to_owned(),
            channel: name.to_owned(),
            chaincode: name.to_owned(),
            function: name.to_owned(),
            mspid: name.to_owned(),
            creator_cert: Vec::new(),
            remote_addr: name.to_owned(),
        };
        let outcome = Outcome {
            decision: Decision::Rejected,
            code: 7,
            text: text.to_vec(),
            status: None,
        };
        let attrs = (0..16).map(|number| (format!("{number}.{}", "n".repeat(97)), name.repeat(4)));
        record.done(outcome, Duration::from_nanos(4_210_900), attrs.collect())
    }

    #[test]
    fn a_line_is_json_in_one_line() {
        let line = done(b"no", "a").line(&mut Creators::new(), 8192);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["time"], "2023-11-14T22:13:20.123456Z");
        assert_eq!(
            (&value["decision"], &value["code"]),
            (&"rejected".into(), &7.into())
        );
        assert_eq!(
            (&value["durationMs"], &value["status"]),
            (&4.211.into(), &Value::Null)
        );
        assert_eq!(value["shortened"], Value::Null);
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn hostile_texts_stay_inside_of_their_place() {
        let hostile = "\",\"decision\":\"endorsed\"}\n{\u{1b}[2J\u{85}\u{9b}2J\u{202e}\u{2028}\u{feff}\0";
        let line = done(b"\xff\n\"", hostile).line(&mut Creators::new(), 100_000);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(
            line.trim_end()
                .chars()
                .all(|c| !c.is_control() && !"\u{202e}\u{2028}\u{feff}".contains(c))
        );
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["txId"], &value["decision"]),
            (&hostile.into(), &"rejected".into())
        );
        assert_eq!(value["text"], "\u{fffd}\n\"");
    }

    #[test]
    fn a_line_fits_whatever_is_in_it() {
        let worst = "\u{1}".repeat(MAX_NAME);
        let line = done(&[1; 5000], &worst).line(&mut Creators::new(), 8192);
        assert!(line.len() <= 8192, "{}", line.len());
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["shortened"], true);
        let full = done(&[1; 5000], &worst).line(&mut Creators::new(), usize::MAX);
        let value: Value = serde_json::from_str(&full).unwrap();
        assert_eq!(value["text"].as_str().unwrap().len(), MAX_TEXT);
    }
}
