//! Configurations that nobody honest makes.

use prost::Message;
use protos::common::{Block, ConfigGroup, ConfigValue};
use protos::wire_message;

use super::fixtures::{application, application_block, group, signer, update_envelope};
use crate::{Bundle, ConfigIdError, propose_config_update, validate_channel_id};

fn read(group: ConfigGroup) -> Result<Bundle, String> {
    let mut config = application().config().clone();
    config.channel_group = Some(group);
    Bundle::from_config("appchannel", &config).map_err(|error| wire_message(&error))
}

#[test]
fn deep_and_wide_configurations_are_refused() {
    let mut deep = ConfigGroup::default();
    for _ in 0..40 {
        let mut outer = ConfigGroup::default();
        outer.groups.insert("Application".into(), deep);
        deep = outer;
    }
    assert!(read(deep).unwrap_err().ends_with("configuration is too large"));
    let mut wide = group(&application());
    let names = (0..60_000).map(|number| (format!("value{number}"), ConfigValue::default()));
    wide.values.extend(names);
    assert!(read(wide).unwrap_err().ends_with("configuration is too large"));
}

#[test]
fn names_with_slashes_or_nothing_are_refused() {
    for name in ["a/b", "", "..", ".", "a b", "ä", &"x".repeat(250)] {
        let mut changed = group(&application());
        let policy = changed.policies["Readers"].clone();
        changed.policies.insert(name.to_owned(), policy);
        let text = read(changed).unwrap_err();
        assert!(
            text.starts_with("initializing configtx manager failed: error converting config to map: illegal characters in key"),
            "{name}: {text}"
        );
    }
    for name in ["a", "my.channel-1", &"x".repeat(249)] {
        validate_channel_id(name).unwrap();
    }
    for name in ["", "1a", "A", "a_b", "a/b", "../a", &"x".repeat(250)] {
        validate_channel_id(name).unwrap_err();
    }
    assert_eq!(
        validate_channel_id("").unwrap_err(),
        ConfigIdError::Empty("channel")
    );
}

#[test]
fn changed_bytes_in_a_block_never_panic() {
    let bytes = application_block().encode_to_vec();
    for place in (0..bytes.len()).step_by(37) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x5a;
        if let Ok(block) = Block::decode(changed.as_slice()) {
            drop(Bundle::from_config_block(&block));
        }
        if let Ok(block) = Block::decode(&bytes[..place]) {
            drop(Bundle::from_config_block(&block));
        }
    }
}

#[test]
fn an_update_with_thousands_of_signatures_is_refused_before_they_are_checked() {
    let update = crate::anchor_peers_update(&application(), "Org1MSP", &[("other".into(), 1)]).unwrap();
    let admin = signer("org1", "admin");
    let one = update_envelope("appchannel", &update, &[&admin]);
    propose_config_update(&application(), &one).unwrap();
    let many = update_envelope("appchannel", &update, &vec![&admin; 1_025]);
    let text = wire_message(&propose_config_update(&application(), &many).unwrap_err());
    assert!(text.ends_with("the update has too many signatures"), "{text}");
}
