//! Plugins: finds, checks, loads and runs auth filters, decorators, platforms, endorsement and validation plugins.
//!
//! The only crate of the peer that sees `plugin-api`; its types end here. No plugin is known by name:
//! `peer.handlers` of core.yaml says which ones there are.

#![deny(unsafe_code)]

mod advice;
mod auth_chain;
mod binding;
mod breaker;
mod config;
mod crash;
mod current;
mod deadline;
mod decorator_chain;
mod endorsers;
mod histogram;
mod hook;
mod host;
mod input_editor;
mod instance;
mod kind;
mod load_error;
mod loading;
mod manifest;
mod metric;
mod metrics;
mod own_config;
mod own_metrics;
mod pin;
mod platforms;
mod plugin_host;
mod plugin_set;
mod registry;
mod rejection;
mod reload;
mod request;
mod section;
mod shadow;
mod threads;
mod validators;
mod verify;
mod watchdog;

pub use auth_chain::AuthChain;
pub use binding::{Applies, Question};
pub use config::{Config, Entry, Executor, Match, Mode, OnError, Patterns, Quarantine, QuarantinePolicy};
pub use crash::{exit_now, report_crashes};
pub use deadline::is_mapping;
pub use decorator_chain::{DecorateError, DecoratorChain};
pub use endorsers::{EndorseError, Endorsed, Endorsers, EndorsingPeer};
pub use histogram::{Bucket, Distribution};
pub use hook::Hook;
pub use instance::PluginInfo;
pub use kind::Kind;
pub use load_error::{LoadError, LoadErrors, Refusal};
pub use manifest::{Manifest, inspect};
pub use metric::{Metric, MetricValue};
pub use metrics::{HookStats, PluginStats};
pub use pin::Pin;
pub use platforms::{BuildPlan, Platform, PlatformError, Platforms};
pub use plugin_host::try_out_if_requested;
pub use plugin_set::{Explained, PluginSet};
pub use registry::{Registry, api_version};
pub use rejection::Rejection;
pub use reload::{Change, Reload, What};
pub use request::{Lookup, Metadata, ParsedRequest, Said};
pub use section::SectionFault;
pub use validators::{JudgedAction, Signed, ValidateError, Validator, Validators, Verdict};
pub use verify::{Link, Verification, VerifiedEntry, verify};
