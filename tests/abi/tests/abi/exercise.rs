//! Every hook of the fixture, and what it must answer.

use crate::library::Library;
use bytes::Bytes;
use handlers::{AuthChain, Kind, ParsedRequest, Platform, Rejection};
use protos::peer::ChaincodeInput;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What is special about a build of the fixture.
#[derive(Clone, Copy, Default)]
pub struct Build {
    /// The minor version that it was built for, which is what it uses.
    pub minor: u32,
    pub debug: bool,
    pub old_tokio: bool,
}

/// Calls everything in both executors.
pub async fn exercise(library: &Library, build: Build) {
    let manifest = library.manifest();
    assert_eq!(manifest.name, "AbiFixture");
    assert_eq!(manifest.api, format!("1.{}", build.minor));
    assert_eq!(
        manifest.kinds[..3],
        [Kind::AuthFilter, Kind::Decorator, Kind::Platform]
    );
    assert_eq!((manifest.unwinds, manifest.debug), (true, build.debug));
    for executor in ["inline", "isolated"] {
        let fixture = Fixture { library, executor };
        fixture.hooks().await;
        fixture.failures().await;
        fixture.host_services().await;
        fixture.decorators().await;
        if build.minor >= 1 {
            fixture.said().await;
        }
        if build.old_tokio {
            assert_eq!(fixture.answer("tokio").await.unwrap(), "tokio");
        }
    }
    platform(library).await;
    refused_config(library);
}

fn request() -> Arc<ParsedRequest> {
    Arc::new(ParsedRequest {
        proposal_bytes: Bytes::from("proposal"),
        signature: Bytes::from("signature"),
        channel_id: "channel".to_owned(),
        tx_id: "tx".to_owned(),
        chaincode_name: "chaincode".to_owned(),
        msp_id: "msp".to_owned(),
        creator_cert: Bytes::from("cert"),
        remote_addr: "10.0.0.1:7".to_owned(),
        attrs: vec![("trace.parent".to_owned(), Bytes::from("00-1"))],
        ..ParsedRequest::default()
    })
}

struct Fixture<'a> {
    library: &'a Library,
    executor: &'a str,
}

fn mode(mode: &str) -> Value {
    json!({ "mode": mode })
}

/// Runs a request around an endorser.
async fn run(chain: &AuthChain, outcome: Result<&'static str, Rejection>) -> Result<String, Rejection> {
    let ran = chain.run(request(), || async { outcome.map(Bytes::from) }).await;
    ran.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

impl Fixture<'_> {
    fn entry(&self, name: &str, what: &str) -> Value {
        let mut entry = self.library.entry(name, &mode(what));
        entry["executor"] = json!(self.executor);
        entry
    }

    fn chain(&self, modes: &[&str]) -> AuthChain {
        let entries = modes.iter().enumerate();
        let entries: Vec<Value> = entries
            .map(|(at, one)| self.entry(&format!("f{at}"), one))
            .collect();
        self.library.load(Kind::AuthFilter, &entries).auth_chain()
    }

    async fn answer(&self, what: &str) -> Result<String, Rejection> {
        run(&self.chain(&[what]), Ok("done")).await
    }

    async fn hooks(&self) {
        let facts =
            "proposal\nsignature\nchannel\ntx\nchaincode\nmsp\ncert\n10.0.0.1:7\n0\nSome(\"00-1\")\nNone";
        assert_eq!(self.answer("facts").await.unwrap(), facts);
        // a state for each, in reverse order
        let chain = self.chain(&["note", "around", "note"]);
        assert_eq!(
            run(&chain, Ok("done")).await.unwrap(),
            "done tx f2 around channel tx f0"
        );
        let refused = run(&chain, Err(Rejection::new(5, "not here"))).await;
        assert_eq!(refused.unwrap_err(), Rejection::new(5, "not here tx f2 tx f0"));
    }

    async fn failures(&self) {
        assert_eq!(
            self.answer("deny").await.unwrap_err(),
            Rejection::new(7, "denied by f0")
        );
        let panicked = self.answer("panic").await.unwrap_err();
        assert_eq!(panicked, Rejection::new(13, "auth filter f0 failed"));
        let mut hanging = self.entry("hangs", "hang");
        hanging["timeoutMs"] = json!(20);
        let registry = self.library.load(Kind::AuthFilter, &[hanging]);
        let late = run(&registry.auth_chain(), Ok("done")).await.unwrap_err();
        assert_eq!(late.code, 4, "{late}");
        // a request that ends while a filter carries a state
        let chain = self.chain(&["note", "around"]);
        let endless = chain.run(request(), std::future::pending::<Result<Bytes, Rejection>>);
        let cancelled = tokio::time::timeout(Duration::from_millis(20), endless).await;
        assert!(cancelled.is_err());
        assert_eq!(
            run(&chain, Ok("done")).await.unwrap(),
            "done around channel tx f0"
        );
    }

    async fn host_services(&self) {
        let registry = self
            .library
            .load(Kind::AuthFilter, &[self.entry("metered", "sleep")]);
        let chain = registry.auth_chain();
        for _ in 0..3 {
            assert_eq!(run(&chain, Ok("done")).await.unwrap(), "slept true");
        }
        let sum = |name: &str| {
            let metrics = registry.metrics();
            let metric = metrics.iter().find(|metric| metric.name == name);
            metric.map(|metric| metric.value.total())
        };
        assert_eq!(sum("plugin_metered_seen"), Some(3.0));
        assert_eq!(sum("plugin_metered_bytes"), Some(7.5));
    }

    async fn said(&self) {
        assert_eq!(
            run(&self.chain(&["say", "hear"]), Ok("done")).await.unwrap(),
            "said"
        );
    }

    async fn decorators(&self) {
        let entries = [self.entry("d0", "edit"), self.entry("d1", "edit")];
        let chain = self.library.load(Kind::Decorator, &entries).decorators();
        let input = ChaincodeInput {
            args: ["f", "a", "b"].map(Bytes::from).to_vec(),
            is_init: true,
            ..ChaincodeInput::default()
        };
        let edited = chain.decorate(&request(), input.clone()).await.unwrap();
        assert_eq!(edited.args, ["f!!", "a", "4 true", "msp"].map(Bytes::from));
        assert_eq!(edited.decorations.len(), 1);
        assert_eq!(edited.decorations["seen"], Bytes::from("d0;d1;"));
        for (mode, text) in [("deny", "denied by d"), ("panic", "decorator d failed")] {
            let chain = self
                .library
                .load(Kind::Decorator, &[self.entry("d", mode)])
                .decorators();
            let failed = chain.decorate(&request(), input.clone()).await.unwrap_err();
            assert_eq!(failed.message, text);
        }
    }
}

fn spec() -> Bytes {
    Bytes::from_static(b"\x1a\x00")
}

async fn platform(library: &Library) {
    let mut config = mode("plan");
    config["chaincodes"] = json!({ "own": { "mode": "panic" } });
    let registry = library.load(Kind::Platform, &[library.entry("p", &config)]);
    let platforms = registry.platforms();
    let platform = platforms.by_type("fixture").unwrap();
    packages(platform).await;
    plans(platform).await;
}

async fn packages(platform: &Platform) {
    let none = Bytes::new;
    assert_eq!(platform.validate_spec(spec()).await, Ok(()));
    let refused = platform.validate_spec(none()).await.unwrap_err();
    assert_eq!(refused.to_string(), "no spec");
    assert_eq!(platform.validate_deployment_spec(spec()).await, Ok(()));
    let refused = platform.validate_deployment_spec(none()).await.unwrap_err();
    assert_eq!(refused.to_string(), "no deployment");
    assert_eq!(platform.deployment_payload(spec()).await.unwrap(), "payload 2");
    assert_eq!(platform.dockerfile(spec()).await.unwrap(), "FROM fixture 2");
    assert_eq!(platform.normalize_path(none()).await.unwrap(), None);
    assert_eq!(platform.normalize_path(spec()).await.unwrap().unwrap(), "path 2");
}

async fn plans(platform: &Platform) {
    let plan = platform.build_plan(spec()).await.unwrap();
    assert_eq!((plan.image.as_str(), plan.offline), ("image", true));
    assert_eq!(plan.cmd, "cp \"$CHAINCODE_INPUT\" \"$CHAINCODE_OUTPUT\"");
    assert_eq!(
        [plan.env.join(","), plan.secrets.join(",")],
        ["LENGTH=2", "secret"]
    );
    assert_eq!(plan.files, [("own".to_owned(), Bytes::new())]);
    assert_eq!(plan.launch_for("peer:1"), ["run", "peer:1"]);
    assert_eq!(plan.container_launch_for("peer:1"), ["run-inside", "peer:1"]);
    // ChaincodeDeploymentSpec { chaincode_spec { chaincode_id { name: "own" } } }: this chaincode has an instance of its own
    let own = Bytes::from_static(b"\x0a\x07\x12\x05\x12\x03own");
    let plan = platform.build_plan(own.clone()).await.unwrap();
    let stated = Bytes::from(r#"{"mode":"panic"}"#);
    assert_eq!(plan.files, [("own".to_owned(), stated)]);
    let panicked = platform.dockerfile(own).await.unwrap_err();
    assert_eq!(panicked.to_string(), "platform p.own failed");
}

fn refused_config(library: &Library) {
    for (config, expected) in [
        (mode("refuse"), "no use for {\"mode\":\"refuse\"}"),
        (json!({ "mode": 7 }), "config.mode"),
    ] {
        let errors = library
            .try_load(Kind::AuthFilter, &[library.entry("f", &config)])
            .unwrap_err();
        assert!(errors.to_string().contains(expected), "{errors}");
    }
}
