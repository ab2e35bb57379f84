//! Which namespaces a transaction may write, and whose policies it must satisfy (Fabric
//! core/committer/txvalidator).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use protos::peer::TxValidationCode as Code;

use crate::action_context::{ActionContext, Asked, BlockContext, Subject};
use crate::chaincode_names::is_reserved_name;
use crate::definitions::{Definition, Definitions, LSCC};
use crate::failure::{Failure, Invalid};
use crate::plugins::Verdict;
use crate::rules::ValidationCapabilities;
use crate::rwset::{WrittenKey, check_distinct, is_written, namespace, written_metadata};
use crate::transaction::{Action, EndorserTransaction};

/// System chaincodes that chaincode cannot call or that proposals cannot name: nothing writes there.
const NOT_INVOKABLE: [&str; 3] = ["vscc", "escc", "cscc"];
/// System chaincodes that a proposal cannot name.
const NOT_INVOKABLE_EXTERNALLY: [&str; 2] = ["vscc", "escc"];

/// What was found out about one namespace without looking at the transactions before this one.
pub(crate) struct NamespaceVerdict {
    pub(crate) name: String,
    pub(crate) result: Result<(), Invalid>,
    /// The keys whose metadata the verdict rests on, by namespace.
    pub(crate) asked: Vec<(String, WrittenKey)>,
    /// The keys whose metadata is set.
    pub(crate) metadata: Vec<WrittenKey>,
}

/// Everything that one transaction is checked against.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) block: &'a Arc<BlockContext>,
    pub(crate) definitions: &'a Definitions<'a>,
}

impl Scope<'_> {
    /// Judges every namespace in order, up to the first that is refused. `bytes` are the transaction's, at `position` in
    /// its block.
    pub(crate) fn judge(
        &self,
        (position, bytes): (usize, &Bytes),
        transaction: EndorserTransaction,
        action: Action,
    ) -> Result<Vec<NamespaceVerdict>, Failure> {
        let capabilities = self.block.rules.capabilities;
        if capabilities.v1_2_validation || capabilities.lifecycle_v20 {
            action.check_event()?;
        }
        check_distinct(&action.rwset)?;
        let names = namespaces_to_judge(&action, capabilities)?;
        let subject = Arc::new(Subject {
            block: Arc::clone(self.block),
            position,
            bytes: bytes.clone(),
            transaction,
            action,
            signers: (names.len() > 1).then(Default::default),
        });
        let mut verdicts = Vec::with_capacity(names.len());
        for name in names {
            let mut asked = Asked::default();
            let result = match self.judge_namespace(&name, &subject, &mut asked) {
                Ok(()) => Ok(()),
                Err(Failure::Invalid(invalid)) => Err(invalid),
                Err(other) => return Err(other),
            };
            let refused = result.is_err();
            verdicts.push(NamespaceVerdict {
                metadata: metadata_set(&name, &subject.action, capabilities),
                asked: asked.metadata,
                name,
                result,
            });
            if refused {
                break;
            }
        }
        Ok(verdicts)
    }

    fn judge_namespace(&self, name: &str, subject: &Arc<Subject>, asked: &mut Asked) -> Result<(), Failure> {
        let definition = self.definitions.get(name)?;
        self.check_version(name, &definition, &subject.action)?;
        let Some(plugin) = &definition.plugin else {
            return Err(Failure::UnknownPlugin(definition.plugin_name.clone()));
        };
        let context = ActionContext::new(Arc::clone(subject), name.to_owned(), definition.policy.clone());
        let judged = plugin.validate(context.clone());
        *asked = context.asked();
        // the plugin may have made of it what it likes
        if let Some(unreadable) = asked.failure.take() {
            return Err(Failure::Unreadable(unreadable));
        }
        match judged {
            Ok(Verdict::Valid) => Ok(()),
            Ok(Verdict::Invalid(reason)) => Err(Invalid::policy(reason).into()),
            Err(source) => Err(Failure::Plugin(definition.plugin_name.clone(), source)),
        }
    }

    /// The chaincode that ran must be the one that the channel has now.
    fn check_version(
        &self,
        name: &str,
        definition: &Arc<Definition>,
        action: &Action,
    ) -> Result<(), Invalid> {
        let Some(version) = &definition.version else {
            return Ok(());
        };
        let current = name != action.chaincode || *version == action.version;
        if current || self.block.rules.capabilities.lifecycle_v20 {
            return Ok(());
        }
        let reason = format!(
            "chaincode {name}:{}/{} didn't match {name}:{version} in lscc",
            action.version, self.block.rules.channel
        );
        Err(Invalid::new(Code::ExpiredChaincode, reason))
    }
}

/// The keys of a namespace whose metadata the transaction sets.
fn metadata_set(name: &str, action: &Action, capabilities: ValidationCapabilities) -> Vec<WrittenKey> {
    let set = namespace(&action.rwset, name).filter(|_| capabilities.key_level_endorsement);
    set.into_iter().flat_map(written_metadata).collect()
}

/// The invoked chaincode and every namespace written, each once; refuses writes that nobody may make.
fn namespaces_to_judge(
    action: &Action,
    capabilities: ValidationCapabilities,
) -> Result<Vec<String>, Invalid> {
    let written: Vec<&str> = action
        .rwset
        .namespaces
        .iter()
        .filter(|namespace| is_written(namespace, capabilities))
        .map(|namespace| namespace.namespace.as_str())
        .collect();
    let invoked = action.chaincode.as_str();
    let illegal = |reason: String| Err(Invalid::new(Code::IllegalWriteset, reason));
    if !capabilities.lifecycle_v20 && is_reserved_name(invoked) {
        if NOT_INVOKABLE_EXTERNALLY.contains(&invoked) {
            return illegal(format!("committing an invocation of cc {invoked} is illegal"));
        }
        if invoked != LSCC && !written.is_empty() {
            // Stricter than Fabric, on purpose: any member endorses for these, and Fabric lets them write
            // anywhere (its own never write at all). A fork takes a member that attacks the channel, and then
            // the peers of Fabric are the ones that hold stolen state.
            return illegal(format!("system chaincode {invoked} attempted to write"));
        }
        // the rules of LSCC say which other namespaces a deployment may write
        return Ok(vec![invoked.to_owned()]);
    }
    if !capabilities.lifecycle_v20 {
        if written.contains(&LSCC) {
            return illegal(format!(
                "chaincode {invoked} attempted to write to the namespace of LSCC"
            ));
        }
        if written.iter().any(|name| NOT_INVOKABLE.contains(name)) {
            return illegal(format!(
                "chaincode {invoked} attempted to write to the namespace of a system chaincode that cannot be invoked"
            ));
        }
    }
    let always = capabilities.v1_2_validation || capabilities.lifecycle_v20;
    let mut seen = HashSet::new();
    let names = always.then_some(invoked).into_iter().chain(written);
    Ok(names
        .filter(|name| seen.insert(*name))
        .map(ToOwned::to_owned)
        .collect())
}
