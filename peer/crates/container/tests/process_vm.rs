//! The process runtime with real processes: builds, starts, environment, limits and the end of whole trees.
//! The sandbox's helper is this crate's own small program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot be set up fails; clippy's exemption does not reach helper functions"
)]

#[path = "support/setup.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use container::{
    BuildError, Level, OpenError, Phase, ProcessVm, SandboxMode, TlsFiles, UnpackLimits, Vm, VmError, fake,
};
use protos::wire_message;
use support::{Setup, alive, eventually, is_root, platform, setup};

/// Time limits for builds that shall be late, once they have begun; a busy machine may take longer for that.
const TRIES: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// Weaker levels are had on any machine; where the stronger ones are missing they are tried twice.
const LEVELS: [Level; 4] = [Level::Full, Level::Namespaces, Level::Basic, Level::Off];

#[tokio::test]
async fn a_build_runs_in_private_folders_and_its_output_is_started() {
    let setup = setup().await;
    let vm = setup.vm(platform(
        "cp $CHAINCODE_INPUT/src/package.json $CHAINCODE_OUTPUT/built; echo \"$EXTRA\" > $CHAINCODE_OUTPUT/extra; \
         cat $CHAINCODE_INPUT/start.sh > $CHAINCODE_OUTPUT/start.sh",
        &["sh", "./start.sh", "--peer.address", "{peer.address}"],
        |plan| {
            plan.env = vec!["EXTRA=from=plan".into()];
            plan.files = vec![("start.sh".into(), b"echo \"$@\"; cat built extra; exit 7".to_vec())];
        },
    ));
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    let exit = vm
        .start(&fake::request("mycc:1.0"))
        .await
        .unwrap()
        .exit
        .wait()
        .await;
    assert_eq!(exit.last_lines, ["--peer.address 127.0.0.1:7052", "{}from=plan"]);
    assert_eq!((exit.code, exit.signal), (Some(7), None));
    assert_eq!(vm.name("mycc:1.0"), "dev-peer0-mycc-1.0");
}

#[tokio::test]
async fn a_failed_build_tells_phase_code_and_last_lines() {
    let setup = setup().await;
    let cases = [
        (
            "echo one; echo two >&2; exit 3",
            "Error returned from build: 3 \"",
        ),
        ("kill -9 $$", "Error returned from build: 137 (signal 9) \"\""),
        ("no-such-program", "Error returned from build: 127 \""),
    ];
    for (cmd, text) in cases {
        let vm = setup.vm(platform(cmd, &["true"], |_| {}));
        let error = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
        let told = error.to_string();
        assert!(
            told.starts_with("phase build of mycc:1.0 (all output: peer chaincode logs mycc:1.0): "),
            "{told}"
        );
        assert!(told.contains(text), "{told}");
        assert_eq!(error.phase(), Phase::Build);
        if let (VmError::Build { exit, .. }, true) = (&error, cmd.starts_with("echo")) {
            let mut lines = exit.last_lines.clone();
            lines.sort();
            assert_eq!(lines, ["one", "two"]);
        }
        setup.assert_no_work_left();
    }
    let many = setup.vm(platform(
        "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done; exit 1",
        &[],
        |_| {},
    ));
    let VmError::Build { exit, .. } = many.deploy(&fake::source("mycc:1.0")).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(
        (exit.last_lines.len(), exit.last_lines.last().unwrap().as_str()),
        (30, "line 199")
    );
}

/// What a build's script says of itself is in the error, and nothing else that it prints.
#[tokio::test]
async fn a_failed_build_tells_the_phase_that_its_script_named_last() {
    let setup = setup().await;
    let say = "say() { echo \"$CHAINCODE_PHASE_MARK$1\"; }; ";
    let rows = [
        ("say dependencies; echo no such package", Phase::Dependencies),
        ("say dependencies; say compile; echo syntax error", Phase::Compile),
        (
            "say compile; say dependencies; say image; say start",
            Phase::Dependencies,
        ),
        (
            "say compile >&2; say; say 'compile x'; echo compile; echo @phase-0:compile",
            Phase::Build,
        ),
    ];
    for (said, phase) in rows {
        let vm = setup.vm(platform(&format!("{say}{said}; exit 3"), &[], |_| {}));
        let error = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
        assert_eq!(error.phase(), phase, "{said}: {error}");
        let told = error.to_string();
        assert!(told.starts_with(&format!("phase {phase} of mycc:1.0 ")), "{told}");
        assert!(told.contains("Error returned from build: 3 \""), "{told}");
        assert_eq!(vm.phase("mycc:1.0"), None, "it is over");
    }
    for limit in TRIES {
        let late = setup.vm_with(
            platform(&format!("{say}say dependencies; sleep 1000"), &[], |_| {}),
            |config| config.build_timeout = limit,
        );
        let source = fake::source("mycc:1.0");
        let mut building = std::pin::pin!(late.deploy(&source));
        let mut said = false;
        let error = loop {
            tokio::select! {
                built = &mut building => break built.unwrap_err(),
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    said |= late.phase("mycc:1.0") == Some(Phase::Dependencies);
                }
            }
        };
        assert!(
            error.to_string().contains("chaincode.process.buildTimeout"),
            "{error}"
        );
        if said {
            assert_eq!(error.phase(), Phase::Dependencies);
            return;
        }
    }
    panic!("no phase was ever said");
}

#[tokio::test]
async fn plans_and_packages_that_are_refused_build_nothing() {
    let setup = setup().await;
    let mut refusing = platform("true", &[], |_| {});
    refusing.refuse = Some(BuildError::UnknownType("UNDEFINED".into()));
    let error = setup
        .vm(refusing)
        .deploy(&fake::source("mycc:1.0"))
        .await
        .unwrap_err();
    assert_eq!(
        wire_message(&error),
        "platform builder failed: Unknown chaincodeType: UNDEFINED"
    );
    assert_eq!(error.phase(), Phase::Plan);

    let vm = setup.vm(platform("true", &[], |_| {}));
    let mut source = fake::source("mycc:1.0");
    source.code_package = fake::package(&[("a", ""), ("a", "")]);
    let error = vm.deploy(&source).await.unwrap_err();
    assert_eq!(
        wire_message(&error),
        "unpacking the code package failed: file \"src/a\" occurs twice in the package"
    );
    assert_eq!(error.phase(), Phase::Unpack);
    drop(vm);

    for name in ["../evil", "/evil", "src/package.json"] {
        let vm = setup.vm(platform("true", &[], |plan| {
            plan.files = vec![(name.into(), vec![])]
        }));
        let error = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Unpack, "{name}: {error}");
    }
    let few = UnpackLimits {
        entries: 0,
        ..UnpackLimits::default()
    };
    let vm = setup.vm_with(platform("true", &[], |_| {}), |config| config.unpack = few);
    assert!(
        wire_message(&vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err())
            .contains("more than 0 entries")
    );
    setup.assert_no_work_left();
}

#[tokio::test]
async fn a_build_has_a_time_limit_and_leaves_nothing_running() {
    let setup = setup().await;
    for limit in TRIES {
        let vm = setup.vm_with(platform("sleep 1000 & echo $!; wait", &[], |_| {}), |config| {
            config.build_timeout = limit;
            config.sandbox = SandboxMode::Off;
        });
        let error = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err();
        let VmError::BuildTimeout { last_lines, .. } = &error else {
            panic!("{error}")
        };
        setup.assert_no_work_left();
        if let Some(pid) = last_lines.first() {
            let pid: u32 = pid.parse().unwrap();
            eventually(|| !alive(pid)).await;
            return;
        }
    }
    panic!("no build ever began");
}

#[tokio::test]
async fn builds_of_one_package_are_done_once_and_outlive_their_caller() {
    let setup = setup().await;
    let cmd = "echo built >> $XDG_CACHE_HOME/log; until [ -e $XDG_CACHE_HOME/gate ]; do sleep 0.05; done; touch $CHAINCODE_OUTPUT/x";
    let platform = Arc::new(platform(cmd, &["true"], |_| {}));
    let vm = Arc::new(setup.vm_shared(Arc::clone(&platform), |_| {}));
    let call = |id: &'static str| {
        let vm = Arc::clone(&vm);
        tokio::spawn(async move { vm.deploy(&fake::source(id)).await })
    };
    let first = call("mycc:1.0");
    let others: Vec<_> = (0..5).map(|_| call("mycc:1.0")).collect();
    eventually(|| {
        platform.plans.load(Ordering::Relaxed) == 6 && setup.cache_file("log").is_some_and(|log| log.exists())
    })
    .await;
    let log = setup.cache_file("log").unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    std::fs::write(setup.cache_file("gate").unwrap(), "").unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    // Found, also by the next peer; another package of the same name is not it.
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "built\n");
    vm.shutdown().await;
    drop(vm);
    let vm = setup.vm_shared(platform, |_| {});
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "built\n");
    let mut changed = fake::source("mycc:1.0");
    changed.code_package = fake::package(&[("package.json", "{\"changed\": true}")]);
    vm.deploy(&changed).await.unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "built\nbuilt\n");
    // Destroyed is gone.
    vm.destroy("mycc:1.0").await.unwrap();
    vm.deploy(&fake::source("mycc:1.0")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "built\nbuilt\nbuilt\n");
}

#[tokio::test]
async fn the_environment_is_exactly_as_specified() {
    let setup = setup().await;
    let print = "for f in $CORE_TLS_CLIENT_KEY_PATH $CORE_TLS_CLIENT_CERT_PATH $CORE_TLS_CLIENT_KEY_FILE \
                 $CORE_TLS_CLIENT_CERT_FILE $CORE_PEER_TLS_ROOTCERT_FILE; do cat $f; echo; done; \
                 cat /proc/self/environ | tr '\\0' '\\n'";
    let vm = setup.vm(platform(
        "env > $CHAINCODE_OUTPUT/env",
        &["sh", "-c", print],
        |_| {},
    ));
    let mut request = fake::request("mycc:1.0");
    request.logging.level = "debug".into();
    request.tls = Some(TlsFiles {
        client_cert_pem: b"CERT".to_vec(),
        client_key_pem: b"KEY".to_vec(),
        root_cert_pem: b"ROOT".to_vec(),
    });
    let exit = vm.start(&request).await.unwrap().exit.wait().await;
    let (files, env) = exit.last_lines.split_at(5);
    assert_eq!(files, ["S0VZ", "Q0VSVA==", "KEY", "CERT", "ROOT"]);
    let run = env
        .iter()
        .find_map(|line| line.strip_prefix("HOME="))
        .unwrap()
        .strip_suffix("/home")
        .unwrap()
        .to_owned();
    assert!(run.starts_with(setup.root().to_str().unwrap()), "{run}");
    let expected = [
        "CORE_CHAINCODE_ID_NAME=mycc:1.0".to_owned(),
        "CORE_CHAINCODE_LOGGING_LEVEL=debug".to_owned(),
        "CORE_PEER_LOCALMSPID=Org1MSP".to_owned(),
        format!("CORE_PEER_TLS_ROOTCERT_FILE={run}/tls/peer.crt"),
        "CORE_PEER_TLS_ENABLED=true".to_owned(),
        format!("CORE_TLS_CLIENT_CERT_FILE={run}/tls/client_pem.crt"),
        format!("CORE_TLS_CLIENT_CERT_PATH={run}/tls/client.crt"),
        format!("CORE_TLS_CLIENT_KEY_FILE={run}/tls/client_pem.key"),
        format!("CORE_TLS_CLIENT_KEY_PATH={run}/tls/client.key"),
        format!("HOME={run}/home"),
        "LANG=C".to_owned(),
        "PATH=/usr/bin:/bin".to_owned(),
        format!("TMPDIR={run}/tmp"),
    ];
    let mut expected = expected.to_vec();
    expected.sort();
    let mut env = env.to_vec();
    env.sort();
    // A shell adds these to what it was given.
    env.retain(|line| {
        !["PWD=", "OLDPWD=", "SHLVL=", "_="]
            .iter()
            .any(|own| line.starts_with(own))
    });
    assert_eq!(env, expected);
    // The key does not outlive the chaincode.
    eventually(|| !std::path::Path::new(&run).exists()).await;
}

#[tokio::test]
async fn builds_see_nothing_of_the_peers_environment() {
    let setup = setup().await;
    let vm = setup.vm(platform(
        "cat /proc/self/environ | tr '\\0' '\\n'; test -w $XDG_CACHE_HOME && exit 1",
        &[],
        |plan| {
            plan.env = vec![
                "npm_config_registry=http://r".into(),
                "CHAINCODE_OUTPUT=/evil".into(),
                "PATH=/bin:/usr/bin".into(),
            ];
        },
    ));
    let VmError::Build { exit, .. } = vm.deploy(&fake::source("mycc:1.0")).await.unwrap_err() else {
        panic!()
    };
    let names: Vec<_> = exit
        .last_lines
        .iter()
        .filter_map(|line| line.split('=').next())
        .collect();
    let mut names: Vec<_> = names
        .into_iter()
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    names.sort_unstable();
    let expected = [
        "CHAINCODE_INPUT",
        "CHAINCODE_OUTPUT",
        "CHAINCODE_PHASE_MARK",
        "HOME",
        "LANG",
        "PATH",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "npm_config_cache",
        "npm_config_registry",
    ];
    assert_eq!(names, expected);
    assert!(
        exit.last_lines.contains(&"PATH=/bin:/usr/bin".to_owned()),
        "the plan chooses"
    );
    assert!(
        !exit.last_lines.contains(&"CHAINCODE_OUTPUT=/evil".to_owned()),
        "but not the folders"
    );
}

#[tokio::test]
async fn versions_of_a_chaincode_share_a_cache_and_chaincodes_do_not() {
    let setup = setup().await;
    let cmd = "echo \"$NOTHING\" >> $XDG_CACHE_HOME/log; touch $CHAINCODE_OUTPUT/x";
    let vm = setup.vm(platform(cmd, &["true"], |_| {}));
    for id in ["one:1", "one:2", "two:1"] {
        vm.deploy(&fake::source(id)).await.unwrap();
    }
    let mut builds: Vec<_> = setup
        .caches()
        .iter()
        .map(|cache| std::fs::read_to_string(cache.join("log")).unwrap().len())
        .collect();
    builds.sort_unstable();
    assert_eq!(builds, [1, 2]);
}

#[tokio::test]
async fn another_registry_is_another_build_and_another_token_is_not() {
    let setup = setup().await;
    let build = async |env: &str, content: &str, secret: &str| {
        let vm = setup.vm(platform("echo >> $XDG_CACHE_HOME/log", &["true"], |plan| {
            plan.env = vec![format!("REGISTRY={env}"), format!("TOKEN={secret}")];
            plan.files = vec![("npmrc".into(), format!("{content} {secret}").into_bytes())];
            plan.secrets = vec![secret.to_owned()];
        }));
        vm.deploy(&fake::source("mycc:1")).await.unwrap();
        std::fs::read_to_string(setup.cache_file("log").unwrap())
            .unwrap()
            .len()
    };
    assert_eq!(build("a", "x", "token1").await, 1);
    assert_eq!(
        build("a", "x", "token2").await,
        1,
        "a new token is no new program"
    );
    assert_eq!(build("b", "x", "token2").await, 2);
    assert_eq!(build("b", "y", "token2").await, 3);
}

#[tokio::test]
async fn secrets_are_in_a_private_file_and_in_no_error() {
    let setup = setup().await;
    let cmd = "stat -c %a $CHAINCODE_INPUT/npmrc; cat $CHAINCODE_INPUT/npmrc; cat $CHAINCODE_INPUT/npmrc >&2; exit 1";
    let adjust = |plan: &mut container::BuildPlan| {
        plan.files = vec![("npmrc".into(), b"token=s3cret!\n".to_vec())];
        plan.secrets = vec!["s3cret!".into()];
        assert!(!format!("{plan:?}").contains("s3cret"));
    };
    let vm = setup.vm(platform(cmd, &["true"], adjust));
    let error = vm.deploy(&fake::source("mycc:1")).await.unwrap_err();
    let text = format!("{} {error:?}", wire_message(&error));
    assert!(!text.contains("s3cret"), "{text}");
    let VmError::Build { exit, .. } = error else {
        panic!()
    };
    let mut lines = exit.last_lines;
    lines.sort();
    assert_eq!(lines, ["600", "token=*****", "token=*****"]);
}

#[tokio::test]
async fn a_build_that_needs_no_network_has_none() {
    let setup = setup().await;
    for offline in [false, true] {
        let vm = setup.vm(platform("cat /proc/net/dev; exit 1", &["true"], |plan| {
            plan.offline = offline
        }));
        let VmError::Build { exit, .. } = vm.deploy(&fake::source("mycc:1")).await.unwrap_err() else {
            panic!()
        };
        let others = exit
            .last_lines
            .iter()
            .filter(|line| line.contains(':') && !line.trim().starts_with("lo:"));
        if offline && vm.level() >= Level::Namespaces {
            assert_eq!(others.count(), 0, "{:?}", exit.last_lines);
        } else {
            assert!(exit.last_lines.iter().any(|line| line.contains("lo:")));
        }
    }
}

#[tokio::test]
async fn stop_is_polite_first_and_ends_the_whole_tree_then() {
    for level in LEVELS {
        let setup = setup().await;
        let polite = "trap 'echo bye; exit 5' TERM; : > $TMPDIR/up; while :; do sleep 0.05; done";
        let vm = setup.vm_with(platform("true", &["sh", "-c", polite], |_| {}), |config| {
            config.strongest = level
        });
        let started = vm.start(&fake::request("mycc:1.0")).await.unwrap();
        setup.wait_until_up().await;
        vm.stop("mycc:1.0").await.unwrap();
        let exit = started.exit.try_get().unwrap();
        assert_eq!(
            (exit.code, exit.last_lines.last().unwrap().as_str()),
            (Some(5), "bye"),
            "{level}"
        );
        vm.stop("mycc:1.0").await.unwrap();
        vm.stop("unknown:1").await.unwrap();
    }
}

#[tokio::test]
async fn stop_and_exit_leave_no_process_behind() {
    for level in LEVELS {
        let setup = setup().await;
        // Ignores SIGTERM, has a child, and one that left the process group.
        let stubborn =
            "trap '' TERM; sleep 7654.5 & setsid sleep 7654.5 & : > $TMPDIR/up; while :; do sleep 0.05; done";
        let vm = setup.vm_with(platform("true", &["sh", "-c", stubborn], |_| {}), |config| {
            config.strongest = level;
            config.stop_grace = Duration::from_millis(100);
        });
        let started = vm.start(&fake::request("mycc:1.0")).await.unwrap();
        setup.wait_until_up().await;
        let marker = setup.marker();
        eventually(|| support::processes_with(&marker).len() >= 3).await;
        vm.stop("mycc:1.0").await.unwrap();
        assert_eq!(started.exit.wait().await.signal, Some(9), "{level}");
        let survivors = || support::processes_with(&marker);
        if vm.level() >= Level::Namespaces {
            eventually(|| survivors().is_empty()).await;
        } else {
            // Without namespaces one that leaves the group escapes, and only that one.
            eventually(|| survivors().len() <= 1).await;
            support::kill_all(&survivors());
        }
    }
}

#[tokio::test]
async fn a_second_start_ends_the_first_and_shutdown_ends_all() {
    let setup = setup().await;
    let vm = setup.vm(platform("true", &["sleep", "7654.5"], |_| {}));
    let first = vm.start(&fake::request("mycc:1.0")).await.unwrap();
    let second = vm.start(&fake::request("mycc:1.0")).await.unwrap();
    assert_eq!(first.exit.try_get().unwrap().signal, Some(15));
    let other = vm.start(&fake::request("other:1.0")).await.unwrap();
    assert!(second.exit.try_get().is_none() && other.exit.try_get().is_none());
    vm.shutdown().await;
    assert!(second.exit.try_get().is_some() && other.exit.try_get().is_some());
    // With their keys, and the groups they were in.
    let mut left = support::sub_folders(setup.root())
        .into_iter()
        .flat_map(|cc| support::sub_folders(&cc));
    assert!(left.all(|path| !path.join("tls").exists()));
    if vm.level() == Level::Full {
        let groups = support::groups_of(setup.root());
        assert!(
            groups.iter().all(|group| support::sub_folders(group).is_empty()),
            "{groups:?}"
        );
    }
    assert!(matches!(
        vm.start(&fake::request("mycc:1.0")).await,
        Err(VmError::ShuttingDown)
    ));
    eventually(|| support::processes_with(&setup.marker()).is_empty()).await;
}

#[tokio::test]
async fn shutdown_ends_a_build_at_work() {
    let setup = setup().await;
    let vm = Arc::new(setup.vm(platform(
        "touch $XDG_CACHE_HOME/log; exec sleep 7654.5",
        &[],
        |_| {},
    )));
    let build = tokio::spawn({
        let vm = Arc::clone(&vm);
        async move { vm.deploy(&fake::source("mycc:1.0")).await }
    });
    eventually(|| setup.cache_file("log").is_some_and(|log| log.exists())).await;
    vm.shutdown().await;
    assert!(matches!(build.await.unwrap(), Err(VmError::ShuttingDown)));
    setup.assert_no_work_left();
}

#[tokio::test]
async fn dropping_the_runtime_ends_its_processes() {
    let setup = setup().await;
    let vm = setup.vm(platform("true", &["sleep", "7654.5"], |_| {}));
    vm.start(&fake::request("mycc:1.0")).await.unwrap();
    let marker = setup.marker();
    eventually(|| !support::processes_with(&marker).is_empty()).await;
    drop(vm);
    eventually(|| support::processes_with(&marker).is_empty()).await;
}

#[tokio::test]
async fn programs_that_do_not_start_are_told() {
    let setup = setup().await;
    let vm = setup.vm(platform("true", &["no-such-program"], |_| {}));
    match vm.start(&fake::request("mycc:1.0")).await {
        // Without a helper the start itself fails.
        Err(error) => assert!(wire_message(&error).starts_with("start: start-could not start container: ")),
        Ok(started) => {
            let exit = started.exit.wait().await;
            assert_eq!(exit.code, Some(127));
            assert!(
                exit.last_lines.first().unwrap().starts_with("no-such-program: "),
                "{exit}"
            );
        }
    }
    drop(vm);
    let vm = setup.vm(platform("true", &[], |_| {}));
    let error = vm.start(&fake::request("mycc:1.0")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "start-could not start container: the platform gave no launch arguments"
    );
    let mut request = fake::request("mycc:1.0");
    request.peer_address = "host; rm -rf /".into();
    assert_eq!(vm.start(&request).await.unwrap_err().phase(), Phase::Start);
}

#[tokio::test]
async fn one_folder_serves_one_peer() {
    let setup = setup().await;
    let _first = setup.vm(platform("true", &[], |_| {}));
    let second = ProcessVm::new(
        setup.config(),
        Setup::naming(),
        Arc::new(platform("true", &[], |_| {})),
    );
    assert!(matches!(second, Err(OpenError::Locked(_))));
}

#[tokio::test]
async fn a_required_sandbox_that_is_not_to_be_had_is_an_error() {
    let setup = setup().await;
    let mut config = setup.config();
    config.sandbox = SandboxMode::Required;
    // Exits with 0, as many programs would, but is no helper.
    config.helper = Some("/bin/true".into());
    let refused = ProcessVm::new(
        config.clone(),
        Setup::naming(),
        Arc::new(platform("true", &[], |_| {})),
    );
    let text = wire_message(&refused.err().unwrap());
    assert!(
        text.starts_with("chaincode sandbox: configuration requires a sandbox"),
        "{text}"
    );
    config.sandbox = SandboxMode::Auto;
    let vm = ProcessVm::new(
        config,
        Setup::naming(),
        Arc::new(platform("true", &["true"], |_| {})),
    )
    .unwrap();
    assert_eq!(vm.level(), Level::Off);
    assert_eq!(
        vm.start(&fake::request("mycc:1.0"))
            .await
            .unwrap()
            .exit
            .wait()
            .await
            .code,
        Some(0)
    );
}

#[tokio::test]
async fn root_with_cgroups_has_the_full_sandbox() {
    let setup = setup().await;
    let vm = setup.vm(platform("true", &["true"], |_| {}));
    let trial = std::path::Path::new("/sys/fs/cgroup/memory").join(format!("trial-{}", std::process::id()));
    if is_root() && std::fs::create_dir(&trial).is_ok() {
        std::fs::remove_dir(&trial).unwrap();
        assert_eq!(vm.level(), Level::Full);
    } else {
        eprintln!("level here: {}", vm.level());
        assert!(vm.level() >= Level::Basic);
    }
}

#[tokio::test]
async fn levels_can_be_lowered() {
    let setup = setup().await;
    for level in LEVELS {
        let vm = setup.vm_with(platform("true", &["true"], |_| {}), |config| {
            config.strongest = level
        });
        assert!(vm.level() <= level, "{} above {level}", vm.level());
        assert_eq!(
            vm.start(&fake::request("mycc:1.0"))
                .await
                .unwrap()
                .exit
                .wait()
                .await
                .code,
            Some(0),
            "{level}"
        );
    }
}

/// Names the folder of the peer that `a_killed_peer_takes_its_processes_with_it` kills, and its level.
const DOOMED: &str = "CONTAINER_TEST_DOOMED_PEER";

/// Started by the next test in a process of its own; on its own it does nothing.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "how the next test tells its other process what to do"
)]
async fn doomed_peer() {
    let Ok(text) = std::env::var(DOOMED) else { return };
    let (level, root) = text.split_once(':').unwrap();
    let mut config = setup().await.config();
    config.root = root.into();
    config.strongest = LEVELS
        .into_iter()
        .find(|known| known.to_string() == level)
        .unwrap();
    let launch = ["sh", "-c", ": > $TMPDIR/up; exec sleep 7654.5"];
    let vm = ProcessVm::new(
        config,
        Setup::naming(),
        Arc::new(platform("true", &launch, |_| {})),
    )
    .unwrap();
    vm.start(&fake::request("mycc:1.0"))
        .await
        .unwrap()
        .exit
        .wait()
        .await;
}

#[tokio::test]
async fn a_killed_peer_takes_its_processes_with_it() {
    for level in [Level::Full, Level::Namespaces, Level::Basic] {
        let setup = setup().await;
        let mut peer = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "doomed_peer"])
            .env(DOOMED, format!("{level}:{}", setup.root().display()))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        setup.wait_until_up().await;
        let marker = setup.marker();
        let started = || {
            support::processes_with(&marker)
                .into_iter()
                .filter(|pid| *pid != peer.id())
                .count()
        };
        assert!(started() > 0);
        peer.kill().unwrap();
        peer.wait().unwrap();
        eventually(|| support::processes_with(&marker).is_empty()).await;
        // What it left on disk is cleaned up by the next one.
        drop(setup.vm(platform("true", &[], |_| {})));
        let left = support::sub_folders(setup.root())
            .iter()
            .flat_map(|cc| support::sub_folders(cc))
            .filter(|path| path.join("tls").exists())
            .count();
        assert_eq!(left, 0, "{level}");
    }
}
