//! Chaincode definitions on the ledger, read and compiled at most once per block.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use msp::policy::{CompileError, SignaturePolicy, signed_by_any_member};
use parking_lot::Mutex;
use protos::decode_as_go;
use protos::peer::{ChaincodeData, TxValidationCode as Code};

use crate::chaincode_names::is_reserved_name;
use crate::failure::{Failure, Invalid};
use crate::rules::{ChannelRules, CommittedState};

/// The only validation plugin; a chaincode that names another cannot be judged.
const VALIDATION_PLUGIN: &str = "vscc";

/// The namespace that definitions are kept in.
pub(crate) const LSCC: &str = "lscc";

/// What validation needs of a definition.
#[derive(Debug)]
pub(crate) struct Definition {
    /// The version on the ledger; none for a system chaincode.
    pub(crate) version: Option<String>,
    /// The endorsement policy. One that does not compile is satisfied by nothing.
    pub(crate) policy: Result<SignaturePolicy, CompileError>,
}

/// The definitions as of the last committed block.
pub(crate) struct Definitions<'a> {
    state: &'a dyn CommittedState,
    rules: ChannelRules<'a>,
    read: Mutex<HashMap<String, Arc<Definition>>>,
}

impl<'a> Definitions<'a> {
    pub(crate) fn new(state: &'a dyn CommittedState, rules: ChannelRules<'a>) -> Self {
        Self {
            state,
            rules,
            read: Mutex::default(),
        }
    }

    /// The definition of a chaincode, or the policy that stands in for it with a system chaincode.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Definition>, Failure> {
        if let Some(known) = self.read.lock().get(name) {
            return Ok(Arc::clone(known));
        }
        let system = is_reserved_name(name) && !self.rules.capabilities.lifecycle_v20;
        let definition = Arc::new(if system {
            self.of_system_chaincode()
        } else {
            self.on_ledger(name)?
        });
        self.read.lock().insert(name.to_owned(), Arc::clone(&definition));
        Ok(definition)
    }

    /// The definition that LSCC stored, if there is one. Anyone may name any key of LSCC as a chaincode, so what
    /// is there need not be a definition: then the transaction is invalid, and the channel goes on.
    pub(crate) fn stored(&self, name: &str) -> Result<Option<ChaincodeData>, Failure> {
        let Some(bytes) = self.state.state(LSCC, name).map_err(Failure::Unreadable)? else {
            return Ok(None);
        };
        let data = decode_as_go::<ChaincodeData>(bytes);
        data.map(Some).map_err(|error| {
            self.no_definition(format!("lscc's state for [{name}] is no definition: {error}"))
        })
    }

    /// The collections that LSCC stored for a chaincode, if there are any.
    pub(crate) fn stored_collections(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        self.state
            .state(LSCC, &collection_key(name))
            .map_err(Failure::Unreadable)
    }

    fn on_ledger(&self, name: &str) -> Result<Definition, Failure> {
        let invalid = |reason: String| Err(self.no_definition(reason));
        let Some(data) = self.stored(name)? else {
            return invalid(format!("lscc's state for [{name}] not found."));
        };
        if data.vscc.is_empty() {
            return invalid(format!(
                "lscc's state for [{name}] is invalid, vscc field must be set"
            ));
        }
        if data.policy.is_empty() {
            return invalid(format!(
                "lscc's state for [{name}] is invalid, policy field must be set"
            ));
        }
        if data.vscc != VALIDATION_PLUGIN {
            return Err(Failure::UnknownPlugin(data.vscc));
        }
        Ok(Definition {
            version: Some(data.version),
            policy: SignaturePolicy::from_bytes(data.policy),
        })
    }

    fn no_definition(&self, reason: String) -> Failure {
        let code = if self.rules.capabilities.lifecycle_v20 {
            Code::InvalidChaincode
        } else {
            Code::InvalidOtherReason
        };
        Invalid::new(code, reason).into()
    }

    fn of_system_chaincode(&self) -> Definition {
        let ids = self.rules.config.application_msp_ids();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        Definition {
            version: None,
            policy: SignaturePolicy::compile(signed_by_any_member(&ids)),
        }
    }
}

/// The key that the collections of a chaincode are kept under.
pub(crate) fn collection_key(name: &str) -> String {
    format!("{name}~collection")
}
