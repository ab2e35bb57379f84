//! Formats, fingerprints and files of packages.

use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload};
use protos::peer::chaincode_spec::Type;
use protos::peer::{
    CdsData, ChaincodeDeploymentSpec, ChaincodeSpec, Endorsement, SignedCdsData,
    SignedChaincodeDeploymentSpec,
};
use protos::sha256;

use super::*;

fn spec(name: &str, version: &str) -> ChaincodeDeploymentSpec {
    ChaincodeDeploymentSpec {
        chaincode_spec: Some(ChaincodeSpec {
            r#type: Type::Node.into(),
            chaincode_id: Some(protos::peer::ChaincodeId {
                name: name.into(),
                version: version.into(),
                path: "some/path".into(),
            }),
            ..Default::default()
        }),
        code_package: Bytes::from_static(b"code"),
        ..Default::default()
    }
}

fn plain(name: &str, version: &str) -> Bytes {
    spec(name, version).encode_to_vec().into()
}

fn endorsement(endorser: &'static str, signature: &'static str) -> Endorsement {
    Endorsement {
        endorser: endorser.into(),
        signature: signature.into(),
    }
}

fn signed(policy: &'static str, owners: Vec<Endorsement>, kind: HeaderType) -> Bytes {
    let signed = SignedChaincodeDeploymentSpec {
        chaincode_deployment_spec: plain("mycc", "1.0"),
        instantiation_policy: policy.into(),
        owner_endorsements: owners,
    };
    let channel_header = ChannelHeader {
        r#type: kind.into(),
        ..Default::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: channel_header.encode_to_vec().into(),
            ..Default::default()
        }),
        data: signed.encode_to_vec().into(),
    };
    let envelope = Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    };
    envelope.encode_to_vec().into()
}

fn endorsed(policy: &'static str) -> Bytes {
    signed(
        policy,
        vec![endorsement("owner1", "s1"), endorsement("owner2", "s2")],
        HeaderType::ChaincodePackage,
    )
}

fn store() -> (tempfile::TempDir, PackageStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = PackageStore::open(folder.path()).unwrap();
    (folder, store)
}

fn text(error: &PackageError) -> String {
    wire_message(error)
}

#[test]
fn a_plain_package_has_fabrics_fingerprints() {
    let package = Package::parse(plain("mycc", "1.0")).unwrap();
    let (code, metadata) = (sha256(&[b"code"]), sha256(&[b"mycc1.0"]));
    let data = package.chaincode_data();
    assert_eq!(data.id.as_ref(), sha256(&[&code, &metadata]));
    let hashes = CdsData::decode(data.data).unwrap();
    assert_eq!(hashes.codehash.as_ref(), code);
    assert_eq!(hashes.metadatahash.as_ref(), metadata);
    assert_eq!((data.name.as_str(), data.version.as_str()), ("mycc", "1.0"));
    assert!(data.instantiation_policy.is_empty());
    assert_eq!(package.instantiation_policy(), None);
    assert_eq!(
        (&*package.chaincode_type(), package.path()),
        ("NODE", "some/path")
    );
    assert_eq!(package.deployment_spec_bytes(), &plain("mycc", "1.0"));
}

#[test]
fn a_signed_package_hashes_policy_and_endorsers_but_not_signatures() {
    let raw = endorsed("policy");
    let package = Package::parse(raw.clone()).unwrap();
    let signatures = sha256(&[b"policyowner1owner2"]);
    let data = package.chaincode_data();
    let hashes = SignedCdsData::decode(data.data).unwrap();
    assert_eq!(hashes.signaturehash.as_ref(), signatures);
    assert_eq!(
        package.fingerprint(),
        sha256(&[&sha256(&[b"code"]), &sha256(&[b"mycc1.0"]), &signatures])
    );
    assert_eq!(data.instantiation_policy.as_ref(), b"policy");
    assert_eq!(package.raw(), &raw);
    assert_eq!(package.deployment_spec_bytes(), &plain("mycc", "1.0"));
}

#[test]
fn what_is_no_package_is_refused_with_fabrics_text() {
    let refused = |bytes: Bytes| text(&Package::parse(bytes).unwrap_err());
    assert_eq!(
        refused(signed("policy", vec![], HeaderType::Config)),
        "invalid type of envelope for chaincode package"
    );
    assert_eq!(
        refused(signed("", vec![], HeaderType::ChaincodePackage)),
        "instantiation policy cannot be nil for chaincode (mycc:1.0)"
    );
    let incomplete = vec![endorsement("owner1", "s1"), endorsement("owner2", "")];
    assert!(
        refused(signed("policy", incomplete, HeaderType::ChaincodePackage))
            .starts_with("an owner endorsement without endorser or signature")
    );
    assert!(refused(Bytes::from_static(b"garbage")).starts_with("failed to unmarshal envelope from bytes: "));
    assert!(refused(Bytes::new()).starts_with("failed to unmarshal envelope from bytes"));
    assert!(refused(plain("bad\nname", "1.0")).starts_with("failed to unmarshal envelope from bytes"));
}

#[test]
fn every_truncation_of_a_package_is_refused_or_a_package() {
    for whole in [plain("mycc", "1.0"), endorsed("policy")] {
        for length in 0..whole.len() {
            // a cut between two fields can leave a smaller package; nothing may panic
            if let Ok(package) = Package::parse(whole.slice(..length)) {
                assert_eq!(&*package.id().name, "mycc");
            }
        }
    }
}

#[test]
fn names_and_versions_follow_fabrics_rules() {
    for name in ["a", "mycc", "my-cc", "my_cc-2", "0a"] {
        assert!(check_name(name).is_ok(), "{name}");
    }
    for name in [
        "",
        "-a",
        "a-",
        "a--b",
        "example02.go",
        "../a",
        "a/b",
        "a:b",
        "ünïcode",
        "a b",
        "a\0",
    ] {
        let error = check_name(name).unwrap_err();
        assert!(text(&error).starts_with(&format!("invalid chaincode name '{name}'. Names must start")));
    }
    for version in ["1.0", "1.0-alpha+001", "1.0+sha.c0ffee", "v_1", ".."] {
        assert!(check_version(version).is_ok(), "{version}");
    }
    for version in ["", "1{}0", "1/0", "1:0", "../../x", "1 0"] {
        let error = check_version(version).unwrap_err();
        assert!(text(&error).starts_with(&format!("invalid chaincode version '{version}'. Versions must")));
    }
}

#[test]
fn an_installed_package_is_found_by_name_and_version() {
    let (folder, store) = store();
    let raw = endorsed("policy");
    store.install(raw.clone()).unwrap();
    let path = folder.path().join("chaincodes/mycc.1.0");
    assert_eq!(fs::read(&path).unwrap(), raw);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    let id = ChaincodeId::new("mycc", "1.0");
    let again = PackageStore::open(folder.path()).unwrap();
    assert_eq!(again.load(&id).unwrap().raw(), &raw);
    assert_eq!(again.info(&id).unwrap(), store.info(&id).unwrap());
    assert!(again.load(&ChaincodeId::new("mycc", "2.0")).is_err());
}

#[test]
fn a_package_is_never_installed_over_another() {
    let (folder, store) = store();
    store.install(plain("mycc", "1.0")).unwrap();
    let error = store.install(endorsed("policy")).unwrap_err();
    let path = folder.path().join("chaincodes/mycc.1.0");
    assert_eq!(text(&error), format!("chaincode {} exists", path.display()));
    assert_eq!(fs::read(path).unwrap(), plain("mycc", "1.0"));
}

#[test]
fn a_name_cannot_lead_out_of_the_folder() {
    let (folder, store) = store();
    for (name, version) in [
        ("../evil", "1"),
        ("a/../../evil", "1"),
        ("", "1"),
        ("cc", "../../1"),
        ("cc", ""),
    ] {
        assert!(store.install(plain(name, version)).is_err());
        assert!(store.load(&ChaincodeId::new(name, version)).is_err());
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn the_list_leaves_out_what_is_no_package() {
    let (folder, store) = store();
    for (name, version) in [("b", "2.0"), ("a", "1.0.1"), ("b", "1.0")] {
        store.install(plain(name, version)).unwrap();
    }
    let chaincodes = folder.path().join("chaincodes");
    fs::write(chaincodes.join("garbage.1"), "garbage").unwrap();
    fs::write(chaincodes.join("nodot"), "garbage").unwrap();
    fs::write(chaincodes.join("renamed.1"), plain("other", "1")).unwrap();
    fs::create_dir(chaincodes.join("folder.1")).unwrap();
    fs::write(chaincodes.join(".install-left"), "half").unwrap();
    let store = PackageStore::open(folder.path()).unwrap();
    let names: Vec<String> = store
        .list()
        .unwrap()
        .iter()
        .map(|info| info.id().to_string())
        .collect();
    assert_eq!(names, ["a:1.0.1", "b:1.0", "b:2.0"]);
    assert!(!chaincodes.join(".install-left").exists());
}

#[test]
fn a_file_larger_than_any_package_is_not_read() {
    let (folder, store) = store();
    let file = fs::File::create(folder.path().join("chaincodes/huge.1")).unwrap();
    file.set_len(u64::try_from(MAX_MESSAGE_SIZE).unwrap() + 1)
        .unwrap();
    let error = store.load(&ChaincodeId::new("huge", "1")).unwrap_err();
    assert!(text(&error).starts_with("chaincode package has 104857601 bytes"));
}

#[test]
fn a_definition_must_fit_the_installed_package() {
    let (_folder, store) = store();
    let data = store.install(endorsed("policy")).unwrap().chaincode_data();
    store.check(&data).unwrap();
    let refused = |data: &ChaincodeData| wire_message(&store.check(data).unwrap_err());
    let other_policy = ChaincodeData {
        instantiation_policy: Bytes::from_static(b"other"),
        ..data.clone()
    };
    assert_eq!(
        refused(&other_policy),
        "Instantiation policy mismatch for cc mycc:1.0"
    );
    let other_code = ChaincodeData {
        data: SignedCdsData::default().encode_to_vec().into(),
        ..data.clone()
    };
    assert_eq!(
        refused(&other_code),
        "chaincode fingerprint mismatch: data mismatch"
    );
    let garbage = ChaincodeData {
        data: Bytes::from_static(&[0xff]),
        ..data.clone()
    };
    assert!(refused(&garbage).starts_with("chaincode fingerprint mismatch: "));
    let missing = ChaincodeData {
        version: "2.0".into(),
        ..data
    };
    assert!(refused(&missing).starts_with("invalid deployment spec: "));
    let plain = store.install(plain("plain", "1.0")).unwrap().chaincode_data();
    let policy_of_the_channel = ChaincodeData {
        instantiation_policy: Bytes::from_static(b"default"),
        ..plain
    };
    store.check(&policy_of_the_channel).unwrap();
}
