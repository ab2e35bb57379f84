//! What there is a template for, and its files and words.

use clap::ValueEnum;

/// What a new plugin is to be. Each has a template below `new/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// An auth filter: looks at every signed proposal.
    AuthFilter,
    /// An auth filter in one piece, around the rest of the chain.
    Around,
    /// A decorator: edits the input of chaincode.
    Decorator,
    /// A platform: teaches the peer a chaincode language.
    Platform,
    /// An endorsement plugin: puts the peer's word under what a chaincode came to.
    Endorsement,
    /// A validation plugin: judges committed transactions.
    Validation,
}

/// A template's files and words.
pub(super) struct Words {
    pub(super) code: &'static str,
    pub(super) schema: &'static str,
    pub(super) config: &'static str,
    pub(super) description: &'static str,
    /// The key in `peer.handlers`.
    pub(super) section: &'static str,
    /// Its entry in `peer.handlers`, as lines of core.yaml.
    pub(super) entry: &'static str,
    pub(super) features: &'static str,
    pub(super) dependencies: &'static str,
    pub(super) dev_dependencies: &'static str,
    pub(super) more: &'static str,
}

impl Template {
    pub(super) fn words(self) -> Words {
        let plain = Words {
            code: "",
            schema: "",
            config: "",
            description: "",
            section: "authFilters",
            entry: include_str!("listed.yaml.in"),
            features: "",
            dependencies: "",
            dev_dependencies: "",
            more: "",
        };
        match self {
            Self::AuthFilter => Words {
                code: include_str!("auth_filter.rs.in"),
                schema: include_str!("auth_filter.schema.json.in"),
                config: include_str!("auth_filter.json.in"),
                description: "Lets only some organisations use the peer.",
                ..plain
            },
            Self::Around => Words {
                code: include_str!("around.rs.in"),
                schema: include_str!("around.schema.json.in"),
                config: include_str!("around.json.in"),
                description: "Measures endorsements and withholds large responses.",
                ..plain
            },
            Self::Decorator => Words {
                code: include_str!("decorator.rs.in"),
                schema: include_str!("decorator.schema.json.in"),
                config: include_str!("decorator.json.in"),
                description: "Tells chaincode who asks, and what the operator says.",
                section: "decorators",
                ..plain
            },
            Self::Platform => Words {
                code: include_str!("platform.rs.in"),
                schema: include_str!("platform.schema.json.in"),
                config: include_str!("platform.json.in"),
                description: "Chaincode that comes as an executable file.",
                section: "platforms",
                features: ", features = [\"packages\"]",
                dev_dependencies: "\n[dev-dependencies]\nprost = \"0.14\"\ntempfile = \"3\"\n",
                more: include_str!("platform.md.in"),
                ..plain
            },
            Self::Endorsement => Words {
                code: include_str!("endorsement.rs.in"),
                schema: include_str!("endorsement.schema.json.in"),
                config: include_str!("endorsement.json.in"),
                description: "Endorses for listed chaincodes only.",
                section: "endorsers",
                entry: include_str!("named.yaml.in"),
                more: include_str!("endorsement.md.in"),
                ..plain
            },
            Self::Validation => Words {
                code: include_str!("validation.rs.in"),
                schema: include_str!("validation.schema.json.in"),
                config: include_str!("validation.json.in"),
                description: "Policy of the definition, and only some organisations' transactions.",
                section: "validators",
                entry: include_str!("named.yaml.in"),
                dependencies: "prost = \"0.14\"\n",
                more: include_str!("validation.md.in"),
                ..plain
            },
        }
    }
}
