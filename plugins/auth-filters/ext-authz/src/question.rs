//! What the service is asked.

use crate::config::Config;
use crate::creator::Creator;
use crate::messages::{Address, AttributeContext, CheckRequest, HttpRequest, Peer, Request, SocketAddress};
use crate::proposal::function;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

/// The RPC that clients call, in Fabric's own name for it.
const PATH: &str = "/protos.Endorser/ProcessProposal";

/// What goes into questions beside the proposal.
pub(crate) struct Questions {
    headers: Vec<String>,
    extensions: BTreeMap<String, String>,
    max_body: usize,
}

impl Questions {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            headers: config.headers.clone(),
            extensions: config.context_extensions.clone(),
            max_body: config.max_body_bytes,
        }
    }

    /// The question about a request; an error if the service would not see all of it that it should.
    pub(crate) fn about(&self, request: &plugin_api::Request) -> Result<CheckRequest, String> {
        let proposal = Bytes::from_owner(request.proposal_bytes());
        let size = i64::try_from(proposal.len()).unwrap_or(-1);
        let attributes = AttributeContext {
            source: Some(source(request)),
            request: Some(Request {
                time: Some(SystemTime::now().into()),
                http: Some(HttpRequest {
                    id: request.tx_id().as_str().to_owned(),
                    method: "POST".to_owned(),
                    headers: self.headers(request),
                    path: PATH.to_owned(),
                    size,
                    protocol: "HTTP/2".to_owned(),
                    raw_body: self.body(&proposal)?,
                }),
            }),
            context_extensions: self.extensions(request, proposal),
        };
        Ok(CheckRequest {
            attributes: Some(attributes),
        })
    }

    fn body(&self, proposal: &Bytes) -> Result<Bytes, String> {
        match self.max_body {
            0 => Ok(Bytes::new()),
            limit if proposal.len() <= limit => Ok(proposal.clone()),
            limit => Err(format!(
                "the proposal is longer than the {limit} bytes that are authorized here"
            )),
        }
    }

    fn headers(&self, request: &plugin_api::Request) -> BTreeMap<String, String> {
        let value = |name: &String| {
            let fact = format!("grpc.metadata.{name}");
            let value = request.attr(fact.as_str().into()).into_option()?;
            Some((name.clone(), printable(&value)))
        };
        self.headers.iter().filter_map(value).collect()
    }

    fn extensions(&self, request: &plugin_api::Request, proposal: Bytes) -> BTreeMap<String, String> {
        let facts = [
            ("channel", Some(request.channel_id().as_str().to_owned())),
            ("chaincode", Some(request.chaincode_name().as_str().to_owned())),
            ("function", function(proposal)),
            ("mspid", Some(request.msp_id().as_str().to_owned())),
            ("txid", Some(request.tx_id().as_str().to_owned())),
        ];
        let mut extensions = self.extensions.clone();
        for (name, value) in facts {
            // the configuration cannot say these: the schema refuses it
            extensions.extend(value.map(|value| (name.to_owned(), value)));
        }
        extensions
    }
}

/// A header as text. As in Envoy, what is not ASCII becomes an exclamation mark.
fn printable(value: &[u8]) -> String {
    let shown = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '!' };
    value.iter().map(shown).collect()
}

fn source(request: &plugin_api::Request) -> Peer {
    let creator = Creator::from_pem(&request.creator_cert());
    let (principal, certificate) =
        creator.map_or_else(Default::default, |creator| (creator.subject, creator.certificate));
    let address = request.remote_addr().as_str().parse().ok();
    Peer {
        address: address.map(|address: SocketAddr| Address {
            socket_address: Some(SocketAddress {
                address: address.ip().to_string(),
                port_value: Some(address.port().into()),
            }),
        }),
        principal,
        certificate,
    }
}
