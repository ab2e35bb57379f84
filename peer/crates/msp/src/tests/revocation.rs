//! Revocation lists (endorser case 45).

use protos::wire_message;
use rcgen::SerialNumber;

use super::authority::{Authority, config, msp};
use crate::{Admins, Msp};

#[test]
fn a_revoked_certificate_is_not_valid() {
    let root = Authority::root("ca");
    let mut config = config("A", &[&root]);
    config.revocation_list = vec![root.revocation_list(&[5])];
    let msp = msp(&config);
    for (serial, revoked) in [(5_u8, true), (6, false)] {
        let member = root.member_with(&[], |params| {
            params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        });
        let validated = msp.deserialize(&member.serialized("A")).unwrap().validate();
        assert_eq!(validated.is_err(), revoked);
        if let Err(error) = validated {
            assert_eq!(
                wire_message(&*error),
                "could not validate identity against certification chain: The certificate has been revoked"
            );
        }
    }
}

#[test]
fn a_list_of_another_ca_revokes_nothing() {
    let (root, other) = (Authority::root("ca"), Authority::root("other"));
    let mut config = config("A", &[&root]);
    config.revocation_list = vec![other.revocation_list(&[5])];
    let member = root.member_with(&[], |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[5]));
    });
    msp(&config)
        .deserialize(&member.serialized("A"))
        .unwrap()
        .validate()
        .unwrap();
}

#[test]
fn a_list_that_names_its_ca_without_a_key_id_revokes_nothing() {
    let root = Authority::root("ca");
    let list = pem::parse(root.revocation_list(&[5])).unwrap();
    let (mut der, name) = (list.into_contents(), [0x06, 0x03, 0x55, 0x1d, 0x23, 0x04]);
    let place = der.windows(name.len()).position(|bytes| bytes == name).unwrap() + name.len();
    // OCTET STRING and SEQUENCE have a length each, then comes [0] keyIdentifier: make a serial number of it
    assert_eq!((der[place + 1], der[place + 3]), (0x30, 0x80));
    der[place + 3] = 0x82;
    let mut config = config("A", &[&root]);
    config.revocation_list = vec![der.into()];
    let member = root.member_with(&[], |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[5]));
    });
    let identity = msp(&config).deserialize(&member.serialized("A")).unwrap();
    identity.validate().unwrap();
}

#[test]
fn bytes_that_are_no_list_are_refused() {
    let root = Authority::root("ca");
    let mut config = config("A", &[&root]);
    config.revocation_list = vec!["garbage".into()];
    let error = Msp::from_config(&config, Admins::Optional).unwrap_err();
    assert!(wire_message(&error).starts_with("could not parse RevocationList"));
}
