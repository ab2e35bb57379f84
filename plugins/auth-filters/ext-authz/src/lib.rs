//! Auth filter that asks an external authorization service about every proposal, with the messages of Envoy's
//! `envoy.service.auth.v3.Authorization/Check`, which Open Policy Agent (`opa-envoy-plugin`) and many others answer.
//!
//! ```yaml
//! peer:
//!   handlers:
//!     authFilters:
//!       - name: ext-authz
//!         timeoutMs: 1000
//!         config:
//!           endpoint: http://127.0.0.1:9191      # https://…, unix:///run/opa/opa.sock
//!           timeoutSeconds: 0.5
//!           headers: [authorization]
//!           set: [user]
//! ```
//!
//! What the service sees (`input.attributes` in OPA's words): `request.http` with method `POST`, path
//! `/protos.Endorser/ProcessProposal`, the transaction id as `id`, and of the client's gRPC metadata what `headers` lists;
//! `contextExtensions` with `channel`, `chaincode`, `function`, `mspid`, `txid`, and what `contextExtensions` adds;
//! `source` with the client's address, the subject of the creator's certificate as `principal`, and the
//! certificate. Nothing of this is verified when filters run: the endorser checks the creator's signature afterwards, so a
//! forged creator gets the service's consent for nothing.
//!
//! The service's word counts as it is, for this one proposal: nothing is cached. `OK` passes; facts that `set` names are
//! taken from its dynamic metadata or else its headers, as `ext-authz.NAME`, for later filters and decorators. HTTP
//! status 401 refuses with `UNAUTHENTICATED`, 429 with `RESOURCE_EXHAUSTED`, anything else with `PERMISSION_DENIED`, and
//! the body, shortened, is the text that the client gets. A service that is down, slow, overloaded or
//! unintelligible refuses with `UNAVAILABLE`; there is no setting that would let proposals pass.

mod answer;
mod config;
mod creator;
mod filter;
mod messages;
mod proposal;
mod question;
mod schema;
mod service;

use config::Config;
use filter::ExtAuthz;
use plugin_api::{Init, PluginError, Result, export_plugin};

fn new(init: Init<'_>) -> Result<ExtAuthz> {
    let config: Config = serde_json::from_str(init.config_json.as_str())
        .map_err(|error| PluginError::config(error.to_string()))?;
    ExtAuthz::new(config).map_err(PluginError::config)
}

export_plugin! {
    name: "ext-authz",
    description: "Asks an external authorization service (Envoy's ext_authz, for example OPA).",
    config_schema: schema::SCHEMA,
    filter: new,
}
