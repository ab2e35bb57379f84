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
            "description": "Image that chaincode is built and run in."
        },
        "npmRegistry": {
            "type": "string",
            "description": "Short form of npm.registry."
        },
        "npm": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "registry": {
                    "type": "string",
                    "description": "URL of the npm registry. The peer's variable NODE_REGISTRY goes before it, except where it is set for one chaincode."
                },
                "scopes": {
                    "type": "object",
                    "propertyNames": { "pattern": "^@[a-z0-9][a-z0-9._-]*$" },
                    "additionalProperties": { "type": "string" },
                    "description": "Registry URL by scope (@acme)."
                },
                "tokenFile": {
                    "type": "string",
                    "pattern": "^/",
                    "description": "File with the access token of the registry that is stated beside it (without one: of the scopes' registries), read at each build."
                },
                "caFile": {
                    "type": "string",
                    "pattern": "^/",
                    "description": "PEM file with the authorities that npm trusts, read at each build."
                },
                "proxy": {
                    "type": "string",
                    "description": "URL of the proxy that npm uses."
                },
                "strictSsl": {
                    "type": "boolean",
                    "description": "Whether npm checks certificates; true unless set to false."
                },
                "replaceRegistryHost": {
                    "enum": ["always", "npmjs", "never"],
                    "description": "Which hosts in lock files the registry takes the place of: every one (default), only that of npm's public registry, or none."
                }
            }
        }
    }
}"##;
