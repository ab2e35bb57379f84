//! The log of `peer dev`: lines that chaincode prints as it prints them, the peer's own as always.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of what chaincode prints.
const CHAINCODE: &str = "chaincode";

/// Writes `mycc:1 | line` for a line of chaincode.
pub(super) struct ChaincodeFirst(pub(super) Format);

impl<S, N> FormatEvent<S, N> for ChaincodeFirst
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        if event.metadata().target() == CHAINCODE {
            event.record(&mut said);
        }
        let (Some(chaincode), Some(line)) = (said.chaincode, said.line) else {
            return self.0.format_event(context, writer, event);
        };
        match printable(&line).trim_end() {
            "" => Ok(()),
            line => writeln!(writer, "{chaincode} | {line}"),
        }
    }
}

/// What an event says if it is a line of chaincode.
#[derive(Default)]
struct Said {
    chaincode: Option<String>,
    line: Option<String>,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "chaincode" => self.chaincode = Some(value.to_owned()),
            "line" => self.line = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

/// The line without what would act on the terminal: colours go, other control characters are spelled.
fn printable(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                // parameters, then the letter that ends it
                chars.by_ref().find(|char| ('@'..='~').contains(char));
            }
            '\t' => shown.push(char),
            _ if char.is_control() => shown.extend(char.escape_default()),
            _ => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn chaincode_is_shown_as_it_prints_and_the_peer_as_always() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(ChaincodeFirst(Format::default()))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let line = "\u{1b}[32minfo\u{1b}[39m stored";
            tracing::info!(target: "chaincode", chaincode = "kv:1", stream = "stdout", line, "output");
            tracing::info!(target: "chaincode", chaincode = "kv:1", stream = "stdout", line = "", "output");
            tracing::info!(target: "chaincode", chaincode = "kv:1", "chaincode prints too much");
            tracing::info!(target: "ledger", line = "not chaincode's", chaincode = "x", "committed");
        });
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "kv:1 | info stored");
        assert!(lines[1].contains("chaincode prints too much"), "{text}");
        assert!(lines[2].contains("ledger: committed"), "{text}");
        assert_eq!(lines.len(), 3, "{text}");
    }

    #[test]
    fn nothing_that_chaincode_prints_acts_on_the_terminal() {
        assert_eq!(printable("a\tb \u{1b}[1;31mred\u{1b}[0m"), "a\tb red");
        assert_eq!(printable("\u{1b}]0;title\u{7}x\r"), "\\u{1b}]0;title\\u{7}x\\r");
        assert_eq!(printable("\u{1b}[2J\u{1b}["), "");
        assert_eq!(printable("zürich ✓"), "zürich ✓");
    }
}
