//! The keys below `peer`.

use super::{Entry, FILE, FILES, Known, Off, other, section, unsupported, value};
use crate::known::Kind::{Bool, Duration, Integer, List, Path, PathsOfLayer, Text};

pub(super) const PEER: &[Entry] = &[
    value("id", Text),
    value("networkId", Text),
    value("listenAddress", Text),
    value("chaincodeListenAddress", Text),
    value("chaincodeAddress", Text),
    value("address", Text),
    value("addressAutoDetect", Bool),
    unsupported("gomaxprocs", Off::At(&["-1", "0"]), Known::Value(Text)),
    section("keepalive", KEEPALIVE),
    unsupported("gossip", Off::Never, Known::Opaque),
    section("tls", TLS),
    section("authentication", &[value("timewindow", Duration)]),
    value("fileSystemPath", Path),
    section("BCCSP", BCCSP),
    value("mspConfigPath", Path),
    value("localMspId", Text),
    unsupported("localMspType", Off::At(&["bccsp"]), Known::Value(Text)),
    section("client", &[value("connTimeout", Duration)]),
    section("deliveryclient", DELIVERY_CLIENT),
    unsupported(
        "profile",
        Off::Disabled,
        Known::Section(&[value("enabled", Bool), value("listenAddress", Text)]),
    ),
    unsupported("events", Off::Never, Known::Opaque),
    unsupported(
        "adminService",
        Off::NoListener,
        Known::Section(&[value("listenAddress", Text)]),
    ),
    section("handlers", HANDLERS),
    value("validatorPoolSize", Integer),
    unsupported("discovery", Off::Disabled, Known::Section(DISCOVERY)),
    unsupported("gateway", Off::Disabled, Known::Section(GATEWAY)),
    section("limits", &[section("concurrency", CONCURRENCY)]),
    value("maxRecvMsgSize", Integer),
    value("maxSendMsgSize", Integer),
];

const PING: &[Entry] = &[value("interval", Duration), value("timeout", Duration)];

const KEEPALIVE: &[Entry] = &[
    value("interval", Duration),
    value("timeout", Duration),
    unsupported("minInterval", Off::At(&["60s", "1m"]), Known::Value(Duration)),
    section("client", PING),
    section("deliveryClient", PING),
];

const TLS: &[Entry] = &[
    value("enabled", Bool),
    value("clientAuthRequired", Bool),
    section("cert", FILE),
    section("key", FILE),
    section("rootcert", FILE),
    section("clientRootCAs", FILES),
    section("clientKey", FILE),
    section("clientCert", FILE),
    value("serverhostoverride", Text),
];

/// Only the software provider with SHA-256 exists here; the rest of the section is the HSM provider.
const BCCSP: &[Entry] = &[
    unsupported("Default", Off::At(&["SW"]), Known::Value(Text)),
    section(
        "SW",
        &[
            unsupported("Hash", Off::At(&["SHA2"]), Known::Value(Text)),
            unsupported("Security", Off::At(&["256"]), Known::Value(Text)),
            section("FileKeyStore", &[value("KeyStore", Path)]),
        ],
    ),
    unsupported("PKCS11", Off::Never, Known::Opaque),
];

const DELIVERY_CLIENT: &[Entry] = &[
    unsupported("blockGossipEnabled", Off::Always, Known::Value(Bool)),
    value("reconnectTotalTimeThreshold", Duration),
    value("connTimeout", Duration),
    value("reConnectBackoffThreshold", Duration),
    other("addressOverrides", Known::Items(ADDRESS_OVERRIDE)),
];

const ADDRESS_OVERRIDE: &[Entry] = &[value("from", Text), value("to", Text), value("caCertsFile", Path)];

const DISCOVERY: &[Entry] = &[
    value("enabled", Bool),
    value("authCacheEnabled", Bool),
    value("authCacheMaxSize", Text),
    value("authCachePurgeRetentionRatio", Text),
    value("orgMembersAllowedAccess", Bool),
];

const GATEWAY: &[Entry] = &[
    value("enabled", Bool),
    value("endorsementTimeout", Duration),
    value("broadcastTimeout", Duration),
    value("dialTimeout", Duration),
];

const CONCURRENCY: &[Entry] = &[
    value("endorserService", Integer),
    value("deliverService", Integer),
    unsupported("gatewayService", Off::Always, Known::Value(Integer)),
];

/// Spelling only: whether a key belongs here is decided by the crate that loads the plugins.
const HANDLERS: &[Entry] = &[
    other("authFilters", Known::Items(PLUGIN)),
    other("decorators", Known::Items(PLUGIN)),
    other("platforms", Known::Items(PLUGIN)),
    other("endorsers", Known::Named(PLUGIN)),
    other("validators", Known::Named(PLUGIN)),
    value("pluginDirs", PathsOfLayer),
    other("aliases", Known::Opaque),
    value("requirePins", Bool),
    value("denyToolchains", List),
    value("maxReloads", Integer),
];

const PLUGIN: &[Entry] = &[
    value("name", Text),
    value("library", Text),
    value("sha256", Text),
    value("executor", Text),
    value("timeoutMs", Integer),
    value("onError", Text),
    other("config", Known::Opaque),
];
