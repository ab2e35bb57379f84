//! Transaction ids and proposal hashes (Fabric protoutil/proputils.go).

use bytes::Bytes;
use prost::Message;

use crate::digest::sha256;
use crate::ids::TxId;
use crate::peer::ChaincodeProposalPayload;

/// The id of the transaction that a creator starts with this nonce: hex of SHA-256(nonce ‖ creator).
#[must_use]
pub fn compute_tx_id(nonce: &[u8], creator: &[u8]) -> TxId {
    hex::encode(sha256(&[nonce, creator])).into()
}

/// The proposal hash an endorser signs: over both headers as received and the payload without its
/// transient map.
#[must_use]
pub fn proposal_hash(channel_header: &[u8], signature_header: &[u8], input: &Bytes) -> [u8; 32] {
    let without_transient = ChaincodeProposalPayload {
        input: input.clone(),
        ..Default::default()
    };
    sha256(&[
        channel_header,
        signature_header,
        &without_transient.encode_to_vec(),
    ])
}

/// The same hash as a committer computes it, from the payload bytes that a transaction carries.
#[must_use]
pub fn proposal_hash_at_commit(channel_header: &[u8], signature_header: &[u8], payload: &[u8]) -> [u8; 32] {
    sha256(&[channel_header, signature_header, payload])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msp::SerializedIdentity;
    use crate::peer::{ChaincodeAction, ChaincodeEvent, ChaincodeId, ProposalResponsePayload, Response};

    #[test]
    fn tx_id_matches_fabrics_vector() {
        let nonce: Vec<u8> = (0..24).collect();
        let creator = SerializedIdentity {
            mspid: "Org1MSP".into(),
            id_bytes: Bytes::from_static(b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"),
        };
        let tx_id = compute_tx_id(&nonce, &creator.encode_to_vec());
        assert_eq!(
            tx_id.as_str(),
            "1c06b6e795e57b63ee2433fb4c5f094c10b671f05fec27d087667b329d61dd17"
        );
    }

    #[test]
    fn proposal_hashes_match_fabrics_vectors() {
        let endorser = proposal_hash(b"chdr", b"shdr", &Bytes::new());
        assert_eq!(
            hex::encode(endorser),
            "d4c1e3cac2105da5fddc2cfe776d6ec28e4598cf1e6fa51122c7f70d8076437b"
        );
        let committer = proposal_hash_at_commit(b"chdr", b"shdr", b"ccproppayload");
        assert_eq!(
            hex::encode(committer),
            "7b622ef4e1ab9b7093ec3bbfbca17d5d6f14a437914a6839319978a7034f7960"
        );
    }

    #[test]
    fn the_transient_map_is_outside_the_proposal_hash() {
        let payload = hex::decode("0a02696e12060a016b120176").unwrap();
        let payload = ChaincodeProposalPayload::decode(payload.as_slice()).unwrap();
        assert_eq!(payload.transient_map.get("k").unwrap().as_ref(), b"v");
        let hash = proposal_hash(b"chdr", b"shdr", &payload.input);
        assert_eq!(
            hex::encode(hash),
            "c00cde2c8e87a47bfcfeaaf86e23e3ba9ead668ddad92c0efb140d5d500ad978"
        );
    }

    #[test]
    fn the_response_payload_matches_fabrics_vector() {
        let results = "12140a046c736363120c0a0a0a046d7963631202080112250a046d796363121d0a070a0161120208030a030a01621a060a01611a01311a050a01631001";
        let action = ChaincodeAction {
            results: hex::decode(results).unwrap().into(),
            events: ChaincodeEvent {
                chaincode_id: "mycc".into(),
                tx_id: "tx1".into(),
                event_name: "ev".into(),
                payload: Bytes::from_static(b"p"),
            }
            .encode_to_vec()
            .into(),
            response: Some(Response {
                status: 200,
                message: "ok".into(),
                payload: Bytes::new(),
            }),
            chaincode_id: Some(ChaincodeId {
                name: "mycc".into(),
                version: "1.0".into(),
                ..Default::default()
            }),
        };
        let payload = ProposalResponsePayload {
            proposal_hash: proposal_hash(b"chdr", b"shdr", &Bytes::new()).to_vec().into(),
            extension: action.encode_to_vec().into(),
        };
        let hash = sha256(&[&payload.encode_to_vec()]);
        assert_eq!(
            hex::encode(hash),
            "4f4dec9bd0f8da229d2ac0780921da4e1d943081c341d38f544d1c2f53f49e16"
        );
    }
}
