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
            "description": "Image that chaincode is built and run in, instead of chaincode.java.runtime."
        },
        "maven": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "mirror": {
                    "type": "string",
                    "description": "URL of the repository that Maven and Gradle use instead of the ones in the build file."
                },
                "mirrorOf": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9*!,:._-]+$",
                    "description": "Which of Maven's repositories the mirror takes the place of; all of them (*) unless it says otherwise."
                },
                "user": { "type": "string", "description": "Who signs in at the mirror." },
                "passwordFile": {
                    "type": "string",
                    "pattern": "^/",
                    "description": "File with the password for the mirror that is stated beside it, read at each build."
                },
                "proxy": { "type": "string", "description": "URL of the proxy that Maven and Gradle use." }
            }
        }
    }
}"##;
