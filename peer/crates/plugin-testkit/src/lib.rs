//! The conformance kit: what every plugin library must do, whoever wrote it, as checks that report instead of failing.
//!
//! It loads the library with the peer's own loader and calls it the way the peer does. [`checks`] lists what there is to
//! check, [`run`] makes one check in this process, [`run_apart`] makes it in a process of its own, so that a crash or a
//! hang is a failed check and nothing more. Knows no plugin and no configuration of a peer.

#![forbid(unsafe_code)]

mod apart;
mod auth_filters;
mod check;
mod configs;
mod decorators;
mod endorsement;
mod growth;
mod inputs;
mod platforms;
mod promises;
mod running;
mod subject;
mod validation;

pub use apart::{Apart, Program, run_apart};
pub use check::{Check, Finding, Outcome, checks};
pub use running::{Place, confine, run};
pub use subject::Subject;
