//! Calls of `fabricpeer.PluginAdmin`, signed as the service wants them.

use bytes::Bytes;
use msp::LocalSigner;
use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload};
use protos::now_timestamp;
use protos::plugin_admin::PluginRequest;
use protos::plugin_admin::plugin_admin_client::PluginAdminClient;
use protos::plugin_admin::plugin_request::Request as Operation;

use super::ClientError;
use super::connection::PeerConnection;
use super::proposal::{sign_payload, signature_header};

/// Has a peer do it, as an admin of its organisation; the answer is a JSON document.
///
/// # Errors
/// When signing fails, or the peer's gRPC status.
pub async fn call(
    peer: &PeerConnection,
    operation: Operation,
    signer: &LocalSigner,
) -> Result<Bytes, ClientError> {
    let envelope = signed(operation.clone(), signer)?;
    let mut client = PluginAdminClient::new(peer.channel());
    let answer = match operation {
        Operation::Reload(_) => client.reload(envelope).await,
        Operation::List(_) => client.list(envelope).await,
        Operation::Explain(_) => client.explain(envelope).await,
    };
    match answer {
        Ok(reply) => Ok(reply.into_inner().json),
        Err(status) => Err(ClientError::Status {
            address: peer.address().to_owned(),
            status: Box::new(status),
        }),
    }
}

/// The envelope of an operation.
///
/// # Errors
/// When signing fails.
pub fn signed(operation: Operation, signer: &LocalSigner) -> Result<Envelope, ClientError> {
    let channel_header = ChannelHeader {
        r#type: HeaderType::PeerAdminOperation.into(),
        timestamp: Some(now_timestamp()),
        ..Default::default()
    };
    let header = Header {
        channel_header: channel_header.encode_to_vec().into(),
        signature_header: signature_header(signer).encode_to_vec().into(),
    };
    let request = PluginRequest {
        request: Some(operation),
    };
    let payload = Payload {
        header: Some(header),
        data: request.encode_to_vec().into(),
    };
    sign_payload(payload, signer)
}
