//! Which function of the chaincode a proposal calls.

use crate::messages::{ChaincodeInvocationSpec, ChaincodeProposalPayload, Proposal};
use bytes::Bytes;
use prost::Message;

/// The first argument; `None` without one, when it is no text, and when the proposal cannot be decoded (which the
/// endorser refuses).
pub(crate) fn function(proposal: Bytes) -> Option<String> {
    let proposal = Proposal::decode(proposal).ok()?;
    let payload = ChaincodeProposalPayload::decode(proposal.payload).ok()?;
    let invocation = ChaincodeInvocationSpec::decode(payload.input).ok()?;
    let args = invocation.chaincode_spec?.input?.args;
    let first = args.first()?;
    std::str::from_utf8(first).ok().map(str::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::messages::{ChaincodeInput, ChaincodeSpec};

    /// A proposal that calls a chaincode with these arguments.
    pub(crate) fn proposal(args: &[&[u8]]) -> Bytes {
        wrap(&invocation(args).encode_to_vec())
    }

    fn invocation(args: &[&[u8]]) -> ChaincodeInvocationSpec {
        let args = args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
        ChaincodeInvocationSpec {
            chaincode_spec: Some(ChaincodeSpec {
                input: Some(ChaincodeInput { args }),
            }),
        }
    }

    fn wrap(invocation: &[u8]) -> Bytes {
        let input = Bytes::copy_from_slice(invocation);
        let payload = ChaincodeProposalPayload { input }.encode_to_vec().into();
        Proposal { payload }.encode_to_vec().into()
    }

    #[test]
    fn the_first_argument_is_the_function() {
        assert_eq!(
            function(proposal(&[b"transfer", b"a"])).as_deref(),
            Some("transfer")
        );
        assert_eq!(function(proposal(&[b""])).as_deref(), Some(""));
        assert_eq!(function(proposal(&[])), None);
        assert_eq!(function(proposal(&[b"\xff"])), None);
        for garbage in [&b""[..], b"\xff\xff", b"\x12\x02\x0a\x05"] {
            assert_eq!(function(Bytes::from_static(garbage)), None);
        }
    }

    #[test]
    fn a_field_that_occurs_twice_is_read_as_the_endorser_reads_it() {
        // two messages one after the other are one with merged fields: the arguments are those of both
        let twice = [
            invocation(&[b"harmless"]).encode_to_vec(),
            invocation(&[b"dangerous"]).encode_to_vec(),
        ]
        .concat();
        assert_eq!(function(wrap(&twice)).as_deref(), Some("harmless"));
        let merged = ChaincodeInvocationSpec::decode(twice.as_slice()).unwrap();
        assert_eq!(merged, invocation(&[b"harmless", b"dangerous"]));
    }
}
