//! The chaincode under load: as small as a chaincode can be, so that the peer is what takes the time.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::chaincode_support_client::ChaincodeSupportClient;
use protos::peer::{ChaincodeId, ChaincodeInput, ChaincodeMessage, GetState, PutState, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Messages on their way to the peer.
const QUEUE: usize = 1024;
const OK: i32 = 200;
/// The value that every transaction writes.
const VALUE: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A chaincode that is connected until it is dropped.
pub struct Chaincode {
    task: JoinHandle<()>,
}

impl Drop for Chaincode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Chaincode {
    /// Connects to the chaincode listener at `address` and registers as `id`.
    ///
    /// # Errors
    /// When the peer does not take the registration.
    pub async fn connect(address: &str, id: &str) -> Result<Self> {
        let mut client = ChaincodeSupportClient::connect(format!("http://{address}"))
            .await
            .with_context(|| format!("could not connect to the chaincode listener {address}"))?;
        let (sender, outbound) = mpsc::channel(QUEUE);
        let id = ChaincodeId {
            name: id.to_owned(),
            ..Default::default()
        };
        let register = ChaincodeMessage {
            r#type: Type::Register.into(),
            payload: id.encode_to_vec().into(),
            ..Default::default()
        };
        sender.send(register).await?;
        let mut inbound = client.register(ReceiverStream::new(outbound)).await?.into_inner();
        for expected in [Type::Registered, Type::Ready] {
            let answer = inbound
                .message()
                .await?
                .context("the peer hung up on the chaincode")?;
            if answer.r#type() != expected {
                bail!("the peer sent {:?} instead of {expected:?}", answer.r#type());
            }
        }
        let task = tokio::spawn(serve(inbound, sender));
        Ok(Self { task })
    }
}

async fn serve(mut inbound: Streaming<ChaincodeMessage>, sender: mpsc::Sender<ChaincodeMessage>) {
    while let Ok(Some(message)) = inbound.message().await {
        if sender.send(answer(&message)).await.is_err() {
            return;
        }
    }
}

/// A transaction takes one step or none: the answer to that step is the transaction's.
fn answer(message: &ChaincodeMessage) -> ChaincodeMessage {
    match message.r#type() {
        Type::Transaction => {
            let input = ChaincodeInput::decode(message.payload.clone()).unwrap_or_default();
            transaction(message, &input.args)
        }
        Type::Response => completed(message, message.payload.clone()),
        Type::Error => ChaincodeMessage {
            r#type: Type::Error.into(),
            ..echo(message, message.payload.clone())
        },
        _ => completed(message, Bytes::new()),
    }
}

fn transaction(message: &ChaincodeMessage, args: &[Bytes]) -> ChaincodeMessage {
    let function = args.first().map(AsRef::as_ref).unwrap_or_default();
    let key = args.get(1).map(|key| String::from_utf8_lossy(key).into_owned());
    let key = key.unwrap_or_default();
    let (kind, payload) = match function {
        b"get" => {
            let get = GetState {
                key,
                ..Default::default()
            };
            (Type::GetState, get.encode_to_vec())
        }
        b"put" => {
            let put = PutState {
                key,
                value: VALUE.into(),
                ..Default::default()
            };
            (Type::PutState, put.encode_to_vec())
        }
        _ => return completed(message, Bytes::new()),
    };
    ChaincodeMessage {
        r#type: kind.into(),
        ..echo(message, payload.into())
    }
}

fn completed(message: &ChaincodeMessage, payload: Bytes) -> ChaincodeMessage {
    let response = Response {
        status: OK,
        payload,
        ..Default::default()
    };
    ChaincodeMessage {
        r#type: Type::Completed.into(),
        ..echo(message, response.encode_to_vec().into())
    }
}

fn echo(message: &ChaincodeMessage, payload: Bytes) -> ChaincodeMessage {
    ChaincodeMessage {
        payload,
        txid: message.txid.clone(),
        channel_id: message.channel_id.clone(),
        ..Default::default()
    }
}
