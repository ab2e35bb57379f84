//! The hooks of each kind of plugin: what a call is counted as, and what its span says.

use crate::kind::Kind;
use serde::Serialize;

/// A function of a plugin that the peer calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// A filter, before the endorser.
    Before,
    /// A filter, after the endorser.
    After,
    /// A decorator.
    Decorate,
    /// A platform: checks a `ChaincodeSpec`.
    ValidateSpec,
    /// A platform: the path that goes into the package.
    NormalizePath,
    /// A platform: checks a package.
    ValidateDeploymentSpec,
    /// A platform: packs source.
    DeploymentPayload,
    /// A platform: the first lines of a Dockerfile.
    Dockerfile,
    /// A platform: how to build and start.
    BuildPlan,
    /// An endorsement plugin.
    Endorse,
    /// A validation plugin.
    Validate,
}

impl Hook {
    /// The hooks of a kind.
    pub(crate) fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::AuthFilter => &[Self::Before, Self::After],
            Kind::Decorator => &[Self::Decorate],
            Kind::Platform => &[
                Self::ValidateSpec,
                Self::NormalizePath,
                Self::ValidateDeploymentSpec,
                Self::DeploymentPayload,
                Self::Dockerfile,
                Self::BuildPlan,
            ],
            Kind::Endorsement => &[Self::Endorse],
            Kind::Validation => &[Self::Validate],
        }
    }

    /// As the plugin's author spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Decorate => "decorate",
            Self::ValidateSpec => "validate_spec",
            Self::NormalizePath => "normalize_path",
            Self::ValidateDeploymentSpec => "validate_deployment_spec",
            Self::DeploymentPayload => "deployment_payload",
            Self::Dockerfile => "dockerfile",
            Self::BuildPlan => "build_plan",
            Self::Endorse => "endorse",
            Self::Validate => "validate",
        }
    }
}
