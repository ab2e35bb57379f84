//! [`misfits`]: what an entry says beside its library and configuration that its kind does not have.

use crate::config::{Entry, Mode, OnError, Quarantine, QuarantinePolicy};
use crate::kind::Kind;
use crate::load_error::LoadError;

/// What a failed call means for the entry.
pub(super) fn fits(kind: Kind, entry: &Entry) -> Result<OnError, LoadError> {
    match misfits(kind, entry).into_iter().next() {
        Some(misfit) => Err(misfit),
        None => Ok(entry.on_error.unwrap_or(default_of(on_error(kind)))),
    }
}

/// Everything that does not fit. Nothing of a library is looked at.
pub(crate) fn misfits(kind: Kind, entry: &Entry) -> Vec<LoadError> {
    let checks = [
        check_on_error(kind, entry),
        check_place(kind, entry),
        check_quarantine(kind, entry),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// What `onError` may say; the first is the default.
fn on_error(kind: Kind) -> &'static [OnError] {
    match kind {
        Kind::AuthFilter => &[OnError::Deny],
        Kind::Decorator => &[OnError::Fail, OnError::Skip],
        Kind::Platform | Kind::Endorsement | Kind::Validation => &[OnError::Fail],
    }
}

fn default_of(choices: &[OnError]) -> OnError {
    choices.first().copied().unwrap_or(OnError::Deny)
}

fn check_on_error(kind: Kind, entry: &Entry) -> Result<(), LoadError> {
    let allowed = on_error(kind);
    match entry.on_error {
        Some(chosen) if !allowed.contains(&chosen) => Err(wrong(
            format!("onError of {}s to be one of {allowed:?}", kind.name()),
            format!("{chosen:?}"),
        )),
        _ => Ok(()),
    }
}

/// Refuses what makes no sense for a kind that is not about single proposals.
fn check_place(kind: Kind, entry: &Entry) -> Result<(), LoadError> {
    if matches!(kind, Kind::AuthFilter | Kind::Decorator) {
        return Ok(());
    }
    // endorsement plugins are called often enough to be switched off
    let has_quarantine = kind == Kind::Endorsement;
    let found = if !entry.applies_to.is_empty() {
        "match"
    } else if entry.mode != Mode::Enforce {
        "mode"
    } else if entry.quarantine != Quarantine::default() && !has_quarantine {
        "quarantine"
    } else {
        return Ok(());
    };
    Err(wrong(format!("only the keys that {}s have", kind.name()), found))
}

/// Refuses a policy that the entry's kind does not have.
fn check_quarantine(kind: Kind, entry: &Entry) -> Result<(), LoadError> {
    let allowed: &[QuarantinePolicy] = match kind {
        Kind::Decorator => &[QuarantinePolicy::Deny, QuarantinePolicy::Bypass],
        Kind::AuthFilter | Kind::Endorsement => &[QuarantinePolicy::Deny],
        // they have none
        Kind::Platform | Kind::Validation => return Ok(()),
    };
    let Quarantine { policy, failures, .. } = entry.quarantine;
    if !allowed.contains(&policy) {
        return Err(wrong(
            format!("quarantine.policy of {}s to be one of {allowed:?}", kind.name()),
            format!("{policy:?}"),
        ));
    }
    if failures == 0 {
        return Err(wrong("quarantine.failures to be at least 1", "0"));
    }
    Ok(())
}

fn wrong(expected: impl Into<String>, found: impl Into<String>) -> LoadError {
    LoadError::Config {
        expected: expected.into(),
        found: found.into(),
    }
}
