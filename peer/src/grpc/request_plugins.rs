//! The plugins of one request, inside of the endorser: they see the facts that the filters have seen.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use endorser::{Decorators, EndorseFailure, Endorsed, Endorsers, EndorsingPeer};
use handlers::{DecoratorChain, EndorseError, ParsedRequest};
use protos::peer::{ChaincodeInput, Endorsement};
use protos::{UnpackedProposal, wire_message};

/// The decorators of one request.
pub(super) struct RequestDecorators<'a> {
    pub(super) chain: &'a DecoratorChain,
    pub(super) facts: &'a Arc<ParsedRequest>,
}

#[async_trait]
impl Decorators for RequestDecorators<'_> {
    async fn decorate(
        &self,
        _proposal: &UnpackedProposal,
        input: ChaincodeInput,
    ) -> Result<ChaincodeInput, Box<dyn Error + Send + Sync>> {
        Ok(self.chain.decorate(self.facts, input).await?)
    }
}

/// The endorsement plugins of one request.
pub(super) struct RequestEndorsers {
    pub(super) plugins: handlers::Endorsers,
    pub(super) facts: Arc<ParsedRequest>,
}

#[async_trait]
impl Endorsers for RequestEndorsers {
    fn endorse_here(
        &self,
        plugin: &str,
        payload: &Bytes,
        peer: &EndorsingPeer,
    ) -> Option<Result<Endorsed, EndorseFailure>> {
        let made = self
            .plugins
            .endorse_here(plugin, &self.facts, payload, &signing(peer))?;
        Some(endorsed(made))
    }

    async fn endorse(
        &self,
        plugin: &str,
        payload: &Bytes,
        peer: &EndorsingPeer,
    ) -> Result<Endorsed, EndorseFailure> {
        let peer = signing(peer);
        endorsed(self.plugins.endorse(plugin, &self.facts, payload, &peer).await)
    }
}

fn endorsed(made: Result<handlers::Endorsed, EndorseError>) -> Result<Endorsed, EndorseFailure> {
    match made {
        Ok(handlers::Endorsed {
            endorser,
            signature,
            payload,
        }) => Ok(Endorsed {
            endorsement: Endorsement { endorser, signature },
            payload,
        }),
        Err(EndorseError::Unknown(_)) => Err(EndorseFailure::Unknown),
        Err(failed) => Err(EndorseFailure::Failed(failed.into())),
    }
}

/// The endorsing peer as plugins see it.
struct Signing(EndorsingPeer);

fn signing(peer: &EndorsingPeer) -> Arc<dyn handlers::EndorsingPeer> {
    Arc::new(Signing(peer.clone()))
}

impl handlers::EndorsingPeer for Signing {
    fn serialized_identity(&self) -> Bytes {
        self.0.serialized_identity()
    }

    fn sign(&self, parts: &[&[u8]]) -> Result<Bytes, String> {
        self.0.sign(parts).map_err(|error| wire_message(&error))
    }

    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, String> {
        self.0.state(namespace, key)
    }
}
