//! What a call of an endorsement plugin costs beside the signature itself: the plugin asks for the identity and for a
//! signature that costs nothing.
//!
//! `cargo bench -p fault-plugin --bench endorse_call`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measuring tool"
)]

use bytes::Bytes;
use handlers::{Config, Endorsers, EndorsingPeer, ParsedRequest, Registry};
use prost::Message;
use protos::msp::SerializedIdentity;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const CALLS: u32 = 200_000;

struct Peer {
    identity: Bytes,
}

impl EndorsingPeer for Peer {
    fn serialized_identity(&self) -> Bytes {
        self.identity.clone()
    }

    fn sign(&self, _parts: &[&[u8]]) -> Result<Bytes, String> {
        Ok(Bytes::from_static(&[7; 71]))
    }

    fn state(&self, _namespace: &str, _key: &str) -> Result<Option<Bytes>, String> {
        Ok(None)
    }
}

fn endorsers(executor: &str) -> Endorsers {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let entry = json!({
        "name": "Fault", "library": "libfault_plugin.so", "executor": executor, "config": { "mode": "no-op" },
    });
    let config: Config = serde_json::from_value(json!({ "endorsers": { "escc": entry } })).unwrap();
    Registry::load(&config, &[folder]).unwrap().endorsers()
}

async fn measure(endorsers: &Endorsers, calls: u32) -> u128 {
    let request = Arc::new(ParsedRequest::default());
    let identity = SerializedIdentity {
        mspid: "Org1MSP".into(),
        id_bytes: vec![b'x'; 900].into(),
    };
    let peer: Arc<dyn EndorsingPeer> = Arc::new(Peer {
        identity: identity.encode_to_vec().into(),
    });
    let payload = Bytes::from(vec![1; 1024]);
    let start = Instant::now();
    for _ in 0..calls {
        let made = match endorsers.endorse_here("escc", &request, &payload, &peer) {
            Some(made) => made,
            None => endorsers.endorse("escc", &request, &payload, &peer).await,
        };
        made.expect("an endorsement");
    }
    start.elapsed().as_nanos() / u128::from(calls)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (executor, calls) in [("inline", CALLS), ("isolated", CALLS / 10)] {
            let endorsers = endorsers(executor);
            measure(&endorsers, calls / 10).await;
            let cost = measure(&endorsers, calls).await;
            println!("{executor:<10} {cost:>8} ns");
        }
    });
}
