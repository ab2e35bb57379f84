//! Streams against a fake channel.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use prost_types::Timestamp;
use protos::common::{Header, SignatureHeader};
use protos::msp::SerializedIdentity;
use protos::orderer::deliver_response::Type;
use protos::orderer::seek_info::{SeekBehavior, SeekContentType, SeekErrorResponse};
use protos::orderer::{DeliverResponse, SeekPosition, seek_position};
use protos::{SignedData, new_block, now_timestamp, sha256};
use tokio::sync::mpsc;

use super::*;
use crate::client::test_positions::{newest, next_commit, oldest, specified};
use crate::server::{BlockForm, PrivateDataAnswer};

struct FakeSource {
    height: watch::Sender<u64>,
    serviceable: watch::Sender<bool>,
    sequence: AtomicU64,
    checks: AtomicU64,
    allowed: AtomicBool,
    config_blocks: Vec<u64>,
}

impl BlockSource for FakeSource {
    fn height_watch(&self) -> watch::Receiver<u64> {
        self.height.subscribe()
    }

    fn block(&self, number: u64) -> Result<Option<Block>, Box<dyn std::error::Error + Send + Sync>> {
        if number >= *self.height.borrow() {
            return Ok(None);
        }
        let header_type = match self.config_blocks.contains(&number) {
            true => HeaderType::Config,
            false => HeaderType::EndorserTransaction,
        };
        let header = ChannelHeader {
            r#type: header_type.into(),
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
        Ok(Some(new_block(
            number,
            Bytes::new(),
            vec![envelope.encode_to_vec().into()],
        )))
    }

    fn check_access(
        &self,
        form: BlockForm,
        signed: &SignedData,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        assert_eq!(form, BlockForm::Full);
        assert_eq!(signed.signature, "signature");
        self.checks.fetch_add(1, Ordering::Relaxed);
        match self.allowed.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("no".into()),
        }
    }

    fn config_sequence(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }

    fn serviceable(&self) -> Option<watch::Receiver<bool>> {
        Some(self.serviceable.subscribe())
    }
}

struct OneChannel(Arc<FakeSource>);

impl Sources for OneChannel {
    fn source(&self, channel: &str) -> Option<Arc<dyn BlockSource>> {
        (channel == "ch").then(|| self.0.clone() as Arc<dyn BlockSource>)
    }
}

/// A channel of that height and one open stream to it.
struct Fixture {
    source: Arc<FakeSource>,
    shutdown: CancellationToken,
    requests: mpsc::Sender<Result<Envelope, tonic::Status>>,
    answers: ResponseStream<DeliverResponse>,
}

/// What a stream yields, for comparing.
#[derive(Debug, PartialEq)]
enum Got {
    Block(u64),
    Status(Status),
    Broken,
    End,
}

impl Fixture {
    fn new(height: u64) -> Self {
        Self::with_tls(height, None)
    }

    fn with_tls(height: u64, mutual_tls: Option<Option<Bytes>>) -> Self {
        Self::with(height, mutual_tls, false)
    }

    fn with(height: u64, mutual_tls: Option<Option<Bytes>>, no_expiration_checks: bool) -> Self {
        let source = Arc::new(FakeSource {
            height: watch::Sender::new(height),
            serviceable: watch::Sender::new(true),
            sequence: AtomicU64::new(1),
            checks: AtomicU64::new(0),
            allowed: AtomicBool::new(true),
            config_blocks: vec![0],
        });
        let shutdown = CancellationToken::new();
        let settings = DeliverSettings {
            time_window: Duration::from_secs(900),
            mutual_tls: mutual_tls.is_some(),
            no_expiration_checks,
            shutdown: shutdown.clone(),
        };
        let handler = DeliverHandler::new(Arc::new(OneChannel(source.clone())), settings);
        let (requests, stream) = mpsc::channel(1);
        let answers = handler.serve(ReceiverStream::new(stream), mutual_tls.flatten());
        Self {
            source,
            shutdown,
            requests,
            answers,
        }
    }

    async fn send(&self, envelope: Envelope) {
        self.requests.send(Ok(envelope)).await.expect("stream is open");
    }

    async fn next(&mut self) -> Got {
        match self.answers.next().await {
            None => Got::End,
            Some(Err(_)) => Got::Broken,
            Some(Ok(answer)) => match answer.r#type.expect("an answer has a type") {
                Type::Status(status) => Got::Status(Status::try_from(status).expect("known status")),
                Type::Block(block) => Got::Block(block.header.expect("header").number),
            },
        }
    }

    /// Everything up to the status that ends the request.
    async fn all(&mut self) -> (Vec<u64>, Status) {
        let mut blocks = Vec::new();
        loop {
            match self.next().await {
                Got::Block(number) => blocks.push(number),
                Got::Status(status) => return (blocks, status),
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

fn seek(start: SeekPosition, stop: SeekPosition) -> SeekInfo {
    SeekInfo {
        start: Some(start),
        stop: Some(stop),
        ..Default::default()
    }
}

fn header(channel: &str) -> ChannelHeader {
    ChannelHeader {
        channel_id: channel.into(),
        timestamp: Some(now_timestamp()),
        ..Default::default()
    }
}

fn envelope(header: &ChannelHeader, creator: Bytes, data: Bytes) -> Envelope {
    let signature_header = SignatureHeader {
        creator,
        ..Default::default()
    };
    let header = Header {
        channel_header: header.encode_to_vec().into(),
        signature_header: signature_header.encode_to_vec().into(),
    };
    let payload = Payload {
        header: Some(header),
        data,
    };
    Envelope {
        payload: payload.encode_to_vec().into(),
        signature: "signature".into(),
    }
}

fn request(seek: &SeekInfo) -> Envelope {
    envelope(&header("ch"), Bytes::new(), seek.encode_to_vec().into())
}

#[tokio::test]
async fn positions_and_behaviours() {
    let fail = SeekBehavior::FailIfNotReady;
    let block = SeekBehavior::BlockUntilReady;
    let any = SeekPosition { r#type: None };
    let table = [
        (oldest(), newest(), block, vec![0, 1, 2], Status::Success),
        (oldest(), oldest(), block, vec![0], Status::Success),
        (newest(), newest(), block, vec![2], Status::Success),
        (newest(), oldest(), block, vec![2], Status::Success),
        (specified(1), specified(2), block, vec![1, 2], Status::Success),
        (specified(1), specified(1), fail, vec![1], Status::Success),
        (specified(2), specified(1), block, vec![], Status::BadRequest),
        (specified(4), specified(9), block, vec![], Status::NotFound),
        (
            specified(u64::MAX),
            specified(u64::MAX),
            block,
            vec![],
            Status::NotFound,
        ),
        (specified(3), specified(3), fail, vec![], Status::NotFound),
        (specified(1), specified(9), fail, vec![1, 2], Status::NotFound),
        (
            oldest(),
            specified(u64::MAX),
            fail,
            vec![0, 1, 2],
            Status::NotFound,
        ),
        (next_commit(), specified(9), fail, vec![], Status::NotFound),
        (any, newest(), block, vec![], Status::NotFound),
        (oldest(), any, block, vec![0], Status::Success),
        (oldest(), next_commit(), block, vec![0], Status::Success),
    ];
    for (start, stop, behavior, blocks, status) in table {
        let mut fixture = Fixture::new(3);
        let seek = SeekInfo {
            behavior: behavior.into(),
            ..seek(start, stop)
        };
        fixture.send(request(&seek)).await;
        assert_eq!(fixture.all().await, (blocks, status), "{seek:?}");
    }
}

#[tokio::test]
async fn blocks_that_come_later_are_waited_for() {
    let mut fixture = Fixture::new(1);
    fixture.send(request(&seek(newest(), specified(u64::MAX)))).await;
    assert_eq!(fixture.next().await, Got::Block(0));
    fixture.source.height.send_replace(3);
    assert_eq!(fixture.next().await, Got::Block(1));
    assert_eq!(fixture.next().await, Got::Block(2));
}

#[tokio::test]
async fn a_success_leaves_the_stream_open_and_a_refusal_ends_it() {
    let mut fixture = Fixture::new(2);
    for _ in 0..2 {
        fixture.send(request(&seek(newest(), newest()))).await;
        assert_eq!(fixture.all().await, (vec![1], Status::Success));
    }
    fixture.send(request(&seek(specified(9), newest()))).await;
    assert_eq!(fixture.next().await, Got::Status(Status::NotFound));
    assert_eq!(fixture.next().await, Got::End);
}

#[tokio::test]
async fn malformed_requests_are_bad_requests() {
    let good = seek(newest(), newest());
    let data: Bytes = good.encode_to_vec().into();
    let garbage = Bytes::from_static(&[0xff]);
    let now = now_timestamp().seconds;
    let at = |seconds| ChannelHeader {
        timestamp: Some(Timestamp { seconds, nanos: 0 }),
        ..header("ch")
    };
    let no_header = Payload {
        header: None,
        data: data.clone(),
    }
    .encode_to_vec();
    let table = [
        ("empty envelope", Envelope::default()),
        (
            "garbage payload",
            Envelope {
                payload: garbage.clone(),
                ..Default::default()
            },
        ),
        (
            "no header",
            Envelope {
                payload: no_header.into(),
                ..Default::default()
            },
        ),
        (
            "no timestamp",
            envelope(
                &ChannelHeader {
                    timestamp: None,
                    ..header("ch")
                },
                Bytes::new(),
                data.clone(),
            ),
        ),
        ("old", envelope(&at(now - 1000), Bytes::new(), data.clone())),
        (
            "from the future",
            envelope(&at(now + 1000), Bytes::new(), data.clone()),
        ),
        ("the end of time", envelope(&at(i64::MAX), Bytes::new(), data)),
        (
            "garbage seek info",
            envelope(&header("ch"), Bytes::new(), garbage),
        ),
        ("no start", request(&SeekInfo { start: None, ..good })),
        ("no stop", request(&SeekInfo { stop: None, ..good })),
    ];
    for (name, envelope) in table {
        let mut fixture = Fixture::new(3);
        fixture.send(envelope).await;
        assert_eq!(fixture.next().await, Got::Status(Status::BadRequest), "{name}");
        assert_eq!(fixture.next().await, Got::End, "{name}");
    }
}

#[tokio::test]
async fn checks_come_in_fabrics_order() {
    // an unknown channel is found out before the seek info is decoded, a denied one before its positions
    let mut fixture = Fixture::new(3);
    fixture
        .send(envelope(
            &header("other"),
            Bytes::new(),
            Bytes::from_static(&[0xff]),
        ))
        .await;
    assert_eq!(fixture.next().await, Got::Status(Status::NotFound));

    let mut fixture = Fixture::new(3);
    fixture.source.allowed.store(false, Ordering::Relaxed);
    fixture.send(request(&SeekInfo::default())).await;
    assert_eq!(fixture.next().await, Got::Status(Status::Forbidden));
}

#[tokio::test]
async fn access_is_checked_again_when_the_configuration_changes() {
    let mut fixture = Fixture::new(2);
    fixture.send(request(&seek(oldest(), specified(u64::MAX)))).await;
    assert_eq!(fixture.next().await, Got::Block(0));
    assert_eq!(fixture.next().await, Got::Block(1));
    assert_eq!(
        fixture.source.checks.load(Ordering::Relaxed),
        1,
        "once per configuration, not per block"
    );

    fixture.source.sequence.store(2, Ordering::Relaxed);
    fixture.source.height.send_replace(3);
    assert_eq!(fixture.next().await, Got::Block(2));
    assert_eq!(fixture.source.checks.load(Ordering::Relaxed), 2);

    fixture.source.allowed.store(false, Ordering::Relaxed);
    fixture.source.sequence.store(3, Ordering::Relaxed);
    fixture.source.height.send_replace(4);
    assert_eq!(fixture.next().await, Got::Status(Status::Forbidden));
    assert_eq!(fixture.next().await, Got::End);
}

fn creator(not_after_seconds_from_now: i64) -> Bytes {
    let key = rcgen::KeyPair::generate().expect("key");
    let mut params = rcgen::CertificateParams::default();
    params.not_before = (SystemTime::now() - Duration::from_secs(7200)).into();
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::seconds(not_after_seconds_from_now);
    let certificate = params.self_signed(&key).expect("certificate");
    let identity = SerializedIdentity {
        mspid: "Org1MSP".into(),
        id_bytes: certificate.pem().into(),
    };
    identity.encode_to_vec().into()
}

#[tokio::test]
async fn an_expired_certificate_is_forbidden() {
    let data: Bytes = seek(newest(), newest()).encode_to_vec().into();
    for (seconds, status) in [(-3600, Status::Forbidden), (3600, Status::Success)] {
        let mut fixture = Fixture::new(1);
        fixture
            .send(envelope(&header("ch"), creator(seconds), data.clone()))
            .await;
        assert_eq!(fixture.all().await.1, status);
    }
    // unless the server does not look
    let mut fixture = Fixture::with(1, None, true);
    fixture.send(envelope(&header("ch"), creator(-3600), data)).await;
    assert_eq!(fixture.all().await.1, Status::Success);
}

#[test]
fn blocks_with_private_data_are_whole_blocks() {
    let block = new_block(3, Bytes::new(), vec!["tx".into()]);
    let answer = PrivateDataAnswer::block("ch", block.clone()).0;
    let Some(protos::peer::deliver_response::Type::BlockAndPrivateData(with)) = answer.r#type else {
        panic!("another type of answer");
    };
    assert_eq!((with.block, with.private_data_map.len()), (Some(block), 0));
    assert_eq!(PrivateDataAnswer::FORM.resource(), "event/Block");
}

#[tokio::test]
async fn mutual_tls_binds_requests_to_the_certificate() {
    let certificate = Bytes::from_static(b"certificate");
    let hash: Bytes = sha256(&[&certificate]).to_vec().into();
    let table = [
        (Some(certificate.clone()), hash.clone(), Status::Success),
        (Some(certificate.clone()), Bytes::new(), Status::BadRequest),
        (
            Some(Bytes::from_static(b"other")),
            hash.clone(),
            Status::BadRequest,
        ),
        (None, hash.clone(), Status::BadRequest),
    ];
    for (shown, tls_cert_hash, status) in table {
        let mut fixture = Fixture::with_tls(1, Some(shown));
        let header = ChannelHeader {
            tls_cert_hash,
            ..header("ch")
        };
        let data = seek(newest(), newest()).encode_to_vec().into();
        fixture.send(envelope(&header, Bytes::new(), data)).await;
        assert_eq!(fixture.all().await.1, status);
    }
    let mut fixture = Fixture::with_tls(1, None);
    let header = ChannelHeader {
        tls_cert_hash: "nonsense".into(),
        ..header("ch")
    };
    fixture
        .send(envelope(
            &header,
            Bytes::new(),
            seek(newest(), newest()).encode_to_vec().into(),
        ))
        .await;
    assert_eq!(
        fixture.all().await.1,
        Status::Success,
        "without mutual TLS the hash means nothing"
    );
}

#[tokio::test]
async fn header_only_blocks_keep_their_metadata_and_config_blocks_stay_whole() {
    let mut fixture = Fixture::new(2);
    let seek = SeekInfo {
        content_type: SeekContentType::HeaderWithSigBlock.into(),
        ..seek(oldest(), newest())
    };
    fixture.send(request(&seek)).await;
    let mut shapes = Vec::new();
    while let Some(Ok(DeliverResponse {
        r#type: Some(Type::Block(block)),
    })) = fixture.answers.next().await
    {
        shapes.push((block.data.is_some(), block.metadata.is_some()));
    }
    assert_eq!(shapes, [(true, true), (false, true)]);
}

#[tokio::test]
async fn a_failed_consenter_is_unavailable_except_for_best_effort() {
    let mut fixture = Fixture::new(1);
    fixture.send(request(&seek(oldest(), specified(u64::MAX)))).await;
    assert_eq!(fixture.next().await, Got::Block(0));
    fixture.source.serviceable.send_replace(false);
    assert_eq!(fixture.next().await, Got::Status(Status::ServiceUnavailable));

    for (error_response, status) in [
        (SeekErrorResponse::Strict, Status::ServiceUnavailable),
        (SeekErrorResponse::BestEffort, Status::Success),
    ] {
        let mut fixture = Fixture::new(1);
        fixture.source.serviceable.send_replace(false);
        let seek = SeekInfo {
            error_response: error_response.into(),
            ..seek(newest(), newest())
        };
        fixture.send(request(&seek)).await;
        assert_eq!(fixture.all().await.1, status);
    }
}

#[tokio::test]
async fn a_waiting_stream_ends_with_its_client_and_with_the_server() {
    let mut fixture = Fixture::new(0);
    fixture
        .send(request(&seek(next_commit(), specified(u64::MAX))))
        .await;
    fixture.shutdown.cancel();
    assert_eq!(fixture.next().await, Got::Broken);
    assert_eq!(fixture.next().await, Got::End);

    let Fixture {
        source,
        requests,
        answers,
        ..
    } = Fixture::new(0);
    requests
        .send(Ok(request(&seek(next_commit(), specified(u64::MAX)))))
        .await
        .expect("open");
    drop(answers);
    // the task holds the other end of the request stream for as long as it lives
    requests.closed().await;
    assert_eq!(source.height.receiver_count(), 0);
}

#[tokio::test]
async fn a_slow_client_holds_the_stream_back() {
    let mut fixture = Fixture::new(100);
    fixture.send(request(&seek(oldest(), newest()))).await;
    assert_eq!(fixture.all().await.0, (0..100).collect::<Vec<_>>());
    assert_eq!(fixture.answers.as_ref().max_capacity(), BUFFERED_ANSWERS);
}

#[test]
fn seek_position_type_is_a_oneof_with_four_arms() {
    let numbers =
        [newest(), oldest(), specified(0), next_commit()].map(|position| position.encode_to_vec()[0] >> 3);
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(matches!(specified(7).r#type, Some(seek_position::Type::Specified(seven)) if seven.number == 7));
}
