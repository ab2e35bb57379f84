//! What the service's answer means.

use crate::messages::{CheckResponse, DeniedHttpResponse, HttpResponse, OkHttpResponse, Status};
use plugin_api::{Code, PluginError};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

/// Longest text of the service that a client gets, in characters.
const MAX_TEXT: usize = 500;

/// gRPC and HTTP codes that are told apart.
const OK: i32 = 0;
const GRPC_RESOURCE_EXHAUSTED: i32 = 8;
const GRPC_UNAUTHENTICATED: i32 = 16;
const HTTP_UNAUTHORIZED: i32 = 401;
const HTTP_TOO_MANY_REQUESTS: i32 = 429;

/// Names and values for later filters.
pub(crate) type Facts = Vec<(String, Vec<u8>)>;

/// The facts to set if the answer is yes; the refusal if it is anything else.
pub(crate) fn judge(answer: CheckResponse, wanted: &[String]) -> Result<Facts, PluginError> {
    // an answer of no bytes would have a status that is absent; Envoy reads OK, this filter wants to be told
    let status = answer.status.ok_or_else(|| unintelligible("says no status"))?;
    match (status.code, answer.http_response) {
        (OK, None) => Ok(facts(
            wanted,
            &OkHttpResponse::default(),
            answer.dynamic_metadata.as_ref(),
        )),
        (OK, Some(HttpResponse::Ok(ok))) => Ok(facts(wanted, &ok, answer.dynamic_metadata.as_ref())),
        (OK, Some(_)) => Err(unintelligible("says OK and no at once")),
        (_, Some(HttpResponse::Denied(denied))) => Err(denial(&status, &denied)),
        (_, Some(HttpResponse::Error(error))) => {
            let text = text(&[&error.body, &status.message]);
            Err(PluginError::new(
                Code::UNAVAILABLE,
                format!("the authorization service failed{text}"),
            ))
        }
        (_, Some(HttpResponse::Ok(_)) | None) => Err(denial(&status, &DeniedHttpResponse::default())),
    }
}

fn unintelligible(what: &str) -> PluginError {
    tracing::error!(what, "the authorization service's answer is unintelligible");
    PluginError::new(
        Code::UNAVAILABLE,
        "the authorization service's answer is unintelligible",
    )
}

fn denial(status: &Status, denied: &DeniedHttpResponse) -> PluginError {
    let http = denied.status.as_ref().map(|status| status.code);
    let code = match (http, status.code) {
        (Some(HTTP_UNAUTHORIZED), _) | (None, GRPC_UNAUTHENTICATED) => Code::UNAUTHENTICATED,
        (Some(HTTP_TOO_MANY_REQUESTS), _) | (None, GRPC_RESOURCE_EXHAUSTED) => Code::RESOURCE_EXHAUSTED,
        _ => Code::PERMISSION_DENIED,
    };
    let text = text(&[&denied.body, &status.message]);
    PluginError::new(code, format!("refused by the authorization service{text}"))
}

/// The first text that says something, short and on one line.
fn text(texts: &[&str]) -> String {
    let Some(text) = texts.iter().map(|text| text.trim()).find(|text| !text.is_empty()) else {
        return String::new();
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let short: String = text.chars().take(MAX_TEXT).map(plain).collect();
    format!(": {short}")
}

fn facts(wanted: &[String], ok: &OkHttpResponse, metadata: Option<&Struct>) -> Facts {
    let sources = [ok.dynamic_metadata.as_ref(), metadata];
    let find = |name: &String| {
        let said = sources
            .iter()
            .flatten()
            .find_map(|metadata| metadata.fields.get(name));
        let value = match said {
            Some(value) => fact(value),
            None => header(ok, name)?,
        };
        Some((name.clone(), value))
    };
    wanted.iter().filter_map(find).collect()
}

/// Text as it is, everything else as JSON.
fn fact(value: &Value) -> Vec<u8> {
    match &value.kind {
        Some(Kind::StringValue(text)) => text.clone().into_bytes(),
        _ => json(value).to_string().into_bytes(),
    }
}

/// The library decodes at most a hundred levels.
fn json(value: &Value) -> serde_json::Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(truth)) => (*truth).into(),
        Some(Kind::NumberValue(number)) => (*number).into(),
        Some(Kind::StringValue(text)) => text.clone().into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(json).collect(),
        Some(Kind::StructValue(object)) => {
            let members = object
                .fields
                .iter()
                .map(|(name, value)| (name.clone(), json(value)));
            serde_json::Value::Object(members.collect())
        }
    }
}

/// The last header of this name.
fn header(ok: &OkHttpResponse, name: &str) -> Option<Vec<u8>> {
    let headers = ok.headers.iter().filter_map(|option| option.header.as_ref());
    let named = headers.filter(|header| header.key.eq_ignore_ascii_case(name));
    let last = named.last()?;
    Some(match last.raw_value.is_empty() {
        true => last.value.clone().into_bytes(),
        false => last.raw_value.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{HeaderValue, HeaderValueOption, HttpStatus};

    fn denied(grpc: i32, http: Option<i32>, body: &str) -> PluginError {
        let answer = CheckResponse {
            status: Some(Status {
                code: grpc,
                message: "from status".to_owned(),
            }),
            http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
                status: http.map(|code| HttpStatus { code }),
                body: body.to_owned(),
            })),
            dynamic_metadata: None,
        };
        judge(answer, &[]).unwrap_err()
    }

    #[test]
    fn http_statuses_become_grpc_codes() {
        for (grpc, http, code) in [
            (7, Some(401), Code::UNAUTHENTICATED),
            (7, Some(403), Code::PERMISSION_DENIED),
            (7, Some(429), Code::RESOURCE_EXHAUSTED),
            (16, Some(403), Code::PERMISSION_DENIED),
            (7, Some(200), Code::PERMISSION_DENIED),
            (7, Some(503), Code::PERMISSION_DENIED),
            (7, None, Code::PERMISSION_DENIED),
            (16, None, Code::UNAUTHENTICATED),
            (8, None, Code::RESOURCE_EXHAUSTED),
            (-1, None, Code::PERMISSION_DENIED),
        ] {
            assert_eq!(denied(grpc, http, "").code, code, "{grpc} {http:?}");
        }
    }

    #[test]
    fn the_text_is_the_services_within_limits() {
        assert_eq!(
            denied(7, None, "no\r\nway ").message.as_str(),
            "refused by the authorization service: no  way"
        );
        assert_eq!(
            denied(7, None, " ").message.as_str(),
            "refused by the authorization service: from status"
        );
        let long = denied(7, None, &"é".repeat(10_000)).message;
        assert_eq!(long.chars().filter(|c| *c == 'é').count(), MAX_TEXT);
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        let ok = Some(Status {
            code: 0,
            message: String::new(),
        });
        let answer = |status, http_response| CheckResponse {
            status,
            http_response,
            dynamic_metadata: None,
        };
        assert_eq!(judge(answer(ok.clone(), None), &[]), Ok(Vec::new()));
        let yes = HttpResponse::Ok(OkHttpResponse::default());
        assert_eq!(judge(answer(ok.clone(), Some(yes.clone())), &[]), Ok(Vec::new()));
        let (no, broken) = (
            HttpResponse::Denied(DeniedHttpResponse::default()),
            HttpResponse::Error(DeniedHttpResponse::default()),
        );
        for unclear in [
            CheckResponse::default(),
            answer(None, Some(yes.clone())),
            answer(ok.clone(), Some(no)),
            answer(ok, Some(broken.clone())),
            answer(
                Some(Status {
                    code: 13,
                    message: String::new(),
                }),
                Some(broken),
            ),
        ] {
            assert_eq!(judge(unclear, &[]).unwrap_err().code, Code::UNAVAILABLE);
        }
        let refused = answer(
            Some(Status {
                code: 7,
                message: String::new(),
            }),
            Some(yes),
        );
        assert_eq!(judge(refused, &[]).unwrap_err().code, Code::PERMISSION_DENIED);
    }

    #[test]
    fn only_wanted_facts_are_taken_and_metadata_goes_before_headers() {
        let value = |kind| Value { kind: Some(kind) };
        let text = |text: &str| value(Kind::StringValue(text.to_owned()));
        let list = Kind::ListValue(prost_types::ListValue {
            values: vec![
                text("a"),
                value(Kind::NumberValue(1.5)),
                value(Kind::BoolValue(true)),
                Value { kind: None },
            ],
        });
        let object = |fields: Vec<(&str, Value)>| Struct {
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        };
        let header = |key: &str, value: &str, raw: &'static [u8]| HeaderValueOption {
            header: Some(HeaderValue {
                key: key.to_owned(),
                value: value.to_owned(),
                raw_value: raw.into(),
            }),
        };
        let answer = CheckResponse {
            status: Some(Status::default()),
            http_response: Some(HttpResponse::Ok(OkHttpResponse {
                headers: vec![
                    header("User", "from header", b""),
                    header("X-Tier", "a", b""),
                    header("x-tier", "b", b""),
                    header("raw", "", b"\xff"),
                ],
                dynamic_metadata: Some(object(vec![("old", text("way"))])),
            })),
            dynamic_metadata: Some(object(vec![
                ("user", text("alice")),
                ("roles", value(list)),
                ("other", text("not wanted")),
                ("old", text("loses")),
                ("nested", value(Kind::StructValue(object(vec![("a", text("b"))])))),
            ])),
        };
        let wanted = ["user", "roles", "x-tier", "raw", "old", "nested", "absent"].map(str::to_owned);
        let facts = judge(answer, &wanted).unwrap();
        let expected: [(&str, &[u8]); 6] = [
            ("user", b"alice"),
            ("roles", br#"["a",1.5,true,null]"#),
            ("x-tier", b"b"),
            ("raw", b"\xff"),
            ("old", b"way"),
            ("nested", br#"{"a":"b"}"#),
        ];
        let facts: Vec<_> = facts
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        assert_eq!(facts, expected);
    }
}
