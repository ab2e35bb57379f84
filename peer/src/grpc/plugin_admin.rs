//! `fabricpeer.PluginAdmin`: looking at the plugins of a running peer, and exchanging them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use handlers::{Explained, PluginInfo, PluginStats, Question};
use msp::{LocalMsp, LocalPolicy};
use parking_lot::Mutex;
use prost::Message;
use protos::common::{Envelope, HeaderType};
use protos::plugin_admin::plugin_admin_server::{PluginAdmin, PluginAdminServer};
use protos::plugin_admin::plugin_request::Request as Operation;
use protos::plugin_admin::{ExplainPlugins, PluginReply, PluginRequest};
use protos::{UnpackedEnvelope, now_timestamp, sha256, wire_message};
use serde::Serialize;
use tonic::{Request, Response, Status};

use crate::node::reloading::Reloader;

/// Largest request: an envelope with a certificate.
const MAX_REQUEST: usize = 64 * 1024;
/// Most requests that are obeyed within one time window: each is remembered as long as it lasts.
const MAX_OBEYED: usize = 4096;

/// What runs, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// Counts the sets of plugins that were in force since the peer started, from 1.
    pub generation: u64,
    /// The plugins in their order.
    pub plugins: Vec<RunningPlugin>,
}

/// One plugin and how it fares.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningPlugin {
    /// What it is.
    #[serde(flatten)]
    pub info: PluginInfo,
    /// How its instance fares, and after it those that it has for single chaincodes.
    pub stats: Vec<PluginStats>,
}

/// The service.
pub struct PluginAdminService {
    reloader: Reloader,
    local_msp: Arc<LocalMsp>,
    time_window: Duration,
    obeyed: Obeyed,
}

/// The requests that were obeyed, by the hash of what was signed, and until when their timestamps are within the window, in
/// seconds since 1970. Whoever has heard one must not have it obeyed again: a configuration that is being written would
/// come into force. A peer that has been restarted, and others of the organisation, have not seen it.
#[derive(Default)]
struct Obeyed(Mutex<BTreeMap<[u8; 32], i64>>);

impl Obeyed {
    fn remember(&self, signed: &[u8], until: i64, now: i64) -> Result<(), Status> {
        let mut obeyed = self.0.lock();
        obeyed.retain(|_, until| *until >= now);
        if obeyed.len() >= MAX_OBEYED {
            return Err(Status::resource_exhausted(
                "too many administrative requests, try again later",
            ));
        }
        match obeyed.insert(sha256(&[signed]), until) {
            None => Ok(()),
            Some(_) => Err(Status::already_exists(
                "this signed request was obeyed before: sign another one",
            )),
        }
    }
}

impl PluginAdminService {
    /// For the plugins of `reloader`; admins of `local_msp` may call it, with clocks that differ by less than
    /// `time_window`.
    #[must_use]
    pub fn server(
        reloader: Reloader,
        local_msp: Arc<LocalMsp>,
        time_window: Duration,
    ) -> PluginAdminServer<Self> {
        PluginAdminServer::new(Self {
            reloader,
            local_msp,
            time_window,
            obeyed: Obeyed::default(),
        })
        .max_decoding_message_size(MAX_REQUEST)
    }

    /// What an admin asks for, once.
    fn authenticated(&self, request: Request<Envelope>) -> Result<Operation, Status> {
        let envelope = UnpackedEnvelope::try_from(request.into_inner()).map_err(malformed)?;
        let header = &envelope.channel_header;
        if header.r#type != i32::from(HeaderType::PeerAdminOperation) {
            return Err(Status::invalid_argument(
                "the envelope's type is not PEER_ADMIN_OPERATION",
            ));
        }
        let sent = header.timestamp.map_or(0, |timestamp| timestamp.seconds);
        let window = i64::try_from(self.time_window.as_secs()).unwrap_or(i64::MAX);
        let now = now_timestamp().seconds;
        if now.saturating_sub(sent).saturating_abs() > window {
            return Err(Status::invalid_argument(format!(
                "the envelope's timestamp is more than {window} s from the peer's clock"
            )));
        }
        let allowed = self
            .local_msp
            .check_policy(LocalPolicy::Admins, &envelope.signed_data());
        if let Err(refused) = allowed {
            tracing::warn!(reason = wire_message(&refused), "plugin administration refused");
            return Err(Status::permission_denied(
                "access denied: only an admin of the peer's organisation may administer its plugins",
            ));
        }
        let until = sent.saturating_add(window);
        self.obeyed.remember(&envelope.payload_bytes, until, now)?;
        let request = PluginRequest::decode(envelope.data).map_err(malformed)?;
        request
            .request
            .ok_or_else(|| Status::invalid_argument("the request is empty"))
    }
}

fn reply<T: Serialize>(document: &T) -> Result<Response<PluginReply>, Status> {
    let json = serde_json::to_vec(document).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Response::new(PluginReply { json: json.into() }))
}

fn malformed<E: std::error::Error + 'static>(error: E) -> Status {
    Status::invalid_argument(wire_message(&error))
}

fn another() -> Status {
    Status::invalid_argument("the signed request is for another call")
}

fn question(asked: ExplainPlugins) -> Question {
    Question {
        channel: asked.channel,
        chaincode: asked.chaincode,
        function: asked.function,
        mspid: asked.mspid,
    }
}

#[tonic::async_trait]
impl PluginAdmin for PluginAdminService {
    async fn reload(&self, request: Request<Envelope>) -> Result<Response<PluginReply>, Status> {
        let Operation::Reload(_) = self.authenticated(request)? else {
            return Err(another());
        };
        tracing::info!("an admin asks for the plugins to be reloaded");
        match self.reloader.reload().await {
            Ok(reload) => reply(&reload),
            Err(error) => Err(Status::failed_precondition(wire_message(error.as_ref()))),
        }
    }

    async fn list(&self, request: Request<Envelope>) -> Result<Response<PluginReply>, Status> {
        let Operation::List(_) = self.authenticated(request)? else {
            return Err(another());
        };
        let plugins = self.reloader.registry().current();
        let stats = plugins.stats();
        let running = plugins.list().into_iter().map(|info| RunningPlugin {
            stats: stats
                .iter()
                .filter(|stats| stats.kind == info.kind && is_of(&stats.instance, &info.instance))
                .cloned()
                .collect(),
            info,
        });
        reply(&Running {
            generation: plugins.generation,
            plugins: running.collect(),
        })
    }

    async fn explain(&self, request: Request<Envelope>) -> Result<Response<PluginReply>, Status> {
        let Operation::Explain(asked) = self.authenticated(request)? else {
            return Err(another());
        };
        let explained: Vec<Explained> = self.reloader.registry().current().explain(&question(asked));
        reply(&explained)
    }
}

/// Whether an instance is that of an entry, or one that the entry has for a single chaincode.
fn is_of(instance: &str, entry: &str) -> bool {
    instance
        .strip_prefix(entry)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_obeyed_is_remembered_as_long_as_its_window_lasts() {
        let obeyed = Obeyed::default();
        obeyed.remember(b"a", 110, 100).unwrap();
        obeyed.remember(b"b", 120, 100).unwrap();
        let again = obeyed.remember(b"a", 110, 110).unwrap_err();
        assert_eq!(again.code(), tonic::Code::AlreadyExists);
        obeyed.remember(b"c", 120, 111).unwrap();
        assert_eq!(obeyed.0.lock().len(), 2, "a is too old to be taken anyway");
        for number in 2..MAX_OBEYED {
            obeyed.remember(&number.to_le_bytes(), 120, 111).unwrap();
        }
        let full = obeyed.remember(b"one more", 120, 111).unwrap_err();
        assert_eq!(full.code(), tonic::Code::ResourceExhausted);
        obeyed.remember(b"one more", 131, 121).unwrap();
    }
}
