//! The parties, their channel and its blocks.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use channelconfig::{
    ApplicationProfile, Bundle, OrdererProfile, OrganizationProfile, Profile, channel_group, compute_update,
    genesis_block, propose_config_update, sign_config_update,
};
use cryptogen::{GeneratedIdentity, GeneratedOrg, NodeSpec, OrgSpec, generate};
use msp::{Certificate, LocalMsp, LocalSigner, folder_config};
use prost::Message;
use protos::common::{
    Block, BlockHeader, BlockMetadataIndex, Capabilities, Capability, ChannelHeader, ConfigEnvelope,
    ConfigGroup, ConfigUpdateEnvelope, Envelope, Header, HeaderType, LastConfig, Metadata, MetadataSignature,
    OrdererBlockMetadata, Payload, SignatureHeader,
};
use protos::{block_header_bytes, block_header_hash, new_block, set_metadata};
use tempfile::TempDir;

/// An organisation with those who sign for it.
pub struct TestOrg {
    generated: GeneratedOrg,
    /// Its first node: a peer, or the orderer.
    pub node: Arc<LocalSigner>,
    /// Its admin.
    pub admin: Arc<LocalSigner>,
    /// A client.
    pub user: Arc<LocalSigner>,
}

impl TestOrg {
    fn new(root: &Path, domain: &str, msp_id: &str, orderer: bool) -> Self {
        let nodes = vec![NodeSpec::new("node0")];
        let (peers, orderers) = if orderer {
            (Vec::new(), nodes)
        } else {
            (nodes, Vec::new())
        };
        let spec = OrgSpec {
            domain: domain.into(),
            msp_id: msp_id.into(),
            peers,
            orderers,
            users: 1,
            node_ous: true,
        };
        let generated = generate(&spec, root).expect("organisation");
        let signer = |identity: Option<&GeneratedIdentity>| {
            let identity = identity.expect("identity");
            let pem = identity.signing.certificate_pem();
            let certificate = Certificate::from_pem(pem.as_bytes()).expect("certificate");
            let key = identity.signing.key().pkcs8_pem();
            Arc::new(LocalSigner::new(msp_id, &certificate, key.as_bytes()).expect("signer"))
        };
        Self {
            node: signer(generated.peers.iter().chain(&generated.orderers).next()),
            admin: signer(Some(&generated.admin)),
            user: signer(generated.users.first()),
            generated,
        }
    }

    /// The MSP of the organisation's node.
    #[must_use]
    pub fn local_msp(&self) -> Arc<LocalMsp> {
        let node = self
            .generated
            .peers
            .iter()
            .chain(&self.generated.orderers)
            .next()
            .expect("node");
        Arc::new(LocalMsp::load_folder(&node.msp_dir, &self.generated.msp_id).expect("local msp"))
    }

    fn profile(&self) -> OrganizationProfile {
        let id = &self.generated.msp_id;
        let msp = folder_config(&self.generated.msp_dir, id).expect("msp folder");
        if self.generated.orderers.is_empty() {
            return OrganizationProfile::new(id, msp);
        }
        OrganizationProfile::orderer(id, msp, Vec::new())
    }
}

/// Two organisations with peers, one with an orderer, one that is in no channel.
pub struct TestNetwork {
    folder: TempDir,
    /// With peers.
    pub org1: TestOrg,
    /// With peers.
    pub org2: TestOrg,
    /// With the orderer.
    pub orderer: TestOrg,
    /// Of the same MSP id as the first, by another CA.
    pub stranger: TestOrg,
    /// The application capability of channels.
    pub capability: String,
    /// The policies of resources that are not the default.
    pub acls: Vec<(String, String)>,
}

impl TestNetwork {
    /// Makes the organisations.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::new().expect("temporary folder");
        let root = folder.path();
        Self {
            org1: TestOrg::new(root, "org1.example.com", "Org1MSP", false),
            org2: TestOrg::new(root, "org2.example.com", "Org2MSP", false),
            orderer: TestOrg::new(root, "example.com", "OrdererMSP", true),
            stranger: TestOrg::new(root, "stranger.example.com", "Org1MSP", false),
            capability: "V1_4_2".into(),
            acls: Vec::new(),
            folder,
        }
    }

    /// A folder that goes with the network.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The genesis block of a channel.
    #[must_use]
    pub fn genesis(&self, channel: &str) -> Block {
        let application = ApplicationProfile {
            organizations: vec![self.org1.profile(), self.org2.profile()],
            capabilities: vec![self.capability.clone()],
            acls: self.acls.iter().cloned().collect(),
            ..Default::default()
        };
        let orderer = OrdererProfile {
            addresses: vec!["127.0.0.1:7050".into()],
            organizations: vec![self.orderer.profile()],
            ..Default::default()
        };
        let profile = Profile {
            application: Some(application),
            orderer: Some(orderer),
            ..Default::default()
        };
        genesis_block(channel, channel_group(&profile).expect("group")).expect("genesis block")
    }

    /// The configuration of a channel.
    #[must_use]
    pub fn bundle(&self, channel: &str) -> Bundle {
        Bundle::from_config_block(&self.genesis(channel)).expect("bundle")
    }

    /// The same with other application capabilities.
    #[must_use]
    pub fn bundle_with_capabilities(&self, channel: &str, names: &[&str]) -> Bundle {
        let mut config = self.bundle(channel).config().clone();
        let group = config.channel_group.as_mut().expect("channel group");
        let application = group.groups.get_mut("Application").expect("application group");
        let capabilities = names
            .iter()
            .map(|name| ((*name).to_owned(), Capability {}))
            .collect();
        let value = application.values.get_mut("Capabilities").expect("capabilities");
        value.value = Capabilities { capabilities }.encode_to_vec().into();
        Bundle::from_config(channel, &config).expect("bundle")
    }

    /// The next block of a chain, signed by the orderer.
    #[must_use]
    pub fn block_after(&self, previous: &BlockHeader, envelopes: &[Envelope]) -> Block {
        let data = envelopes
            .iter()
            .map(|envelope| Bytes::from(envelope.encode_to_vec()))
            .collect();
        let mut block = new_block(
            previous.number + 1,
            block_header_hash(previous).to_vec().into(),
            data,
        );
        self.sign_block(&mut block);
        block
    }

    /// Signs a block as the orderer does.
    pub fn sign_block(&self, block: &mut Block) {
        let last_config = Some(LastConfig::default());
        let value: Bytes = OrdererBlockMetadata {
            last_config,
            ..Default::default()
        }
        .encode_to_vec()
        .into();
        let signer = &self.orderer.node;
        let signature_header: Bytes = SignatureHeader {
            creator: signer.serialized_identity(),
            nonce: Bytes::from_static(b"nonce of the block signer"),
        }
        .encode_to_vec()
        .into();
        let header = block
            .header
            .as_ref()
            .map(block_header_bytes)
            .expect("block header");
        let signature = signer
            .sign(&[&value, &signature_header, &header])
            .expect("signature");
        let signature = MetadataSignature {
            signature_header,
            signature,
            ..Default::default()
        };
        let metadata = Metadata {
            value,
            signatures: vec![signature],
        };
        set_metadata(
            block,
            BlockMetadataIndex::Signatures,
            metadata.encode_to_vec().into(),
        );
    }

    /// The configuration transaction that changes a channel's group, agreed on by both organisations' and the
    /// orderer's admins and signed by the orderer.
    #[must_use]
    pub fn config_transaction(&self, bundle: &Bundle, change: impl FnOnce(&mut ConfigGroup)) -> Envelope {
        let update = self.config_update(bundle, change);
        let config = propose_config_update(bundle, &update).expect("next configuration");
        self.ordered_config(bundle, &config)
    }

    /// The same for a change that no peer can work with: a capability of the future.
    #[must_use]
    pub fn unsupported_config_transaction(&self, bundle: &Bundle) -> Envelope {
        let update = self.config_update(bundle, |group| demand(group, "V1_3"));
        let mut config = propose_config_update(bundle, &update).expect("next configuration");
        config.last_update = Some(self.config_update(bundle, |group| demand(group, "V9_9")));
        let next = config
            .config
            .as_mut()
            .and_then(|next| next.channel_group.as_mut());
        demand(next.expect("group"), "V9_9");
        self.ordered_config(bundle, &config)
    }

    /// A configuration as the orderer signs it, whatever it is.
    #[must_use]
    pub fn ordered_config(&self, bundle: &Bundle, config: &ConfigEnvelope) -> Envelope {
        let channel = bundle.channel().as_str();
        signed_envelope(&self.orderer.node, channel, HeaderType::Config, config)
    }

    fn config_update(&self, bundle: &Bundle, change: impl FnOnce(&mut ConfigGroup)) -> Envelope {
        let present = bundle.config().channel_group.clone().expect("group");
        let mut updated = present.clone();
        change(&mut updated);
        let channel = bundle.channel().as_str();
        let update = compute_update(channel, &present, &updated).expect("difference");
        let mut signed = ConfigUpdateEnvelope {
            config_update: update.encode_to_vec().into(),
            signatures: Vec::new(),
        };
        for admin in [&self.org1.admin, &self.org2.admin, &self.orderer.admin] {
            sign_config_update(&mut signed, admin).expect("signature");
        }
        signed_envelope(&self.org1.admin, channel, HeaderType::ConfigUpdate, &signed)
    }
}

/// Makes a channel demand an application capability.
fn demand(group: &mut ConfigGroup, capability: &str) {
    let application = group.groups.get_mut("Application").expect("application");
    let value = application.values.get_mut("Capabilities").expect("capabilities");
    let capabilities = [(capability.to_owned(), Capability {})].into();
    value.value = Capabilities { capabilities }.encode_to_vec().into();
}

impl Default for TestNetwork {
    fn default() -> Self {
        Self::new()
    }
}

/// An envelope of any type around any message.
pub(super) fn signed_envelope(
    signer: &LocalSigner,
    channel: &str,
    header_type: HeaderType,
    content: &impl Message,
) -> Envelope {
    let channel_header = ChannelHeader {
        r#type: header_type.into(),
        channel_id: channel.into(),
        ..Default::default()
    };
    let signature_header = SignatureHeader {
        creator: signer.serialized_identity(),
        nonce: Bytes::from_static(b"nonce of an envelope"),
    };
    let header = Header {
        channel_header: channel_header.encode_to_vec().into(),
        signature_header: signature_header.encode_to_vec().into(),
    };
    let payload: Bytes = Payload {
        header: Some(header),
        data: content.encode_to_vec().into(),
    }
    .encode_to_vec()
    .into();
    let signature = signer.sign(&[&payload]).expect("signature");
    Envelope { payload, signature }
}
