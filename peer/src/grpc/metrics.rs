//! What the peer's gRPC servers count, under Fabric's names (common/grpcmetrics). The number of labels is that of the
//! methods: what a client makes up is counted nowhere, as in Fabric.

use std::sync::Arc;
use std::time::Instant;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};
use tonic::{Code, Status};

/// Seconds. Fabric's begin with 0.005; most calls are shorter here.
const BUCKETS: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
];

/// The services that are counted, and their methods.
const METHODS: [(&str, &[&str]); 4] = [
    ("protos.Endorser", &["ProcessProposal"]),
    (
        "protos.Deliver",
        &["Deliver", "DeliverFiltered", "DeliverWithPrivateData"],
    ),
    ("protos.ChaincodeSupport", &["Register"]),
    ("fabricpeer.PluginAdmin", &["Reload", "List", "Explain"]),
];

/// How a service's methods are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One message, one answer.
    Unary,
    /// Messages in both directions.
    Stream,
}

/// The calls of one shape.
struct Calls {
    received: IntCounterVec,
    completed: IntCounterVec,
    duration: HistogramVec,
}

impl Calls {
    fn try_new(shape: &str) -> Result<Self, prometheus::Error> {
        let name = |what: &str| format!("grpc_server_{shape}_{what}");
        let received = Opts::new(name("requests_received"), format!("Calls that came, {shape}."));
        let completed = Opts::new(name("requests_completed"), format!("Calls that ended, {shape}."));
        let duration = HistogramOpts::new(
            name("request_duration"),
            format!("Seconds that calls took, {shape}."),
        );
        Ok(Self {
            received: IntCounterVec::new(received, &["service", "method"])?,
            completed: IntCounterVec::new(completed, &["service", "method", "code"])?,
            duration: HistogramVec::new(duration.buckets(BUCKETS.into()), &["service", "method", "code"])?,
        })
    }
}

/// The counters of all servers of a peer.
pub struct GrpcMetrics {
    unary: Calls,
    stream: Calls,
}

impl GrpcMetrics {
    fn try_new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            unary: Calls::try_new("unary")?,
            stream: Calls::try_new("stream")?,
        })
    }

    /// Counters at zero.
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants, and tests call this"
    )]
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::try_new().expect("constant names"))
    }

    /// A call has come; none if no service has that method.
    pub(super) fn begin(self: &Arc<Self>, shape: Shape, path: &str) -> Option<Call> {
        let (service, method) = method_of(path)?;
        let call = Call {
            metrics: Arc::clone(self),
            shape,
            labels: [service.replace('.', "_"), method.to_owned()],
            began: Instant::now(),
            code: Code::Cancelled,
        };
        let [service, method] = &call.labels;
        let received = &self.of(shape).received;
        received.with_label_values(&[service, method]).inc();
        Some(call)
    }

    fn of(&self, shape: Shape) -> &Calls {
        match shape {
            Shape::Unary => &self.unary,
            Shape::Stream => &self.stream,
        }
    }

    /// All of them.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let of = |calls: &Calls| {
            let all: [&dyn Collector; 3] = [&calls.received, &calls.completed, &calls.duration];
            all.into_iter().flat_map(Collector::collect).collect::<Vec<_>>()
        };
        [of(&self.unary), of(&self.stream)].concat()
    }
}

fn method_of(path: &str) -> Option<(&'static str, &'static str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let (service, methods) = METHODS.iter().find(|(known, _)| *known == service)?;
    let method = methods.iter().find(|known| **known == method)?;
    Some((service, method))
}

/// A call on its way. It is counted as completed when this is dropped: cancelled, if it has not ended before.
pub(super) struct Call {
    metrics: Arc<GrpcMetrics>,
    shape: Shape,
    labels: [String; 2],
    began: Instant,
    code: Code,
}

impl Call {
    /// The server has said how the call ends.
    pub(super) fn ends(&mut self, headers: &tonic::codegen::http::HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = status.code();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let [service, method] = &self.labels;
        let labels = [service.as_str(), method.as_str(), go_name(self.code)];
        let calls = self.metrics.of(self.shape);
        calls.completed.with_label_values(&labels).inc();
        let took = self.began.elapsed().as_secs_f64();
        calls.duration.with_label_values(&labels).observe(took);
    }
}

/// As grpc-go spells the codes.
fn go_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::codegen::http::HeaderMap;

    fn completed(metrics: &GrpcMetrics) -> Vec<(String, f64)> {
        let families = metrics.collect();
        let family = families
            .iter()
            .find(|family| family.name() == "grpc_server_unary_requests_completed")
            .unwrap();
        let series = family.get_metric().iter().map(|metric| {
            let labels: Vec<_> = metric.get_label().iter().map(|pair| pair.value()).collect();
            (labels.join(" "), metric.get_counter().get_value())
        });
        series.collect()
    }

    #[test]
    fn a_call_is_completed_with_what_the_server_said_or_cancelled() {
        let metrics = GrpcMetrics::new();
        let path = "/protos.Endorser/ProcessProposal";
        let begin = || metrics.begin(Shape::Unary, path).unwrap();
        let ends_with = |status: &Status| {
            let mut headers = HeaderMap::new();
            status.add_header(&mut headers).unwrap();
            begin().ends(&headers);
        };
        ends_with(&Status::ok(""));
        ends_with(&Status::unknown("x"));
        drop(begin());
        let mut interim = begin();
        interim.ends(&HeaderMap::new());
        drop(interim);
        assert_eq!(
            completed(&metrics),
            [("Canceled", 2.0), ("OK", 1.0), ("Unknown", 1.0)]
                .map(|(code, count)| (format!("{code} ProcessProposal protos_Endorser"), count))
        );
    }

    #[test]
    fn what_clients_make_up_is_counted_nowhere() {
        let metrics = GrpcMetrics::new();
        for path in [
            "",
            "/",
            "/x/y",
            "/protos.Endorser/x",
            "protos.Endorser/ProcessProposal",
        ] {
            assert!(metrics.begin(Shape::Unary, path).is_none(), "{path}");
        }
        assert!(completed(&metrics).is_empty());
    }
}
