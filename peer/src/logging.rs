//! Logging: Fabric's specification (`info:gossip,msp=warn:…`) on top of `tracing`.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// The level when the specification says nothing.
const DEFAULT_LEVEL: &str = "info";

/// Installs the process-wide subscriber. Logs go to standard error, results of commands to standard output.
/// A second call has no effect.
pub fn init(spec: &str, format: &str) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(spec))
        // what it says of its own failures it says on standard error, and panics if that fails
        .log_internal_errors(false)
        .with_writer(|| Unfailing(io::stderr()))
        .with_ansi(io::stderr().is_terminal());
    let installed = if format.eq_ignore_ascii_case("json") {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "logging is installed already");
    }
}

/// Never more than this of the Docker client: at `debug` it writes down whole requests, tokens for builds included.
const CAPPED: &str = "bollard=info";
/// A log that cannot be written is no reason to stop: whoever read it may have gone before the peer.
struct Unfailing<W>(W);

impl<W: Write> Write for Unfailing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().or(Ok(()))
    }
}

/// Translates `FABRIC_LOGGING_SPEC`: colon-separated terms, each a level or `logger[,logger]=level`.
fn filter(spec: &str) -> EnvFilter {
    let mut filter = EnvFilter::new(DEFAULT_LEVEL);
    for term in spec.split(':').map(str::trim).filter(|term| !term.is_empty()) {
        for directive in directives(term) {
            filter = filter.add_directive(directive);
        }
    }
    match CAPPED.parse() {
        Ok(capped) => filter.add_directive(capped),
        Err(_not_a_directive) => filter,
    }
}

fn directives(term: &str) -> Vec<Directive> {
    let (targets, level) = term
        .rsplit_once('=')
        .map_or(("", term), |(targets, level)| (targets, level));
    let level = match level.to_ascii_lowercase().as_str() {
        "fatal" | "panic" | "dpanic" | "critical" => "error".to_owned(),
        "warning" => "warn".to_owned(),
        other => other.to_owned(),
    };
    let parse = |text: String| text.parse::<Directive>().ok();
    if targets.is_empty() {
        return parse(level).into_iter().collect();
    }
    targets
        .split(',')
        .filter_map(|target| parse(format!("{}={level}", target.replace('.', "::"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fabrics_specification_becomes_directives() {
        let shown = |term| {
            directives(term)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("WARNING"), ["warn"]);
        assert_eq!(
            shown("gossip,msp.identity=debug"),
            ["gossip=debug", "msp::identity=debug"]
        );
        assert!(shown("nonsense=level=x y").is_empty());
    }

    #[test]
    fn the_docker_client_never_writes_down_its_requests() {
        for spec in ["debug", "bollard=trace", "info:bollard=debug"] {
            let filter = filter(spec).to_string();
            assert!(filter.contains(CAPPED), "{filter}");
            assert!(
                !filter.contains("bollard=trace") && !filter.contains("bollard=debug"),
                "{filter}"
            );
        }
    }
}
