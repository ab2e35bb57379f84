//! The plugins of a running peer are exchanged, by those who may.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use integration::network::Harness;
use peer::client::plugin_admin;
use prost::Message;
use protos::common::{ChannelHeader, Envelope, HeaderType, Payload};
use protos::plugin_admin::plugin_admin_client::PluginAdminClient;
use protos::plugin_admin::plugin_request::Request as Operation;
use protos::plugin_admin::{ExplainPlugins, ListPlugins, ReloadPlugins};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// A core.yaml with these auth filters; YAML is a superset of JSON.
fn write(folder: &Path, filters: &Value) {
    let text = json!({"peer": {"handlers": {"authFilters": filters}}}).to_string();
    fs::write(folder.join("core.yaml"), text).expect("written");
}

/// The machine may be busy with something else.
const PATIENT: u64 = 60_000;

fn auth(name: &str) -> Value {
    json!({"name": name, "library": "libdefault_auth.so", "timeoutMs": PATIENT})
}

async fn start(folder: &Path) -> Harness {
    write(folder, &json!([auth("first")]));
    Harness::start_from(folder).await
}

async fn ask(harness: &Harness, operation: Operation) -> Value {
    let signer = harness.network.admin().signer();
    let peer = harness.network.admin_client().peer();
    let answer = plugin_admin::call(peer, operation, signer)
        .await
        .expect("an answer");
    serde_json::from_slice(&answer).expect("JSON")
}

async fn send(harness: &Harness, envelope: Envelope) -> tonic::Status {
    let mut client = PluginAdminClient::new(harness.network.admin_client().peer().channel());
    client.reload(envelope).await.expect_err("refused")
}

fn reload() -> Operation {
    Operation::Reload(ReloadPlugins {})
}

fn generation(harness: &Harness) -> u64 {
    harness.network.node().registry().current().generation
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_reloads_lists_and_asks() {
    let folder = tempfile::tempdir().expect("folder");
    let harness = start(folder.path()).await;
    let _shim = harness.connect("kv:1").await;
    harness.call(&["status", "200"]).await.expect("an answer");

    let bound = json!({"name": "second", "library": "libdefault_auth.so", "match": {"chaincode": "pay"}});
    write(folder.path(), &json!([bound, auth("first")]));
    let answer = ask(&harness, reload()).await;
    assert_eq!(answer["generation"], 2);
    let changes: Vec<_> = answer["changes"].as_array().expect("changes").iter().collect();
    let of = |name: &str| {
        changes
            .iter()
            .find(|change| change["instance"] == name)
            .expect("there")["what"]
            .clone()
    };
    assert_eq!((of("second"), of("first")), (json!("added"), json!("moved")));

    let listed = ask(&harness, Operation::List(ListPlugins {})).await;
    let first = &listed["plugins"][1];
    assert_eq!(
        (first["instance"].clone(), listed["plugins"][0]["match"].clone()),
        (json!("first"), json!("chaincode=pay"))
    );
    assert!(first["stats"][0]["calls"].as_u64() > Some(0), "{first}");
    assert_eq!(first["sha256"].as_str().map(str::len), Some(64));

    let asked = ExplainPlugins {
        chaincode: Some("other".to_owned()),
        ..ExplainPlugins::default()
    };
    let explained = ask(&harness, Operation::Explain(asked)).await;
    assert_eq!(explained[0]["applies"], "no");
    assert_eq!(explained[1]["applies"], "yes");
}

/// The entry is the same as before; what the plugin has read is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_policy_file_is_in_force_after_a_reload() {
    let folder = tempfile::tempdir().expect("folder");
    let policies = folder.path().join("access.cedar");
    let permit = "permit (principal, action, resource);";
    fs::write(&policies, permit).expect("written");
    let policy = json!({"name": "attribute-policy", "timeoutMs": PATIENT, "config": {"files": [policies]}});
    write(folder.path(), &json!([auth("first"), policy]));
    let harness = Harness::start_from(folder.path()).await;
    let _shim = harness.connect("kv:1").await;
    harness.call(&["status", "200"]).await.expect("an answer");

    let what = async || {
        let answer = ask(&harness, reload()).await;
        let of = |name: &str| {
            let mut changes = answer["changes"].as_array().expect("changes").iter();
            changes.find(|change| change["instance"] == name).expect("there")["what"].clone()
        };
        (of("first"), of("attribute-policy"))
    };
    assert_eq!(what().await, (json!("kept"), json!("kept")));
    let forbid = r#"forbid (principal, action, resource) when { context.function == "status" };"#;
    fs::write(&policies, format!("{permit}\n{forbid}")).expect("written");
    assert_eq!(what().await, (json!("kept"), json!("changed")));
    let refused = harness.call(&["status", "200"]).await.expect_err("refused");
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);

    // a mistake in it leaves those in force that are
    fs::write(&policies, "permit (principal, action").expect("written");
    let envelope = plugin_admin::signed(reload(), harness.network.admin().signer()).expect("signs");
    let refusal = send(&harness, envelope).await;
    assert!(refusal.message().contains("access.cedar:1:"), "{refusal}");
    let refused = harness.call(&["status", "200"]).await.expect_err("refused");
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_configuration_changes_nothing_and_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let harness = start(folder.path()).await;
    let envelope = || plugin_admin::signed(reload(), harness.network.admin().signer()).expect("signs");
    for (text, told) in [
        ("peer: [", "configuration cannot be read again"),
        (
            r#"{"peer": {"handlers": {"authFilters": [{"name": "x", "libary": "y"}]}}}"#,
            "did you mean \"library\"?",
        ),
        (
            r#"{"peer": {"handlers": {"authFilters": [{"name": "Nobody"}]}}}"#,
            "Nobody",
        ),
    ] {
        fs::write(folder.path().join("core.yaml"), text).expect("written");
        let status = send(&harness, envelope()).await;
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
        assert!(status.message().contains(told), "{status}");
        assert_eq!(generation(&harness), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_may_and_only_what_was_signed() {
    let folder = tempfile::tempdir().expect("folder");
    let harness = start(folder.path()).await;
    let (admin, user) = (harness.network.admin().signer(), harness.network.user().signer());

    let status = send(&harness, plugin_admin::signed(reload(), user).expect("signs")).await;
    assert_eq!(status.code(), tonic::Code::PermissionDenied, "{status}");

    let mut forged = plugin_admin::signed(reload(), admin).expect("signs");
    forged.signature = plugin_admin::signed(reload(), user).expect("signs").signature;
    assert_eq!(send(&harness, forged).await.code(), tonic::Code::PermissionDenied);

    let list = plugin_admin::signed(Operation::List(ListPlugins {}), admin).expect("signs");
    assert_eq!(send(&harness, list).await.code(), tonic::Code::InvalidArgument);

    for change in [
        (|header: &mut ChannelHeader| header.timestamp = None) as fn(&mut ChannelHeader),
        |header| header.timestamp.as_mut().expect("there").seconds -= 3600,
        |header| header.timestamp.as_mut().expect("there").seconds = i64::MIN,
        |header| header.r#type = HeaderType::ConfigUpdate.into(),
    ] {
        let envelope = plugin_admin::signed(reload(), admin).expect("signs");
        let mut payload = Payload::decode(envelope.payload).expect("payload");
        let header = payload.header.as_mut().expect("header");
        let mut channel_header = ChannelHeader::decode(header.channel_header.clone()).expect("header");
        change(&mut channel_header);
        header.channel_header = channel_header.encode_to_vec().into();
        let signed = peer::client::proposal::sign_payload(payload, admin).expect("signs");
        assert_eq!(send(&harness, signed).await.code(), tonic::Code::InvalidArgument);
    }
    for garbage in [Vec::new(), vec![0xff; 100]] {
        let envelope = Envelope {
            payload: garbage.into(),
            ..Envelope::default()
        };
        assert_eq!(
            send(&harness, envelope).await.code(),
            tonic::Code::InvalidArgument
        );
    }
    assert_eq!(generation(&harness), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_eavesdropper_sends_again_is_not_obeyed_again() {
    let folder = tempfile::tempdir().expect("folder");
    let harness = start(folder.path()).await;
    let envelope = plugin_admin::signed(reload(), harness.network.admin().signer()).expect("signs");
    let mut client = PluginAdminClient::new(harness.network.admin_client().peer().channel());
    client.reload(envelope.clone()).await.expect("the admin's own");
    assert_eq!(generation(&harness), 2);
    write(folder.path(), &json!([]));
    let again = send(&harness, envelope).await;
    assert_eq!(again.code(), tonic::Code::AlreadyExists, "{again}");
    assert_eq!(generation(&harness), 2);
    assert_eq!(harness.network.node().registry().current().auth.names(), "first");
}

/// An editor that empties a file before it writes it must not switch the filters off.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_or_missing_file_does_not_bring_the_defaults() {
    let folder = tempfile::tempdir().expect("folder");
    let harness = start(folder.path()).await;
    let envelope = || plugin_admin::signed(reload(), harness.network.admin().signer()).expect("signs");
    fs::write(folder.path().join("core.yaml"), "").expect("written");
    let status = send(&harness, envelope()).await;
    assert!(status.message().contains("is empty"), "{status}");
    fs::remove_file(folder.path().join("core.yaml")).expect("removed");
    let status = send(&harness, envelope()).await;
    assert!(status.message().contains("no core.yaml in"), "{status}");
    assert_eq!(generation(&harness), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_notice_nothing_of_many_reloads() {
    let folder = tempfile::tempdir().expect("folder");
    let harness = Arc::new(start(folder.path()).await);
    let _shim = harness.connect("kv:1").await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (harness, stop, answered) = (Arc::clone(&harness), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = harness.call(&["status", "200"]).await.expect("an answer");
                    assert!(answer.endorsement.is_some());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..30 {
        let filters = match round % 3 {
            0 => json!([auth("first"), auth("second")]),
            1 => json!([auth("second")]),
            _ => json!([{"name": "first", "library": "libexpiration_check.so", "timeoutMs": PATIENT}]),
        };
        write(folder.path(), &filters);
        ask(&harness, reload()).await;
        let so_far = answered.load(Ordering::Relaxed);
        while answered.load(Ordering::Relaxed) < so_far + 2 && !clients.iter().all(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no client failed");
    }
    assert_eq!(generation(&harness), 31);
}
