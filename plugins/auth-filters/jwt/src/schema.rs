//! The JSON schema of the configuration.

/// What `config` may say; the peer checks it before the plugin sees it.
pub(crate) const SCHEMA: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "required": ["issuer", "audience", "keys", "bind"],
    "$defs": {
        "texts": {
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string", "minLength": 1}}
            ]
        },
        "claim": {
            "description": "A claim's name; a list of names leads to a claim within a claim.",
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "string", "minLength": 1}}
            ]
        }
    },
    "properties": {
        "issuer": {
            "description": "What claim iss must be, exactly; several are alternatives.",
            "$ref": "#/$defs/texts"
        },
        "audience": {
            "description": "What claim aud must be or contain; several are alternatives.",
            "$ref": "#/$defs/texts"
        },
        "keys": {
            "description": "Where the issuer's public keys (a JWKS) are: either file or url.",
            "type": "object",
            "additionalProperties": false,
            "oneOf": [{"required": ["file"]}, {"required": ["url"]}],
            "dependentRequired": {"caFile": ["url"], "allowHttp": ["url"]},
            "properties": {
                "file": {
                    "description": "A file, read at start and again every refreshSeconds.",
                    "type": "string", "minLength": 1
                },
                "url": {
                    "description": "An https URL, or http if allowHttp is true. Redirects are not followed.",
                    "type": "string", "minLength": 1
                },
                "caFile": {
                    "description": "CA certificates (PEM) that the URL's server must be certified by, instead of the system's.",
                    "type": "string", "minLength": 1, "x-read-at-start": true
                },
                "allowHttp": {
                    "description": "Allow http: whoever is on the way can then make tokens.",
                    "type": "boolean"
                },
                "refreshSeconds": {
                    "description": "Age at which keys are fetched again, while they stay in use.",
                    "type": "number", "exclusiveMinimum": 0, "maximum": 86400, "default": 300
                },
                "retrySeconds": {
                    "description": "Shortest time between two fetches, after a failure or for an unknown key id.",
                    "type": "number", "exclusiveMinimum": 0, "maximum": 86400, "default": 10
                },
                "maxStaleSeconds": {
                    "description": "Age at which keys that could not be fetched again are no longer used.",
                    "type": "number", "exclusiveMinimum": 0, "maximum": 2592000, "default": 86400
                },
                "timeoutSeconds": {
                    "description": "How long a fetch may take.",
                    "type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 5
                },
                "waitSeconds": {
                    "description": "How long a proposal waits for a fetch; keep it below the entry's timeoutMs.",
                    "type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 0.5
                }
            }
        },
        "bind": {
            "description": "Claims that must be what the proposal's creator is, all of them; or the word none, for tokens that may accompany anybody's proposal.",
            "oneOf": [
                {"const": "none"},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["to"],
                        "properties": {
                            "claim": {
                                "description": "Needed, except for certificateSha256, whose claim is [cnf, x5t#S256] unless another is named.",
                                "$ref": "#/$defs/claim"
                            },
                            "to": {
                                "description": "commonName of the creator's certificate, its hf.EnrollmentID (as Fabric CA writes it), the creator's MSP id, or the certificate's SHA-256 in base64url (RFC 8705).",
                                "enum": ["commonName", "enrollmentId", "mspId", "certificateSha256"]
                            }
                        }
                    }
                }
            ]
        },
        "claims": {
            "description": "Claims for the fact jwt.claims; those that a token does not have are left out. One within another is named with dots: realm_access.roles.",
            "type": "array",
            "maxItems": 64,
            "items": {"$ref": "#/$defs/claim"}
        },
        "header": {
            "description": "Name of the gRPC metadata with the token.",
            "type": "string", "pattern": "^[a-z0-9_.-]+$", "default": "authorization"
        },
        "scheme": {
            "description": "The word before the token; empty for none.",
            "type": "string", "pattern": "^[!-~]*$", "default": "Bearer"
        },
        "algorithms": {
            "description": "Signature algorithms that are allowed. Those with a shared secret never are.",
            "type": "array",
            "minItems": 1,
            "uniqueItems": true,
            "items": {"enum": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]}
        },
        "leewaySeconds": {
            "description": "How far the issuer's clock may be off.",
            "type": "integer", "minimum": 0, "maximum": 600, "default": 30
        }
    }
}"##;
