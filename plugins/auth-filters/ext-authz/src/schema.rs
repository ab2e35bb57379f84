//! The JSON schema of the configuration.

/// What `config` may say; the peer checks it before the plugin sees it.
pub(crate) const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "required": ["endpoint"],
    "properties": {
        "endpoint": {
            "description": "The service: http://HOST:PORT (not encrypted), https://HOST:PORT (with tls), or unix:///PATH.",
            "type": "string", "pattern": "^(https?://.+|unix:///.+)$"
        },
        "tls": {
            "description": "For https. Files are read when the plugin is loaded, and when the peer's plugins are reloaded and one has changed.",
            "type": "object",
            "additionalProperties": false,
            "required": ["caFile"],
            "dependentRequired": {"certFile": ["keyFile"], "keyFile": ["certFile"]},
            "properties": {
                "caFile": {
                    "description": "CA certificates (PEM) that the service must be certified by.",
                    "type": "string", "minLength": 1, "x-read-at-start": true
                },
                "certFile": {
                    "description": "The certificate (PEM) that is shown to the service.",
                    "type": "string", "minLength": 1, "x-read-at-start": true
                },
                "keyFile": {
                    "description": "Its private key (PEM).",
                    "type": "string", "minLength": 1, "x-read-at-start": true
                },
                "serverName": {
                    "description": "The name in the service's certificate, if it is not the endpoint's host.",
                    "type": "string", "minLength": 1
                }
            }
        },
        "timeoutSeconds": {
            "description": "How long an answer may take; keep it below the entry's timeoutMs.",
            "type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 0.5
        },
        "maxInFlight": {
            "description": "Questions at a time; proposals beyond that are refused with UNAVAILABLE.",
            "type": "integer", "minimum": 1, "maximum": 65536, "default": 256
        },
        "headers": {
            "description": "The client's gRPC metadata that the service sees.",
            "type": "array", "maxItems": 64, "uniqueItems": true,
            "items": {"type": "string", "pattern": "^[a-z0-9_.-]+$", "not": {"pattern": "-bin$"}}
        },
        "contextExtensions": {
            "description": "Texts that go with every question, for example which peer asks.",
            "type": "object", "maxProperties": 64,
            "propertyNames": {"not": {"enum": ["channel", "chaincode", "function", "mspid", "txid"]}},
            "additionalProperties": {"type": "string"}
        },
        "maxBodyBytes": {
            "description": "Send the proposal as raw_body; refuse proposals that are longer than this. 0: do not send it.",
            "type": "integer", "minimum": 0, "maximum": 104857600, "default": 0
        },
        "set": {
            "description": "Names in the answer's dynamic metadata (or else headers) that become the facts ext-authz.NAME.",
            "type": "array", "maxItems": 32, "uniqueItems": true,
            "items": {"type": "string", "minLength": 1, "maxLength": 80}
        }
    }
}"#;
