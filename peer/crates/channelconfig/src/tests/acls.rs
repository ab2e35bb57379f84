//! Access control (endorser cases 41 and 42).

use std::sync::Arc;

use msp::{Admins, LocalMsp, Msp};
use protos::wire_message;

use super::fixtures::{application, msp_config, signed, signer};
use crate::check_acl;

fn local() -> LocalMsp {
    let msp = Msp::from_config(&msp_config("org1", "Org1MSP"), Admins::Required).unwrap();
    LocalMsp::new(Arc::new(msp), signer("org1", "peer")).unwrap()
}

#[test]
fn the_channels_own_acl_replaces_the_default() {
    let bundle = application();
    assert_eq!(
        bundle.resource_policy("qscc/GetChainInfo"),
        Some("/Channel/Application/Writers")
    );
    assert_eq!(
        bundle.resource_policy("qscc/GetBlockByHash"),
        Some("/Channel/Application/Readers")
    );
    assert_eq!(
        bundle.resource_policy("event/Block"),
        Some("/Channel/Application/Admins")
    );
    let peer = signed(&signer("org1", "peer"));
    bundle.check_acl("qscc/GetBlockByHash", &peer).unwrap();
    let text = wire_message(&bundle.check_acl("qscc/GetChainInfo", &peer).unwrap_err());
    assert_eq!(
        text,
        "failed evaluating policy on signed data during check policy [/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' sub-policies to be satisfied]"
    );
    bundle
        .check_acl("qscc/GetChainInfo", &signed(&signer("org1", "user")))
        .unwrap();
}

#[test]
fn the_default_is_evaluated_on_the_channel() {
    let bundle = application();
    let local = local();
    let peer = signed(&signer("org1", "peer"));
    let on_channel = ("appchannel", Some(&bundle));
    let text = wire_message(&check_acl("peer/Propose", on_channel, &local, &peer).unwrap_err());
    assert_eq!(
        text,
        "Failed evaluating policy on signed data during check policy on channel [appchannel] with policy [/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' sub-policies to be satisfied]"
    );
    check_acl(
        "peer/Propose",
        on_channel,
        &local,
        &signed(&signer("org2", "admin")),
    )
    .unwrap();
    let refusal = |resource, channel| wire_message(&check_acl(resource, channel, &local, &peer).unwrap_err());
    assert_eq!(refusal("bogus", on_channel), "Unmapped policy for bogus");
    assert_eq!(
        refusal("lscc/Deploy", on_channel),
        "Unmapped policy for lscc/Deploy"
    );
    assert_eq!(
        refusal("bogus", ("", None)),
        "Unmapped channelless policy for bogus"
    );
    assert_eq!(
        refusal("peer/Propose", ("other", None)),
        "Failed to get policy manager for channel [other]"
    );
}

#[test]
fn a_local_resource_is_local_with_a_channel_too() {
    let bundle = application();
    let local = local();
    let admin = signed(&signer("org1", "admin"));
    let user = signed(&signer("org1", "user"));
    let foreign = signed(&signer("org2", "admin"));
    for channel in [("", None), ("appchannel", Some(&bundle))] {
        check_acl("lscc/Install", channel, &local, &admin).unwrap();
        check_acl("cscc/GetChannels", channel, &local, &user).unwrap();
        check_acl("cscc/GetChannels", channel, &local, &foreign).unwrap_err();
        let text = wire_message(&check_acl("cscc/JoinChain", channel, &local, &user).unwrap_err());
        assert!(
            text.starts_with("Failed verifying that proposal's creator satisfies local MSP principal during channelless check policy with policy [Admins]: ["),
            "{text}"
        );
    }
}
