//! A token's claims on their way from a client's metadata to the chaincode, through a whole peer.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use integration::network::{CHAINCODE, Harness, Place};
use integration::shim::Shim;
use peer::client::proposal::{PreparedProposal, ProposalRequest};
use peer::dev::network::Network;
use peer::node::{Listeners, Node};
use protos::peer::endorser_client::EndorserClient;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::{Code, Request, Status};

/// An identity provider.
struct Issuer(EcdsaKeyPair);

impl Issuer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    fn jwks(&self) -> String {
        let point = self.0.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": coordinate(1), "y": coordinate(33)}]})
            .to_string()
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": "1"}).to_string();
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self
            .0
            .sign(&SystemRandom::new(), message.as_bytes())
            .expect("signs");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A peer with the filter and the decorator, on the ledger of a network that ran before without them.
struct Guarded {
    node: Node,
    network: NetworkFacts,
    issuer: Issuer,
    _shim: Shim,
    _place: Place,
}

/// What is left of a network that has stopped.
struct NetworkFacts {
    peer: String,
    user: std::sync::Arc<msp::LocalMsp>,
    admin: std::sync::Arc<msp::LocalMsp>,
}

impl NetworkFacts {
    fn of(network: &Network) -> Self {
        Self {
            peer: format!("http://127.0.0.1:{}", network.ports().peer),
            user: network.user().clone(),
            admin: network.admin().clone(),
        }
    }
}

impl Guarded {
    /// The first peer is there to install the chaincode, which the second would want a token for.
    async fn start() -> Self {
        let (network, place) = Harness::start().await.into_network();
        let facts = NetworkFacts::of(&network);
        let chaincode = format!("127.0.0.1:{}", network.ports().chaincode);
        let mut config = network.config().clone();
        network.shutdown().await.expect("an orderly stop");
        let issuer = Issuer::new();
        let keys = place.folder.path().join("jwks.json");
        std::fs::write(&keys, issuer.jwks()).expect("a file");
        // the machine may be busy with something else
        config.peer.handlers["authFilters"] = json!([{"name": "jwt", "timeoutMs": 60_000, "config": {
            "issuer": "https://idp.example.com",
            "audience": "fabric-peer",
            "keys": {"file": keys},
            "bind": [{"to": "certificateSha256"}, {"claim": "mspid", "to": "mspId"}],
            "claims": ["email", "roles"],
        }}]);
        config.peer.handlers["decorators"] =
            json!([{"name": "transient-claims", "timeoutMs": 60_000, "config": {"required": true}}]);
        let node = Node::start(config, Listeners::default())
            .await
            .expect("starts again");
        let shim = Shim::connect(&chaincode, "kv:1")
            .await
            .expect("the chaincode connects");
        Self {
            node,
            network: facts,
            issuer,
            _shim: shim,
            _place: place,
        }
    }

    /// Claims that fit the user.
    fn claims(&self) -> Value {
        let identity = self.network.user.signer().serialized_identity();
        let identity: protos::msp::SerializedIdentity =
            prost::Message::decode(identity).expect("an identity");
        let pem = String::from_utf8(identity.id_bytes.to_vec()).expect("text");
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).expect("base64");
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        json!({
            "iss": "https://idp.example.com", "aud": "fabric-peer", "exp": now + 300, "sub": "0815",
            "cnf": {"x5t#S256": thumbprint}, "mspid": identity.mspid, "email": "alice@example.com",
            "roles": ["auditor"],
        })
    }

    async fn call(
        &self,
        creator: &msp::LocalMsp,
        token: Option<&str>,
        args: &[&str],
    ) -> Result<Bytes, Status> {
        let args = args.iter().map(|arg| Bytes::from((*arg).to_owned()));
        let proposal = ProposalRequest::new("mychannel", CHAINCODE, args);
        let signed = PreparedProposal::new(&proposal, creator.signer())
            .expect("signs")
            .signed;
        let mut request = Request::new(signed);
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expect("metadata");
            request.metadata_mut().insert("authorization", value);
        }
        let mut client = EndorserClient::connect(self.network.peer.clone())
            .await
            .expect("connects");
        let answer = client.process_proposal(request).await?.into_inner();
        assert!(answer.endorsement.is_some(), "{answer:?}");
        Ok(answer.response.expect("a response").payload)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chaincode_reads_the_claims_of_its_callers_token() {
    let peer = Guarded::start().await;
    let token = peer.issuer.token(&peer.claims());
    let user = peer.network.user.clone();
    for (decoration, value) in [
        ("claim.email", "alice@example.com"),
        ("claim.roles", r#"["auditor"]"#),
        ("claim.sub", ""),
    ] {
        let seen = peer
            .call(&user, Some(&token), &["decoration", decoration])
            .await
            .expect("endorsed");
        assert_eq!(seen, value, "{decoration}");
    }
    let none = peer.call(&user, None, &["put", "a"]).await.expect_err("no token");
    assert_eq!(none.code(), Code::Unauthenticated);
    let forged = Issuer::new().token(&peer.claims());
    let refused = peer
        .call(&user, Some(&forged), &["put", "a"])
        .await
        .expect_err("another issuer's key");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let thief = peer.network.admin.clone();
    let stolen = peer
        .call(&thief, Some(&token), &["put", "a"])
        .await
        .expect_err("somebody else's token");
    assert_eq!(stolen.code(), Code::PermissionDenied);
    assert!(stolen.message().contains("cnf.x5t#S256"), "{}", stolen.message());
    peer.node.shutdown().await.expect("an orderly stop");
}
