//! The stream over real gRPC, with and without TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use container::TlsFiles;
use protos::wire_message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server};

use super::*;
use crate::bench::{invoke, params};
use crate::config::Config;
use crate::packages::PackageStore;
use crate::support::Parts;
use crate::test_support::{FakeChannels, FakeShim, ShimAnswer};
use crate::tls::TlsAuthority;

struct Served {
    _folder: tempfile::TempDir,
    support: Arc<ChaincodeSupport>,
    tls: Option<Arc<TlsAuthority>>,
    address: SocketAddr,
}

impl Served {
    async fn start(with_tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = with_tls.then(|| Arc::new(TlsAuthority::new(&address.to_string()).unwrap()));
        let parts = Parts {
            vm: None,
            packages: Arc::new(PackageStore::open(folder.path()).unwrap()),
            channels: FakeChannels::new(),
            tls: tls.clone(),
        };
        let config = Config {
            dev_mode: true,
            ..Config::default()
        };
        let support = ChaincodeSupport::new(config, parts);
        let mut server = Server::builder();
        if let Some(tls) = &tls {
            server = server.tls_config(tls.server_config()).unwrap();
        }
        let serving = server.add_service(support.service());
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
        Self {
            _folder: folder,
            support,
            tls,
            address,
        }
    }

    async fn plain(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    fn issue(&self, chaincode: &str) -> TlsFiles {
        self.tls.as_ref().unwrap().issue(chaincode).unwrap()
    }

    async fn tls(&self, root: &[u8], files: Option<&TlsFiles>) -> Result<Channel, String> {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root));
        if let Some(files) = files {
            config = config.identity(Identity::from_pem(&files.client_cert_pem, &files.client_key_pem));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        let endpoint = endpoint.tls_config(config).unwrap();
        endpoint.connect().await.map_err(|error| wire_message(&error))
    }

    async fn call(&self, argument: &str) -> Result<Bytes, String> {
        let outcome = self
            .support
            .execute(params("tx"), invoke("mycc", &[argument]))
            .await;
        outcome
            .map(|outcome| outcome.response.payload)
            .map_err(|error| wire_message(&error))
    }
}

#[tokio::test]
async fn a_chaincode_registers_and_runs_over_grpc() {
    let served = Served::start(false).await;
    let shim = FakeShim::echo("mycc:1.0")
        .connect(served.plain().await)
        .await
        .unwrap();
    shim.ready().await;
    assert_eq!(served.call("hello").await.unwrap(), "hello");
    shim.hang_up();
    while served.support.registry().launch("mycc:1.0").is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_beyond_the_usual_grpc_limit_passes() {
    let served = Served::start(false).await;
    let shim = FakeShim::new("mycc:1.0", |_| async {
        ShimAnswer::success(vec![7; 20 * 1024 * 1024])
    });
    let shim = shim.connect(served.plain().await).await.unwrap();
    shim.ready().await;
    assert_eq!(served.call("").await.unwrap().len(), 20 * 1024 * 1024);
}

#[tokio::test]
async fn a_refused_registration_is_a_grpc_status() {
    let served = Served::start(false).await;
    let _first = FakeShim::echo("mycc:1.0")
        .connect(served.plain().await)
        .await
        .unwrap();
    _first.ready().await;
    let second = FakeShim::echo("mycc:1.0")
        .connect(served.plain().await)
        .await
        .unwrap();
    let status = second.ended().await.unwrap();
    assert_eq!(status.code(), tonic::Code::Unknown);
    assert_eq!(status.message(), "duplicate chaincodeID: mycc:1.0");
}

#[tokio::test]
async fn with_tls_a_chaincode_registers_under_the_name_of_its_certificate_only() {
    let served = Served::start(true).await;
    let files = served.issue("mycc:1.0");
    let connect = async || served.tls(&files.root_cert_pem, Some(&files)).await.unwrap();
    let other = FakeShim::echo("other:1.0")
        .connect(connect().await)
        .await
        .unwrap();
    let status = other.ended().await.unwrap();
    assert!(
        status.message().ends_with(" belongs to a different chaincode"),
        "{status}"
    );
    let shim = FakeShim::echo("mycc:1.0").connect(connect().await).await.unwrap();
    shim.ready().await;
    assert_eq!(served.call("secret").await.unwrap(), "secret");
}

#[tokio::test]
async fn with_tls_strangers_do_not_get_in() {
    let served = Served::start(true).await;
    let files = served.issue("mycc:1.0");
    let stranger = TlsAuthority::new("127.0.0.1:1")
        .unwrap()
        .issue("mycc:1.0")
        .unwrap();
    // the handshake may be seen to fail while connecting or with the first call
    for identity in [None, Some(&stranger)] {
        if let Ok(channel) = served.tls(&files.root_cert_pem, identity).await {
            match FakeShim::echo("mycc:1.0").connect(channel).await {
                Ok(shim) => assert!(shim.ended().await.is_some()),
                Err(status) => assert_ne!(status.code(), tonic::Code::Ok),
            }
        }
        assert!(served.support.registry().launch("mycc:1.0").is_none());
    }
    assert!(served.tls(&stranger.root_cert_pem, Some(&files)).await.is_err());
}
