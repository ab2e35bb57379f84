//! Deployments: LSCC first, then the chaincode's `Init` in the same transaction.

use committer::test_support::deployment_spec;
use prost::Message;
use protos::peer::ChaincodeDeploymentSpec;
use protos::peer::chaincode_spec::Type;

use super::*;

fn initializing(init: Response) -> FakeExecutor {
    FakeExecutor::default().define("new", move |_, _| {
        Ok(ExecuteOutcome {
            response: init.clone(),
            event: None,
        })
    })
}

fn deploy(scene: &Scene, spec: &ChaincodeDeploymentSpec) -> TestProposal {
    scene.proposal("lscc", &[b"deploy", CHANNEL.as_bytes(), &spec.encode_to_vec()])
}

#[tokio::test]
async fn init_runs_in_the_transaction_that_deploys() {
    let scene = Scene::new(initializing(status(200)));
    let mut spec = deployment_spec("new", "2.0");
    let input = spec.chaincode_spec.as_mut().unwrap().input.as_mut().unwrap();
    input
        .decorations
        .insert("peer".into(), Bytes::from_static(b"forged"));
    let answered = scene.response(&deploy(&scene, &spec)).await;
    assert!(answered.endorsement.is_some());
    let [(_, lscc), (init, params)] = <[_; 2]>::try_from(scene.calls()).ok().unwrap();
    assert!(Arc::ptr_eq(&lscc, &params));
    assert_eq!(
        (init.chaincode, init.kind),
        (ChaincodeId::new("new", "2.0"), InvocationKind::Init)
    );
    assert_eq!(init.input.args, [Bytes::from_static(b"init")]);
    assert!(
        init.input.decorations.is_empty(),
        "only the peer decorates what chaincode gets"
    );
}

#[tokio::test]
async fn only_deployments_with_their_arguments_run_init() {
    let scene = Scene::new(initializing(status(200)));
    let spec = deployment_spec("new", "2.0").encode_to_vec();
    for args in [
        vec![b"deploy".as_slice(), CHANNEL.as_bytes()],
        vec![b"getid", CHANNEL.as_bytes(), &spec],
        vec![b"DEPLOY", CHANNEL.as_bytes(), &spec],
    ] {
        scene.response(&scene.proposal("lscc", &args)).await;
    }
    assert_eq!(scene.calls().len(), 3);
}

#[tokio::test]
async fn a_failed_init_fails_the_deployment() {
    for code in [400, 500] {
        let scene = Scene::new(initializing(status(code)));
        let said = scene
            .failure(&deploy(&scene, &deployment_spec("new", "2.0")))
            .await;
        assert_eq!(
            said,
            format!("error in simulation: transaction returned with failure: said {code}")
        );
    }
    let scene =
        Scene::new(FakeExecutor::default().define("new", |_, _| Err(ExecuteError::Returned("no".into()))));
    let said = scene
        .failure(&deploy(&scene, &deployment_spec("new", "2.0")))
        .await;
    assert_eq!(said, "error in simulation: transaction returned with failure: no");
}

#[tokio::test]
async fn a_refused_deployment_runs_no_init() {
    let mut executor = initializing(status(200));
    executor.scripts.insert(
        "lscc",
        Box::new(|_, _| {
            Ok(ExecuteOutcome {
                response: status(500),
                event: None,
            })
        }),
    );
    let scene = Scene::new(executor);
    let answered = scene
        .response(&deploy(&scene, &deployment_spec("new", "2.0")))
        .await;
    assert_eq!(
        (answered.response, answered.endorsement),
        (Some(status(500)), None)
    );
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_deployed_is_refused() {
    let scene = Scene::new(initializing(status(200)));
    let said = scene
        .failure(&deploy(&scene, &deployment_spec("qscc", "2.0")))
        .await;
    assert_eq!(
        said,
        "error in simulation: attempting to deploy a system chaincode qscc/mychannel"
    );
    let mut with_code = deployment_spec("new", "2.0");
    with_code.code_package = "code".into();
    let said = scene.failure(&deploy(&scene, &with_code)).await;
    assert_eq!(
        said,
        "error in simulation: lscc upgrade/deploy should not include a code packages"
    );
    let mut untyped = deployment_spec("new", "2.0");
    untyped.chaincode_spec.as_mut().unwrap().r#type = Type::Undefined.into();
    let said = scene.failure(&deploy(&scene, &untyped)).await;
    assert_eq!(said, "error in simulation: Unknown chaincodeType: UNDEFINED");
    let garbage = scene.proposal("lscc", &[b"upgrade", CHANNEL.as_bytes(), b"\xff"]);
    let said = scene.failure(&garbage).await;
    assert!(
        said.starts_with("error in simulation: error unmarshalling ChaincodeDeploymentSpec: "),
        "{said}"
    );
}
