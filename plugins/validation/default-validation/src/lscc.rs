//! What a transaction of LSCC may do: deploy or upgrade one chaincode, nothing else (Fabric
//! core/handlers/validation/builtin/v13).

mod collections;

use crate::messages::{
    ChaincodeData, ChaincodeDeploymentSpec, ChaincodeId, ChaincodeInvocationSpec, ChaincodeProposalPayload,
    KvRwSet, KvWrite,
};
use crate::refusal::Refusal;
use crate::written::namespaces;
use bytes::Bytes;
use plugin_api::ValidationAction;
use plugin_api::chaincode_name::{is_reserved_name, is_valid_name, is_valid_version};
use plugin_api::protobuf::decode_as_go;

/// The namespace that definitions are kept in, which is its chaincode's name.
pub(crate) const NAMESPACE: &str = "lscc";
/// `protos.ChaincodeSpec.Type`: GOLANG, NODE, CAR, JAVA.
const TYPES: std::ops::RangeInclusive<i32> = 1..=4;

/// Checks an invocation of LSCC that its endorsement policy allows.
pub(crate) fn check(action: &ValidationAction<'_>) -> Result<(), Refusal> {
    let deployment = Deployment::from_args(&invocation_args(action)?, action)?;
    let written = deployment.written(action)?;
    deployment.check_ledger(action, &written)
}

/// The arguments that the transaction invoked LSCC with.
fn invocation_args(action: &ValidationAction<'_>) -> Result<Vec<Bytes>, Refusal> {
    let bad = |error: prost::DecodeError| Refusal::Invalid(error.to_string());
    let payload = Bytes::copy_from_slice(action.view.proposal_payload().as_slice());
    let payload = decode_as_go::<ChaincodeProposalPayload>(payload).map_err(bad)?;
    let invocation = decode_as_go::<ChaincodeInvocationSpec>(payload.input).map_err(bad)?;
    let input = invocation.chaincode_spec.and_then(|spec| spec.input);
    input
        .map(|input| input.args)
        .filter(|args| !args.is_empty())
        .ok_or_else(|| "malformed chaincode invocation spec".into())
}

/// One deployment or upgrade, its arguments checked on their own.
struct Deployment {
    upgrade: bool,
    id: ChaincodeId,
    /// The collections that were asked for.
    collections: Option<Bytes>,
}

/// What a deployment wrote to LSCC's namespace.
struct Written {
    data: ChaincodeData,
    set: KvRwSet,
}

impl Deployment {
    fn from_args(args: &[Bytes], action: &ValidationAction<'_>) -> Result<Self, Refusal> {
        let [function, args @ ..] = args else {
            return Err("malformed chaincode invocation spec".into());
        };
        let function = String::from_utf8_lossy(function).into_owned();
        let upgrade = match function.as_str() {
            "deploy" => false,
            "upgrade" => true,
            other => {
                return Err(format!(
                    "VSCC error: committing an invocation of function {other} of lscc is invalid"
                )
                .into());
            }
        };
        let most = if action.has_capability("PrivateChannelData") {
            6
        } else {
            5
        };
        if args.len() < 2 || args.len() > most {
            return Err(format!(
                "Wrong number of arguments for invocation lscc({function}): received {}",
                args.len()
            )
            .into());
        }
        let id = args.get(1).cloned().unwrap_or_default();
        Ok(Self {
            upgrade,
            id: deployed_id(id, &function)?,
            collections: args.get(5).cloned(),
        })
    }

    /// Checks what was written, and nothing else, for exactly this chaincode.
    fn written(&self, action: &ValidationAction<'_>) -> Result<Written, Refusal> {
        let namespaces = namespaces(action)?;
        let own = namespaces.iter().find(|set| set.namespace == NAMESPACE);
        let set = own.ok_or("No read write set for lscc was found")?.public()?;
        let first = set
            .writes
            .first()
            .ok_or("LSCC must issue at least one single putState upon deploy/upgrade")?;
        let data = self.written_data(first)?;
        for set in &namespaces {
            let name = &set.namespace;
            let foreign = name != NAMESPACE && *name != self.id.name;
            // Fabric looks at public values only; to refuse more would fork the channel
            if foreign && !set.public()?.writes.is_empty() {
                return Err(format!("LSCC invocation is attempting to write to namespace {name}").into());
            }
        }
        Ok(Written { data, set })
    }

    fn written_data(&self, write: &KvWrite) -> Result<ChaincodeData, Refusal> {
        let expect = |what: &str, expected: &str, found: &str| {
            if expected == found {
                return Ok(());
            }
            Err(Refusal::Invalid(format!(
                "expected {what} {expected}, found {found}"
            )))
        };
        expect("key", &self.id.name, &write.key)?;
        let data = decode_as_go::<ChaincodeData>(write.value.clone())
            .map_err(|error| format!("unmarshalling of ChaincodeData failed, error {error}"))?;
        expect("cc name", &self.id.name, &data.name)?;
        expect("cc version", &self.id.version, &data.version)?;
        Ok(data)
    }

    fn check_ledger(&self, action: &ValidationAction<'_>, written: &Written) -> Result<(), Refusal> {
        match (self.upgrade, self.stored(action)?) {
            (false, Some(_)) => Err(format!("Chaincode {} is already instantiated", self.id.name).into()),
            (true, None) => Err(format!("Upgrading non-existent chaincode {}", self.id.name).into()),
            (false, None) => {
                self.check_writes(action, written, action.has_capability("PrivateChannelData"))?;
                satisfies(action, &written.data.instantiation_policy)
            }
            (true, Some(stored)) => self.check_upgrade(action, written, &stored),
        }
    }

    /// The definition that LSCC stored, if there is one. Its names are such that nothing else can be stored there.
    fn stored(&self, action: &ValidationAction<'_>) -> Result<Option<ChaincodeData>, Refusal> {
        let name = &self.id.name;
        let Some(bytes) = action.state(NAMESPACE, name)? else {
            return Ok(None);
        };
        let data = decode_as_go(Bytes::from_owner(bytes));
        Ok(Some(data.map_err(|error| {
            format!("lscc's state for [{name}] is no definition: {error}")
        })?))
    }

    fn check_upgrade(
        &self,
        action: &ValidationAction<'_>,
        written: &Written,
        stored: &ChaincodeData,
    ) -> Result<(), Refusal> {
        if stored.version == self.id.version {
            return Err(format!(
                "Existing version of the cc on the ledger ({}) should be different from the upgraded one",
                self.id.version
            )
            .into());
        }
        self.check_writes(action, written, action.has_capability("V1_2Validation"))?;
        satisfies(action, &stored.instantiation_policy)?;
        let new = &written.data.instantiation_policy;
        if action.has_capability("V1_1Validation") && *new != stored.instantiation_policy {
            satisfies(action, new)?;
        }
        Ok(())
    }

    /// One write, or a second one with the collections where the channel has them.
    fn check_writes(
        &self,
        action: &ValidationAction<'_>,
        written: &Written,
        collections: bool,
    ) -> Result<(), Refusal> {
        if collections {
            return self.check_collections(action, &written.set.writes);
        }
        if written.set.writes.len() != 1 {
            return Err("LSCC can only issue a single putState upon deploy/upgrade".into());
        }
        Ok(())
    }
}

fn deployed_id(spec: Bytes, function: &str) -> Result<ChaincodeId, Refusal> {
    let spec = decode_as_go::<ChaincodeDeploymentSpec>(spec)
        .map_err(|error| format!("GetChaincodeDeploymentSpec error {error}"))?
        .chaincode_spec
        .unwrap_or_default();
    let Some(id) = spec.chaincode_id else {
        return Err(format!(
            "VSCC error: invocation of lscc({function}) does not have appropriate arguments"
        )
        .into());
    };
    if !TYPES.contains(&spec.kind) {
        return Err(format!("unexpected chaincode spec type: {}", spec.kind).into());
    }
    if !is_valid_name(&id.name) {
        return Err(format!("invalid chaincode name '{}'", id.name).into());
    }
    if is_reserved_name(&id.name) {
        return Err(format!("chaincode name '{}' is reserved for system chaincodes", id.name).into());
    }
    if !is_valid_version(&id.version) {
        return Err(format!("invalid chaincode version '{}'", id.version).into());
    }
    Ok(id)
}

/// Checks that the transaction's creator satisfies an instantiation policy.
fn satisfies(action: &ValidationAction<'_>, policy: &Bytes) -> Result<(), Refusal> {
    if policy.is_empty() {
        return Err("No instantiation policy was specified".into());
    }
    let satisfied = action.evaluate(policy, &[action.creator_signature()])?;
    satisfied.map_err(|reason| format!("chaincode instantiation policy violated, error {reason}").into())
}
