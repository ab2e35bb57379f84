//! Plugins are exchanged while requests are under way.

use crate::harness::{PATIENT, auth, decorators, filter, library_dir, load, stats};
use handlers::{Config, ParsedRequest, Registry, Rejection, What};
use protos::peer::ChaincodeInput;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

fn config(handlers: Value) -> Config {
    serde_json::from_value(handlers).unwrap()
}

fn reload(registry: &Registry, handlers: Value) -> Vec<(String, What)> {
    let reload = registry.reload(&config(handlers), &[library_dir()]).unwrap();
    let changes = reload.changes.into_iter();
    changes.map(|change| (change.instance, change.what)).collect()
}

fn named(names: &[(&str, What)]) -> Vec<(String, What)> {
    names
        .iter()
        .map(|(name, what)| ((*name).to_owned(), *what))
        .collect()
}

/// What the chain makes of an answer: the marks of its filters.
async fn outcome(registry: &Registry) -> Result<String, Rejection> {
    let endorser = || async { Ok("answer".into()) };
    let request = Arc::new(ParsedRequest::default());
    let outcome = registry.auth_chain().run(request, endorser).await?;
    Ok(String::from_utf8_lossy(&outcome).into_owned())
}

#[tokio::test]
async fn entries_are_added_removed_reordered_and_changed() {
    let registry = auth(json!([filter("a", "mark"), filter("b", "mark")]));
    assert_eq!(outcome(&registry).await.unwrap(), "answer b a");
    let changes = reload(
        &registry,
        json!({"authFilters": [filter("b", "mark"), filter("c", "mark"), filter("a", "pass")]}),
    );
    assert_eq!(
        changes,
        named(&[("b", What::Moved), ("c", What::Added), ("a", What::Changed)])
    );
    assert_eq!(outcome(&registry).await.unwrap(), "answer c b");
    let changes = reload(&registry, json!({"authFilters": [filter("c", "mark")]}));
    assert_eq!(
        changes,
        named(&[("c", What::Moved), ("a", What::Removed), ("b", What::Removed)])
    );
    assert_eq!(outcome(&registry).await.unwrap(), "answer c");
    assert_eq!(
        reload(&registry, json!({"authFilters": [filter("c", "mark")]})),
        named(&[("c", What::Kept)])
    );
    assert_eq!(registry.current().generation, 4);
}

#[tokio::test]
async fn decorators_are_exchanged_as_well() {
    let registry = decorators(json!([filter("a", "edit")]));
    let decorated = async || {
        let input = ChaincodeInput {
            args: vec!["f".into()],
            ..ChaincodeInput::default()
        };
        let request = Arc::new(ParsedRequest::default());
        registry
            .decorators()
            .decorate(&request, input)
            .await
            .unwrap()
            .args[0]
            .clone()
    };
    assert_eq!(decorated().await, "fa");
    reload(
        &registry,
        json!({"decorators": [filter("b", "edit"), filter("a", "edit")]}),
    );
    assert_eq!(decorated().await, "fba");
}

#[tokio::test]
async fn a_request_ends_on_the_chain_that_it_began_with() {
    let registry = auth(json!([filter("old", "mark")]));
    let plugins = registry.current();
    let (begun, exchanged) = tokio::join!(
        plugins.auth.run(Arc::new(ParsedRequest::default()), || async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok("answer".into())
        }),
        async { reload(&registry, json!({"authFilters": [filter("new", "mark")]})) }
    );
    assert_eq!(begun.unwrap(), "answer old");
    assert_eq!(exchanged, named(&[("new", What::Added), ("old", What::Removed)]));
    assert_eq!(outcome(&registry).await.unwrap(), "answer new");
}

#[tokio::test]
async fn a_failing_entry_leaves_everything_as_it_was() {
    let registry = auth(json!([filter("a", "mark")]));
    for (wrong, told) in [
        (filter("bad", "panic in constructor"), "constructor"),
        (filter("bad", "refuse config"), "mode is not to my taste"),
        (json!({"name": "bad", "library": "nowhere.so"}), "nowhere.so"),
        (filter("b", "mark"), "a unique name"),
    ] {
        let entries = json!({"authFilters": [filter("b", "mark"), wrong]});
        let error = registry
            .reload(&config(entries), &[library_dir()])
            .unwrap_err()
            .to_string();
        assert!(error.contains("peer.handlers.authFilters[1]"), "{error}");
        assert!(error.contains(told), "{error}");
        assert_eq!(outcome(&registry).await.unwrap(), "answer a");
    }
    assert_eq!(registry.current().generation, 1);
}

#[tokio::test]
async fn counts_go_on_and_a_kept_instance_keeps_its_state() {
    let registry = auth(json!([filter("a", "mark")]));
    outcome(&registry).await.unwrap();
    let before = stats(&registry).calls;
    assert!(before > 0);
    reload(&registry, json!({"authFilters": [filter("a", "pass")]}));
    assert_eq!(
        stats(&registry).calls,
        before,
        "another instance of the same name"
    );
    outcome(&registry).await.unwrap();
    assert!(stats(&registry).calls > before);
    reload(&registry, json!({"authFilters": [filter("b", "pass")]}));
    assert_eq!(stats(&registry).calls, 0, "another name");
}

#[tokio::test]
async fn a_reload_is_the_way_back_for_a_plugin_in_quarantine() {
    let mut entry = filter("a", "panic in before");
    entry["quarantine"] = json!({"failures": 2, "openMs": 3_600_000});
    let registry = auth(json!([entry]));
    for _ in 0..2 {
        outcome(&registry).await.unwrap_err();
    }
    let refused = outcome(&registry).await.unwrap_err();
    assert!(refused.message.contains("in quarantine"), "{refused}");
    assert!(stats(&registry).breaker_open);
    assert_eq!(
        reload(&registry, json!({"authFilters": [entry]})),
        named(&[("a", What::Changed)]),
        "the same entry, and not the same instance"
    );
    assert!(!stats(&registry).breaker_open);
    let failed = outcome(&registry).await.unwrap_err();
    assert!(!failed.message.contains("in quarantine"), "{failed}");
}

#[tokio::test]
async fn the_library_may_be_replaced_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugin.so");
    let original = fs::read(library_dir().join(crate::harness::LIBRARY)).unwrap();
    fs::write(&file, &original).unwrap();
    let section = |path: &Path| {
        json!({"pluginDirs": [path.parent().unwrap()], "authFilters": [
            {"name": "a", "library": path, "config": {"mode": "mark"}, "timeoutMs": PATIENT}
        ]})
    };
    let registry = load(section(&file)).unwrap();
    assert_eq!(
        reload(&registry, section(&file)),
        named(&[("a", What::Kept)]),
        "the same bytes"
    );
    // bytes behind the last section change the digest, not the code
    let mut upgraded = original.clone();
    upgraded.extend_from_slice(b"version 2");
    fs::write(&file, &upgraded).unwrap();
    assert_eq!(
        outcome(&registry).await.unwrap(),
        "answer a",
        "while the file is another"
    );
    assert_eq!(reload(&registry, section(&file)), named(&[("a", What::Upgraded)]));
    assert_eq!(outcome(&registry).await.unwrap(), "answer a");
    // half a file
    fs::write(&file, &original[..original.len() / 2]).unwrap();
    registry
        .reload(&config(section(&file)), &[library_dir()])
        .unwrap_err();
    assert_eq!(outcome(&registry).await.unwrap(), "answer a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_many_exchanges_under_load() {
    let registry = auth(json!([filter("a", "mark")]));
    let done = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (registry, done) = (registry.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while Arc::strong_count(&done) > 5 {
                    let outcome = outcome(&registry).await.unwrap();
                    assert!(
                        ["answer a", "answer b a"].contains(&outcome.as_str()),
                        "{outcome}"
                    );
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // one reference for each of the four, one here, one that says go on
    let go_on = Arc::clone(&done);
    for round in 0..100 {
        let mut entries = vec![filter("a", "mark")];
        if round % 2 == 0 {
            entries.push(filter("b", "mark"));
        }
        let registry = registry.clone();
        let section = json!({ "authFilters": entries });
        tokio::task::spawn_blocking(move || reload(&registry, section))
            .await
            .unwrap();
        let so_far = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < so_far + 4 && !load.iter().all(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
    }
    drop(go_on);
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(registry.current().generation, 101);
}
