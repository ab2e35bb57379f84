//! The filter itself.

use crate::creator;
use crate::model::{Circumstances, Model, Subject, context};
use cedar_policy::{Authorizer, Context, Decision, PolicySet};
use plugin_api::proposal::{self, Call};
use plugin_api::{Code, Filter, Flow, PluginError, Request, Result};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;

/// How many subjects (a creator and the chaincode it calls) are remembered; more are seldom active at a time.
const REMEMBERED: usize = 1024;
/// Longer ones (certificate and names together) are made each time, so that they cannot fill the memory.
const MAX_REMEMBERED_SIZE: usize = 16 * 1024;
/// Longest function's name that is looked at, in bytes.
const MAX_FUNCTION: usize = 64 * 1024;
/// How much of a name is shown in the log, in bytes.
const SHOWN: usize = 200;
/// How much is said about the deciding policies, in bytes.
const MAX_IDS: usize = 1024;

/// What is said of a request.
const ID: &str = "policy.id";
const DECISION: &str = "policy.decision";
/// Said instead of a policy's name when none fits.
const NONE: &str = "default-deny";

/// Decides by policies.
pub(crate) struct AttributePolicy {
    model: Model,
    policies: PolicySet,
    authorizer: Authorizer,
    subjects: Cache<SubjectKey, Arc<Subject>>,
}

#[derive(PartialEq, Eq, Hash)]
struct SubjectKey {
    mspid: String,
    creator_cert: Vec<u8>,
    channel: String,
    chaincode: String,
}

/// The same, borrowed from a request.
#[derive(Hash)]
struct SubjectOf<'a> {
    mspid: &'a str,
    creator_cert: &'a [u8],
    channel: &'a str,
    chaincode: &'a str,
}

impl Equivalent<SubjectKey> for SubjectOf<'_> {
    fn equivalent(&self, key: &SubjectKey) -> bool {
        self.mspid == key.mspid
            && self.creator_cert == key.creator_cert
            && self.channel == key.channel
            && self.chaincode == key.chaincode
    }
}

impl SubjectOf<'_> {
    fn size(&self) -> usize {
        self.mspid.len() + self.creator_cert.len() + self.channel.len() + self.chaincode.len()
    }

    fn to_key(&self) -> SubjectKey {
        SubjectKey {
            mspid: self.mspid.to_owned(),
            creator_cert: self.creator_cert.to_vec(),
            channel: self.channel.to_owned(),
            chaincode: self.chaincode.to_owned(),
        }
    }
}

/// What the policies say.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    allowed: bool,
    /// The deciding policies, sorted.
    ids: Vec<String>,
    /// What went wrong in policies.
    errors: Vec<String>,
}

impl AttributePolicy {
    pub(crate) fn new(model: Model, policies: PolicySet) -> Self {
        Self {
            model,
            policies,
            authorizer: Authorizer::new(),
            subjects: Cache::new(REMEMBERED),
        }
    }

    /// Parsed once per creator and called chaincode.
    fn subject(&self, of: &SubjectOf<'_>) -> Result<Arc<Subject>> {
        if let Some(known) = self.subjects.get(of) {
            return Ok(known);
        }
        let creator = creator::parse(of.creator_cert).map_err(|reason| {
            PluginError::new(
                Code::INVALID_ARGUMENT,
                format!("the creator's certificate cannot be used: {reason}"),
            )
        })?;
        let subject = self
            .model
            .subject(of.mspid, creator, of.channel, of.chaincode)
            .map(Arc::new)
            .map_err(|reason| undecided(&reason))?;
        if of.size() <= MAX_REMEMBERED_SIZE {
            self.subjects.insert(of.to_key(), Arc::clone(&subject));
        }
        Ok(subject)
    }

    fn context(&self, request: &Request, call: &Call) -> Result<Context> {
        let function = call.function();
        if function.len() > MAX_FUNCTION {
            return Err(invalid("the function's name is longer than 65536 bytes"));
        }
        let function = std::str::from_utf8(function)
            .map_err(|_binary| invalid("the function's name is no UTF-8 text"))?;
        let mut facts = Vec::new();
        for name in self.model.facts() {
            if let Some(fact) = request.attr(name.as_str().into()).into_option() {
                let fact = String::from_utf8(fact.to_vec())
                    .map_err(|_binary| invalid(&format!("what is said as {name} is no UTF-8 text")))?;
                facts.push((name.clone(), fact));
            }
        }
        let remote: Option<SocketAddr> = request.remote_addr().as_str().parse().ok();
        let tls_cert = request.attr("tls.peer-cert".into()).into_option();
        context(Circumstances {
            function,
            arguments: call.arguments(),
            init: call.is_init(),
            remote_ip: remote.map(|address| address.ip().to_canonical()),
            tls_cert: tls_cert.map(|der| hex::encode(Sha256::digest(der.as_slice()))),
            facts,
        })
        .map_err(|reason| undecided(&reason))
    }

    fn decide(&self, subject: &Subject, context: Context) -> Result<Verdict> {
        let asked = cedar_policy::Request::new(
            subject.principal.clone(),
            self.model.action().clone(),
            subject.resource.clone(),
            context,
            None,
        )
        .map_err(|error| undecided(&error.to_string()))?;
        let answer = self
            .authorizer
            .is_authorized(&asked, &self.policies, &subject.entities);
        let mut ids: Vec<String> = answer.diagnostics().reason().map(ToString::to_string).collect();
        ids.sort();
        let errors: Vec<String> = answer.diagnostics().errors().map(ToString::to_string).collect();
        Ok(Verdict {
            // Cedar leaves out what fails, and that may be what forbids
            allowed: answer.decision() == Decision::Allow && errors.is_empty(),
            ids,
            errors,
        })
    }
}

impl Filter for AttributePolicy {
    type State = ();

    async fn before(&self, request: &Request) -> Result<Flow<()>> {
        let subject = self.subject(&SubjectOf {
            mspid: request.msp_id().as_str(),
            creator_cert: request.creator_cert().as_slice(),
            channel: request.channel_id().as_str(),
            chaincode: request.chaincode_name().as_str(),
        })?;
        let call = proposal::call(request.proposal_bytes())?;
        let context = self.context(request, &call)?;
        let verdict = self.decide(&subject, context)?;
        verdict.say(request);
        if verdict.allowed {
            return Ok(Flow::Continue);
        }
        verdict.log(request, &subject, &call);
        Err(PluginError::denied(
            "this peer's policies do not permit this proposal",
        ))
    }
}

impl Verdict {
    fn names(&self) -> String {
        if self.ids.is_empty() {
            return NONE.to_owned();
        }
        shown(&self.ids.join(","), MAX_IDS).to_owned()
    }

    /// Hands it on to who records it.
    fn say(&self, request: &Request) {
        let decision = if self.allowed { "allow" } else { "deny" };
        let taken = request.set_attr(ID.into(), self.names().into_bytes().into())
            && request.set_attr(DECISION.into(), decision.as_bytes().to_vec().into());
        if !taken {
            tracing::debug!("the peer has not taken the deciding policies' names");
        }
    }

    /// What clients write is quoted: it could end the line.
    fn log(&self, request: &Request, subject: &Subject, call: &Call) {
        for error in &self.errors {
            tracing::error!(%error, "a policy could not be evaluated, so the proposal is refused");
        }
        tracing::warn!(
            policies = self.names(),
            mspid = ?shown(request.msp_id().as_str(), SHOWN),
            cn = ?shown(&subject.common_name, SHOWN),
            channel = ?shown(request.channel_id().as_str(), SHOWN),
            chaincode = ?shown(request.chaincode_name().as_str(), SHOWN),
            function = ?call.function_text(SHOWN),
            "proposal refused by policy"
        );
    }
}

fn shown(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn invalid(text: &str) -> PluginError {
    PluginError::new(Code::INVALID_ARGUMENT, text)
}

/// Nothing that input should bring about; it is refused all the same.
fn undecided(reason: &str) -> PluginError {
    tracing::error!(reason, "a proposal could not be put to the policies");
    PluginError::denied("this peer's policies could not decide on this proposal")
}

#[cfg(test)]
mod tests;
