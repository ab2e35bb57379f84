//! Arguments and environment that a chaincode gets, as Fabric's Docker controller gives them (`GetArgs`, `GetEnv`).

use crate::vm::{ChaincodeLogging, StartRequest};

/// What stands for the listener's address in `BuildPlan::launch`.
pub(crate) const ADDRESS_PLACEHOLDER: &str = "{peer.address}";

/// Images of 1.4 and earlier have no start script, later ones do.
const NODE_START: &str = "
set -e
if [ -x /chaincode/start.sh ]; then
	/chaincode/start.sh --peer.address {peer.address}
else
	cd /usr/local/src
	npm start -- --peer.address {peer.address}
fi
";

/// Why there are no arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// Fabric's containers know no such language.
    #[error("unknown chaincodeType: {0}")]
    UnknownType(String),
    /// The address goes into a shell script, so it must look like one.
    #[error("peer address {0:?} is not host:port")]
    Address(String),
}

/// The command of a chaincode container.
pub fn container_args(chaincode_type: &str, peer_address: &str) -> Result<Vec<String>, ArgsError> {
    if !is_address(peer_address) {
        return Err(ArgsError::Address(peer_address.to_owned()));
    }
    let args: &[&str] = match chaincode_type {
        "GOLANG" | "CAR" => &["chaincode", "-peer.address={peer.address}"],
        "JAVA" => &["/root/chaincode-java/start", "--peerAddress", ADDRESS_PLACEHOLDER],
        "NODE" => &["/bin/sh", "-c", NODE_START],
        other => return Err(ArgsError::UnknownType(other.to_owned())),
    };
    Ok(args
        .iter()
        .map(|arg| arg.replace(ADDRESS_PLACEHOLDER, peer_address))
        .collect())
}

/// Where the TLS files lie, as the chaincode sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPaths {
    /// Base64 of the key's PEM.
    pub key_path: String,
    /// Base64 of the certificate's PEM.
    pub cert_path: String,
    /// The key's PEM.
    pub key_file: String,
    /// The certificate's PEM.
    pub cert_file: String,
    /// PEM of the listener's root.
    pub root_cert_file: String,
}

impl TlsPaths {
    /// Fabric's names in the given folder, `/etc/hyperledger/fabric` in a container.
    pub fn in_folder(folder: &str) -> Self {
        Self {
            key_path: format!("{folder}/client.key"),
            cert_path: format!("{folder}/client.crt"),
            key_file: format!("{folder}/client_pem.key"),
            cert_file: format!("{folder}/client_pem.crt"),
            root_cert_file: format!("{folder}/peer.crt"),
        }
    }
}

/// The environment of a chaincode in Fabric's order; `tls` is where the request's TLS files were put.
pub fn chaincode_env(request: &StartRequest, tls: Option<&TlsPaths>) -> Vec<(String, String)> {
    let mut env = vec![("CORE_CHAINCODE_ID_NAME", request.chaincode_id.as_str())];
    let ChaincodeLogging { level, shim, format } = &request.logging;
    let logging = [
        ("CORE_CHAINCODE_LOGGING_LEVEL", level),
        ("CORE_CHAINCODE_LOGGING_SHIM", shim),
        ("CORE_CHAINCODE_LOGGING_FORMAT", format),
    ];
    env.extend(
        logging
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key, value.as_str())),
    );
    env.push((
        "CORE_PEER_TLS_ENABLED",
        if tls.is_some() { "true" } else { "false" },
    ));
    if let Some(tls) = tls {
        env.extend([
            ("CORE_TLS_CLIENT_KEY_PATH", tls.key_path.as_str()),
            ("CORE_TLS_CLIENT_CERT_PATH", tls.cert_path.as_str()),
            ("CORE_TLS_CLIENT_KEY_FILE", tls.key_file.as_str()),
            ("CORE_TLS_CLIENT_CERT_FILE", tls.cert_file.as_str()),
            ("CORE_PEER_TLS_ROOTCERT_FILE", tls.root_cert_file.as_str()),
        ]);
    }
    env.push(("CORE_PEER_LOCALMSPID", request.local_msp_id.as_str()));
    env.into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Substitutes the address into a platform's launch arguments.
pub(crate) fn launch_args(launch: &[String], peer_address: &str) -> Result<Vec<String>, ArgsError> {
    if !is_address(peer_address) {
        return Err(ArgsError::Address(peer_address.to_owned()));
    }
    Ok(launch
        .iter()
        .map(|arg| arg.replace(ADDRESS_PLACEHOLDER, peer_address))
        .collect())
}

/// `host:port` with nothing a shell would understand; brackets and `%` are for IPv6.
fn is_address(address: &str) -> bool {
    let host_char =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%');
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.starts_with('-')
            && host.chars().all(host_char)
            && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::request;

    /// Acceptance 20.
    #[test]
    fn arguments_are_fabrics() {
        let args = |kind: &str| container_args(kind, "peer0.org1:7052").map(|args| args.join("|"));
        assert_eq!(args("GOLANG").unwrap(), "chaincode|-peer.address=peer0.org1:7052");
        assert_eq!(args("CAR").unwrap(), "chaincode|-peer.address=peer0.org1:7052");
        assert_eq!(
            args("JAVA").unwrap(),
            "/root/chaincode-java/start|--peerAddress|peer0.org1:7052"
        );
        assert_eq!(
            args("NODE").unwrap(),
            "/bin/sh|-c|\nset -e\nif [ -x /chaincode/start.sh ]; then\n\t/chaincode/start.sh --peer.address peer0.org1:7052\n\
             else\n\tcd /usr/local/src\n\tnpm start -- --peer.address peer0.org1:7052\nfi\n"
        );
        assert_eq!(
            args("UNDEFINED").unwrap_err().to_string(),
            "unknown chaincodeType: UNDEFINED"
        );
    }

    #[test]
    fn addresses_that_a_shell_would_read_are_refused() {
        for address in [
            "peer:7052; rm",
            "$(x):1",
            "peer",
            ":7052",
            "peer:",
            "peer:99999",
            "a b:1",
            "-x:1",
            "`x`:1",
        ] {
            assert!(container_args("NODE", address).is_err(), "{address}");
            assert!(launch_args(&[], address).is_err(), "{address}");
        }
        let launch = ["a".to_owned(), "--x={peer.address}".to_owned()];
        assert_eq!(
            launch_args(&launch, "[::1]:7052").unwrap(),
            ["a", "--x=[::1]:7052"]
        );
    }

    /// Acceptance 19.
    #[test]
    fn environment_is_fabrics_in_its_order() {
        let mut request = request("mycc:1.0");
        let join =
            |env: Vec<(String, String)>| env.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
        assert_eq!(
            join(chaincode_env(&request, None)),
            [
                "CORE_CHAINCODE_ID_NAME=mycc:1.0",
                "CORE_PEER_TLS_ENABLED=false",
                "CORE_PEER_LOCALMSPID=Org1MSP"
            ]
        );
        request.logging = ChaincodeLogging {
            level: "info".into(),
            shim: "warning".into(),
            format: "%{message}".into(),
        };
        let tls = TlsPaths::in_folder("/etc/hyperledger/fabric");
        assert_eq!(
            join(chaincode_env(&request, Some(&tls))),
            [
                "CORE_CHAINCODE_ID_NAME=mycc:1.0",
                "CORE_CHAINCODE_LOGGING_LEVEL=info",
                "CORE_CHAINCODE_LOGGING_SHIM=warning",
                "CORE_CHAINCODE_LOGGING_FORMAT=%{message}",
                "CORE_PEER_TLS_ENABLED=true",
                "CORE_TLS_CLIENT_KEY_PATH=/etc/hyperledger/fabric/client.key",
                "CORE_TLS_CLIENT_CERT_PATH=/etc/hyperledger/fabric/client.crt",
                "CORE_TLS_CLIENT_KEY_FILE=/etc/hyperledger/fabric/client_pem.key",
                "CORE_TLS_CLIENT_CERT_FILE=/etc/hyperledger/fabric/client_pem.crt",
                "CORE_PEER_TLS_ROOTCERT_FILE=/etc/hyperledger/fabric/peer.crt",
                "CORE_PEER_LOCALMSPID=Org1MSP",
            ]
        );
    }
}
