//! Why a proposal is refused. No text repeats a token or a value from one.

use crate::config::{ClaimPath, Fact};
use plugin_api::{Code, PluginError};
use thiserror::Error;

/// A refusal.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no token.
    #[error("no bearer token: send one as gRPC metadata \"{header}\"{form}")]
    Missing { header: String, form: String },
    /// What there is is not valid; says in which way.
    #[error("the bearer token {0}")]
    Invalid(&'static str),
    /// A claim that every token needs is not there, or of the wrong type.
    #[error("the bearer token has no usable claim {0}")]
    NoClaim(String),
    /// There is nothing to check it with.
    #[error("bearer tokens cannot be checked now: the keys of their issuer are not available")]
    NoKeys,
    /// It is somebody else's.
    #[error("claim {claim} of the bearer token is not the {fact} of the proposal's creator")]
    Mismatch { claim: ClaimPath, fact: Fact },
    /// The creator does not have what the token is bound to.
    #[error("the bearer token must belong to the proposal's creator, who has no {0}")]
    NoFact(Fact),
    /// Later filters and decorators would not see what they need.
    #[error("the claims of the bearer token were not taken by the peer: too many facts, or too long")]
    NotTaken,
}

impl From<Refusal> for PluginError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Missing { .. } | Refusal::Invalid(_) | Refusal::NoClaim(_) => Code::UNAUTHENTICATED,
            Refusal::NoKeys => Code::UNAVAILABLE,
            Refusal::Mismatch { .. } | Refusal::NoFact(_) => Code::PERMISSION_DENIED,
            Refusal::NotTaken => Code::RESOURCE_EXHAUSTED,
        };
        Self::new(code, refusal.to_string())
    }
}
