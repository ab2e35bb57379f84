//! A client of a development network: what somebody with an identity can do there, over gRPC like any client.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use deliver::client::{CommitListener, FetchError, GrpcTarget, OrdererClient, PeerDeliverClient, Position};
use msp::{LocalMsp, LocalSigner};
use prost::Message;
use protos::TxId;
use protos::common::{Block, Envelope, Status};
use protos::peer::{
    ChaincodeInfo, ChaincodeInput, ChaincodeQueryResponse, ChannelQueryResponse, Response, TxValidationCode,
    chaincode_spec,
};

use crate::client::connection::PeerConnection;
use crate::client::package::DeploymentSpec;
use crate::client::proposal::{PreparedProposal, ProposalRequest};

/// How long a transaction may take from the orderer to the ledger.
const COMMIT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a new channel may take to appear at the orderer.
const CHANNEL_DEADLINE: Duration = Duration::from_secs(30);
/// The wait between two looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Fabric's built-in endorsement and validation.
const ESCC: &[u8] = b"escc";
const VSCC: &[u8] = b"vscc";

/// A transaction that is in a block.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its id.
    pub tx_id: TxId,
    /// The block.
    pub block: u64,
    /// What validation said.
    pub code: TxValidationCode,
    /// What the chaincode answered to the proposal.
    pub response: Response,
}

impl Committed {
    /// The same, if validation found the transaction valid.
    ///
    /// # Errors
    /// When it did not.
    pub fn valid(self) -> Result<Self> {
        if self.code != TxValidationCode::Valid {
            bail!(
                "transaction {} is in block {} as {}",
                self.tx_id,
                self.block,
                self.code.as_str_name()
            );
        }
        Ok(self)
    }
}

/// A connected client with one identity, on one channel. Cloning shares the connections.
#[derive(Clone)]
pub struct NetworkClient {
    identity: Arc<LocalMsp>,
    channel: String,
    peer: PeerConnection,
    orderer: OrdererClient,
}

impl NetworkClient {
    /// Connects.
    ///
    /// # Errors
    /// When the peer or the orderer cannot be reached.
    pub async fn connect(
        identity: Arc<LocalMsp>,
        channel: &str,
        peer: &GrpcTarget,
        orderer: &GrpcTarget,
    ) -> Result<Self> {
        Ok(Self {
            identity,
            channel: channel.to_owned(),
            peer: PeerConnection::open(peer).await?,
            orderer: OrdererClient::connect(orderer).await?,
        })
    }

    /// The same connections under another identity.
    #[must_use]
    pub fn with_identity(&self, identity: Arc<LocalMsp>) -> Self {
        Self {
            identity,
            ..self.clone()
        }
    }

    /// The same connections for another channel.
    #[must_use]
    pub fn on_channel(&self, channel: &str) -> Self {
        Self {
            channel: channel.to_owned(),
            ..self.clone()
        }
    }

    /// The key that signs.
    #[must_use]
    pub fn signer(&self) -> &LocalSigner {
        self.identity.signer()
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The connection to the peer.
    #[must_use]
    pub fn peer(&self) -> &PeerConnection {
        &self.peer
    }

    /// The connection to the orderer.
    #[must_use]
    pub fn orderer(&self) -> &OrdererClient {
        &self.orderer
    }

    /// Calls a chaincode on the channel; nothing is submitted.
    ///
    /// # Errors
    /// When the peer or the chaincode refuses.
    pub async fn query<A: Into<Bytes>>(
        &self,
        chaincode: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Bytes> {
        self.call(ProposalRequest::new(&self.channel, chaincode, args))
            .await
    }

    /// Calls a chaincode, has the answer ordered, and waits for the commit.
    ///
    /// # Errors
    /// When somebody refuses on the way. An invalid transaction is no error here, see [`Committed::valid`].
    pub async fn invoke<A: Into<Bytes>>(
        &self,
        chaincode: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Committed> {
        self.submit(ProposalRequest::new(&self.channel, chaincode, args))
            .await
    }

    /// Installs a package on the peer; needs the admin.
    ///
    /// # Errors
    /// When the peer refuses.
    pub async fn install(&self, package: Bytes) -> Result<()> {
        let args = [Bytes::from_static(b"install"), package];
        self.call(ProposalRequest::new("", "lscc", args))
            .await
            .context("could not install")?;
        Ok(())
    }

    /// Instantiates an installed chaincode: starts it, runs its Init with `args`, and commits its definition with
    /// this endorsement policy, or with that of any member.
    ///
    /// # Errors
    /// When the chaincode does not start, its Init fails, or the transaction is invalid.
    pub async fn deploy<A: Into<Bytes>>(
        &self,
        name: &str,
        version: &str,
        args: impl IntoIterator<Item = A>,
        policy: Option<&str>,
    ) -> Result<Committed> {
        self.define(
            "deploy",
            name,
            version,
            args.into_iter().map(Into::into).collect(),
            policy,
        )
        .await
    }

    /// Replaces the version of an instantiated chaincode; otherwise as [`Self::deploy`].
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn upgrade<A: Into<Bytes>>(
        &self,
        name: &str,
        version: &str,
        args: impl IntoIterator<Item = A>,
        policy: Option<&str>,
    ) -> Result<Committed> {
        self.define(
            "upgrade",
            name,
            version,
            args.into_iter().map(Into::into).collect(),
            policy,
        )
        .await
    }

    async fn define(
        &self,
        function: &'static str,
        name: &str,
        version: &str,
        args: Vec<Bytes>,
        policy: Option<&str>,
    ) -> Result<Committed> {
        let input = ChaincodeInput {
            args,
            ..ChaincodeInput::default()
        };
        // the language is the installed package's; this is the type that Fabric's SDKs write for every chaincode
        let lang = chaincode_spec::Type::Golang.as_str_name();
        let spec = DeploymentSpec {
            name,
            version,
            lang,
            path: None,
            input,
        };
        let policy = match policy {
            Some(text) => msp::policy::from_string(text)
                .context("invalid policy")?
                .encode_to_vec(),
            None => Vec::new(),
        };
        let call: [Bytes; 6] = [
            Bytes::from_static(function.as_bytes()),
            self.channel.clone().into(),
            spec.encode().into(),
            policy.into(),
            Bytes::from_static(ESCC),
            Bytes::from_static(VSCC),
        ];
        self.submit(ProposalRequest::new(&self.channel, "lscc", call))
            .await?
            .valid()
    }

    /// The chaincodes that are installed on the peer; needs the admin.
    ///
    /// # Errors
    /// When the peer refuses.
    pub async fn installed(&self) -> Result<Vec<ChaincodeInfo>> {
        let answer = self
            .call(ProposalRequest::new("", "lscc", ["getinstalledchaincodes"]))
            .await?;
        Ok(ChaincodeQueryResponse::decode(answer)?.chaincodes)
    }

    /// The chaincodes of the channel.
    ///
    /// # Errors
    /// When the peer refuses.
    pub async fn instantiated(&self) -> Result<Vec<ChaincodeInfo>> {
        let answer = self.query("lscc", ["getchaincodes"]).await?;
        Ok(ChaincodeQueryResponse::decode(answer)?.chaincodes)
    }

    /// The channels that the peer has joined.
    ///
    /// # Errors
    /// When the peer refuses.
    pub async fn joined(&self) -> Result<Vec<String>> {
        let answer = self
            .call(ProposalRequest::new("", "cscc", ["GetChannels"]))
            .await?;
        let channels = ChannelQueryResponse::decode(answer)?.channels;
        Ok(channels.into_iter().map(|info| info.channel_id).collect())
    }

    /// Lets the peer join the channel of this genesis block; needs the admin.
    ///
    /// # Errors
    /// When the peer refuses.
    pub async fn join(&self, genesis: &Block) -> Result<()> {
        let args = [Bytes::from_static(b"JoinChain"), genesis.encode_to_vec().into()];
        self.call(ProposalRequest::new("", "cscc", args))
            .await
            .context("could not join the channel")?;
        Ok(())
    }

    /// The channel's genesis block from the orderer; where there is none, the channel is created first.
    ///
    /// # Errors
    /// When the orderer refuses or does not create it in time.
    pub async fn genesis(&self, creation: impl FnOnce() -> Result<Envelope>) -> Result<Block> {
        match self.first_block().await {
            Err(FetchError::Refused(Status::NotFound)) => {}
            answer => return answer.with_context(|| format!("could not fetch block 0 of {}", self.channel)),
        }
        self.broadcast(creation()?)
            .await
            .with_context(|| format!("could not create channel {}", self.channel))?;
        let appears = async {
            loop {
                match self.first_block().await {
                    Err(FetchError::Refused(Status::NotFound)) => tokio::time::sleep(LOOK_AGAIN).await,
                    answer => return answer,
                }
            }
        };
        let found = tokio::time::timeout(CHANNEL_DEADLINE, appears).await;
        Ok(found
            .with_context(|| format!("channel {} did not appear in {CHANNEL_DEADLINE:?}", self.channel))??)
    }

    async fn first_block(&self) -> Result<Block, FetchError> {
        self.orderer
            .fetch_block(self.signer(), &self.channel, Position::Oldest)
            .await
    }

    /// Sends an envelope to the orderer and takes nothing but success for an answer.
    ///
    /// # Errors
    /// When the orderer refuses.
    pub async fn broadcast(&self, envelope: Envelope) -> Result<()> {
        let answer = self.orderer.broadcast(envelope).await?;
        if answer.status() != Status::Success {
            bail!(
                "the orderer answered {}: {}",
                answer.status().as_str_name(),
                answer.info
            );
        }
        Ok(())
    }

    async fn call(&self, request: ProposalRequest) -> Result<Bytes> {
        let request = ProposalRequest {
            tls_cert_hash: self.peer.tls_cert_hash(),
            ..request
        };
        let proposal = PreparedProposal::new(&request, self.signer())?;
        Ok(self.peer.call(proposal.signed).await?)
    }

    /// Endorses a proposal, has it ordered, and waits for the commit.
    ///
    /// # Errors
    /// As [`Self::invoke`].
    pub async fn submit(&self, request: ProposalRequest) -> Result<Committed> {
        let request = ProposalRequest {
            tls_cert_hash: self.peer.tls_cert_hash(),
            ..request
        };
        let signer = self.signer();
        let proposal = PreparedProposal::new(&request, signer)?;
        let answer = self.peer.agreed(proposal.signed.clone()).await?;
        let response = answer.response.clone().unwrap_or_default();
        let envelope = proposal.transaction(&[answer], signer)?;
        let events = PeerDeliverClient::new(self.peer.channel(), self.peer.tls_cert_hash());
        let mut listener = CommitListener::open(&events, signer, &request.channel, COMMIT_DEADLINE).await?;
        self.broadcast(envelope).await?;
        let committed = listener.wait_for(&proposal.tx_id, COMMIT_DEADLINE).await?;
        Ok(Committed {
            tx_id: proposal.tx_id,
            block: committed.block,
            code: committed.code,
            response,
        })
    }
}
