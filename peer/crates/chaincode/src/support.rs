//! Chaincode as the rest of the peer sees it: executes transactions, launching what is not running.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use container::Vm;
use parking_lot::RwLock;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::{ChaincodeData, ChaincodeInput, ChaincodeMessage, Response};
use protos::{ChaincodeId, TxId};
use tokio_stream::Stream;
use tonic::Status;

use crate::channel_access::ChannelAccess;
use crate::config::Config;
use crate::definition::{self, DefinitionError};
use crate::handler::{Call, ChaincodeHandler, Outbound, SendingError, crash};
use crate::launch_state::LaunchFailure;
use crate::launcher::RuntimeLauncher;
use crate::metrics::Metrics;
use crate::packages::PackageStore;
use crate::registry::HandlerRegistry;
use crate::stream::{CertificateHash, ChaincodeStream, StreamError};
use crate::system::{SccOutcome, SystemChaincode};
use crate::tls::TlsAuthority;
use crate::transaction::{ExecuteOutcome, Invocation, InvocationKind, TransactionParams};

/// How long a transaction that lost its stream waits to learn how the process ended: the two arrive on
/// different ways, almost at once.
const EXIT_GRACE: Duration = Duration::from_millis(500);

/// Why an execution yields no response.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The chaincode could not be run, or did not answer.
    #[error("failed to execute transaction {tx_id}")]
    Failed {
        /// The transaction.
        tx_id: TxId,
        /// Why.
        #[source]
        source: Box<InvokeError>,
    },
    /// The answer is not a response.
    #[error("failed to unmarshal response for transaction {tx_id}")]
    Undecodable {
        /// The transaction.
        tx_id: TxId,
        /// What the decoder said.
        #[source]
        source: prost::DecodeError,
    },
    /// The chaincode answered ERROR.
    #[error("transaction returned with failure: {0}")]
    Returned(String),
}

/// Why a chaincode could not be run.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The call is not possible as it stands.
    #[error("invalid invocation")]
    Invalid(#[source] InvalidInvocation),
    /// The chaincode is not running and could not be launched.
    #[error("could not launch chaincode {chaincode}")]
    Launch {
        /// The chaincode.
        chaincode: ChaincodeId,
        /// Why; all callers that waited share it.
        #[source]
        source: Arc<LaunchFailure>,
    },
    /// It was launched and has gone again.
    #[error("claimed to start chaincode container for {0} but could not find handler")]
    Vanished(ChaincodeId),
    /// It did not answer.
    #[error("error sending")]
    Sending(#[source] SendingError),
}

/// Why a call is not possible.
#[derive(Debug, thiserror::Error)]
pub enum InvalidInvocation {
    /// The called chaincode has no usable definition.
    #[error("[channel {channel}] failed to get chaincode container info for {name}")]
    Definition {
        /// The channel.
        channel: String,
        /// The chaincode.
        name: String,
        /// Why.
        #[source]
        source: Box<DefinitionError>,
    },
    /// A chaincode of the 1.x lifecycle is called as init.
    #[error("chaincode '{0}' does not require initialization but called as init")]
    NoInit(String),
}

/// What chaincode support is made of.
pub struct Parts {
    /// The runtime; none in dev mode.
    pub vm: Option<Arc<dyn Vm>>,
    /// The installed packages.
    pub packages: Arc<PackageStore>,
    /// The peer's channels.
    pub channels: Arc<dyn ChannelAccess>,
    /// Identities for chaincode; none when the chaincode listener has no TLS.
    pub tls: Option<Arc<TlsAuthority>>,
}

/// Chaincode support. One per peer.
pub struct ChaincodeSupport {
    config: Config,
    registry: Arc<HandlerRegistry>,
    launcher: Arc<RuntimeLauncher>,
    packages: Arc<PackageStore>,
    channels: Arc<dyn ChannelAccess>,
    tls: Option<Arc<TlsAuthority>>,
    system: RwLock<HashMap<&'static str, Arc<dyn SystemChaincode>>>,
    metrics: Arc<Metrics>,
    this: Weak<ChaincodeSupport>,
}

impl ChaincodeSupport {
    /// Puts chaincode support together. Nothing runs yet.
    #[must_use]
    pub fn new(config: Config, parts: Parts) -> Arc<Self> {
        let config = config.with_fabrics_bounds();
        let registry = Arc::new(HandlerRegistry::new(config.dev_mode));
        let metrics = Arc::new(Metrics::new());
        let launcher = RuntimeLauncher::new(
            config.clone(),
            parts.vm,
            registry.clone(),
            parts.packages.clone(),
            parts.tls.clone(),
            metrics.clone(),
        );
        Arc::new_cyclic(|this| Self {
            config,
            registry,
            launcher: Arc::new(launcher),
            packages: parts.packages,
            channels: parts.channels,
            tls: parts.tls,
            system: RwLock::default(),
            metrics,
            this: this.clone(),
        })
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The installed packages.
    #[must_use]
    pub fn packages(&self) -> &Arc<PackageStore> {
        &self.packages
    }

    /// What is connected and being launched.
    #[must_use]
    pub fn registry(&self) -> &HandlerRegistry {
        &self.registry
    }

    /// What has been counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    #[cfg(test)]
    pub(crate) fn launcher(&self) -> &Arc<RuntimeLauncher> {
        &self.launcher
    }

    pub(crate) fn channels(&self) -> &dyn ChannelAccess {
        self.channels.as_ref()
    }

    pub(crate) fn tls(&self) -> Option<&TlsAuthority> {
        self.tls.as_deref()
    }

    /// Adds a system chaincode.
    pub fn register_system_chaincode(&self, chaincode: Arc<dyn SystemChaincode>) {
        self.system.write().insert(chaincode.name(), chaincode);
    }

    /// The system chaincode of this name.
    #[must_use]
    pub fn system_chaincode(&self, name: &str) -> Option<Arc<dyn SystemChaincode>> {
        self.system.read().get(name).cloned()
    }

    /// Whether a name belongs to a system chaincode.
    #[must_use]
    pub fn is_system_chaincode(&self, name: &str) -> bool {
        self.system.read().contains_key(name)
    }

    /// Reads the definition of a chaincode through the transaction's simulator, so that the read is part of
    /// the read-write set. Reads the ledger: not for the async path.
    ///
    /// # Errors
    /// When there is no ledger, no definition or an unreadable one.
    pub fn definition(
        &self,
        params: &TransactionParams,
        name: &str,
    ) -> Result<ChaincodeData, DefinitionError> {
        definition::read(self.channels(), params, name)
    }

    /// Runs user or system chaincode. User chaincode is launched if it is not running.
    ///
    /// # Errors
    /// When it could not be run, did not answer in time or answered ERROR.
    pub async fn execute(
        &self,
        params: Arc<TransactionParams>,
        invocation: Invocation,
    ) -> Result<ExecuteOutcome, ExecuteError> {
        let tx_id = params.tx_id.clone();
        let name = invocation.chaincode.name.clone();
        let failed = |source| ExecuteError::Failed {
            tx_id: tx_id.clone(),
            source: Box::new(source),
        };
        check_init(&invocation).map_err(failed)?;
        let mut outcome = match self.system_chaincode(&name) {
            Some(system) => {
                let answer = self
                    .invoke_system(system.as_ref(), &params, &invocation.input)
                    .await;
                let SccOutcome { response, event } = answer.map_err(failed)?;
                ExecuteOutcome { response, event }
            }
            None => {
                let message = self.invoke(params, invocation).await.map_err(failed)?;
                outcome_of(&tx_id, message)?
            }
        };
        if let Some(event) = &mut outcome.event {
            event.chaincode_id = name.to_string();
            event.tx_id = tx_id.to_string();
        }
        Ok(outcome)
    }

    /// Runs what one chaincode calls by name. User chaincode runs in the version that its definition says.
    pub(crate) async fn invoke_by_name(
        &self,
        params: Arc<TransactionParams>,
        name: &str,
        input: ChaincodeInput,
    ) -> Result<ChaincodeMessage, InvokeError> {
        let system = self.system_chaincode(name);
        let chaincode = match &system {
            Some(_) => ChaincodeId::new(name, ""),
            None => self.defined(&params, name).await?,
        };
        let invocation = Invocation {
            chaincode,
            input,
            kind: InvocationKind::Transaction,
        };
        check_init(&invocation)?;
        let Some(system) = system else {
            return self.invoke(params, invocation).await;
        };
        let outcome = self
            .invoke_system(system.as_ref(), &params, &invocation.input)
            .await?;
        Ok(completed(&params, &outcome.response))
    }

    /// The version that the definition names, if the installed package fits the definition.
    async fn defined(&self, params: &Arc<TransactionParams>, name: &str) -> Result<ChaincodeId, InvokeError> {
        let (packages, channels) = (self.packages.clone(), self.channels.clone());
        let (shared, wanted) = (params.clone(), name.to_owned());
        let checked = tokio::task::spawn_blocking(move || {
            let definition = definition::read(channels.as_ref(), &shared, &wanted)?;
            packages.check(&definition).map_err(DefinitionError::Security)?;
            Ok(definition)
        });
        let result = checked
            .await
            .unwrap_or_else(|lost| Err(DefinitionError::Lost(lost)));
        let definition = result.map_err(|source| {
            InvokeError::Invalid(InvalidInvocation::Definition {
                channel: params.channel.to_string(),
                name: name.into(),
                source: Box::new(source),
            })
        })?;
        Ok(ChaincodeId::new(name, &definition.version))
    }

    async fn invoke(
        &self,
        params: Arc<TransactionParams>,
        invocation: Invocation,
    ) -> Result<ChaincodeMessage, InvokeError> {
        let Invocation {
            chaincode,
            input,
            kind,
        } = invocation;
        let handler = self.launched(&chaincode).await?;
        let function = input.args.first().map_or(&[][..], Bytes::as_ref);
        let call = Call {
            params,
            namespace: chaincode.name.clone(),
            kind,
            timeout: self.config.timeout_of(&chaincode.name, function),
            input: input.encode_to_vec().into(),
        };
        let launch = self.registry.launch(handler.name());
        let error = match handler.execute(call).await {
            Ok(message) => return Ok(message),
            Err(SendingError::StreamTerminated(_)) => {
                let exit = launch.and_then(|launch| launch.exit());
                let exit = match exit {
                    Some(exit) => tokio::time::timeout(EXIT_GRACE, exit.wait()).await.ok(),
                    None => None,
                };
                SendingError::StreamTerminated(exit.map(crash))
            }
            Err(error) => error,
        };
        if matches!(error, SendingError::Timeout) {
            self.metrics.execute_timeout(handler.name());
        }
        Err(InvokeError::Sending(error))
    }

    /// The handler of a chaincode that is ready, launched if need be.
    async fn launched(&self, chaincode: &ChaincodeId) -> Result<Arc<ChaincodeHandler>, InvokeError> {
        let registered = chaincode.to_string();
        if let Some(handler) = self.registry.ready_handler(&registered) {
            return Ok(handler);
        }
        let launched = self.launcher.launch(chaincode).await;
        launched.map_err(|source| InvokeError::Launch {
            chaincode: chaincode.clone(),
            source,
        })?;
        self.registry
            .ready_handler(&registered)
            .ok_or_else(|| InvokeError::Vanished(chaincode.clone()))
    }

    async fn invoke_system(
        &self,
        system: &dyn SystemChaincode,
        params: &TransactionParams,
        input: &ChaincodeInput,
    ) -> Result<SccOutcome, InvokeError> {
        let function = input.args.first().map_or(&[][..], Bytes::as_ref);
        let limit = self.config.timeout_of(system.name(), function);
        let outcome = tokio::time::timeout(limit, system.invoke(params, input)).await;
        outcome.map_err(|_elapsed| {
            self.metrics.execute_timeout(system.name());
            InvokeError::Sending(SendingError::Timeout)
        })
    }

    /// Serves one chaincode stream to its end, whatever it comes over.
    ///
    /// # Errors
    /// When it did not end by the chaincode closing it. The chaincode has been told already.
    pub async fn serve_stream<S>(
        &self,
        inbound: S,
        outbound: Outbound,
        certificate: Option<CertificateHash>,
    ) -> Result<(), StreamError>
    where
        S: Stream<Item = Result<ChaincodeMessage, Status>> + Send + Unpin,
    {
        let Some(this) = self.this.upgrade() else {
            return Ok(());
        };
        ChaincodeStream::new(this, outbound, certificate)
            .run(inbound)
            .await
    }
}

/// Nothing that runs here has an initialization of the 2.x lifecycle.
fn check_init(invocation: &Invocation) -> Result<(), InvokeError> {
    if invocation.kind == InvocationKind::Transaction && invocation.input.is_init {
        let name = invocation.chaincode.name.to_string();
        return Err(InvokeError::Invalid(InvalidInvocation::NoInit(name)));
    }
    Ok(())
}

fn outcome_of(tx_id: &TxId, message: ChaincodeMessage) -> Result<ExecuteOutcome, ExecuteError> {
    if message.r#type != i32::from(Type::Completed) {
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        return Err(ExecuteError::Returned(text));
    }
    let response = Response::decode(message.payload).map_err(|source| ExecuteError::Undecodable {
        tx_id: tx_id.clone(),
        source,
    })?;
    Ok(ExecuteOutcome {
        response,
        event: message.chaincode_event,
    })
}

fn completed(params: &TransactionParams, response: &Response) -> ChaincodeMessage {
    ChaincodeMessage {
        r#type: Type::Completed.into(),
        payload: response.encode_to_vec().into(),
        txid: params.tx_id.to_string(),
        channel_id: params.channel.to_string(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
