//! Mutual TLS of the main listener.

use core_config::Override;
use integration::binaries;
use integration::ports::Reserved;
use peer::dev::network::{Network, NetworkSpec};

#[tokio::test(flavor = "multi_thread")]
async fn the_organisations_of_the_channels_are_trusted_besides_the_configured_roots() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stranger = cryptogen::CertificateAuthority::new(
        &cryptogen::Subject::named("tlsca.elsewhere.example.com"),
        cryptogen::Validity::from_now(),
        cryptogen::Curve::P256,
    )
    .expect("CA");
    let root = folder.path().join("elsewhere.pem");
    std::fs::write(&root, stranger.certificate_pem()).expect("root");
    let ([peer, _chaincode], orderer) = (Reserved::pair(), Reserved::any());
    let start = async |further: Vec<Override>| {
        let set = |key: &str, value: serde_json::Value| Override::new(key, value, "test");
        let plugins = serde_json::json!([binaries::plugin_dir()]);
        let mut overrides = vec![
            set("chaincode.mode", "dev".into()),
            set("peer.handlers.pluginDirs", plugins),
        ];
        overrides.extend(further);
        Network::start(NetworkSpec {
            overrides,
            peer_port: peer.number(),
            orderer_port: orderer.number(),
            ..NetworkSpec::new(folder.path().join("net"), "mychannel")
        })
        .await
    };
    start(Vec::new())
        .await
        .expect("network")
        .shutdown()
        .await
        .expect("stopped");
    let set = |key: &str, value: serde_json::Value| Override::new(key, value, "test");
    let network = start(vec![
        set("peer.tls.clientAuthRequired", true.into()),
        set("peer.tls.clientRootCAs.files", serde_json::json!([root])),
    ])
    .await
    .expect("the network's own clients are members of the channel's organisation");
    let info = network.user_client();
    assert!(
        info.peer().tls_cert_hash().len() == 32,
        "the client shows a certificate"
    );
    network.shutdown().await.expect("stopped");
}
