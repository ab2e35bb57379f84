//! Install, and the list of what is installed.

use super::*;
use protos::peer::ChaincodeQueryResponse;

#[tokio::test]
async fn names_and_versions_follow_fabrics_rules() {
    let scene = Scene::new();
    assert_eq!(text(&scene.install(&cds("example02", "1.0")).await), "OK");
    assert_eq!(
        text(&scene.install(&cds("example02", "1.0-alpha+001")).await),
        "OK"
    );
    assert_eq!(
        text(&scene.install(&cds("example02", "1.0+sha.c0ffee")).await),
        "OK"
    );
    for name in ["", "example02.go", "../x", "a:b"] {
        let expected = format!(
            "invalid chaincode name '{name}'. Names must start with an alphanumeric character and can only consist \
             of alphanumerics, '_', and '-'"
        );
        assert_eq!(message(&scene.install(&cds(name, "1.0")).await), expected);
    }
    for version in ["", "1{}0"] {
        let expected = format!(
            "invalid chaincode version '{version}'. Versions must not be empty and can only consist of \
             alphanumerics, '_',  '-', '+', and '.'"
        );
        assert_eq!(
            message(&scene.install(&cds("example02", version)).await),
            expected
        );
    }
    let reserved = scene.install(&cds("qscc", "1.0")).await;
    assert_eq!(
        message(&reserved),
        "cannot install: qscc is the name of a system chaincode"
    );
}

#[tokio::test]
async fn a_package_is_installed_once() {
    let scene = Scene::new();
    scene.install(&cds("a", "1")).await;
    let again = scene.install(&cds("a", "1")).await;
    let path = scene.network.folder().join("chaincodes/a.1");
    let expected = format!(
        "Error installing chaincode code a:1(chaincode {} exists)",
        path.display()
    );
    assert_eq!(message(&again), expected);
}

#[tokio::test]
async fn only_local_admins_install_and_list() {
    let scene = Scene::new();
    for signer in [&scene.network.org1.user, &scene.network.org2.admin] {
        let package = cds("a", "1");
        let denied = scene.call(&scene.lscc, signer, "", &[b"install", &package]).await;
        assert!(
            message(&denied).starts_with("access denied for [install]: "),
            "{denied:?}"
        );
        let denied = scene
            .call(&scene.lscc, signer, "", &[b"getinstalledchaincodes"])
            .await;
        assert!(message(&denied).starts_with("access denied for [getinstalledchaincodes]: "));
    }
    assert!(scene.packages.list().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_package_is_refused() {
    let scene = Scene::new();
    assert!(message(&scene.install(b"garbage").await).contains("failed to unmarshal"));
    let short = scene
        .call(&scene.lscc, &scene.network.org1.admin, "", &[b"install"])
        .await;
    assert_eq!(message(&short), "invalid number of arguments to lscc: 1");
    let mut spec = deployment_spec("a", "1");
    spec.code_package = "no archive".into();
    let refused = scene.install(&spec.encode_to_vec()).await;
    assert!(
        message(&refused).starts_with("invalid state database artifact: "),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_platform_has_a_say() {
    let platforms = FakePlatforms {
        refused: HashSet::from(["GOLANG"]),
    };
    let scene = Scene::with(TestNetwork::new(), platforms);
    assert_eq!(message(&scene.install(&cds("a", "1")).await), "platform refuses");
    assert!(scene.packages.list().unwrap().is_empty());
}

#[tokio::test]
async fn installed_packages_are_listed_by_name() {
    let scene = Scene::new();
    let list = async || {
        let listed = scene.lscc(&[b"GetInstalledChaincodes"]).await;
        ChaincodeQueryResponse::decode(payload(&listed))
            .unwrap()
            .chaincodes
    };
    assert!(list().await.is_empty());
    scene.install(&cds("b", "1")).await;
    scene
        .install(&signed_package("a", "1.0", "OR('Org1MSP.admin')"))
        .await;
    std::fs::write(scene.network.folder().join("chaincodes/foreign.1"), "junk").unwrap();
    let found = list().await;
    let names: Vec<_> = found
        .iter()
        .map(|info| (info.name.as_str(), info.version.as_str()))
        .collect();
    assert_eq!(names, [("a", "1.0"), ("b", "1")]);
    assert_eq!((found[1].path.as_str(), found[1].id.len()), ("example.com/b", 32));
    let extra = scene.lscc(&[b"getinstalledchaincodes", b"x"]).await;
    assert_eq!(message(&extra), "invalid number of arguments to lscc: 2");
}

/// Builds nothing and remembers what it was asked for.
#[derive(Default)]
struct FakeBuilder {
    fails: bool,
    hangs: bool,
    asked: parking_lot::Mutex<Vec<String>>,
}

#[async_trait]
impl PackageBuilder for FakeBuilder {
    async fn build(&self, package: &chaincode::Package) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.asked.lock().push(package.source().id);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        match self.fails {
            true => Err("npm says no".into()),
            false => Ok(()),
        }
    }

    fn phase(&self, _package: &chaincode::Package) -> Option<&'static str> {
        self.hangs.then_some("dependencies")
    }
}

#[tokio::test]
async fn an_installer_who_waited_long_enough_hears_what_is_going_on() {
    let mut scene = Scene::new();
    let builder = FakeBuilder {
        hangs: true,
        ..Default::default()
    };
    scene.lscc = scene
        .lscc
        .builder(Arc::new(builder))
        .install_limit(std::time::Duration::from_millis(1200));
    let installed = scene.install(&cds("a", "1")).await;
    assert_eq!(
        message(&installed),
        "chaincode installed to peer but could not build chaincode: phase dependencies of a:1: not built within 1s \
         (chaincode.installTimeout); the build goes on, and the first call waits for it (all output: peer chaincode \
         logs a:1)"
    );
    let id = protos::ChaincodeId::new("a", "1");
    assert!(scene.packages.load(&id).is_ok(), "the file stays");
}

#[tokio::test]
async fn what_is_installed_is_built_and_stays_if_it_does_not_build() {
    for fails in [false, true] {
        let mut scene = Scene::new();
        let builder = Arc::new(FakeBuilder {
            fails,
            ..Default::default()
        });
        scene.lscc = scene.lscc.builder(Arc::<FakeBuilder>::clone(&builder));
        let installed = scene.install(&cds("a", "1")).await;
        match fails {
            false => assert_eq!(text(&installed), "OK"),
            true => assert_eq!(
                message(&installed),
                "chaincode installed to peer but could not build chaincode: npm says no"
            ),
        }
        let id = protos::ChaincodeId::new("a", "1");
        assert!(scene.packages.load(&id).is_ok(), "the file stays");
        let again = scene.install(&cds("a", "1")).await;
        let again = message(&again);
        assert!(again.contains(" exists)"), "{again}");
        assert_eq!(*builder.asked.lock(), ["a:1"], "what was not kept is not built");
    }
}

#[tokio::test]
async fn a_package_beyond_the_configured_size_is_refused_by_the_keys_name() {
    let mut scene = Scene::new();
    let package = cds("a", "1");
    scene.lscc = scene.lscc.max_package_size(package.len() - 1);
    assert_eq!(
        message(&scene.install(&package).await),
        format!(
            "the package has {} bytes, more than the {} of chaincode.maxPackageSize",
            package.len(),
            package.len() - 1
        )
    );
    scene.lscc = scene.lscc.max_package_size(package.len());
    assert_eq!(text(&scene.install(&package).await), "OK");
}
