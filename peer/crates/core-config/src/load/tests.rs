use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CoreConfig, LoadError, LoadOptions};
use crate::{MetricsProvider, Override, Sandbox, Source, StateDatabase, VmRuntime};

/// A folder with a core.yaml and an environment.
struct Given {
    folder: TempDir,
    options: LoadOptions,
}

impl Given {
    fn nothing() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = LoadOptions {
            variables: Vec::new(),
            current_dir: folder.path().to_owned(),
            search: vec![folder.path().to_owned()],
            program_dir: Some("/opt/fabric/bin".into()),
            overrides: Vec::new(),
        };
        Self { folder, options }
    }

    fn file(text: &str) -> Self {
        let given = Self::nothing();
        fs::write(given.path("core.yaml"), text).unwrap();
        given
    }

    fn variable(mut self, name: &str, text: &str) -> Self {
        self.options.variables.push((name.to_owned(), text.to_owned()));
        self
    }

    fn flag(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.options.overrides.push(Override::new(key, value, "--flag"));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self) -> CoreConfig {
        CoreConfig::load(&self.options).unwrap()
    }

    fn problems(&self) -> Vec<String> {
        match CoreConfig::load(&self.options) {
            Err(LoadError::Invalid(values)) => values.0.iter().map(ToString::to_string).collect(),
            other => panic!("expected invalid values, found {other:?}"),
        }
    }
}

fn source_of(config: &CoreConfig, key: &str) -> (String, Source) {
    let found = config.effective().iter().find(|value| value.key == key).unwrap();
    (found.value.clone(), found.source.clone())
}

#[test]
fn the_shipped_file_is_a_whole_configuration() {
    let given = Given::nothing();
    let config = given.load();
    assert_eq!(config.file(), None);
    assert_eq!(config.peer.handlers["denyToolchains"], json!(["rustc 1.98.0"]));
    assert_eq!(config.unsupported_keys(), [""; 0]);
    assert_eq!(config.peer.listen_address, "0.0.0.0:7051");
    assert_eq!(config.peer.keepalive.min_interval, Duration::from_secs(60));
    assert_eq!(config.vm.runtime, VmRuntime::Process);
    assert_eq!(config.chaincode.process.sandbox, Sandbox::Auto);
    assert_eq!(
        (config.chaincode.process.memory, config.chaincode.process.uid),
        (536_870_912, 65534)
    );
    assert_eq!(config.chaincode.keepalive, None);
    assert!(!config.peer.tls.enabled && !config.orderer.enabled && !config.chaincode.dev_mode());
    assert_eq!(config.peer.msp_config_path, given.path("msp"));
    assert_eq!(config.peer.handlers["pluginDirs"], Value::Null);
    assert_eq!(config.program_dir(), Some("/opt/fabric/bin".as_ref()));
    assert_eq!(
        config.peer.handlers["authFilters"][1],
        json!({"name": "ExpirationCheck", "executor": "inline"})
    );
    assert!(
        config
            .effective()
            .iter()
            .all(|value| value.source == Source::Shipped)
    );
}

/// Acceptance case 1, and the order of the layers.
#[test]
fn later_layers_win_and_are_named() {
    let file = Given::file("peer: {id: y, networkId: net}");
    assert_eq!(file.load().peer.id, "y");
    assert_eq!(
        Given::file("peer: {id: y}")
            .variable("CORE_PEER_ID", "")
            .load()
            .peer
            .id,
        "y"
    );
    let given = file
        .variable("CORE_PEER_ID", "x")
        .variable("CORE_CHAINCODE_MODE", "dev")
        .flag("chaincode.mode", "net");
    let config = given.load();
    assert_eq!(
        (config.peer.id.as_str(), config.chaincode.dev_mode()),
        ("x", false)
    );
    assert_eq!(
        source_of(&config, "peer.id"),
        ("x".to_owned(), Source::Variable("CORE_PEER_ID".to_owned()))
    );
    assert_eq!(
        source_of(&config, "peer.networkId"),
        ("net".to_owned(), Source::File(given.path("core.yaml")))
    );
    assert_eq!(
        source_of(&config, "chaincode.mode"),
        ("net".to_owned(), Source::Override("--flag".to_owned()))
    );
    assert_eq!(source_of(&config, "peer.address").1, Source::Shipped);
}

#[test]
fn the_file_is_found_as_in_fabric() {
    let given = Given::file("peer: {id: here}");
    let elsewhere = Given::file("peer: {id: there}");
    let folder = elsewhere.folder.path().to_str().unwrap();
    let given = given.variable("FABRIC_CFG_PATH", folder);
    assert_eq!(given.load().peer.id, "there");
    assert_eq!(given.load().peer.msp_config_path, elsewhere.path("msp"));
    let empty = Given::file("peer: {id: here}").variable("FABRIC_CFG_PATH", "/nowhere");
    let error = CoreConfig::load(&empty.options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no core.yaml in /nowhere, the folder that FABRIC_CFG_PATH names"
    );
    let mut last = Given::nothing();
    last.options.search.push(elsewhere.folder.path().to_owned());
    assert_eq!(last.load().peer.id, "there");
    let not_yaml = CoreConfig::load(&Given::file("peer: [").options).unwrap_err();
    assert!(matches!(not_yaml, LoadError::Yaml { .. }), "{not_yaml}");
}

#[test]
fn a_file_that_is_gone_or_empty_puts_no_defaults_in_force_when_it_is_read_again() {
    let given = Given::file("peer: {handlers: {authFilters: [{name: Mine}]}}");
    let config = given.load();
    let again = config.load_again().unwrap();
    assert_eq!(again.peer.handlers["authFilters"], json!([{"name": "Mine"}]));
    for nothing in ["", "# being written\n", "---\n"] {
        fs::write(given.path("core.yaml"), nothing).unwrap();
        let error = config.load_again().unwrap_err();
        assert!(matches!(error, LoadError::Emptied { .. }), "{nothing:?}: {error}");
    }
    fs::remove_file(given.path("core.yaml")).unwrap();
    let error = config.load_again().unwrap_err();
    let told = format!(
        "{} is gone, which this process was started with",
        given.path("core.yaml").display()
    );
    assert_eq!(error.to_string(), told);

    // nor that of another folder
    let mut given = Given::file("peer: {id: here}");
    let elsewhere = Given::file("peer: {id: there}");
    given.options.search.push(elsewhere.folder.path().to_owned());
    let config = given.load();
    fs::remove_file(given.path("core.yaml")).unwrap();
    assert!(matches!(config.load_again(), Err(LoadError::Gone { .. })));

    let given = Given::file("# all as shipped");
    let config = given.load();
    assert_eq!(config.load_again().unwrap().peer.id, config.peer.id);
}

#[test]
fn keys_match_in_any_case_in_every_layer() {
    let given = Given::file(
        "PEER: {LOCALMSPID: Org1MSP, handlers: {AUTHFILTERS: [{Name: F, Library: l.so, config: {Keep: null, sub: {A: 1}}}]}}\n\
         chaincode: {StartupTimeout: 9s}",
    );
    let given = given
        .variable("CORE_PEER_NETWORKID", "n")
        .flag("PEER.ADDRESSAUTODETECT", true);
    let config = given.load();
    assert_eq!(
        (config.peer.local_msp_id.as_str(), config.peer.network_id.as_str()),
        ("Org1MSP", "n")
    );
    assert_eq!(config.chaincode.startup_timeout, Duration::from_secs(9));
    assert!(config.peer.address_auto_detect);
    assert_eq!(
        config.peer.handlers["authFilters"],
        json!([{"name": "F", "library": "l.so", "config": {"Keep": null, "sub": {"A": 1}}}])
    );
    let twice = Given::file("peer: {id: a, ID: b}").problems();
    assert!(
        twice[0].ends_with("expected each key once (they match without regard to case)"),
        "{twice:?}"
    );
}

#[test]
fn a_pin_without_a_value_is_not_the_same_as_no_pin() {
    let pinned = "authFilters: [{name: F, library: null, SHA256: }], endorsers: {e: {name: E, sha256: null}}";
    let config = Given::file(&format!("peer: {{handlers: {{{pinned}}}}}")).load();
    assert_eq!(
        config.peer.handlers["authFilters"],
        json!([{"name": "F", "sha256": ""}])
    );
    assert_eq!(config.peer.handlers["endorsers"]["e"]["sha256"], "");
}

#[test]
fn lists_are_set_by_variables() {
    let given = Given::nothing()
        .variable("CORE_PEER_HANDLERS_AUTHFILTERS", "[{name: A, config: {x: 1}}]")
        .variable("CORE_PEER_HANDLERS_DECORATORS", r#"[{"name": "B"}]"#)
        .variable("CORE_PEER_HANDLERS_PLUGINDIRS", "/a  rel")
        .variable("CORE_PEER_HANDLERS_REQUIREPINS", "true")
        .variable("CORE_PEER_HANDLERS_ENDORSERS_ESCC_LIBRARY", "/escc.so")
        .variable("CORE_PEER_TLS_CLIENTROOTCAS_FILES", "one.crt /two.crt")
        .variable("CORE_CHAINCODE_SYSTEM", "{lscc: enable, x: no}");
    let config = given.load();
    let handlers = &config.peer.handlers;
    assert_eq!(
        handlers["authFilters"],
        json!([{"name": "A", "config": {"x": 1}}])
    );
    assert_eq!(handlers["decorators"], json!([{"name": "B"}]));
    assert_eq!(handlers["pluginDirs"], json!(["/a", given.path("rel").to_str()]));
    assert_eq!(handlers["requirePins"], json!(true));
    assert_eq!(
        handlers["endorsers"],
        json!({"escc": {"name": "DefaultEndorsement", "library": "/escc.so"}})
    );
    assert_eq!(
        config.peer.tls.client_root_ca_files,
        [given.path("one.crt"), "/two.crt".into()]
    );
    assert!(config.chaincode.system_enabled("lscc") && !config.chaincode.system_enabled("qscc"));
    for (text, list) in [
        ("rustc 1.98.0", json!(["rustc 1.98.0"])),
        (
            r#"["rustc 1.98.0", "rustc 1.99"]"#,
            json!(["rustc 1.98.0", "rustc 1.99"]),
        ),
        ("[rustc 1.98.0]", json!(["rustc 1.98.0"])),
    ] {
        let given = Given::nothing().variable("CORE_PEER_HANDLERS_DENYTOOLCHAINS", text);
        assert_eq!(given.load().peer.handlers["denyToolchains"], list, "{text}");
    }
    let wrong = Given::nothing()
        .variable("CORE_PEER_HANDLERS_AUTHFILTERS", "DefaultAuth")
        .problems();
    let expected = "peer.handlers.authFilters: found DefaultAuth in environment variable \
                    CORE_PEER_HANDLERS_AUTHFILTERS, expected a list (in a variable: YAML or JSON text)";
    assert_eq!(wrong, [expected]);
}

/// Acceptance cases 5, 6, 10 and 11.
#[test]
fn limits_and_fallbacks_are_fabrics() {
    let config = Given::file(
        "chaincode: {executetimeout: 1ms, startuptimeout: 1s, keepalive: bad, logging: {level: foo, shim: WARNING}}",
    )
    .load();
    assert_eq!(config.chaincode.execute_timeout, Duration::from_secs(30));
    assert_eq!(config.chaincode.startup_timeout, Duration::from_secs(5));
    assert_eq!(config.chaincode.keepalive, None);
    assert_eq!(
        (
            config.chaincode.logging.level.as_str(),
            config.chaincode.logging.shim.as_str()
        ),
        ("info", "warn")
    );
    assert_eq!(config.ledger.state.total_query_limit, 10_000);
    let couch = &config.ledger.state.couch_db_config;
    assert_eq!(
        (
            couch.query_limit,
            couch.max_batch_update_size,
            couch.warm_indexes_after_n_blocks
        ),
        (10_000, 1000, 1)
    );
    assert_eq!(config.ledger.state.state_database, StateDatabase::Embedded);

    let config = Given::file(
        "chaincode: {executetimeout: 1s, keepalive: 10}\n\
         ledger: {state: {stateDatabase: CouchDB, totalQueryLimit: 7, couchDBConfig: {requestTimeout: 35s}}}",
    )
    .load();
    assert_eq!(config.chaincode.execute_timeout, Duration::from_secs(1));
    assert_eq!(config.chaincode.keepalive, Some(Duration::from_secs(10)));
    assert_eq!(config.ledger.state.total_query_limit, 7);
    assert_eq!(
        config.ledger.state.couch_db_config.request_timeout,
        Duration::from_secs(35)
    );
    assert_eq!(config.ledger.state.state_database, StateDatabase::CouchDb);
    assert_eq!(config.unsupported_keys(), ["ledger.state.stateDatabase"]);
    for off in ["\"\"", "0", "-5"] {
        assert_eq!(
            Given::file(&format!("chaincode: {{keepalive: {off}}}"))
                .load()
                .chaincode
                .keepalive,
            None
        );
    }
}

/// Acceptance case 7.
#[test]
fn system_chaincodes_are_those_listed_and_on() {
    let config = Given::file("chaincode: {system: {lscc: enable, x: no}}").load();
    assert!(config.chaincode.system_enabled("lscc"));
    assert!(!config.chaincode.system_enabled("x") && !config.chaincode.system_enabled("cscc"));
    for word in ["enable", "true", "yes", "t", "1", "Enabled", " YES "] {
        let config = Given::file(&format!("chaincode: {{system: {{qscc: '{word}'}}}}")).load();
        assert!(config.chaincode.system_enabled("qscc"), "{word}");
    }
    for word in ["disable", "false", "no", "0", "on", ""] {
        let config = Given::file(&format!("chaincode: {{system: {{qscc: '{word}'}}}}")).load();
        assert!(!config.chaincode.system_enabled("qscc"), "{word}");
    }
    let other = Given::file("chaincode: {system: {lscc: enable, _lifecycle: enable}}").load();
    assert_eq!(other.unsupported_keys(), ["chaincode.system._lifecycle"]);
}

/// Acceptance case 9.
#[test]
fn relative_paths_start_from_the_file() {
    let given = Given::file(
        "peer: {mspConfigPath: ./my/msp, fileSystemPath: /abs, tls: {cert: {file: ''}}, handlers: {pluginDirs: [p], \
         authFilters: [{name: F, library: ./as-it-is.so}]}}",
    )
    .variable("CORE_PEER_TLS_KEY_FILE", "env.key")
    .flag("orderer.bootstrapFile", "genesis.block");
    let mut options = given.options.clone();
    options.current_dir = "/work/dir".into();
    let config = CoreConfig::load(&options).unwrap();
    assert_eq!(config.peer.msp_config_path, given.path("my/msp"));
    assert_eq!(config.peer.file_system_path, PathBuf::from("/abs"));
    assert_eq!(config.peer.tls.cert_file, None);
    assert_eq!(config.peer.tls.key_file, Some(given.path("env.key")));
    assert_eq!(
        config.peer.handlers["pluginDirs"],
        json!([given.path("p").to_str()])
    );
    assert_eq!(
        config.peer.handlers["authFilters"][0]["library"],
        json!("./as-it-is.so")
    );
    assert_eq!(
        config.orderer.bootstrap_file,
        Some("/work/dir/genesis.block".into())
    );
}

#[test]
fn every_wrong_value_is_reported_with_its_place() {
    let given = Given::file(
        "peer: {tls: {enabled: maybe}, authentication: 15m, maxRecvMsgSize: ten, keepalive: {interval: 5 parsecs}}\n\
         vm: {runtime: vax}\nchaincode: {process: {sandbox: some}}\nledger: {state: {couchDBConfig: {password: [a]}}}",
    )
    .variable("CORE_CHAINCODE_EXECUTETIMEOUT", "-1s");
    let mut problems = given.problems();
    problems.sort();
    let file = given.path("core.yaml").display().to_string();
    let duration = "a duration such as 300s, 1m30s or 1.5h (a bare number means nanoseconds)";
    assert_eq!(
        problems,
        [
            format!(
                "chaincode.executetimeout: found -1s in environment variable CORE_CHAINCODE_EXECUTETIMEOUT, expected {duration}"
            ),
            format!("chaincode.process.sandbox: found some in {file}, expected auto, off or required"),
            format!("ledger.state.couchDBConfig.password: found [\"***\"] in {file}, expected a text"),
            format!("peer.authentication: found 15m in {file}, expected a section with keys of its own"),
            format!("peer.keepalive.interval: found 5 parsecs in {file}, expected {duration}"),
            format!("peer.maxRecvMsgSize: found ten in {file}, expected a whole number"),
            format!("peer.tls.enabled: found maybe in {file}, expected true or false"),
            format!("vm.runtime: found vax in {file}, expected process or docker"),
        ]
    );
}

#[test]
fn stock_files_load_with_a_list_of_what_is_not_supported() {
    let config = Given::file(include_str!("tests/stock-1.4.yaml")).load();
    assert_eq!(config.unsupported_keys(), ["peer.gossip", "peer.discovery"]);
    assert_eq!(
        config.chaincode.node.runtime,
        "$(BASE_DOCKER_NS)/fabric-baseimage:$(ARCH)-$(BASE_VERSION)"
    );
    assert_eq!(config.ledger.state.total_query_limit, 100_000);
    assert_eq!(
        config.peer.handlers["endorsers"],
        json!({"escc": {"name": "DefaultEndorsement"}})
    );
    assert_eq!(
        config.peer.handlers["platforms"],
        json!([{"name": "golang"}, {"name": "java"}, {"name": "node"}])
    );

    let config = Given::file(include_str!("tests/stock-2.5.yaml")).load();
    assert_eq!(
        config.unsupported_keys(),
        [
            "peer.gossip",
            "peer.discovery",
            "peer.gateway",
            "chaincode.externalBuilders",
            "chaincode.system._lifecycle",
            "ledger.pvtdataStore",
            "ledger.snapshots",
        ]
    );
    assert_eq!(config.peer.limits.endorser_service, 2500);
}

#[test]
fn the_operations_server_is_where_fabric_has_it_unless_it_is_switched_off() {
    let config = Given::file("").load();
    assert_eq!(
        config.operations.listen_address.as_deref(),
        Some("127.0.0.1:9443")
    );
    assert!(!config.operations.tls.enabled);
    assert_eq!(config.metrics.provider, MetricsProvider::Disabled);
    let config = Given::file("operations: {listenAddress: ''}\nmetrics: {provider: Prometheus}").load();
    assert_eq!(config.operations.listen_address, None);
    assert_eq!(config.metrics.provider, MetricsProvider::Prometheus);
    let problems = Given::file("metrics: {provider: graphite}").problems();
    assert!(
        problems[0].starts_with("metrics.provider: found graphite in ")
            && problems[0].ends_with(", expected prometheus, disabled or statsd"),
        "{problems:?}"
    );
}

#[test]
fn unsupported_keys_are_few_and_only_those_switched_on() {
    let config = Given::file(
        "peer: {profile: {enabled: false, listenAddress: x}, discovery: {enabled: false}, gomaxprocs: -1, \
         BCCSP: {Default: PKCS11, PKCS11: {Library: , Pin: 98}}, tls: {sni: on}, keepalive: {minInterval: 5s}, nothing: }\n\
         metrics: {enabled: true}\nextra: {deep: 1}",
    )
    .variable("CORE_PEER_GOSSIP_EXTERNALENDPOINT", "peer0:7051")
    .variable("CORE_PEER_GOSSIP_BOOTSTRAP", "peer0:7051")
    .variable("CORE_PEER_DISCOVERY_ENABLED", "true")
    .variable("CORE_UNHEARD_OF", "1")
    .variable("HOME", "/root")
    .load();
    assert_eq!(
        config.unsupported_keys(),
        [
            "peer.keepalive.minInterval",
            "peer.BCCSP.Default",
            "peer.BCCSP.PKCS11",
            "peer.discovery",
            "metrics.enabled",
            "CORE_UNHEARD_OF",
            "extra",
            "peer.gossip",
            "peer.tls.sni",
        ]
    );
    assert_eq!(source_of(&config, "peer.BCCSP.PKCS11.Pin").0, "***");
}

#[test]
fn the_npm_registry_comes_from_a_variable_of_its_own() {
    let registry = |given: Given| given.load().chaincode.node.registry;
    assert_eq!(registry(Given::nothing()), None);
    assert_eq!(registry(Given::nothing().variable("NODE_REGISTRY", "")), None);
    let file = "chaincode: {node: {registry: 'http://file:1'}}";
    assert_eq!(registry(Given::file(file)).as_deref(), Some("http://file:1"));
    let both = Given::file(file).variable("NODE_REGISTRY", "http://variable:1");
    assert_eq!(registry(both).as_deref(), Some("http://variable:1"));
}

#[test]
fn logging_comes_from_fabrics_variables() {
    assert_eq!(Given::nothing().load().logging.spec(), "info");
    assert_eq!(
        Given::nothing()
            .variable("CORE_LOGGING_LEVEL", "warn")
            .load()
            .logging
            .spec(),
        "warn"
    );
    let given = Given::file("logging: {level: error}").variable("FABRIC_LOGGING_SPEC", "info:msp=debug");
    let config = given.variable("FABRIC_LOGGING_FORMAT", "json").load();
    assert_eq!(
        (config.logging.spec(), config.logging.format.as_deref()),
        ("info:msp=debug", Some("json"))
    );
    assert_eq!(config.logging.stated_spec(), Some("info:msp=debug"));
    assert_eq!(
        Given::file("logging: {level: error}")
            .load()
            .logging
            .stated_spec(),
        None
    );
}

#[test]
fn an_unknown_variable_of_a_handler_is_an_error() {
    let problems = Given::nothing()
        .variable("CORE_PEER_HANDLERS_AUTHFILTRES", "[{name: X}]")
        .variable("CORE_PEER_HANDLERS_ENDORSERS_OTHER_LIBRARY", "x.so")
        .variable("CORE_PEER_HANDLERS_EMPTY", "")
        .problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with(
            "peer.handlers: found a key that does not exist in environment variable \
             CORE_PEER_HANDLERS_AUTHFILTRES, expected CORE_PEER_HANDLERS_ with AUTHFILTERS"
        ),
        "{}",
        problems[0]
    );
}

#[test]
fn a_fault_is_traced_to_the_layer_that_stated_it() {
    let given = Given::file("peer: {handlers: {authFilters: [{name: A, libary: x}], authFiltres: []}}");
    let config = given
        .variable("CORE_PEER_HANDLERS_ENDORSERS_ESCC_LIBRARY", "x.so")
        .load();
    let file = Source::File(config.file().unwrap().to_owned());
    for key in [
        "peer.handlers.authFilters[0].libary",
        "peer.handlers.authFilters",
        "peer.handlers.authFiltres",
    ] {
        assert_eq!(config.source_of(key), Some(&file), "{key}");
    }
    let variable = Source::Variable("CORE_PEER_HANDLERS_ENDORSERS_ESCC_LIBRARY".to_owned());
    assert_eq!(
        config.source_of("peer.handlers.endorsers.escc.library"),
        Some(&variable)
    );
    assert!(config.source_of("peer.handlers.endorsers.escc").is_some());
    assert_eq!(config.source_of("peer.nothing"), None);
}

#[test]
fn programs_that_the_peer_starts_get_only_what_describes_the_machine() {
    let given = Given::nothing()
        .variable("PATH", "/p")
        .variable("TZ", "UTC")
        .variable("HOME", "/root")
        .variable("NODE_REGISTRY", "secret");
    let expected = [("PATH", "/p"), ("TZ", "UTC")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(given.load().machine_variables(), expected);
}

/// Engines refuse options that a log driver does not have, and the shipped ones are those of json-file.
#[test]
fn a_log_driver_gets_its_own_options_and_no_others() {
    let log_config = |given: Given| given.load().vm.docker.host_config["LogConfig"].clone();
    let stated = |text: &str| {
        log_config(Given::file(&format!(
            "vm: {{docker: {{hostConfig: {{LogConfig: {text}}}}}}}"
        )))
    };
    let shipped = json!({"max-size": "50m", "max-file": "5"});
    assert_eq!(stated("{Type: json-file}")["Config"], shipped);
    assert_eq!(stated("{Config: {max-size: 1m}}")["Config"]["max-file"], "5");
    assert_eq!(stated("{Type: journald}"), json!({"Type": "journald"}));
    assert_eq!(
        stated("{type: syslog, config: {syslog-address: 'udp://l:514', tag: cc}}"),
        json!({"Type": "syslog", "Config": {"syslog-address": "udp://l:514", "tag": "cc"}})
    );
    let by_variable =
        Given::file("vm: {docker: {hostConfig: {LogConfig: {Type: local, Config: {max-size: 1m}}}}}")
            .variable("CORE_VM_DOCKER_HOSTCONFIG_LOGCONFIG_TYPE", "none");
    assert_eq!(log_config(by_variable), json!({"Type": "none"}));
    let both = Given::nothing()
        .variable("CORE_VM_DOCKER_HOSTCONFIG_LOGCONFIG_TYPE", "local")
        .variable("CORE_VM_DOCKER_HOSTCONFIG_LOGCONFIG_CONFIG_MAX-SIZE", "2m");
    assert_eq!(
        log_config(both),
        json!({"Type": "local", "Config": {"max-size": "2m"}})
    );
}
