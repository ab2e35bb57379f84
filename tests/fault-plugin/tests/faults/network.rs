//! Plugins in a whole peer.

use crate::harness::{endorses_and_validates, filter, library_dir};
use core_config::Override;
use peer::dev::network::{Network, NetworkSpec};
use serde_json::{Value, json};
use std::path::Path;

/// A network whose peer has these plugins and no others.
async fn network(folder: &Path, handlers: &[(&str, Value)]) -> Network {
    let mut overrides = vec![
        Override::new("peer.handlers.pluginDirs", json!([library_dir()]), "test"),
        Override::new("peer.tls.clientAuthRequired", true, "test"),
    ];
    overrides.extend(endorses_and_validates());
    for list in ["authFilters", "decorators", "platforms"] {
        let entries = handlers.iter().find(|(key, _)| *key == list);
        let entries = entries.map_or(json!([]), |(_, entries)| entries.clone());
        overrides.push(Override::new(format!("peer.handlers.{list}"), entries, "test"));
    }
    let spec = NetworkSpec {
        overrides,
        ..NetworkSpec::new(folder.join("net"), "mychannel")
    };
    Network::start(spec).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn decorators_see_who_proposes_and_over_which_connection() {
    let folder = tempfile::tempdir().unwrap();
    let telling = filter("telling", "tell");
    let network = network(folder.path(), &[("decorators", json!([telling]))]).await;
    let error = network.query("qscc", ["tell"]).await.unwrap_err();
    let said = format!("{error:#}");
    assert!(
        said.contains("Org1MSP at 127.0.0.1 with -----BEGIN CERTIFICATE----- for qscc, TLS Some([48, 130])"),
        "{said}"
    );
    network.shutdown().await.unwrap();
}
