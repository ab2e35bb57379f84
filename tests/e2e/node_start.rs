//! `peer node start` as an operator runs it: a process of its own, a stock core.yaml, TLS, and SIGTERM at the end.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use channelconfig::{
    ApplicationProfile, OrdererProfile, OrganizationProfile, Profile, channel_group, genesis_block,
};
use integration::binaries::{peer_binary, plugin_dir, root};
use integration::http;
use integration::ports::Reserved;
use peer::dev::identities::{ADMIN, Identities, ORDERER_MSP, ORG_MSP, ORG_NAME};
use prost::Message;
use protos::peer::ChaincodeDeploymentSpec;
use tempfile::TempDir;

use crate::dev::PATIENCE;
use crate::lines::Lines;

const CHANNEL: &str = "mychannel";

/// A folder with identities, a core.yaml of Fabric 2.5 and the genesis block of a channel.
struct Place {
    folder: TempDir,
    identities: Identities,
    port: Reserved,
    chaincode_port: Reserved,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::ensure(folder.path().join("crypto-config")).unwrap();
        let stock = root().join("peer/crates/core-config/src/load/tests/stock-2.5.yaml");
        fs::copy(stock, folder.path().join("core.yaml")).unwrap();
        let place = Self {
            folder,
            identities,
            port: Reserved::any(),
            chaincode_port: Reserved::any(),
        };
        let block = place.genesis();
        fs::write(place.folder.path().join("mychannel.block"), block).unwrap();
        place
    }

    /// The channel's orderer does not exist; the peer keeps looking for it.
    fn genesis(&self) -> Vec<u8> {
        let addresses = vec!["127.0.0.1:1".to_owned()];
        let msp = msp::folder_config(&self.identities.orderer_org_msp(), ORDERER_MSP).unwrap();
        let orderer = OrdererProfile {
            organizations: vec![OrganizationProfile::orderer("OrdererOrg", msp, addresses.clone())],
            addresses,
            ..OrdererProfile::default()
        };
        let msp = msp::folder_config(&self.identities.org_msp(), ORG_MSP).unwrap();
        let application = ApplicationProfile {
            organizations: vec![OrganizationProfile::new(ORG_NAME, msp)],
            ..ApplicationProfile::default()
        };
        let profile = Profile {
            orderer: Some(orderer),
            application: Some(application),
            ..Profile::default()
        };
        genesis_block(CHANNEL, channel_group(&profile).unwrap())
            .unwrap()
            .encode_to_vec()
    }

    /// A `peer` command with the variables of a docker-compose file.
    fn peer(&self, msp: &Path, args: &[&str]) -> Command {
        let tls = self.identities.peer_tls();
        let variables: [(&str, PathBuf); 9] = [
            ("FABRIC_CFG_PATH", self.folder.path().into()),
            ("CORE_PEER_MSPCONFIGPATH", msp.into()),
            ("CORE_PEER_LOCALMSPID", ORG_MSP.into()),
            ("CORE_PEER_FILESYSTEMPATH", self.folder.path().join("production")),
            ("CORE_PEER_TLS_ENABLED", "true".into()),
            ("CORE_PEER_TLS_CERT_FILE", tls.certificate),
            ("CORE_PEER_TLS_KEY_FILE", tls.key),
            ("CORE_PEER_TLS_ROOTCERT_FILE", tls.root),
            ("CORE_PEER_HANDLERS_PLUGINDIRS", plugin_dir()),
        ];
        let mut command = Command::new(peer_binary());
        command
            .args(args)
            .current_dir(self.folder.path())
            .envs(variables)
            .env("CORE_PEER_ID", "peer0.org1.example.com")
            .env("CORE_PEER_CLIENT_CONNTIMEOUT", PATIENCE)
            .env("CORE_OPERATIONS_LISTENADDRESS", "127.0.0.1:0")
            .env("CORE_PEER_ADDRESS", self.port.address().to_string())
            .env("CORE_PEER_LISTENADDRESS", self.port.address().to_string())
            .env(
                "CORE_PEER_CHAINCODELISTENADDRESS",
                self.chaincode_port.address().to_string(),
            );
        command
    }

    fn start(&self) -> (Node, Lines) {
        let mut command = self.peer(
            &self.identities.peer_msp(),
            &["node", "start", "--peer-chaincodedev=false"],
        );
        let mut process = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::of(
            process.stderr.take().unwrap(),
            &self.folder.path().join("peer.log"),
        );
        (Node(process), lines)
    }

    /// As the organisation's administrator.
    fn admin(&self, args: &[&str]) -> Output {
        self.peer(&self.identities.user_msp(ADMIN), args)
            .output()
            .unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.admin(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "peer {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Ends with the test, also with one that fails.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Node {
    fn terminate(&mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.0.wait().unwrap().code()
    }
}

#[test]
fn a_peer_with_a_stock_file_joins_answers_and_ends_when_told() {
    let place = Place::new();
    place.ok(&["config", "check"]);
    let (mut node, lines) = place.start();
    let operations = address_of(&lines.wait_for("operations server started"));
    lines.wait_for("peer started");
    let no_block = place.admin(&["channel", "join", "-b", "core.yaml"]);
    let said = String::from_utf8(no_block.stderr).unwrap();
    assert!(said.contains("core.yaml is no block"), "{said}");
    place.ok(&["channel", "join", "-b", "mychannel.block"]);
    the_log_is_changed_while_it_runs(operations, &lines);
    let info = place.ok(&["channel", "getinfo", "-c", CHANNEL, "--tls", "true"]);
    assert!(info.starts_with("Blockchain info: {\"height\":1,"), "{info}");
    assert_eq!(node.terminate(), Some(0));

    let (mut node, lines) = place.start();
    lines.wait_for("peer started");
    assert_eq!(
        place.ok(&["channel", "list"]),
        "Channels peers has joined:\nmychannel\n"
    );
    assert_eq!(node.terminate(), Some(0));
}

/// The address in a line of the log.
fn address_of(line: &str) -> SocketAddr {
    let address = line.rsplit("address=").next().unwrap();
    address.trim().parse().unwrap()
}

/// Levels are those of the next request, for the whole process.
fn the_log_is_changed_while_it_runs(operations: SocketAddr, lines: &Lines) {
    let spec = |method, body| http::ask(operations, method, "/logspec", body);
    assert_eq!(spec("GET", "").body, r#"{"spec":"info"}"#);
    assert_eq!(spec("PUT", r#"{"spec":"info:peer=loud"}"#).status, 400);
    assert_eq!(spec("PUT", r#"{"spec":"info:peer=debug"}"#).status, 204);
    assert_eq!(spec("GET", "").body, r#"{"spec":"info:peer=debug"}"#);
    // a client that says nothing is noted at debug
    drop(std::net::TcpStream::connect(operations).unwrap());
    let mut odd = std::net::TcpStream::connect(operations).unwrap();
    std::io::Write::write_all(&mut odd, b"\x16\x03 no HTTP\r\n\r\n").unwrap();
    lines.wait_for("a connection of an operations client ended early");
    assert_eq!(spec("PUT", r#"{"spec":"info"}"#).status, 204);
    let version = http::ask(operations, "GET", "/version", "");
    assert!(version.body.contains(peer::version::PEER), "{}", version.body);
}

#[test]
fn plugins_are_exchanged_by_signal_and_by_command() {
    let place = Place::new();
    let file = place.folder.path().join("core.yaml");
    let stock = fs::read_to_string(&file).unwrap();
    let with_filters = |filters: &str| {
        let filters = format!("authFilters:\n{filters}    decorators:");
        let (before, rest) = stock.split_once("authFilters:").unwrap();
        let (_, after) = rest.split_once("    decorators:").unwrap();
        fs::write(&file, format!("{before}{filters}{after}")).unwrap();
    };
    let (mut node, lines) = place.start();
    lines.wait_for("peer started");
    let hangup = || {
        let pid = node.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-HUP", &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let running = || {
        let listed = place.ok(&["plugin", "list", "--running", "--output", "json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let names = listed["plugins"].as_array().unwrap().iter();
        let names = names.filter(|plugin| plugin["kind"] == "authFilter");
        names
            .map(|plugin| plugin["instance"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(running(), ["DefaultAuth", "ExpirationCheck"]);

    with_filters("    - name: ExpirationCheck\n");
    hangup();
    lines.wait_for("plugins are in force");
    assert_eq!(running(), ["ExpirationCheck"]);

    with_filters("    - name: Nowhere\n");
    hangup();
    let why = lines.wait_for("plugins stay as they are");
    assert!(why.contains("Nowhere"), "{why}");
    assert_eq!(running(), ["ExpirationCheck"]);
    let refused = place.admin(&["plugin", "reload"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("peer.handlers.authFilters[0]"), "{text}");

    // as stock files of Fabric 3 have it
    with_filters("    - name: ExpirationCheck\n    - name: TimeWindowCheck\n");
    place.ok(&["plugin", "reload"]);
    assert_eq!(running(), ["ExpirationCheck", "TimeWindowCheck"]);
    with_filters("    - name: ExpirationCheck\n");
    place.ok(&["plugin", "reload"]);

    with_filters(
        "    - name: own\n      library: libdefault_auth.so\n      match: {channel: trade}\n    - name: ExpirationCheck\n",
    );
    let reloaded = place.ok(&["plugin", "reload"]);
    assert!(
        reloaded.contains("added") && reloaded.contains("moved"),
        "{reloaded}"
    );
    assert_eq!(running(), ["own", "ExpirationCheck"]);
    let explained = place.ok(&["plugin", "explain", "--channel", "other", "--running"]);
    let lines: Vec<&str> = explained.lines().collect();
    assert!(
        lines[1].contains(" no ") && lines[1].contains("channel=trade"),
        "{explained}"
    );
    assert!(lines[2].contains(" yes "), "{explained}");
    assert_eq!(
        place.ok(&["plugin", "explain", "--channel", "other"]),
        explained,
        "as the configuration says it"
    );
    assert_eq!(node.terminate(), Some(0));
}

#[test]
fn a_package_carries_the_path_as_typed_and_is_installed_under_its_own_name_only() {
    let place = Place::new();
    let source = place.folder.path().join("kv");
    fs::create_dir(&source).unwrap();
    for file in ["index.js", "package.json"] {
        fs::copy(root().join("tests/chaincode/kv").join(file), source.join(file)).unwrap();
    }
    let call = "{\"Args\":[\"init\"]}";
    place.ok(&[
        "chaincode",
        "package",
        "-n",
        "kv",
        "-v",
        "1.0",
        "-l",
        "node",
        "-p",
        "./kv",
        "-c",
        call,
        "kv.cds",
    ]);
    let package = fs::read(place.folder.path().join("kv.cds")).unwrap();
    let spec = ChaincodeDeploymentSpec::decode(package.as_slice())
        .unwrap()
        .chaincode_spec
        .unwrap();
    assert_eq!(spec.chaincode_id.unwrap().path, "./kv");
    assert_eq!(spec.input.unwrap().args, ["init"]);
    let refused = place.admin(&["chaincode", "install", "kv.cds", "-n", "other", "-v", "1.0"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("chaincode name other does not match name kv in package"),
        "{text}"
    );
}
