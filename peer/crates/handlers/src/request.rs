//! The facts of one request, filled once by the peer and shared by all plugins.

use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::{RArc, ROption, RSlice, RStr, RVec};
use bytes::Bytes;
use parking_lot::Mutex;
use plugin_api::{Request, RequestView, RequestView_TO, SharedBytes};
use std::fmt;
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
    /// First argument, empty without one.
    pub function: Bytes,
    /// MSP id of the creator.
    pub msp_id: String,
    /// `id_bytes` of the creator.
    pub creator_cert: Bytes,
    /// Address of the client.
    pub remote_addr: String,
    /// When the client stops waiting, in milliseconds since 1970; 0 = it did not say.
    pub deadline_unix_ms: u64,
    /// Whether the proposal and its creator could be decoded: whether the facts above are the client's.
    pub decoded: bool,
    /// Further facts by name.
    pub attrs: Vec<(String, Bytes)>,
    /// The headers that the client sent.
    pub metadata: Metadata,
    /// What filters have said.
    pub said: Said,
}

/// Looks a header up by its name in lower case.
pub type Lookup = dyn Fn(&str) -> Option<Bytes> + Send + Sync;

/// The headers of a request. They are not copied: hardly any plugin asks for one.
#[derive(Clone, Default)]
pub struct Metadata(pub Option<Arc<Lookup>>);

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metadata")
    }
}

/// Beginning of the names of headers.
const METADATA: &str = "grpc.metadata.";
/// Beginnings of names that only the peer may use.
const OURS: [&str; 3] = ["tls.", "trace.", "grpc."];
/// How much filters may say about one request.
const MAX_SAID: usize = 64;
/// Longest name of a fact that a filter sets, in bytes.
const MAX_NAME: usize = 100;
/// Longest value of such a fact, in bytes.
const MAX_VALUE: usize = 65_536;

/// What filters have said about a request; later filters and decorators see it.
#[derive(Debug, Default)]
pub struct Said(Mutex<Vec<(String, Bytes)>>);

impl Clone for Said {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }
}

impl Said {
    /// The last value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Bytes> {
        let said = self.0.lock();
        let found = said.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    }

    fn set(&self, name: &str, value: Bytes) -> bool {
        let ours = OURS.iter().any(|ours| name.starts_with(ours));
        if ours || name.is_empty() || name.len() > MAX_NAME || value.len() > MAX_VALUE {
            return false;
        }
        let mut said = self.0.lock();
        if let Some((_, former)) = said.iter_mut().find(|(key, _)| key == name) {
            *former = value;
            return true;
        }
        let room = said.len() < MAX_SAID;
        if room {
            said.push((name.to_owned(), value));
        }
        room
    }
}

impl ParsedRequest {
    fn fact(&self, name: &str) -> Option<Bytes> {
        let own = self.attrs.iter().find(|(key, _)| key == name);
        own.map(|(_, value)| value.clone())
            .or_else(|| self.said.get(name))
    }

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
        let key = key.as_str();
        let found = match (key.strip_prefix(METADATA), &self.0.metadata.0) {
            (Some(name), Some(lookup)) => lookup(name),
            _ => self.0.fact(key),
        };
        found.map(SharedBytes::from_owner).into()
    }

    fn set_attr(&self, key: RStr<'_>, value: RVec<u8>) -> bool {
        // copied: the plugin's own buffer would be freed by code of the plugin at any time
        self.0.said.set(key.as_str(), Bytes::copy_from_slice(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_say_what_is_not_the_peers_to_say_within_limits() {
        let request = Arc::new(ParsedRequest {
            attrs: vec![("tls.peer-cert".to_owned(), Bytes::from_static(b"der"))],
            metadata: Metadata(Some(Arc::new(|name| {
                (name == "authorization").then(|| Bytes::from_static(b"Bearer x"))
            }))),
            ..ParsedRequest::default()
        });
        let seen = view(&request);
        let set = |name: &str, value: &[u8]| seen.set_attr(name.into(), value.to_vec().into());
        let get = |name: &str| seen.attr(name.into()).into_option().map(|value| value.to_vec());
        for refused in ["", "tls.peer-cert", "trace.parent", "grpc.metadata.authorization"] {
            assert!(!set(refused, b"forged"), "{refused}");
        }
        assert!(!set(&"n".repeat(MAX_NAME + 1), b""));
        assert!(!set("large", &vec![0; MAX_VALUE + 1]));
        assert_eq!(get("tls.peer-cert"), Some(b"der".to_vec()));
        assert_eq!(get("grpc.metadata.authorization"), Some(b"Bearer x".to_vec()));
        assert_eq!(get("grpc.metadata.other"), None);
        for number in 0..MAX_SAID {
            assert!(set(&format!("fact.{number}"), b"first"));
        }
        assert!(!set("one more", b""));
        assert!(set("fact.0", b"second"));
        assert_eq!(get("fact.0"), Some(b"second".to_vec()));
        assert_eq!(
            view(&request)
                .attr("fact.1".into())
                .into_option()
                .map(|value| value.to_vec()),
            Some(b"first".to_vec()),
            "another plugin's view of the same request"
        );
    }
}
