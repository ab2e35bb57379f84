//! The validation plugins as the committer sees them, and its transactions as they see them.

use std::sync::Arc;

use bytes::Bytes;
use committer::{
    ActionContext, PluginSource, SignedParts, SourceError, ValidationPlugin, ValidationPlugins, Verdict,
};
use handlers::{JudgedAction, Registry, Signed, Validator, Validators};

/// The validation plugins that are loaded when a block asks for them.
#[derive(Debug)]
pub struct ValidatorPlugins(pub Registry);

impl PluginSource for ValidatorPlugins {
    fn of_block(&self) -> Arc<dyn ValidationPlugins> {
        Arc::new(OfBlock(self.0.validators()))
    }
}

/// Those of one block: a reload in between concerns the next one.
struct OfBlock(Validators);

impl ValidationPlugins for OfBlock {
    fn plugin(&self, name: &str) -> Option<Arc<dyn ValidationPlugin>> {
        let validator = self.0.get(name)?;
        Some(Arc::new(Plugin(validator)))
    }
}

struct Plugin(Validator);

impl ValidationPlugin for Plugin {
    fn validate(&self, action: ActionContext) -> Result<Verdict, SourceError> {
        Ok(match self.0.validate(Arc::new(Judged(action)))? {
            handlers::Verdict::Valid => Verdict::Valid,
            handlers::Verdict::Invalid(reason) => Verdict::Invalid(reason),
        })
    }
}

struct Judged(ActionContext);

fn parts<'a>(signed: &'a Signed<'_>) -> SignedParts<'a> {
    SignedParts {
        parts: &signed.parts,
        identity: signed.identity,
        signature: signed.signature,
    }
}

impl JudgedAction for Judged {
    fn channel_id(&self) -> &str {
        self.0.channel_id()
    }

    fn block_number(&self) -> u64 {
        self.0.block_number()
    }

    fn tx_position(&self) -> u64 {
        self.0.tx_position()
    }

    fn tx_id(&self) -> &str {
        self.0.tx_id()
    }

    fn chaincode_name(&self) -> &str {
        self.0.chaincode_name()
    }

    fn namespace(&self) -> &str {
        self.0.namespace()
    }

    fn policy(&self) -> &[u8] {
        self.0.policy()
    }

    fn envelope(&self) -> Bytes {
        self.0.envelope()
    }

    fn signed_payload(&self) -> &[u8] {
        self.0.signed_payload()
    }

    fn creator(&self) -> &[u8] {
        self.0.creator()
    }

    fn signature(&self) -> &[u8] {
        self.0.signature()
    }

    fn proposal_payload(&self) -> &[u8] {
        self.0.proposal_payload()
    }

    fn response_payload(&self) -> &[u8] {
        self.0.response_payload()
    }

    fn results(&self) -> Bytes {
        self.0.results()
    }

    fn endorsements_len(&self) -> usize {
        self.0.endorsements_len()
    }

    fn endorsement(&self, index: usize) -> Option<(&[u8], &[u8])> {
        self.0.endorsement(index)
    }

    fn has_capability(&self, name: &str) -> bool {
        self.0.has_capability(name)
    }

    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, String> {
        self.0.state(namespace, key)
    }

    fn state_metadata(&self, namespace: &str, key: &str, entry: &str) -> Result<Option<Bytes>, String> {
        self.0.state_metadata(namespace, key, entry)
    }

    fn private_metadata(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
        entry: &str,
    ) -> Result<Option<Bytes>, String> {
        self.0.private_metadata(namespace, collection, key_hash, entry)
    }

    fn signers(&self, signed: &[Signed<'_>]) -> Result<usize, String> {
        let signed: Vec<SignedParts<'_>> = signed.iter().map(parts).collect();
        self.0.signers(&signed)
    }

    fn satisfies(&self, signers: usize, policy: &[u8]) -> Result<Result<(), String>, String> {
        self.0.satisfies(signers, policy)
    }

    fn verify(&self, signed: &Signed<'_>) -> Result<Result<(), String>, String> {
        Ok(self.0.verify(&parts(signed)))
    }

    fn satisfies_principal(&self, identity: &[u8], principal: &[u8]) -> Result<Result<(), String>, String> {
        Ok(self.0.satisfies_principal(identity, principal))
    }
}
