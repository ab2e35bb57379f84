//! [`Check`]: the list of what is checked, and how a check ends.

use crate::inputs::Input;
use handlers::Kind;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One check of one kind that a library offers. Its text is `KIND/NAME`, such as `authFilter/garbage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What the library is checked as.
    pub kind: Kind,
    pub(crate) step: Step,
}

/// What is done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Manifest and metadata agree and say something.
    Manifest,
    /// Configurations that nobody can use are refused as such.
    Config,
    /// One hostile input, twice, in every way that the kind is called.
    Input(Input),
    /// A second instance answers as the first one does.
    Determinism,
    /// The endorser runs at most once, and what comes before it comes first.
    Order,
    /// The endorser's own error is borne.
    EndorserError,
    /// The peer cannot sign, or cannot read its ledger.
    BrokenPeer,
    /// Many calls at the same time.
    Concurrency,
    /// Calls that nobody waits for any more.
    Cancellation,
    /// Many calls, one after the other, need no more memory.
    CallMemory,
    /// Instances that come and go leave neither memory nor threads.
    InstanceMemory,
    /// Absent and damaged packages.
    Packages,
    /// Build plans and Dockerfiles.
    Plans,
    /// A folder of sources is packed, always into the same bytes, and the package is accepted.
    Sources,
}

const AUTH_FILTER: [Step; 7] = [
    Step::Determinism,
    Step::Order,
    Step::EndorserError,
    Step::Concurrency,
    Step::Cancellation,
    Step::CallMemory,
    Step::InstanceMemory,
];
const DECORATOR: [Step; 5] = [
    Step::Determinism,
    Step::Order,
    Step::Concurrency,
    Step::CallMemory,
    Step::InstanceMemory,
];
const PLATFORM: [Step; 6] = [
    Step::Packages,
    Step::Plans,
    Step::Sources,
    Step::Concurrency,
    Step::CallMemory,
    Step::InstanceMemory,
];

const ENDORSEMENT: [Step; 4] = [
    Step::BrokenPeer,
    Step::Concurrency,
    Step::CallMemory,
    Step::InstanceMemory,
];
const VALIDATION: [Step; 4] = ENDORSEMENT;

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Input(input) => input.name(),
            Self::Determinism => "determinism",
            Self::Order => "order",
            Self::EndorserError => "endorser-error",
            Self::BrokenPeer => "broken-peer",
            Self::Concurrency => "concurrency",
            Self::Cancellation => "cancellation",
            Self::CallMemory => "call-memory",
            Self::InstanceMemory => "instance-memory",
            Self::Packages => "packages",
            Self::Plans => "plans",
            Self::Sources => "sources",
        }
    }
}

/// The checks for these kinds, in the order in which they are made.
#[must_use]
pub fn checks(kinds: &[Kind]) -> Vec<Check> {
    kinds.iter().flat_map(|kind| of_kind(*kind)).collect()
}

fn of_kind(kind: Kind) -> impl Iterator<Item = Check> {
    let own: &[Step] = match kind {
        Kind::AuthFilter => &AUTH_FILTER,
        Kind::Decorator => &DECORATOR,
        Kind::Platform => &PLATFORM,
        Kind::Endorsement => &ENDORSEMENT,
        Kind::Validation => &VALIDATION,
    };
    let inputs = Input::ALL.into_iter().map(Step::Input);
    [Step::Manifest, Step::Config]
        .into_iter()
        .chain(inputs)
        .chain(own.iter().copied())
        .map(move |step| Check { kind, step })
}

impl Check {
    /// The check of this text.
    #[must_use]
    pub fn named(text: &str, kinds: &[Kind]) -> Option<Self> {
        checks(kinds).into_iter().find(|check| check.to_string() == text)
    }

    /// Whether it comes before everything else: an instance with the good configuration can be made.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.step == Step::Manifest
    }

    /// How long it may take in a process of its own.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        match self.step {
            Step::CallMemory | Step::InstanceMemory | Step::Concurrency => Duration::from_secs(240),
            _ => Duration::from_secs(120),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", kind_name(self.kind), self.step.name())
    }
}

/// The kind as one word.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::AuthFilter => "authFilter",
        Kind::Decorator => "decorator",
        Kind::Platform => "platform",
        Kind::Endorsement => "endorsement",
        Kind::Validation => "validation",
    }
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check's text.
    pub check: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What the plugin did not do, or why it was not checked.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The plugin did all of it.
    Passed,
    /// It did not.
    Failed,
    /// It could not be checked.
    Skipped,
}

impl Finding {
    pub(crate) fn failed(check: &Check, took: Duration, reason: String) -> Self {
        Self {
            check: check.to_string(),
            outcome: Outcome::Failed,
            reasons: vec![reason],
            milliseconds: milliseconds(took),
        }
    }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_a_text_of_its_own_and_is_found_by_it() {
        let kinds = [
            Kind::AuthFilter,
            Kind::Decorator,
            Kind::Platform,
            Kind::Endorsement,
            Kind::Validation,
        ];
        let all = checks(&kinds);
        let texts: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
        for check in all {
            assert_eq!(Check::named(&check.to_string(), &kinds), Some(check));
        }
        assert_eq!(Check::named("decorator/sources", &kinds), None);
    }
}
