//! The Deliver service: seek requests in, blocks and statuses out (Fabric common/deliver).
//!
//! [`DeliverHandler`] serves one stream per call, in a task of its own that ends with the stream.
//! [`PeerDeliverService`] puts it behind `protos.Deliver`; the orderer puts it behind `AtomicBroadcast`.

mod access;
mod answer;
mod cursor;
mod filtered;
mod handler;
mod request;
mod service;
mod source;

pub use answer::{Answer, FilteredAnswer, PrivateDataAnswer};
pub use filtered::filtered_block;
pub use handler::{DeliverHandler, DeliverSettings, ResponseStream};
pub use request::identity_expires_at;
pub use service::{PeerDeliverService, client_certificate};
pub use source::{BlockForm, BlockSource, Sources};
