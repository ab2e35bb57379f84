//! Launches: shared, failing with their texts, and held back after failures.

use container::{ExitInfo, VmError};
use prost::Message;
use protos::peer::{ChaincodeDeploymentSpec, ChaincodeSpec};

use super::*;
use crate::support::{ChaincodeSupport, Parts};
use crate::test_support::{FakeChannels, FakeShim, FakeStart, FakeVm};

struct Bench {
    _folder: tempfile::TempDir,
    vm: Arc<FakeVm>,
    support: Arc<ChaincodeSupport>,
    launcher: Arc<RuntimeLauncher>,
}

fn mycc() -> ChaincodeId {
    ChaincodeId::new("mycc", "1.0")
}

fn bench_with(config: Config, installed: bool) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let packages = Arc::new(PackageStore::open(folder.path()).unwrap());
    if installed {
        let spec = ChaincodeDeploymentSpec {
            chaincode_spec: Some(ChaincodeSpec {
                r#type: 2,
                chaincode_id: Some(protos::peer::ChaincodeId {
                    name: "mycc".into(),
                    version: "1.0".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            code_package: "code".into(),
            ..Default::default()
        };
        packages.install(spec.encode_to_vec().into()).unwrap();
    }
    let vm = FakeVm::new();
    let parts = Parts {
        vm: Some(vm.clone()),
        packages,
        channels: FakeChannels::new(),
        tls: None,
    };
    let support = ChaincodeSupport::new(config, parts);
    vm.connect(&support);
    let launcher = support.launcher().clone();
    Bench {
        _folder: folder,
        vm,
        support,
        launcher,
    }
}

fn bench() -> Bench {
    bench_with(Config::default(), true)
}

async fn failure(bench: &Bench) -> String {
    wire_message(&bench.launcher.launch(&mycc()).await.unwrap_err())
}

#[tokio::test]
async fn callers_share_one_launch() {
    let bench = bench();
    bench
        .vm
        .plan("mycc:1.0", FakeStart::Run(FakeShim::echo("mycc:1.0")));
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let launcher = bench.launcher.clone();
            tokio::spawn(async move { launcher.launch(&mycc()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    bench.launcher.launch(&mycc()).await.unwrap();
    assert_eq!(bench.vm.requests().len(), 1);
    assert_eq!(bench.vm.stops(), 1, "whatever ran under that id before");
    let labels = [("chaincode", "mycc:1.0"), ("success", "true")];
    let ended = || {
        bench
            .support
            .metrics()
            .value("chaincode_launch_duration", &labels)
    };
    // those who wait may hear of it first
    while ended() == 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ended(), 1.0, "callers that join a launch do not count");
}

#[tokio::test]
async fn the_runtime_gets_the_package_and_the_address() {
    let config = Config {
        chaincode_address: "peer:7052".into(),
        local_msp_id: "Org1MSP".into(),
        ..Config::default()
    };
    let bench = bench_with(config, true);
    bench
        .vm
        .plan("mycc:1.0", FakeStart::Run(FakeShim::echo("mycc:1.0")));
    bench.launcher.launch(&mycc()).await.unwrap();
    let requests = bench.vm.requests();
    let request = requests.first().unwrap();
    assert_eq!(request.chaincode_id, "mycc:1.0");
    assert_eq!(request.peer_address, "peer:7052");
    assert_eq!(request.local_msp_id, "Org1MSP");
    assert!(request.tls.is_none());
    assert_eq!(request.source.chaincode_type, "NODE");
    assert_eq!(request.source.code_package.as_ref(), b"code");
}

#[tokio::test]
async fn a_failed_start_reaches_all_callers_and_is_cleaned_up() {
    let bench = bench();
    let plan = FakeStart::Fail(VmError::Launch("no such file".into()));
    bench.vm.plan("mycc:1.0", plan);
    let (one, two) = tokio::join!(failure(&bench), failure(&bench));
    let text = "error starting container: start-could not start container: no such file";
    assert_eq!((one.as_str(), two.as_str()), (text, text));
    assert_eq!(bench.vm.requests().len(), 1);
    assert_eq!(bench.vm.stops(), 2);
    assert!(bench.support.registry().launch("mycc:1.0").is_none());
}

#[tokio::test]
async fn an_exit_before_registration_tells_code_and_last_lines() {
    let bench = bench();
    let exit = ExitInfo {
        code: Some(3),
        last_lines: vec!["cannot find module".into()],
        ..ExitInfo::default()
    };
    bench.vm.plan("mycc:1.0", FakeStart::Exit(exit));
    let text = failure(&bench).await;
    assert_eq!(
        text,
        "chaincode registration failed: container exited with 3 (phase start; all output: peer chaincode logs \
         mycc:1.0), last output: cannot find module"
    );
    assert_eq!(bench.vm.stops(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_chaincode_that_never_registers_times_out_and_is_stopped() {
    let bench = bench();
    let text = failure(&bench).await;
    assert_eq!(
        text,
        "timeout expired while starting chaincode mycc:1.0 for transaction (phase register: not over within 300s, \
         chaincode.startuptimeout; what it printed: peer chaincode logs mycc:1.0)"
    );
    assert_eq!(bench.vm.stops(), 2);
    assert!(bench.support.registry().launch("mycc:1.0").is_none());
}

/// Pulling and building have limits of their own, in the runtime.
#[tokio::test(start_paused = true)]
async fn the_startup_timeout_begins_with_the_start() {
    let bench = bench();
    bench.vm.build_takes(Duration::from_secs(1000));
    bench
        .vm
        .plan("mycc:1.0", FakeStart::Run(FakeShim::echo("mycc:1.0")));
    let began = Instant::now();
    bench.launcher.launch(&mycc()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1000));

    bench.vm.crash("mycc:1.0", ExitInfo::default());
    bench.vm.start_takes(Duration::from_secs(1000));
    let began = Instant::now();
    let text = loop {
        // the peer may still have to notice the crash
        match bench.launcher.launch(&mycc()).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(failed) => break wire_message(&failed),
        }
    };
    assert!(text.contains("(phase start: not over within 300s"), "{text}");
    assert_eq!(began.elapsed().as_secs(), 1300);
}

#[tokio::test(start_paused = true)]
async fn a_chaincode_that_registers_under_another_name_is_refused() {
    let bench = bench();
    let shim = FakeShim::echo("other:1.0");
    bench.vm.plan("mycc:1.0", FakeStart::RunAs(shim));
    assert!(failure(&bench).await.starts_with("timeout expired"));
    assert!(bench.support.registry().ready_handler("other:1.0").is_none());
}

#[tokio::test(start_paused = true)]
async fn repeated_failures_are_answered_at_once_for_a_while() {
    let bench = bench();
    let exit = ExitInfo {
        code: Some(1),
        ..ExitInfo::default()
    };
    bench.vm.plan("mycc:1.0", FakeStart::Exit(exit));
    let exited = "chaincode registration failed: container exited with 1 (phase start; all output: peer chaincode \
                  logs mycc:1.0)";
    assert_eq!(failure(&bench).await, exited);
    assert_eq!(failure(&bench).await, exited);
    assert_eq!(bench.vm.requests().len(), 2);
    let held_back = failure(&bench).await;
    assert_eq!(
        held_back,
        format!("chaincode mycc:1.0 failed 2 times in a row, next attempt in 1 s: {exited}")
    );
    assert_eq!(bench.vm.requests().len(), 2);
    tokio::time::advance(Duration::from_millis(1001)).await;
    bench
        .vm
        .plan("mycc:1.0", FakeStart::Run(FakeShim::echo("mycc:1.0")));
    bench.launcher.launch(&mycc()).await.unwrap();
    bench.vm.crash("mycc:1.0", ExitInfo::default());
    assert!(bench.launcher.failures.lock().is_empty());
}

#[test]
fn the_back_off_grows_to_its_cap() {
    let after = |count| {
        Failures {
            count,
            last: Arc::new(LaunchFailure::Lost),
            at: Instant::now(),
        }
        .back_off()
        .as_secs()
    };
    assert_eq!(
        [0, 1, 2, 3, 4, 7, 8, 9, 100].map(after),
        [0, 0, 1, 2, 4, 10, 10, 10, 10]
    );
}

#[tokio::test]
async fn a_missing_package_is_no_reason_to_hold_back() {
    let bench = bench_with(Config::default(), false);
    for _ in 0..4 {
        assert!(
            failure(&bench)
                .await
                .starts_with("could not get chaincode code: open ")
        );
    }
    assert!(bench.vm.requests().is_empty());
}

#[tokio::test]
async fn dev_mode_launches_nothing_and_says_what_to_do() {
    let config = Config {
        dev_mode: true,
        ..Config::default()
    };
    let bench = bench_with(config, true);
    let text = failure(&bench).await;
    assert!(text.contains("CORE_CHAINCODE_ID_NAME=mycc:1.0"), "{text}");
    assert!(text.contains("127.0.0.1:7052"), "{text}");
    assert!(bench.vm.requests().is_empty());
    let shim = FakeShim::echo("mycc:1.0").attach(&bench.support);
    shim.ready().await;
    bench.launcher.launch(&mycc()).await.unwrap();
}
