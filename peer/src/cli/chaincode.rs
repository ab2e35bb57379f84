//! `peer chaincode …`

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use deliver::client::{CommitListener, PeerDeliverClient};
use msp::LocalSigner;
use prost::Message;
use protos::common::{Envelope, Status};
use protos::peer::{ChaincodeInput, ChaincodeQueryResponse, ProposalResponse, TxValidationCode};
use serde::Serialize;

use super::context::{Context, OrdererWanted, duration, read, write};
use super::progress::during;
use super::{
    CallArgs, ChaincodeArgs, ChaincodeCommand, DeployArgs, InstallArgs, NO_CALL, OrdererArgs, PackageArgs,
    PeerArgs, local, output,
};
use crate::client::collections::collection_package;
use crate::client::connection::PeerConnection;
use crate::client::ctor::{parse_ctor, parse_transient};
use crate::client::package::{
    DeploymentSpec, PackageRequest, expect_package, package, sign_again, sign_package,
};
use crate::client::proposal::{PreparedProposal, ProposalRequest};
use crate::node::plugins;

/// Data that never reaches the ledger.
type Transient = BTreeMap<String, Bytes>;

/// Runs a command.
///
/// # Errors
/// Whatever stopped it.
pub async fn run(context: &Context, args: ChaincodeArgs) -> Result<()> {
    let orderer = &args.orderer;
    let transient = args.transient.as_deref().map(parse_transient).transpose()?;
    let transient = transient.unwrap_or_default();
    match args.command {
        ChaincodeCommand::Package(args) => package_to_file(context, args).await,
        ChaincodeCommand::Signpackage { from, to } => {
            let signed = sign_again(&read(&from)?, context.identity()?.signer());
            let signed = signed.with_context(|| format!("{} cannot be signed", from.display()))?;
            write_package(context, &to, &signed)
        }
        ChaincodeCommand::Install(args) => {
            let peers = args.peers.clone();
            install(context, package_to_install(context, args).await?, &peers).await
        }
        ChaincodeCommand::Instantiate(args) => deploy(context, "deploy", args, orderer, transient).await,
        ChaincodeCommand::Upgrade(args) => deploy(context, "upgrade", args, orderer, transient).await,
        ChaincodeCommand::Invoke {
            call,
            wait_for_event,
            wait_for_event_timeout,
            is_init,
        } => {
            let wait = wait_for_event
                .then(|| duration(&wait_for_event_timeout))
                .transpose()?;
            let request = ProposalRequest {
                is_init,
                ..call_request(&call, transient)?
            };
            let submitted = submit(context, request, &call.peers, orderer, wait).await?;
            output::result(context.output, &submitted, Submitted::text)
        }
        ChaincodeCommand::Query { call, raw, hex } => query(context, &call, transient, raw, hex).await,
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

async fn package_to_file(context: &Context, args: PackageArgs) -> Result<()> {
    let request = PackageRequest {
        name: args.id.name,
        version: args.id.version,
        path: args.source.path,
        lang: args.source.lang,
        input: package_input(&args.source.ctor)?,
    };
    let mut bytes = packaged(context, &request).await?;
    if args.signed || args.sign {
        let identity = context.identity()?;
        let policy = args.instantiation_policy.as_deref();
        bytes = sign_package(&bytes, policy, args.sign, identity.signer())?;
    }
    write_package(context, &args.file, &bytes)
}

async fn package_to_install(context: &Context, args: InstallArgs) -> Result<Bytes> {
    match (args.file, args.name, args.version, args.path) {
        (Some(file), name, version, _) => {
            let bytes = read(&file)?;
            expect_package(&bytes, name.as_deref(), version.as_deref())
                .with_context(|| format!("{} is not installed", file.display()))?;
            Ok(bytes)
        }
        (None, Some(name), Some(version), Some(path)) => {
            let request = PackageRequest {
                name,
                version,
                path,
                lang: args.lang,
                input: package_input(&args.ctor)?,
            };
            packaged(context, &request).await
        }
        _ => bail!("give a package file, or -n NAME -v VERSION -p FOLDER"),
    }
}

/// The input of a package; Fabric's default says nothing.
fn package_input(ctor: &str) -> Result<ChaincodeInput> {
    let args = if ctor == NO_CALL {
        Vec::new()
    } else {
        parse_ctor(ctor)?
    };
    Ok(ChaincodeInput {
        args,
        ..Default::default()
    })
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

async fn install(context: &Context, package: Bytes, peers: &PeerArgs) -> Result<()> {
    let identity = context.identity()?;
    let request = ProposalRequest::new("", "lscc", [Bytes::from_static(b"install"), package]);
    for target in context.peers(peers, "")? {
        let peer = PeerConnection::open(&target).await?;
        let signed = PreparedProposal::new(&request, identity.signer())?.signed;
        during("installing the chaincode", peer.call(signed)).await?;
    }
    output::result(context.output, &"installed", |done| (*done).to_owned())
}

async fn deploy(
    context: &Context,
    function: &str,
    args: DeployArgs,
    orderer: &OrdererArgs,
    transient: Transient,
) -> Result<()> {
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
        path: args.path.as_deref(),
        input,
    };
    let mut call: Vec<Bytes> = vec![
        function.to_owned().into(),
        args.channel.clone().into(),
        spec.encode().into(),
        policy.into(),
        args.escc.into(),
        args.vscc.into(),
    ];
    if let Some(file) = &args.collections_config {
        let package = collection_package(&read(file)?);
        let package = package
            .with_context(|| format!("invalid collection configuration in file {}", file.display()))?;
        call.push(package.into());
    }
    let wait = args
        .wait_for_event
        .then(|| duration(&args.wait_for_event_timeout))
        .transpose()?;
    let request = ProposalRequest {
        transient,
        ..ProposalRequest::new(&args.channel, "lscc", call)
    };
    let submitted = submit(context, request, &args.peers, orderer, wait).await?;
    output::result(context.output, &submitted, Submitted::text)
}

fn call_request(call: &CallArgs, transient: Transient) -> Result<ProposalRequest> {
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
    for target in context.peers(peers, &request.channel)? {
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
    let wanted = OrdererWanted {
        args: orderer,
        profile: peers.connection_profile.as_deref(),
        peer: connections.first(),
    };
    broadcast(context, wanted, &request.channel, signer, envelope).await?;
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
    orderer: OrdererWanted<'_>,
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

async fn query(
    context: &Context,
    call: &CallArgs,
    transient: Transient,
    raw: bool,
    hexadecimal: bool,
) -> Result<()> {
    if raw && hexadecimal {
        bail!("options --raw (-r) and --hex (-x) are not compatible");
    }
    let request = call_request(call, transient)?;
    let identity = context.identity()?;
    let peer = context.peer(&call.peers, &call.channel, "query").await?;
    let request = ProposalRequest {
        tls_cert_hash: peer.tls_cert_hash(),
        ..request
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
    let peer = context.peer(peers, channel, "list").await?;
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
