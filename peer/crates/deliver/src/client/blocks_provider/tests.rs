//! Following orderers over loopback, some of which misbehave.

use std::sync::atomic::{AtomicU64, Ordering};

use msp::Certificate;
use parking_lot::Mutex;
use prost::Message;
use protos::common::{BlockHeader, ChannelHeader, Envelope, HeaderType, Payload};
use protos::orderer::atomic_broadcast_server::{AtomicBroadcast, AtomicBroadcastServer};
use protos::orderer::{BroadcastResponse, DeliverResponse, SeekInfo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Streaming};

use super::*;
use crate::server::Answer;

/// An orderer that answers every seek with the same blocks and then waits or hangs up.
#[derive(Clone)]
struct Scripted {
    answers: Vec<DeliverResponse>,
    hangs_up: bool,
    seeks: Arc<Mutex<Vec<SeekInfo>>>,
}

#[tonic::async_trait]
impl AtomicBroadcast for Scripted {
    type BroadcastStream = ReceiverStream<Result<BroadcastResponse, tonic::Status>>;
    type DeliverStream = ReceiverStream<Result<DeliverResponse, tonic::Status>>;

    async fn broadcast(
        &self,
        _request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::BroadcastStream>, tonic::Status> {
        Err(tonic::Status::unimplemented("not here"))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverStream>, tonic::Status> {
        let (sender, receiver) = mpsc::channel(16);
        let script = self.clone();
        tokio::spawn(async move {
            let envelope = request
                .into_inner()
                .message()
                .await
                .expect("stream")
                .expect("seek");
            let payload = Payload::decode(envelope.payload).expect("payload");
            let header = payload.header.expect("header");
            let header = ChannelHeader::decode(header.channel_header).expect("channel header");
            assert_eq!(
                (header.r#type, header.channel_id.as_str()),
                (HeaderType::DeliverSeekInfo as i32, "ch")
            );
            script
                .seeks
                .lock()
                .push(SeekInfo::decode(payload.data).expect("seek info"));
            for answer in script.answers {
                if sender.send(Ok(answer)).await.is_err() {
                    return;
                }
            }
            if !script.hangs_up {
                sender.closed().await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Scripted {
    /// Serves on loopback and returns where, and the seeks it will have got.
    async fn start(
        answers: Vec<DeliverResponse>,
        hangs_up: bool,
    ) -> (OrdererEndpoint, Arc<Mutex<Vec<SeekInfo>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("address").to_string();
        let seeks = Arc::new(Mutex::new(Vec::new()));
        let service = AtomicBroadcastServer::new(Self {
            answers,
            hangs_up,
            seeks: seeks.clone(),
        });
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (
            OrdererEndpoint {
                address,
                tls_roots: Vec::new(),
            },
            seeks,
        )
    }
}

/// Remembers the blocks; refuses one of them once.
struct Sink {
    height: Arc<AtomicU64>,
    refuse: Mutex<Option<(u64, bool)>>,
    taken: mpsc::UnboundedSender<u64>,
}

#[async_trait]
impl BlockSink for Sink {
    async fn block(&self, block: Block) -> Result<(), SinkError> {
        let number = block.header.expect("header").number;
        if let Some((_, fatal)) = self.refuse.lock().take_if(|(refused, _)| *refused == number) {
            return Err(match fatal {
                true => SinkError::Fatal("disk is full".into()),
                false => SinkError::BadBlock("bad signature".into()),
            });
        }
        self.height.store(number + 1, Ordering::Relaxed);
        self.taken.send(number).expect("test listens");
        Ok(())
    }
}

/// A running provider.
struct Follower {
    endpoints: watch::Sender<Vec<OrdererEndpoint>>,
    taken: mpsc::UnboundedReceiver<u64>,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), SinkError>>,
}

impl Follower {
    fn start(endpoints: Vec<OrdererEndpoint>, refuse: Option<(u64, bool)>) -> Self {
        let height = Arc::new(AtomicU64::new(1));
        let (taken, receiver) = mpsc::unbounded_channel();
        let sink = Sink {
            height: height.clone(),
            refuse: Mutex::new(refuse),
            taken,
        };
        let endpoints = watch::Sender::new(endpoints);
        let provider = BlocksProvider {
            channel: "ch".into(),
            height: Box::new(move || height.load(Ordering::Relaxed)),
            endpoints: endpoints.subscribe(),
            signer: Arc::new(signer()),
            sink: Arc::new(sink),
            settings: FollowSettings {
                connect_timeout: Duration::from_secs(30),
                max_delay: Duration::from_millis(1),
                total_threshold: Duration::ZERO,
                keepalive: None,
                tls: false,
                identity: None,
                address_overrides: vec![AddressOverride {
                    from: "nowhere.example.com:7050".into(),
                    to: "127.0.0.1:1".into(),
                    tls_roots: Vec::new(),
                }],
            },
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(provider.run(shutdown.clone()));
        Self {
            endpoints,
            taken: receiver,
            shutdown,
            running,
        }
    }

    async fn expect(&mut self, numbers: &[u64]) {
        for number in numbers {
            assert_eq!(self.taken.recv().await, Some(*number));
        }
    }
}

fn signer() -> LocalSigner {
    let key = rcgen::KeyPair::generate().expect("key");
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .expect("certificate");
    let certificate = Certificate::from_pem(certificate.pem().as_bytes()).expect("certificate");
    LocalSigner::new("Org1MSP", &certificate, key.serialize_pem().as_bytes()).expect("signer")
}

fn block(number: u64) -> DeliverResponse {
    let header = BlockHeader {
        number,
        ..Default::default()
    };
    DeliverResponse::block(
        "ch",
        Block {
            header: Some(header),
            ..Default::default()
        },
    )
}

fn nowhere() -> OrdererEndpoint {
    OrdererEndpoint {
        address: "nowhere.example.com:7050".into(),
        tls_roots: Vec::new(),
    }
}

fn start_of(seek: &SeekInfo) -> u64 {
    use protos::orderer::seek_position::Type;
    match seek.start.as_ref().and_then(|start| start.r#type) {
        Some(Type::Specified(specified)) => specified.number,
        other => panic!("not a number: {other:?}"),
    }
}

#[tokio::test]
async fn starts_at_the_height_and_goes_on_with_the_next_orderer() {
    let (first, first_seeks) = Scripted::start(vec![block(1), block(2)], true).await;
    let (second, second_seeks) = Scripted::start(vec![block(3)], false).await;
    let mut follower = Follower::start(vec![first.clone()], None);
    follower.expect(&[1, 2]).await;
    follower.endpoints.send_replace(vec![second.clone()]);
    follower.expect(&[3]).await;
    assert_eq!(first_seeks.lock().first().map(start_of), Some(1));
    assert_eq!(second_seeks.lock().iter().map(start_of).collect::<Vec<_>>(), [3]);
    assert_eq!(second_seeks.lock()[0].stop, Some(specified(u64::MAX)));
    follower.shutdown.cancel();
    follower
        .running
        .await
        .expect("no panic")
        .expect("shutdown is no error");
}

#[tokio::test]
async fn orderers_that_fail_are_passed_over() {
    let forbidden = DeliverResponse::status(Status::Forbidden);
    let (refusing, refused) = Scripted::start(vec![forbidden], true).await;
    let (skipping, skipped) = Scripted::start(vec![block(2)], false).await;
    let (silent, _) = Scripted::start(vec![DeliverResponse { r#type: None }], false).await;
    let (good, _) = Scripted::start(vec![block(1), block(2)], false).await;
    let mut follower = Follower::start(vec![nowhere(), refusing, skipping, silent, good], None);
    follower.expect(&[1, 2]).await;
    assert!(
        refused.lock().len() <= 1 && skipped.lock().len() <= 1,
        "each gets one turn at most"
    );
    follower.shutdown.cancel();
    follower
        .running
        .await
        .expect("no panic")
        .expect("shutdown is no error");
}

#[tokio::test]
async fn a_bad_block_is_asked_of_another_orderer() {
    let (a, a_seeks) = Scripted::start(vec![block(1)], false).await;
    let (b, b_seeks) = Scripted::start(vec![block(1)], false).await;
    let mut follower = Follower::start(vec![a, b], Some((1, false)));
    follower.expect(&[1]).await;
    assert_eq!((a_seeks.lock().len(), b_seeks.lock().len()), (1, 1));
    follower.shutdown.cancel();
    follower
        .running
        .await
        .expect("no panic")
        .expect("shutdown is no error");
}

#[tokio::test]
async fn a_broken_peer_stops_following() {
    let (orderer, _) = Scripted::start(vec![block(1), block(2)], false).await;
    let mut follower = Follower::start(vec![orderer], Some((2, true)));
    follower.expect(&[1]).await;
    let error = follower
        .running
        .await
        .expect("no panic")
        .expect_err("the sink failed");
    assert_eq!(wire_message(&error), "block could not be committed: disk is full");
}

#[tokio::test]
async fn new_endpoints_end_a_quiet_connection_and_a_long_pause() {
    let (quiet, _) = Scripted::start(vec![], false).await;
    let (good, _) = Scripted::start(vec![block(1)], false).await;
    for first in [vec![quiet], vec![]] {
        let mut follower = Follower::start(first, None);
        follower.endpoints.send_replace(vec![good.clone()]);
        follower.expect(&[1]).await;
    }
}

#[test]
fn delays_grow_to_the_cap() {
    let settings = FollowSettings {
        connect_timeout: Duration::ZERO,
        max_delay: Duration::from_secs(2),
        total_threshold: Duration::ZERO,
        keepalive: None,
        tls: false,
        identity: None,
        address_overrides: Vec::new(),
    };
    let mut retry = Retry::new(&settings);
    let delays: Vec<_> = (0..1000).map(|_| retry.next_delay()).collect();
    assert!(
        delays[0] >= FIRST_DELAY && delays[0] <= FIRST_DELAY * 2,
        "{:?}",
        delays[0]
    );
    assert!(delays.iter().all(|delay| *delay <= settings.max_delay));
    assert!(delays[999] > Duration::from_secs(1));
}
