//! Chaincode whose definition names endorsement and validation plugins.

use std::time::Duration;

use bytes::Bytes;
use integration::network::{CHAINCODE, Harness};
use integration::packages;
use serde_json::json;

/// How long the peer may take to see a block.
const PATIENCE: Duration = Duration::from_secs(60);

/// A peer that has the shipped plugins under other names too, and a validation plugin that fails.
async fn start() -> Harness {
    let entry = |name: &str| json!({ "name": name, "executor": "isolated", "timeoutMs": 60_000 });
    let broken = json!({ "name": "Fault", "library": "libfault_plugin.so", "config": { "mode": "panic" } });
    let refuses = json!({ "name": "Fault", "library": "libfault_plugin.so", "config": { "mode": "refuse" } });
    let validators = json!({ "special": entry("DefaultValidation"), "broken": broken, "refuses": refuses });
    Harness::start_with([
        (
            "peer.handlers.endorsers",
            json!({ "special": entry("DefaultEndorsement") }),
        ),
        ("peer.handlers.validators", validators),
    ])
    .await
}

/// Upgrades the chaincode to a definition with these plugins.
async fn upgrade(harness: &Harness, version: &str, escc: &str, vscc: &str) -> anyhow::Result<()> {
    let package = packages::deployment_spec(CHAINCODE, version, packages::node_package());
    harness.network.install(package).await.expect("install");
    let definition = packages::deployment_spec(CHAINCODE, version, Bytes::new());
    let args = ["upgrade".into(), "mychannel".into(), definition, Bytes::new()];
    let plugins = [escc, vscc].map(|name| Bytes::from(name.to_owned()));
    let args = args.into_iter().chain(plugins);
    harness
        .network
        .admin_client()
        .invoke("lscc", args)
        .await?
        .valid()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_chooses_who_endorses_and_who_judges() {
    let harness = start().await;
    let _second = harness.connect("kv:2").await;
    upgrade(&harness, "2", "special", "special")
        .await
        .expect("upgrade");
    let written = harness.network.invoke(CHAINCODE, ["put", "a"]).await;
    written.expect("invoke").valid().expect("a valid transaction");
    let stats = harness.network.node().registry().stats();
    let done = |kind: handlers::Kind| {
        let of = stats
            .iter()
            .find(|stats| stats.kind == kind && stats.instance.ends_with("special"));
        of.expect("loaded").calls
    };
    assert_eq!(done(handlers::Kind::Endorsement), 1);
    assert_eq!(done(handlers::Kind::Validation), 1);

    let _third = harness.connect("kv:3").await;
    upgrade(&harness, "3", "escc", "refuses").await.expect("upgrade");
    let refused = harness.network.invoke(CHAINCODE, ["put", "a"]).await;
    let refused = refused.expect("invoke");
    assert_eq!(
        refused.code,
        protos::peer::TxValidationCode::EndorsementPolicyFailure
    );

    let error = upgrade(&harness, "4", "unheard", "vscc").await.unwrap_err();
    assert!(
        format!("{error:#}").contains("unheard is not a valid endorsement system chaincode"),
        "{error:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_plugin_that_fails_stops_the_channel_and_nothing_else() {
    let harness = start().await;
    let _second = harness.connect("kv:2").await;
    upgrade(&harness, "2", "escc", "broken").await.expect("upgrade");
    let height = harness.height();
    let client = harness.network.admin_client().clone();
    let waiting = tokio::spawn(async move { client.invoke(CHAINCODE, ["put", "a"]).await });
    let failed = async {
        loop {
            let stats = harness.network.node().registry().stats();
            if stats
                .iter()
                .any(|stats| stats.instance == "broken" && stats.panics > 0)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, failed).await.expect("it is asked");
    // the block is there, and nobody has guessed what is in it
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(harness.height(), height);
    waiting.abort();
    let read = harness.network.query(CHAINCODE, ["get", "a"]).await;
    assert_eq!(read.expect("an answer"), "");
}
