//! The text form of signature policies, as in `-P "AND('Org1MSP.member', OutOf(1, 'Org2MSP.peer'))"`, encoded
//! as Fabric's policydsl does: a gate's own principals are numbered after those of the gates inside it.

use protos::common::{SignaturePolicy, SignaturePolicyEnvelope};
use protos::msp::MspPrincipal;
use protos::msp::msp_role::MspRoleType;

use super::builder::{n_out_of, signed_by};
use crate::principal::role_principal;

/// Longest text; a policy over a hundred organisations has some three kilobytes.
const MAX_TEXT: usize = 64 * 1024;

/// Deepest nesting of gates.
const MAX_DEPTH: usize = 30;

/// Why a text is no policy. The texts are Fabric's where it has one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyTextError {
    /// A word that is neither gate nor principal.
    #[error("unrecognized token '{0}' in policy string")]
    UnrecognizedToken(String),
    /// The text is no gate.
    #[error("invalid policy string '{0}'")]
    Invalid(String),
    /// A gate without enough arguments.
    #[error("expected at least two arguments to NOutOf. Given {0}")]
    TooFewArguments(usize),
    /// A count that can never be.
    #[error("invalid t-out-of-n predicate, t {t}, n {n}")]
    Count {
        /// The count.
        t: i64,
        /// How many arguments there are.
        n: usize,
    },
    /// Too long or too deep.
    #[error("policy string is too large")]
    TooLarge,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    And,
    Or,
    OutOf,
}

/// What a gate may hold.
enum Argument {
    Gate(Gate, Vec<Argument>),
    Text(String),
    Number(i64),
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
}

/// Parses a policy.
///
/// # Errors
/// When the text is no policy.
pub fn from_string(text: &str) -> Result<SignaturePolicyEnvelope, PolicyTextError> {
    if text.len() > MAX_TEXT {
        return Err(PolicyTextError::TooLarge);
    }
    let mut parser = Parser {
        whole: text,
        rest: text,
    };
    let argument = parser.argument(MAX_DEPTH)?;
    if !parser.rest.trim_start().is_empty() {
        return Err(parser.invalid());
    }
    let Argument::Gate(gate, arguments) = argument else {
        return Err(parser.invalid());
    };
    let mut identities = Vec::new();
    let rule = encode(gate, arguments, &mut identities)?;
    Ok(SignaturePolicyEnvelope {
        version: 0,
        rule: Some(rule),
        identities,
    })
}

impl<'a> Parser<'a> {
    fn invalid(&self) -> PolicyTextError {
        PolicyTextError::Invalid(self.whole.to_owned())
    }

    /// Skips spaces and takes one character if it is the next.
    fn take(&mut self, expected: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, PolicyTextError> {
        for quote in ['\'', '"'] {
            if self.take(quote) {
                let (text, rest) = self.rest.split_once(quote).ok_or_else(|| self.invalid())?;
                self.rest = rest;
                return Ok(Argument::Text(text.to_owned()));
            }
        }
        let word = self.word();
        if word.is_empty() {
            return Err(self.invalid());
        }
        if let Ok(number) = word.parse() {
            return Ok(Argument::Number(number));
        }
        let gate = match word {
            "AND" | "And" | "and" => Gate::And,
            "OR" | "Or" | "or" => Gate::Or,
            "OutOf" | "OUTOF" | "outof" => Gate::OutOf,
            other => return Err(PolicyTextError::UnrecognizedToken(other.to_owned())),
        };
        let depth = depth.checked_sub(1).ok_or(PolicyTextError::TooLarge)?;
        Ok(Argument::Gate(gate, self.arguments(depth)?))
    }

    fn arguments(&mut self, depth: usize) -> Result<Vec<Argument>, PolicyTextError> {
        let mut arguments = Vec::new();
        if !self.take('(') {
            return Err(self.invalid());
        }
        if self.take(')') {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.argument(depth)?);
            if self.take(')') {
                return Ok(arguments);
            }
            if !self.take(',') {
                return Err(self.invalid());
            }
        }
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }
}

fn encode(
    gate: Gate,
    mut arguments: Vec<Argument>,
    identities: &mut Vec<MspPrincipal>,
) -> Result<SignaturePolicy, PolicyTextError> {
    let given = arguments.len();
    let count = match gate {
        Gate::And => i64::try_from(given).unwrap_or(i64::MAX),
        Gate::Or => 1,
        Gate::OutOf if arguments.is_empty() => return Err(PolicyTextError::TooFewArguments(0)),
        Gate::OutOf => count(arguments.remove(0))?,
    };
    let n = arguments.len();
    if n == 0 {
        return Err(PolicyTextError::TooFewArguments(1));
    }
    let t = i32::try_from(count)
        .ok()
        .filter(|t| usize::try_from(*t).is_ok_and(|t| t <= n + 1));
    let t = t.ok_or(PolicyTextError::Count { t: count, n })?;
    // the gates inside come first, then the gate's own principals
    let mut rules = Vec::with_capacity(n);
    for argument in arguments {
        rules.push(match argument {
            Argument::Gate(gate, inner) => Ok(encode(gate, inner, identities)?),
            other => Err(principal(other)?),
        });
    }
    let rules = rules.into_iter().map(|rule| {
        rule.unwrap_or_else(|principal| {
            identities.push(principal);
            signed_by(i32::try_from(identities.len() - 1).unwrap_or(i32::MAX))
        })
    });
    Ok(n_out_of(t, rules.collect()))
}

fn count(argument: Argument) -> Result<i64, PolicyTextError> {
    match argument {
        Argument::Number(number) => Ok(number),
        Argument::Text(text) => text.parse().or(Err(PolicyTextError::UnrecognizedToken(text))),
        Argument::Gate(..) => Err(PolicyTextError::UnrecognizedToken("OutOf".into())),
    }
}

/// A principal `<MSP id>.<role>`; the MSP id may contain dots.
fn principal(argument: Argument) -> Result<MspPrincipal, PolicyTextError> {
    let text = match argument {
        Argument::Text(text) => text,
        Argument::Number(number) => number.to_string(),
        Argument::Gate(..) => String::new(),
    };
    let role = |name: &str| {
        Some(match name {
            "member" => MspRoleType::Member,
            "admin" => MspRoleType::Admin,
            "client" => MspRoleType::Client,
            "peer" => MspRoleType::Peer,
            "orderer" => MspRoleType::Orderer,
            _ => return None,
        })
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let parts = text
        .rsplit_once('.')
        .and_then(|(msp, name)| Some((msp, role(name)?)));
    match parts {
        Some((msp, role)) if !msp.is_empty() && msp.chars().all(allowed) => Ok(role_principal(msp, role)),
        _ => Err(PolicyTextError::UnrecognizedToken(text)),
    }
}
