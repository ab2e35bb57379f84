//! The second half of a deployment: once LSCC accepts it, the deployed chaincode's `Init` runs in the same
//! transaction.

use std::sync::Arc;

use bytes::Bytes;
use chaincode::{ExecuteError, Invocation, InvocationKind, TransactionParams};
use prost::Message;
use protos::ChaincodeId;
use protos::peer::ChaincodeDeploymentSpec;
use protos::peer::chaincode_spec::Type;

use crate::executor::Executor;
use crate::simulate::ERROR_THRESHOLD;

/// Why a deployment fails after LSCC has accepted it.
#[derive(Debug, thiserror::Error)]
pub enum LegacyInitError {
    /// The deployment spec does not decode.
    #[error("error unmarshalling ChaincodeDeploymentSpec")]
    Undecodable(#[source] prost::DecodeError),
    /// Nobody can run a chaincode of no type.
    #[error("Unknown chaincodeType: UNDEFINED")]
    UndefinedType,
    /// The name is taken.
    #[error("attempting to deploy a system chaincode {chaincode}/{channel}")]
    SystemChaincode {
        /// The name.
        chaincode: String,
        /// The channel.
        channel: String,
    },
    /// Code travels by install, never by deploy.
    #[error("lscc upgrade/deploy should not include a code packages")]
    CodePackage,
    /// The chaincode could not be run.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The chaincode refused. Newer shims answer so, and Fabric does not look; refusing here is this peer's choice.
    #[error("transaction returned with failure: {0}")]
    Refused(String),
}

/// Runs `Init` if the arguments of LSCC are those of a deployment.
pub(crate) async fn run(
    executor: &dyn Executor,
    params: &Arc<TransactionParams>,
    args: &[Bytes],
) -> Result<(), LegacyInitError> {
    let [function, _channel, spec, ..] = args else {
        return Ok(());
    };
    if !matches!(function.as_ref(), b"deploy" | b"upgrade") {
        return Ok(());
    }
    let invocation = invocation(executor, params, spec.clone())?;
    let outcome = executor.execute(Arc::clone(params), invocation).await?;
    if outcome.response.status >= ERROR_THRESHOLD {
        return Err(LegacyInitError::Refused(outcome.response.message));
    }
    Ok(())
}

fn invocation(
    executor: &dyn Executor,
    params: &TransactionParams,
    spec: Bytes,
) -> Result<Invocation, LegacyInitError> {
    let deployment = ChaincodeDeploymentSpec::decode(spec).map_err(LegacyInitError::Undecodable)?;
    let spec = deployment.chaincode_spec.unwrap_or_default();
    let id = spec.chaincode_id.clone().unwrap_or_default();
    if spec.r#type() == Type::Undefined {
        return Err(LegacyInitError::UndefinedType);
    }
    if executor.is_system_chaincode(&id.name) {
        return Err(LegacyInitError::SystemChaincode {
            chaincode: id.name,
            channel: params.channel.to_string(),
        });
    }
    if !deployment.code_package.is_empty() {
        return Err(LegacyInitError::CodePackage);
    }
    let mut input = spec.input.unwrap_or_default();
    // decorations are the peer's to make, and what the client wrote there is not
    input.decorations.clear();
    Ok(Invocation {
        chaincode: ChaincodeId::new(&id.name, &id.version),
        input,
        kind: InvocationKind::Init,
    })
}
