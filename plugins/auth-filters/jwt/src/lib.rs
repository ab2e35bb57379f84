//! Auth filter that wants an OIDC bearer token (a signed JWT) with every proposal, and wants it to belong to the
//! proposal's creator.
//!
//! ```yaml
//! peer:
//!   handlers:
//!     authFilters:
//!       - name: jwt
//!         config:
//!           issuer: https://idp.example.com
//!           audience: fabric-peer
//!           keys:
//!             url: https://idp.example.com/jwks.json
//!           bind:
//!             - { claim: sub, to: enrollmentId }
//!             - { claim: mspid, to: mspId }
//!           claims: [email, [realm_access, roles]]
//! ```
//!
//! The client sends `authorization: Bearer TOKEN` as gRPC metadata. The token must be signed by a key of the issuer's
//! JWKS with an asymmetric algorithm, and name the issuer, the audience and an end of validity. Keys are fetched (or read
//! from a file) ahead of need, on a runtime of the plugin's own; a token with an unknown key id causes one more fetch, at
//! most one in `retrySeconds`; without keys nothing passes.
//!
//! A token alone proves nothing about a proposal: whoever has stolen one could send it along with a proposal of his own. So
//! `bind` says which claims must be equal to what the creator is. The creator's signature, which the endorser checks
//! after the filters, then proves that the token's owner made the proposal. A name is unique within one MSP only, so bind
//! `mspId` as well, or the certificate itself (`certificateSha256`, RFC 8705).
//!
//! Later filters, and decorators such as `transient-claims`, find `jwt.sub` (text) and `jwt.claims` (a JSON object with
//! the claims of `claims`) among the request's facts.
//!
//! Refusals: `UNAUTHENTICATED` without a valid token, `PERMISSION_DENIED` if it is not the creator's, `UNAVAILABLE`
//! without keys. None of them repeats the token or a value from it.

mod binding;
mod config;
mod creator;
mod error;
mod fetch;
mod filter;
mod jwks;
mod keys;
mod schema;
mod token;

use config::Config;
use filter::Jwt;
use plugin_api::{Init, PluginError, Result, export_plugin};

fn new(init: Init<'_>) -> Result<Jwt> {
    let config: Config = serde_json::from_str(init.config_json.as_str())
        .map_err(|error| PluginError::config(error.to_string()))?;
    Jwt::new(config).map_err(PluginError::config)
}

export_plugin! {
    name: "jwt",
    description: "Wants a bearer token (OIDC, JWT) that is bound to the proposal's creator.",
    config_schema: schema::SCHEMA,
    filter: new,
}
