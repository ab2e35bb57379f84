//! `peer channel …`

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use deliver::client::{OrdererClient, PeerDeliverClient, Position};
use msp::LocalSigner;
use prost::Message;
use protos::UnpackedEnvelope;
use protos::common::{
    Block, BlockchainInfo, ConfigSignature, ConfigUpdateEnvelope, Envelope, HeaderType, Payload,
};
use protos::peer::ChannelQueryResponse;
use serde::Serialize;

use super::chaincode::broadcast;
use super::context::{Context, OrdererWanted, duration, read, write};
use super::progress::during;
use super::{ChannelArgs, ChannelCommand, PeerArgs, output};
use crate::client::proposal::{PreparedProposal, ProposalRequest, sign_payload, signature_header};

/// How long to wait between two looks for a new channel's genesis block.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Runs a command.
///
/// # Errors
/// Whatever stopped it.
pub async fn run(context: &Context, args: ChannelArgs) -> Result<()> {
    let orderer = OrdererWanted::by(&args.orderer);
    match args.command {
        ChannelCommand::Create {
            channel,
            file,
            output_block,
            timeout,
        } => {
            let file =
                file.context("give the channel creation transaction with -f, as configtxgen writes it")?;
            let block = create(context, &channel, &file, duration(&timeout)?, orderer).await?;
            let to = output_block.unwrap_or_else(|| PathBuf::from(format!("{channel}.block")));
            written(context, &to, &block)
        }
        ChannelCommand::Join { block } => {
            let genesis = read(&block)?;
            Block::decode(genesis.clone()).with_context(|| {
                format!(
                    "{} is no block; `peer channel create` and `peer channel fetch 0` write a channel's first",
                    block.display()
                )
            })?;
            let args = vec![Bytes::from_static(b"JoinChain"), genesis];
            call(context, "", "cscc", args).await?;
            output::result(context.output, &"joined", |done| (*done).to_owned())
        }
        ChannelCommand::List => list(context).await,
        ChannelCommand::Getinfo { channel } => getinfo(context, &channel).await,
        ChannelCommand::Fetch {
            which,
            file,
            channel,
            best_effort,
        } => {
            let block = fetch(context, &channel, &which, orderer, best_effort).await?;
            let to = file.unwrap_or_else(|| PathBuf::from(format!("{channel}_{which}.block")));
            written(context, &to, &block)
        }
        ChannelCommand::Update { channel, file } => {
            let identity = context.identity()?;
            let update = signed_update(&file, Some(&channel), identity.signer())?;
            broadcast(context, orderer, &channel, identity.signer(), update).await?;
            output::result(context.output, &"updated", |done| (*done).to_owned())
        }
        ChannelCommand::Signconfigtx { file } => {
            let signed = signed_update(&file, None, context.identity()?.signer())?;
            write(&file, &signed.encode_to_vec())?;
            output::result(context.output, &"signed", |done| (*done).to_owned())
        }
    }
}

async fn call(context: &Context, channel: &str, chaincode: &str, args: Vec<Bytes>) -> Result<Bytes> {
    let identity = context.identity()?;
    let peer = context.peer(&PeerArgs::default(), channel, "channel").await?;
    let proposal = PreparedProposal::new(&ProposalRequest::new(channel, chaincode, args), identity.signer())?;
    Ok(peer.call(proposal.signed).await?)
}

/// A block that was written to a file.
#[derive(Serialize)]
struct WrittenBlock {
    file: String,
    number: u64,
}

fn written(context: &Context, to: &Path, block: &Block) -> Result<()> {
    write(to, &block.encode_to_vec())?;
    let number = block
        .header
        .as_ref()
        .map(|header| header.number)
        .unwrap_or_default();
    let written = WrittenBlock {
        file: to.display().to_string(),
        number,
    };
    output::result(context.output, &written, |written| {
        format!("block {} written to {}", written.number, written.file)
    })
}

async fn create(
    context: &Context,
    channel: &str,
    file: &Path,
    timeout: Duration,
    orderer: OrdererWanted<'_>,
) -> Result<Block> {
    if orderer.args.orderer.is_none() {
        bail!("a new channel has no configuration that names an orderer: give it with -o");
    }
    let identity = context.identity()?;
    let signer = identity.signer();
    let update = signed_update(file, Some(channel), signer)?;
    broadcast(context, orderer, channel, signer, update).await?;
    let orderer = context.orderer(orderer, channel, signer).await?;
    let found = during(
        "waiting for the new channel",
        first_block(&orderer, signer, channel),
    );
    tokio::time::timeout(timeout, found)
        .await
        .with_context(|| format!("timeout waiting for channel creation after {timeout:?}"))
}

/// Asks until the orderer serves the channel.
pub async fn first_block(orderer: &OrdererClient, signer: &LocalSigner, channel: &str) -> Block {
    loop {
        match orderer.fetch_block(signer, channel, Position::Oldest).await {
            Ok(block) => return block,
            Err(error) => tracing::debug!(
                error = protos::wire_message(&error),
                "the channel is not there yet"
            ),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Reads a configuration update and adds this identity's signature to it.
fn signed_update(file: &Path, channel: Option<&str>, signer: &LocalSigner) -> Result<Envelope> {
    let envelope =
        Envelope::decode(read(file)?).with_context(|| format!("{} is no envelope", file.display()))?;
    sign_update(envelope, channel, signer).with_context(|| format!("{} cannot be signed", file.display()))
}

/// Adds this identity's signature to a configuration update.
///
/// # Errors
/// When the envelope is no configuration update of that channel.
pub fn sign_update(envelope: Envelope, channel: Option<&str>, signer: &LocalSigner) -> Result<Envelope> {
    let unpacked = UnpackedEnvelope::try_from(envelope)?;
    if unpacked.channel_header.r#type != i32::from(HeaderType::ConfigUpdate) {
        bail!("bad type: the envelope is no CONFIG_UPDATE");
    }
    if let Some(channel) = channel.filter(|channel| *channel != unpacked.channel_header.channel_id) {
        bail!(
            "mismatched channel ID {} != {channel}",
            unpacked.channel_header.channel_id
        );
    }
    let mut update = ConfigUpdateEnvelope::decode(unpacked.data)?;
    let header: Bytes = signature_header(signer).encode_to_vec().into();
    let signature = signer.sign(&[&header, &update.config_update])?;
    update.signatures.push(ConfigSignature {
        signature_header: header,
        signature,
    });
    let mut header = unpacked.header;
    header.signature_header = signature_header(signer).encode_to_vec().into();
    Ok(sign_payload(
        Payload {
            header: Some(header),
            data: update.encode_to_vec().into(),
        },
        signer,
    )?)
}

#[derive(Serialize)]
struct Channels {
    channels: Vec<String>,
}

async fn list(context: &Context) -> Result<()> {
    let answer = call(context, "", "cscc", vec![Bytes::from_static(b"GetChannels")]).await?;
    let channels = ChannelQueryResponse::decode(answer)?.channels;
    let channels = Channels {
        channels: channels.into_iter().map(|info| info.channel_id).collect(),
    };
    output::result(context.output, &channels, |listed| {
        format!("Channels peers has joined:\n{}", listed.channels.join("\n"))
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChainInfo {
    height: u64,
    current_block_hash: String,
    previous_block_hash: String,
}

async fn getinfo(context: &Context, channel: &str) -> Result<()> {
    let args = vec![Bytes::from_static(b"GetChainInfo"), channel.to_owned().into()];
    let info = BlockchainInfo::decode(call(context, "", "qscc", args).await?)?;
    let info = ChainInfo {
        height: info.height,
        current_block_hash: hex::encode(info.current_block_hash),
        previous_block_hash: hex::encode(info.previous_block_hash),
    };
    output::result(context.output, &info, |info| {
        let json = serde_json::to_string(info).unwrap_or_default();
        format!("Blockchain info: {json}")
    })
}

async fn fetch(
    context: &Context,
    channel: &str,
    which: &str,
    orderer: OrdererWanted<'_>,
    best_effort: bool,
) -> Result<Block> {
    let identity = context.identity()?;
    let signer = identity.signer();
    let position = match which {
        "newest" => Some(Position::Newest),
        "oldest" => Some(Position::Oldest),
        "config" => None,
        number => Some(Position::Number(number.parse().with_context(|| {
            format!("fetch target illegal: {number}; newest, oldest, config or a number")
        })?)),
    };
    if orderer.args.orderer.is_some() {
        let orderer = context.orderer(orderer, channel, signer).await?;
        let orderer = orderer.with_best_effort(best_effort);
        return Ok(match position {
            Some(position) => orderer.fetch_block(signer, channel, position).await?,
            None => orderer.fetch_config_block(signer, channel).await?,
        });
    }
    let peer = context.peer(&PeerArgs::default(), channel, "channel").await?;
    let peer = PeerDeliverClient::new(peer.channel(), peer.tls_cert_hash()).with_best_effort(best_effort);
    Ok(match position {
        Some(position) => peer.fetch_block(signer, channel, position).await?,
        None => peer.fetch_config_block(signer, channel).await?,
    })
}
