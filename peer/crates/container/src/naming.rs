//! Fabric's names for containers and images (`GetVMName`, `GetVMNameForDocker`), and the folder names made from them.

use aws_lc_rs::digest::{SHA256, digest};

/// Why an id gives no image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Docker's rule for repository names is broken.
    #[error("Error constructing Docker VM Name. '{0}' breaks Docker's repository naming rules")]
    Repository(String),
}

/// The parts of a name that belong to the peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming {
    /// `peer.networkId`; may be empty.
    pub network_id: String,
    /// `peer.id`; may be empty.
    pub peer_id: String,
}

impl Naming {
    /// Container name: network, peer and id, joined, every character that Docker refuses replaced by `-`.
    pub fn container_name(&self, chaincode_id: &str) -> String {
        sanitise(&self.full_name(chaincode_id))
    }

    /// Image name: the container name in lower case and the hash of the unchanged name.
    pub fn image_name(&self, chaincode_id: &str) -> Result<String, NameError> {
        let full = self.full_name(chaincode_id);
        let name = format!(
            "{}-{}",
            sanitise(&full).to_ascii_lowercase(),
            sha256_hex(full.as_bytes())
        );
        if is_repository_name(&name) {
            Ok(name)
        } else {
            Err(NameError::Repository(name))
        }
    }

    /// One folder per id: readable, of bounded length, and different for ids whose sanitised names are equal.
    pub(crate) fn folder_name(&self, chaincode_id: &str) -> String {
        let full = self.full_name(chaincode_id);
        let readable: String = sanitise(&full).chars().take(READABLE_FOLDER_CHARS).collect();
        let hash: String = sha256_hex(full.as_bytes())
            .chars()
            .take(FOLDER_HASH_CHARS)
            .collect();
        format!("{readable}-{hash}")
    }

    fn full_name(&self, chaincode_id: &str) -> String {
        let id = chaincode_id.replace(':', "-");
        let parts = [self.network_id.as_str(), self.peer_id.as_str(), id.as_str()];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("-")
    }
}

/// File names end at 255 bytes; the rest is for the hash.
const READABLE_FOLDER_CHARS: usize = 120;
/// 64 bits: ids are chosen by people who may install chaincode anyway, so this guards against accidents.
const FOLDER_HASH_CHARS: usize = 16;

fn sanitise(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().map(|c| if allowed(c) { c } else { '-' }).collect()
}

/// `^[a-z0-9]+(([._-][a-z0-9]+)+)?$`: words of lower-case letters and digits, single separators between them.
fn is_repository_name(name: &str) -> bool {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.split(['.', '_', '-']).all(word)
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(network_id: &str, peer_id: &str) -> Naming {
        Naming {
            network_id: network_id.into(),
            peer_id: peer_id.into(),
        }
    }

    /// Acceptance 15: the table of names.
    #[test]
    fn names_are_fabrics() {
        let plain = "f27c76c55447a7bfa102f51460566eef3dfb9f02fbdd7700004c08dc0031033b";
        let mixed = "9cc9616105e3cdb02ffd8e5b3fe62f2928abbdd7fa1e2149277e6f7b41233f0e";
        let odd = "da96f308d6e2e6730b82edcb637c97c39fa2f06e05afcc47201fcc81c778caf7";
        let rows = [
            (
                "dev",
                "peer0",
                "mycc:1.0",
                "dev-peer0-mycc-1.0",
                format!("dev-peer0-mycc-1.0-{plain}"),
            ),
            (
                "",
                "peer1",
                "mycc:1.0",
                "peer1-mycc-1.0",
                format!("peer1-mycc-1.0-{}", sha256_hex(b"peer1-mycc-1.0")),
            ),
            (
                "Dev",
                "Peer0",
                "myCC:1.0",
                "Dev-Peer0-myCC-1.0",
                format!("dev-peer0-mycc-1.0-{mixed}"),
            ),
            (
                "Dev$dev",
                "Peer*0",
                "myCC:1.0",
                "Dev-dev-Peer-0-myCC-1.0",
                format!("dev-dev-peer-0-mycc-1.0-{odd}"),
            ),
            (
                "dev",
                "",
                "mycc:1.0",
                "dev-mycc-1.0",
                format!("dev-mycc-1.0-{}", sha256_hex(b"dev-mycc-1.0")),
            ),
        ];
        for (network, peer, id, container, image) in rows {
            assert_eq!(naming(network, peer).container_name(id), container);
            assert_eq!(naming(network, peer).image_name(id).unwrap(), image);
        }
    }

    #[test]
    fn names_that_docker_refuses_are_errors() {
        for id in ["mycc--x:1", "_cc:1", "mycc:1..0", "ünïcode:1"] {
            let error = naming("", "").image_name(id).unwrap_err().to_string();
            assert!(
                error.starts_with("Error constructing Docker VM Name. '"),
                "{error}"
            );
            assert!(
                error.ends_with("' breaks Docker's repository naming rules"),
                "{error}"
            );
        }
    }

    #[test]
    fn folders_differ_although_sanitised_names_are_equal() {
        let naming = naming("dev", "peer0");
        assert_eq!(naming.container_name("cc:1+0"), naming.container_name("cc:1-0"));
        assert_ne!(naming.folder_name("cc:1+0"), naming.folder_name("cc:1-0"));
        for id in ["..", "../../etc:1", "a/b:1", &"x".repeat(5000)] {
            let folder = naming.folder_name(id);
            assert!(!folder.contains('/') && folder.len() < 200, "{folder}");
            assert!(folder.starts_with("dev-peer0-"), "{folder}");
        }
    }
}
