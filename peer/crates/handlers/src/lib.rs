//! Plugins: finds, checks, loads and runs auth filters, decorators and platforms.
//!
//! The only crate of the peer that sees `plugin-api`; its types end here. No plugin is known by name:
//! `peer.handlers` of core.yaml says which ones there are.

#![deny(unsafe_code)]

mod auth_chain;
mod breaker;
mod config;
mod crash;
mod current;
mod deadline;
mod decorator_chain;
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
mod platforms;
mod plugin_host;
mod registry;
mod rejection;
mod request;
mod section;
mod threads;

pub use auth_chain::AuthChain;
pub use config::{BuiltIn, Config, Entry, Executor, OnError};
pub use crash::report_crashes;
pub use decorator_chain::{DecorateError, DecoratorChain};
pub use histogram::{Bucket, Distribution};
pub use hook::Hook;
pub use instance::PluginInfo;
pub use kind::Kind;
pub use load_error::{LoadError, LoadErrors, Refusal};
pub use manifest::{Manifest, inspect};
pub use metric::{Metric, MetricValue};
pub use metrics::{HookStats, PluginStats};
pub use platforms::{BuildPlan, Platform, PlatformError, Platforms};
pub use registry::{Registry, api_version};
pub use rejection::Rejection;
pub use request::{Lookup, Metadata, ParsedRequest, Said};
pub use section::SectionFault;
