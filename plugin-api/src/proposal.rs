//! What a proposal asks for, beyond what [`Request`](crate::Request) says: function, number of arguments, timestamp.
//! Feature `proposal`.
//!
//! It decodes `Request::proposal_bytes` with the decoder that the peer uses, so that a filter and the chaincode see the
//! same function, copies nothing, and takes no more memory for a million arguments than for one. Nothing in here is
//! verified: filters run before the endorser checks anything. An error means that the endorser would not decode the
//! proposal either; a filter that decides on what is in here refuses such a proposal.
//!
//! ```
//! use plugin_api::{Filter, Flow, PluginError, Request, Result, proposal};
//!
//! struct ReadOnly;
//!
//! impl Filter for ReadOnly {
//!     type State = ();
//!     async fn before(&self, request: &Request) -> Result<Flow<()>> {
//!         let call = proposal::call(request.proposal_bytes())?;
//!         if call.function() != b"query" {
//!             return Err(PluginError::denied("only queries are allowed"));
//!         }
//!         Ok(Flow::Continue)
//!     }
//! }
//! ```

mod messages;

use crate::error::{PluginError, Result};
use crate::shared_bytes::SharedBytes;
use bytes::Bytes;
use messages::{ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload, Header, Proposal};
use prost::Message;
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// First second of the year 10000: timestamps of protobuf end before it.
const YEAR_10000: i64 = 253_402_300_800;
/// First second of the year 1, where they begin.
const YEAR_1: i64 = -62_135_596_800;

/// What `common.ChannelHeader` says that a request does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelHeader {
    /// The header's type (`common.HeaderType`): 3 for a transaction, 1 for a configuration.
    pub header_type: i32,
    /// When the client says that it made the proposal.
    pub timestamp: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`, as the client wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanos: i32,
}

impl Timestamp {
    /// The time; none when protobuf does not allow it: nanoseconds that are negative or more than a second has, a year
    /// before 1 or after 9999.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let nanos = u32::try_from(self.nanos)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000)?;
        if !(YEAR_1..YEAR_10000).contains(&self.seconds) {
            return None;
        }
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let second = if self.seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        second?.checked_add(Duration::from_nanos(nanos.into()))
    }
}

/// The call of a chaincode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    function: Bytes,
    arguments: usize,
    is_init: bool,
}

impl Call {
    /// The function's name: the first of `ChaincodeInput.args`, as shims take it; empty when there is none.
    #[must_use]
    pub fn function(&self) -> &[u8] {
        &self.function
    }

    /// The function's name as text, what is no UTF-8 replaced, at most `limit` bytes of it. It may be as long as a
    /// message otherwise.
    #[must_use]
    pub fn function_text(&self, limit: usize) -> Cow<'_, str> {
        String::from_utf8_lossy(self.function.get(..limit).unwrap_or(&self.function))
    }

    /// How many arguments there are after the function's name.
    #[must_use]
    pub fn arguments(&self) -> usize {
        self.arguments
    }

    /// Whether the client asks for the chaincode's initialisation.
    #[must_use]
    pub fn is_init(&self) -> bool {
        self.is_init
    }
}

/// The channel header of a proposal.
///
/// # Errors
/// `INVALID_ARGUMENT` when the proposal has none or cannot be decoded.
pub fn channel_header(proposal_bytes: SharedBytes) -> Result<ChannelHeader> {
    let proposal: Proposal = decode("proposal", Bytes::from_owner(proposal_bytes))?;
    let header: Header = decode("header of the proposal", proposal.header)?;
    if header.channel_header.is_empty() {
        return Err(invalid("the proposal has no channel header"));
    }
    let header: messages::ChannelHeader = decode("channel header of the proposal", header.channel_header)?;
    Ok(ChannelHeader {
        header_type: header.header_type,
        timestamp: header.timestamp.map(|timestamp| Timestamp {
            seconds: timestamp.seconds,
            nanos: timestamp.nanos,
        }),
    })
}

/// What a proposal calls.
///
/// # Errors
/// `INVALID_ARGUMENT` when the proposal calls nothing or cannot be decoded.
pub fn call(proposal_bytes: SharedBytes) -> Result<Call> {
    let proposal: Proposal = decode("proposal", Bytes::from_owner(proposal_bytes))?;
    let payload: ChaincodeProposalPayload = decode("payload of the proposal", proposal.payload)?;
    let invocation: ChaincodeInvocationSpec = decode("invocation of the proposal", payload.input)?;
    let spec = invocation
        .chaincode_spec
        .ok_or_else(|| invalid("the proposal has no chaincode specification"))?;
    let input = spec
        .input
        .ok_or_else(|| invalid("the proposal has no chaincode input"))?;
    let ChaincodeInput {
        function,
        args,
        is_init,
    } = input;
    Ok(Call {
        function,
        arguments: args.saturating_sub(1),
        is_init,
    })
}

fn decode<M: Message + Default>(what: &str, bytes: Bytes) -> Result<M> {
    M::decode(bytes).map_err(|error| invalid(format!("the {what} cannot be decoded: {error}")))
}

fn invalid(text: impl Into<String>) -> PluginError {
    PluginError::new(crate::Code::INVALID_ARGUMENT, text)
}

#[cfg(test)]
mod tests;
