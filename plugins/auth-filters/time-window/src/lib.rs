//! Auth filter that refuses proposals whose timestamp is far from the peer's clock.
//!
//! Every proposal carries the time at which its client made it. Peers of Fabric up to 2.5.9 and 3.0.0 did not look at it
//! (CVE-2024-45244): a proposal that somebody kept, or that a client with a wrong clock made, was endorsed at any later
//! time, and its timestamp is what chaincode gets from `GetTxTimestamp`. This filter is the check. It also limits how long
//! a signed proposal that somebody copied can be sent again where the duplicate check does not help, as in queries.
//!
//! ```yaml
//! peer:
//!   handlers:
//!     authFilters:
//!       - name: time-window
//!         executor: inline          # it reads a clock and a few bytes
//!         config:
//!           before: 15m             # how far behind the peer's clock a timestamp may be
//!           after: 15m              # how far ahead of it
//! ```
//!
//! What `config` does not say is `peer.authentication.timewindow`, as in Fabric, whose files call this filter
//! `TimeWindowCheck`. Durations are written as `90s`, `15m`, `1h 30m`. A proposal without a timestamp, or with one that is no time (negative nanoseconds, a year after 9999), is refused. Client
//! and peer need clocks that agree; refusals say by how much they do not.

mod config;
mod filter;

use filter::TimeWindow;
use plugin_api::{Init, Result, export_plugin};

fn new(init: Init<'_>) -> Result<TimeWindow> {
    let of_peer = init.fact("peer.authentication.timewindow");
    config::parse(init.config_json.as_str(), of_peer)
}

export_plugin! {
    name: "time-window",
    description: "Refuses proposals whose timestamp is far from the peer's clock.",
    config_schema: config::SCHEMA,
    filter: new,
}
