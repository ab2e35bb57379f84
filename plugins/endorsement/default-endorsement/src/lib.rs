//! Endorsement plugin that signs payload and endorser with the peer's key, as Fabric's `DefaultEndorsement` does.

use plugin_api::{Endorsed, Endorsement, Init, Request, Result, SharedBytes, SigningPeerRef, export_plugin};

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false
}"#;

struct DefaultEndorsement;

impl Endorsement for DefaultEndorsement {
    fn endorse(&self, _request: &Request, payload: &SharedBytes, peer: &SigningPeerRef) -> Result<Endorsed> {
        let endorser = peer.serialized_identity();
        let signature = peer.sign_parts(&[payload, &endorser])?;
        Ok(Endorsed::new(endorser, signature))
    }
}

fn new(_init: Init<'_>) -> Result<DefaultEndorsement> {
    Ok(DefaultEndorsement)
}

export_plugin! {
    name: "DefaultEndorsement",
    description: "Signs payload and endorser with the key of the peer.",
    config_schema: SCHEMA,
    endorsement: new,
}
