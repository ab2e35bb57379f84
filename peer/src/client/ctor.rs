//! The JSON form of a call: `{"Args":["function","a",…]}` or `{"function":"f","Args":["a",…]}`
//! (Fabric internal/peer/chaincode/common.go).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// Why a call's JSON is refused.
#[derive(Debug, thiserror::Error)]
pub enum CtorError {
    /// Not JSON.
    #[error("Chaincode argument error: not JSON")]
    NotJson(#[source] serde_json::Error),
    /// Nothing at all.
    #[error(
        "empty JSON chaincode parameters must contain the following keys: 'Args' or 'Function' and 'Args'"
    )]
    Empty,
    /// No arguments.
    #[error(
        "Non-empty JSON chaincode parameters must contain the following keys: 'Args' or 'Function' and 'Args'"
    )]
    WrongKeys,
    /// An argument is no text.
    #[error("argument {index} of 'Args' is not a string")]
    NotText {
        /// Its place, from 0.
        index: usize,
    },
    /// A transient value is not base64.
    #[error("transient value of {key:?} is not base64")]
    Transient {
        /// Its key.
        key: String,
        /// What the decoder said.
        #[source]
        source: base64::DecodeError,
    },
    /// The transient JSON is not an object of strings.
    #[error("transient data must be a JSON object of base64 strings")]
    TransientShape(#[source] serde_json::Error),
}

/// The arguments of a call, function first.
///
/// # Errors
/// When the JSON is not of the form above.
pub fn parse_ctor(json: &str) -> Result<Vec<Bytes>, CtorError> {
    let value: Value = serde_json::from_str(json).map_err(CtorError::NotJson)?;
    let object = value.as_object().ok_or(CtorError::WrongKeys)?;
    if object.is_empty() {
        return Err(CtorError::Empty);
    }
    let field = |name: &str| {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let known = object.keys().all(|key| {
        ["args", "function"]
            .iter()
            .any(|name| key.eq_ignore_ascii_case(name))
    });
    let args = field("args")
        .and_then(Value::as_array)
        .filter(|_| known)
        .ok_or(CtorError::WrongKeys)?;
    let mut call = Vec::with_capacity(args.len() + 1);
    let function = match field("function") {
        Some(function) => function.as_str().ok_or(CtorError::WrongKeys)?,
        None => "",
    };
    if !function.is_empty() {
        call.push(Bytes::from(function.to_owned()));
    }
    for (index, arg) in args.iter().enumerate() {
        call.push(Bytes::from(
            arg.as_str().ok_or(CtorError::NotText { index })?.to_owned(),
        ));
    }
    Ok(call)
}

/// The transient map: a JSON object whose values are base64.
///
/// # Errors
/// When the JSON is not of that form.
pub fn parse_transient(json: &str) -> Result<BTreeMap<String, Bytes>, CtorError> {
    let values: BTreeMap<String, String> = serde_json::from_str(json).map_err(CtorError::TransientShape)?;
    values
        .into_iter()
        .map(|(key, value)| match STANDARD.decode(value) {
            Ok(bytes) => Ok((key, bytes.into())),
            Err(source) => Err(CtorError::Transient { key, source }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_call_are_read() {
        assert_eq!(
            parse_ctor(r#"{"Args":["put","a","1"]}"#).unwrap(),
            ["put", "a", "1"]
        );
        assert_eq!(
            parse_ctor(r#"{"function":"put","args":["a"]}"#).unwrap(),
            ["put", "a"]
        );
        assert!(parse_ctor(r#"{"Args":[]}"#).unwrap().is_empty());
        assert_eq!(parse_ctor(r#"{"function":"","Args":["a"]}"#).unwrap(), ["a"]);
    }

    #[test]
    fn other_forms_are_refused_with_a_reason() {
        assert!(matches!(parse_ctor("{"), Err(CtorError::NotJson(_))));
        assert!(matches!(parse_ctor("{}"), Err(CtorError::Empty)));
        assert!(matches!(parse_ctor("[]"), Err(CtorError::WrongKeys)));
        assert!(matches!(
            parse_ctor(r#"{"Arg":["x"]}"#),
            Err(CtorError::WrongKeys)
        ));
        assert!(matches!(
            parse_ctor(r#"{"Args":["x"],"other":1}"#),
            Err(CtorError::WrongKeys)
        ));
        assert!(matches!(
            parse_ctor(r#"{"Args":["x",1]}"#),
            Err(CtorError::NotText { index: 1 })
        ));
    }

    #[test]
    fn transient_values_are_base64() {
        assert_eq!(parse_transient(r#"{"k":"dg=="}"#).unwrap().get("k").unwrap(), "v");
        assert!(matches!(
            parse_transient(r#"{"k":"?"}"#),
            Err(CtorError::Transient { .. })
        ));
    }
}
