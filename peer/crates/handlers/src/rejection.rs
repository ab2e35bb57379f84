//! [`Rejection`]: why a request ends before or after the endorser, as a gRPC status without gRPC's types.

use abi_stable::std_types::RString;
use plugin_api::{Code, PluginError};
use thiserror::Error;

/// Longest text that is taken from a plugin, in bytes.
const MAX_TEXT: usize = 4096;

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Rejection {
    /// The gRPC status code.
    pub code: u32,
    /// The text for the client.
    pub message: String,
}

impl Rejection {
    /// A rejection with this gRPC status code.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// A text of a plugin, cut to a bearable length.
pub(crate) fn bounded(text: &RString) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// gRPC codes stay what they are, all others (and "ok", which is no error) are internal errors.
impl From<PluginError> for Rejection {
    fn from(error: PluginError) -> Self {
        let code = if (1..=16).contains(&error.code.0) {
            error.code
        } else {
            Code::INTERNAL
        };
        Self {
            code: code.0,
            message: bounded(&error.message),
        }
    }
}

impl From<Rejection> for PluginError {
    fn from(rejection: Rejection) -> Self {
        Self::new(Code(rejection.code), rejection.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_codes_are_kept_and_others_become_internal() {
        for (from, to) in [(2, 2), (7, 7), (16, 16), (0, 13), (17, 13), (1000, 13)] {
            assert_eq!(
                Rejection::from(PluginError::new(Code(from), "x")).code,
                to,
                "{from}"
            );
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = PluginError::unknown("é".repeat(5000));
        assert_eq!(Rejection::from(long).message.len(), 4096);
        assert_eq!(
            bounded(&RString::from(format!("a{}", "é".repeat(5000)))).len(),
            4095
        );
    }
}
