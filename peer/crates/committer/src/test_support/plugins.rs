//! A validation plugin without a library: it knows chaincodes' policies, and nothing of LSCC's rules.

use std::sync::Arc;

use crate::action_context::{ActionContext, SignedParts};
use crate::plugins::{PluginSource, ValidationPlugin, ValidationPlugins, Verdict};
use crate::rules::SourceError;

/// Under the name `vscc` a plugin for which the endorsements have to satisfy the policy of the chaincode. It asks for the
/// key policy of the key `a`, and pays no heed to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyPlugins;

impl PluginSource for PolicyPlugins {
    fn of_block(&self) -> Arc<dyn ValidationPlugins> {
        Arc::new(*self)
    }
}

impl ValidationPlugins for PolicyPlugins {
    fn plugin(&self, name: &str) -> Option<Arc<dyn ValidationPlugin>> {
        (name == "vscc").then(|| Arc::new(Self) as Arc<dyn ValidationPlugin>)
    }
}

impl ValidationPlugin for PolicyPlugins {
    fn validate(&self, action: ActionContext) -> Result<Verdict, SourceError> {
        if action.has_capability("KeyLevelEndorsement") {
            // what the ledger's failure means is not for plugins to say
            drop(action.state_metadata(action.namespace(), "a", "VALIDATION_PARAMETER"));
        }
        let endorsements = (0..action.endorsements_len()).filter_map(|index| action.endorsement(index));
        let messages: Vec<[&[u8]; 2]> = endorsements
            .clone()
            .map(|(endorser, _)| [action.response_payload(), endorser])
            .collect();
        let signed: Vec<SignedParts<'_>> = endorsements
            .zip(&messages)
            .map(|((identity, signature), parts)| SignedParts {
                parts,
                identity,
                signature,
            })
            .collect();
        let signers = action.signers(&signed)?;
        Ok(match action.satisfies(signers, action.policy())? {
            Ok(()) => Verdict::Valid,
            Err(reason) => Verdict::Invalid(reason),
        })
    }
}
