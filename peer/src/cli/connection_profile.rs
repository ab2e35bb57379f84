//! A Fabric connection profile, as far as commands need it: where the peers and orderers of a channel are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::context::read;

/// The parts of a profile that are read; the rest belongs to SDKs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConnectionProfile {
    channels: BTreeMap<String, Channel>,
    peers: BTreeMap<String, Node>,
    orderers: BTreeMap<String, Node>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Channel {
    orderers: Vec<String>,
    peers: BTreeMap<String, Option<Roles>>,
}

#[derive(Debug, Deserialize)]
struct Roles {
    /// On unless switched off, as SDKs read it.
    #[serde(rename = "endorsingPeer", default = "on")]
    endorsing_peer: bool,
}

fn on() -> bool {
    true
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    url: String,
    #[serde(rename = "grpcOptions")]
    grpc_options: BTreeMap<String, Value>,
    #[serde(rename = "tlsCACerts")]
    tls_ca_certs: CaCerts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CaCerts {
    path: Option<PathBuf>,
    /// One PEM text, or a list of them.
    pem: Value,
}

/// Where a node is and how to trust it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host:port`.
    pub(super) address: String,
    /// What the URL says of TLS; `None`: nothing.
    pub(super) tls: Option<bool>,
    /// The trusted roots, PEM.
    pub(super) roots: Vec<Bytes>,
    /// The name to expect in the certificate.
    pub(super) server_name: Option<String>,
}

impl ConnectionProfile {
    /// Reads a profile, YAML or JSON.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = String::from_utf8(read(path)?.to_vec());
        let text = text.with_context(|| format!("connection profile {} is no text", path.display()))?;
        serde_saphyr::from_str(&text)
            .with_context(|| format!("connection profile {} cannot be read", path.display()))
    }

    /// The endorsing peers of a channel; all peers for a channel that the profile does not list.
    pub(super) fn endorsers(&self, channel: &str) -> Result<Vec<Endpoint>> {
        let listed = self.channels.get(channel).map(|channel| &channel.peers);
        let names: Vec<&String> = match listed {
            Some(peers) if !peers.is_empty() => {
                let endorsing =
                    |roles: &Option<Roles>| roles.as_ref().is_none_or(|roles| roles.endorsing_peer);
                let endorsing = peers.iter().filter(|(_, roles)| endorsing(roles));
                endorsing.map(|(name, _)| name).collect()
            }
            _ => self.peers.keys().collect(),
        };
        let endpoint = |name: &String| {
            let node = self.peers.get(name).with_context(|| {
                format!(
                    "peer '{name}' is defined in the channel config but doesn't have associated peer config"
                )
            })?;
            node.endpoint(name)
        };
        names.into_iter().map(endpoint).collect()
    }

    /// The first orderer of a channel.
    pub(super) fn orderer(&self, channel: &str) -> Result<Option<Endpoint>> {
        let first = self
            .channels
            .get(channel)
            .and_then(|channel| channel.orderers.first());
        let node = |name: &String| {
            let node = self.orderers.get(name);
            let node =
                node.with_context(|| format!("orderer '{name}' of {channel} is not among the orderers"))?;
            node.endpoint(name)
        };
        first.map(node).transpose()
    }
}

impl Node {
    fn endpoint(&self, name: &str) -> Result<Endpoint> {
        let (tls, address) = match self.url.split_once("://") {
            Some(("grpcs", address)) => (Some(true), address),
            Some(("grpc", address)) => (Some(false), address),
            Some((scheme, _)) => {
                anyhow::bail!("the url of '{name}' begins with {scheme}://, expected grpc:// or grpcs://")
            }
            None => (None, self.url.as_str()),
        };
        if address.is_empty() {
            anyhow::bail!("'{name}' has no url in the connection profile");
        }
        let override_of = |key: &str| self.grpc_options.get(key).and_then(Value::as_str);
        let server_name = override_of("ssl-target-name-override").or_else(|| override_of("hostnameOverride"));
        Ok(Endpoint {
            address: address.to_owned(),
            tls,
            roots: self.tls_ca_certs.roots()?,
            server_name: server_name.map(str::to_owned),
        })
    }
}

impl CaCerts {
    fn roots(&self) -> Result<Vec<Bytes>> {
        if let Some(path) = &self.path {
            return Ok(vec![read(path)?]);
        }
        let pem = |value: &Value| value.as_str().map(|pem| Bytes::from(pem.to_owned()));
        Ok(match &self.pem {
            Value::Array(list) => list.iter().filter_map(pem).collect(),
            one => pem(one).into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> ConnectionProfile {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("profile");
        std::fs::write(&file, text).unwrap();
        ConnectionProfile::read(&file).unwrap()
    }

    const YAML: &str = "
name: net
channels:
  mychannel:
    orderers: [orderer0]
    peers:
      peer0: {endorsingPeer: true, eventSource: true}
      peer1: {endorsingPeer: false}
      peer2:
peers:
  peer0:
    url: grpcs://peer0.example.com:7051
    tlsCACerts: {pem: PEM}
    grpcOptions: {ssl-target-name-override: peer0, grpc.keepalive_time_ms: 600000}
  peer1: {url: 'localhost:8051'}
  peer2: {url: 'grpc://localhost:9051', tlsCACerts: {pem: [A, B]}}
orderers:
  orderer0: {url: 'orderer:7050'}
";

    #[test]
    fn a_channels_endorsing_peers_and_its_orderer_are_found() {
        let profile = profile(YAML);
        let peers = profile.endorsers("mychannel").unwrap();
        assert_eq!(peers.len(), 2);
        assert_eq!(
            peers[0],
            Endpoint {
                address: "peer0.example.com:7051".into(),
                tls: Some(true),
                roots: vec!["PEM".into()],
                server_name: Some("peer0".into()),
            }
        );
        assert_eq!(
            (peers[1].address.as_str(), peers[1].tls),
            ("localhost:9051", Some(false))
        );
        assert_eq!(peers[1].roots, ["A", "B"]);
        let orderer = profile.orderer("mychannel").unwrap().unwrap();
        assert_eq!((orderer.address.as_str(), orderer.tls), ("orderer:7050", None));
        assert_eq!(
            profile.endorsers("other").unwrap().len(),
            3,
            "all of an unlisted channel"
        );
        assert_eq!(profile.orderer("other").unwrap(), None);
    }

    #[test]
    fn a_peer_without_configuration_and_a_foreign_url_are_refused() {
        let lost = profile("{\"channels\":{\"c\":{\"peers\":{\"p\":{}}}}}");
        let error = lost.endorsers("c").unwrap_err().to_string();
        assert!(error.contains("doesn't have associated peer config"), "{error}");
        let foreign = profile("peers: {p: {url: 'http://x:1'}}");
        let error = foreign.endorsers("c").unwrap_err().to_string();
        assert!(error.contains("http://, expected grpc:// or grpcs://"), "{error}");
        let error = profile("peers: {p: {}}").endorsers("c").unwrap_err().to_string();
        assert_eq!(error, "'p' has no url in the connection profile");
    }
}
