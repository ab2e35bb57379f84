//! Auth filter that lets [Cedar](https://docs.cedarpolicy.com) policies decide over a creator's certificate and what it
//! asks for.
//!
//! ```yaml
//! peer:
//!   handlers:
//!     authFilters:
//!       - name: attribute-policy
//!         executor: inline                         # it computes and does not wait
//!         config:
//!           files: [/etc/hyperledger/policies/access.cedar]
//!           policies: |                            # after those of the files
//!             @id("auditors-read")
//!             permit (principal, action, resource in Channel::"mychannel")
//!             when { principal.ous.contains("auditor") && context.function like "query*" };
//!           facts: [jwt.sub]                       # what other filters have said that policies look at
//! ```
//!
//! # The model
//! The filter asks whether `principal` may do `action` on `resource` in `context`. The answer is yes when a `permit` says so
//! and no `forbid` does; without any policy that fits it is no. A policy that fails while it is evaluated makes the answer
//! no as well, whatever the others say (Cedar by itself would leave such a `forbid` out).
//!
//! * `principal` is an `Identity`, whose id is the SHA-256 of the creator's certificate (of its DER, in hex). It is `in`
//!   the `Msp` of its MSP id: `principal in Msp::"Org1MSP"`. Attributes: `mspid`, `cn` (common name of the subject, empty
//!   without one), `ous` (set of its organisational units: roles such as `client` and `admin` with NodeOUs, affiliations of
//!   Fabric CA), `issuer` (common name of the issuer). Tags: the attributes that Fabric CA puts into certificates
//!   (extension 1.2.3.4.5.6.7.8.1), as `principal.hasTag("department") && principal.getTag("department") == "sales"`.
//!   An id is something to permit and nothing to forbid: whoever has an ECDSA certificate can write its signature in a
//!   second way that is as good, and has another id. Forbid by names or attributes, or revoke the certificate.
//! * `action` is `Action::"propose"`.
//! * `resource` is a `Chaincode`, whose id is its name: `resource == Chaincode::"mycc"`. It is `in` the `Channel` of the
//!   proposal: `resource in Channel::"mychannel"`. Attributes: `name`, `channel` (empty for a proposal without one). System
//!   chaincodes are chaincodes too: clients need `qscc` and `cscc` for what they call.
//! * `context` has `function` (the first argument, as text), `arguments` (how many follow it), `init` (whether the
//!   chaincode's initialisation is asked for), `remoteIp` (the client's address, when known), `tlsCert` (SHA-256 of the
//!   DER of the connection's client certificate in hex, with mutual TLS) and `facts` (for each name in `config.facts` what a
//!   filter before this one has said, when it has): `context has remoteIp && context.remoteIp.isInRange(ip("10.0.0.0/8"))`,
//!   `context.facts has "jwt.sub"`.
//!
//! Policies are checked against this model when the peer starts, strictly: a name that does not exist, a comparison of
//! different types, an optional value that is used without asking for it are errors, with file, line and column. Files are
//! read again when the peer's plugins are reloaded and one of them has changed.
//!
//! # What is decided over claims
//! Auth filters run before the endorser checks the signature and the certificate, as in Fabric. So a `permit` may go to
//! somebody who shows a certificate that is not theirs or that nobody has issued; the endorser refuses such a proposal
//! afterwards. Nothing that this filter permits is endorsed without that check. Proposals that cannot be decoded, and
//! creators that are no X.509 certificate, are refused here, because no `forbid` could know them.
//!
//! # What is said about a decision
//! The client of a refused proposal gets `PERMISSION_DENIED` and no policy's name. The peer's log has the names, and so
//! has the request for filters that come later or look at the outcome: `policy.decision` is `allow` or `deny`, `policy.id`
//! the deciding policies joined by commas, or `default-deny` when none fits. A policy's name is its `@id("…")`, else its
//! file's name and its number in it, as `access.cedar#2`, or `policies#1` when it stands in the configuration.

mod config;
mod creator;
mod filter;
mod model;
mod policies;

use plugin_api::{Init, Result, export_plugin};

fn new(init: Init<'_>) -> Result<filter::AttributePolicy> {
    config::parse(init.config_json.as_str())
}

export_plugin! {
    name: "attribute-policy",
    description: "Lets Cedar policies decide over a creator's certificate and what it asks for.",
    config_schema: config::SCHEMA,
    filter: new,
}
