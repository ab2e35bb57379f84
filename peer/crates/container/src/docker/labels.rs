//! Labels on what a peer makes on an engine: whose it is, and what it was made of.

use std::collections::HashMap;

use crate::naming::Naming;

const NETWORK: &str = "org.hyperledger.fabric.peer.networkId";
const PEER: &str = "org.hyperledger.fabric.peer.id";
/// The chaincode's id, `name:version`.
pub(super) const CHAINCODE: &str = "org.hyperledger.fabric.chaincode.id";
/// The hash of package and plan that an image was built from.
pub(super) const BUILD: &str = "org.hyperledger.fabric.chaincode.build";
/// `builder` or `chaincode`.
pub(super) const ROLE: &str = "org.hyperledger.fabric.chaincode.role";

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It runs a build.
    Builder,
    /// It runs a chaincode.
    Chaincode,
}

impl Role {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Chaincode => "chaincode",
        }
    }
}

/// The labels of one peer.
#[derive(Debug, Clone)]
pub(super) struct Labels(Naming);

impl Labels {
    pub(super) fn new(naming: Naming) -> Self {
        Self(naming)
    }

    /// Labels of a container.
    pub(super) fn container(&self, chaincode_id: &str, role: Role) -> HashMap<String, String> {
        let mut labels = self.owner();
        labels.insert(CHAINCODE.to_owned(), chaincode_id.to_owned());
        labels.insert(ROLE.to_owned(), role.word().to_owned());
        labels
    }

    /// Labels of an image.
    pub(super) fn image(&self, chaincode_id: &str, build: &str) -> HashMap<String, String> {
        let mut labels = self.owner();
        labels.insert(CHAINCODE.to_owned(), chaincode_id.to_owned());
        labels.insert(BUILD.to_owned(), build.to_owned());
        labels
    }

    /// The engine's filter for what belongs to this peer.
    pub(super) fn filter(&self) -> HashMap<String, Vec<String>> {
        let pairs = self
            .owner()
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"));
        HashMap::from([("label".to_owned(), pairs.collect())])
    }

    /// Whether these are labels of this peer. Engines filter as asked; what is removed is looked at again.
    pub(super) fn are_ours(&self, labels: &HashMap<String, String>) -> bool {
        self.owner()
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }

    /// Whether these are labels of another peer.
    pub(super) fn are_anothers(&self, labels: &HashMap<String, String>) -> bool {
        labels.contains_key(PEER) && !self.are_ours(labels)
    }

    fn owner(&self) -> HashMap<String, String> {
        HashMap::from([
            (NETWORK.to_owned(), self.0.network_id.clone()),
            (PEER.to_owned(), self.0.peer_id.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_knows_its_own_and_anothers() {
        let labels = |peer: &str| {
            Labels::new(Naming {
                network_id: "dev".into(),
                peer_id: peer.into(),
            })
        };
        let (ours, theirs) = (labels("peer0"), labels("peer1"));
        let made = ours.container("cc:1", Role::Chaincode);
        assert!(ours.are_ours(&made) && !ours.are_anothers(&made));
        assert!(!theirs.are_ours(&made) && theirs.are_anothers(&made));
        let nobodys = HashMap::new();
        assert!(!ours.are_ours(&nobodys) && !ours.are_anothers(&nobodys));
        assert_eq!(ours.image("cc:1", "h")[BUILD], "h");
        let mut filter = ours.filter()["label"].clone();
        filter.sort();
        assert_eq!(
            filter,
            [
                "org.hyperledger.fabric.peer.id=peer0",
                "org.hyperledger.fabric.peer.networkId=dev"
            ]
        );
    }
}
