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
fn bytes_that_are_no_list_are_refused() {
    let root = Authority::root("ca");
    let mut config = config("A", &[&root]);
    config.revocation_list = vec!["garbage".into()];
    let error = Msp::from_config(&config, Admins::Optional).unwrap_err();
    assert!(wire_message(&error).starts_with("could not parse RevocationList"));
}
