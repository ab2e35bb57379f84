//! The peer's event service and its clients over mutual TLS on loopback.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cryptogen::{CertificateAuthority, CertificateSpec, Curve, IssuedCertificate, Subject, Validity};
use msp::{Certificate, LocalSigner};
use parking_lot::Mutex;
use prost::Message;
use protos::common::{
    Block, BlockMetadataIndex, ChannelHeader, Envelope, Header, HeaderType, LastConfig, Metadata, Payload,
    Status,
};
use protos::peer::TxValidationCode;
use protos::peer::deliver_server::DeliverServer;
use protos::{SignedData, TxId, new_block, set_metadata};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate as TlsCertificate, Identity, Server, ServerTlsConfig};

use super::{
    ClientIdentity, ClientTls, CommitListener, ConnectError, FetchError, GrpcTarget, PeerDeliverClient,
    Position, WaitError,
};
use crate::server::{BlockForm, BlockSource, DeliverHandler, DeliverSettings, PeerDeliverService, Sources};

/// A channel whose blocks the test adds.
struct Ledger {
    blocks: Mutex<Vec<Block>>,
    height: watch::Sender<u64>,
}

impl Ledger {
    fn add(&self, tx_id: &str, code: TxValidationCode) {
        let mut blocks = self.blocks.lock();
        let header = ChannelHeader {
            r#type: HeaderType::EndorserTransaction.into(),
            tx_id: tx_id.into(),
            ..Default::default()
        };
        let header = Header {
            channel_header: header.encode_to_vec().into(),
            ..Default::default()
        };
        let payload = Payload {
            header: Some(header),
            ..Default::default()
        };
        let envelope = Envelope {
            payload: payload.encode_to_vec().into(),
            ..Default::default()
        };
        let number = blocks.len() as u64;
        let mut block = new_block(number, Bytes::new(), vec![envelope.encode_to_vec().into()]);
        let filter = u8::try_from(code as i32).expect("code fits");
        set_metadata(
            &mut block,
            BlockMetadataIndex::TransactionsFilter,
            vec![filter].into(),
        );
        let last_config = LastConfig { index: 1 }.encode_to_vec().into();
        let last_config = Metadata {
            value: last_config,
            ..Default::default()
        };
        set_metadata(
            &mut block,
            BlockMetadataIndex::LastConfig,
            last_config.encode_to_vec().into(),
        );
        blocks.push(block);
        self.height.send_replace(number + 1);
    }
}

impl BlockSource for Ledger {
    fn height_watch(&self) -> watch::Receiver<u64> {
        self.height.subscribe()
    }

    fn block(&self, number: u64) -> Result<Option<Block>, Box<dyn Error + Send + Sync>> {
        Ok(self.blocks.lock().get(usize::try_from(number)?).cloned())
    }

    fn check_access(
        &self,
        _form: BlockForm,
        _signed: &SignedData,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn config_sequence(&self) -> u64 {
        0
    }
}

struct Channels(Arc<Ledger>);

impl Sources for Channels {
    fn source(&self, channel: &str) -> Option<Arc<dyn BlockSource>> {
        (channel == "ch").then(|| self.0.clone() as Arc<dyn BlockSource>)
    }
}

/// A peer that demands client certificates, and what a client needs to reach it.
struct Peer {
    ledger: Arc<Ledger>,
    shutdown: CancellationToken,
    target: GrpcTarget,
    signer: LocalSigner,
    ca: CertificateAuthority,
}

fn pem(certificate: &IssuedCertificate) -> ClientIdentity {
    ClientIdentity {
        certificate_pem: certificate.certificate_pem().into(),
        key_pem: certificate.key().pkcs8_pem().into(),
    }
}

impl Peer {
    async fn start() -> Self {
        let ca = CertificateAuthority::new(&Subject::named("tlsca"), Validity::from_now(), Curve::P256)
            .expect("CA");
        let issue = |name: &str| {
            let spec = CertificateSpec::tls(Subject::named(name), ["localhost", "127.0.0.1"]);
            ca.issue(&spec).expect("certificate")
        };
        let (server, client) = (issue("peer0"), issue("client"));
        let signing = ca
            .issue(&CertificateSpec::signing(Subject::named("user")))
            .expect("certificate");
        let certificate = Certificate::from_pem(signing.certificate_pem().as_bytes()).expect("certificate");
        let signer = LocalSigner::new("Org1MSP", &certificate, signing.key().pkcs8_pem().as_bytes());

        let ledger = Arc::new(Ledger {
            blocks: Mutex::default(),
            height: watch::Sender::new(0),
        });
        let shutdown = CancellationToken::new();
        let settings = DeliverSettings {
            time_window: Duration::from_secs(900),
            mutual_tls: true,
            no_expiration_checks: false,
            shutdown: shutdown.clone(),
        };
        let handler = DeliverHandler::new(Arc::new(Channels(ledger.clone())), settings);
        let service = DeliverServer::new(PeerDeliverService::new(handler));
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(
                server.certificate_pem(),
                server.key().pkcs8_pem(),
            ))
            .client_ca_root(TlsCertificate::from_pem(ca.certificate_pem()));
        let server = Server::builder()
            .tls_config(tls)
            .expect("TLS")
            .add_service(service);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("address").to_string();
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

        let roots = vec![ca.certificate_pem().into()];
        let tls = ClientTls {
            roots,
            identity: Some(pem(&client)),
            server_name: None,
        };
        let target = GrpcTarget {
            address,
            tls: Some(tls),
            connect_timeout: Duration::from_secs(30),
            keepalive: None,
        };
        Self {
            ledger,
            shutdown,
            target,
            signer: signer.expect("signer"),
            ca,
        }
    }

    async fn client(&self) -> PeerDeliverClient {
        PeerDeliverClient::connect(&self.target).await.expect("connects")
    }
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_commit_is_waited_for() {
    let peer = Peer::start().await;
    peer.ledger.add("genesis", TxValidationCode::Valid);
    let client = peer.client().await;
    let mut listener = CommitListener::open(&client, &peer.signer, "ch", LONG)
        .await
        .expect("opens");
    peer.ledger.add("other", TxValidationCode::Valid);
    peer.ledger.add("mine", TxValidationCode::MvccReadConflict);
    let committed = listener
        .wait_for(&TxId::from("mine"), LONG)
        .await
        .expect("commit");
    assert_eq!(
        (committed.block, committed.code),
        (2, TxValidationCode::MvccReadConflict)
    );

    let error = listener
        .wait_for(&TxId::from("never"), Duration::ZERO)
        .await
        .expect_err("no such transaction");
    assert!(matches!(error, WaitError::Timeout(_)));
    peer.shutdown.cancel();
    let error = listener
        .wait_for(&TxId::from("never"), LONG)
        .await
        .expect_err("the peer stops");
    assert!(matches!(error, WaitError::Call(_)));
    let refused = CommitListener::open(&client, &peer.signer, "nosuch", LONG)
        .await
        .err();
    assert!(matches!(
        refused,
        Some(WaitError::Status(Status::NotFound) | WaitError::Call(_))
    ));
}

#[tokio::test]
async fn blocks_are_fetched_by_position() {
    let peer = Peer::start().await;
    for tx_id in ["a", "b", "c"] {
        peer.ledger.add(tx_id, TxValidationCode::Valid);
    }
    let client = peer.client().await;
    let table = [
        (Position::Oldest, Some(0)),
        (Position::Newest, Some(2)),
        (Position::Number(1), Some(1)),
        (Position::Number(3), None),
    ];
    for (position, number) in table {
        let fetched = client.fetch_block(&peer.signer, "ch", position).await;
        match number {
            Some(number) => assert_eq!(fetched.expect("block").header.expect("header").number, number),
            None => assert!(matches!(fetched, Err(FetchError::Refused(Status::NotFound)))),
        }
    }
    let config = client
        .fetch_config_block(&peer.signer, "ch")
        .await
        .expect("block");
    assert_eq!(config.header.expect("header").number, 1);
}

#[tokio::test]
async fn another_certificate_or_none_is_refused() {
    let peer = Peer::start().await;
    peer.ledger.add("a", TxValidationCode::Valid);
    // a request that is bound to another certificate than the connection's
    let other = peer
        .ca
        .issue(&CertificateSpec::tls(Subject::named("other"), ["localhost"]))
        .expect("certificate");
    let mut bound_elsewhere = peer.target.clone();
    bound_elsewhere.tls.as_mut().expect("TLS").identity = Some(pem(&other));
    let channel = peer.target.connect().await.expect("connects");
    let client = PeerDeliverClient::new(channel, bound_elsewhere.tls_cert_hash());
    let refused = client.fetch_block(&peer.signer, "ch", Position::Newest).await;
    assert!(matches!(refused, Err(FetchError::Refused(Status::BadRequest))));

    let mut nameless = peer.target.clone();
    nameless.tls.as_mut().expect("TLS").identity = None;
    assert_eq!(nameless.tls_cert_hash(), Bytes::new());
    // TLS 1.3 lets the client believe it is connected until its first request
    if let Ok(client) = PeerDeliverClient::connect(&nameless).await {
        let refused = client.fetch_block(&peer.signer, "ch", Position::Newest).await;
        assert!(matches!(refused, Err(FetchError::Call(_))));
    }

    let mut distrusting = peer.target.clone();
    distrusting.tls.as_mut().expect("TLS").roots.clear();
    assert!(matches!(
        distrusting.connect().await,
        Err(ConnectError::Connect { .. })
    ));
}
