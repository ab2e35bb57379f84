//! Deploy and upgrade, up to the committed definition.

use protos::common::SignaturePolicyEnvelope;
use protos::peer::{ChaincodeData, LifecycleEvent};

use super::*;

fn data(outcome: &SccOutcome) -> ChaincodeData {
    ChaincodeData::decode(payload(outcome)).unwrap()
}

fn any_of(role: &str) -> Vec<u8> {
    msp::policy::from_string(&format!("OR('Org1MSP.{role}', 'Org2MSP.{role}')"))
        .unwrap()
        .encode_to_vec()
}

#[tokio::test]
async fn a_deployment_has_fabrics_defaults_and_commits() {
    let scene = Scene::new();
    scene.install(&cds("mycc", "1.0")).await;
    let spec = cds("mycc", "1.0");
    let (outcome, code) = scene
        .commit(&scene.network.org1.admin, &[b"deploy", CHANNEL.as_bytes(), &spec])
        .await;
    let stored = data(&outcome);
    assert_eq!((stored.name.as_str(), stored.version.as_str()), ("mycc", "1.0"));
    assert_eq!((stored.escc.as_str(), stored.vscc.as_str()), ("escc", "vscc"));
    assert_eq!(stored.policy, any_of("member"));
    assert_eq!(stored.instantiation_policy, any_of("admin"));
    assert_eq!((stored.id.len(), outcome.event), (32, None));
    assert_eq!(code, TxValidationCode::Valid);
    let state = scene
        .channel
        .ledger()
        .new_query_executor()
        .get_state("lscc", "mycc")
        .unwrap()
        .unwrap();
    assert_eq!(ChaincodeData::decode(state).unwrap(), stored);
    let again = scene.lscc(&[b"deploy", CHANNEL.as_bytes(), &spec]).await;
    assert_eq!(message(&again), "chaincode with name 'mycc' already exists");
}

#[tokio::test]
async fn a_deployment_takes_what_it_is_given() {
    let scene = Scene::new();
    scene.install(&cds("mycc", "1.0")).await;
    let (spec, policy) = (cds("mycc", "1.0"), any_of("peer"));
    let given = scene
        .lscc(&[b"deploy", CHANNEL.as_bytes(), &spec, &policy, b"escc", b"vscc"])
        .await;
    let given = data(&given);
    assert_eq!(
        (given.policy.as_ref(), given.escc.as_str(), given.vscc.as_str()),
        (policy.as_slice(), "escc", "vscc")
    );
    let empty = scene
        .lscc(&[b"deploy", CHANNEL.as_bytes(), &spec, b"", b"", b""])
        .await;
    assert_eq!(
        (data(&empty).escc.as_str(), data(&empty).vscc.as_str()),
        ("escc", "vscc")
    );
    assert!(SignaturePolicyEnvelope::decode(data(&empty).policy).is_ok());
}

#[tokio::test]
async fn plugins_that_nobody_has_are_refused() {
    let scene = Scene::new();
    scene.install(&cds("mycc", "1.0")).await;
    let spec = cds("mycc", "1.0");
    for function in [b"deploy".as_slice(), b"upgrade"] {
        let with = |escc: &'static [u8], vscc: &'static [u8]| {
            let (scene, spec) = (&scene, &spec);
            async move {
                let answer = scene
                    .lscc(&[function, CHANNEL.as_bytes(), spec, b"", escc, vscc])
                    .await;
                message(&answer).to_owned()
            }
        };
        assert_eq!(
            with(b"", b"vsc").await,
            "vsc is not a valid validation system chaincode"
        );
        assert_eq!(
            with(b"special", b"").await,
            "special is not a valid endorsement system chaincode"
        );
    }
}

/// Both kinds under one name.
struct Special;

impl DeployablePlugins for Special {
    fn endorses(&self, name: &str) -> bool {
        name == "special"
    }

    fn validates(&self, name: &str) -> bool {
        name == "special"
    }
}

#[tokio::test]
async fn plugins_that_the_peer_has_may_be_named() {
    let mut scene = Scene::new();
    scene.install(&cds("mycc", "1.0")).await;
    scene.lscc = scene.lscc.plugins(Arc::new(Special));
    let spec = cds("mycc", "1.0");
    let deploy: [&[u8]; 6] = [b"deploy", CHANNEL.as_bytes(), &spec, b"", b"special", b"special"];
    let deployed = ChaincodeData::decode(payload(&scene.lscc(&deploy).await)).unwrap();
    assert_eq!(
        (deployed.escc.as_str(), deployed.vscc.as_str()),
        ("special", "special")
    );
    // this one has nothing else
    let defaults: [&[u8]; 3] = [b"deploy", CHANNEL.as_bytes(), &spec];
    assert_eq!(
        message(&scene.lscc(&defaults).await),
        "escc is not a valid endorsement system chaincode"
    );
}

#[tokio::test]
async fn the_instantiation_policy_decides_who_deploys() {
    let scene = Scene::new();
    scene.install(&cds("plain", "1")).await;
    let spec = cds("plain", "1");
    let args: [&[u8]; 3] = [b"deploy", CHANNEL.as_bytes(), &spec];
    let denied = scene
        .call(&scene.lscc, &scene.network.org1.user, CHANNEL, &args)
        .await;
    assert_eq!(
        message(&denied),
        "instantiation policy violation: signature set did not satisfy policy"
    );
    assert!(
        payload(
            &scene
                .call(&scene.lscc, &scene.network.org2.admin, CHANNEL, &args)
                .await
        )
        .len()
            > 32
    );
    scene
        .install(&signed_package("signed", "1", "OR('Org2MSP.admin')"))
        .await;
    let spec = cds("signed", "1");
    let args: [&[u8]; 3] = [b"deploy", CHANNEL.as_bytes(), &spec];
    assert!(message(&scene.lscc(&args).await).starts_with("instantiation policy violation: "));
    let (outcome, code) = scene.commit(&scene.network.org2.admin, &args).await;
    assert_eq!((outcome.response.status, code), (200, TxValidationCode::Valid));
}

#[tokio::test]
async fn an_upgrade_replaces_the_definition_and_says_so() {
    let scene = Scene::new();
    scene.deploy("mycc", "1.0").await;
    scene.install(&cds("mycc", "2.0")).await;
    let (one, two, other) = (cds("mycc", "1.0"), cds("mycc", "2.0"), cds("other", "1.0"));
    scene.install(&other).await;
    let upgrade = |spec| [b"upgrade".as_slice(), CHANNEL.as_bytes(), spec];
    let same = scene.lscc(&upgrade(&one)).await;
    assert_eq!(
        message(&same),
        "version already exists for chaincode with name 'mycc'"
    );
    let unknown = scene.lscc(&upgrade(&other)).await;
    assert_eq!(message(&unknown), "could not find chaincode with name 'other'");
    let denied = scene
        .call(&scene.lscc, &scene.network.org1.user, CHANNEL, &upgrade(&two))
        .await;
    assert!(message(&denied).starts_with("instantiation policy violation: "));
    let (outcome, code) = scene.commit(&scene.network.org1.admin, &upgrade(&two)).await;
    assert_eq!(
        (data(&outcome).version.as_str(), code),
        ("2.0", TxValidationCode::Valid)
    );
    let event = outcome.event.unwrap();
    assert_eq!(event.event_name, "upgrade");
    assert_eq!(
        LifecycleEvent::decode(event.payload).unwrap().chaincode_name,
        "mycc"
    );
}

#[tokio::test]
async fn both_policies_count_in_an_upgrade() {
    let scene = Scene::new();
    scene.deploy("mycc", "1.0").await;
    scene
        .install(&signed_package("mycc", "2.0", "OR('Org2MSP.admin')"))
        .await;
    let spec = cds("mycc", "2.0");
    let args: [&[u8]; 3] = [b"upgrade", CHANNEL.as_bytes(), &spec];
    assert!(message(&scene.lscc(&args).await).starts_with("instantiation policy violation: "));
    let (_, code) = scene.commit(&scene.network.org2.admin, &args).await;
    assert_eq!(code, TxValidationCode::Valid);
    // now the old one is the second organisation's
    scene.install(&cds("mycc", "3.0")).await;
    let spec = cds("mycc", "3.0");
    let args: [&[u8]; 3] = [b"upgrade", CHANNEL.as_bytes(), &spec];
    assert!(message(&scene.lscc(&args).await).starts_with("instantiation policy violation: "));
}

#[tokio::test]
async fn what_is_wrong_with_a_deployment_is_said() {
    let scene = Scene::new();
    let spec = cds("mycc", "1.0");
    let channel = CHANNEL.as_bytes();
    let said = async |args: &[&[u8]]| message(&scene.lscc(args).await).to_owned();
    assert_eq!(
        said(&[b"deploy", channel]).await,
        "invalid number of arguments to lscc: 2"
    );
    assert_eq!(said(&[b"deploy", b"", &spec]).await, "invalid channel name: ");
    assert!(said(&[b"deploy", b"other", &spec]).await.contains("'other'"));
    let undecodable = said(&[b"deploy", channel, b"\xff"]).await;
    assert!(
        undecodable.starts_with("error unmarshalling ChaincodeDeploymentSpec: "),
        "{undecodable}"
    );
    assert_eq!(
        said(&[b"deploy", channel, &spec]).await,
        "cannot get package for chaincode (mycc:1.0)"
    );
    let eight: Vec<&[u8]> = vec![b"deploy", channel, &spec, b"", b"", b"", b"", b""];
    assert_eq!(said(&eight).await, "invalid number of arguments to lscc: 8");
    let name = cds("../x", "1.0");
    assert!(
        said(&[b"deploy", channel, &name])
            .await
            .starts_with("invalid chaincode name '../x'.")
    );
}

#[tokio::test]
async fn collections_are_kept_as_given() {
    let scene = Scene::new();
    scene.install(&cds("mycc", "1.0")).await;
    let spec = cds("mycc", "1.0");
    let deploy = |collections| {
        [
            b"deploy".as_slice(),
            CHANNEL.as_bytes(),
            &spec,
            b"",
            b"",
            b"",
            collections,
        ]
    };
    let bad = scene.lscc(&deploy(b"\xff")).await;
    assert_eq!(
        message(&bad),
        "invalid collection configuration supplied for chaincode mycc:1.0"
    );
    let members = msp::policy::from_string("OR('Org1MSP.member')").unwrap();
    let members = protos::common::collection_policy_config::Payload::SignaturePolicy(members);
    let collection = protos::common::StaticCollectionConfig {
        name: "c1".into(),
        member_orgs_policy: Some(protos::common::CollectionPolicyConfig {
            payload: Some(members),
        }),
        ..Default::default()
    };
    let payload_of = protos::common::collection_config::Payload::StaticCollectionConfig(collection);
    let package = protos::common::CollectionConfigPackage {
        config: vec![protos::common::CollectionConfig {
            payload: Some(payload_of),
        }],
    }
    .encode_to_vec();
    let (outcome, code) = scene.commit(&scene.network.org1.admin, &deploy(&package)).await;
    assert_eq!((outcome.response.status, code), (200, TxValidationCode::Valid));
    let kept = scene.lscc(&[b"GetCollectionsConfig", b"mycc"]).await;
    assert_eq!(payload(&kept), package);
    let none = scene.lscc(&[b"GetCollectionsConfig", b"other"]).await;
    assert_eq!(
        message(&none),
        "collections config not defined for chaincode other"
    );
}

#[tokio::test]
async fn newer_capabilities_end_the_old_lifecycle_and_older_ones_know_no_collections() {
    let mut network = TestNetwork::new();
    network.capability = "V2_0".into();
    let scene = Scene::with(network, FakePlatforms::default());
    let spec = cds("mycc", "1.0");
    let refused = scene.lscc(&[b"deploy", CHANNEL.as_bytes(), &spec]).await;
    let expected = "Channel 'mychannel' has been migrated to the new lifecycle, LSCC is now read-only";
    assert_eq!(message(&refused), expected);
    let mut network = TestNetwork::new();
    network.capability = "V1_1".into();
    // ACLs came with 1.2
    network.acls.clear();
    let scene = Scene::with(network, FakePlatforms::default());
    let seven: Vec<&[u8]> = vec![b"deploy", CHANNEL.as_bytes(), &spec, b"", b"", b"", b"x"];
    assert!(message(&scene.lscc(&seven).await).starts_with("as V1_2 or later capability is not enabled"));
}
