//! Turns what clients broadcast into what is ordered (Fabric's standard and system channel processors).

use deliver::{EnvelopeContent, create_signed_envelope};
use msp::LocalSigner;
use protos::common::{ConfigEnvelope, Envelope, HeaderType, Status};
use protos::{ChannelId, EnvelopeError, UnpackedEnvelope};

use crate::chain::{Chain, Message};
use crate::filters;
use crate::rejection::Rejection;
use crate::resources::Resources;

/// What the processing of messages depends on besides the channel.
pub(crate) struct Processor<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) signer: &'a LocalSigner,
    pub(crate) check_expiration: bool,
    /// How many channels there are, the system channel included.
    pub(crate) channel_count: usize,
}

/// What a message is, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Normal,
    ConfigUpdate,
    /// Made by orderers only.
    Config,
}

/// The class of a message of that header type.
pub(crate) fn classify(header_type: i32) -> Class {
    match HeaderType::try_from(header_type) {
        Ok(HeaderType::ConfigUpdate) => Class::ConfigUpdate,
        Ok(HeaderType::Config | HeaderType::OrdererTransaction) => Class::Config,
        _ => Class::Normal,
    }
}

impl Processor<'_> {
    /// Checks a transaction. Returns the sequence of the configuration it is good for.
    pub(crate) fn normal(&self, message: &UnpackedEnvelope) -> Result<u64, Rejection> {
        // the system channel also gets what is meant for channels that do not exist
        if message.channel_header.channel_id != self.chain.id.as_str() {
            return Err(Rejection::NoChannel);
        }
        let resources = self.chain.resources();
        if resources.in_maintenance() {
            return Err(Rejection::Maintenance("normal transactions are rejected"));
        }
        filters::apply(&resources, message, self.check_expiration)?;
        Ok(resources.sequence())
    }

    /// Applies a configuration update to the channel, or to the template of a new one. Returns the message to
    /// order and the sequence of the configuration it was made from.
    pub(crate) fn config_update(&self, update: &UnpackedEnvelope) -> Result<(Message, u64), Rejection> {
        let resources = self.chain.resources();
        let envelope = match update.channel_header.channel_id == self.chain.id.as_str() {
            true => self.reconfigure(&resources, update)?,
            false => self.create_channel(&resources, update)?,
        };
        Ok((Message::Config(envelope), resources.sequence()))
    }

    /// Makes a configuration message anew, because the configuration has changed since it was made.
    pub(crate) fn config_again(&self, config: Envelope) -> Result<(Message, u64), Rejection> {
        let message = unpack(config)?;
        let inner = match message.channel_header.r#type == HeaderType::OrdererTransaction as i32 {
            true => unpack(decode("Envelope", message.data)?)?.data,
            false => message.data,
        };
        let config: ConfigEnvelope = decode("ConfigEnvelope", inner)?;
        self.config_update(&unpack(config.last_update.unwrap_or_default())?)
    }

    fn reconfigure(&self, resources: &Resources, update: &UnpackedEnvelope) -> Result<Envelope, Rejection> {
        filters::apply(resources, update, self.check_expiration).map_err(|rejection| {
            rejection.within("config update for existing channel did not pass initial checks")
        })?;
        let applied = resources.propose(update).map_err(|source| Rejection::Context {
            context: format!(
                "error applying config update to existing channel '{}'",
                self.chain.id
            ),
            source,
            status: Status::BadRequest,
        })?;
        let config = self.signed(HeaderType::Config, &self.chain.id, &applied)?;
        self.final_checks(resources, &config).map_err(|rejection| {
            rejection.within("config update for existing channel did not pass final checks")
        })?;
        Ok(config)
    }

    fn create_channel(&self, system: &Resources, update: &UnpackedEnvelope) -> Result<Envelope, Rejection> {
        let id = ChannelId::from(update.channel_header.channel_id.as_str());
        let template = system.new_channel(update).map_err(Rejection::NewChannel)?;
        let applied = template.propose(update).map_err(|source| Rejection::Context {
            context: format!(
                "error validating channel creation transaction for new channel '{id}', \
                 could not successfully apply update to template configuration"
            ),
            source,
            status: Status::BadRequest,
        })?;
        let config = self.signed(HeaderType::Config, &id, &applied)?;
        let transaction = self.signed(HeaderType::OrdererTransaction, &self.chain.id, &config)?;
        self.final_checks(system, &transaction)?;
        self.check_creation(system)?;
        Ok(transaction)
    }

    fn check_creation(&self, system: &Resources) -> Result<(), Rejection> {
        let max = system.max_channels();
        // more than, not as many as: the system channel does not count
        if max > 0 && u64::try_from(self.channel_count).is_ok_and(|count| count > max) {
            return Err(Rejection::TooManyChannels(max));
        }
        if system.in_maintenance() {
            return Err(Rejection::Maintenance("channel creation is not permitted"));
        }
        Ok(())
    }

    /// What this orderer made must pass the filters too: it may have become too large, or the orderer's own
    /// certificate may not be good on the channel.
    fn final_checks(&self, resources: &Resources, made: &Envelope) -> Result<(), Rejection> {
        filters::apply(resources, &unpack(made.clone())?, self.check_expiration)
    }

    fn signed(
        &self,
        header_type: HeaderType,
        channel: &ChannelId,
        data: &impl prost::Message,
    ) -> Result<Envelope, Rejection> {
        let content = EnvelopeContent {
            header_type,
            channel_id: channel.as_str().to_owned(),
            data: data.encode_to_vec().into(),
            ..Default::default()
        };
        Ok(create_signed_envelope(self.signer, content)?)
    }
}

/// Unpacks what a client or this orderer sent.
pub(crate) fn unpack(envelope: Envelope) -> Result<UnpackedEnvelope, Rejection> {
    UnpackedEnvelope::try_from(envelope).map_err(Rejection::Envelope)
}

fn decode<M: prost::Message + Default>(message: &'static str, bytes: bytes::Bytes) -> Result<M, Rejection> {
    let decoded = M::decode(bytes);
    decoded.map_err(|source| Rejection::Envelope(EnvelopeError::Undecodable { message, source }))
}
