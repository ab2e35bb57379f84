use std::net::IpAddr;

use super::{AddressError, split_host_port};
use crate::{CoreConfig, LoadOptions, NoLocalIp, PeerConfig};

fn peer(address: &str, listen: Option<&str>, chaincode: Option<&str>) -> PeerConfig {
    let options = LoadOptions {
        variables: Vec::new(),
        current_dir: "/none".into(),
        search: Vec::new(),
        program_dir: None,
        overrides: Vec::new(),
    };
    let mut peer = CoreConfig::load(&options).unwrap().peer;
    peer.address = address.to_owned();
    peer.chaincode_listen_address = listen.map(str::to_owned);
    peer.chaincode_address = chaincode.map(str::to_owned);
    peer
}

fn detected() -> Result<IpAddr, NoLocalIp> {
    Ok([10, 1, 2, 3].into())
}

fn unwanted() -> Result<IpAddr, NoLocalIp> {
    panic!("a stated host needs no detection")
}

/// The table of section 6 of the configuration specification.
#[test]
fn chaincode_endpoint_has_every_row() {
    const NONE: &str = "invalid endpoint for chaincode to connect";
    for (chaincode, listen, host, expected) in [
        (
            Some("cc.example.com:9000"),
            None,
            "peer0",
            Ok("cc.example.com:9000"),
        ),
        (
            Some("cc.example.com:9000"),
            Some("0.0.0.0:1"),
            "peer0",
            Ok("cc.example.com:9000"),
        ),
        (Some("0.0.0.0:9000"), None, "peer0", Err(NONE)),
        (Some("[::]:9000"), None, "peer0", Err(NONE)),
        (
            Some("127.0.0.1"),
            None,
            "peer0",
            Err("address 127.0.0.1: missing port in address"),
        ),
        (None, Some("127.0.0.1:8052"), "peer0", Ok("127.0.0.1:8052")),
        (None, Some("0.0.0.0:8052"), "peer0", Ok("peer0:8052")),
        (None, Some("[::]:8052"), "peer0", Ok("peer0:8052")),
        (
            None,
            Some("1:2:3"),
            "peer0",
            Err("address 1:2:3: too many colons in address"),
        ),
        (None, None, "peer0", Ok("peer0:7052")),
        (None, None, "[fe80::1]", Ok("[fe80::1]:7052")),
        (None, None, "0.0.0.0", Err(NONE)),
        (None, Some("0.0.0.0:8052"), "0.0.0.0", Err(NONE)),
        (None, Some("[::]:8052"), "[::]", Err(NONE)),
    ] {
        let peer = peer("unused", listen, chaincode);
        let address = format!("{host}:7051");
        let row = format!("{chaincode:?} {listen:?} {host}");
        let found = peer
            .chaincode_endpoint(&address, false)
            .map(|endpoint| endpoint.connect);
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map(str::to_owned).map_err(str::to_owned),
            "{row}"
        );
        let in_dev_mode = peer.chaincode_endpoint(&address, true).unwrap();
        assert_eq!(in_dev_mode.connect, expected.unwrap_or("0.0.0.0:7052"), "{row}");
        assert_eq!(in_dev_mode.fallback.is_some(), expected.is_err(), "{row}");
    }
}

#[test]
fn chaincode_listens_at_the_peer_host_by_default() {
    let endpoint = peer("x", None, Some("cc:1"))
        .chaincode_endpoint("peer0:7051", false)
        .unwrap();
    assert_eq!(
        (endpoint.listen.as_str(), endpoint.connect.as_str()),
        ("peer0:7052", "cc:1")
    );
    let endpoint = peer("x", Some("0.0.0.0:8052"), None)
        .chaincode_endpoint("peer0:7051", false)
        .unwrap();
    assert_eq!(
        (endpoint.listen.as_str(), endpoint.connect.as_str()),
        ("0.0.0.0:8052", "peer0:8052")
    );
}

/// Acceptance case 3.
#[test]
fn peer_address_rules() {
    let address = |address: &str| peer(address, None, None);
    assert_eq!(
        address("0.0.0.0:7051").effective_address(detected).unwrap(),
        "10.1.2.3:7051"
    );
    assert_eq!(
        address("[::]:7051").effective_address(detected).unwrap(),
        "10.1.2.3:7051"
    );
    assert_eq!(
        address("peer0:7051").effective_address(unwanted).unwrap(),
        "peer0:7051"
    );
    let unset = address("").effective_address(unwanted).unwrap_err();
    assert_eq!(unset.to_string(), "peer.address isn't set");
    let wrong = address("wrongAddress").effective_address(unwanted).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "peer.address isn't in host:port format: wrongAddress"
    );
    let mut detecting = address("testing.com:8052");
    detecting.address_auto_detect = true;
    assert_eq!(detecting.effective_address(detected).unwrap(), "10.1.2.3:8052");
    let none = address("0.0.0.0:7051").effective_address(|| Err(NoLocalIp::None));
    assert!(matches!(none, Err(AddressError::NotDetected(NoLocalIp::None))));
}

#[test]
fn host_and_port_follow_go() {
    assert_eq!(split_host_port("[::1]:7051").unwrap(), ("::1", "7051"));
    assert_eq!(split_host_port(":7051").unwrap(), ("", "7051"));
    for wrong in ["", "host", "::1:7051", "[::1", "[::1]", "[::1]7051", "[::1]:1:2"] {
        assert!(split_host_port(wrong).is_err(), "{wrong}");
    }
}
