//! The contract between the peer and its plugins: the one crate that both sides see.
//!
//! `peer plugin new` writes a crate to begin with, `peer plugin test` checks what became of it, `peer plugin inspect`
//! shows what a library says of itself. A plugin is a `cdylib` crate with this one dependency. It implements an ordinary trait and names its
//! constructor in [`export_plugin!`]. Nothing of the peer is rebuilt; `peer.handlers` in `core.yaml` names
//! the library, its order and its `config`.
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//! [dependencies]
//! plugin-api = { path = "…/plugin-api" } # or git; it is not on a registry yet
//! ```
//!
//! # An auth filter
//! Sees every signed proposal before any check, and may refuse it, answer it, or look at the outcome.
//! ```
//! use plugin_api::{Filter, Flow, Init, PluginError, Request, Result, export_plugin};
//!
//! struct Deny { msp: String }
//!
//! impl Filter for Deny {
//!     type State = ();
//!     async fn before(&self, request: &Request) -> Result<Flow<()>> {
//!         if request.msp_id().as_str() == self.msp {
//!             return Err(PluginError::denied("this organisation may not endorse here"));
//!         }
//!         Ok(Flow::Continue)
//!     }
//! }
//!
//! fn new(init: Init<'_>) -> Result<Deny> {
//!     Ok(Deny { msp: init.config_json.as_str().to_owned() })
//! }
//!
//! export_plugin! {
//!     name: "deny-msp",
//!     description: "Refuses one organisation.",
//!     config_schema: r#"{"type": "object"}"#,
//!     filter: new,
//! }
//! # fn main() {}
//! ```
//!
//! # An auth filter in one piece
//! [`Around`] is the same kind, written as middleware.
//! ```
//! use plugin_api::{Around, Next, Request, Result, SharedBytes};
//! use std::sync::Arc;
//!
//! struct Timed;
//!
//! impl Around for Timed {
//!     async fn handle(self: Arc<Self>, request: Request, next: Next) -> Result<SharedBytes> {
//!         let start = std::time::Instant::now();
//!         let outcome = next.run().await;
//!         tracing::info!(tx = request.tx_id().as_str(), took = ?start.elapsed(), "endorsed");
//!         outcome
//!     }
//! }
//! ```
//!
//! # A decorator
//! Edits the chaincode's input after the endorser has accepted the proposal.
//! ```
//! use plugin_api::{Decorator, Editor, Request, Result};
//!
//! struct Creator;
//!
//! impl Decorator for Creator {
//!     fn decorate(&self, request: &Request, input: &mut Editor<'_>) -> Result<()> {
//!         input.set_decoration("mspid".into(), request.msp_id().as_str().as_bytes().to_vec().into());
//!         Ok(())
//!     }
//! }
//! ```
//!
//! # A platform
//! Teaches the peer a chaincode language: which packages are valid, how they are built and started.
//! ```
//! use plugin_api::{PEER_ADDRESS, Plan, Platform, PluginError, Result};
//!
//! struct Lua;
//!
//! impl Platform for Lua {
//!     fn chaincode_type(&self) -> String { "LUA".into() }
//!     fn validate_spec(&self, _chaincode_spec: &[u8]) -> Result<()> { Ok(()) }
//!     fn validate_deployment_spec(&self, _deployment_spec: &[u8]) -> Result<()> { Ok(()) }
//!     fn deployment_payload(&self, _chaincode_spec: &[u8]) -> Result<Vec<u8>> {
//!         Err(PluginError::unknown("pack it with tar"))
//!     }
//!     fn dockerfile(&self, _deployment_spec: &[u8]) -> Result<String> {
//!         Ok("FROM lua:5.4\nADD binpackage.tar /usr/local/src".into())
//!     }
//!     fn build_plan(&self, _deployment_spec: &[u8]) -> Result<Plan> {
//!         Ok(Plan {
//!             cmd: r#"cp -R "$CHAINCODE_INPUT/src/." "$CHAINCODE_OUTPUT""#.into(),
//!             launch: ["lua", "main.lua", "--peer.address", PEER_ADDRESS].map(String::from).to_vec(),
//!             ..Plan::default()
//!         })
//!     }
//! }
//! ```
//!
//! # An endorsement plugin
//! Puts the peer's word under what a chaincode came to; the chaincode's definition names it. The default signs with the
//! peer's key.
//! ```
//! use plugin_api::{Endorsed, Endorsement, Request, Result, SharedBytes, SigningPeerRef};
//!
//! struct Sign;
//!
//! impl Endorsement for Sign {
//!     fn endorse(&self, _request: &Request, payload: &SharedBytes, peer: &SigningPeerRef) -> Result<Endorsed> {
//!         let identity = peer.serialized_identity();
//!         let signature = peer.sign_parts(&[payload, &identity])?;
//!         Ok(Endorsed::new(identity, signature))
//!     }
//! }
//! ```
//!
//! # A validation plugin
//! Says whether what a transaction did in one chaincode's namespace is valid. Every peer of the channel must come to the
//! same verdict; an error, a panic or a passed deadline is none, and stops the channel.
//! ```
//! use plugin_api::{Result, Validation, ValidationAction, Verdict};
//!
//! struct Policy;
//!
//! impl Validation for Policy {
//!     fn validate(&self, action: &ValidationAction<'_>) -> Result<Verdict> {
//!         let endorsements = action.endorsements();
//!         Ok(match action.evaluate(action.policy(), &endorsements)? {
//!             Ok(()) => Verdict::Valid,
//!             Err(reason) => Verdict::Invalid(reason),
//!         })
//!     }
//! }
//! ```
//!
//! # Rules
//! * A panic is caught and costs its own request; it is still a bug. Build with `panic = "unwind"`.
//! * Some faults nobody catches in one process: `abort`, a panic during a panic or in a thread-local's destructor, a stack
//!   that overflows, memory that runs out, wild pointers. They end the peer, as `exit` does, and its last line names the
//!   plugin if one was running on that thread. Code that runs while the library is mapped (`.init_array`) has the dynamic
//!   linker's lock: have none. A peer that serves maps a new library in a process of its own first, where such code runs
//!   once more; one that starts does not. `peer plugin test` finds such faults beforehand.
//! * Hooks run on the peer's threads: do not block, and keep this library's own tokio out of them. Sleep with
//!   `init.host.sleep_ms`; for sockets use `rt::spawn` (feature `rt`).
//! * What a request does not say (function, arguments, timestamp), the module `proposal` finds (feature `proposal`).
//! * `tracing` and `log` work, and go to the peer's log with the plugin's name. Do not print.
//! * A configuration that the constructor cannot use is [`PluginError::config`]; it stops the peer at start.
//!
//! # Versions
//! This crate's version is the version of the ABI. A minor version only appends; a plugin built with 1.x loads
//! in every later peer that knows 1.y. `abi_stable` and `async-ffi` are part of the ABI and pinned. `COMPATIBILITY.md` in
//! the peer's repository has the whole promise, and what holds the project to it.
//!
//! # Other languages
//! `include/fabric_peer_plugin.h` of this crate is the same contract for C, and for every language that can export a C
//! function: auth filters and decorators. `examples/c/msp_allow.c` is a filter with everything that one needs.
//! * The library has the same manifest in the same section, with [`manifest::FLAG_C`], its metadata as JSON in
//!   `.fabplug.meta`, and one constructor, `fabric_peer_plugin_create`. It is configured, pinned, listed and swapped like
//!   any other. One peer takes up to 64 such libraries, of which each content counts once.
//! * A filter gets a number with each hook and ends it with `host->complete`, at once or later from any thread of its
//!   own. A second answer, or one that comes too late, is refused and its memory freed; a call that is never completed runs
//!   into its deadline. The request stays readable until the call is completed, whoever still waits.
//! * A decorator maps an encoded `ChaincodeInput` to another.
//! * Lengths, NULLs and sizes are checked. What C does to its own memory, or the peer's, nobody can check: a crash is the
//!   peer's, and names the plugin. Prefer Rust where you can choose.

mod around;
mod auth;
pub mod chaincode_name;
mod decoration;
mod endorsement;
mod error;
#[doc(hidden)]
pub mod export;
mod filter;
mod guard;
mod host;
mod log;
pub mod manifest;
mod module;
#[cfg(feature = "packages")]
pub mod packages;
mod phase;
mod platform;
#[cfg(feature = "proposal")]
pub mod proposal;
#[cfg(feature = "protobuf")]
pub mod protobuf;
mod request;
#[cfg(feature = "rt")]
pub mod rt;
mod shared_bytes;
mod state;
mod validation;

pub use around::{Around, Next};
pub use auth::{Action, AuthFilter, AuthFilter_TO, AuthFilterObject, Before};
pub use decoration::{
    Decorator, DecoratorObject, Editor, InputDecorator, InputDecorator_TO, InputEditor, InputEditor_TO,
};
pub use endorsement::{
    Endorsed, Endorsement, EndorsementObject, EndorsementPlugin, SigningPeer, SigningPeer_TO, SigningPeerRef,
};
pub use error::{Code, Ext, PluginError, Res, Result};
pub use filter::{Filter, Flow};
pub use host::{Host, Host_TO, HostRef, Init, OWN_CONFIG, Pairs, count};
pub use manifest::Note;
pub use module::{
    NewAuthFilter, NewDecorator, NewEndorsement, NewPlatform, NewValidation, PluginMod, PluginMod_Ref,
};
pub use phase::{COMPILE, DEPENDENCIES, PHASE_FUNCTION, PHASE_MARK};
pub use platform::{
    BuildPlan, LanguagePlatform, OFFLINE, PEER_ADDRESS, Plan, Platform, PlatformObject, SECRET,
};
pub use request::{Request, RequestView, RequestView_TO};
pub use shared_bytes::SharedBytes;
pub use state::State;
pub use validation::{
    Action as ValidationAction, ActionRef, ActionView, ActionView_TO, Judgement, Signature, SignedBytes,
    Signers, Validation, ValidationObject, ValidationPlugin, Validity, Verdict,
};

/// What [`export_plugin!`] needs of abi_stable, so that plugins do not depend on it themselves.
#[doc(hidden)]
pub mod __abi {
    pub use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
    pub use abi_stable::prefix_type::PrefixTypeTrait;
    pub use abi_stable::std_types::{ROption, RSlice, RStr, RString, RVec, Tuple2};
}
