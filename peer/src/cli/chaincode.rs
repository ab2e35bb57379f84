//! `peer chaincode …`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use deliver::client::{CommitListener, PeerDeliverClient};
use msp::LocalSigner;
use prost::Message;
use protos::common::{Envelope, Status};
use protos::peer::{ChaincodeInput, ChaincodeQueryResponse, ProposalResponse, TxValidationCode};
use serde::Serialize;

use super::context::{Context, duration, read, write};
use super::progress::during;
use super::{CallArgs, ChaincodeCommand, DeployArgs, OrdererArgs, PeerArgs, local, output};
use crate::client::connection::PeerConnection;
use crate::client::ctor::{parse_ctor, parse_transient};
use crate::client::package::{DeploymentSpec, PackageRequest, package, sign_package};
use crate::client::proposal::{PreparedProposal, ProposalRequest};
use crate::node::plugins;

/// Runs a command.
///
/// # Errors
/// Whatever stopped it.
pub async fn run(context: &Context, command: ChaincodeCommand) -> Result<()> {
    match command {
        ChaincodeCommand::Package {
            id,
            source,
            signed,
            sign,
            instantiation_policy,
            file,
        } => {
            let request = PackageRequest {
                name: id.name,
                version: id.version,
                path: source.path,
                lang: source.lang,
            };
            let bytes = packaged(context, &request).await?;
            let bytes = if signed || sign {
                let identity = context.identity()?;
                sign_package(&bytes, instantiation_policy.as_deref(), sign, identity.signer())?
            } else {
                bytes
            };
            write_package(context, &file, &bytes)
        }
        ChaincodeCommand::Install {
            file,
            name,
            version,
            path,
            lang,
            peers,
        } => {
            let bytes = package_to_install(context, file.as_deref(), name, version, path, lang).await?;
            install(context, bytes, &peers).await
        }
        ChaincodeCommand::Instantiate(args) => deploy(context, "deploy", args).await,
        ChaincodeCommand::Upgrade(args) => deploy(context, "upgrade", args).await,
        ChaincodeCommand::Invoke {
            call,
            orderer,
            wait_for_event,
            wait_for_event_timeout,
            is_init,
        } => {
            let wait = wait_for_event
                .then(|| duration(&wait_for_event_timeout))
                .transpose()?;
            let request = ProposalRequest {
                is_init,
                ..call_request(&call)?
            };
            let submitted = submit(context, request, &call.peers, &orderer, wait).await?;
            output::result(context.output, &submitted, Submitted::text)
        }
        ChaincodeCommand::Query { call, raw, hex } => query(context, &call, raw, hex).await,
        ChaincodeCommand::List {
            installed,
            channel,
            peers,
            ..
        } => {
            let channel = if installed {
                String::new()
            } else {
                channel.unwrap_or_default()
            };
            list(context, &channel, &peers).await
        }
        ChaincodeCommand::Logs { id, build, run, tail } => local::logs(context, &id, (!run, !build), tail),
        ChaincodeCommand::Gc { dry_run } => local::collect_garbage(context, dry_run).await,
    }
}

fn write_package(context: &Context, file: &Path, package: &[u8]) -> Result<()> {
    write(file, package)?;
    let written = Written {
        file: file.display().to_string(),
        bytes: package.len(),
    };
    output::result(context.output, &written, |written| {
        format!("{} ({} bytes)", written.file, written.bytes)
    })
}

#[derive(Serialize)]
struct Written {
    file: String,
    bytes: usize,
}

async fn packaged(context: &Context, request: &PackageRequest) -> Result<Bytes> {
    let platforms = plugins::load(&context.config)?.platforms();
    Ok(during("packaging the chaincode", package(&platforms, request)).await?)
}

async fn package_to_install(
    context: &Context,
    file: Option<&Path>,
    name: Option<String>,
    version: Option<String>,
    path: Option<PathBuf>,
    lang: String,
) -> Result<Bytes> {
    match (file, name, version, path) {
        (Some(file), ..) => read(file),
        (None, Some(name), Some(version), Some(path)) => {
            packaged(
                context,
                &PackageRequest {
                    name,
                    version,
                    path,
                    lang,
                },
            )
            .await
        }
        _ => bail!("give a package file, or -n NAME -v VERSION -p FOLDER"),
    }
}

async fn install(context: &Context, package: Bytes, peers: &PeerArgs) -> Result<()> {
    let identity = context.identity()?;
    let request = ProposalRequest::new("", "lscc", [Bytes::from_static(b"install"), package]);
    for target in context.peers(peers)? {
        let peer = PeerConnection::open(&target).await?;
        let signed = PreparedProposal::new(&request, identity.signer())?.signed;
        during("installing the chaincode", peer.call(signed)).await?;
    }
    output::result(context.output, &"installed", |done| (*done).to_owned())
}

async fn deploy(context: &Context, function: &str, args: DeployArgs) -> Result<()> {
    let input = ChaincodeInput {
        args: parse_ctor(&args.ctor)?,
        ..Default::default()
    };
    let policy = match &args.policy {
        Some(text) => msp::policy::from_string(text)
            .context("invalid policy")?
            .encode_to_vec(),
        None => Vec::new(),
    };
    let spec = DeploymentSpec {
        name: &args.id.name,
        version: &args.id.version,
        lang: &args.lang,
        input,
    };
    let call: [Bytes; 6] = [
        function.to_owned().into(),
        args.channel.clone().into(),
        spec.encode().into(),
        policy.into(),
        args.escc.into(),
        args.vscc.into(),
    ];
    let wait = args
        .wait_for_event
        .then(|| duration(&args.wait_for_event_timeout))
        .transpose()?;
    let request = ProposalRequest::new(&args.channel, "lscc", call);
    let submitted = submit(context, request, &args.peers, &args.orderer, wait).await?;
    output::result(context.output, &submitted, Submitted::text)
}

fn call_request(call: &CallArgs) -> Result<ProposalRequest> {
    let transient = call
        .transient
        .as_deref()
        .map(parse_transient)
        .transpose()?
        .unwrap_or_default();
    Ok(ProposalRequest {
        transient,
        ..ProposalRequest::new(&call.channel, &call.name, parse_ctor(&call.ctor)?)
    })
}

/// What became of a transaction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Submitted {
    tx_id: String,
    status: i32,
    payload: String,
    endorser: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_code: Option<&'static str>,
}

impl Submitted {
    fn text(&self) -> String {
        let mut text = format!(
            "txid [{}] status {} payload {:?}",
            self.tx_id, self.status, self.payload
        );
        if let (Some(block), Some(code)) = (self.block, self.validation_code) {
            text.push_str(&format!(" committed in block {block} as {code}"));
        }
        text
    }
}

async fn submit(
    context: &Context,
    mut request: ProposalRequest,
    peers: &PeerArgs,
    orderer: &OrdererArgs,
    wait: Option<std::time::Duration>,
) -> Result<Submitted> {
    let identity = context.identity()?;
    let signer = identity.signer();
    let mut connections = Vec::new();
    for target in context.peers(peers)? {
        connections.push(PeerConnection::open(&target).await?);
    }
    request.tls_cert_hash = connections
        .first()
        .map(PeerConnection::tls_cert_hash)
        .unwrap_or_default();
    let proposal = PreparedProposal::new(&request, signer)?;
    let asked = connections
        .iter()
        .map(|peer| peer.agreed(proposal.signed.clone()));
    let responses = during("endorsing", futures::future::try_join_all(asked)).await?;
    let envelope = proposal.transaction(&responses, signer)?;
    let mut listeners = Vec::new();
    if let Some(limit) = wait {
        for peer in &connections {
            let client = PeerDeliverClient::new(peer.channel(), peer.tls_cert_hash());
            listeners.push(CommitListener::open(&client, signer, &request.channel, limit).await?);
        }
    }
    broadcast(context, orderer, &request.channel, signer, envelope).await?;
    let mut submitted = described(&proposal, responses.into_iter().next().unwrap_or_default())?;
    for listener in &mut listeners {
        let limit = wait.unwrap_or_default();
        let committed = during(
            "waiting for the commit",
            listener.wait_for(&proposal.tx_id, limit),
        )
        .await?;
        if committed.code != TxValidationCode::Valid {
            bail!(
                "transaction invalidated with status ({})",
                committed.code.as_str_name()
            );
        }
        submitted.block = Some(committed.block);
        submitted.validation_code = Some(committed.code.as_str_name());
    }
    Ok(submitted)
}

/// Sends an envelope to the orderer and takes nothing but success for an answer.
pub(super) async fn broadcast(
    context: &Context,
    orderer: &OrdererArgs,
    channel: &str,
    signer: &LocalSigner,
    envelope: Envelope,
) -> Result<()> {
    let orderer = context.orderer(orderer, channel, signer).await?;
    let answer = orderer.broadcast(envelope).await?;
    if answer.status() != Status::Success {
        bail!(
            "got unexpected status: {} -- {}",
            answer.status().as_str_name(),
            answer.info
        );
    }
    Ok(())
}

fn described(proposal: &PreparedProposal, answer: ProposalResponse) -> Result<Submitted> {
    let endorser = answer.endorsement.unwrap_or_default().endorser;
    let response = answer.response.unwrap_or_default();
    Ok(Submitted {
        tx_id: proposal.tx_id.to_string(),
        status: response.status,
        payload: String::from_utf8_lossy(&response.payload).into_owned(),
        endorser: protos::msp::SerializedIdentity::decode(endorser)?.mspid,
        block: None,
        validation_code: None,
    })
}

#[derive(Serialize)]
struct Queried {
    payload: String,
}

async fn query(context: &Context, call: &CallArgs, raw: bool, hexadecimal: bool) -> Result<()> {
    let identity = context.identity()?;
    let peer = context.peer(&call.peers).await?;
    let request = ProposalRequest {
        tls_cert_hash: peer.tls_cert_hash(),
        ..call_request(call)?
    };
    let proposal = PreparedProposal::new(&request, identity.signer())?;
    let payload = during("querying", peer.call(proposal.signed)).await?;
    if raw {
        return output::bytes(&payload);
    }
    let payload = if hexadecimal {
        hex::encode(&payload)
    } else {
        String::from_utf8_lossy(&payload).into_owned()
    };
    output::result(context.output, &Queried { payload }, |queried| {
        queried.payload.clone()
    })
}

#[derive(Serialize)]
struct Listed {
    name: String,
    version: String,
    path: String,
    id: String,
    escc: String,
    vscc: String,
}

async fn list(context: &Context, channel: &str, peers: &PeerArgs) -> Result<()> {
    let function = if channel.is_empty() {
        "getinstalledchaincodes"
    } else {
        "getchaincodes"
    };
    let identity = context.identity()?;
    let peer = context.peer(peers).await?;
    let proposal = PreparedProposal::new(
        &ProposalRequest::new(channel, "lscc", [function]),
        identity.signer(),
    )?;
    let answer = ChaincodeQueryResponse::decode(peer.call(proposal.signed).await?)?;
    let listed: Vec<Listed> = answer
        .chaincodes
        .into_iter()
        .map(|info| Listed {
            name: info.name,
            version: info.version,
            path: info.path,
            id: hex::encode(info.id),
            escc: info.escc,
            vscc: info.vscc,
        })
        .collect();
    output::result(context.output, &listed, |listed| {
        let rows: Vec<_> = listed
            .iter()
            .map(|cc| {
                vec![
                    cc.name.clone(),
                    cc.version.clone(),
                    cc.path.clone(),
                    cc.id.clone(),
                ]
            })
            .collect();
        output::table(&["NAME", "VERSION", "PATH", "ID"], &rows)
    })
}
