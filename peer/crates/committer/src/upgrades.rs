//! Upgrades inside one block: of two upgrades of a chaincode the later one counts, and transactions of the
//! version that goes are invalid (Fabric's `invalidTXsForUpgradeCC`).

use std::collections::HashMap;

use protos::decode_as_go;
use protos::peer::chaincode_spec::Type;
use protos::peer::{
    ChaincodeDeploymentSpec, ChaincodeInvocationSpec, ChaincodeProposalPayload, TxValidationCode as Code,
};

use crate::definitions::LSCC;
use crate::transaction::{Action, EndorserTransaction};

/// What a valid transaction ran, and what it upgraded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invoked {
    pub(crate) chaincode: String,
    pub(crate) upgraded: Option<String>,
}

impl Invoked {
    pub(crate) fn new(transaction: &EndorserTransaction, action: &Action) -> Self {
        Self {
            chaincode: action.chaincode.clone(),
            upgraded: (action.chaincode == LSCC)
                .then(|| upgraded(transaction))
                .flatten(),
        }
    }
}

/// The chaincode that an LSCC invocation upgrades. Fabric looks only at specifications of type GOLANG here;
/// others would give another state on this peer than on Fabric's, and MVCC settles them all the same.
fn upgraded(transaction: &EndorserTransaction) -> Option<String> {
    let payload = decode_as_go::<ChaincodeProposalPayload>(transaction.proposal_payload.clone()).ok()?;
    let invocation = decode_as_go::<ChaincodeInvocationSpec>(payload.input).ok()?;
    let args = invocation.chaincode_spec?.input?.args;
    if args.first()?.as_ref() != b"upgrade" {
        return None;
    }
    let spec = decode_as_go::<ChaincodeDeploymentSpec>(args.get(2)?.clone())
        .ok()?
        .chaincode_spec?;
    if spec.r#type() != Type::Golang {
        return None;
    }
    Some(spec.chaincode_id?.name)
}

/// Marks what upgrades in the same block make invalid. `invoked` is what was valid before repeated transaction ids
/// were marked: as in Fabric an upgrade gives way to its own repetition, and then neither counts.
pub(crate) fn settle(codes: &mut [Code], invoked: &[Option<Invoked>]) {
    let mut latest: HashMap<&str, usize> = HashMap::new();
    for (index, invoked) in invoked.iter().enumerate() {
        let Some(name) = invoked.as_ref().and_then(|invoked| invoked.upgraded.as_deref()) else {
            continue;
        };
        let earlier = latest.insert(name, index);
        if let Some(code) = earlier.and_then(|earlier| codes.get_mut(earlier)) {
            *code = Code::ChaincodeVersionConflict;
        }
    }
    for (code, invoked) in codes.iter_mut().zip(invoked) {
        let name = invoked.as_ref().map(|invoked| invoked.chaincode.as_str());
        if *code == Code::Valid && name.is_some_and(|name| latest.contains_key(name)) {
            *code = Code::ChaincodeVersionConflict;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(name: &str) -> Option<Invoked> {
        Some(Invoked {
            chaincode: name.into(),
            upgraded: None,
        })
    }

    fn upgrades(name: &str) -> Option<Invoked> {
        Some(Invoked {
            chaincode: "lscc".into(),
            upgraded: Some(name.into()),
        })
    }

    #[test]
    fn the_last_upgrade_counts_and_older_users_are_invalid() {
        let mut codes = [Code::Valid; 5];
        settle(
            &mut codes,
            &[runs("a"), upgrades("a"), runs("b"), upgrades("a"), None],
        );
        let conflict = Code::ChaincodeVersionConflict;
        assert_eq!(codes, [conflict, conflict, Code::Valid, Code::Valid, Code::Valid]);
    }

    #[test]
    fn an_upgrade_that_gives_way_is_a_conflict_even_if_its_id_is_repeated() {
        let (conflict, repeated) = (Code::ChaincodeVersionConflict, Code::DuplicateTxid);
        let mut codes = [Code::Valid, repeated];
        settle(&mut codes, &[upgrades("a"), upgrades("a")]);
        assert_eq!(codes, [conflict, repeated]);
        let mut codes = [Code::Valid, repeated, Code::Valid];
        settle(&mut codes, &[upgrades("a"), upgrades("a"), upgrades("a")]);
        assert_eq!(codes, [conflict, conflict, Code::Valid]);
    }
}
