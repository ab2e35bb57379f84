//! What clients are told about a message beyond the size limit: the words and the code of grpc-go, which SDKs know,
//! in place of tonic's.

use tonic::{Code, Status};

const RECEIVED: &str = "Error, decoded message length too large: found ";
const SENT: &str = "Error, encoded message length too large: found ";

/// The status as grpc-go has it if it is tonic's about a message beyond the limit; any other as it is.
#[must_use]
pub fn in_grpc_gos_words(status: Status) -> Status {
    if status.code() != Code::OutOfRange {
        return status;
    }
    let (words, numbers) = match status.message() {
        text if text.starts_with(RECEIVED) => ("received message", text.strip_prefix(RECEIVED)),
        text => ("trying to send message", text.strip_prefix(SENT)),
    };
    let numbers = numbers
        .and_then(|text| text.strip_suffix(" bytes"))
        .and_then(|text| text.split_once(" bytes, the limit is: "));
    match numbers {
        Some((size, limit)) => {
            Status::resource_exhausted(format!("grpc: {words} larger than max ({size} vs. {limit})"))
        }
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tonics_words_about_the_limit_change() {
        let said = |code: Code, text: &str| {
            let status = in_grpc_gos_words(Status::new(code, text));
            (status.code(), status.message().to_owned())
        };
        let numbers = "9 bytes, the limit is: 5 bytes";
        for (start, expected) in [
            (RECEIVED, "grpc: received message larger than max (9 vs. 5)"),
            (SENT, "grpc: trying to send message larger than max (9 vs. 5)"),
        ] {
            let text = format!("{start}{numbers}");
            assert_eq!(
                said(Code::OutOfRange, &text),
                (Code::ResourceExhausted, expected.to_owned())
            );
            assert_eq!(said(Code::Unknown, &text), (Code::Unknown, text));
        }
        for other in ["", "beyond", RECEIVED] {
            assert_eq!(
                said(Code::OutOfRange, other),
                (Code::OutOfRange, other.to_owned())
            );
        }
    }
}
