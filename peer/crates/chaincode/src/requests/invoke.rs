//! One chaincode calls another.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::ChannelId;
use protos::peer::ChaincodeSpec;

use super::{Request, RequestError};
use crate::channel_access::CHAINCODE_TO_CHAINCODE;
use crate::ledger_access;
use crate::support::ChaincodeSupport;
use crate::target::Target;
use crate::transaction::TransactionParams;

/// Runs the call. The answer is the callee's whole message; its event is of no consequence.
pub(super) async fn run(request: &Request) -> Result<Bytes, RequestError> {
    let support = request
        .handler
        .support
        .upgrade()
        .ok_or(RequestError::NoTransaction)?;
    let caller = &request.context.params;
    let spec: ChaincodeSpec = request.decode()?;
    let id = spec
        .chaincode_id
        .filter(|id| !id.name.is_empty())
        .ok_or_else(|| RequestError::refused("unmarshal failed: chaincode spec names no chaincode"))?;
    let mut target = Target::from(id.name.as_str());
    check_context(&support, caller, &target)?;
    if target.channel.is_empty() {
        target.channel = caller.channel.as_str().into();
    }
    check_acl(&support, caller, &target)?;
    let params = callee_params(&support, request, &target)?;
    let mut input = spec.input.unwrap_or_default();
    input.decorations.clear();
    let message = support
        .invoke_by_name(Arc::new(params), &target.name, input)
        .await
        .map_err(|error| RequestError::Execute(Box::new(error)))?;
    Ok(message.encode_to_vec().into())
}

/// Only system chaincode can be called without a channel.
fn check_context(
    support: &ChaincodeSupport,
    caller: &TransactionParams,
    target: &Target,
) -> Result<(), RequestError> {
    let has_ledger = caller.simulator.is_some();
    let channelless = caller.channel.is_empty() && support.is_system_chaincode(&target.name);
    if has_ledger || channelless {
        Ok(())
    } else {
        Err(RequestError::NoTransaction)
    }
}

fn check_acl(
    support: &ChaincodeSupport,
    caller: &TransactionParams,
    target: &Target,
) -> Result<(), RequestError> {
    if let Some(system) = support.system_chaincode(&target.name) {
        if system.invokable_cc2cc() {
            return Ok(());
        }
        return Err(RequestError::Refused(format!(
            "system chaincode {} cannot be invoked with a cc2cc invocation",
            target.name
        )));
    }
    let proposal = caller.signed_proposal.as_deref().ok_or_else(|| {
        RequestError::Refused(format!("signed proposal must not be nil from caller [{target}]"))
    })?;
    let channel = ChannelId::from(target.channel.as_str());
    support
        .channels()
        .check_acl(CHAINCODE_TO_CHAINCODE, &channel, proposal)
        .map_err(RequestError::AccessDenied)
}

/// On the caller's channel the callee shares its simulator; on another one it gets one of its own, whose
/// results nobody takes.
fn callee_params(
    support: &ChaincodeSupport,
    request: &Request,
    target: &Target,
) -> Result<TransactionParams, RequestError> {
    let caller = &request.context.params;
    let mut params = TransactionParams {
        invoked_by: Some(request.namespace().to_owned()),
        ..TransactionParams::clone(caller)
    };
    if target.channel == caller.channel.as_str() {
        return Ok(params);
    }
    params.channel = target.channel.as_str().into();
    let ledger = support.channels().ledger(&params.channel).ok_or_else(|| {
        RequestError::Refused(format!("failed to find ledger for channel: {}", params.channel))
    })?;
    let (simulator, history) = ledger_access::open(&ledger, &params.tx_id);
    params.simulator = Some(simulator);
    params.history = history;
    Ok(params)
}
