//! Promises of endorsement plugins.

use crate::check::Step;
use crate::growth;
use crate::inputs::{Input, middling, request};
use crate::promises::Promises;
use crate::subject::{NAME, Subject};
use anyhow::{Result, bail};
use bytes::Bytes;
use futures::future::join_all;
use handlers::{EndorseError, Endorsed, Endorsers, EndorsingPeer, Executor, Kind, ParsedRequest};
use prost::Message;
use protos::msp::SerializedIdentity;
use protos::peer::ProposalResponsePayload;
use std::sync::Arc;

/// Proposals at the same time: below the peer's limit.
const CONCURRENT: usize = 200;

/// A peer whose signature is what it signs, up to a length.
struct Peer {
    works: bool,
}

impl EndorsingPeer for Peer {
    fn serialized_identity(&self) -> Bytes {
        let identity = SerializedIdentity {
            mspid: "Org1MSP".into(),
            id_bytes: "certificate".into(),
        };
        identity.encode_to_vec().into()
    }

    fn sign(&self, parts: &[&[u8]]) -> Result<Bytes, String> {
        let signed: Vec<u8> = parts
            .iter()
            .flat_map(|part| part.iter().copied())
            .take(64)
            .collect();
        match self.works {
            true => Ok(signed.into()),
            false => Err("no key".to_owned()),
        }
    }

    fn state(&self, _namespace: &str, _key: &str) -> Result<Option<Bytes>, String> {
        match self.works {
            true => Ok(None),
            false => Err("no ledger".to_owned()),
        }
    }
}

pub(crate) async fn check(subject: &Subject, step: Step, promises: &mut Promises) -> Result<()> {
    let peer: Arc<dyn EndorsingPeer> = Arc::new(Peer { works: true });
    for executor in [Executor::Inline, Executor::Isolated] {
        let registry = subject.good(Kind::Endorsement, executor)?;
        let endorsers = registry.endorsers();
        let mut when = "when it is called";
        match step {
            Step::Input(input) => {
                when = input.when();
                hostile(&endorsers, input, &peer, promises).await;
            }
            Step::BrokenPeer => {
                when = "when the peer cannot sign";
                let broken: Arc<dyn EndorsingPeer> = Arc::new(Peer { works: false });
                let (request, payload) = (request(&Bytes::new()), payload(&Bytes::new()));
                // whatever it makes of it
                drop(endorse(&endorsers, &request, &payload, &broken).await);
            }
            Step::Concurrency => {
                when = "under load";
                concurrently(&endorsers, &peer, promises).await;
            }
            Step::CallMemory => {
                let (request, payload) = (request(&middling()), payload(&middling()));
                growth::calls(|| endorse(&endorsers, &request, &payload, &peer), promises).await?;
            }
            _ => bail!("no check of endorsement plugins"),
        }
        promises.check_stats(&registry, when);
    }
    Ok(())
}

async fn hostile(
    endorsers: &Endorsers,
    input: Input,
    peer: &Arc<dyn EndorsingPeer>,
    promises: &mut Promises,
) {
    let bytes = input.bytes();
    let request = request(&bytes);
    for payload in [bytes.clone(), payload(&bytes)] {
        let first = endorse(endorsers, &request, &payload, peer).await;
        let second = endorse(endorsers, &request, &payload, peer).await;
        let alike = match (&first, &second) {
            // a signature may have a random part
            (Ok(first), Ok(second)) => first.endorser == second.endorser && first.payload == second.payload,
            (first, second) => first == second,
        };
        promises.check(alike, format!("endorses the same twice {}", input.when()));
    }
}

async fn concurrently(endorsers: &Endorsers, peer: &Arc<dyn EndorsingPeer>, promises: &mut Promises) {
    let (request, payload) = (request(&Bytes::new()), payload(&Bytes::new()));
    let all = (0..CONCURRENT).map(|_| endorse(endorsers, &request, &payload, peer));
    let endorsed = join_all(all).await.iter().filter(|made| made.is_ok()).count();
    promises.check(
        endorsed == 0 || endorsed == CONCURRENT,
        "endorses the same under load",
    );
}

fn payload(bytes: &Bytes) -> Bytes {
    let payload = ProposalResponsePayload {
        proposal_hash: Bytes::from_static(b"hash"),
        extension: bytes.clone(),
    };
    payload.encode_to_vec().into()
}

async fn endorse(
    endorsers: &Endorsers,
    request: &Arc<ParsedRequest>,
    payload: &Bytes,
    peer: &Arc<dyn EndorsingPeer>,
) -> Result<Endorsed, EndorseError> {
    match endorsers.endorse_here(NAME, request, payload, peer) {
        Some(made) => made,
        None => endorsers.endorse(NAME, request, payload, peer).await,
    }
}
