//! The keys below `chaincode`.

use super::services::{HOST_CONFIG, RUNTIMES};
use super::{Entry, Known, Off, other, section, unsupported, value};
use crate::known::Kind::{Bool, Duration, Integer, Number, OneOf, Path, Text};

pub(super) const CHAINCODE: &[Entry] = &[
    // read by chaincode processes that open core.yaml themselves, never by a peer
    unsupported(
        "id",
        Off::Always,
        Known::Section(&[value("path", Text), value("name", Text)]),
    ),
    value("builder", Text),
    value("pull", Bool),
    section("golang", &[value("runtime", Text), value("dynamicLink", Bool)]),
    section("car", &[value("runtime", Text)]),
    section("java", &[value("runtime", Text), value("Dockerfile", Text)]),
    section("node", &[value("runtime", Text), value("registry", Text)]),
    section("process", PROCESS),
    other("overrides", Known::Named(OVERRIDE)),
    value("outputLogSize", Integer),
    value("maxPackageSize", Integer),
    unsupported("externalBuilders", Off::At(&["[]"]), Known::Opaque),
    value("installTimeout", Duration),
    value("startuptimeout", Duration),
    value("executetimeout", Duration),
    value("mode", Text),
    value("keepalive", Text),
    other(
        "system",
        Known::Switches(&["lscc", "cscc", "qscc", "escc", "vscc"]),
    ),
    unsupported("systemPlugins", Off::At(&["[]"]), Known::Opaque),
    section(
        "logging",
        &[value("level", Text), value("shim", Text), value("format", Text)],
    ),
    unsupported("runtimeParams", Off::Never, Known::Opaque),
];

/// Not Fabric's: the runtime that starts chaincode as processes of this machine.
const PROCESS: &[Entry] = &[
    value("nodePath", Path),
    value("memory", Integer),
    value("pids", Integer),
    value("nofile", Integer),
    value("buildMemory", Integer),
    value("buildPids", Integer),
    value("buildNofile", Integer),
    value("buildTimeout", Duration),
    value("cpu", Number),
    value("sandbox", OneOf(&["auto", "off", "required"])),
    value("uid", Integer),
    value("gid", Integer),
];

/// Not Fabric's: what one chaincode, by its name, has otherwise.
const OVERRIDE: &[Entry] = &[
    value("runtime", OneOf(RUNTIMES)),
    section("hostConfig", HOST_CONFIG),
    section("process", OWN_LIMITS),
];

const OWN_LIMITS: &[Entry] = &[
    value("memory", Integer),
    value("pids", Integer),
    value("nofile", Integer),
    value("buildMemory", Integer),
    value("buildPids", Integer),
    value("buildNofile", Integer),
    value("cpu", Number),
];
