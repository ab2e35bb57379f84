//! The connection profile of a development network, in the form that fabric-network 2.2 reads.

use serde_json::{Map, Value, json};

use super::identities::{ORDERER, ORDERER_MSP, ORG_MSP, ORG_NAME, PEER};

/// How long a client waits for an answer, in seconds; the first call of a chaincode builds it.
const TIMEOUT: &str = "300";

/// What the profile tells about a server.
#[derive(Clone, Debug)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// The root of its TLS certificate in PEM; `None` without TLS.
    pub root_pem: Option<String>,
}

impl Server {
    fn node(&self, name: &str, msp_id: &str) -> Value {
        let scheme = if self.root_pem.is_some() { "grpcs" } else { "grpc" };
        let mut node = json!({ "url": format!("{scheme}://{}", self.address), "mspid": msp_id });
        if let (Some(pem), Some(fields)) = (&self.root_pem, node.as_object_mut()) {
            fields.insert("tlsCACerts".to_owned(), json!({ "pem": pem }));
            let options = json!({ "ssl-target-name-override": name, "hostnameOverride": name });
            fields.insert("grpcOptions".to_owned(), options);
        }
        node
    }
}

/// The profile for these channels. All roles are named, so that it works without discovery.
#[must_use]
pub fn connection_profile(peer: &Server, orderer: &Server, channels: &[String]) -> Value {
    let roles =
        json!({ "endorsingPeer": true, "chaincodeQuery": true, "ledgerQuery": true, "eventSource": true });
    let channels: Map<String, Value> = channels
        .iter()
        .map(|channel| {
            (
                channel.clone(),
                json!({ "orderers": [ORDERER], "peers": { PEER: roles } }),
            )
        })
        .collect();
    json!({
        "name": "peer-dev",
        "version": "1.0.0",
        "client": {
            "organization": ORG_NAME,
            "connection": { "timeout": { "peer": { "endorser": TIMEOUT }, "orderer": TIMEOUT } },
        },
        "channels": channels,
        "organizations": { ORG_NAME: { "mspid": ORG_MSP, "peers": [PEER], "certificateAuthorities": [] } },
        "orderers": { ORDERER: orderer.node(ORDERER, ORDERER_MSP) },
        "peers": { PEER: peer.node(PEER, ORG_MSP) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16, root_pem: Option<&str>) -> Server {
        Server {
            address: format!("127.0.0.1:{port}"),
            root_pem: root_pem.map(str::to_owned),
        }
    }

    #[test]
    fn every_name_used_is_defined() {
        let profile = connection_profile(
            &server(7051, Some("PEM")),
            &server(7050, Some("PEM")),
            &["c1".into()],
        );
        let channel = &profile["channels"]["c1"];
        for orderer in channel["orderers"].as_array().unwrap() {
            assert_eq!(
                profile["orderers"][orderer.as_str().unwrap()]["url"],
                "grpcs://127.0.0.1:7050"
            );
        }
        for peer in channel["peers"].as_object().unwrap().keys() {
            let peer = &profile["peers"][peer];
            assert_eq!(peer["url"], "grpcs://127.0.0.1:7051");
            assert_eq!(peer["tlsCACerts"]["pem"], "PEM");
            assert_eq!(peer["grpcOptions"]["ssl-target-name-override"], PEER);
        }
        let organization = profile["client"]["organization"].as_str().unwrap();
        assert_eq!(profile["organizations"][organization]["peers"][0], PEER);
        assert_eq!(profile["organizations"][organization]["mspid"], ORG_MSP);
    }

    #[test]
    fn without_tls_there_is_none_in_the_profile() {
        let profile = connection_profile(&server(1, None), &server(2, None), &[]);
        let peer = &profile["peers"][PEER];
        assert_eq!(peer["url"], "grpc://127.0.0.1:1");
        assert!(peer.get("tlsCACerts").is_none() && peer.get("grpcOptions").is_none());
    }
}
