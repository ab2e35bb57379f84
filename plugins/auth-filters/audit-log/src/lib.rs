//! Auth filter that writes a line of JSON for every proposal: what was asked, by whom, what was decided, what came of it.
//!
//! ```yaml
//! peer:
//!   handlers:
//!     authFilters:
//!       - name: audit-log                          # first: it sees what those after it decide
//!         executor: inline                         # it only puts records into a queue
//!         config:
//!           file: /var/log/fabric-peer/audit.log   # without it: the peer's log, level info
//!           maxSizeMiB: 100                        # then audit.log becomes audit.log.1, and so on
//!           keep: 10                               # how many of those stay
//!           queue: 8192                            # records that may wait for the disk
//!           onFull: deny                           # or drop: what happens when no more may wait
//!           attrs: [policy.id, jwt.sub]            # what other filters have said that is recorded
//! ```
//!
//! # A record
//! ```json
//! {"time":"2026-01-31T12:00:00.123456Z","txId":"5c1f…","channel":"mychannel","chaincode":"mycc","function":"transfer",
//!  "mspid":"Org1MSP","subject":"OU=client, CN=alice","certSha256":"9f86…","remoteAddr":"192.0.2.7:40000",
//!  "decision":"endorsed","code":0,"text":"OK","status":200,"durationMs":4.21,"attrs":{"policy.id":"sales-transfer"}}
//! ```
//! It is one line. `time` is when the filter saw the proposal, `durationMs` how long filters, endorser and chaincode took
//! together. `decision` is
//! * `endorsed`: answered and signed; `status` and `text` are the response's;
//! * `answered`: answered without a signature, as when the chaincode refuses or a filter answers itself;
//! * `rejected`: a filter or the endorser has refused it, with this gRPC `code` and `text`;
//! * `failed`: it came to no decision: something did not answer, broke down or was stopped (`code` 4, 13, 14 and those
//!   beyond gRPC's), or the request was given up before it had an outcome (`code` 1), which is what a panic or a stop of the
//!   peer look like.
//!
//! `subject` and `certSha256` (of the DER) are the certificate's that the creator shows; `mspid` and they are claims unless
//! the decision is `endorsed`. Texts are cut to 256 bytes, `text` and attributes to 1024, and what could deceive a reader
//! (control characters, those that change the direction of writing) is escaped. Proposals that cannot be decoded are
//! recorded with what is known of them.
//!
//! Filters before this one that refuse a proposal leave no record here: name it first. Its own refusals (below) leave none
//! either; they are counted in the metric `denied` and logged.
//!
//! # When records cannot be written
//! A request never waits for the disk. It takes a place in the queue before anything else happens to it, so that what is
//! endorsed is recorded, and its record goes there when it ends. When no place is free, because the disk is too slow or
//! cannot be written, `onFull: deny` refuses requests with `UNAVAILABLE` until there is one again, and nothing is lost;
//! `onFull: drop` lets them pass without a record and counts them in the metric `dropped`. With `deny` requests are refused
//! from the first failed write on, and the write is tried again each second.
//!
//! Records are handed to the operating system as they come, and not forced to the disk. What is in the queue when the
//! process is killed is lost; when an instance ends (reload, stop), it writes what it has.
//!
//! # The file
//! It is made with mode 0600; one that others may write is refused. It is opened again when it has been moved away, so
//! that another program may rotate it (leave `maxSizeMiB` large then). Several instances and peers can append to one file.
//! Rotation is a few renames, done here so that a line is never split over two files and a failure is seen as a failed
//! write.

mod config;
mod creator;
mod file;
mod filter;
mod outcome;
mod queue;
mod record;
mod writer;

use plugin_api::{Init, Result, export_plugin};

fn new(init: Init<'_>) -> Result<filter::AuditLog> {
    filter::AuditLog::new(config::parse(init.config_json.as_str())?, init.host)
}

export_plugin! {
    name: "audit-log",
    description: "Writes a line of JSON for every decision and its outcome.",
    config_schema: config::SCHEMA,
    filter: new,
}
