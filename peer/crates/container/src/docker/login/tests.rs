//! Logins: which one an image gets, and what is said where one cannot be used.

use super::*;
use protos::wire_message;

#[test]
fn the_registry_is_the_first_part_of_a_name_if_it_looks_like_a_host() {
    for (image, registry) in [
        ("node:20", HUB),
        ("hyperledger/fabric-nodeenv:2.5", HUB),
        ("docker.io/library/node", HUB),
        ("index.docker.io/a/b", HUB),
        ("r.example/a/b:1", "r.example"),
        ("localhost/a", "localhost"),
        ("host:5000/a@sha256:00", "host:5000"),
    ] {
        assert_eq!(registry_of(image), registry, "{image}");
    }
    assert_eq!(server(HUB), HUB_KEY);
    assert_eq!(server("r.example"), "r.example");
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn config(&self, content: &str) -> RegistryLogins {
        RegistryLogins {
            config_file: Some(self.write("config.json", content)),
            registries: Vec::new(),
        }
    }
}

async fn told(logins: &RegistryLogins, image: &str) -> String {
    wire_message(&logins.for_image(image).await.unwrap_err())
}

#[tokio::test]
async fn a_login_is_for_its_own_registry_and_a_single_one_goes_before_the_file() {
    let files = Files::new();
    let basic = STANDARD.encode("of-file:pass:word");
    let mut logins = files.config(&format!(
        r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{basic}"}}, "r.example": {{"auth": "{basic}"}},
            "t.example": {{"identitytoken": "id-token"}}, "plain.example": {{"username": "u", "password": "p"}},
            "empty.example": {{}}}}, "HttpHeaders": {{"x": "y"}}}}"#
    ));
    logins.registries.push(RegistryLogin {
        registry: "r.example".into(),
        username: "own".into(),
        password_file: files.write("password", "s3cret\n"),
    });
    let hub = logins.for_image("a/b").await.unwrap().unwrap();
    let sent = hub.credentials();
    assert_eq!(
        (sent.username.as_deref(), sent.password.as_deref()),
        (Some("of-file"), Some("pass:word"))
    );
    assert_eq!(sent.serveraddress.as_deref(), Some(HUB_KEY));
    let own = logins.for_image("r.example/a:1").await.unwrap().unwrap();
    assert_eq!(own.credentials().password.as_deref(), Some("s3cret"));
    assert_eq!(
        (own.user().as_str(), own.origin.as_str()),
        ("own at r.example", "vm.docker.auth.registries")
    );
    let token = logins.for_image("t.example/a").await.unwrap().unwrap();
    assert_eq!(token.credentials().identitytoken.as_deref(), Some("id-token"));
    assert!(logins.for_image("plain.example/a").await.unwrap().is_some());
    for none in ["empty.example/a", "r.example:5000/a", "other.example/a"] {
        assert_eq!(logins.for_image(none).await.unwrap(), None, "{none}");
    }
    let shown = format!("{own:?} {hub:?} {logins:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("pass:word"),
        "{shown}"
    );
    let secret = format!("said s3cret and {}", STANDARD.encode("own:s3cret"));
    assert_eq!(own.redact(secret), "said ***** and *****");
}

#[tokio::test]
async fn what_a_helper_keeps_is_refused_for_that_registry_alone() {
    let files = Files::new();
    let logins = files.config(
        r#"{"auths": {"stored.example": {}}, "credsStore": "desktop", "credHelpers": {"aws.example": "ecr-login"}}"#,
    );
    let stored = told(&logins, "stored.example/a").await;
    assert!(stored.contains("docker-credential-desktop") && stored.contains("vm.docker.auth.registries"));
    assert!(
        told(&logins, "aws.example/a")
            .await
            .contains("docker-credential-ecr-login")
    );
    assert_eq!(logins.for_image("node:20").await.unwrap(), None);
}

#[tokio::test]
async fn files_that_hold_no_login_are_named_and_not_quoted() {
    let files = Files::new();
    for broken in [
        r#"{"auths": {"r.example": {"auth": 5, "password": "s3cret"}}}"#,
        r#"{"auths": {"r.example": {"auth": "s3cret!"}}}"#,
        "s3cret",
    ] {
        let said = told(&files.config(broken), "r.example/a").await;
        assert!(
            said.starts_with("the login for r.example cannot be read from /"),
            "{said}"
        );
        assert!(!said.contains("s3cret"), "{said}");
    }
    let large = files.config(&" ".repeat(1 + (1 << 20)));
    assert!(told(&large, "r.example/a").await.contains("larger than 1 MiB"));
    for (name, content) in [("none", None), ("empty", Some("\n")), ("two", Some("a\nb"))] {
        if let Some(content) = content {
            files.write(name, content);
        }
        let logins = RegistryLogins {
            config_file: None,
            registries: vec![RegistryLogin {
                registry: "https://r.example/v2/".into(),
                username: "u".into(),
                password_file: files.0.path().join(name),
            }],
        };
        let said = told(&logins, "r.example/a").await;
        assert!(said.contains(&format!("/{name}")), "{said}");
    }
}
