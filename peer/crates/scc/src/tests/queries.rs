//! What can be asked of LSCC, CSCC and QSCC.

use protos::common::{Block, BlockchainInfo, Config};
use protos::peer::{ChaincodeQueryResponse, ChannelQueryResponse, ProcessedTransaction};

use super::*;

#[tokio::test]
async fn lscc_knows_one_chaincode_by_every_name_of_the_question() {
    let scene = Scene::new();
    scene.deploy("mycc", "1.0").await;
    let ask = async |function: &str| {
        scene
            .lscc(&[function.as_bytes(), CHANNEL.as_bytes(), b"mycc"])
            .await
    };
    for function in ["getid", "ChaincodeExists"] {
        assert_eq!(text(&ask(function).await), "mycc");
    }
    for function in ["getdepspec", "GetDeploymentSpec"] {
        assert_eq!(payload(&ask(function).await), cds("mycc", "1.0"));
    }
    let stored = scene
        .channel
        .ledger()
        .new_query_executor()
        .get_state("lscc", "mycc")
        .unwrap()
        .unwrap();
    for function in ["getccdata", "GetChaincodeData"] {
        assert_eq!(payload(&ask(function).await), stored);
    }
    for function in ["getid", "getdepspec", "getccdata"] {
        let unknown = scene
            .lscc(&[function.as_bytes(), CHANNEL.as_bytes(), b"other"])
            .await;
        assert_eq!(message(&unknown), "could not find chaincode with name 'other'");
        let short = scene.lscc(&[function.as_bytes(), CHANNEL.as_bytes()]).await;
        assert_eq!(message(&short), "invalid number of arguments to lscc: 2");
    }
    std::fs::remove_file(scene.network.folder().join("chaincodes/mycc.1.0")).unwrap();
    assert!(message(&ask("getdepspec").await).starts_with("invalid deployment spec: "));
}

#[tokio::test]
async fn lscc_lists_what_is_deployed() {
    let scene = Scene::new();
    scene.deploy("mycc", "1.0").await;
    let listed = scene.lscc(&[b"getchaincodes"]).await;
    let listed = ChaincodeQueryResponse::decode(payload(&listed))
        .unwrap()
        .chaincodes;
    let [info] = listed.as_slice() else {
        panic!("one chaincode: {listed:?}")
    };
    assert_eq!((info.name.as_str(), info.version.as_str()), ("mycc", "1.0"));
    assert_eq!(
        (info.path.as_str(), info.input.as_str()),
        ("example.com/mycc", "args:\"init\"")
    );
    assert_eq!((info.escc.as_str(), info.vscc.as_str()), ("escc", "vscc"));
    let proposal = TestProposal::new(&scene.network.org1.admin, CHANNEL, "lscc", &[b"getchaincodes"]);
    let params = scene.params(&proposal);
    let args = committer::test_support::chaincode_input(&[b"getchaincodes"]);
    scene.lscc.invoke(&params, &args).await;
    let results = params.simulator.unwrap().results().unwrap().rwset;
    let range = &results.namespaces[0].kv.range_queries_info[0];
    assert_eq!(
        (range.start_key.as_str(), range.end_key.as_str()),
        ("\u{1}", ""),
        "as Go's shim asks"
    );
    let extra = scene.lscc(&[b"getchaincodes", b"x"]).await;
    assert_eq!(message(&extra), "invalid number of arguments to lscc: 2");
}

#[tokio::test]
async fn cscc_joins_and_tells_of_channels() {
    let scene = Scene::new();
    let (admin, user) = (&scene.network.org1.admin, &scene.network.org1.user);
    let block = scene.network.genesis("second").encode_to_vec();
    let denied = scene.call(&scene.cscc, user, "", &[b"JoinChain", &block]).await;
    assert!(
        message(&denied).starts_with("access denied for [JoinChain][second]: ["),
        "{denied:?}"
    );
    payload(&scene.call(&scene.cscc, admin, "", &[b"JoinChain", &block]).await);
    let again = scene.call(&scene.cscc, admin, "", &[b"JoinChain", &block]).await;
    let expected =
        "cannot create ledger from genesis block: ledger [second] already exists with state [ACTIVE]";
    assert_eq!(message(&again), expected);
    let listed = scene.call(&scene.cscc, user, "", &[b"GetChannels"]).await;
    let listed = ChannelQueryResponse::decode(payload(&listed)).unwrap().channels;
    let names: Vec<_> = listed.iter().map(|info| info.channel_id.as_str()).collect();
    assert_eq!(names, ["mychannel", "second"]);
}

#[tokio::test]
async fn cscc_shows_the_configuration() {
    let scene = Scene::new();
    let user = &scene.network.org1.user;
    let shown = scene
        .call(&scene.cscc, user, "", &[b"GetConfigBlock", CHANNEL.as_bytes()])
        .await;
    let block = Block::decode(payload(&shown)).unwrap();
    assert_eq!(block.header.unwrap().number, 0);
    let shown = scene
        .call(&scene.cscc, user, "", &[b"GetChannelConfig", CHANNEL.as_bytes()])
        .await;
    assert_eq!(Config::decode(payload(&shown)).unwrap().sequence, 0);
    let stranger = &scene.network.stranger.user;
    let denied = scene
        .call(
            &scene.cscc,
            stranger,
            "",
            &[b"GetConfigBlock", CHANNEL.as_bytes()],
        )
        .await;
    assert!(message(&denied).starts_with("access denied for [GetConfigBlock][mychannel]: "));
    let unknown = scene
        .call(&scene.cscc, user, "", &[b"GetConfigBlock", b"other"])
        .await;
    assert!(message(&unknown).starts_with("access denied for [GetConfigBlock][other]: "));
    let none = scene.call(&scene.cscc, user, "", &[b"GetConfigBlock", b""]).await;
    assert!(message(&none).starts_with("access denied for [GetConfigBlock][]: "));
}

#[tokio::test]
async fn qscc_reads_blocks_and_transactions() {
    let scene = Scene::new();
    scene.deploy("mycc", "1.0").await;
    let ledger = scene.channel.ledger();
    let block = ledger.block_by_number(1).unwrap();
    let ask = async |function: &str, argument: &[u8]| {
        let args = [function.as_bytes(), CHANNEL.as_bytes(), argument];
        scene
            .call(&scene.qscc, &scene.network.org1.user, CHANNEL, &args)
            .await
    };
    let info = BlockchainInfo::decode(payload(&ask("GetChainInfo", b"").await)).unwrap();
    assert_eq!((info.height, info.current_block_hash.len()), (2, 32));
    let decoded = |outcome: &SccOutcome| Block::decode(payload(outcome)).unwrap();
    assert_eq!(decoded(&ask("GetBlockByNumber", b"1").await), block);
    assert_eq!(
        decoded(&ask("GetBlockByNumber", b"18446744073709551615").await),
        block
    );
    assert_eq!(
        decoded(&ask("GetBlockByNumber", b"0").await)
            .header
            .unwrap()
            .number,
        0
    );
    assert_eq!(
        decoded(&ask("GetBlockByHash", &info.current_block_hash).await),
        block
    );
    let envelope = block.data.as_ref().unwrap().data[0].clone();
    let tx_id = protos::channel_header_of(envelope.clone()).unwrap().tx_id;
    assert_eq!(decoded(&ask("GetBlockByTxID", tx_id.as_bytes()).await), block);
    let transaction = ask("GetTransactionByID", tx_id.as_bytes()).await;
    let transaction = ProcessedTransaction::decode(payload(&transaction)).unwrap();
    assert_eq!(transaction.validation_code, 0);
    assert_eq!(
        transaction.transaction_envelope.unwrap().encode_to_vec(),
        envelope
    );
}

#[tokio::test]
async fn qscc_says_what_it_does_not_find() {
    let scene = Scene::new();
    let said = async |function: &str, argument: &[u8]| {
        let args = [function.as_bytes(), CHANNEL.as_bytes(), argument];
        let outcome = scene
            .call(&scene.qscc, &scene.network.org1.user, CHANNEL, &args)
            .await;
        message(&outcome).to_owned()
    };
    assert_eq!(
        said("GetTransactionByID", b"T").await,
        "Failed to get transaction with id T, error no such transaction ID [T] in index"
    );
    assert_eq!(
        said("GetBlockByNumber", b"7").await,
        "Failed to get block number 7, error no such block number [7] in index"
    );
    assert_eq!(
        said("GetBlockByHash", b"H").await,
        "Failed to get block hash H, error no such block hash [48] in index"
    );
    assert_eq!(
        said("GetBlockByTxID", b"T").await,
        "Failed to get block for txID T, error no such transaction ID [T] in index"
    );
    for bad in ["x", "", "-1", "+1", "99999999999999999999"] {
        let said = said("GetBlockByNumber", bad.as_bytes()).await;
        assert!(
            said.starts_with("Failed to parse block number with error strconv.ParseUint: "),
            "{said}"
        );
    }
}
