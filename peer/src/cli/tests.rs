//! Command lines as Fabric's scripts write them.

use super::*;

fn read(line: &str) -> Result<Cli, clap::Error> {
    Cli::read(words(line).into_iter().map(OsString::from))
}

/// A line as a shell splits it, as far as the lines below need: quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for char in line.chars() {
        match (quote, char) {
            (None, '\'' | '"') => quote = Some(char),
            (Some(open), _) if open == char => quote = None,
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().unwrap().push(char),
        }
    }
    words
}

fn orderer(cli: Cli) -> OrdererArgs {
    match cli.command {
        Command::Channel(args) => args.orderer,
        Command::Chaincode(args) => args.orderer,
        other => panic!("{other:?} has no orderer"),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

/// Lines of the scripts of fabric-samples 1.4 (first-network, basic-network, chaincode-docker-devmode) and 2.x
/// (test-network), with their variables filled in.
#[test]
fn lines_of_fabrics_sample_scripts_are_read() {
    for line in [
        "peer channel create -o orderer.example.com:7050 -c mychannel -f ./channel.tx --tls true --cafile ca.pem",
        "peer channel create -o orderer.example.com:7050 -c mychannel -f ./channel.tx",
        "peer channel create -o localhost:7050 -c mychannel --ordererTLSHostnameOverride orderer.example.com -f \
         ./mychannel.tx --outputBlock ./mychannel.block --tls --cafile ca.pem",
        "peer channel join -b mychannel.block",
        "peer channel list",
        "peer channel getinfo -c mychannel",
        "peer channel update -o orderer.example.com:7050 -c mychannel -f anchors.tx --tls true --cafile ca.pem",
        "peer channel update -f update_in_envelope.pb -c mychannel -o localhost:7050 --ordererTLSHostnameOverride \
         orderer.example.com --tls --cafile ca.pem",
        "peer channel fetch config config_block.pb -o orderer.example.com:7050 -c mychannel --tls --cafile ca.pem",
        "peer channel fetch 0 mychannel.block -o orderer.example.com:7050 -c mychannel --tls true --cafile ca.pem",
        "peer channel fetch config b.pb -o localhost:7050 -c mychannel --bestEffort --tls --cafile ca.pem",
        "peer channel signconfigtx -f update_in_envelope.pb",
        "peer channel signconfigtx -f u.pb --tls --cafile ca.pem -o localhost:7050",
        "peer chaincode install -n mycc -v 1.0 -l node -p ./mycc",
        "peer chaincode install -n mycc -v 1.0 -p github.com/chaincode/go/ --tls true --cafile ca.pem",
        "peer chaincode instantiate -o orderer.example.com:7050 --tls true --cafile ca.pem -C mychannel -n mycc -l node \
         -v 1.0 -c '{\"Args\":[\"init\",\"a\",\"100\"]}' -P \"AND ('Org1MSP.peer','Org2MSP.peer')\"",
        "peer chaincode instantiate -o orderer:7050 -C mychannel -n marblesp -v 1.0 -c '{\"Args\":[\"init\"]}' -P \
         \"OR('Org1MSP.member')\" --collections-config collections_config.json",
        "peer chaincode upgrade -o orderer.example.com:7050 --tls true --cafile ca.pem -C mychannel -n mycc -v 2.0 -p ./x \
         -c '{\"Args\":[\"init\"]}'",
        "peer chaincode query -C mychannel -n mycc -c '{\"Args\":[\"query\",\"a\"]}'",
        "peer chaincode query -C mychannel -n mycc -c '{\"Args\":[\"q\"]}' --transient '{\"k\":\"dg==\"}' --tls true",
        "peer chaincode invoke -o orderer.example.com:7050 --tls true --cafile ca.pem -C mychannel -n mycc --peerAddresses \
         peer0.org1:7051 --tlsRootCertFiles a.crt --peerAddresses peer0.org2:9051 --tlsRootCertFiles b.crt -c \
         '{\"Args\":[\"invoke\"]}'",
        "peer chaincode invoke -o localhost:7050 --ordererTLSHostnameOverride orderer.example.com --tls --cafile ca.pem -C \
         mychannel -n basic --peerAddresses localhost:7051 --tlsRootCertFiles a.crt -c '{\"function\":\"f\",\"Args\":[]}'",
        "peer chaincode invoke -C c -n n -c '{\"Args\":[]}' --waitForEvent=true --waitForEventTimeout 60s --isInit",
        "peer chaincode invoke -C c -n n -c '{\"Args\":[]}' --connectionProfile net.yaml --waitForEvent",
        "peer chaincode invoke -C c -n n",
        "peer chaincode list --installed",
        "peer chaincode list --instantiated -C mychannel",
        "peer chaincode package -n mycc -v 0 -s -S -i \"AND('OrgA.admin')\" -p ./x -c '{\"Args\":[]}' out.pak",
        "peer chaincode signpackage out.pak signed.pak",
        "peer chaincode install out.pak -n mycc -c '{\"Args\":[]}'",
        "peer chaincode -o orderer:7050 --tls invoke -C c -n n -c '{\"Args\":[]}'",
        "peer node start --peer-chaincodedev=true",
        "peer node start --peer-chaincodedev true",
        "peer node start",
        "peer version",
    ] {
        if let Err(error) = read(line) {
            panic!("{line}\n{error}");
        }
    }
}

#[test]
fn a_switch_takes_a_value_as_in_go() {
    let line = "peer channel update -c c -f f -o o:7050";
    for (written, tls) in [
        ("", false),
        (" --tls", true),
        (" --tls=true", true),
        (" --tls=T", true),
        (" --tls=1", true),
        (" --tls=false", false),
        (" --tls=0", false),
        (" --tls true", true),
        // the stray word is an argument that nobody looks at
        (" --tls false", true),
        (" --tls ''", true),
        (" --tls --tls=false", false),
        (" --tls=false --tls", true),
    ] {
        assert_eq!(
            orderer(read(&format!("{line}{written}")).unwrap()).tls,
            tls,
            "{written}"
        );
    }
    assert!(read(&format!("{line} --tls=maybe")).is_err());
    assert!(
        read(&format!("{line} true")).is_err(),
        "a word after no switch is a mistake"
    );
    let fetch = read("peer channel fetch 0 b.block -c c --tls true").unwrap();
    let Command::Channel(ChannelArgs {
        command: ChannelCommand::Fetch { file, .. },
        ..
    }) = fetch.command
    else {
        panic!("not a fetch")
    };
    assert_eq!(file, Some("b.block".into()));
}

#[test]
fn a_word_after_a_switch_that_is_not_fabrics_is_a_mistake() {
    assert!(read("peer dev --reset false").is_err());
    let Command::Dev(dev) = read("peer dev --reset=false --no-tls=true").unwrap().command else {
        panic!("not dev")
    };
    assert!(!dev.reset && dev.no_tls);
}

#[test]
fn dev_mode_is_switched_on_in_every_form() {
    for (form, wanted) in [
        ("--peer-chaincodedev", true),
        ("--peer-chaincodedev=true", true),
        ("--peer-chaincodedev=false", false),
    ] {
        let Command::Node(NodeCommand::Start { chaincode_dev }) =
            read(&format!("peer node start {form}")).unwrap().command
        else {
            panic!("not start")
        };
        assert_eq!(chaincode_dev, wanted, "{form}");
    }
}

#[test]
fn the_orderers_flags_stand_before_and_after_the_command() {
    let flags = "-o o:1 --tls --cafile c.pem --ordererTLSHostnameOverride name --clientauth --certfile x --keyfile y \
                 --connTimeout 5s --tlsHandshakeTimeShift 0s";
    for line in [
        format!("peer chaincode {flags} list --installed"),
        format!("peer chaincode list --installed {flags}"),
        format!("peer channel list {flags}"),
    ] {
        let args = orderer(read(&line).unwrap());
        assert_eq!(args.orderer.as_deref(), Some("o:1"), "{line}");
        assert!(args.tls && args.clientauth, "{line}");
        assert_eq!(
            (args.conn_timeout.as_str(), args.hostname_override.as_deref()),
            ("5s", Some("name"))
        );
    }
}

/// Lines of help that begin with `peer`, without what a shell would take out: variables before, a pipe or an explanation
/// after.
fn examples(command: &clap::Command) -> Vec<String> {
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let example = |line: &str| {
        let start = line.strip_prefix("  ")?.find("peer ")?;
        let (before, line) = line.strip_prefix("  ")?.split_at_checked(start)?;
        let is_variable = |word: &str| word.contains('=');
        let line = line.split(" | ").next()?.split("   ").next()?;
        before
            .split_whitespace()
            .all(is_variable)
            .then(|| line.trim().to_owned())
    };
    let below = command.get_subcommands().flat_map(examples);
    help.lines().filter_map(example).chain(below).collect()
}

#[test]
fn every_example_in_the_help_is_a_command_line() {
    let examples = examples(&Cli::command());
    assert!(examples.len() > 20, "{examples:?}");
    for line in examples {
        if let Err(error) = read(&line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_list_is_of_one_thing_and_the_error_names_both() {
    assert!(read("peer chaincode list --installed").is_ok());
    assert!(read("peer chaincode list --instantiated -C c").is_ok());
    assert!(read("peer chaincode list --instantiated").is_err());
    assert!(read("peer chaincode list --installed --instantiated -C c").is_err());
    let error = read("peer chaincode list").unwrap_err().to_string();
    assert!(error.contains("<--installed|--instantiated>"), "{error}");
}

#[test]
fn a_channel_is_named_with_either_letter() {
    for line in [
        "getinfo -c c",
        "getinfo -C c",
        "fetch newest -C c",
        "create -C c -f t",
    ] {
        assert!(read(&format!("peer channel {line}")).is_ok(), "{line}");
    }
}
