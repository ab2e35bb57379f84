//! Arguments, functions and askers that are refused.

use super::*;

#[tokio::test]
async fn lscc_knows_its_functions_only() {
    let scene = Scene::new();
    assert_eq!(
        message(&scene.lscc(&[]).await),
        "invalid number of arguments to lscc: 0"
    );
    assert_eq!(
        message(&scene.lscc(&[b"start"]).await),
        "invalid function to lscc: start"
    );
    for args in [
        [b"getid".as_slice(), CHANNEL.as_bytes(), b"x"],
        [b"getdepspec", CHANNEL.as_bytes(), b"x"],
        [b"getccdata", CHANNEL.as_bytes(), b"x"],
    ] {
        let denied = scene
            .call(&scene.lscc, &scene.network.stranger.user, CHANNEL, &args)
            .await;
        let expected = format!(
            "access denied for [{}][mychannel]: ",
            String::from_utf8_lossy(args[0])
        );
        assert!(message(&denied).starts_with(&expected), "{denied:?}");
    }
    let denied = scene
        .call(
            &scene.lscc,
            &scene.network.stranger.user,
            CHANNEL,
            &[b"getchaincodes"],
        )
        .await;
    assert!(message(&denied).starts_with("access denied for [getchaincodes][mychannel]: "));
    let denied = scene
        .call(
            &scene.lscc,
            &scene.network.stranger.user,
            CHANNEL,
            &[b"GetCollectionsConfig", b"mycc"],
        )
        .await;
    let text = message(&denied);
    assert!(
        text.starts_with("access denied for [GetCollectionsConfig]: "),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_calls_system_chaincode_without_a_proposal() {
    let scene = Scene::new();
    let proposal = TestProposal::new(&scene.network.org1.admin, CHANNEL, "lscc", &[b"f"]);
    let params = TransactionParams {
        signed_proposal: None,
        ..scene.params(&proposal)
    };
    let input = committer::test_support::chaincode_input(&[b"GetChainInfo", CHANNEL.as_bytes()]);
    for chaincode in [&scene.lscc as &dyn SystemChaincode, &scene.cscc, &scene.qscc] {
        assert!(message(&chaincode.invoke(&params, &input).await).contains("no signed proposal"));
    }
}

#[tokio::test]
async fn cscc_and_qscc_refuse_to_be_called_by_chaincode() {
    let scene = Scene::new();
    let proposal = TestProposal::new(&scene.network.org1.admin, CHANNEL, "mycc", &[b"f"]);
    let params = scene.params(&proposal);
    let input = committer::test_support::chaincode_input(&[b"GetChainInfo", CHANNEL.as_bytes()]);
    assert_eq!(
        message(&scene.cscc.invoke(&params, &input).await),
        "Rejecting invoke of CSCC from another chaincode, original invocation for 'mycc'"
    );
    assert_eq!(
        message(&scene.qscc.invoke(&params, &input).await),
        "Rejecting invoke of QSCC from another chaincode because of potential for deadlocks, original invocation \
         for 'mycc'"
    );
}

#[tokio::test]
async fn cscc_says_what_is_wrong() {
    let scene = Scene::new();
    let said = async |args: &[&[u8]]| {
        let outcome = scene.call(&scene.cscc, &scene.network.org1.admin, "", args).await;
        message(&outcome).to_owned()
    };
    assert_eq!(said(&[]).await, "Incorrect number of arguments, 0");
    assert_eq!(said(&[b"JoinChain"]).await, "Incorrect number of arguments, 1");
    assert_eq!(
        said(&[b"Other", b"x"]).await,
        "Requested function Other not found."
    );
    assert_eq!(
        said(&[b"JoinChain", b""]).await,
        "Cannot join the channel <nil> configuration block provided"
    );
    let garbage = said(&[b"JoinChain", b"\xff"]).await;
    assert!(
        garbage.starts_with("Failed to reconstruct the genesis block, "),
        "{garbage}"
    );
    let empty = protos::new_block(0, Bytes::new(), vec![Bytes::new()]).encode_to_vec();
    let nameless = said(&[b"JoinChain", &empty]).await;
    let expected = "\"JoinChain\" request failed to extract channel id from the block due to [";
    assert!(nameless.starts_with(expected), "{nameless}");
    let mut no_config = scene.network.genesis("second");
    let query = TestProposal::new(&scene.network.org1.user, "second", "qscc", &[b"f"]);
    let envelope = TestTransaction::new(query, "syscc", &[]).sign();
    no_config.data.as_mut().unwrap().data = vec![envelope.encode_to_vec().into()];
    let refused = said(&[b"JoinChain", &no_config.encode_to_vec()]).await;
    let expected = "\"JoinChain\" for channelID = second failed because of validation of configuration block, \
                    because of ";
    assert!(refused.starts_with(expected), "{refused}");
    assert_eq!(scene.channels.list().len(), 1);
}

#[tokio::test]
async fn qscc_says_what_is_wrong() {
    let scene = Scene::new();
    let said = async |signer: &Arc<LocalSigner>, args: &[&[u8]]| {
        let outcome = scene.call(&scene.qscc, signer, CHANNEL, args).await;
        message(&outcome).to_owned()
    };
    let user = &scene.network.org1.user;
    assert_eq!(
        said(user, &[b"GetChainInfo"]).await,
        "Incorrect number of arguments, 1"
    );
    assert_eq!(said(user, &[b"GetChainInfo", b""]).await, "Invalid chain ID, ");
    assert_eq!(
        said(user, &[b"GetBlockByNumber", b"other", b"0"]).await,
        "Invalid chain ID, other"
    );
    let channel = CHANNEL.as_bytes();
    for function in [
        "GetBlockByNumber",
        "GetBlockByHash",
        "GetTransactionByID",
        "GetBlockByTxID",
    ] {
        let expected = format!("missing 3rd argument for {function}");
        assert_eq!(said(user, &[function.as_bytes(), channel]).await, expected);
    }
    let other = said(user, &[b"Other", channel, b"x"]).await;
    assert_eq!(
        other,
        "access denied for [Other][mychannel]: [Unmapped policy for qscc/Other]"
    );
    for function in [
        "GetChainInfo",
        "GetBlockByNumber",
        "GetBlockByHash",
        "GetTransactionByID",
    ] {
        let denied = said(
            &scene.network.stranger.user,
            &[function.as_bytes(), channel, b"0"],
        )
        .await;
        assert!(
            denied.starts_with(&format!("access denied for [{function}][mychannel]: [")),
            "{denied}"
        );
    }
}
