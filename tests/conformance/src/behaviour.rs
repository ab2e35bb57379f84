//! For tests of what an auth filter does: the filter in a chain of its own, loaded as the peer loads it, around an
//! endorser that answers what the test says.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use conformance::behaviour::{AloneFilter, Sample, endorsed};
//! use serde_json::json;
//!
//! let filter = AloneFilter::load(&conformance::library("my_filter")?, &json!({"allow": ["Org1MSP"]}))?;
//! let sample = Sample { msp_id: "Org2MSP", ..Sample::default() };
//! assert_eq!(filter.call(&sample.request(), endorsed()).unwrap_err().code, 7);
//! # Ok(())
//! # }
//! ```

use anyhow::{Result, anyhow};
use bytes::Bytes;
use handlers::{Config, Registry};
use prost::Message;
use prost_types::Timestamp;
use protos::common::{ChannelHeader, Header, HeaderType, SignatureHeader};
use protos::msp::SerializedIdentity;
use protos::peer::{
    ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload, ChaincodeSpec, Endorsement, Proposal,
    ProposalResponse, Response,
};
use serde_json::{Value, json};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

pub use handlers::{ParsedRequest, Rejection};

/// The filter's instance name.
const NAME: &str = "alone";

/// One auth filter in a chain of its own.
pub struct AloneFilter {
    registry: Registry,
    runtime: Runtime,
}

impl AloneFilter {
    /// Loads a library with this `config`.
    ///
    /// # Errors
    /// What an operator would read when the peer starts.
    pub fn load(library: &Path, config: &Value) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let library = library.canonicalize()?;
        let section = json!({
            "pluginDirs": [library.parent()],
            "authFilters": [{"name": NAME, "library": library, "executor": "inline", "config": config}],
        });
        let section: Config = serde_json::from_value(section)?;
        let entered = runtime.enter();
        let registry = Registry::load(&section, &[]).map_err(|errors| anyhow!("{errors}"))?;
        drop(entered);
        Ok(Self { registry, runtime })
    }

    /// Runs a request through the filter; the endorser behind it answers `outcome`.
    ///
    /// # Errors
    /// The filter's refusal, or what it made of the endorser's.
    pub fn call(
        &self,
        request: &Arc<ParsedRequest>,
        outcome: Result<Bytes, Rejection>,
    ) -> Result<Bytes, Rejection> {
        let chain = self.registry.auth_chain();
        self.runtime
            .block_on(chain.run(Arc::clone(request), || async { outcome }))
    }

    /// Runs a request as far as the endorser, and gives it up there.
    pub fn abandon(&self, request: &Arc<ParsedRequest>) {
        let chain = self.registry.auth_chain();
        self.runtime.block_on(async {
            let forever = std::future::pending::<Result<Bytes, Rejection>>;
            let mut running = pin!(chain.run(Arc::clone(request), forever));
            for _ in 0..3 {
                if futures::poll!(&mut running).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
    }

    /// The sum of one of the filter's own metrics without regard to labels; zero without it.
    #[must_use]
    pub fn metric(&self, name: &str) -> f64 {
        let name = format!("plugin_{NAME}_{name}");
        let metrics = self.registry.metrics();
        let named = metrics.iter().filter(|metric| metric.name == name);
        named.map(|metric| metric.value.total()).sum()
    }
}

/// A request whose proposal says what its facts say.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The chaincode.
    pub chaincode: &'a str,
    /// The transaction id.
    pub tx_id: &'a str,
    /// Function and arguments.
    pub args: &'a [&'a str],
    /// The creator's MSP.
    pub msp_id: &'a str,
    /// The creator's certificate.
    pub creator_cert: &'a [u8],
    /// Seconds and nanoseconds of the channel header's timestamp.
    pub timestamp: Option<(i64, i32)>,
    /// The client's address.
    pub remote_addr: &'a str,
    /// Further facts, such as `tls.peer-cert`.
    pub attrs: &'a [(&'a str, &'a [u8])],
}

impl Default for Sample<'_> {
    fn default() -> Self {
        Self {
            channel: "mychannel",
            chaincode: "mycc",
            tx_id: "0123456789abcdef",
            args: &["put", "key", "value"],
            msp_id: "Org1MSP",
            creator_cert: b"",
            timestamp: None,
            remote_addr: "192.0.2.7:40000",
            attrs: &[],
        }
    }
}

impl Sample<'_> {
    /// The request as the peer makes it of such a proposal.
    #[must_use]
    pub fn request(&self) -> Arc<ParsedRequest> {
        Arc::new(ParsedRequest {
            proposal_bytes: self.proposal().into(),
            signature: Bytes::from_static(b"not checked yet"),
            channel_id: self.channel.to_owned(),
            tx_id: self.tx_id.to_owned(),
            chaincode_name: self.chaincode.to_owned(),
            msp_id: self.msp_id.to_owned(),
            creator_cert: Bytes::copy_from_slice(self.creator_cert),
            remote_addr: self.remote_addr.to_owned(),
            attrs: self
                .attrs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value)))
                .collect(),
            ..ParsedRequest::default()
        })
    }

    fn proposal(&self) -> Vec<u8> {
        let channel_header = ChannelHeader {
            r#type: HeaderType::EndorserTransaction.into(),
            channel_id: self.channel.to_owned(),
            tx_id: self.tx_id.to_owned(),
            timestamp: self
                .timestamp
                .map(|(seconds, nanos)| Timestamp { seconds, nanos }),
            ..ChannelHeader::default()
        };
        let creator = SerializedIdentity {
            mspid: self.msp_id.to_owned(),
            id_bytes: Bytes::copy_from_slice(self.creator_cert),
        };
        let signature_header = SignatureHeader {
            creator: creator.encode_to_vec().into(),
            ..SignatureHeader::default()
        };
        let header = Header {
            channel_header: channel_header.encode_to_vec().into(),
            signature_header: signature_header.encode_to_vec().into(),
        };
        let input = ChaincodeInput {
            args: self
                .args
                .iter()
                .map(|arg| Bytes::copy_from_slice(arg.as_bytes()))
                .collect(),
            ..ChaincodeInput::default()
        };
        let spec = ChaincodeSpec {
            input: Some(input),
            ..ChaincodeSpec::default()
        };
        let invocation = ChaincodeInvocationSpec {
            chaincode_spec: Some(spec),
            ..ChaincodeInvocationSpec::default()
        };
        let payload = ChaincodeProposalPayload {
            input: invocation.encode_to_vec().into(),
            ..ChaincodeProposalPayload::default()
        };
        let proposal = Proposal {
            header: header.encode_to_vec().into(),
            payload: payload.encode_to_vec().into(),
            ..Proposal::default()
        };
        proposal.encode_to_vec()
    }
}

/// The answer of an endorser that has signed.
///
/// # Errors
/// Never; it is what [`AloneFilter::call`] takes.
pub fn endorsed() -> Result<Bytes, Rejection> {
    answer(200, "OK", true)
}

/// An answer of an endorser with this status, signed or not.
///
/// # Errors
/// Never; it is what [`AloneFilter::call`] takes.
pub fn answer(status: i32, message: &str, signed: bool) -> Result<Bytes, Rejection> {
    let response = ProposalResponse {
        response: Some(Response {
            status,
            message: message.to_owned(),
            ..Response::default()
        }),
        endorsement: signed.then(|| Endorsement {
            signature: Bytes::from_static(b"signed"),
            ..Endorsement::default()
        }),
        ..ProposalResponse::default()
    };
    Ok(response.encode_to_vec().into())
}
