//! The JSON schema of this platform's `config`.

/// Keys and their meaning, for operators and for the peer's check.
pub(crate) const SCHEMA: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "runtimeImage": {
            "type": "string",
            "pattern": "^[^\\s]+$",
            "description": "Image that chaincode runs in, instead of chaincode.golang.runtime."
        },
        "builderImage": {
            "type": "string",
            "pattern": "^[^\\s]+$",
            "description": "Image that chaincode is built in, instead of chaincode.builder."
        },
        "goProxy": {
            "type": "string",
            "description": "GOPROXY of builds: URLs, direct or off, separated by commas or bars."
        },
        "goNoProxy": { "type": "string", "description": "GONOPROXY of builds." },
        "goPrivate": { "type": "string", "description": "GOPRIVATE of builds." },
        "goSumDb": { "type": "string", "description": "GOSUMDB of builds." },
        "goNoSumDb": { "type": "string", "description": "GONOSUMDB of builds." },
        "goFlags": { "type": "string", "description": "GOFLAGS of builds." },
        "netrcFile": {
            "type": "string",
            "pattern": "^/",
            "description": "File in netrc form with credentials for module proxies, read at each build. Go shows them over TLS only, and since 1.24 wants machine to name the port, if the URL has one."
        },
        "caFile": {
            "type": "string",
            "pattern": "^/",
            "description": "PEM file with the authorities of module proxies, beside those of the system, read at each build."
        },
        "dynamicLink": {
            "type": "boolean",
            "description": "Link against the C library of the image instead of statically; instead of chaincode.golang.dynamicLink."
        }
    }
}"##;
