//! Malformed and hostile requests: each gets its error, nothing is written, the peer goes on.

use bytes::Bytes;
use cryptogen::{CertificateAuthority, CertificateSpec, Curve, Subject, Validity};
use integration::forge::{Forge, Level, high_s};
use integration::network::{CHAINCODE, Harness};
use integration::packages::{Entry, archive, deployment_spec, node_package};
use msp::{Certificate, LocalSigner};
use prost::Message;
use protos::msp::SerializedIdentity;
use protos::peer::{ChaincodeId, SignedProposal};
use tar::EntryType;

/// What a request must get.
enum Expected {
    /// A gRPC error with this text in it.
    Status(&'static str),
    /// A gRPC error, whatever the decoder says.
    Undecodable,
    /// Code RESOURCE_EXHAUSTED and this text.
    TooLarge(&'static str),
    /// A response with this status and text, and no endorsement.
    Response(i32, &'static str),
}
use Expected::{Response, Status, TooLarge, Undecodable};

struct Case {
    name: String,
    request: SignedProposal,
    expected: Expected,
}

fn stranger(validity: Validity) -> LocalSigner {
    let ca = CertificateAuthority::new(
        &Subject::named("ca.evil.example.com"),
        Validity::from_now(),
        Curve::P256,
    )
    .expect("CA");
    let subject = Subject::named("User1@org1.example.com").in_unit("client");
    let issued = ca
        .issue(&CertificateSpec {
            validity,
            ..CertificateSpec::signing(subject)
        })
        .expect("certificate");
    let certificate = Certificate::from_pem(issued.certificate_pem().as_bytes()).expect("certificate");
    LocalSigner::new("Org1MSP", &certificate, issued.key().pkcs8_pem().as_bytes()).expect("signer")
}

fn cases(harness: &Harness) -> Vec<Case> {
    let user = harness.network.user().signer();
    let admin = harness.network.admin().signer();
    let garbage = || Some(Bytes::from_static(&[0xff; 16]));
    let mut cases = Vec::new();
    let mut add = |name: &str, request: SignedProposal, expected: Expected| {
        cases.push(Case {
            name: name.to_owned(),
            request,
            expected,
        });
    };
    let good = || Forge::new(user, "mychannel", CHAINCODE, &[b"put", b"a"]);
    let forged = |change: &dyn Fn(&mut Forge<'_>)| {
        let mut forge = good();
        change(&mut forge);
        forge.sign()
    };
    let nil_id = "ChaincodeHeaderExtension.ChaincodeId is nil";
    let no_spec = "chaincode invocation spec did not contain chaincode spec";

    // every level: missing, garbage, truncated
    add("nothing at all", SignedProposal::default(), Status(nil_id));
    add(
        "proposal garbage",
        forged(&|f| f.proposal = garbage()),
        Undecodable,
    );
    add(
        "proposal empty",
        forged(&|f| f.proposal = Some(Bytes::new())),
        Status(nil_id),
    );
    add("header garbage", forged(&|f| f.header = garbage()), Undecodable);
    add(
        "header empty",
        forged(&|f| f.header = Some(Bytes::new())),
        Status(nil_id),
    );
    add(
        "channel header garbage",
        forged(&|f| f.raw_channel_header = garbage()),
        Undecodable,
    );
    add(
        "channel header empty",
        forged(&|f| f.raw_channel_header = Some(Bytes::new())),
        Status(nil_id),
    );
    add(
        "signature header garbage",
        forged(&|f| f.raw_signature_header = garbage()),
        Undecodable,
    );
    add(
        "signature header empty",
        forged(&|f| f.raw_signature_header = Some(Bytes::new())),
        Status("nonce is empty"),
    );
    add(
        "extension garbage",
        forged(&|f| f.extension = garbage()),
        Undecodable,
    );
    add(
        "extension empty",
        forged(&|f| f.extension = Some(Bytes::new())),
        Status(nil_id),
    );
    add("payload garbage", forged(&|f| f.payload = garbage()), Undecodable);
    add(
        "payload empty",
        forged(&|f| f.payload = Some(Bytes::new())),
        Status(no_spec),
    );
    add("input garbage", forged(&|f| f.input = garbage()), Undecodable);
    add(
        "input empty",
        forged(&|f| f.input = Some(Bytes::new())),
        Status(no_spec),
    );
    add("no spec", forged(&|f| f.spec = None), Status(no_spec));
    let no_input = "chaincode input did not contain any input";
    add(
        "no input",
        forged(&|f| f.spec.as_mut().unwrap().input = None),
        Status(no_input),
    );
    for cut in [1, 2, 10, 60] {
        let whole = good().sign().proposal_bytes;
        let cut_off = whole.slice(..whole.len() - cut);
        add(
            &format!("proposal cut by {cut}"),
            forged(&|f| f.proposal = Some(cut_off.clone())),
            Undecodable,
        );
    }
    for level in [
        Level::Proposal,
        Level::Header,
        Level::ChannelHeader,
        Level::SignatureHeader,
        Level::Extension,
        Level::Payload,
        Level::Input,
    ] {
        let request = forged(&|f| f.cut = Some(level));
        add(&format!("{level:?} without its last byte"), request, Undecodable);
    }
    let bomb = Bytes::from(vec![0x0a; 1 << 20]);
    add(
        "a megabyte of open fields",
        forged(&|f| f.payload = Some(bomb.clone())),
        Undecodable,
    );

    add(
        "beyond the message limit",
        SignedProposal {
            proposal_bytes: vec![0; protos::MAX_MESSAGE_SIZE].into(),
            signature: Bytes::new(),
        },
        TooLarge("grpc: received message larger than max (104857605 vs. 104857600)"),
    );

    // header fields
    for kind in [0, 2, 4, 5, 6, 8, 99, -1] {
        let request = forged(&|f| f.channel_header.r#type = kind);
        add(
            &format!("header type {kind}"),
            request,
            Status("invalid header type"),
        );
    }
    add(
        "epoch",
        forged(&|f| f.channel_header.epoch = 1),
        Status("epoch is non-zero"),
    );
    add(
        "nonce empty",
        forged(&|f| f.signature_header.nonce = Bytes::new()),
        Status("nonce is empty"),
    );
    add(
        "creator empty",
        forged(&|f| f.signature_header.creator = Bytes::new()),
        Status("creator is empty"),
    );
    for tx_id in ["", "abc", "../../etc/passwd", &"A".repeat(64)] {
        let request = forged(&|f| {
            f.keep_tx_id = true;
            f.channel_header.tx_id = tx_id.to_owned();
        });
        add(
            &format!("transaction id {tx_id:?}"),
            request,
            Status("incorrectly computed txid"),
        );
    }
    let upper = forged(&|f| {
        f.keep_tx_id = true;
        let header = &f.signature_header;
        f.channel_header.tx_id = protos::compute_tx_id(&header.nonce, &header.creator)
            .to_string()
            .to_uppercase();
    });
    add(
        "transaction id in upper case",
        upper,
        Status("incorrectly computed txid"),
    );

    // identity and signature
    let denied = "access denied: channel [mychannel] creator org [Org1MSP]";
    let malformed = "access denied: channel [mychannel] creator org unknown, creator is malformed";
    add(
        "creator garbage",
        forged(&|f| f.signature_header.creator = garbage().unwrap()),
        Status("access denied"),
    );
    let other_msp = SerializedIdentity {
        mspid: "NoSuchMSP".into(),
        id_bytes: "x".into(),
    };
    let other_msp: Bytes = other_msp.encode_to_vec().into();
    add(
        "unknown MSP",
        forged(&|f| f.signature_header.creator = other_msp.clone()),
        Status(malformed),
    );
    let no_certificate = SerializedIdentity {
        mspid: "Org1MSP".into(),
        id_bytes: "x".into(),
    };
    let no_certificate: Bytes = no_certificate.encode_to_vec().into();
    add(
        "no certificate",
        forged(&|f| f.signature_header.creator = no_certificate.clone()),
        Status(malformed),
    );
    let resigned = |change: &dyn Fn(&Bytes) -> Bytes| {
        let signed = good().sign();
        SignedProposal {
            signature: change(&signed.signature),
            ..signed
        }
    };
    add(
        "signature missing",
        resigned(&|_| Bytes::new()),
        Status("empty signature bytes"),
    );
    add(
        "signature garbage",
        resigned(&|_| garbage().unwrap()),
        Status(denied),
    );
    add(
        "signature truncated",
        resigned(&|s| s.slice(..s.len() - 1)),
        Status(denied),
    );
    add("signature with high S", resigned(&|s| high_s(s)), Status(denied));
    let flipped = |s: &Bytes| {
        let mut bytes = s.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bytes.into()
    };
    add("signature with a flipped bit", resigned(&flipped), Status(denied));
    let by_admin = admin.sign(&[b"something else"]).unwrap();
    add(
        "signature of somebody else",
        resigned(&|_| by_admin.clone()),
        Status(denied),
    );
    let foreign = stranger(Validity::from_now());
    // as in Fabric: without a chain to the MSP's roots a certificate is no identity of it
    add(
        "foreign CA",
        Forge::new(&foreign, "mychannel", CHAINCODE, &[b"put"]).sign(),
        Status(malformed),
    );
    let expired = stranger(Validity::expired());
    add(
        "expired certificate",
        Forge::new(&expired, "mychannel", CHAINCODE, &[b"put"]).sign(),
        Status("identity expired"),
    );

    // names
    for channel in ["other", "../mychannel", "my:channel", "MYCHANNEL", "канал"] {
        let request = Forge::new(user, channel, CHAINCODE, &[b"put"]).sign();
        add(
            &format!("channel {channel:?}"),
            request,
            Response(500, "not found"),
        );
    }
    add(
        "no chaincode id",
        forged(&|f| f.chaincode_id = None),
        Status(nil_id),
    );
    let nameless = "ChaincodeHeaderExtension.ChaincodeId.Name is empty";
    add(
        "empty chaincode name",
        forged(&|f| f.chaincode_id = Some(ChaincodeId::default())),
        Status(nameless),
    );
    for name in [
        "nobody",
        "../kv",
        "kv:1",
        "ёж",
        "kv\0",
        "_lifecycle",
        &"x".repeat(5000),
    ] {
        let request = Forge::new(user, "mychannel", name, &[b"put"]).sign();
        add(
            &format!("chaincode {:.20?}", name),
            request,
            Response(500, "make sure the chaincode"),
        );
    }
    add(
        "chaincode without channel",
        Forge::new(user, "", CHAINCODE, &[b"put"]).sign(),
        Response(
            500,
            "make sure the chaincode kv has been successfully defined on channel  and try again: could not get channel \
             config for channel ''",
        ),
    );

    let long = "x".repeat(1 << 20);
    let cut = |text: &str| -> &'static str { text.replace('#', &"x".repeat(256)).leak() };
    add(
        "channel of a megabyte",
        Forge::new(user, &long, CHAINCODE, &[b"put"]).sign(),
        Response(500, cut("channel '#…' not found")),
    );
    add(
        "chaincode of a megabyte",
        Forge::new(user, "mychannel", &long, &[b"put"]).sign(),
        Response(500, cut("try again: chaincode #… not found")),
    );
    let request = forged(&|f| {
        f.keep_tx_id = true;
        f.channel_header.tx_id.clone_from(&long);
    });
    add(
        "transaction id of a megabyte",
        request,
        Status(cut("incorrectly computed txid '#…' -- expected")),
    );

    // system chaincode
    let mut init = Forge::new(admin, "", "cscc", &[b"GetChannels"]);
    init.spec.as_mut().unwrap().input.as_mut().unwrap().is_init = true;
    add(
        "system chaincode called as init",
        init.sign(),
        Response(
            500,
            "invalid invocation: chaincode 'cscc' does not require initialization but called as init",
        ),
    );
    let local = |signer, chaincode, args: &[&[u8]]| Forge::new(signer, "", chaincode, args).sign();
    add(
        "lscc without arguments",
        local(admin, "lscc", &[]),
        Response(500, "invalid number of arguments to lscc: 0"),
    );
    add(
        "lscc unknown function",
        local(admin, "lscc", &[b"launch", b"x"]),
        Response(500, "invalid function to lscc: launch"),
    );
    add(
        "install by a member",
        local(
            user,
            "lscc",
            &[b"install", &deployment_spec("x", "1", node_package())],
        ),
        Response(500, "access denied for [install]"),
    );
    add(
        "install of garbage",
        local(admin, "lscc", &[b"install", &[0xff; 30]]),
        Response(500, "failed to unmarshal envelope from bytes: "),
    );
    add(
        "install without package",
        local(admin, "lscc", &[b"install"]),
        Response(500, "invalid number of arguments"),
    );
    add(
        "cscc unknown function",
        local(admin, "cscc", &[b"Leave", b"mychannel"]),
        Response(500, "Requested function Leave not found"),
    );
    add(
        "cscc join with garbage",
        local(admin, "cscc", &[b"JoinChain", &[0xff; 30]]),
        Response(500, "Failed to reconstruct the genesis block"),
    );
    add(
        "cscc join with garbage by a member",
        local(user, "cscc", &[b"JoinChain", b"x"]),
        Response(500, "Failed to reconstruct the genesis block, "),
    );
    add(
        "qscc unknown channel",
        local(user, "qscc", &[b"GetChainInfo", b"nosuch"]),
        Response(500, "Invalid chain ID, nosuch"),
    );
    add(
        "qscc block beyond",
        local(user, "qscc", &[b"GetBlockByNumber", b"mychannel", b"99"]),
        Response(500, "no such block number [99] in index"),
    );
    add(
        "qscc not a number",
        local(user, "qscc", &[b"GetBlockByNumber", b"mychannel", b"x"]),
        Response(500, "Failed to parse block number"),
    );
    add(
        "qscc missing argument",
        local(user, "qscc", &[b"GetBlockByHash", b"mychannel"]),
        Response(500, "missing 3rd argument for GetBlockByHash"),
    );
    for name in ["../x", "a:b", "ёж", "", "a b", "x.y"] {
        let install = local(
            admin,
            "lscc",
            &[b"install", &deployment_spec(name, "1", node_package())],
        );
        add(
            &format!("install of {name:?}"),
            install,
            Response(500, "chaincode name"),
        );
    }
    let install = local(
        admin,
        "lscc",
        &[b"install", &deployment_spec("good", "1/../2", node_package())],
    );
    add(
        "install of a bad version",
        install,
        Response(500, "invalid chaincode version"),
    );
    let again = local(
        admin,
        "lscc",
        &[b"install", &deployment_spec(CHAINCODE, "1", node_package())],
    );
    add("install twice", again, Response(500, "exists"));

    // packages
    let manifest = || Entry::file("src/package.json", b"{}");
    let zeros = vec![0u8; 64 << 20];
    let packages: Vec<(&str, Bytes, &'static str)> = vec![
        (
            "garbage instead of gzip",
            Bytes::from_static(b"no gzip"),
            "failure opening codepackage gzip stream: ",
        ),
        (
            "no package.json",
            archive(&[Entry::file("src/index.js", b"")]),
            "no package.json found",
        ),
        (
            "symlink",
            archive(&[manifest(), Entry::of_kind("src/link", EntryType::Symlink)]),
            "illegal file detected in payload: \"src/link\"",
        ),
        (
            "hard link",
            archive(&[manifest(), Entry::of_kind("src/link", EntryType::Link)]),
            "illegal file detected in payload: \"src/link\"",
        ),
        (
            "device",
            archive(&[manifest(), Entry::of_kind("src/dev", EntryType::Char)]),
            "illegal file detected in payload: \"src/dev\"",
        ),
        (
            "pipe",
            archive(&[manifest(), Entry::of_kind("src/fifo", EntryType::Fifo)]),
            "illegal file detected in payload: \"src/fifo\"",
        ),
        (
            "absolute path",
            archive(&[manifest(), Entry::file("/etc/passwd", b"x")]),
            "illegal file",
        ),
        (
            "path upwards",
            archive(&[manifest(), Entry::file("src/../../x", b"x")]),
            "illegal file",
        ),
        (
            "outside of src",
            archive(&[manifest(), Entry::file("bin/x", b"x")]),
            "illegal file",
        ),
        (
            "executable",
            archive(&[
                manifest(),
                Entry {
                    mode: 0o100_755,
                    ..Entry::file("src/run", b"x")
                },
            ]),
            "illegal file mode",
        ),
        (
            "1:1000 compression",
            archive(&[manifest(), Entry::file("src/zeros", &zeros)]),
            "code package unpacks to more than",
        ),
    ];
    for (name, package, text) in packages {
        let install = local(
            admin,
            "lscc",
            &[b"install", &deployment_spec("hostile", "1", package)],
        );
        add(&format!("package: {name}"), install, Response(500, text));
    }
    let unspoken =
        protos::peer::ChaincodeDeploymentSpec::decode(deployment_spec("java", "1", node_package()));
    let mut unspoken = unspoken.unwrap();
    unspoken.chaincode_spec.as_mut().unwrap().r#type = protos::peer::chaincode_spec::Type::Car.into();
    let install = local(admin, "lscc", &[b"install", &unspoken.encode_to_vec()]);
    add(
        "a language without platform",
        install,
        Response(500, "Unknown chaincodeType: CAR (loaded: GOLANG, JAVA, NODE)"),
    );

    // deployment
    let deploy = |args: &[&[u8]]| Forge::new(admin, "mychannel", "lscc", args).sign();
    let spec = deployment_spec("absent", "1", Bytes::new());
    add(
        "deploy of what is not installed",
        deploy(&[b"deploy", b"mychannel", &spec]),
        Response(500, "cannot get package for chaincode (absent:1)"),
    );
    let existing = deployment_spec(CHAINCODE, "1", Bytes::new());
    add(
        "deploy twice",
        deploy(&[b"deploy", b"mychannel", &existing]),
        Response(500, "already exists"),
    );
    add(
        "upgrade to the same version",
        deploy(&[b"upgrade", b"mychannel", &existing]),
        Response(500, "version already exists"),
    );
    add(
        "deploy with too few arguments",
        deploy(&[b"deploy", b"mychannel"]),
        Response(500, "invalid number of arguments"),
    );
    add(
        "deploy of garbage",
        deploy(&[b"deploy", b"mychannel", &[0xff; 9]]),
        Response(500, "error unmarshalling ChaincodeDeploymentSpec: "),
    );
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_request_gets_its_error_and_the_peer_goes_on() {
    let harness = Harness::start().await;
    let _shim = harness.connect("kv:1").await;
    let height = harness.height();
    let cases = cases(&harness);
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let answer = harness.send(case.request).await;
        let fault = match (&case.expected, answer) {
            (Status(text), Err(status))
                if status.code() == tonic::Code::Unknown && status.message().contains(text) =>
            {
                None
            }
            (TooLarge(text), Err(status))
                if status.code() == tonic::Code::ResourceExhausted && status.message() == *text =>
            {
                None
            }
            (Undecodable, Err(status)) if status.code() == tonic::Code::Unknown => None,
            (Response(code, text), Ok(answer)) => {
                let response = answer.response.unwrap_or_default();
                let right = response.status == *code
                    && response.message.contains(text)
                    && answer.endorsement.is_none();
                (!right).then(|| format!("response {} {:?}", response.status, response.message))
            }
            (_, Ok(answer)) => Some(format!("answered {:?}", answer.response)),
            (_, Err(status)) => Some(format!("{status:?}")),
        };
        if let Some(fault) = fault {
            wrong.push(format!("{}: {fault}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(harness.height(), height, "nothing was written");
    let answer = harness.call(&["put", "a"]).await.expect("a good proposal");
    assert!(answer.endorsement.is_some(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_transaction_cannot_be_replayed() {
    let harness = Harness::start().await;
    let _shim = harness.connect("kv:1").await;
    let proposal = harness.proposal(CHAINCODE, &["put", "a"]);
    let signer = harness.network.user().signer();
    let first = harness.send(proposal.signed.clone()).await.expect("endorsed");
    let again = harness
        .send(proposal.signed.clone())
        .await
        .expect("allowed before the commit");
    assert_eq!(first.payload, again.payload);
    let height = harness.height();
    let channel = harness
        .network
        .node()
        .channels()
        .get(&"mychannel".into())
        .expect("joined");
    let mut heights = channel.ledger().height_watch();
    let envelope = proposal.transaction(&[first], signer).expect("transaction");
    harness
        .network
        .user_client()
        .broadcast(envelope)
        .await
        .expect("ordered");
    heights.wait_for(|now| *now > height).await.expect("committed");
    let refused = harness.send(proposal.signed).await.expect_err("refused");
    assert!(
        refused.message().starts_with("duplicate transaction found ["),
        "{refused:?}"
    );
}
