//! A network of one orderer and two organisations, made in memory and in a temporary folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channelconfig::{
    ApplicationProfile, BatchProfile, Bundle, ConsortiumProfile, OrdererProfile, OrganizationProfile,
    Profile, channel_creation_update, channel_group, compute_update, genesis_block, sign_config_update,
};
use cryptogen::{GeneratedIdentity, GeneratedOrg, NodeSpec, OrgSpec, generate};
use deliver::server::{DeliverHandler, DeliverSettings};
use deliver::{EnvelopeContent, create_signed_envelope, verify_block};
use msp::{Certificate, LocalSigner, folder_config};
use prost::Message;
use protos::block_header_hash;
use protos::common::{Block, ConfigGroup, ConfigUpdate, ConfigUpdateEnvelope, Envelope, HeaderType, Status};
use protos::orderer::deliver_response::Type;
use protos::orderer::{
    BroadcastResponse, DeliverResponse, SeekInfo, SeekPosition, SeekSpecified, seek_position,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::{EmbeddedOrderer, OrdererSettings, broadcast};

pub(crate) const SYSTEM: &str = "system";
pub(crate) const CHANNEL: &str = "mychannel";

/// The parties and where the orderer keeps its blocks.
pub(crate) struct Network {
    folder: TempDir,
    pub(crate) orderer_org: GeneratedOrg,
    pub(crate) org1: GeneratedOrg,
    pub(crate) orderer: Arc<LocalSigner>,
    pub(crate) admin: LocalSigner,
    pub(crate) user: LocalSigner,
    pub(crate) orderer_admin: LocalSigner,
    /// Of an organisation that is in no channel.
    pub(crate) stranger: LocalSigner,
    pub(crate) batch: BatchProfile,
    pub(crate) max_channels: u64,
}

fn organization(domain: &str, msp_id: &str, orderers: usize, root: &Path) -> GeneratedOrg {
    let node = |count: usize| {
        (0..count)
            .map(|index| NodeSpec::new(format!("node{index}")))
            .collect()
    };
    let spec = OrgSpec {
        domain: domain.into(),
        msp_id: msp_id.into(),
        peers: node(1 - orderers),
        orderers: node(orderers),
        users: 1,
        node_ous: true,
    };
    generate(&spec, root).expect("organisation")
}

pub(crate) fn signer(org: &GeneratedOrg, identity: &GeneratedIdentity) -> LocalSigner {
    let pem = identity.signing.certificate_pem();
    let certificate = Certificate::from_pem(pem.as_bytes()).expect("certificate");
    let key = identity.signing.key().pkcs8_pem();
    LocalSigner::new(&org.msp_id, &certificate, key.as_bytes()).expect("signer")
}

impl Network {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("temporary folder");
        let root = folder.path();
        let orderer_org = organization("example.com", "OrdererMSP", 1, root);
        let org1 = organization("org1.example.com", "Org1MSP", 0, root);
        let other = organization("other.example.com", "Org1MSP", 0, root);
        Self {
            orderer: Arc::new(signer(&orderer_org, &orderer_org.orderers[0])),
            admin: signer(&org1, &org1.admin),
            user: signer(&org1, &org1.users[0]),
            orderer_admin: signer(&orderer_org, &orderer_org.admin),
            stranger: signer(&other, &other.users[0]),
            batch: BatchProfile {
                timeout: Duration::from_secs(2),
                max_message_count: 3,
                absolute_max_bytes: 64 * 1024,
                preferred_max_bytes: 8 * 1024,
            },
            max_channels: 0,
            folder,
            orderer_org,
            org1,
        }
    }

    fn org1_profile(&self) -> OrganizationProfile {
        let msp = folder_config(&self.org1.msp_dir, "Org1MSP").expect("msp folder");
        OrganizationProfile::new("Org1MSP", msp)
    }

    fn orderer_profile(&self) -> OrdererProfile {
        let msp = folder_config(&self.orderer_org.msp_dir, "OrdererMSP").expect("msp folder");
        OrdererProfile {
            addresses: vec!["127.0.0.1:7050".into()],
            batch: self.batch.clone(),
            organizations: vec![OrganizationProfile::orderer("OrdererMSP", msp, Vec::new())],
            max_channels: self.max_channels,
            ..Default::default()
        }
    }

    /// The genesis block of the system channel.
    pub(crate) fn system_genesis(&self) -> Block {
        self.system_genesis_of(SYSTEM)
    }

    /// The same for a system channel of another name.
    pub(crate) fn system_genesis_of(&self, channel: &str) -> Block {
        let consortium = ConsortiumProfile {
            organizations: vec![self.org1_profile()],
        };
        let profile = Profile {
            orderer: Some(self.orderer_profile()),
            consortiums: BTreeMap::from([("SampleConsortium".into(), consortium)]),
            ..Default::default()
        };
        genesis_block(channel, channel_group(&profile).expect("group")).expect("genesis block")
    }

    /// The genesis block of an application channel that needs no system channel.
    pub(crate) fn application_genesis(&self, channel: &str) -> Block {
        let profile = Profile {
            orderer: Some(self.orderer_profile()),
            application: Some(self.application_profile()),
            ..Default::default()
        };
        genesis_block(channel, channel_group(&profile).expect("group")).expect("genesis block")
    }

    fn application_profile(&self) -> ApplicationProfile {
        ApplicationProfile {
            organizations: vec![self.org1_profile()],
            ..Default::default()
        }
    }

    /// The transaction that creates a channel, signed by these admins.
    pub(crate) fn creation(&self, channel: &str, signers: &[&LocalSigner]) -> Envelope {
        let profile = Profile {
            consortium: Some("SampleConsortium".into()),
            application: Some(self.application_profile()),
            ..Default::default()
        };
        let update = channel_creation_update(channel, &profile).expect("update");
        self.config_update(channel, &update, signers)
    }

    /// An envelope of a configuration update, signed by the first signer as a whole.
    pub(crate) fn config_update(
        &self,
        channel: &str,
        update: &ConfigUpdate,
        signers: &[&LocalSigner],
    ) -> Envelope {
        let mut signed = ConfigUpdateEnvelope {
            config_update: update.encode_to_vec().into(),
            signatures: Vec::new(),
        };
        for signer in signers {
            sign_config_update(&mut signed, signer).expect("signature");
        }
        let content = EnvelopeContent {
            header_type: HeaderType::ConfigUpdate,
            channel_id: channel.into(),
            data: signed.encode_to_vec().into(),
            ..Default::default()
        };
        create_signed_envelope(signers[0], content).expect("envelope")
    }

    /// An update that changes the channel group of a configuration.
    pub(crate) fn change(
        &self,
        bundle: &Bundle,
        change: impl FnOnce(&mut ConfigGroup),
        signers: &[&LocalSigner],
    ) -> Envelope {
        let present = bundle.config().channel_group.clone().expect("group");
        let mut updated = present.clone();
        change(&mut updated);
        let channel = bundle.channel().as_str();
        let update = compute_update(channel, &present, &updated).expect("difference");
        self.config_update(channel, &update, signers)
    }

    pub(crate) fn settings(&self) -> OrdererSettings {
        OrdererSettings {
            file_system_path: self.folder.path().join("orderer"),
            time_window: Duration::from_secs(900),
            mutual_tls: false,
            no_expiration_checks: false,
        }
    }

    /// Starts the orderer with that block, or with what is on disk.
    pub(crate) async fn start(&self, bootstrap: Option<Block>) -> EmbeddedOrderer {
        let opened = EmbeddedOrderer::open(self.settings(), self.orderer.clone(), bootstrap);
        opened.await.expect("orderer opens")
    }

    /// Starts the orderer with a system channel and the application channel created from it.
    pub(crate) async fn with_channel(&self) -> EmbeddedOrderer {
        let orderer = self.start(Some(self.system_genesis())).await;
        let creation = self.creation(CHANNEL, &[&self.admin]);
        assert_eq!(
            broadcast(&orderer, creation).await,
            (Status::Success, String::new())
        );
        wait_for_block(&orderer, SYSTEM, 1).await;
        orderer
    }
}

/// A transaction with that much data.
pub(crate) fn transaction(channel: &str, signer: &LocalSigner, data: impl Into<Bytes>) -> Envelope {
    let content = EnvelopeContent {
        header_type: HeaderType::EndorserTransaction,
        channel_id: channel.into(),
        data: data.into(),
        ..Default::default()
    };
    create_signed_envelope(signer, content).expect("envelope")
}

/// The answer to one message.
pub(crate) async fn broadcast(orderer: &EmbeddedOrderer, envelope: Envelope) -> (Status, String) {
    let answer = broadcast_all(orderer, vec![envelope]).await.remove(0);
    (answer.status(), answer.info)
}

/// The answers to the messages of one stream.
pub(crate) async fn broadcast_all(
    orderer: &EmbeddedOrderer,
    envelopes: Vec<Envelope>,
) -> Vec<BroadcastResponse> {
    let requests = tokio_stream::iter(envelopes.into_iter().map(Ok));
    let answers = broadcast::serve(orderer.registrar().clone(), requests);
    answers.map(|answer| answer.expect("answer")).collect().await
}

pub(crate) fn seek(start: u64, stop: u64) -> SeekInfo {
    let position = |number| SeekPosition {
        r#type: Some(seek_position::Type::Specified(SeekSpecified { number })),
    };
    SeekInfo {
        start: Some(position(start)),
        stop: Some(position(stop)),
        ..Default::default()
    }
}

/// The answers to a seek by that signer.
pub(crate) async fn deliver(
    orderer: &EmbeddedOrderer,
    channel: &str,
    signer: &LocalSigner,
    seek: &SeekInfo,
) -> Vec<DeliverResponse> {
    let content = EnvelopeContent {
        header_type: HeaderType::DeliverSeekInfo,
        channel_id: channel.into(),
        data: seek.encode_to_vec().into(),
        ..Default::default()
    };
    let settings = DeliverSettings {
        time_window: Duration::from_secs(900),
        mutual_tls: false,
        no_expiration_checks: false,
        shutdown: CancellationToken::new(),
    };
    let handler = DeliverHandler::new(orderer.registrar().clone(), settings);
    let (requests, stream) = mpsc::channel(1);
    requests
        .send(Ok(create_signed_envelope(signer, content).expect("envelope")))
        .await
        .expect("open");
    drop(requests);
    let answers = handler.serve::<DeliverResponse, _>(ReceiverStream::new(stream), None);
    answers.map(|answer| answer.expect("answer")).collect().await
}

/// The blocks in a range, as its orderer's organisation reads them; waits for those to come.
pub(crate) async fn blocks(
    network: &Network,
    orderer: &EmbeddedOrderer,
    channel: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Vec<Block> {
    let answers = deliver(
        orderer,
        channel,
        &network.orderer_admin,
        &seek(*range.start(), *range.end()),
    )
    .await;
    let mut blocks = Vec::new();
    for answer in answers {
        match answer.r#type {
            Some(Type::Block(block)) => blocks.push(block),
            Some(Type::Status(status)) => assert_eq!(status, i32::from(Status::Success)),
            None => panic!("an answer has a type"),
        }
    }
    blocks
}

/// Waits until a channel has that block.
pub(crate) async fn wait_for_block(orderer: &EmbeddedOrderer, channel: &str, number: u64) {
    let chain = orderer.registrar().chain(channel).expect("channel");
    let mut height = chain.store.height_watch();
    height
        .wait_for(|height| *height > number)
        .await
        .expect("store lives");
}

/// The data of each transaction of a block.
pub(crate) fn payloads(block: &Block) -> Vec<Bytes> {
    let envelopes = block.data.iter().flat_map(|data| &data.data);
    let unpacked = envelopes.map(|envelope| {
        let envelope = Envelope::decode(envelope.clone()).expect("envelope");
        protos::UnpackedEnvelope::try_from(envelope)
            .expect("unpacks")
            .data
    });
    unpacked.collect()
}

/// Checks hashes and signatures of successive blocks under one configuration.
pub(crate) fn check_chain(bundle: &Bundle, blocks: &[Block]) {
    for pair in blocks.windows(2) {
        let (before, after) = (
            pair[0].header.as_ref().expect("header"),
            pair[1].header.as_ref().expect("header"),
        );
        assert_eq!(after.number, before.number + 1);
        assert_eq!(after.previous_hash, block_header_hash(before).as_slice());
    }
    for block in blocks
        .iter()
        .filter(|block| block.header.as_ref().is_some_and(|header| header.number > 0))
    {
        verify_block(bundle, block).expect("a block is signed by the orderer");
    }
}
