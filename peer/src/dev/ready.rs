//! What `peer dev` says when the network can be used: to people as text, to programs as one line of JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::network::Network;
use super::settings::address;
use crate::cli::{Output, output};

/// A chaincode that can be called.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RunningChaincode {
    pub(super) name: String,
    pub(super) version: String,
}

/// How to reach the network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ready {
    peer: String,
    /// Where chaincode registers that the user starts (`chaincode.mode: dev`).
    chaincode_listener: String,
    orderer: String,
    channel: String,
    dir: String,
    connection_profile: String,
    wallet: String,
    chaincode: Option<RunningChaincode>,
    env: BTreeMap<String, String>,
    #[serde(skip)]
    shown: Shown,
}

/// What only people are told.
#[derive(Debug, Default)]
struct Shown {
    /// The folder as the user wrote it.
    dir: String,
    tls: bool,
    language: String,
    /// Whether changes of the chaincode's files are seen.
    follows: bool,
    /// The chaincode that the user asked for, whether it runs or not.
    asked_for: Option<String>,
}

impl Ready {
    pub(super) fn new(
        network: &Network,
        dir: &Path,
        chaincode: Option<RunningChaincode>,
        asked_for: Option<&str>,
        follows: bool,
    ) -> Self {
        let ports = network.ports();
        let path = |path: &Path| path.display().to_string();
        Self {
            peer: address(ports.peer),
            chaincode_listener: address(ports.chaincode),
            orderer: address(ports.orderer),
            channel: network.channel().to_owned(),
            dir: path(network.folder().path()),
            connection_profile: path(&network.connection_profile()),
            wallet: path(&network.wallet()),
            chaincode,
            env: network.env().into_iter().collect(),
            shown: Shown {
                dir: path(dir),
                tls: network.config().peer.tls.enabled,
                // one of them: the line is there to be typed
                language: network
                    .node()
                    .platforms()
                    .types()
                    .map(str::to_lowercase)
                    .next()
                    .unwrap_or_else(|| "LANGUAGE".to_owned()),
                follows,
                asked_for: asked_for.map(str::to_owned),
            },
        }
    }

    /// Prints it.
    pub(super) fn print(&self, form: Output) -> Result<()> {
        output::result(form, self, Self::text)
    }

    fn text(&self) -> String {
        let dir = &self.shown.dir;
        let tls = if self.shown.tls { "TLS" } else { "no TLS" };
        let mut lines = vec![
            String::new(),
            "The network is up. Ctrl-C stops it; the same command goes on with it later.".to_owned(),
            String::new(),
            format!("  channel             {}", self.channel),
            format!("  peer                {} ({tls})", self.peer),
            format!("  orderer             {} ({tls})", self.orderer),
            format!("  connection profile  {dir}/connection-org1.json"),
            format!("  wallet              {dir}/wallet (Admin, User1)"),
        ];
        if let Some(chaincode) = &self.chaincode {
            let follows = if self.shown.follows {
                "rebuilt when its files change"
            } else {
                "changes of its files are not seen"
            };
            lines.push(format!(
                "  chaincode           {}, version {}; {follows}",
                chaincode.name, chaincode.version
            ));
        }
        lines.push(String::new());
        lines.push("To use it, in another terminal:".to_owned());
        lines.push(String::new());
        lines.push(format!("  . {dir}/env.sh"));
        lines.extend(self.next_steps());
        lines.push(String::new());
        lines.join("\n")
    }

    fn next_steps(&self) -> Vec<String> {
        let channel = &self.channel;
        let call = r#"'{"Args":["FUNCTION","ARGUMENT"]}'"#;
        if let Some(name) = &self.shown.asked_for {
            return vec![
                format!("  peer chaincode invoke -C {channel} -n {name} -c {call} --waitForEvent"),
                format!("  peer chaincode query -C {channel} -n {name} -c {call}"),
            ];
        }
        let language = &self.shown.language;
        vec![
            format!("  peer chaincode install -n mycc -v 1 -l {language} -p FOLDER"),
            format!(
                "  peer chaincode instantiate -C {channel} -n mycc -v 1 -c '{{\"Args\":[]}}' --waitForEvent"
            ),
            format!("  peer chaincode invoke -C {channel} -n mycc -c {call} --waitForEvent"),
            String::new(),
            "`peer dev --chaincode FOLDER` does the first two by itself, and again whenever a file changes."
                .to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn ready(chaincode: Option<&str>) -> Ready {
        let name = chaincode.map(str::to_owned);
        Ready {
            peer: "127.0.0.1:7051".into(),
            chaincode_listener: "127.0.0.1:7052".into(),
            orderer: "127.0.0.1:7050".into(),
            channel: "mychannel".into(),
            dir: "/work/fabric-dev".into(),
            connection_profile: "/work/fabric-dev/connection-org1.json".into(),
            wallet: "/work/fabric-dev/wallet".into(),
            chaincode: name.clone().map(|name| RunningChaincode {
                name,
                version: "2".into(),
            }),
            env: BTreeMap::from([("CORE_PEER_LOCALMSPID".into(), "Org1MSP".into())]),
            shown: Shown {
                dir: "fabric-dev".into(),
                tls: true,
                language: "one".into(),
                follows: true,
                asked_for: name,
            },
        }
    }

    #[test]
    fn programs_read_one_line() {
        let line = serde_json::to_string(&ready(Some("kv"))).unwrap();
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "chaincode",
                "chaincodeListener",
                "channel",
                "connectionProfile",
                "dir",
                "env",
                "orderer",
                "peer",
                "wallet"
            ]
        );
        assert_eq!(
            value["chaincode"],
            serde_json::json!({ "name": "kv", "version": "2" })
        );
        assert_eq!(value["env"]["CORE_PEER_LOCALMSPID"], "Org1MSP");
        assert_eq!(
            serde_json::to_value(ready(None)).unwrap()["chaincode"],
            Value::Null
        );
    }

    #[test]
    fn people_read_what_to_type_next() {
        let text = ready(Some("kv")).text();
        assert!(
            text.contains("  . fabric-dev/env.sh\n  peer chaincode invoke -C mychannel -n kv -c "),
            "{text}"
        );
        assert!(
            text.contains("kv, version 2; rebuilt when its files change"),
            "{text}"
        );
        let mut blind = ready(Some("kv"));
        blind.shown.follows = false;
        let text = blind.text();
        assert!(
            text.contains("kv, version 2; changes of its files are not seen"),
            "{text}"
        );
        let text = ready(None).text();
        assert!(
            text.contains("peer chaincode install -n mycc -v 1 -l one -p FOLDER"),
            "{text}"
        );
        assert!(text.contains("peer dev --chaincode FOLDER"), "{text}");
    }
}
