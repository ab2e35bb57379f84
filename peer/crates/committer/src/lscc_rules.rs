//! What a transaction of LSCC may do: deploy or upgrade one chaincode, nothing else (Fabric
//! core/handlers/validation/builtin/v13).

mod collections;

use bytes::Bytes;
use ledger::NsRwSet;
use msp::policy::SignaturePolicy;
use protos::kvrwset::{KvWrite, KvrwSet};
use protos::peer::chaincode_spec::Type;
use protos::peer::{
    ChaincodeData, ChaincodeDeploymentSpec, ChaincodeId, ChaincodeInvocationSpec, ChaincodeProposalPayload,
};
use protos::{decode_as_go, wire_message};

use crate::chaincode_names::{is_reserved_name, is_valid_name, is_valid_version};
use crate::definitions::LSCC;
use crate::failure::{Failure, Invalid};
use crate::namespaces::Scope;
use crate::rwset::namespace;
use crate::transaction::{Action, EndorserTransaction};

/// The arguments that a transaction invoked its chaincode with.
pub(crate) fn invocation_args(transaction: &EndorserTransaction) -> Result<Vec<Bytes>, Invalid> {
    let bad = |error: prost::DecodeError| Invalid::policy(error.to_string());
    let payload =
        decode_as_go::<ChaincodeProposalPayload>(transaction.proposal_payload.clone()).map_err(bad)?;
    let invocation = decode_as_go::<ChaincodeInvocationSpec>(payload.input).map_err(bad)?;
    let input = invocation.chaincode_spec.and_then(|spec| spec.input);
    input
        .map(|input| input.args)
        .filter(|args| !args.is_empty())
        .ok_or_else(|| Invalid::policy("malformed chaincode invocation spec"))
}

/// One deployment or upgrade, its arguments checked on their own.
struct Deployment {
    upgrade: bool,
    id: ChaincodeId,
    /// The collections that were asked for.
    collections: Option<Bytes>,
}

/// Checks an invocation of LSCC that its endorsement policy allows.
pub(crate) fn check(
    scope: &Scope<'_>,
    transaction: &EndorserTransaction,
    action: &Action,
) -> Result<(), Failure> {
    let deployment = Deployment::from_args(&invocation_args(transaction)?, scope)?;
    let written = deployment.written(action)?;
    deployment.check_ledger(scope, transaction, &written)
}

/// What a deployment wrote to LSCC's namespace.
struct Written<'a> {
    data: ChaincodeData,
    set: &'a KvrwSet,
}

impl Deployment {
    fn from_args(args: &[Bytes], scope: &Scope<'_>) -> Result<Self, Invalid> {
        let [function, args @ ..] = args else {
            return Err(Invalid::policy("malformed chaincode invocation spec"));
        };
        let function = String::from_utf8_lossy(function).into_owned();
        let upgrade = match function.as_str() {
            "deploy" => false,
            "upgrade" => true,
            other => {
                let reason =
                    format!("VSCC error: committing an invocation of function {other} of lscc is invalid");
                return Err(Invalid::policy(reason));
            }
        };
        let most = if scope.rules.capabilities.private_channel_data {
            6
        } else {
            5
        };
        if args.len() < 2 || args.len() > most {
            let reason = format!(
                "Wrong number of arguments for invocation lscc({function}): received {}",
                args.len()
            );
            return Err(Invalid::policy(reason));
        }
        let id = args.get(1).cloned().unwrap_or_default();
        Ok(Self {
            upgrade,
            id: deployed_id(id, &function)?,
            collections: args.get(5).cloned(),
        })
    }

    /// Checks what was written, and nothing else, for exactly this chaincode.
    fn written<'a>(&self, action: &'a Action) -> Result<Written<'a>, Invalid> {
        let set = namespace(&action.rwset, LSCC).map(|namespace| &namespace.kv);
        let set = set.ok_or_else(|| Invalid::policy("No read write set for lscc was found"))?;
        let Some(first) = set.writes.first() else {
            return Err(Invalid::policy(
                "LSCC must issue at least one single putState upon deploy/upgrade",
            ));
        };
        let data = self.written_data(first)?;
        let foreign = |name: &str| name != LSCC && name != self.id.name;
        let mut namespaces = action.rwset.namespaces.iter();
        // Fabric looks at public values only; to refuse more would fork the channel
        let other = |set: &&NsRwSet| foreign(&set.namespace) && !set.kv.writes.is_empty();
        if let Some(other) = namespaces.find(other) {
            let name = &other.namespace;
            let reason = format!("LSCC invocation is attempting to write to namespace {name}");
            return Err(Invalid::policy(reason));
        }
        Ok(Written { data, set })
    }

    fn written_data(&self, write: &KvWrite) -> Result<ChaincodeData, Invalid> {
        let expect = |what: &str, expected: &str, found: &str| {
            if expected == found {
                return Ok(());
            }
            Err(Invalid::policy(format!(
                "expected {what} {expected}, found {found}"
            )))
        };
        expect("key", &self.id.name, &write.key)?;
        let data = decode_as_go::<ChaincodeData>(write.value.clone()).map_err(|error| {
            Invalid::policy(format!("unmarshalling of ChaincodeData failed, error {error}"))
        })?;
        expect("cc name", &self.id.name, &data.name)?;
        expect("cc version", &self.id.version, &data.version)?;
        Ok(data)
    }

    fn check_ledger(
        &self,
        scope: &Scope<'_>,
        transaction: &EndorserTransaction,
        written: &Written<'_>,
    ) -> Result<(), Failure> {
        let stored = scope.definitions.stored(&self.id.name)?;
        match (self.upgrade, stored) {
            (false, Some(_)) => refuse(format!("Chaincode {} is already instantiated", self.id.name)),
            (true, None) => refuse(format!("Upgrading non-existent chaincode {}", self.id.name)),
            (false, None) => {
                self.check_writes(scope, written, scope.rules.capabilities.private_channel_data)?;
                satisfies(scope, transaction, &written.data.instantiation_policy)
            }
            (true, Some(stored)) => self.check_upgrade(scope, transaction, written, &stored),
        }
    }

    fn check_upgrade(
        &self,
        scope: &Scope<'_>,
        transaction: &EndorserTransaction,
        written: &Written<'_>,
        stored: &ChaincodeData,
    ) -> Result<(), Failure> {
        if stored.version == self.id.version {
            return refuse(format!(
                "Existing version of the cc on the ledger ({}) should be different from the upgraded one",
                self.id.version
            ));
        }
        self.check_writes(scope, written, scope.rules.capabilities.v1_2_validation)?;
        satisfies(scope, transaction, &stored.instantiation_policy)?;
        let new = &written.data.instantiation_policy;
        if scope.rules.capabilities.v1_1_validation && *new != stored.instantiation_policy {
            satisfies(scope, transaction, new)?;
        }
        Ok(())
    }

    /// One write, or a second one with the collections where the channel has them.
    fn check_writes(
        &self,
        scope: &Scope<'_>,
        written: &Written<'_>,
        collections: bool,
    ) -> Result<(), Failure> {
        if collections {
            return self.check_collections(scope, &written.set.writes);
        }
        if written.set.writes.len() != 1 {
            return refuse("LSCC can only issue a single putState upon deploy/upgrade");
        }
        Ok(())
    }
}

fn deployed_id(spec: Bytes, function: &str) -> Result<ChaincodeId, Invalid> {
    let spec = decode_as_go::<ChaincodeDeploymentSpec>(spec)
        .map_err(|error| Invalid::policy(format!("GetChaincodeDeploymentSpec error {error}")))?
        .chaincode_spec
        .unwrap_or_default();
    let kind = spec.r#type();
    let Some(id) = spec.chaincode_id else {
        let reason =
            format!("VSCC error: invocation of lscc({function}) does not have appropriate arguments");
        return Err(Invalid::policy(reason));
    };
    if kind == Type::Undefined {
        return Err(Invalid::policy(format!(
            "unexpected chaincode spec type: {}",
            spec.r#type
        )));
    }
    if !is_valid_name(&id.name) {
        return Err(Invalid::policy(format!("invalid chaincode name '{}'", id.name)));
    }
    if is_reserved_name(&id.name) {
        let reason = format!("chaincode name '{}' is reserved for system chaincodes", id.name);
        return Err(Invalid::policy(reason));
    }
    if !is_valid_version(&id.version) {
        return Err(Invalid::policy(format!(
            "invalid chaincode version '{}'",
            id.version
        )));
    }
    Ok(id)
}

/// Checks that the transaction's creator satisfies an instantiation policy.
fn satisfies(scope: &Scope<'_>, transaction: &EndorserTransaction, policy: &Bytes) -> Result<(), Failure> {
    if policy.is_empty() {
        return refuse("No instantiation policy was specified");
    }
    let violated = |error: &(dyn std::error::Error + 'static)| {
        Invalid::policy(format!(
            "chaincode instantiation policy violated, error {}",
            wire_message(error)
        ))
    };
    let policy = SignaturePolicy::from_bytes(policy.clone()).map_err(|error| violated(&error))?;
    let creator = transaction.envelope.signed_data();
    Ok(policy
        .evaluate(&[creator], scope.rules.msps)
        .map_err(|error| violated(&error))?)
}

fn refuse(reason: impl Into<String>) -> Result<(), Failure> {
    Err(Invalid::policy(reason).into())
}
