//! Which chaincode a transaction concerns: what a client asks discovery with to learn who else has to endorse.
//! Private data is not part of it: this peer refuses it.

use std::collections::BTreeMap;

use ledger::{SimulationResults, StateMetadata};
use prost::Message;
use protos::common::SignaturePolicyEnvelope;
use protos::peer::{ChaincodeCall, ChaincodeInterest};

/// The metadata entry that holds the endorsement policy of a single key.
const VALIDATION_PARAMETER: &str = "VALIDATION_PARAMETER";

/// The endorsement policy of a key that the transaction writes does not decode.
#[derive(Debug, thiserror::Error)]
#[error("error unmarshalling SignaturePolicyEnvelope")]
pub struct InterestError(#[source] prost::DecodeError);

/// One entry for each namespace that is not a system chaincode's, in their order. Fabric's order is random.
pub(crate) fn interest(
    results: &SimulationResults,
    is_system: impl Fn(&str) -> bool,
) -> Result<ChaincodeInterest, InterestError> {
    let mut interest = ChaincodeInterest::default();
    for set in &results.rwset.namespaces {
        if is_system(&set.namespace) {
            continue;
        }
        let mut call = ChaincodeCall {
            name: set.namespace.clone(),
            ..Default::default()
        };
        if let Some(written) = results.writeset_metadata.get(&set.namespace) {
            call.key_policies = key_policies(written)?;
            // what only writes keys with policies of their own does not need the chaincode's
            call.disregard_namespace_policy = call.key_policies.len() == written.len();
        }
        interest.chaincodes.push(call);
    }
    Ok(interest)
}

fn key_policies(
    written: &BTreeMap<String, StateMetadata>,
) -> Result<Vec<SignaturePolicyEnvelope>, InterestError> {
    let policies = written
        .values()
        .filter_map(|metadata| metadata.get(VALIDATION_PARAMETER));
    let decoded = policies.map(|policy| SignaturePolicyEnvelope::decode(policy.clone()));
    decoded.collect::<Result<_, _>>().map_err(InterestError)
}
