//! The states of a chaincode stream and the messages each of them accepts.

use std::fmt;

use protos::peer::ChaincodeMessage;
use protos::peer::chaincode_message::Type;

/// Longest part of a transaction id that an error text repeats; real ids have 64 characters.
const MAX_TX_ID_IN_TEXT: usize = 64;

/// Where a stream stands. It moves from left to right and never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Nothing has been registered.
    Created,
    /// REGISTERED has been sent, READY not yet.
    Established,
    /// Transactions may be sent.
    Ready,
}

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Established => "established",
            Self::Ready => "ready",
        })
    }
}

/// What an accepted message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    KeepAlive,
    /// The chaincode wants to be registered.
    Register,
    /// The chaincode has finished a transaction, well or badly.
    Finish,
    /// The chaincode asks for something within a transaction.
    Request(Type),
}

/// A message that the state does not accept; the stream ends with this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("[{tx_id}] Fabric side handler cannot handle message ({message}) while in {state} state")]
pub struct OutOfTurn {
    tx_id: String,
    message: String,
    state: StreamState,
}

impl StreamState {
    /// What `message` asks for in this state.
    ///
    /// # Errors
    /// When the state does not accept such a message.
    pub fn accept(self, message: &ChaincodeMessage) -> Result<Turn, OutOfTurn> {
        let kind = Type::try_from(message.r#type);
        match (self, kind) {
            (_, Ok(Type::Keepalive)) => Ok(Turn::KeepAlive),
            (Self::Created, Ok(Type::Register)) => Ok(Turn::Register),
            (Self::Ready, Ok(Type::Completed | Type::Error)) => Ok(Turn::Finish),
            (Self::Ready, Ok(kind)) if is_request(kind) => Ok(Turn::Request(kind)),
            (state, _) => Err(OutOfTurn {
                tx_id: message.txid.chars().take(MAX_TX_ID_IN_TEXT).collect(),
                message: type_name(message.r#type),
                state,
            }),
        }
    }
}

/// Whether chaincode sends this type to ask the peer for something within a transaction.
fn is_request(kind: Type) -> bool {
    matches!(
        kind,
        Type::GetState
            | Type::PutState
            | Type::DelState
            | Type::InvokeChaincode
            | Type::GetStateByRange
            | Type::GetQueryResult
            | Type::QueryStateNext
            | Type::QueryStateClose
            | Type::GetHistoryForKey
            | Type::GetStateMetadata
            | Type::PutStateMetadata
            | Type::GetPrivateDataHash
            | Type::PurgePrivateData
            | Type::WriteBatchState
            | Type::GetStateMultiple
    )
}

/// The name of a message type; its number where it has none.
pub fn type_name(kind: i32) -> String {
    Type::try_from(kind).map_or_else(|_unknown| kind.to_string(), |kind| kind.as_str_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: i32) -> ChaincodeMessage {
        ChaincodeMessage {
            r#type: kind,
            txid: "tx".into(),
            ..Default::default()
        }
    }

    fn accepted(state: StreamState) -> Vec<i32> {
        (0..40)
            .filter(|kind| state.accept(&message(*kind)).is_ok())
            .collect()
    }

    #[test]
    fn each_state_accepts_exactly_the_messages_of_the_table() {
        assert_eq!(accepted(StreamState::Created), [1, 18]);
        assert_eq!(accepted(StreamState::Established), [18]);
        assert_eq!(
            accepted(StreamState::Ready),
            [6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]
        );
    }

    #[test]
    fn a_message_out_of_turn_has_fabrics_text() {
        let text = |state: StreamState, kind| state.accept(&message(kind)).unwrap_err().to_string();
        assert_eq!(
            text(StreamState::Created, 8),
            "[tx] Fabric side handler cannot handle message (GET_STATE) while in created state"
        );
        assert_eq!(
            text(StreamState::Ready, 1),
            "[tx] Fabric side handler cannot handle message (REGISTER) while in ready state"
        );
        assert_eq!(
            text(StreamState::Ready, 77),
            "[tx] Fabric side handler cannot handle message (77) while in ready state"
        );
    }

    #[test]
    fn a_hostile_transaction_id_does_not_blow_up_the_text() {
        let long = ChaincodeMessage {
            r#type: 2,
            txid: "x".repeat(1_000_000),
            ..Default::default()
        };
        assert!(StreamState::Ready.accept(&long).unwrap_err().to_string().len() < 200);
    }
}
