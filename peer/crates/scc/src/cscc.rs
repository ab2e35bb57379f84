//! CSCC: joining channels and reading their configuration (Fabric core/scc/cscc).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chaincode::{SccOutcome, SystemChaincode, TransactionParams};
use channel::{Channel, Channels, Genesis};
use prost::Message;
use protos::common::Block;
use protos::peer::{ChaincodeInput, ChannelInfo, ChannelQueryResponse};
use protos::{ChannelId, wire_message};

use crate::answer::{Asker, blocking, error, success, success_message, text};

/// The configuration system chaincode.
pub struct Cscc {
    channels: Arc<Channels>,
}

impl Cscc {
    /// Answers for these channels.
    #[must_use]
    pub fn new(channels: Arc<Channels>) -> Self {
        Self { channels }
    }
}

#[async_trait]
impl SystemChaincode for Cscc {
    fn name(&self) -> &'static str {
        "cscc"
    }

    fn invokable_external(&self) -> bool {
        true
    }

    fn invokable_cc2cc(&self) -> bool {
        // callable, and refusing with its own text
        true
    }

    async fn invoke(&self, params: &TransactionParams, input: &ChaincodeInput) -> SccOutcome {
        let (channels, asker, args) = (Arc::clone(&self.channels), Asker::of(params), input.args.clone());
        blocking(move || answer(&channels, asker, &args)).await
    }
}

fn answer(channels: &Channels, asker: Option<Asker>, args: &[Bytes]) -> SccOutcome {
    let function = args.first().map(text);
    let (Some(function), true) = (
        &function,
        args.len() > 1 || function.as_deref() == Some("GetChannels"),
    ) else {
        return error(format!("Incorrect number of arguments, {}", args.len()));
    };
    let Some(asker) = asker else {
        return error("Failed getting signed proposal from stub: [no signed proposal]");
    };
    if asker.chaincode != "cscc" {
        return error(format!(
            "Rejecting invoke of CSCC from another chaincode, original invocation for '{}'",
            asker.chaincode
        ));
    }
    let argument = args.get(1).cloned().unwrap_or_default();
    match function.as_str() {
        "JoinChain" => join_chain(channels, &asker, argument),
        "GetConfigBlock" => config_block(channels, &asker, &text(&argument)),
        "GetChannelConfig" if argument.is_empty() => error("empty channel name provided"),
        "GetChannelConfig" => channel_config(channels, &asker, &text(&argument)),
        "GetChannels" => joined_channels(channels, &asker),
        other => error(format!("Requested function {other} not found.")),
    }
}

fn join_chain(channels: &Channels, asker: &Asker, block: Bytes) -> SccOutcome {
    if block.is_empty() {
        return error("Cannot join the channel <nil> configuration block provided");
    }
    let block = match Block::decode(block) {
        Ok(block) => block,
        Err(reason) => return error(format!("Failed to reconstruct the genesis block, {reason}")),
    };
    let channel = match Genesis::channel_of(&block) {
        Ok(channel) => channel,
        Err(reason) => {
            let reason = wire_message(&reason);
            return error(format!(
                "\"JoinChain\" request failed to extract channel id from the block due to [{reason}]"
            ));
        }
    };
    let genesis = match Genesis::try_from(block) {
        Ok(genesis) => genesis,
        Err(reason) => {
            let reason = wire_message(&reason);
            return error(format!(
                "\"JoinChain\" for channelID = {channel} failed because of validation of configuration block, because of {reason}"
            ));
        }
    };
    if let Err(denied) = channels.check_acl("cscc/JoinChain", None, &asker.signed) {
        let reason = wire_message(&denied);
        return error(format!("access denied for [JoinChain][{channel}]: [{reason}]"));
    }
    match channels.join_genesis(genesis) {
        Ok(_) => success(Bytes::new()),
        Err(reason) => error(wire_message(&reason)),
    }
}

fn config_block(channels: &Channels, asker: &Asker, channel: &str) -> SccOutcome {
    let joined = match allowed(channels, asker, "GetConfigBlock", channel) {
        Ok(Some(joined)) => joined,
        Ok(None) => return error(format!("Unknown channel ID, {channel}")),
        Err(denied) => return error(denied),
    };
    let ledger = joined.ledger();
    match ledger.block_bytes_by_number(ledger.last_config_block_number()) {
        Ok(block) => success(block),
        Err(reason) => error(wire_message(&reason)),
    }
}

fn channel_config(channels: &Channels, asker: &Asker, channel: &str) -> SccOutcome {
    match allowed(channels, asker, "GetChannelConfig", channel) {
        Ok(Some(joined)) => success_message(joined.bundle().config()),
        Ok(None) => error(format!("unknown channel ID, {channel}")),
        Err(denied) => error(denied),
    }
}

/// The channel if it is joined, once the asker may read it; else the text of the refusal.
fn allowed(
    channels: &Channels,
    asker: &Asker,
    function: &str,
    channel: &str,
) -> Result<Option<Arc<Channel>>, String> {
    let id = ChannelId::from(channel);
    let named = Some(&id).filter(|id| !id.is_empty());
    let checked = channels.check_acl(&format!("cscc/{function}"), named, &asker.signed);
    let denied = |reason| {
        format!(
            "access denied for [{function}][{channel}]: {}",
            wire_message(&reason)
        )
    };
    checked.map(|()| channels.get(&id)).map_err(denied)
}

fn joined_channels(channels: &Channels, asker: &Asker) -> SccOutcome {
    if let Err(denied) = channels.check_acl("cscc/GetChannels", None, &asker.signed) {
        return error(format!(
            "access denied for [GetChannels]: {}",
            wire_message(&denied)
        ));
    }
    let info = |id: ChannelId| ChannelInfo {
        channel_id: id.to_string(),
    };
    success_message(&ChannelQueryResponse {
        channels: channels.list().into_iter().map(info).collect(),
    })
}
