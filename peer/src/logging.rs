//! Logging: Fabric's specification (`info:gossip,msp=warn:…`) on top of `tracing`.

use std::io::{self, IsTerminal as _, Write};

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt::format::Format;
use tracing_subscriber::reload::Error as ReloadError;

use self::development::ChaincodeFirst;
use crate::cli::progress;

mod development;

/// The level when the specification says nothing. Chaincode of Fabric's Node shim names an IP address where TLS wants a
/// host; nothing follows from it, and rustls warns with every launch.
const DEFAULT_LEVEL: &str = "info,rustls::msgs::handshake=error";

/// The longest specification that is taken while the peer runs, in bytes.
const MAX_SPEC: usize = 4096;

type Change = Box<dyn Fn(EnvFilter) -> Result<(), ReloadError> + Send>;

/// What is logged, and how that is changed.
struct Active {
    spec: String,
    change: Option<Change>,
}

static ACTIVE: Mutex<Active> = Mutex::new(Active {
    spec: String::new(),
    change: None,
});

/// Why a specification is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It is not one.
    #[error(
        "invalid logging specification: expected a level (debug, info, warning, error) or logger[,logger]=level in \
         each part between colons, found {0:?}"
    )]
    Term(String),
    /// It is too long to be one.
    #[error("invalid logging specification: longer than {MAX_SPEC} bytes")]
    Long,
    /// This process does not log, or somebody else has said how.
    #[error("the log of this process cannot be changed")]
    Fixed,
    /// The subscriber is gone.
    #[error("the log cannot be changed")]
    Reload(#[from] ReloadError),
}

/// The specification in force.
#[must_use]
pub fn spec() -> String {
    ACTIVE.lock().spec.clone()
}

/// Puts a specification in force, for the whole process at once.
///
/// # Errors
/// When it is malformed; what was in force stays.
pub fn activate(spec: &str) -> Result<(), SpecError> {
    check(spec)?;
    let mut active = ACTIVE.lock();
    active.change.as_ref().ok_or(SpecError::Fixed)?(filter(spec))?;
    spec.clone_into(&mut active.spec);
    Ok(())
}

/// For whom the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The operator of a peer: every line alike.
    Peer,
    /// Whoever writes chaincode: what it prints stands out.
    Development,
}

/// Installs the process-wide subscriber. Logs go to standard error, results of commands to standard output.
/// A second call has no effect.
pub fn init(spec: &str, format: &str, style: Style) {
    let terminal = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(spec))
        // what it says of its own failures it says on standard error, and panics if that fails
        .log_internal_errors(false)
        .with_writer(move || Unfailing {
            to: io::stderr(),
            terminal,
        })
        .with_ansi(terminal);
    let change: Change;
    let installed = if format.eq_ignore_ascii_case("json") {
        let builder = builder.json().with_filter_reloading();
        let handle = builder.reload_handle();
        change = Box::new(move |filter| handle.reload(filter));
        builder.try_init()
    } else if style == Style::Development {
        let builder = builder
            .event_format(ChaincodeFirst(Format::default()))
            .with_filter_reloading();
        let handle = builder.reload_handle();
        change = Box::new(move |filter| handle.reload(filter));
        builder.try_init()
    } else {
        let builder = builder.with_filter_reloading();
        let handle = builder.reload_handle();
        change = Box::new(move |filter| handle.reload(filter));
        builder.try_init()
    };
    match installed {
        Ok(()) => {
            *ACTIVE.lock() = Active {
                spec: spec.to_owned(),
                change: Some(change),
            };
        }
        Err(error) => tracing::debug!(%error, "logging is installed already"),
    }
    if let Err(error) = check(spec) {
        tracing::warn!(%error, "FABRIC_LOGGING_SPEC: a part of it is not used");
    }
}

/// Never more than this of the Docker client: at `debug` it writes down whole requests, tokens for builds included.
const CAPPED: &str = "bollard=info";
/// A log that cannot be written is no reason to stop: whoever read it may have gone before the peer.
struct Unfailing<W> {
    to: W,
    /// A person may be looking at a spinner there.
    terminal: bool,
}

impl<W: Write> Write for Unfailing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = if self.terminal {
            progress::aside(|| self.to.write(bytes))
        } else {
            self.to.write(bytes)
        };
        Ok(written.unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush().or(Ok(()))
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

/// At start a faulty part is passed over; whoever changes the log of a running peer is told.
fn check(spec: &str) -> Result<(), SpecError> {
    if spec.len() > MAX_SPEC {
        return Err(SpecError::Long);
    }
    let is_good = |term: &str| {
        let (targets, level) = match term.rsplit_once('=') {
            Some((targets, level)) => (Some(targets), level),
            None => (None, term),
        };
        let mut targets = targets.into_iter().flat_map(|targets| targets.split(','));
        LEVELS.contains(&level.to_ascii_lowercase().as_str())
            && targets.all(|target| {
                let allowed = |c: char| c.is_ascii_alphanumeric() || "._-#/".contains(c);
                !target.is_empty() && target.chars().all(allowed)
            })
    };
    let terms = spec.split(':').map(str::trim).filter(|term| !term.is_empty());
    match terms.into_iter().find(|term| !is_good(term)) {
        None => Ok(()),
        Some(faulty) => Err(SpecError::Term(faulty.to_owned())),
    }
}

/// Fabric's levels, and those of `tracing` that it does not have.
const LEVELS: [&str; 11] = [
    "debug", "info", "warn", "warning", "error", "dpanic", "panic", "fatal", "critical", "trace", "off",
];

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
    fn a_specification_for_a_running_peer_has_no_faulty_part() {
        for good in [
            "info",
            "",
            "WARNING:gossip,msp.identity=debug:peer_lib=off",
            " debug : a-b=info",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for faulty in [
            "loud",
            "info:x",
            "msp=loud",
            "=debug",
            "a,=debug",
            "[span{a=b}]=debug",
            "info:m s p=debug",
        ] {
            assert!(matches!(check(faulty), Err(SpecError::Term(_))), "{faulty}");
        }
        assert!(matches!(check(&"info:".repeat(1000)), Err(SpecError::Long)));
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
