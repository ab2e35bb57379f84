//! Plugins from outside: crates that `peer plugin new` writes, which know nothing but a packaged copy of plugin-api, built
//! by cargo on their own, and used by the peer as it is installed: the tree of `cargo xtask dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration::binaries::{root, target_dir};
use serde_json::{Value, json};

use crate::dev::Dev;

/// Template, name, and the list or map of `peer.handlers` that it goes to.
const PLUGINS: [(&str, &str, &str); 6] = [
    ("auth-filter", "org-allow", "authFilters"),
    ("around", "watch", "authFilters"),
    ("decorator", "facts", "decorators"),
    ("platform", "program", "platforms"),
    ("endorsement", "listed", "endorsers"),
    ("validation", "creators", "validators"),
];
/// What system chaincode needs of the shipped plugins: map, key, plugin and library.
const DEFAULTS: [(&str, &str, &str, &str); 2] = [
    (
        "endorsers",
        "escc",
        "DefaultEndorsement",
        "libdefault_endorsement.so",
    ),
    (
        "validators",
        "vscc",
        "DefaultValidation",
        "libdefault_validation.so",
    ),
];
/// A second entry of the validation plugin, which lets only another organisation's transactions count.
const STRANGERS: &str = "strangers";

/// Where somebody writes plugins. Kept between runs, so that what they depend on is built once.
struct Workshop(PathBuf);

impl Workshop {
    fn open() -> Self {
        let workshop = Self(target_dir().join("third-party"));
        for name in ["plugins", "chaincode", "config"]
            .into_iter()
            .chain(PLUGINS.map(|(_, name, _)| name))
        {
            fs::remove_dir_all(workshop.path(name)).ok();
        }
        for name in ["plugins", "chaincode", "config"] {
            fs::create_dir_all(workshop.path(name)).unwrap();
        }
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Builds the peer in release mode and lays it out as an operator has it, with the packaged plugin-api.
    fn install_peer(&self) {
        let mut cargo = cargo(root());
        done(cargo.args(["xtask", "dist", "--to"]).arg(self.path("installed")));
    }

    /// A part of what is installed.
    fn installed(&self, name: &str) -> PathBuf {
        self.path("installed").join(name)
    }

    /// Writes, tests and builds one plugin; returns the library where the peer finds it.
    fn build(&self, template: &str, name: &str) -> PathBuf {
        let folder = self.path(name);
        let new = ["plugin", "new", template, name, "--path", &text(&folder)];
        let said = self.peer(&new);
        assert!(said.contains("peer plugin test"), "{said}");
        let again = self.run(&new);
        assert_eq!(again.status.code(), Some(1), "a folder that exists is left alone");
        // the versions that this machine has
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        for command in ["test", "build"] {
            let mut cargo = cargo(&folder);
            cargo.args([command, "--release", "--offline", "--quiet", "--target-dir"]);
            done(cargo.arg(self.path("target")));
        }
        let library = format!("lib{}.so", name.replace('-', "_"));
        let installed = self.path("plugins").join(&library);
        fs::copy(self.path("target/release").join(&library), &installed).unwrap();
        installed
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut peer = Command::new(self.installed("bin/peer"));
        peer.args(args).envs(self.variables());
        peer.output().unwrap()
    }

    fn peer(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "peer {args:?}: {errors}{said}");
        said
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--output", "json"]].concat();
        serde_json::from_str(&self.peer(&args)).unwrap()
    }

    fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("FABRIC_CFG_PATH", text(&self.path("config"))),
            ("CORE_PEER_HANDLERS_PLUGINDIRS", text(&self.path("plugins"))),
        ]
    }

    /// Writes core.yaml, which JSON is as well.
    fn configure(&self, handlers: &Value) {
        let config = json!({ "peer": { "handlers": handlers } });
        fs::write(self.path("config/core.yaml"), config.to_string()).unwrap();
    }

    /// A folder with nothing but a program.
    fn chaincode(&self) -> PathBuf {
        let folder = self.path("chaincode");
        let mut strip = Command::new("strip");
        strip
            .arg("-o")
            .arg(folder.join("run"))
            .arg(env!("CARGO_BIN_EXE_native-chaincode"));
        done(&mut strip);
        folder
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder);
    cargo
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn plugins_of_every_kind_are_written_built_and_used_without_this_workspace() {
    let workshop = Workshop::open();
    workshop.install_peer();
    let chaincode = workshop.chaincode();
    let mut handlers = json!({ "requirePins": true });
    for (template, name, section) in PLUGINS {
        let library = workshop.build(template, name);
        let sha256 = good(&workshop, template, name, &text(&library), &chaincode);
        let config = fs::read_to_string(workshop.path(name).join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        let mut entry = json!({ "name": name, "sha256": sha256, "config": config });
        if section != "platforms" {
            // the machine may be busy with something else
            entry["timeoutMs"] = json!(60_000);
        }
        if matches!(section, "endorsers" | "validators") {
            handlers[section][name] = entry;
            handlers[section][name]["library"] = json!(library.file_name().unwrap().to_str());
        } else if let Some(entries) = handlers[section].as_array_mut() {
            entries.push(entry);
        } else {
            handlers[section] = json!([entry]);
        }
    }
    handlers["authFilters"][1]["config"]["maxResponseBytes"] = json!(200_000);
    handlers["validators"][STRANGERS] = handlers["validators"]["creators"].clone();
    handlers["validators"][STRANGERS]["config"] = json!({ "creators": ["Org2MSP"] });
    for (section, key, name, library) in DEFAULTS {
        let installed = workshop.path("plugins").join(library);
        fs::copy(workshop.installed("plugins").join(library), &installed).unwrap();
        let manifest = workshop.json(&["plugin", "inspect", &text(&installed)]);
        handlers[section][key] = json!({ "name": name, "sha256": manifest["sha256"] });
    }
    workshop.configure(&handlers);
    let entries = PLUGINS.len() + DEFAULTS.len() + 1;
    let verified = workshop.json(&["plugin", "verify"]);
    assert_eq!(
        verified["entries"].as_array().unwrap().len(),
        entries,
        "{verified}"
    );
    assert_eq!(
        workshop.json(&["plugin", "list"]).as_array().unwrap().len(),
        entries
    );

    a_slip_is_found(&workshop, handlers);
    they_are_used(&workshop, &chaincode);
}

/// Asserts that a library is what the peer wants, and returns its hash.
fn good(workshop: &Workshop, template: &str, name: &str, library: &str, chaincode: &Path) -> Value {
    let manifest = workshop.json(&["plugin", "inspect", library]);
    assert_eq!(
        (&manifest["name"], &manifest["refusal"]),
        (&json!(name), &json!(null))
    );
    assert_eq!(
        (&manifest["debug"], &manifest["configSchema"]["type"]),
        (&json!(false), &json!("object"))
    );
    let config = format!("@{}", text(&workshop.path(name).join("config.json")));
    let kind = if template == "around" {
        "auth-filter"
    } else {
        template
    };
    let report = workshop.json(&[
        "plugin",
        "test",
        library,
        "--kind",
        kind,
        "--config",
        &config,
        "--sources",
        &text(chaincode),
    ]);
    assert_eq!(
        (&report["failed"], &report["skipped"]),
        (&json!(0), &json!(0)),
        "{report}"
    );
    manifest["sha256"].clone()
}

/// In the configuration, by looking as well as by loading; the good configuration is back afterwards.
fn a_slip_is_found(workshop: &Workshop, handlers: Value) {
    let mut wrong = handlers.clone();
    wrong["authFilters"][0]["config"] = json!({ "alow": ["Org1MSP"], "allow": [] });
    wrong["decorators"][0]["sha256"] = json!("0".repeat(64));
    workshop.configure(&wrong);
    let output = workshop.run(&["plugin", "verify"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    let slip = "peer.handlers.authFilters[0].config.alow: unknown key; did you mean \"allow\"?";
    assert!(
        said.contains(slip) && said.contains("expected SHA-256 000"),
        "{said}"
    );
    let output = workshop.run(&["plugin", "list"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(slip), "{said}");
    workshop.configure(&handlers);
}

fn they_are_used(workshop: &Workshop, chaincode: &Path) {
    let variables = workshop.variables();
    let variables = [0, 1].map(|index| (variables[index].0, variables[index].1.as_str()));
    let peer = workshop.installed("bin/peer");
    let dev = Dev::of_program(peer, chaincode, "native", "program", &variables);
    an_unknown_language_is_used(&dev, chaincode, &variables);
    definitions_choose_them(&dev, chaincode, &variables);
}

fn an_unknown_language_is_used(dev: &Dev, chaincode: &Path, variables: &[(&str, &str)]) {
    let put = dev.invoke("native", &["put", "a"]);
    assert_eq!(put["validationCode"], "VALID");
    assert_eq!(dev.query("native", &["get", "a"]), "v");
    // the decorator has been there
    assert_eq!(dev.query("native", &["decoration", "tier"]), "gold");
    assert_eq!(dev.query("native", &["decoration", "mspid"]), "Org1MSP");
    // and the filter
    let refused = dev.query_refused("native", &["large"]);
    assert!(
        refused.contains("the response has more than 200000 bytes"),
        "{refused}"
    );

    // by hand, as a client with the same platform does it
    deploy(dev, chaincode, variables, "other", &[]);
    assert_eq!(dev.query("other", &["decoration", "tier"]), "gold");

    // a peer without the platform says which languages it has
    let unknown = dev.peer_with(
        &[
            "chaincode",
            "package",
            "-n",
            "other",
            "-v",
            "1",
            "-l",
            "program2",
            "-p",
            &text(chaincode),
            "never.cds",
        ],
        variables,
    );
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        said.contains("Unknown chaincodeType: PROGRAM2 (loaded: PROGRAM)"),
        "{said}"
    );
}

/// Packs, installs and instantiates a chaincode, with further flags for its definition.
fn deploy(dev: &Dev, chaincode: &Path, variables: &[(&str, &str)], name: &str, definition: &[&str]) {
    let file = text(&dev.folder.path().join(format!("{name}.cds")));
    let named = ["-n", name, "-v", "1", "-l", "Program"];
    let package = [
        &["chaincode", "package"],
        &named[..],
        &["-p", &text(chaincode), &file],
    ];
    let packed = dev.peer_with(&package.concat(), variables);
    assert!(
        packed.status.success(),
        "{}",
        String::from_utf8_lossy(&packed.stderr)
    );
    dev.ok(&["chaincode", "install", &file]);
    let instantiate = [
        &["chaincode", "instantiate", "-C", "mychannel"],
        &named[..],
        &["-c", r#"{"Args":["init"]}"#, "--waitForEvent"],
        definition,
    ];
    dev.ok(&instantiate.concat());
}

fn definitions_choose_them(dev: &Dev, chaincode: &Path, variables: &[(&str, &str)]) {
    let own = ["-E", "listed", "-V", "creators"];
    deploy(dev, chaincode, variables, "mycc", &own);
    assert_eq!(dev.invoke("mycc", &["put", "a"])["validationCode"], "VALID");
    assert_eq!(dev.query("mycc", &["get", "a"]), "v");

    // the endorsement plugin has been asked: it refuses what its configuration does not list
    deploy(dev, chaincode, variables, "unlisted", &own);
    let refused = dev.query_refused("unlisted", &["put", "a"]);
    assert!(
        refused.contains("this peer does not endorse for this chaincode"),
        "{refused}"
    );

    // and the validation plugin: what another configuration lets nobody here do is not done
    deploy(dev, chaincode, variables, "foreign", &["-V", STRANGERS]);
    let call = ["-n", "foreign", "-c", r#"{"Args":["put","a"]}"#, "--waitForEvent"];
    let invalid = dev.refused(&[&["chaincode", "invoke", "-C", "mychannel"], &call[..]].concat());
    assert!(invalid.contains("ENDORSEMENT_POLICY_FAILURE"), "{invalid}");
    assert_eq!(dev.query("foreign", &["get", "a"]), "");
    assert!(dev.log().contains("do not count here"), "{}", dev.log());
}
