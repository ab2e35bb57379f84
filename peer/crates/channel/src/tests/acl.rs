//! Who may use what.

use chaincode::ChannelAccess;
use committer::test_support::TestProposal;
use msp::LocalSigner;

use super::*;
use crate::proposal_signature;

fn check(
    channels: &Channels,
    resource: &str,
    channel: &str,
    signer: &Arc<LocalSigner>,
) -> Result<(), String> {
    let signed = proposal_signature(&TestProposal::new(signer, channel, "qscc", &[b"f"]).unpack());
    let id = channel.into();
    let named = Some(&id).filter(|_| !channel.is_empty());
    channels
        .check_acl(resource, named, &signed)
        .map_err(|error| wire_message(&error))
}

#[test]
fn resources_have_fabrics_default_policies() {
    let network = TestNetwork::new();
    let (channels, _) = joined(&network);
    let (org1, org2) = (&network.org1, &network.org2);
    assert_eq!(check(&channels, "peer/Propose", CHANNEL, &org1.user), Ok(()));
    assert_eq!(check(&channels, "qscc/GetChainInfo", CHANNEL, &org2.node), Ok(()));
    assert_eq!(
        check(&channels, "peer/Propose", CHANNEL, &org1.node).unwrap_err(),
        "Failed evaluating policy on signed data during check policy on channel [mychannel] with policy \
         [/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, but \
         this policy requires 1 of the 'Writers' sub-policies to be satisfied]"
    );
    assert_eq!(check(&channels, "lscc/Install", "", &org1.admin), Ok(()));
    assert_eq!(
        check(&channels, "lscc/Install", CHANNEL, &org1.admin),
        Ok(()),
        "local, whatever the channel"
    );
    assert_eq!(check(&channels, "cscc/GetChannels", "", &org1.user), Ok(()));
    let denied = check(&channels, "lscc/Install", "", &org1.user).unwrap_err();
    assert!(
        denied.contains("channelless check policy with policy [Admins]"),
        "{denied}"
    );
    assert!(check(&channels, "lscc/Install", "", &org2.admin).is_err());
    assert!(check(&channels, "peer/Propose", CHANNEL, &network.stranger.user).is_err());
}

#[test]
fn unknown_resources_and_channels_are_refused() {
    let network = TestNetwork::new();
    let (channels, _) = joined(&network);
    let user = &network.org1.user;
    assert_eq!(
        check(&channels, "qscc/Other", CHANNEL, user).unwrap_err(),
        "Unmapped policy for qscc/Other"
    );
    assert_eq!(
        check(&channels, "peer/Propose", "", user).unwrap_err(),
        "Unmapped channelless policy for peer/Propose"
    );
    assert_eq!(
        check(&channels, "peer/Propose", "other", user).unwrap_err(),
        "Failed to get policy manager for channel [other]"
    );
}

#[test]
fn a_channels_acls_replace_the_defaults() {
    let mut network = TestNetwork::new();
    network.acls = vec![("qscc/GetChainInfo".into(), "Admins".into())];
    let (channels, _) = joined(&network);
    let denied = check(&channels, "qscc/GetChainInfo", CHANNEL, &network.org1.user).unwrap_err();
    let expected =
        "failed evaluating policy on signed data during check policy [/Channel/Application/Admins]: [";
    assert!(denied.starts_with(expected), "{denied}");
    assert_eq!(
        check(&channels, "qscc/GetBlockByNumber", CHANNEL, &network.org1.user),
        Ok(())
    );
}

#[test]
fn chaincode_sees_channels_through_its_seam() {
    let network = TestNetwork::new();
    let (channels, channel) = joined(&network);
    let access: &dyn ChannelAccess = &channels;
    assert!(Arc::ptr_eq(
        &access.ledger(channel.id()).unwrap(),
        channel.ledger()
    ));
    assert!(access.ledger(&"other".into()).is_none());
    let capabilities = access.capabilities(channel.id()).unwrap();
    assert!(capabilities.key_level_endorsement && !capabilities.purge_private_data);
    let proposal = TestProposal::new(&network.org1.user, CHANNEL, "cc", &[b"f"]).unpack();
    assert!(
        access
            .check_acl("peer/ChaincodeToChaincode", channel.id(), &proposal)
            .is_ok()
    );
    assert!(
        access
            .check_acl("peer/ChaincodeToChaincode", &"other".into(), &proposal)
            .is_err()
    );
}
