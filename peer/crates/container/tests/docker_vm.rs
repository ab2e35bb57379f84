//! The Docker runtime against a fake engine: what a real one will not do on request.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up fails; clippy's exemption does not reach helper functions"
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/tls.rs"]
mod tls;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use container::fake::{self, FakePlatform};
use container::{
    BuildPlan, DockerConfig, DockerVm, Endpoint, EngineTls, LogStore, Naming, Phase, PullPolicy, TlsFiles,
    Vm, VmError,
};
use engine::{FakeEngine, Reply, Request};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use protos::wire_message;
use serde_json::{Value, json};

const NEWEST: &str = "1.53";
const DEADLINE: Duration = Duration::from_secs(60);

fn naming() -> Naming {
    Naming {
        network_id: "dev".into(),
        peer_id: "peer0".into(),
    }
}

fn platform() -> FakePlatform {
    FakePlatform {
        dockerfile: "FROM runtime:1\nADD binpackage.tar /usr/local/src".into(),
        plan: BuildPlan {
            image: "builder:1".into(),
            cmd: "build it".into(),
            env: vec!["TOKEN=x".into()],
            files: vec![("npmrc".into(), b"rc".to_vec())],
            ..BuildPlan::default()
        },
        ..FakePlatform::default()
    }
}

fn config(engine: &FakeEngine) -> DockerConfig {
    let mut config = DockerConfig::new(Endpoint::Unix(engine.socket()), engine.folder());
    config.host_config = json!({"Memory": 7, "CapDrop": ["ALL"], "ReadonlyRootfs": true, "Init": true});
    config.stop_grace = Duration::from_secs(1);
    config
}

fn vm(engine: &FakeEngine) -> DockerVm {
    vm_with(engine, |_| {})
}

fn vm_with(engine: &FakeEngine, adjust: impl FnOnce(&mut DockerConfig)) -> DockerVm {
    let mut config = config(engine);
    adjust(&mut config);
    DockerVm::new(config, naming(), Arc::new(platform())).unwrap()
}

fn obedient() -> impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static {
    |_| None
}

async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}

/// Nothing is left: no container on the engine, no file in the folder.
async fn nothing_is_left(engine: &FakeEngine) {
    eventually(|| engine.live() == 0).await;
    eventually(|| std::fs::read_dir(engine.folder()).unwrap().next().is_none()).await;
}

#[tokio::test]
async fn old_and_new_engines_build_start_and_stop() {
    for api in ["1.24", NEWEST, "1.99"] {
        let engine = FakeEngine::start(api, obedient());
        let vm = vm(&engine);
        let mut request = fake::request("mycc:1.0");
        request.tls = Some(TlsFiles {
            client_cert_pem: b"C".to_vec(),
            client_key_pem: b"K".to_vec(),
            root_cert_pem: b"R".to_vec(),
        });
        let started = vm.start(&request).await.unwrap();
        let spoken = if api == "1.99" { NEWEST } else { api };
        let versions: Vec<String> = engine
            .requests("POST", "/")
            .into_iter()
            .map(|r| r.version)
            .collect();
        assert!(
            versions.iter().all(|version| *version == format!("v{spoken}")),
            "{versions:?}"
        );
        as_fabric_and_hardened(&engine);

        vm.stop("mycc:1.0").await.unwrap();
        let exit = started.exit.wait().await;
        assert_eq!((exit.code, exit.signal), (Some(143), Some(15)));
        assert_eq!(exit.last_lines, ["hello"]);
        nothing_is_left(&engine).await;
        vm.shutdown().await;
        assert!(matches!(
            vm.deploy(&fake::source("mycc:2.0")).await,
            Err(VmError::ShuttingDown)
        ));
    }
}

fn as_fabric_and_hardened(engine: &FakeEngine) {
    let created = engine.requests("POST", "/containers/create");
    let (builder, chaincode) = (created[0].json(), created[1].json());
    assert_eq!(builder["Cmd"], json!(["build it"]));
    assert_eq!(builder["Entrypoint"], json!(["/bin/sh", "-c"]));
    assert_eq!(builder["HostConfig"]["Memory"], 7);
    assert_eq!(builder["HostConfig"].get("ReadonlyRootfs"), None);
    let env = builder["Env"].as_array().unwrap();
    assert!(env.contains(&json!("CHAINCODE_INPUT=/chaincode/input")) && env.contains(&json!("TOKEN=x")));

    assert_eq!(created[1].query["name"], "dev-peer0-mycc-1.0");
    let image = "dev-peer0-mycc-1.0-f27c76c55447a7bfa102f51460566eef3dfb9f02fbdd7700004c08dc0031033b";
    assert_eq!(chaincode["Image"], image);
    assert_eq!(
        chaincode["HostConfig"],
        json!({"NetworkMode": "host", "Memory": 7, "CapDrop": ["ALL"], "ReadonlyRootfs": true, "Init": true})
    );
    assert_eq!(chaincode["Volumes"], json!({"/etc/hyperledger/fabric": {}}));
    assert_eq!(chaincode["Labels"]["org.hyperledger.fabric.peer.id"], "peer0");
    assert_eq!(
        chaincode["Labels"]["org.hyperledger.fabric.chaincode.id"],
        "mycc:1.0"
    );
    let env = chaincode["Env"].as_array().unwrap();
    assert!(env.contains(&json!("CORE_CHAINCODE_ID_NAME=mycc:1.0")), "{env:?}");
    assert_eq!(chaincode["Cmd"][0], "/bin/sh");

    let uploads: Vec<(String, String)> = engine
        .requests("PUT", "/archive")
        .into_iter()
        .map(|upload| (upload.path, upload.query["path"].clone()))
        .collect();
    let to = |path: &str| uploads.iter().filter(|(_, to)| to == path).count();
    assert_eq!(
        to("/chaincode/input"),
        2,
        "package and the plan's files: {uploads:?}"
    );
    assert_eq!(
        to("/etc/hyperledger/fabric"),
        1,
        "TLS files into the volume: {uploads:?}"
    );

    let build = &engine.requests("POST", "/build")[0];
    assert_eq!(
        (build.query["t"].as_str(), build.query["networkmode"].as_str()),
        (image, "host")
    );
    assert!(
        build.body.windows(2).any(|two| two == [0x1f, 0x8b]),
        "a gzip stream"
    );
}

/// Engines unpack archives with a reader of their own; what ours does not know must not get there.
#[tokio::test]
async fn the_engine_gets_what_was_read_of_a_package_and_not_the_package() {
    let package = |records: &[(&str, &[u8])]| -> Bytes {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        tar.append_pax_extensions(records.iter().copied()).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o104_755);
        header.set_uid(7);
        header.set_size(2);
        tar.append_data(&mut header, "src/package.json", &b"{}"[..])
            .unwrap();
        tar.into_inner().unwrap().finish().unwrap().into()
    };
    let engine = FakeEngine::start(NEWEST, obedient());
    let vm = vm(&engine);
    let mut source = fake::source("mycc:1.0");
    source.code_package = package(&[("SCHILY.xattr.security.capability", b"all")]);
    vm.deploy(&source).await.unwrap();
    let upload = engine.requests("PUT", "/archive").remove(0);
    let mut archive = tar::Archive::new(GzDecoder::new(Cursor::new(upload.body)));
    let mut found = Vec::new();
    for entry in archive.entries().unwrap().raw(true) {
        let entry = entry.unwrap();
        let header = entry.header();
        let name = entry.path().unwrap().display().to_string();
        found.push((name, header.mode().unwrap(), header.uid().unwrap()));
    }
    let expected = [("src/", 0o755, 0), ("src/package.json", 0o100_755, 0)];
    assert_eq!(
        found,
        expected.map(|(name, mode, uid)| (name.to_owned(), mode, uid))
    );

    for sparse in ["GNU.sparse.realsize", "GNU.sparse.name"] {
        source.code_package = package(&[(sparse, b"9999999999")]);
        let error = wire_message(&vm.deploy(&source).await.unwrap_err());
        assert!(error.contains("sparse file in a pax record"), "{error}");
    }
    assert_eq!(engine.requests("PUT", "/archive").len(), 2, "nothing of those");
    nothing_is_left(&engine).await;
}

#[tokio::test]
async fn a_chaincode_whose_container_name_is_taken_is_refused() {
    let engine = FakeEngine::start(NEWEST, obedient());
    let vm = vm(&engine);
    vm.start(&fake::request("mycc:1-0")).await.unwrap();
    let error = wire_message(&vm.start(&fake::request("mycc-1:0")).await.unwrap_err());
    assert!(
        error.contains("container dev-peer0-mycc-1-0: its name is that of chaincode mycc:1-0, too"),
        "{error}"
    );
    assert_eq!(engine.live(), 1, "the other one goes on");
    vm.stop("mycc:1-0").await.unwrap();
    vm.start(&fake::request("mycc-1:0")).await.unwrap();
    vm.shutdown().await;
    nothing_is_left(&engine).await;
}

#[tokio::test]
async fn an_engine_on_a_port_is_reached_with_mutual_tls_and_without() {
    let (engine, address) = FakeEngine::start_tcp(NEWEST, None).await;
    let endpoint = Endpoint::parse(&format!("tcp://{address}"), None)
        .unwrap()
        .unwrap();
    let open = vm_with(&engine, |config| config.endpoint = endpoint);
    open.start(&fake::request("mycc:1.0")).await.unwrap();
    open.shutdown().await;

    let material = tls::Material::new();
    let (engine, address) = FakeEngine::start_tcp(NEWEST, Some(material.acceptor())).await;
    let url = format!("tcp://{address}");
    let secured = |tls: EngineTls| Endpoint::parse(&url, Some(tls)).unwrap().unwrap();
    let trusted = vm_with(&engine, |config| config.endpoint = secured(material.files()));
    trusted.start(&fake::request("mycc:1.0")).await.unwrap();
    trusted.shutdown().await;

    let foreign = tls::Material::new();
    let refused = vm_with(&engine, |config| config.endpoint = secured(foreign.files()));
    let error = wire_message(&refused.start(&fake::request("mycc:1.0")).await.unwrap_err());
    assert!(
        error.contains("no Docker Engine answers at tcp://localhost:"),
        "{error}"
    );
    assert!(error.contains("certificate"), "the reason: {error}");
}

#[tokio::test]
async fn an_engine_too_old_is_refused() {
    let engine = FakeEngine::start("1.20", obedient());
    let error = vm(&engine).start(&fake::request("mycc:1.0")).await.unwrap_err();
    assert!(
        wire_message(&error).contains("the engine's API 1.12 to 1.20 does not fit"),
        "{error}"
    );
}

/// Time stands still but for the limit: nobody else does anything.
#[tokio::test(start_paused = true)]
async fn an_engine_that_accepts_and_says_nothing_is_given_up_on() {
    let engine = FakeEngine::start(NEWEST, |request| {
        request.is("GET", "/version").then_some(Reply::Hang)
    });
    let error = wire_message(&vm(&engine).start(&fake::request("mycc:1.0")).await.unwrap_err());
    assert!(
        error.contains("Error creating docker client: not done within 10s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_config_that_no_engine_takes_is_refused_at_start() {
    let engine = FakeEngine::start(NEWEST, obedient());
    let mut config = config(&engine);
    config.overrides = BTreeMap::from([("mycc".to_owned(), json!({"BlkioWeight": 1_000_000}))]);
    let refused = DockerVm::new(config, naming(), Arc::new(platform()))
        .err()
        .unwrap();
    assert!(
        wire_message(&refused).contains("vm.docker.hostConfig: "),
        "{refused}"
    );
}

#[tokio::test]
async fn an_absent_engine_is_an_error_until_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let config = DockerConfig::new(
        Endpoint::Unix(folder.path().join("none.sock")),
        folder.path().join("work"),
    );
    let vm = DockerVm::new(config, naming(), Arc::new(platform())).unwrap();
    let error = wire_message(&vm.start(&fake::request("mycc:1.0")).await.unwrap_err());
    assert!(error.contains("no Docker Engine answers at unix://"), "{error}");
    vm.stop("mycc:1.0").await.unwrap();

    let engine = FakeEngine::start(NEWEST, obedient());
    std::os::unix::fs::symlink(engine.socket(), folder.path().join("none.sock")).unwrap();
    vm.start(&fake::request("mycc:1.0")).await.unwrap();
}

/// Permissions of files are judged by the thread's own file system user, which this test gives up for good. Its
/// runtime has no other thread.
#[tokio::test(flavor = "current_thread")]
async fn a_denied_socket_is_an_error_of_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let engine = FakeEngine::start(NEWEST, obedient());
    let config = config(&engine);
    let vm = DockerVm::new(config, naming(), Arc::new(platform())).unwrap();
    std::fs::set_permissions(engine.socket(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(
        engine.socket().parent().unwrap(),
        std::fs::Permissions::from_mode(0o711),
    )
    .unwrap();
    if nix::unistd::geteuid().is_root() {
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
    } else {
        std::fs::set_permissions(engine.socket(), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    let error = wire_message(&vm.start(&fake::request("mycc:1.0")).await.unwrap_err());
    assert!(error.contains("permission denied at unix://"), "{error}");
    assert!(error.contains("group"), "{error}");
}

#[tokio::test]
async fn every_refusal_has_fabrics_text_and_leaves_nothing() {
    let rows: [(&str, &str, &str, Phase); 8] = [
        (
            "POST",
            "/containers/create",
            "Error creating container: broken inside",
            Phase::Build,
        ),
        (
            "PUT",
            "/archive",
            "Error uploading input to container: broken inside",
            Phase::Build,
        ),
        (
            "POST",
            "/attach",
            "Error attaching to container: broken inside",
            Phase::Build,
        ),
        (
            "POST",
            "/start",
            "Error executing build: broken inside \"",
            Phase::Build,
        ),
        (
            "POST",
            "/wait",
            "Error waiting for container to complete: broken inside \"one\ntwo\nlast\"",
            Phase::Build,
        ),
        (
            "GET",
            "/archive",
            "Error downloading output: broken inside \"one",
            Phase::Build,
        ),
        (
            "POST",
            "/build",
            "docker image build failed: broken inside \"one",
            Phase::Image,
        ),
        (
            "GET",
            "/images/dev*",
            "docker image inspection failed: broken inside",
            Phase::Image,
        ),
    ];
    for (method, path, text, phase) in rows {
        let engine = FakeEngine::start(NEWEST, move |request| {
            let broken = json!({"message": "broken inside"});
            request.is(method, path).then_some(Reply::Json(500, broken))
        });
        let error = vm(&engine).deploy(&fake::source("mycc:1.0")).await.unwrap_err();
        let told = wire_message(&error);
        assert!(
            told.contains(text) || told.contains(text.trim_end_matches(" \"")),
            "{path}: {told}"
        );
        assert_eq!(error.phase(), phase, "{path}");
        assert!(told.contains("peer chaincode logs mycc:1.0"), "{told}");
        nothing_is_left(&engine).await;
    }
}

#[tokio::test]
async fn a_refusal_after_the_build_keeps_the_image_and_leaves_no_container() {
    let rows = [
        ("/start", "start-could not start container: broken inside"),
        (
            "/archive",
            "Error uploading files to the container instance dev-peer0-mycc-1.0: broken inside",
        ),
        ("/attach", "Error attaching to container: broken inside"),
    ];
    for (path, text) in rows {
        let engine = FakeEngine::start(NEWEST, move |request| {
            let broken = json!({"message": "broken inside"});
            let hit = request.path.contains("dev-peer0-mycc") && request.path.ends_with(path);
            hit.then_some(Reply::Json(500, broken))
        });
        let mut request = fake::request("mycc:1.0");
        request.tls = Some(TlsFiles {
            client_cert_pem: Vec::new(),
            client_key_pem: Vec::new(),
            root_cert_pem: Vec::new(),
        });
        let error = vm(&engine).start(&request).await.unwrap_err();
        assert!(wire_message(&error).contains(text), "{}", wire_message(&error));
        assert_eq!(error.phase(), Phase::Start);
        nothing_is_left(&engine).await;
        assert_eq!(engine.state.lock().images.len(), 1);
    }
}

#[tokio::test]
async fn an_error_record_in_a_successful_answer_is_an_error() {
    let engine = FakeEngine::start(NEWEST, |request| {
        let records = vec![
            json!({"stream": "Step 2/3 : ADD binpackage.tar /usr/local/src\n"}),
            json!({"errorDetail": {"message": "ADD failed: no space"}, "error": "ADD failed: no space"}),
        ];
        request.is("POST", "/build").then_some(Reply::Records(records))
    });
    let error = vm(&engine).deploy(&fake::source("mycc:1.0")).await.unwrap_err();
    let told = wire_message(&error);
    assert!(told.contains("phase image of mycc:1.0"), "{told}");
    assert!(
        told.contains("docker image build failed: ADD failed: no space"),
        "{told}"
    );
    assert!(told.contains("Step 2/3"), "{told}");
    nothing_is_left(&engine).await;
}

#[tokio::test]
async fn a_connection_that_breaks_off_mid_build_is_an_error_and_the_next_call_builds() {
    for end in ["{\"stream\":\"Step 1\\n\"}\r\n", "{\"stre"] {
        let engine = FakeEngine::start(NEWEST, {
            let broken = std::sync::atomic::AtomicBool::new(false);
            move |request| {
                let first =
                    request.is("POST", "/build") && !broken.swap(true, std::sync::atomic::Ordering::Relaxed);
                first.then_some(Reply::BreakOff(end))
            }
        });
        let vm = vm(&engine);
        let error = wire_message(&vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err());
        assert!(
            error.contains("the connection to the engine broke off"),
            "{error}"
        );
        nothing_is_left(&engine).await;
        vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
        assert_eq!(engine.requests("POST", "/build").len(), 2);
    }
}

#[tokio::test]
async fn success_without_an_image_is_an_error() {
    let engine = FakeEngine::start(NEWEST, |request| {
        request.is("POST", "/build").then(|| Reply::Records(Vec::new()))
    });
    let error = wire_message(&vm(&engine).deploy(&fake::source("mycc:1.0")).await.unwrap_err());
    assert!(
        error.contains("reported success and has no such image"),
        "{error}"
    );
}

#[tokio::test]
async fn slow_answers_meet_the_limit_that_the_error_names() {
    // a busy machine may not come as far as the slow answer within the first ones
    let limits = [0.3, 3.0, 30.0];
    let rows: [(&str, &str, &str, Phase); 4] = [
        ("POST", "/images/create", "vm.docker.pullTimeout", Phase::Pull),
        ("POST", "/wait", "vm.docker.buildTimeout", Phase::Build),
        ("POST", "/build", "vm.docker.buildTimeout", Phase::Image),
        (
            "POST",
            "/dev-peer0-mycc-1.0/start",
            "vm.docker.startTimeout",
            Phase::Start,
        ),
    ];
    'rows: for (method, path, key, phase) in rows {
        for limit in limits {
            let short = Duration::from_secs_f64(limit);
            let engine = FakeEngine::start(NEWEST, move |request| {
                request.is(method, path).then_some(Reply::Hang)
            });
            if phase == Phase::Pull {
                engine.state.lock().bases.clear();
            }
            let vm = vm_with(&engine, |config| {
                config.pull_timeout = short;
                config.start_timeout = short;
                config.build_timeout = if phase == Phase::Start { DEADLINE } else { short };
            });
            let error = vm.start(&fake::request("mycc:1.0")).await.unwrap_err();
            nothing_is_left(&engine).await;
            if !engine.requests(method, path).is_empty() {
                let told = wire_message(&error);
                assert!(
                    told.contains(&format!("not done within {limit}s ({key})")),
                    "{told}"
                );
                assert_eq!(error.phase(), phase, "{told}");
                continue 'rows;
            }
        }
        panic!("{path} was never asked");
    }
}

#[tokio::test]
async fn a_build_that_fails_tells_its_exit_memory_and_last_lines() {
    for out_of_memory in [false, true] {
        let engine = FakeEngine::start(NEWEST, move |request| {
            if request.is("POST", "/wait") {
                return Some(Reply::Json(200, json!({"StatusCode": 137})));
            }
            let inspected = json!({"Id": "x", "State": {"OOMKilled": out_of_memory}});
            request
                .is("GET", "/containers/builder*")
                .then_some(Reply::Json(200, inspected))
        });
        let error = vm(&engine).deploy(&fake::source("mycc:1.0")).await.unwrap_err();
        let memory = if out_of_memory { ", out of memory" } else { "" };
        let text = format!("Error returned from build: 137 (signal 9{memory}) \"one\ntwo\nlast\"");
        let told = wire_message(&error);
        assert!(
            told.contains("phase build of mycc:1.0") && told.contains(&text),
            "{told}"
        );
        nothing_is_left(&engine).await;
    }
}

#[tokio::test]
async fn a_build_that_fails_tells_the_phase_that_its_script_named_last() {
    for (said, phase) in [
        ("dependencies", Phase::Dependencies),
        ("dependencies compile", Phase::Compile),
        ("pull", Phase::Build),
    ] {
        let engine = FakeEngine::start(NEWEST, |request| {
            let ended = json!({"StatusCode": 1});
            request.is("POST", "/wait").then_some(Reply::Json(200, ended))
        });
        let mut platform = platform();
        platform.plan.env = vec![format!("SAYS={said}")];
        let vm = DockerVm::new(config(&engine), naming(), Arc::new(platform)).unwrap();
        let error = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
        assert_eq!(error.phase(), phase);
        let told = wire_message(&error);
        assert!(told.contains(&format!("phase {phase} of mycc:1.0")), "{told}");
        assert!(told.contains("one\ntwo\nlast"), "{told}");
        assert_eq!(told.contains("@phase-"), phase == Phase::Build, "{told}");
        assert_eq!(vm.phase("mycc:1.0"), None);
        nothing_is_left(&engine).await;
    }
}

#[tokio::test]
async fn images_are_pulled_as_the_policy_says_and_through_the_mirror() {
    let without_bases = || {
        let engine = FakeEngine::start(NEWEST, obedient());
        engine.state.lock().bases.clear();
        engine
    };
    let engine = without_bases();
    let never = vm_with(&engine, |config| config.pull_policy = PullPolicy::Never);
    let error = never.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Pull);
    assert!(
        wire_message(&error).contains("Failed to pull builder:1: it is not on the engine"),
        "{error}"
    );

    let engine = without_bases();
    let mirrored = vm_with(&engine, |config| config.mirror = "mirror.example/hub".into());
    mirrored.deploy(&fake::source("mycc:1.0")).await.unwrap();
    let pulled: Vec<String> = engine
        .requests("POST", "/images/create")
        .into_iter()
        .map(|pull| format!("{}:{}", pull.query["fromImage"], pull.query["tag"]))
        .collect();
    assert_eq!(
        pulled,
        ["mirror.example/hub/builder:1", "mirror.example/hub/runtime:1"]
    );
    assert!(
        engine.state.lock().bases.contains("runtime:1"),
        "tagged for the Dockerfile"
    );

    let engine = FakeEngine::start(NEWEST, obedient());
    let always = vm_with(&engine, |config| {
        config.pull_policy = PullPolicy::Always;
        config.pull = true;
    });
    always.deploy(&fake::source("mycc:1.0")).await.unwrap();
    assert_eq!(engine.requests("POST", "/images/create").len(), 2);
    assert_eq!(engine.requests("POST", "/build")[0].query["pull"], "true");

    let engine = FakeEngine::start(NEWEST, |request| {
        let record = json!({"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"});
        request
            .is("POST", "/images/create")
            .then(|| Reply::Records(vec![record]))
    });
    engine.state.lock().bases.clear();
    let error = vm(&engine).deploy(&fake::source("mycc:1.0")).await.unwrap_err();
    assert!(
        wire_message(&error).contains("Failed to pull builder:1: manifest unknown"),
        "{error}"
    );
}

#[tokio::test]
async fn one_build_serves_all_who_ask_and_outlives_them() {
    let engine = FakeEngine::start(NEWEST, obedient());
    let vm = vm(&engine);
    let (one, other) = (fake::source("mycc:1.0"), fake::source("mycc:1.0"));
    let (first, second) = tokio::join!(vm.deploy(&one), vm.deploy(&other));
    first.unwrap();
    second.unwrap();
    assert_eq!(engine.requests("POST", "/build").len(), 1);

    let source = fake::source("later:1.0");
    assert!(
        tokio::time::timeout(Duration::from_millis(1), vm.deploy(&source))
            .await
            .is_err(),
        "the caller gives up"
    );
    eventually(|| engine.state.lock().images.len() == 2).await;
    vm.deploy(&source).await.unwrap();
    assert_eq!(
        engine.requests("POST", "/build").len(),
        2,
        "the next one finds the result"
    );
}

#[tokio::test]
async fn a_shutdown_ends_builds_and_starts_under_way_and_waits_for_their_removal() {
    for (method, path) in [
        ("POST", "/wait"),
        ("POST", "/build"),
        ("POST", "/dev-peer0-mycc-1.0/start"),
    ] {
        let engine = FakeEngine::start(NEWEST, move |request| {
            request.is(method, path).then_some(Reply::Hang)
        });
        let vm = Arc::new(vm_with(&engine, |config| {
            config.start_timeout = Duration::from_secs(10)
        }));
        let starting = Arc::clone(&vm);
        let start = tokio::spawn(async move { starting.start(&fake::request("mycc:1.0")).await });
        eventually(|| !engine.requests(method, path).is_empty()).await;
        vm.shutdown().await;
        assert_eq!(engine.live(), 0, "{path}");
        assert!(start.await.unwrap().is_err());
        let late = vm.start(&fake::request("mycc:1.0")).await;
        assert!(matches!(late, Err(VmError::ShuttingDown)), "{late:?}");
    }
}

#[tokio::test]
async fn another_package_of_the_same_name_is_built_anew() {
    let engine = FakeEngine::start(NEWEST, obedient());
    let vm = vm(&engine);
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    assert_eq!(engine.requests("POST", "/build").len(), 1, "the same one is not");
    let mut changed = fake::source("mycc:1.0");
    changed.code_package = fake::package(&[("package.json", "{ }")]);
    vm.deploy(&changed).await.unwrap();
    assert_eq!(engine.requests("POST", "/build").len(), 2);
    let removed = engine.state.lock().removed_images.clone();
    assert!(
        removed[0].starts_with("sha256:dev-peer0-mycc"),
        "the old image goes: {removed:?}"
    );
}

#[tokio::test]
async fn leftovers_of_this_peer_go_at_start_and_those_of_others_stay() {
    let labels = |peer: &str| json!({"Labels": {"org.hyperledger.fabric.peer.id": peer, "org.hyperledger.fabric.peer.networkId": "dev"}});
    let engine = FakeEngine::start(NEWEST, obedient());
    engine.state.lock().containers = BTreeMap::from([
        ("ours".to_owned(), labels("peer0")),
        ("theirs".to_owned(), labels("peer1")),
        ("nobodys".to_owned(), json!({"Labels": null})),
    ]);
    let _vm = vm(&engine);
    eventually(|| engine.live() == 2).await;
    assert!(!engine.state.lock().containers.contains_key("ours"));
    let filter = &engine.requests("GET", "/containers/json")[0].query["filters"];
    assert!(
        filter.contains("org.hyperledger.fabric.peer.id=peer0"),
        "{filter}"
    );
}

#[tokio::test]
async fn a_container_of_another_peer_is_not_touched() {
    let engine = FakeEngine::start(NEWEST, obedient());
    let foreign = json!({"Labels": {"org.hyperledger.fabric.peer.id": "a", "org.hyperledger.fabric.peer.networkId": ""}});
    engine
        .state
        .lock()
        .containers
        .insert("dev-peer0-mycc-1.0".to_owned(), foreign);
    let error = vm(&engine).start(&fake::request("mycc:1.0")).await.unwrap_err();
    assert!(
        wire_message(&error).contains("it belongs to another peer"),
        "{error}"
    );
    assert_eq!(engine.live(), 1);
}

#[tokio::test]
async fn an_image_that_goes_missing_is_built_again() {
    let engine = FakeEngine::start(NEWEST, {
        let gone = std::sync::atomic::AtomicBool::new(false);
        move |request| {
            let first = request.is("POST", "/containers/create")
                && request.query.contains_key("name")
                && !gone.swap(true, std::sync::atomic::Ordering::Relaxed);
            first.then(|| Reply::Json(404, json!({"message": "No such image: dev-peer0:latest"})))
        }
    });
    vm(&engine).start(&fake::request("mycc:1.0")).await.unwrap();
    assert_eq!(engine.live(), 1);
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_reaches_the_engine() {
    let engine = FakeEngine::start(NEWEST, obedient());
    let vm = vm_with(&engine, |config| config.unpack.total_bytes = 100);
    let error = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
    assert!(matches!(error, VmError::Unpack(_)), "{error}");
    assert!(engine.requests("POST", "/containers/create").is_empty());
}

#[tokio::test]
async fn what_is_printed_is_kept_by_id() {
    let engine = FakeEngine::start(NEWEST, obedient());
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore {
        root: folder.path().to_owned(),
        max_bytes: 1 << 20,
    };
    let vm = vm_with(&engine, |config| {
        config.logs = Some(store.clone());
        config.attach_stdout = false;
    });
    vm.start(&fake::request("mycc:1.0")).await.unwrap();
    eventually(|| {
        let logs = store.read("mycc:1.0").unwrap().unwrap_or_default();
        let built = ["one", "two", "last", "Step 1/3 : FROM runtime:1"];
        built
            .iter()
            .all(|line| logs.build.iter().any(|kept| kept == line))
            && logs.run.iter().any(|line| line == "hello")
    })
    .await;
    let created: Value = engine.requests("POST", "/containers/create")[1].json();
    assert_eq!(created["AttachStdout"], false);
}

/// An engine without images whose registry takes this password alone.
fn wants(password: &'static str, refusal: &'static str) -> FakeEngine {
    let engine = FakeEngine::start(NEWEST, move |request| {
        let given = request.login.as_ref().map(|login| login["password"].clone());
        let refused = request.is("POST", "/images/create")
            && request.query["fromImage"].starts_with("r.example/")
            && given != Some(json!(password));
        refused.then(|| Reply::Json(500, json!({"message": format!("{refusal} {given:?}")})))
    });
    engine.state.lock().bases.clear();
    engine
}

/// A platform whose builder is in the registry that wants a login; the base image is in Docker Hub.
fn from_registry() -> Arc<FakePlatform> {
    let mut platform = platform();
    platform.plan.image = "r.example/builder:1".into();
    Arc::new(platform)
}

#[tokio::test]
async fn a_login_goes_to_its_own_registry_and_nowhere_else() {
    // `?` and `~` are what the two alphabets of base64 differ in
    const PASSWORD: &str = "s3cret??>~~~";
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let engine = wants(PASSWORD, "unauthorized");
    let mut config = config(&engine);
    config.pull = true;
    config.auth.registries = vec![container::RegistryLogin {
        registry: "r.example".into(),
        username: "peer".into(),
        password_file: password,
    }];
    let shown = format!("{config:?}");
    let vm = DockerVm::new(config, naming(), from_registry()).unwrap();
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    let pulls = engine.requests("POST", "/images/create");
    let of = |image: &str| {
        let pull = pulls.iter().find(|pull| pull.query["fromImage"] == image);
        pull.unwrap().login.clone()
    };
    let login = of("r.example/builder").unwrap();
    assert_eq!(
        (&login["username"], &login["password"], &login["serveraddress"]),
        (&json!("peer"), &json!(PASSWORD), &json!("r.example"))
    );
    assert_eq!(of("runtime"), None, "another registry");
    let build = &engine.requests("POST", "/build")[0];
    assert_eq!(build.login, Some(json!({})), "the base image needs no login");
    let others = engine.state.lock().requests.clone();
    let with_login = others.iter().filter(|request| request.login.is_some()).count();
    assert_eq!(with_login, 2);
    assert!(!shown.contains("s3cret"));
}

#[tokio::test]
async fn the_login_of_a_base_image_goes_with_a_build_that_pulls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(
        &file,
        r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHVidXNlcjpodWJwYXNz"}, "r.example": {"auth": "cGVlcjpvaw=="}}}"#,
    )
    .unwrap();
    let engine = wants("ok", "unauthorized");
    let mut config = config(&engine);
    config.pull = true;
    config.auth.config_file = Some(file);
    let vm = DockerVm::new(config, naming(), from_registry()).unwrap();
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    let login = engine.requests("POST", "/build")[0].login.clone().unwrap();
    let hub = &login["https://index.docker.io/v1/"];
    assert_eq!(
        (&hub["username"], &hub["password"]),
        (&json!("hubuser"), &json!("hubpass"))
    );
    assert_eq!(login.as_object().unwrap().len(), 1, "{login}");
}

#[tokio::test]
async fn a_login_that_is_missing_wrong_or_unreadable_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "s3cret").unwrap();
    let refusals = [
        "Head \"https://r.example/v2/builder/manifests/1\": unauthorized: authentication required",
        "pull access denied for r.example/builder, repository does not exist or may require 'docker login'",
        "Get \"https://r.example/v2/\": no basic auth credentials",
    ];
    for refusal in refusals {
        let engine = wants("another", refusal);
        let with = |auth: container::RegistryLogins| {
            let mut config = config(&engine);
            config.auth = auth;
            let vm = DockerVm::new(config, naming(), from_registry()).unwrap();
            async move {
                let error = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
                assert_eq!(error.phase(), Phase::Pull);
                let told = format!("{} {error:?}", wire_message(&error));
                assert!(!told.contains("s3cret"), "{told}");
                told
            }
        };
        let missing = with(container::RegistryLogins::default()).await;
        for part in [
            "phase pull of mycc:1.0",
            "Failed to pull r.example/builder:1: registry r.example does not give it to everybody: ",
            refusal,
            "vm.docker.auth.registries",
        ] {
            assert!(missing.contains(part), "{part}: {missing}");
        }
        let own = |password_file: std::path::PathBuf| container::RegistryLogins {
            config_file: None,
            registries: vec![container::RegistryLogin {
                registry: "r.example".into(),
                username: "peer".into(),
                password_file,
            }],
        };
        let wrong = with(own(password.clone())).await;
        for part in [
            "the registry refused the login of peer at r.example (from vm.docker.auth.registries): ",
            refusal,
            "*****",
        ] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
        let unreadable = with(own(folder.path().join("none"))).await;
        assert!(
            unreadable.contains("vm.docker.auth: the login for r.example cannot be read from"),
            "{unreadable}"
        );
        nothing_is_left(&engine).await;
    }
    // what is not about a login stays as it is
    let engine = wants("another", "manifest unknown");
    let error = DockerVm::new(config(&engine), naming(), from_registry())
        .unwrap()
        .deploy(&fake::source("mycc:1.0"))
        .await
        .unwrap_err();
    let told = wire_message(&error);
    assert!(
        told.contains("Failed to pull r.example/builder:1: manifest unknown"),
        "{told}"
    );
}

#[tokio::test]
async fn what_an_engine_that_went_away_did_not_remove_goes_with_the_next_call() {
    let deletes = std::sync::atomic::AtomicUsize::new(0);
    let engine = FakeEngine::start(NEWEST, move |request| {
        let first = || deletes.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        (request.is("DELETE", "/builder1") && first()).then_some(Reply::Hang)
    });
    let vm = vm(&engine);
    // the engine takes the request and is gone before it has done anything
    let source = fake::source("mycc:1.0");
    let (built, ()) = tokio::join!(vm.deploy(&source), async {
        eventually(|| !engine.requests("DELETE", "/builder1").is_empty()).await;
        engine.hang_up();
    });
    built.unwrap();
    assert_eq!(engine.live(), 1);
    vm.deploy(&fake::source("mycc:2.0")).await.unwrap();
    nothing_is_left(&engine).await;
}
