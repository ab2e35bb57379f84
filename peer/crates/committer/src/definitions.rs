//! Chaincode definitions on the ledger, read and compiled at most once per block.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use msp::policy::signed_by_any_member;
use parking_lot::Mutex;
use prost::Message;
use protos::decode_as_go;
use protos::peer::{ChaincodeData, TxValidationCode as Code};

use crate::action_context::BlockContext;
use crate::chaincode_names::is_reserved_name;
use crate::failure::{Failure, Invalid};
use crate::plugins::{ValidationPlugin, ValidationPlugins};

/// The plugin that judges system chaincode.
const VALIDATION_PLUGIN: &str = "vscc";

/// The namespace that definitions are kept in.
pub(crate) const LSCC: &str = "lscc";

/// What validation needs of a definition.
pub(crate) struct Definition {
    /// The version on the ledger; none for a system chaincode.
    pub(crate) version: Option<String>,
    /// The name of the validation plugin.
    pub(crate) plugin_name: String,
    /// The plugin, if the peer has it.
    pub(crate) plugin: Option<Arc<dyn ValidationPlugin>>,
    /// What the definition says to the plugin: the endorsement policy.
    pub(crate) policy: Bytes,
}

/// The definitions as of the last committed block.
pub(crate) struct Definitions<'a> {
    block: &'a BlockContext,
    plugins: &'a dyn ValidationPlugins,
    read: Mutex<HashMap<String, Arc<Definition>>>,
}

impl<'a> Definitions<'a> {
    pub(crate) fn new(block: &'a BlockContext, plugins: &'a dyn ValidationPlugins) -> Self {
        Self {
            block,
            plugins,
            read: Mutex::default(),
        }
    }

    /// The definition of a chaincode, or the policy that stands in for it with a system chaincode.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Definition>, Failure> {
        if let Some(known) = self.read.lock().get(name) {
            return Ok(Arc::clone(known));
        }
        let system = is_reserved_name(name) && !self.block.rules.capabilities.lifecycle_v20;
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
    fn stored(&self, name: &str) -> Result<Option<ChaincodeData>, Failure> {
        let Some(bytes) = self.block.state.state(LSCC, name).map_err(Failure::Unreadable)? else {
            return Ok(None);
        };
        let data = decode_as_go::<ChaincodeData>(bytes);
        data.map(Some).map_err(|error| {
            self.no_definition(format!("lscc's state for [{name}] is no definition: {error}"))
        })
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
        Ok(Definition {
            version: Some(data.version),
            plugin: self.plugins.plugin(&data.vscc),
            plugin_name: data.vscc,
            policy: data.policy,
        })
    }

    fn no_definition(&self, reason: String) -> Failure {
        let code = if self.block.rules.capabilities.lifecycle_v20 {
            Code::InvalidChaincode
        } else {
            Code::InvalidOtherReason
        };
        Invalid::new(code, reason).into()
    }

    fn of_system_chaincode(&self) -> Definition {
        let ids = self.block.rules.config.application_msp_ids();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        Definition {
            version: None,
            plugin: self.plugins.plugin(VALIDATION_PLUGIN),
            plugin_name: VALIDATION_PLUGIN.to_owned(),
            policy: signed_by_any_member(&ids).encode_to_vec().into(),
        }
    }
}
