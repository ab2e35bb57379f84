//! Who may use what: the policy of each resource, which a channel's ACLs may replace (Fabric core/aclmgmt).

use msp::policy::PolicyError;
use msp::{LocalMsp, LocalPolicy, LocalPolicyError};
use protos::SignedData;

use crate::bundle::Bundle;

const READERS: DefaultPolicy = DefaultPolicy::Channel("/Channel/Application/Readers");
const WRITERS: DefaultPolicy = DefaultPolicy::Channel("/Channel/Application/Writers");
const LOCAL_ADMINS: DefaultPolicy = DefaultPolicy::Local(LocalPolicy::Admins);
const LOCAL_MEMBERS: DefaultPolicy = DefaultPolicy::Local(LocalPolicy::Members);

/// The policy of a resource where the channel says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPolicy {
    /// A policy on the local MSP; channels cannot replace it.
    Local(LocalPolicy),
    /// A policy of the channel.
    Channel(&'static str),
}

/// Why a request may not use a resource. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// Nobody has said who may use it.
    #[error("Unmapped policy for {0}")]
    Unmapped(String),
    /// The same, without a channel.
    #[error("Unmapped channelless policy for {0}")]
    UnmappedWithoutChannel(String),
    /// The channel is unknown here.
    #[error("Failed to get policy manager for channel [{0}]")]
    NoChannel(String),
    /// The channel's policy is not satisfied.
    #[error(
        "Failed evaluating policy on signed data during check policy on channel [{channel}] with policy [{policy}]: [{reason}]"
    )]
    Default {
        /// The channel.
        channel: String,
        /// The policy.
        policy: &'static str,
        /// Why not.
        reason: PolicyError,
    },
    /// The policy that the channel's ACLs name is not satisfied.
    #[error("failed evaluating policy on signed data during check policy [{policy}]: [{reason}]")]
    Configured {
        /// The policy.
        policy: String,
        /// Why not.
        reason: String,
    },
    /// The local policy is not satisfied.
    #[error(transparent)]
    Local(#[from] LocalPolicyError),
}

/// The policy of a resource where the channel says nothing else; `None` for unknown resources.
#[must_use]
pub fn default_policy(resource: &str) -> Option<DefaultPolicy> {
    Some(match resource {
        "lscc/Install"
        | "lscc/GetInstalledChaincodes"
        | "cscc/JoinChain"
        | "cscc/JoinChainBySnapshot"
        | "cscc/JoinBySnapshotStatus"
        | "_lifecycle/InstallChaincode"
        | "_lifecycle/QueryInstalledChaincode"
        | "_lifecycle/QueryInstalledChaincodes"
        | "_lifecycle/GetInstalledChaincodePackage"
        | "_lifecycle/ApproveChaincodeDefinitionForMyOrg"
        | "_lifecycle/QueryApprovedChaincodeDefinition"
        | "_lifecycle/QueryApprovedChaincodeDefinitions"
        | "snapshot/submitrequest"
        | "snapshot/cancelrequest"
        | "snapshot/listpending" => LOCAL_ADMINS,
        "cscc/GetChannels" => LOCAL_MEMBERS,
        "peer/Propose"
        | "peer/ChaincodeToChaincode"
        | "cscc/SimulateConfigTreeUpdate"
        | "_lifecycle/CommitChaincodeDefinition"
        | "_lifecycle/QueryChaincodeDefinition"
        | "_lifecycle/QueryChaincodeDefinitions"
        | "_lifecycle/CheckCommitReadiness" => WRITERS,
        "lscc/ChaincodeExists"
        | "lscc/GetDeploymentSpec"
        | "lscc/GetChaincodeData"
        | "lscc/GetInstantiatedChaincodes"
        | "lscc/GetCollectionsConfig"
        | "qscc/GetChainInfo"
        | "qscc/GetBlockByNumber"
        | "qscc/GetBlockByHash"
        | "qscc/GetTransactionByID"
        | "qscc/GetBlockByTxID"
        | "cscc/GetConfigBlock"
        | "cscc/GetConfigTree"
        | "cscc/GetChannelConfig"
        | "event/Block"
        | "event/FilteredBlock"
        | "gateway/CommitStatus"
        | "gateway/ChaincodeEvents" => READERS,
        _ => return None,
    })
}

impl Bundle {
    /// The path of the policy that guards a resource on this channel: the channel's own ACL, else the default.
    /// `None` for resources that are unknown or guarded by the local MSP.
    #[must_use]
    pub fn resource_policy(&self, resource: &str) -> Option<&str> {
        match default_policy(resource) {
            Some(DefaultPolicy::Local(_)) => None,
            Some(DefaultPolicy::Channel(default)) => {
                Some(self.configured_policy(resource).unwrap_or(default))
            }
            None => self.configured_policy(resource),
        }
    }

    fn configured_policy(&self, resource: &str) -> Option<&str> {
        self.application()?.acls.get(resource).map(String::as_str)
    }

    /// Checks that the signer may use a resource of this channel.
    ///
    /// # Errors
    /// When the resource is guarded by no policy of the channel, or its policy is not satisfied.
    pub fn check_acl(&self, resource: &str, signed: &SignedData) -> Result<(), AclError> {
        let signatures = std::slice::from_ref(signed);
        if let Some(policy) = self.configured_policy(resource) {
            let refuse = |reason| AclError::Configured {
                policy: policy.to_owned(),
                reason,
            };
            if !self.policies().contains(policy) {
                return Err(refuse(format!("policy {policy} not found")));
            }
            return self
                .evaluate(policy, signatures)
                .map_err(|reason| refuse(reason.to_string()));
        }
        let Some(DefaultPolicy::Channel(policy)) = default_policy(resource) else {
            return Err(AclError::Unmapped(resource.to_owned()));
        };
        let evaluated = self.evaluate(policy, signatures);
        evaluated.map_err(|reason| AclError::Default {
            channel: self.channel().to_string(),
            policy,
            reason,
        })
    }
}

/// Checks that the signer may use a resource. Where the local MSP guards it, the channel does not matter.
/// `channel` is the name asked for and its bundle, where the peer has joined it; an empty name is no channel.
///
/// # Errors
/// When the resource or the channel is unknown, or the policy is not satisfied.
pub fn check_acl(
    resource: &str,
    channel: (&str, Option<&Bundle>),
    local: &LocalMsp,
    signed: &SignedData,
) -> Result<(), AclError> {
    match (default_policy(resource), channel) {
        (Some(DefaultPolicy::Local(policy)), _) => Ok(local.check_policy(policy, signed)?),
        (_, ("", _)) => Err(AclError::UnmappedWithoutChannel(resource.to_owned())),
        (_, (_, Some(bundle))) => bundle.check_acl(resource, signed),
        (None, _) => Err(AclError::Unmapped(resource.to_owned())),
        (Some(_), (name, None)) => Err(AclError::NoChannel(name.to_owned())),
    }
}
