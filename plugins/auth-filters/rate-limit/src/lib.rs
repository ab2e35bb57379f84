//! Auth filter that limits how many proposals may come in, by token buckets.
//!
//! Each rule keeps a bucket per key: `burst` tokens, `rate` new ones per second, one spent per proposal. What finds its
//! bucket empty is refused with `RESOURCE_EXHAUSTED` and the time after which it is worth to try again.
//!
//! ```yaml
//! peer:
//!   handlers:
//!     authFilters:
//!       - name: rate-limit
//!         executor: inline                 # a hash and a few atomic numbers
//!         config:
//!           rules:
//!             - name: per-address          # the name is in refusals and in the metric
//!               by: [remote-ip]
//!               rate: 500                  # tokens per second; 0.1 is one every ten seconds
//!               burst: 1000                # how many at once
//!             - name: transfers
//!               by: [mspid, channel]       # one bucket for each pair; [] is one bucket for all
//!               match: { chaincode: mycc, function: [transfer, "admin*"] }
//!               rate: 20
//!               burst: 40
//! ```
//!
//! Keys are `identity` (MSP id and certificate of the creator, however its PEM is written), `mspid`, `channel`, `chaincode`, `function`, `tls-cert`
//! (certificate of the client's connection) and `remote-ip` (IPv4 address, or the /64 network of an IPv6 address, since a
//! host can take any address of its own). `match` says which proposals a rule is for: a text or a list of texts for
//! `channel`, `chaincode`, `function`, `mspid`; a `*` at the end matches any rest. A proposal passes the rules in order, and
//! one that a later rule refuses has spent its tokens in those before.
//!
//! # Who can spend whose tokens
//! Auth filters run before the endorser checks the creator's signature, as in Fabric. So `identity`, `mspid` and all that
//! the proposal says are **claims**: whoever can connect and has seen somebody's certificate can empty that identity's
//! bucket with proposals that the endorser would refuse, and whoever invents certificates gets a full bucket for each. Only
//! `remote-ip` and, with mutual TLS, `tls-cert` are facts of the connection. Put a rule by one of them first (what it
//! refuses does not reach the others), or bind: `by: [tls-cert, identity]` gives each connection's certificate buckets of
//! its own, which nobody else can spend. Without mutual TLS all clients share the one bucket of "no certificate".
//! Behind a proxy that ends connections, both are the proxy's.
//!
//! # Memory
//! A rule keeps at most `maxBuckets` (65536 unless it says otherwise). Beyond that, buckets that
//! were used once make room before those in use, so that a flood of invented identities does not refill the bucket of a
//! busy client. What is longer than 64 KiB (no certificate or name is) shares one bucket. `governor` counts, `quick_cache`
//! decides which buckets to keep: governor's own keyed store has no bound. A new instance (start, changed configuration)
//! begins with full buckets.

mod config;
mod filter;
mod key;
mod rule;

use plugin_api::{Init, Result, export_plugin};

fn new(init: Init<'_>) -> Result<filter::RateLimit> {
    Ok(filter::RateLimit::new(
        config::parse(init.config_json.as_str())?,
        init.host,
    ))
}

export_plugin! {
    name: "rate-limit",
    description: "Limits how many proposals may come in, by client, organisation, channel, chaincode or function.",
    config_schema: config::SCHEMA,
    filter: new,
}
