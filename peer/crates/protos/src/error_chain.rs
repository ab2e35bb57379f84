//! The one way an error becomes a text that clients and logs see.

use std::error::Error;

/// The error and its causes joined with `": "`, as Go's `errors.WithMessage` reads.
#[must_use]
pub fn wire_message(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
