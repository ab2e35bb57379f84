//! The keys below `vm`, `ledger`, `logging`, `operations`, `metrics` and `orderer`.

use super::{Entry, FILE, Known, Off, SERVER_TLS, other, section, unsupported, value};
use crate::known::Kind::{Bool, Duration, Integer, OneOf, Path, Text, Texts};

pub(super) const VM: &[Entry] = &[
    value("runtime", OneOf(RUNTIMES)),
    value("endpoint", Text),
    section(
        "docker",
        &[
            section(
                "tls",
                &[
                    value("enabled", Bool),
                    section("ca", FILE),
                    section("cert", FILE),
                    section("key", FILE),
                ],
            ),
            value("attachStdout", Bool),
            // not Fabric's, down to startTimeout
            value("pullPolicy", OneOf(PULL_POLICIES)),
            value("mirror", Text),
            section(
                "auth",
                &[
                    value("configFile", Path),
                    other("registries", Known::Items(REGISTRY_LOGIN)),
                ],
            ),
            value("pullTimeout", Duration),
            value("buildTimeout", Duration),
            value("startTimeout", Duration),
            section("hostConfig", HOST_CONFIG),
        ],
    ),
];

const REGISTRY_LOGIN: &[Entry] = &[
    value("registry", Text),
    value("username", Text),
    value("passwordFile", Path),
];

/// Where chaincode can run.
pub(super) const RUNTIMES: &[&str] = &["process", "docker"];
/// When images are pulled.
pub(super) const PULL_POLICIES: &[&str] = &["never", "missing", "always"];

/// Docker's own spelling. Only keys that are set reach the engine.
pub(super) const HOST_CONFIG: &[Entry] = &[
    value("NetworkMode", Text),
    value("Dns", Texts),
    value("DnsSearch", Texts),
    value("ExtraHosts", Texts),
    value("CapAdd", Texts),
    value("CapDrop", Texts),
    value("IpcMode", Text),
    value("PidMode", Text),
    value("UTSMode", Text),
    section(
        "LogConfig",
        &[
            value("Type", Text),
            section("Config", &[value("max-size", Text), value("max-file", Text)]),
        ],
    ),
    value("ReadonlyRootfs", Bool),
    value("SecurityOpt", Texts),
    value("CgroupParent", Text),
    value("Memory", Integer),
    value("MemorySwap", Integer),
    value("MemorySwappiness", Integer),
    value("OomKillDisable", Bool),
    value("CpuShares", Integer),
    value("Cpuset", Text),
    value("CpusetCPUs", Text),
    value("CpusetMEMs", Text),
    value("CpuQuota", Integer),
    value("CpuPeriod", Integer),
    value("BlkioWeight", Integer),
    // Docker's, which Fabric does not know
    value("PidsLimit", Integer),
    value("Init", Bool),
    other("Tmpfs", Known::Opaque),
];

pub(super) const LEDGER: &[Entry] = &[
    other("blockchain", Known::Opaque),
    section(
        "state",
        &[
            // as in Fabric, everything but CouchDB means the embedded store
            unsupported("stateDatabase", Off::NotCouchDb, Known::Value(Text)),
            value("totalQueryLimit", Integer),
            section("couchDBConfig", COUCH_DB),
        ],
    ),
    section("history", &[value("enableHistoryDatabase", Bool)]),
    unsupported("pvtdataStore", Off::Never, Known::Opaque),
    unsupported("snapshots", Off::Never, Known::Opaque),
];

const COUCH_DB: &[Entry] = &[
    value("couchDBAddress", Text),
    value("username", Text),
    value("password", Text),
    value("maxRetries", Integer),
    value("maxRetriesOnStartup", Integer),
    value("requestTimeout", Duration),
    value("queryLimit", Integer),
    value("internalQueryLimit", Integer),
    value("maxBatchUpdateSize", Integer),
    value("warmIndexesAfterNBlocks", Integer),
    value("createGlobalChangesDB", Bool),
    value("cacheSize", Integer),
];

pub(super) const LOGGING: &[Entry] = &[value("level", Text), value("spec", Text), value("format", Text)];

pub(super) const OPERATIONS: &[Entry] = &[value("listenAddress", Text), section("tls", SERVER_TLS)];

pub(super) const METRICS: &[Entry] = &[
    value("provider", OneOf(&["prometheus", "disabled", "statsd"])),
    section(
        "statsd",
        &[
            value("network", Text),
            value("address", Text),
            value("writeInterval", Duration),
            value("prefix", Text),
        ],
    ),
    // 1.1 only
    unsupported("enabled", Off::At(&["false"]), Known::Value(Bool)),
];

/// Not Fabric's: the small ordering service inside the peer's process.
pub(super) const ORDERER: &[Entry] = &[
    value("enabled", Bool),
    value("listenAddress", Text),
    value("bootstrapFile", Path),
    value("localMspDir", Path),
    value("localMspId", Text),
    value("fileSystemPath", Path),
    section("tls", SERVER_TLS),
];
