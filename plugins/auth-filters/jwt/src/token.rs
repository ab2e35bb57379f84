//! Reads a bearer token, and checks it.

use crate::config::Config;
use crate::error::Refusal;
use crate::keys::{Keys, Wanted};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

/// Longest token that is looked at, in bytes; the peer's own limit for all headers is of this order.
const MAX_TOKEN: usize = 16 * 1024;

/// The claims of a token whose signature, issuer, audience and time are right.
pub(crate) type Claims = Map<String, Value>;

/// What a token must be.
pub(crate) struct Verifier {
    header: String,
    scheme: String,
    algorithms: Vec<Algorithm>,
    validation: Validation,
}

impl Verifier {
    pub(crate) fn new(config: &Config) -> Self {
        // the algorithm is put in per token
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(config.issuer.as_slice());
        validation.set_audience(config.audience.as_slice());
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = config.leeway_seconds;
        Self {
            header: config.header.clone(),
            scheme: config.scheme.clone(),
            algorithms: config.algorithms.clone(),
            validation,
        }
    }

    /// The name of the request's fact that holds the token.
    pub(crate) fn fact(&self) -> String {
        format!("grpc.metadata.{}", self.header)
    }

    /// Checks what the header says: whether there is a token, who has signed it, for whom, and when.
    pub(crate) async fn verify(&self, header: Option<&[u8]>, keys: &Keys) -> Result<Claims, Refusal> {
        let token = self.token(header.ok_or_else(|| self.missing())?)?;
        let header = decode_header(token).map_err(|error| unreadable(&error))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(Refusal::Invalid(
                "is signed with an algorithm that is not allowed here",
            ));
        }
        if header.crit.is_some() {
            return Err(Refusal::Invalid("asks for extensions that are not known here"));
        }
        let wanted = Wanted {
            id: header.kid.as_deref(),
            algorithm: header.alg,
        };
        let key = keys.find(wanted).await?;
        let mut validation = self.validation.clone();
        validation.algorithms = vec![header.alg];
        let token = decode::<Claims>(token, &key.decoding, &validation).map_err(|error| refusal(&error))?;
        Ok(token.claims)
    }

    fn missing(&self) -> Refusal {
        let form = match self.scheme.as_str() {
            "" => String::new(),
            scheme => format!(": {scheme} TOKEN"),
        };
        Refusal::Missing {
            header: self.header.clone(),
            form,
        }
    }

    fn token<'a>(&self, header: &'a [u8]) -> Result<&'a str, Refusal> {
        let text = std::str::from_utf8(header)
            .map_err(|_binary| self.missing())?
            .trim_ascii();
        let token = if self.scheme.is_empty() {
            text
        } else {
            let (scheme, token) = text.split_once(' ').ok_or_else(|| self.missing())?;
            if !scheme.eq_ignore_ascii_case(&self.scheme) {
                return Err(self.missing());
            }
            token.trim_ascii_start()
        };
        match token.len() {
            0 => Err(self.missing()),
            1..=MAX_TOKEN => Ok(token),
            _ => Err(Refusal::Invalid("is too long")),
        }
    }
}

fn unreadable(error: &Error) -> Refusal {
    match error.kind() {
        // what is no known algorithm is a JSON error to the library: among them "none"
        ErrorKind::Json(_) => {
            Refusal::Invalid("has a header that is not understood, or names an unknown algorithm")
        }
        _ => Refusal::Invalid("is not a signed JWT"),
    }
}

fn refusal(error: &Error) -> Refusal {
    Refusal::Invalid(match error.kind() {
        ErrorKind::ExpiredSignature => "has expired",
        ErrorKind::ImmatureSignature => "is not valid yet",
        ErrorKind::InvalidIssuer => "is from another issuer",
        ErrorKind::InvalidAudience => "is for another audience",
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
            return Refusal::NoClaim(name.clone());
        }
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => "holds no claims",
        ErrorKind::InvalidToken | ErrorKind::Base64(_) => "is not a signed JWT",
        _ => "is not signed with its issuer's key",
    })
}
