//! Channels over real ledgers, with blocks that the orderer of a test network signed.

mod acl;
mod commit;

use std::sync::Arc;

use committer::TxValidator;
use committer::test_support::{PolicyPlugins, TestNetwork};
use ledger::{Config, LedgerProvider};
use protos::wire_message;

use crate::{Channel, Channels, Genesis};

const CHANNEL: &str = "mychannel";

/// Opens what is in the network's folder, as a peer of the first organisation.
fn open(network: &TestNetwork) -> Channels {
    let provider = LedgerProvider::open(Config::new(network.folder().join("ledgers"))).unwrap();
    let validator = Arc::new(TxValidator::new(1, Arc::new(PolicyPlugins)).unwrap());
    Channels::open(provider, network.org1.local_msp(), validator).unwrap()
}

fn joined(network: &TestNetwork) -> (Channels, Arc<Channel>) {
    let channels = open(network);
    let channel = channels.join(network.genesis(CHANNEL)).unwrap();
    (channels, channel)
}

#[test]
fn a_joined_channel_is_listed_and_watched() {
    let network = TestNetwork::new();
    let channels = open(&network);
    let mut watch = channels.subscribe_joined();
    assert!(watch.borrow_and_update().is_empty());
    assert!(channels.get(&CHANNEL.into()).is_none());
    let channel = channels.join(network.genesis(CHANNEL)).unwrap();
    assert_eq!(channels.list(), [CHANNEL.into()]);
    assert!(watch.has_changed().unwrap());
    assert!(Arc::ptr_eq(&watch.borrow_and_update()[CHANNEL], &channel));
    assert_eq!((channel.ledger().height(), channel.bundle().sequence()), (1, 0));
    let endpoints = channel.orderer_endpoints();
    assert_eq!(endpoints.borrow()[0].address, "127.0.0.1:7050");
    assert!(!endpoints.borrow()[0].tls_roots.is_empty());
}

#[test]
fn a_channel_that_does_not_open_does_not_keep_the_others_from_it() {
    let network = TestNetwork::new();
    let (channels, channel) = joined(&network);
    drop(channels.join(network.genesis("broken")).unwrap());
    drop((channels, channel));
    let files = std::fs::read_dir(network.folder().join("ledgers")).unwrap();
    let mut broken = files.map(|file| file.unwrap().path());
    let broken = broken.find(|path| path.to_string_lossy().contains("broken"));
    let file = |path: std::path::PathBuf| match path.is_dir() {
        true => std::fs::read_dir(path).unwrap().next().unwrap().unwrap().path(),
        false => path,
    };
    std::fs::write(file(broken.unwrap()), "no database").unwrap();
    let channels = open(&network);
    assert_eq!(channels.list(), [CHANNEL.into()]);
    assert!(channels.join(network.genesis("broken")).is_err());
}

#[test]
fn joining_twice_is_refused_in_fabrics_words() {
    let network = TestNetwork::new();
    let (channels, _) = joined(&network);
    let error = channels.join(network.genesis(CHANNEL)).unwrap_err();
    assert_eq!(
        wire_message(&error),
        "cannot create ledger from genesis block: ledger [mychannel] already exists with state [ACTIVE]"
    );
}

#[test]
fn only_genesis_blocks_of_application_channels_are_joined() {
    let network = TestNetwork::new();
    let refused = |block| wire_message(&Genesis::try_from(block).unwrap_err());
    let mut second = network.genesis(CHANNEL);
    second.header.as_mut().unwrap().number = 1;
    assert_eq!(refused(second), "block number is 1, not 0");
    assert!(refused(protos::common::Block::default()).starts_with("Bad configuration envelope: "));
    assert!(Genesis::channel_of(&protos::common::Block::default()).is_err());
    assert_eq!(
        Genesis::channel_of(&network.genesis(CHANNEL)).unwrap(),
        CHANNEL.into()
    );
    let channels = open(&network);
    assert!(channels.join(protos::common::Block::default()).is_err());
    assert!(channels.list().is_empty());
}
