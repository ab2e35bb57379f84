//! Promises of platforms.

use crate::check::Step;
use crate::growth;
use crate::inputs::{Input, middling};
use crate::promises::Promises;
use crate::subject::Subject;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::future::join_all;
use handlers::{Executor, Kind, Platform, PlatformError, Registry};
use prost::Message;
use protos::peer::{ChaincodeDeploymentSpec, ChaincodeId, ChaincodeSpec};

/// Calls at the same time: the peer has four threads for a platform.
const CONCURRENT: usize = 50;

pub(crate) async fn check(subject: &Subject, step: Step, promises: &mut Promises) -> Result<()> {
    let registry = subject.good(Kind::Platform, Executor::Isolated)?;
    let platform = &only(&registry)?;
    let mut when = "when it is called";
    match step {
        Step::Input(input) => {
            when = input.when();
            hostile(platform, input, promises).await;
        }
        Step::Packages => packages(platform, promises).await,
        Step::Plans => plans(platform, promises).await,
        Step::Sources => sources(platform, subject, promises).await?,
        Step::Concurrency => {
            when = "under load";
            let alone = platform.build_plan(Bytes::new()).await;
            let all = join_all((0..CONCURRENT).map(|_| platform.build_plan(Bytes::new()))).await;
            promises.check(all.iter().all(|one| *one == alone), "plans the same under load");
        }
        Step::CallMemory => {
            let package = middling();
            growth::calls(|| platform.validate_deployment_spec(package.clone()), promises).await?;
            growth::calls(|| platform.build_plan(Bytes::new()), promises).await?;
        }
        _ => bail!("no check of platforms"),
    }
    promises.check_stats(&registry, when);
    Ok(())
}

async fn hostile(platform: &Platform, input: Input, promises: &mut Promises) {
    let bytes = input.bytes();
    let package = ChaincodeDeploymentSpec {
        code_package: bytes.clone(),
        ..Default::default()
    };
    for input_bytes in [bytes, package.encode_to_vec().into()] {
        all_calls(platform, &input_bytes, input.when(), promises).await;
    }
}

async fn packages(platform: &Platform, promises: &mut Promises) {
    let absent = platform.validate_deployment_spec(Bytes::new()).await;
    promises.check(absent.is_ok(), "takes a deployment without a package for valid");
    let damaged = ChaincodeDeploymentSpec {
        code_package: Bytes::from("garbage"),
        ..Default::default()
    };
    let refused = platform
        .validate_deployment_spec(damaged.encode_to_vec().into())
        .await;
    promises.check(refused.is_err(), "refuses a package that is none");
}

fn only(registry: &Registry) -> Result<Platform> {
    let platforms = registry.platforms();
    let chaincode_type = platforms
        .types()
        .next()
        .context("no platform was loaded")?
        .to_owned();
    Ok(platforms.by_type(&chaincode_type)?.clone())
}

fn has_reason<T>(result: &Result<T, PlatformError>) -> bool {
    result
        .as_ref()
        .err()
        .is_none_or(|error| !error.to_string().is_empty())
}

async fn all_calls(platform: &Platform, input: &Bytes, when: &str, promises: &mut Promises) {
    let reasons = [
        has_reason(&platform.validate_spec(input.clone()).await),
        has_reason(&platform.validate_deployment_spec(input.clone()).await),
        has_reason(&platform.deployment_payload(input.clone()).await),
        has_reason(&platform.dockerfile(input.clone()).await),
        has_reason(&platform.build_plan(input.clone()).await),
    ];
    promises.check(
        reasons.into_iter().all(|given| given),
        format!("gives reasons {when}"),
    );
}

async fn plans(platform: &Platform, promises: &mut Promises) {
    let (first, second) = (
        platform.build_plan(Bytes::new()).await,
        platform.build_plan(Bytes::new()).await,
    );
    promises.check(first == second, "plans the same build twice");
    let Ok(plan) = first else {
        promises.check(false, "plans a build");
        return;
    };
    promises.check(
        plan.cmd.contains("CHAINCODE_OUTPUT"),
        "builds into $CHAINCODE_OUTPUT",
    );
    let variables = plan
        .env
        .iter()
        .all(|line| line.split_once('=').is_some_and(|(name, _)| !name.is_empty()));
    promises.check(variables, "names its variables NAME=value");
    let outside = plan
        .files
        .iter()
        .any(|(path, _)| path.starts_with('/') || path.split('/').any(|part| part == ".."));
    promises.check(!outside, "keeps its files inside of the input folder");
    let address = "peer.example:7052";
    for arguments in [plan.launch_for(address), plan.container_launch_for(address)] {
        let reached = arguments.iter().any(|argument| argument.contains(address));
        promises.check(reached, "tells the chaincode the peer's address");
    }
    let dockerfile = platform.dockerfile(Bytes::new()).await.unwrap_or_default();
    promises.check(dockerfile.starts_with("FROM "), "starts its Dockerfile with FROM");
}

async fn sources(platform: &Platform, subject: &Subject, promises: &mut Promises) -> Result<()> {
    let folder = subject
        .sources
        .as_deref()
        .context("no folder of sources was given")?;
    let path = folder
        .to_str()
        .context("the path of the sources is not UTF-8")?
        .to_owned();
    let id = ChaincodeId {
        path,
        ..Default::default()
    };
    let spec = ChaincodeSpec {
        chaincode_id: Some(id),
        ..Default::default()
    };
    let encoded = Bytes::from(spec.encode_to_vec());
    platform.validate_spec(encoded.clone()).await?;
    let package = platform.deployment_payload(encoded.clone()).await?;
    promises.check(
        package == platform.deployment_payload(encoded).await?,
        "packs equal sources equally",
    );
    let deployment = ChaincodeDeploymentSpec {
        chaincode_spec: Some(spec),
        code_package: package,
        ..Default::default()
    };
    let accepted = platform
        .validate_deployment_spec(deployment.encode_to_vec().into())
        .await;
    promises.check(accepted.is_ok(), format!("accepts its own package: {accepted:?}"));
    Ok(())
}
