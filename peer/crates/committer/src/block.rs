//! What only the order of a block's transactions decides.

use std::collections::HashSet;

use protos::TxId;
use protos::peer::TxValidationCode as Code;

use crate::failure::Invalid;
use crate::namespaces::NamespaceVerdict;
use crate::rwset::WrittenKey;
use crate::upgrades::Invoked;

/// What was found out about a transaction on its own.
pub(crate) enum Verdict {
    Invalid(Invalid),
    Config,
    Endorser {
        tx_id: TxId,
        namespaces: Vec<NamespaceVerdict>,
        invoked: Invoked,
    },
}

/// Keys whose metadata, such as a policy, a transaction of this block set.
type Updated = HashSet<(String, WrittenKey)>;

/// Settles verdicts that rest on key policies which earlier transactions of the block changed.
pub(crate) fn settle_key_policies(
    namespaces: &[NamespaceVerdict],
    updated: &mut Updated,
) -> Result<(), Invalid> {
    for namespace in namespaces {
        // what is wrong with the chaincode comes before any policy
        if let Err(invalid) = &namespace.result
            && invalid.code != Code::EndorsementPolicyFailure
        {
            return Err(invalid.clone());
        }
        if let Some((name, key)) = namespace.asked.iter().find(|key| updated.contains(*key)) {
            let reason = format!(
                "validation parameters for key [{key}] in namespace [{name}] have been changed in this block"
            );
            return Err(Invalid::policy(reason));
        }
        namespace.result.clone()?;
        let keys = namespace.metadata.iter();
        updated.extend(keys.map(|key| (namespace.name.clone(), key.clone())));
    }
    Ok(())
}

/// Marks repeated transaction ids among the valid transactions.
pub(crate) fn settle_duplicates(codes: &mut [Code], verdicts: &[Verdict]) {
    let mut seen = HashSet::new();
    for (code, verdict) in codes.iter_mut().zip(verdicts) {
        let Verdict::Endorser { tx_id, .. } = verdict else {
            continue;
        };
        if *code == Code::Valid && !seen.insert(tx_id) {
            *code = Code::DuplicateTxid;
        }
    }
}
