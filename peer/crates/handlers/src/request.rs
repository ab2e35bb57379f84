//! The facts of one request, filled once by the peer and shared by all plugins.

use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::{RArc, ROption, RSlice, RStr};
use bytes::Bytes;
use plugin_api::{Request, RequestView, RequestView_TO, SharedBytes};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What plugins may know about a request. Nothing in here is verified; when the proposal cannot be
/// decoded, everything but the first two (and what the connection says) is empty.
#[derive(Clone, Debug, Default)]
pub struct ParsedRequest {
    /// `SignedProposal.proposal_bytes`.
    pub proposal_bytes: Bytes,
    /// `SignedProposal.signature`.
    pub signature: Bytes,
    /// Channel of the channel header.
    pub channel_id: String,
    /// Transaction id of the channel header.
    pub tx_id: String,
    /// Name of the addressed chaincode.
    pub chaincode_name: String,
    /// MSP id of the creator.
    pub msp_id: String,
    /// `id_bytes` of the creator.
    pub creator_cert: Bytes,
    /// Address of the client.
    pub remote_addr: String,
    /// When the client stops waiting, in milliseconds since 1970; 0 = it did not say.
    pub deadline_unix_ms: u64,
    /// Further facts by name.
    pub attrs: Vec<(String, Bytes)>,
}

impl ParsedRequest {
    /// What is left of the client's patience; `None` when it did not say.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        if self.deadline_unix_ms == 0 {
            return None;
        }
        let deadline = Duration::from_millis(self.deadline_unix_ms);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(deadline.saturating_sub(now))
    }
}

#[derive(Clone)]
struct View(Arc<ParsedRequest>);

/// The request as plugins see it.
pub(crate) fn view(request: &Arc<ParsedRequest>) -> Request {
    RequestView_TO::from_ptr(RArc::new(View(Arc::clone(request))), TD_Opaque)
}

impl RequestView for View {
    fn proposal_bytes(&self) -> SharedBytes {
        SharedBytes::from_owner(self.0.proposal_bytes.clone())
    }

    fn signature(&self) -> SharedBytes {
        SharedBytes::from_owner(self.0.signature.clone())
    }

    fn channel_id(&self) -> RStr<'_> {
        self.0.channel_id.as_str().into()
    }

    fn tx_id(&self) -> RStr<'_> {
        self.0.tx_id.as_str().into()
    }

    fn chaincode_name(&self) -> RStr<'_> {
        self.0.chaincode_name.as_str().into()
    }

    fn msp_id(&self) -> RStr<'_> {
        self.0.msp_id.as_str().into()
    }

    fn creator_cert(&self) -> RSlice<'_, u8> {
        self.0.creator_cert.as_ref().into()
    }

    fn remote_addr(&self) -> RStr<'_> {
        self.0.remote_addr.as_str().into()
    }

    fn deadline_unix_ms(&self) -> u64 {
        self.0.deadline_unix_ms
    }

    fn attr(&self, key: RStr<'_>) -> ROption<SharedBytes> {
        let found = self.0.attrs.iter().find(|(name, _)| name == key.as_str());
        found
            .map(|(_, value)| SharedBytes::from_owner(value.clone()))
            .into()
    }
}
