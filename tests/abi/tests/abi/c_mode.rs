//! Plugins in C: the example, and one that does all that it should and much that it should not.

use crate::library::{Library, root, scratch};
use bytes::Bytes;
use handlers::{Kind, LoadError, ParsedRequest, Registry, Rejection};
use protos::peer::ChaincodeInput;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Compiles a plugin as its author would.
fn compiled(source: &str, options: &[&str]) -> Library {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let file = folder.path().join("plugin.so");
    let compiler = Command::new("gcc")
        .args([
            "-std=gnu11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-pthread",
        ])
        .arg("-fvisibility=hidden")
        .args(options)
        .arg("-I")
        .arg(root().join("plugin-api/include"))
        .arg("-o")
        .arg(&file)
        .arg(root().join(source))
        .output()
        .expect("gcc, which also links the peer");
    let errors = String::from_utf8_lossy(&compiler.stderr);
    assert!(compiler.status.success(), "{source}:\n{errors}");
    Library::copy_of(&file)
}

fn fixture() -> Library {
    compiled("tests/abi/c/fixture.c", &[])
}

fn request(msp_id: &str) -> Arc<ParsedRequest> {
    Arc::new(ParsedRequest {
        proposal_bytes: Bytes::from("proposal"),
        signature: Bytes::from("signature"),
        channel_id: "channel".to_owned(),
        tx_id: "tx".to_owned(),
        chaincode_name: "chaincode".to_owned(),
        msp_id: msp_id.to_owned(),
        creator_cert: Bytes::from("cert"),
        remote_addr: "10.0.0.1:7".to_owned(),
        attrs: vec![("trace.parent".to_owned(), Bytes::from("00-1"))],
        ..ParsedRequest::default()
    })
}

async fn run_as(
    registry: &Registry,
    msp_id: &str,
    outcome: Result<&'static str, Rejection>,
) -> Result<String, Rejection> {
    let endorser = || async { outcome.map(Bytes::from) };
    let ran = registry.auth_chain().run(request(msp_id), endorser).await;
    ran.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

async fn run(registry: &Registry) -> Result<String, Rejection> {
    run_as(registry, "Org1MSP", Ok("done")).await
}

fn filter_in(library: &Library, mode: &str, executor: &str) -> Registry {
    let mut entry = library.entry("c", &json!({ "mode": mode }));
    entry["executor"] = json!(executor);
    // these answer too late, or never
    if mode == "never" || mode == "late" || mode.starts_with('~') {
        entry["timeoutMs"] = json!(200);
    }
    library.load(Kind::AuthFilter, &[entry])
}

fn counted(registry: &Registry, name: &str) -> f64 {
    let name = format!("plugin_c_{name}");
    let metrics = registry.metrics();
    let named = metrics.iter().filter(|metric| metric.name == name);
    named.map(|metric| metric.value.total()).sum()
}

/// Waits for what a thread of the plugin, or of the peer, does in its own time.
async fn until_counted(registry: &Registry, name: &str, value: f64) {
    for _ in 0..6000 {
        if counted(registry, name) >= value {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(counted(registry, name), value, "{name}");
}

#[tokio::test]
async fn the_example_lets_listed_organisations_through() {
    let library = compiled("plugin-api/examples/c/msp_allow.c", &["-pedantic"]);
    let manifest = library.manifest();
    assert_eq!(
        (manifest.name.as_str(), manifest.api.as_str()),
        ("msp-allow", handlers::api_version().as_str())
    );
    assert_eq!(manifest.kinds, [Kind::AuthFilter]);
    assert!(manifest.toolchain.starts_with("gcc "), "{}", manifest.toolchain);
    for executor in ["inline", "isolated"] {
        let mut entry = library.entry("c", &json!({ "allow": "Org1MSP Org2MSP" }));
        entry["executor"] = json!(executor);
        let registry = library.load(Kind::AuthFilter, &[entry]);
        assert_eq!(
            registry.list()[0].description,
            "Lets the organisations of a list through."
        );
        for allowed in ["Org1MSP", "Org2MSP"] {
            assert_eq!(run_as(&registry, allowed, Ok("done")).await.unwrap(), "done");
        }
        let denied = [
            "Org3MSP",
            "Org1",
            "MSP",
            "",
            " ",
            "Org1MSP Org2MSP",
            &"x".repeat(100),
        ];
        for other in denied {
            let refused = run_as(&registry, other, Ok("done")).await.unwrap_err();
            assert_eq!(
                refused,
                Rejection::new(7, "this organisation may not endorse here"),
                "{other}"
            );
        }
        assert_eq!(counted(&registry, "denied"), 7.0);
    }
    for config in [
        json!({}),
        json!({ "allow": "a\"b" }),
        json!({ "allow": "" }),
        json!({ "allow": "a", "b": 1 }),
    ] {
        let errors = library
            .try_load(Kind::AuthFilter, &[library.entry("c", &config)])
            .unwrap_err();
        assert!(matches!(errors.0[0].error, LoadError::Config { .. }), "{errors}");
    }
}

#[tokio::test]
async fn a_filter_in_c_has_everything_that_filters_have() {
    let library = fixture();
    for executor in ["inline", "isolated"] {
        let facts =
            "proposal\nsignature\nchannel\ntx\nchaincode\nOrg1MSP\ncert\n10.0.0.1:7\n00-1\n0 1 0 1 1 1";
        let looking = filter_in(&library, "facts", executor);
        assert_eq!(run(&looking).await.unwrap(), facts);
        assert_eq!(
            (counted(&looking, "looked"), counted(&looking, "freed")),
            (0.5, 1.0)
        );
        let deny = filter_in(&library, "deny", executor);
        assert_eq!(run(&deny).await.unwrap_err(), Rejection::new(7, "denied in C"));
        let after = filter_in(&library, "after", executor);
        assert_eq!(run(&after).await.unwrap(), "0 done in C");
        let failed = || Err(Rejection::new(5, "not here"));
        assert_eq!(
            run_as(&after, "x", failed()).await.unwrap_err(),
            Rejection::new(5, "5 not here in C")
        );
        let heal = filter_in(&library, "heal", executor);
        assert_eq!(run_as(&heal, "x", failed()).await.unwrap(), "5 not here in C");
        let keep = filter_in(&library, "keep", executor);
        assert_eq!(run(&keep).await.unwrap(), "done");
        assert_eq!(
            run_as(&keep, "x", failed()).await.unwrap_err(),
            Rejection::new(5, "not here")
        );
        let thread = filter_in(&library, "thread", executor);
        assert_eq!(run(&thread).await.unwrap(), "Org1MSP");
    }
}

#[tokio::test]
async fn answers_that_are_none_cost_their_own_request() {
    let library = fixture();
    for executor in ["inline", "isolated"] {
        for (mode, text) in [
            ("null", "plugin answered NULL"),
            ("null bytes", "plugin answered with bytes at NULL"),
            ("small", "plugin answered with a size that is too small"),
            ("odd", "plugin answered something unknown"),
            ("odd with state", "plugin answered something unknown"),
            ("oversize", "plugin answered more than a message may carry"),
            (
                "impossible length",
                "plugin answered more than a message may carry",
            ),
            (
                "carry",
                "plugin answered that it wants to see the outcome, and has no function for it",
            ),
        ] {
            let registry = filter_in(&library, mode, executor);
            for _ in 0..2 {
                assert_eq!(
                    run(&registry).await.unwrap_err(),
                    Rejection::new(13, text),
                    "{mode}"
                );
            }
            let freed = if mode == "oversize" || mode == "impossible length" {
                2.0
            } else {
                0.0
            };
            let dropped = if mode == "odd with state" || mode == "carry" {
                2.0
            } else {
                0.0
            };
            assert_eq!(
                (counted(&registry, "freed"), counted(&registry, "dropped")),
                (freed, dropped),
                "{mode}"
            );
        }
    }
}

#[tokio::test]
async fn a_second_answer_is_refused_and_freed() {
    let library = fixture();
    for executor in ["inline", "isolated"] {
        let registry = filter_in(&library, "twice", executor);
        for calls in 1..4 {
            assert_eq!(run(&registry).await.unwrap(), "first");
            // of each call the first answer is freed with the request, the others at once
            until_counted(&registry, "freed", 3.0 * f64::from(calls)).await;
        }
        assert_eq!(
            (counted(&registry, "refused"), counted(&registry, "taken")),
            (3.0, 0.0)
        );
    }
}

#[tokio::test]
async fn a_call_that_is_never_completed_runs_into_its_deadline() {
    let library = fixture();
    for executor in ["inline", "isolated"] {
        let registry = filter_in(&library, "never", executor);
        assert_eq!(run(&registry).await.unwrap_err().code, 4);
        assert_eq!(registry.stats()[0].timeouts, 1);
    }
}

#[tokio::test]
async fn an_answer_after_the_deadline_finds_its_request_and_nobody_else() {
    let library = fixture();
    for executor in ["inline", "isolated"] {
        let registry = filter_in(&library, "late", executor);
        assert_eq!(run(&registry).await.unwrap_err().code, 4);
        // the plugin has read the request after the peer gave it up, and its answer is freed
        until_counted(&registry, "late", 1.0).await;
        until_counted(&registry, "freed", 1.0).await;
    }
}

#[tokio::test]
async fn a_state_goes_back_when_its_request_is_cancelled() {
    let library = fixture();
    let registry = filter_in(&library, "after", "inline");
    let endless = std::future::pending::<Result<Bytes, Rejection>>;
    let chain = registry.auth_chain();
    let cancelled = tokio::time::timeout(Duration::from_millis(20), chain.run(request("x"), endless)).await;
    assert!(cancelled.is_err());
    until_counted(&registry, "dropped", 1.0).await;
}

#[tokio::test]
async fn a_decorator_in_c_maps_an_input_to_another() {
    let library = fixture();
    let input = ChaincodeInput {
        args: ["f", "a"].map(Bytes::from).to_vec(),
        ..ChaincodeInput::default()
    };
    for executor in ["inline", "isolated"] {
        let decorated = |modes: &[&str]| {
            let entries: Vec<Value> = modes
                .iter()
                .enumerate()
                .map(|(at, mode)| {
                    let mut entry = library.entry(&format!("d{at}"), &json!({ "mode": mode }));
                    entry["executor"] = json!(executor);
                    entry
                })
                .collect();
            let chain = library.load(Kind::Decorator, &entries).decorators();
            let input = input.clone();
            async move { chain.decorate(&request("x"), input).await }
        };
        let edited = decorated(&["append", "keep", "append"]).await.unwrap();
        assert_eq!(edited.args, ["f", "a", "!", "!"].map(Bytes::from));
        assert_eq!(
            (edited.decorations.len(), edited.decorations["c"].clone()),
            (1, Bytes::from("yes"))
        );
        for (mode, text) in [
            ("deny", "denied in C"),
            ("garbage", "plugin answered no ChaincodeInput: "),
            ("init", "plugin answered another is_init"),
        ] {
            let failed = decorated(&[mode]).await.unwrap_err();
            assert!(failed.message.starts_with(text), "{mode}: {}", failed.message);
        }
    }
}

#[tokio::test]
async fn constructors_refuse_and_are_refused() {
    let library = fixture();
    for (mode, text) in [
        ("refuse", "not to my taste"),
        ("no size", "fabric_peer_plugin_create left no size of its table"),
        ("no before", "fabric_peer_plugin_create left before NULL"),
    ] {
        let entry = library.entry("c", &json!({ "mode": mode }));
        let errors = library.try_load(Kind::AuthFilter, &[entry]).unwrap_err();
        assert!(errors.to_string().contains(text), "{errors}");
    }
    assert_eq!(
        run(&filter_in(&library, "large table", "inline")).await.unwrap(),
        "done"
    );
}

/// What `destroy` has written, once it was called.
async fn written(file: &Path) -> String {
    for _ in 0..6000 {
        if let Ok(text) = std::fs::read_to_string(file)
            && !text.is_empty()
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not destroyed: {}", file.display())
}

#[tokio::test]
async fn an_instance_is_destroyed_after_its_last_call() {
    let library = fixture();
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let file = folder.path().join("gone");
    let registry = filter_in(&library, file.to_str().unwrap(), "inline");
    assert_eq!(run(&registry).await.unwrap(), "done");
    assert!(!file.exists());
    drop(registry);
    assert_eq!(written(&file).await, "destroyed");
    // one call is still in the hands of a thread of the plugin
    let late = folder.path().join("late");
    let registry = filter_in(&library, &format!("~{}", late.display()), "inline");
    assert_eq!(run(&registry).await.unwrap_err().code, 4);
    drop(registry);
    assert_eq!(written(&late).await, "after the last call");
}

#[test]
fn what_a_c_library_must_have() {
    for (options, expected) in [
        (["-DFABRIC_PEER_PLUGIN=other"].as_slice(), "FABRIC_PEER_PLUGIN"),
        (
            &["-Dfabric_peer_plugin_create=other"],
            "fabric_peer_plugin_create",
        ),
        (&["-DFPP_FLAG_C=0u"], "panic"),
    ] {
        let library = compiled_anyway(options);
        let entry = library.entry("c", &json!({ "mode": "pass" }));
        let errors = library.try_load(Kind::AuthFilter, &[entry]).unwrap_err();
        assert!(errors.to_string().contains(expected), "{options:?}: {errors}");
    }
}

/// The fixture with a name, or a value, changed by the preprocessor.
fn compiled_anyway(options: &[&str]) -> Library {
    let header = std::fs::read_to_string(root().join("plugin-api/include/fabric_peer_plugin.h")).unwrap();
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    // a macro of the command line wins over the header's
    let header = header.replace(
        "#define FPP_FLAG_C 4u",
        "#ifndef FPP_FLAG_C\n#define FPP_FLAG_C 4u\n#endif",
    );
    std::fs::write(folder.path().join("fabric_peer_plugin.h"), header).unwrap();
    let mut all = vec!["-I", folder.path().to_str().unwrap()];
    all.extend(options);
    assert!(Path::new(all[1]).is_dir());
    compiled("tests/abi/c/fixture.c", &all)
}
