//! QSCC: blocks and transactions of a channel (Fabric core/scc/qscc).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chaincode::{SccOutcome, SystemChaincode, TransactionParams};
use channel::Channels;
use ledger::KvLedger;
use protos::peer::ChaincodeInput;
use protos::{TxId, wire_message};

use crate::answer::{Asker, blocking, error, success, success_message, text};

/// The query system chaincode.
pub struct Qscc {
    channels: Arc<Channels>,
}

impl Qscc {
    /// Answers for these channels.
    #[must_use]
    pub fn new(channels: Arc<Channels>) -> Self {
        Self { channels }
    }
}

#[async_trait]
impl SystemChaincode for Qscc {
    fn name(&self) -> &'static str {
        "qscc"
    }

    fn invokable_external(&self) -> bool {
        true
    }

    fn invokable_cc2cc(&self) -> bool {
        // callable, and refusing with its own text
        true
    }

    async fn invoke(&self, params: &TransactionParams, input: &ChaincodeInput) -> SccOutcome {
        let (channels, asker, args) = (Arc::clone(&self.channels), Asker::of(params), input.args.clone());
        blocking(move || answer(&channels, asker, &args)).await
    }
}

fn answer(channels: &Channels, asker: Option<Asker>, args: &[Bytes]) -> SccOutcome {
    let [function, channel, rest @ ..] = args else {
        return error(format!("Incorrect number of arguments, {}", args.len()));
    };
    let (function, channel) = (text(function), text(channel));
    let Some(asker) = asker else {
        return error(format!(
            "Failed getting signed proposal from stub, {channel}: no signed proposal"
        ));
    };
    if asker.chaincode != "qscc" {
        return error(format!(
            "Rejecting invoke of QSCC from another chaincode because of potential for deadlocks, original invocation for '{}'",
            asker.chaincode
        ));
    }
    let argument = rest.first().cloned();
    if argument.is_none() && function != "GetChainInfo" {
        return error(format!("missing 3rd argument for {function}"));
    }
    let id = channel.as_str().into();
    let Some(joined) = channels.get(&id) else {
        return error(format!("Invalid chain ID, {channel}"));
    };
    if let Err(denied) = joined.check_acl(&format!("qscc/{function}"), &asker.signed) {
        let reason = wire_message(&denied);
        return error(format!("access denied for [{function}][{channel}]: [{reason}]"));
    }
    query(joined.ledger(), &function, &argument.unwrap_or_default())
}

fn query(ledger: &KvLedger, function: &str, argument: &Bytes) -> SccOutcome {
    match function {
        "GetChainInfo" => success_message(&ledger.chain_info()),
        "GetBlockByNumber" => block_by_number(ledger, &text(argument)),
        "GetBlockByHash" => match ledger.block_bytes_by_hash(argument) {
            Ok(block) => success(block),
            Err(reason) => {
                let hash = text(argument);
                error(format!(
                    "Failed to get block hash {hash}, error {}",
                    wire_message(&reason)
                ))
            }
        },
        "GetTransactionByID" => match ledger.transaction_by_id(&tx_id(argument)) {
            Ok(transaction) => success_message(&transaction),
            Err(reason) => {
                let id = text(argument);
                error(format!(
                    "Failed to get transaction with id {id}, error {}",
                    wire_message(&reason)
                ))
            }
        },
        "GetBlockByTxID" => match ledger.block_bytes_by_tx_id(&tx_id(argument)) {
            Ok(block) => success(block),
            Err(reason) => {
                let id = text(argument);
                error(format!(
                    "Failed to get block for txID {id}, error {}",
                    wire_message(&reason)
                ))
            }
        },
        other => error(format!("Requested function {other} not found.")),
    }
}

fn block_by_number(ledger: &KvLedger, text: &str) -> SccOutcome {
    // as strconv.ParseUint: digits only
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = match text.parse::<u64>() {
        Ok(number) if digits => number,
        _ => {
            let reason = if digits {
                "value out of range"
            } else {
                "invalid syntax"
            };
            return error(format!(
                "Failed to parse block number with error strconv.ParseUint: parsing {text:?}: {reason}"
            ));
        }
    };
    match ledger.block_bytes_by_number(number) {
        Ok(block) => success(block),
        Err(reason) => error(format!(
            "Failed to get block number {number}, error {}",
            wire_message(&reason)
        )),
    }
}

fn tx_id(argument: &Bytes) -> TxId {
    text(argument).into()
}
