//! A scripted chaincode on the real gRPC stream. What it does with a transaction, its first argument says.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::chaincode_support_client::ChaincodeSupportClient;
use protos::peer::{
    ChaincodeEvent, ChaincodeId, ChaincodeInput, ChaincodeMessage, GetState, PutState, Response,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

/// How long the peer may take to answer a registration.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connected chaincode; dropping it hangs up.
pub struct Shim {
    task: JoinHandle<()>,
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shim {
    /// Waits until the peer hangs up.
    pub async fn closed(mut self) {
        // whether it ended well does not matter
        (&mut self.task).await.ok();
    }

    /// Connects and registers.
    ///
    /// # Errors
    /// When the peer does not answer with REGISTERED and READY.
    pub async fn connect(address: &str, name: &str) -> Result<Self> {
        // the stream of a predecessor may not have been cleared away yet
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match Self::register(address, name).await {
                Ok(shim) => return Ok(shim),
                Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// One attempt.
    ///
    /// # Errors
    /// What the peer said, if it refused.
    pub async fn register(address: &str, name: &str) -> Result<Self> {
        let mut client = ChaincodeSupportClient::connect(format!("http://{address}")).await?;
        let (sender, messages) = mpsc::channel(64);
        let id = ChaincodeId {
            name: name.into(),
            ..Default::default()
        };
        let register = message(Type::Register, id.encode_to_vec(), &ChaincodeMessage::default());
        sender.send(register).await?;
        let mut incoming = client.register(ReceiverStream::new(messages)).await?.into_inner();
        for expected in [Type::Registered, Type::Ready] {
            let answer = tokio::time::timeout(PATIENCE, incoming.message()).await??;
            let answer = answer.context("the peer hung up")?;
            if answer.r#type() != expected {
                bail!("the peer sent {:?} instead of {expected:?}", answer.r#type());
            }
        }
        let task = tokio::spawn(async move {
            while let Ok(Some(incoming)) = incoming.message().await {
                for answer in react(&incoming) {
                    let Some(answer) = answer else { return };
                    if sender.send(answer).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Self { task })
    }
}

fn message(kind: Type, payload: Vec<u8>, to: &ChaincodeMessage) -> ChaincodeMessage {
    ChaincodeMessage {
        r#type: kind.into(),
        payload: payload.into(),
        txid: to.txid.clone(),
        channel_id: to.channel_id.clone(),
        ..Default::default()
    }
}

fn completed(status: i32, text: &str, payload: impl Into<Bytes>, to: &ChaincodeMessage) -> ChaincodeMessage {
    let response = Response {
        status,
        message: text.into(),
        payload: payload.into(),
    };
    message(Type::Completed, response.encode_to_vec(), to)
}

/// What the chaincode answers; `None` hangs up.
fn react(incoming: &ChaincodeMessage) -> Vec<Option<ChaincodeMessage>> {
    match incoming.r#type() {
        Type::Init => vec![Some(completed(200, "", "", incoming))],
        Type::Transaction => {
            let input = ChaincodeInput::decode(incoming.payload.clone()).unwrap_or_default();
            let args: Vec<String> = input
                .args
                .iter()
                .map(|arg| String::from_utf8_lossy(arg).into_owned())
                .collect();
            transaction(incoming, &input, &args)
        }
        Type::Response => {
            vec![Some(completed(200, "", incoming.payload.clone(), incoming))]
        }
        Type::Error => {
            let text = String::from_utf8_lossy(&incoming.payload).into_owned();
            vec![Some(completed(500, &text, "", incoming))]
        }
        _ => Vec::new(),
    }
}

fn transaction(
    to: &ChaincodeMessage,
    input: &ChaincodeInput,
    args: &[String],
) -> Vec<Option<ChaincodeMessage>> {
    let arg = |index: usize| args.get(index).cloned().unwrap_or_default();
    let put = |key: String| {
        PutState {
            key,
            value: "v".into(),
            ..Default::default()
        }
        .encode_to_vec()
    };
    match arg(0).as_str() {
        "put" => vec![Some(message(Type::PutState, put(arg(1)), to))],
        "get" => {
            let get = GetState {
                key: arg(1),
                ..Default::default()
            };
            vec![Some(message(Type::GetState, get.encode_to_vec(), to))]
        }
        "decoration" => {
            let value = input.decorations.get(&arg(1)).cloned().unwrap_or_default();
            vec![Some(completed(200, "", value, to))]
        }
        "large" => vec![Some(completed(200, "", vec![b'x'; 300_000], to))],
        "decorations" => vec![Some(completed(200, "", input.decorations.len().to_string(), to))],
        "status" => vec![Some(completed(arg(1).parse().unwrap_or(0), "as asked", "p", to))],
        "event" => {
            let mut answer = completed(200, "", "", to);
            answer.chaincode_event = Some(ChaincodeEvent {
                chaincode_id: "forged".into(),
                tx_id: "forged".into(),
                event_name: "happened".into(),
                payload: "payload".into(),
            });
            vec![Some(answer)]
        }
        "garbage" => vec![Some(message(Type::Completed, vec![0xff; 40], to))],
        "error" => vec![Some(message(Type::Error, b"no".to_vec(), to))],
        "twice" => vec![
            Some(completed(200, "", "first", to)),
            Some(completed(200, "", "second", to)),
        ],
        "other transaction" => {
            let other = ChaincodeMessage {
                txid: "f00d".into(),
                ..to.clone()
            };
            vec![Some(completed(200, "", "", &other))]
        }
        "undecodable request" => vec![Some(message(Type::PutState, vec![0xff; 9], to))],
        "request outside" => {
            let other = ChaincodeMessage {
                txid: "f00d".into(),
                ..to.clone()
            };
            vec![
                Some(message(Type::GetState, put("k".into()), &other)),
                Some(completed(200, "", "", to)),
            ]
        }
        "private" => {
            let get = GetState {
                key: "k".into(),
                collection: "c".into(),
            };
            vec![Some(message(Type::GetState, get.encode_to_vec(), to))]
        }
        "rich query" => vec![Some(message(Type::GetQueryResult, b"\x0a\x02{}".to_vec(), to))],
        "unknown iterator" => vec![Some(message(Type::QueryStateNext, b"\x0a\x01x".to_vec(), to))],
        "unknown chaincode" => {
            let spec = protos::peer::ChaincodeSpec {
                chaincode_id: Some(ChaincodeId {
                    name: "nobody".into(),
                    ..Default::default()
                }),
                input: Some(ChaincodeInput::default()),
                ..Default::default()
            };
            vec![Some(message(Type::InvokeChaincode, spec.encode_to_vec(), to))]
        }
        "flood" => (0..3000)
            .map(|index| Some(message(Type::PutState, put(format!("k{index}")), to)))
            .collect(),
        "register again" => vec![Some(message(Type::Register, b"\x12\x04kv:1".to_vec(), to))],
        "out of turn" => vec![Some(message(Type::Ready, Vec::new(), to))],
        "hang up" => vec![None],
        "silence" => Vec::new(),
        _ => vec![Some(completed(200, "", "done", to))],
    }
}
