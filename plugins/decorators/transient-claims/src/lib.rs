//! Decorator that hands what filters have verified to the chaincode.
//!
//! ```yaml
//! peer:
//!   handlers:
//!     authFilters:
//!       - name: jwt
//!         config: { …, claims: [email, roles] }
//!     decorators:
//!       - name: transient-claims
//!         config: { required: true }
//! ```
//!
//! The chaincode finds a decoration per claim (`stub.GetDecorations()["claim.email"]`): text as it is, everything else as
//! JSON. With `decoration: NAME` the fact goes into one decoration, byte for byte, which also serves for facts that
//! are no JSON object, such as one that `ext-authz` has set.
//!
//! Clients cannot forge them: the peer takes decorations out of every proposal before the first decorator runs, and only
//! filters can set the facts. A fact that is there but is not what it should be always fails the proposal; one that is not
//! there does with `required: true`.
//!
//! Decorations are not part of what is endorsed. If they decide what a chaincode writes, all endorsers have to see the same
//! claims: the client sends its token to each of them.

mod config;
mod decorator;

use config::Config;
use decorator::TransientClaims;
use plugin_api::{Init, PluginError, Result, export_plugin};

fn new(init: Init<'_>) -> Result<TransientClaims> {
    let config: Config = serde_json::from_str(init.config_json.as_str())
        .map_err(|error| PluginError::config(error.to_string()))?;
    Ok(TransientClaims::new(config))
}

export_plugin! {
    name: "transient-claims",
    description: "Hands verified claims to the chaincode as decorations.",
    config_schema: config::SCHEMA,
    decorator: new,
}
