//! Plugins: finds, checks, loads and runs auth filters, decorators and platforms.
//!
//! The only crate of the peer that sees `plugin-api`; its types end here. No plugin is known by name:
//! `peer.handlers` of core.yaml says which ones there are.

#![deny(unsafe_code)]

mod advice;
mod auth_chain;
mod breaker;
mod config;
mod crash;
mod current;
mod deadline;
mod decorator_chain;
mod host;
mod input_editor;
mod instance;
mod kind;
mod load_error;
mod loading;
mod manifest;
mod metrics;
mod own_config;
mod pin;
mod platforms;
mod plugin_host;
mod registry;
mod rejection;
mod request;
mod section;
mod threads;
mod verify;

pub use auth_chain::AuthChain;
pub use config::{BuiltIn, Config, Entry, Executor, OnError};
pub use crash::report_crashes;
pub use decorator_chain::{DecorateError, DecoratorChain};
pub use instance::PluginInfo;
pub use kind::Kind;
pub use load_error::{LoadError, LoadErrors, Refusal};
pub use manifest::{Manifest, inspect};
pub use metrics::{Metric, PluginStats, Timing};
pub use pin::Pin;
pub use platforms::{BuildPlan, Platform, PlatformError, Platforms};
pub use registry::{Registry, api_version};
pub use rejection::Rejection;
pub use request::{Lookup, Metadata, ParsedRequest, Said};
pub use section::SectionFault;
pub use verify::{Link, Verdict, Verification, verify};
