//! [`run`]: one check in this process.

use crate::check::{Check, Finding, Outcome, Step, milliseconds};
use crate::promises::Promises;
use crate::subject::Subject;
use crate::{auth_filters, configs, decorators, endorsement, growth, platforms, validation};
use anyhow::Result;
use handlers::Kind;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use std::time::Instant;
use tokio::runtime::Builder;

/// Address space of a process for one check, in bytes; threads and allocators reserve far more than they use.
const MAX_ADDRESS_SPACE: u64 = 16 << 30;

/// Whose process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This one check's: what it uses can be measured.
    Apart,
    /// Others use it, too.
    Shared,
}

/// Makes a check in this process.
#[must_use]
pub fn run(subject: &Subject, check: &Check, place: Place) -> Finding {
    let started = Instant::now();
    let mut promises = Promises::default();
    let skipped = match (check.step, place) {
        (Step::Sources, _) if subject.sources.is_none() => Some("no folder of sources was given"),
        (Step::CallMemory | Step::InstanceMemory, Place::Shared) => {
            Some("can be measured in a process of its own only")
        }
        _ => None,
    };
    let outcome = match skipped {
        Some(reason) => {
            promises.check(false, reason);
            Outcome::Skipped
        }
        None => {
            if let Err(error) = make(subject, check, &mut promises) {
                promises.check(false, format!("could not be checked: {error:#}"));
            }
            promises.outcome()
        }
    };
    Finding {
        check: check.to_string(),
        outcome,
        reasons: promises.broken(),
        milliseconds: milliseconds(started.elapsed()),
    }
}

fn make(subject: &Subject, check: &Check, promises: &mut Promises) -> Result<()> {
    match check.step {
        Step::Manifest => return subject.check_manifest(check.kind, promises),
        Step::Config => {
            configs::check(subject, check.kind, promises);
            return Ok(());
        }
        Step::InstanceMemory => return growth::instances(subject, check.kind, promises),
        _ => {}
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match check.kind {
            Kind::AuthFilter => auth_filters::check(subject, check.step, promises).await,
            Kind::Decorator => decorators::check(subject, check.step, promises).await,
            Kind::Platform => platforms::check(subject, check.step, promises).await,
            Kind::Endorsement => endorsement::check(subject, check.step, promises).await,
            Kind::Validation => validation::check(subject, check.step, promises).await,
        }
    })
}

/// For a process that makes one check: what wants too much memory gets an error instead of the machine's, and the process
/// ends with the one that has started it.
///
/// # Errors
/// When the system refuses.
pub fn confine() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let present = getrlimit(Resource::As);
    let limit = present
        .maximum
        .map_or(MAX_ADDRESS_SPACE, |maximum| maximum.min(MAX_ADDRESS_SPACE));
    setrlimit(
        Resource::As,
        Rlimit {
            current: Some(limit),
            maximum: present.maximum,
        },
    )?;
    Ok(())
}
