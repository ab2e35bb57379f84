//! The messages a stream answers with: orderer, peer, and peer with filtered blocks.

use protos::common::{Block, Status};
use protos::{orderer, peer};

use super::filtered::filtered_block;
use super::source::BlockForm;

/// A response message of a deliver stream.
pub trait Answer: Send + Sized + 'static {
    /// What is shown of a block.
    const FORM: BlockForm;
    /// The message that carries a status.
    fn status(status: Status) -> Self;
    /// The message that carries a block. Called where computing for a while is allowed.
    fn block(channel: &str, block: Block) -> Self;
}

impl Answer for orderer::DeliverResponse {
    const FORM: BlockForm = BlockForm::Full;

    fn status(status: Status) -> Self {
        let status = orderer::deliver_response::Type::Status(status.into());
        Self { r#type: Some(status) }
    }

    fn block(_channel: &str, block: Block) -> Self {
        let block = orderer::deliver_response::Type::Block(block);
        Self { r#type: Some(block) }
    }
}

impl Answer for peer::DeliverResponse {
    const FORM: BlockForm = BlockForm::Full;

    fn status(status: Status) -> Self {
        let status = peer::deliver_response::Type::Status(status.into());
        Self { r#type: Some(status) }
    }

    fn block(_channel: &str, block: Block) -> Self {
        let block = peer::deliver_response::Type::Block(block);
        Self { r#type: Some(block) }
    }
}

/// A peer's response that shows blocks with their private data, of which this peer has none.
#[derive(Clone, Debug, PartialEq)]
pub struct PrivateDataAnswer(pub peer::DeliverResponse);

impl Answer for PrivateDataAnswer {
    const FORM: BlockForm = BlockForm::Full;

    fn status(status: Status) -> Self {
        Self(peer::DeliverResponse::status(status))
    }

    fn block(_channel: &str, block: Block) -> Self {
        let block = peer::BlockAndPrivateData {
            block: Some(block),
            ..Default::default()
        };
        let block = peer::deliver_response::Type::BlockAndPrivateData(block);
        Self(peer::DeliverResponse { r#type: Some(block) })
    }
}

/// A peer's response that shows filtered blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct FilteredAnswer(pub peer::DeliverResponse);

impl Answer for FilteredAnswer {
    const FORM: BlockForm = BlockForm::Filtered;

    fn status(status: Status) -> Self {
        Self(peer::DeliverResponse::status(status))
    }

    fn block(channel: &str, block: Block) -> Self {
        let block = peer::deliver_response::Type::FilteredBlock(filtered_block(channel, &block));
        Self(peer::DeliverResponse { r#type: Some(block) })
    }
}
