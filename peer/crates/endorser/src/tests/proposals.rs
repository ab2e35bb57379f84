//! What is let in, and what is rejected in which words.

use committer::test_support::TestTransaction;
use protos::peer::SignedProposal;

use super::*;

fn scene() -> Scene {
    Scene::new(FakeExecutor::answering(status(200)))
}

#[tokio::test]
async fn what_does_not_unpack_is_rejected() {
    let scene = scene();
    let rejected = async |signed: SignedProposal| {
        let unpacked = UnpackedProposal::try_from(signed);
        let answered = scene
            .endorser
            .process_proposal(unpacked, &scene.decorators, Arc::new(FakeEndorsers))
            .await;
        answered.unwrap_err().text
    };
    assert_eq!(
        rejected(SignedProposal::default()).await,
        "ChaincodeHeaderExtension.ChaincodeId is nil"
    );
    let garbage = SignedProposal {
        proposal_bytes: "\u{1}\u{2}\u{3}".into(),
        ..Default::default()
    };
    assert!(
        rejected(garbage)
            .await
            .starts_with("error unmarshalling Proposal: ")
    );
    let mut nameless = scene.proposal("", &[b"f"]);
    assert_eq!(
        rejected(nameless.sign()).await,
        "ChaincodeHeaderExtension.ChaincodeId.Name is empty"
    );
    nameless = scene.proposal("mycc", &[b"f"]);
    nameless.invocation.chaincode_spec = None;
    let expected = "chaincode invocation spec did not contain chaincode spec";
    assert_eq!(rejected(nameless.sign()).await, expected);
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn headers_are_checked_in_fabrics_order_and_words() {
    let scene = scene();
    let with = async |change: fn(&mut TestProposal)| {
        let mut proposal = scene.proposal("mycc", &[b"f"]);
        change(&mut proposal);
        scene.rejection(&proposal).await
    };
    for (header_type, name) in [
        (0, "MESSAGE"),
        (2, "CONFIG_UPDATE"),
        (4, "ORDERER_TRANSACTION"),
        (6, "CHAINCODE_PACKAGE"),
        (99, "99"),
    ] {
        let mut proposal = scene.proposal("mycc", &[b"f"]);
        proposal.channel_header.r#type = header_type;
        let expected = format!("error validating proposal: invalid header type {name}");
        assert_eq!(scene.rejection(&proposal).await, expected);
    }
    let text = |own: &str| format!("error validating proposal: {own}");
    assert_eq!(
        with(|p| p.channel_header.epoch = 1).await,
        text("epoch is non-zero")
    );
    assert_eq!(
        with(|p| p.signature_header.nonce.clear()).await,
        text("nonce is empty")
    );
    assert_eq!(
        with(|p| p.signature_header.creator.clear()).await,
        text("creator is empty")
    );
    let proposal = scene.proposal("mycc", &[b"f"]);
    let expected = proposal.tx_id();
    for wrong in [expected.as_str().to_uppercase(), String::new(), "abc".into()] {
        let mut proposal = proposal.clone();
        proposal.channel_header.tx_id.clone_from(&wrong);
        let said = scene.rejection(&proposal).await;
        assert_eq!(
            said,
            text(&format!(
                "incorrectly computed txid '{wrong}' -- expected '{expected}'"
            ))
        );
    }
    // a wrong id is reported before a wrong signature
    let mut both = proposal.clone();
    both.channel_header.tx_id = "abc".into();
    both.signer = scene.network.org2.user.clone();
    assert!(scene.rejection(&both).await.contains("incorrectly computed txid"));
    // CONFIG is what old tools send
    let mut config = proposal;
    config.channel_header.r#type = 1;
    assert!(scene.response(&config).await.endorsement.is_some());
}

#[tokio::test]
async fn only_the_creator_can_sign() {
    let scene = scene();
    let denied = "error validating proposal: access denied: channel [mychannel] creator org [Org1MSP]";
    let mut proposal = scene.proposal("mycc", &[b"f"]);
    proposal.signer = scene.network.org2.user.clone();
    assert_eq!(scene.rejection(&proposal).await, denied);
    let mut signed = scene.proposal("mycc", &[b"f"]).sign();
    let mut flipped = signed.signature.to_vec();
    let last = flipped.last_mut().unwrap();
    *last ^= 1;
    signed.signature = flipped.into();
    let process = async |signed: SignedProposal| {
        let unpacked = UnpackedProposal::try_from(signed);
        let answered = scene
            .endorser
            .process_proposal(unpacked, &scene.decorators, Arc::new(FakeEndorsers))
            .await;
        answered.unwrap_err().text
    };
    assert_eq!(process(signed.clone()).await, denied);
    signed.signature.clear();
    assert_eq!(
        process(signed).await,
        "error validating proposal: empty signature bytes"
    );
    let unknown = "error validating proposal: access denied: channel [mychannel] creator org unknown, creator is \
                   malformed";
    let stranger = TestProposal::new(&scene.network.stranger.user, CHANNEL, "mycc", &[b"f"]);
    let said = scene.rejection(&stranger).await;
    assert!(said == denied || said == unknown, "{said}");
    let mut garbage = scene.proposal("mycc", &[b"f"]);
    garbage.signature_header.creator = "garbage".into();
    let header = &garbage.signature_header;
    garbage.channel_header.tx_id = protos::compute_tx_id(&header.nonce, &header.creator).to_string();
    assert_eq!(scene.rejection(&garbage).await, unknown);
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn every_damaged_proposal_is_refused() {
    let scene = scene();
    let good = scene.proposal("mycc", &[b"f", b"argument"]).sign();
    for index in (0..good.proposal_bytes.len()).step_by(23) {
        let mut bytes = good.proposal_bytes.to_vec();
        bytes[index] ^= 0x2a;
        let signed = SignedProposal {
            proposal_bytes: bytes.into(),
            signature: good.signature.clone(),
        };
        match scene
            .endorser
            .process_proposal(
                UnpackedProposal::try_from(signed),
                &scene.decorators,
                Arc::new(FakeEndorsers),
            )
            .await
        {
            Err(_) => {}
            // the channel's name was hit
            Ok(response) => assert!(response.response.unwrap().message.ends_with("not found")),
        }
    }
    assert!(scene.calls().is_empty());
    let unpacked = UnpackedProposal::try_from(good);
    assert!(
        scene
            .endorser
            .process_proposal(unpacked, &scene.decorators, Arc::new(FakeEndorsers))
            .await
            .unwrap()
            .endorsement
            .is_some()
    );
}

#[tokio::test]
async fn an_unknown_channel_is_a_response() {
    let scene = scene();
    let proposal = TestProposal::new(&scene.network.org1.user, "barfchain", "mycc", &[b"f"]);
    assert_eq!(scene.failure(&proposal).await, "channel 'barfchain' not found");
}

#[tokio::test]
async fn a_transaction_on_the_ledger_is_not_simulated_again() {
    let scene = scene();
    let proposal = scene.proposal("qscc", &[b"GetChainInfo", CHANNEL.as_bytes()]);
    let mut transaction = TestTransaction::new(proposal.clone(), "syscc", &[]);
    transaction.endorsers.clear();
    let genesis = scene.channel.ledger().block_by_number(0).unwrap().header.unwrap();
    let block = scene.network.block_after(&genesis, &[transaction.sign()]);
    let codes = scene.channel.commit(block).await.unwrap().codes;
    assert_ne!(
        codes,
        [protos::peer::TxValidationCode::Valid],
        "invalid ones count as well"
    );
    let creator = hex::encode(&proposal.signature_header.creator);
    let expected = format!(
        "duplicate transaction found [{}]. Creator [{creator}]",
        proposal.tx_id()
    );
    assert_eq!(scene.rejection(&proposal).await, expected);
}

#[tokio::test]
async fn the_channel_says_who_may_propose() {
    let scene = scene();
    let peer = &scene.network.org1.node;
    let denied = scene
        .rejection(&TestProposal::new(peer, CHANNEL, "mycc", &[b"f"]))
        .await;
    assert!(
        denied.starts_with(
            "Failed evaluating policy on signed data during check policy on channel [mychannel]"
        )
    );
    assert!(denied.contains("implicit policy evaluation failed"), "{denied}");
    assert!(scene.calls().is_empty());
    // system chaincode checks for itself
    let system = TestProposal::new(peer, CHANNEL, "qscc", &[b"f"]);
    assert!(scene.response(&system).await.endorsement.is_some());
}

#[tokio::test]
async fn system_chaincode_of_the_peers_own_cannot_be_called() {
    let scene = scene();
    let said = scene.rejection(&scene.proposal("vscc", &[b"f"])).await;
    assert_eq!(said, "chaincode vscc cannot be invoked through a proposal");
    let without = TestProposal::new(&scene.network.org1.user, "", "vscc", &[b"f"]);
    assert_eq!(scene.rejection(&without).await, said);
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn without_a_channel_only_local_members_run_system_chaincode() {
    let scene = scene();
    let proposal = |signer| TestProposal::new(signer, "", "cscc", &[b"GetChannels"]);
    let answered = scene.response(&proposal(&scene.network.org1.user)).await;
    assert_eq!(
        (answered.payload.len(), answered.endorsement, answered.version),
        (0, None, 0)
    );
    assert_eq!(answered.response.unwrap(), status(200));
    let (_, params) = scene.calls().remove(0);
    assert!(params.simulator.is_none() && params.history.is_none());
    let foreign = scene.rejection(&proposal(&scene.network.org2.user)).await;
    assert!(
        foreign.starts_with("error validating proposal: access denied: channel []"),
        "{foreign}"
    );
    let user = TestProposal::new(&scene.network.org1.user, "", "mycc", &[b"f"]);
    assert_eq!(
        scene.failure(&user).await,
        "make sure the chaincode mycc has been successfully defined on channel  and try again: no ledger context"
    );
}
