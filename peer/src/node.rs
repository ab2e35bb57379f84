//! The composition root: the one place that wires concrete types, in Fabric's start order.

mod deliver_clients;
mod incoming;
pub mod last_resort;
mod listener_tls;
pub mod plugins;
pub mod reloading;
pub mod running;
pub mod runtimes;
mod servers;
pub mod settings;
pub mod validators;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use chaincode::{ChaincodeStreamService, ChaincodeSupport, Package, PackageStore, Parts, TlsAuthority};
use channel::Channels;
use committer::TxValidator;
use container::{Phase, PlatformBuilder, Vm};
use core_config::{CoreConfig, first_local_ip};
use deliver::server::{DeliverHandler, DeliverSettings, PeerDeliverService};
use endorser::Endorser;
use handlers::{Platforms, Registry};
use ledger::LedgerProvider;
use orderer::EmbeddedOrderer;
use protos::wire_message;
use scc::{Cscc, Lscc, PackageBuilder, Qscc};
use tokio::signal::unix::{SignalKind, signal};
use tonic::service::Routes;

use self::plugins::{DefinablePlugins, PlatformPlugins};
use self::reloading::Reloader;
use self::running::Tasks;
use self::runtimes::Runtimes;
use self::servers::Bound;
use self::validators::ValidatorPlugins;
use crate::grpc::endorser_server::{EndorserParts, EndorserServer};
use crate::grpc::guarded::Guarded;
use crate::grpc::metrics::{GrpcMetrics, Shape};
use crate::grpc::plugin_admin::PluginAdminService;
use crate::operations::{self, Operations};

/// The listener for clients.
const PEER_LISTENER: &str = "peer listener";

/// Sockets that were bound before the node starts, so that a free port can be asked for. What is not given
/// is bound at the address of the configuration.
#[derive(Debug, Default)]
pub struct Listeners {
    /// The main listener.
    pub peer: Option<TcpListener>,
    /// The chaincode listener.
    pub chaincode: Option<TcpListener>,
    /// The embedded orderer's listener.
    pub orderer: Option<TcpListener>,
}

/// A running peer.
pub struct Node {
    channels: Arc<Channels>,
    support: Arc<ChaincodeSupport>,
    reloader: Reloader,
    parts: RunningParts,
}

/// The parts of a peer that have to be stopped.
#[derive(Default)]
struct RunningParts {
    operations: Option<Operations>,
    vm: Option<Arc<Runtimes>>,
    orderer: Option<EmbeddedOrderer>,
    tasks: Tasks,
}

impl RunningParts {
    /// Proposals first, then chaincode, then the orderer. The other listeners are waited for last: the streams
    /// of chaincode and of block readers end only with what serves them.
    async fn stop(&self) {
        self.tasks.stop_first(PEER_LISTENER).await;
        if let Some(vm) = &self.vm {
            vm.shutdown().await;
        }
        if let Some(orderer) = &self.orderer {
            orderer.shutdown().await;
        }
        self.tasks.stop().await;
    }
}

/// Runs a peer until SIGINT or SIGTERM, or until a part of it dies. At SIGHUP it reloads its plugins.
///
/// # Errors
/// When the peer does not start, or a part of it died.
pub async fn run(config: CoreConfig) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // from now on it does not end the process any more
    let hangup = signal(SignalKind::hangup())?;
    last_resort::arm()?;
    let node = tokio::select! {
        started = Node::start(config, Listeners::default()) => started?,
        _ = interrupt.recv() => return stopped_early(),
        _ = terminate.recv() => return stopped_early(),
    };
    let reloads = tokio::spawn(node.reloader().clone().follow(hangup));
    let died = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        died = node.failed() => Some(died),
    };
    tracing::info!("stopping");
    reloads.abort();
    node.shutdown().await?;
    match died {
        Some(part) => anyhow::bail!("{part} ended unexpectedly"),
        None => Ok(()),
    }
}

/// Nothing has been promised to anybody yet: what was started ends with the process.
#[expect(clippy::unnecessary_wraps, reason = "the end of `run`")]
fn stopped_early() -> Result<()> {
    tracing::info!("stopped while starting");
    Ok(())
}

impl Node {
    /// Starts every part of a peer.
    ///
    /// # Errors
    /// When a part cannot be started; what was started before is stopped.
    pub async fn start(config: CoreConfig, listeners: Listeners) -> Result<Self> {
        settings::check(&config)?;
        if !config.unsupported_keys().is_empty() {
            tracing::warn!(
                keys = config.unsupported_keys().join(", "),
                "configuration keys are not supported and ignored"
            );
        }
        let config = Arc::new(config);
        let foundation = {
            let config = Arc::clone(&config);
            tokio::task::spawn_blocking(move || Foundation::lay(&config)).await??
        };
        let reloader = Reloader::new(Arc::clone(&config), foundation.registry.clone());
        let channels = Arc::clone(&foundation.channels);
        let mut parts = RunningParts::default();
        match start_parts(&config, listeners, foundation, &mut parts).await {
            Ok(support) => Ok(Self {
                channels,
                support,
                reloader,
                parts,
            }),
            Err(error) => {
                parts.stop().await;
                Err(error)
            }
        }
    }

    /// The channels that the peer has joined.
    #[must_use]
    pub fn channels(&self) -> &Arc<Channels> {
        &self.channels
    }

    /// Chaincode support.
    #[must_use]
    pub fn chaincode_support(&self) -> &Arc<ChaincodeSupport> {
        &self.support
    }

    /// The loaded platforms.
    #[must_use]
    pub fn platforms(&self) -> Platforms {
        self.registry().platforms()
    }

    /// The loaded plugins.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.reloader.registry()
    }

    /// Reloads the plugins.
    #[must_use]
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Ends a chaincode version, `name:version`, and removes its build. Its package stays: the next call builds it
    /// anew.
    pub async fn remove_chaincode(&self, id: &str) {
        if let Err(not_connected) = self.support.registry().deregister(id) {
            tracing::debug!(reason = wire_message(&not_connected), "no stream to end");
        }
        if let Some(vm) = &self.parts.vm
            && let Err(error) = vm.destroy(id).await
        {
            tracing::warn!(
                error = wire_message(&error),
                chaincode = id,
                "build was not removed"
            );
        }
    }

    /// Where the operations server listens, if there is one.
    #[must_use]
    pub fn operations_address(&self) -> Option<SocketAddr> {
        self.parts.operations.as_ref().map(Operations::address)
    }

    /// Resolves with the name of a part that ended by itself.
    pub async fn failed(&self) -> String {
        self.parts.tasks.failed().await
    }

    /// Stops every part.
    ///
    /// # Errors
    /// When a part broke down.
    pub async fn shutdown(self) -> Result<()> {
        self.parts.stop().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Starts what runs, part by part; what runs already is in `parts`, also after an error.
async fn start_parts(
    config: &Arc<CoreConfig>,
    listeners: Listeners,
    foundation: Foundation,
    parts: &mut RunningParts,
) -> Result<Arc<ChaincodeSupport>> {
    let operations = operations::bind(config)?;
    parts.orderer = start_orderer(config, listeners.orderer, &parts.tasks).await?;
    let Foundation {
        registry,
        channels,
        packages,
    } = foundation;
    let (support, vm, chaincode_tls, endpoint) = chaincode_support(
        config,
        &registry,
        &channels,
        packages,
        listeners.chaincode.as_ref(),
    )?;
    parts.vm = vm;
    let tasks = &parts.tasks;
    let builds = parts.vm.clone().map(|vm| vm as Arc<dyn Vm>);
    register_system_chaincodes(config, &support, &channels, &registry, builds);

    let bound = Bound::new(listeners.chaincode, &endpoint)?;
    let service = ChaincodeStreamService::server(Arc::clone(&support));
    let grpc = GrpcMetrics::new();
    let tls = chaincode_tls.map(|authority| authority.server_config());
    tasks.serve(
        "chaincode listener",
        servers::chaincode_server(tls)?,
        Routes::new(Guarded::new(service).counted(&grpc, Shape::Stream)),
        bound,
    )?;

    let bound = Bound::new(listeners.peer, &config.peer.listen_address)?;
    let security = servers::security(&config.peer.tls, Some(&channels))?;
    let endorser = Endorser::new(endorser::Parts {
        channels: Arc::<Channels>::clone(&channels),
        chaincodes: Arc::<ChaincodeSupport>::clone(&support),
    });
    let routes = peer_routes(config, &registry, &channels, endorser.clone(), &grpc, tasks);
    tasks.serve(PEER_LISTENER, (servers::server(config), security), routes, bound)?;

    deliver_clients::follow_all(config, &channels, tasks)?;
    let sources = operations::Sources {
        registry,
        channels: Arc::clone(&channels),
        endorser,
        chaincodes: Arc::clone(&support),
        grpc,
        runtimes: parts.vm.clone(),
    };
    let operations = operations.map(|bound| bound.serve(config, sources));
    parts.operations = operations.transpose()?;
    tracing::info!(
        id = config.peer.id,
        address = config.peer.listen_address,
        chaincode_address = endpoint,
        channels = channels.list().len(),
        "peer started"
    );
    Ok(support)
}

/// What reads files and opens ledgers: all that blocks at start.
struct Foundation {
    registry: Registry,
    channels: Arc<Channels>,
    packages: Arc<PackageStore>,
}

impl Foundation {
    fn lay(config: &CoreConfig) -> Result<Self> {
        let local_msp = Arc::new(settings::local_msp(config)?);
        let registry = plugins::load(config)?;
        let provider = LedgerProvider::open(settings::ledger(config))?;
        let validators = Arc::new(ValidatorPlugins(registry.clone()));
        let pool_size = config.peer.validator_pool_size.unwrap_or_default();
        let validator = TxValidator::new(pool_size, validators)?;
        let channels = Arc::new(Channels::open(provider, local_msp, Arc::new(validator))?);
        let packages = Arc::new(PackageStore::open(&config.peer.file_system_path)?);
        Ok(Self {
            registry,
            channels,
            packages,
        })
    }
}

type Support = (
    Arc<ChaincodeSupport>,
    Option<Arc<Runtimes>>,
    Option<Arc<TlsAuthority>>,
    String,
);

fn chaincode_support(
    config: &CoreConfig,
    registry: &Registry,
    channels: &Arc<Channels>,
    packages: Arc<PackageStore>,
    listener: Option<&TcpListener>,
) -> Result<Support> {
    let dev_mode = config.chaincode.dev_mode();
    let (listen, connect) = match listener.map(TcpListener::local_addr).transpose()? {
        Some(bound) => (bound.to_string(), bound.to_string()),
        None => {
            let address = config.peer.effective_address(first_local_ip)?;
            let endpoint = config.peer.chaincode_endpoint(&address, dev_mode)?;
            if let Some(reason) = &endpoint.fallback {
                tracing::warn!(
                    reason = wire_message(reason),
                    address = endpoint.connect,
                    "chaincode address falls back"
                );
            }
            (endpoint.listen, endpoint.connect)
        }
    };
    let tls = if config.peer.tls.enabled {
        Some(Arc::new(TlsAuthority::new(&connect)?))
    } else {
        None
    };
    let vm = if dev_mode {
        None
    } else {
        let platforms: Arc<dyn PlatformBuilder> = Arc::new(PlatformPlugins(registry.clone()));
        Some(Arc::new(Runtimes::open(config, &platforms)?))
    };
    let parts = Parts {
        vm: vm.clone().map(|vm| vm as Arc<dyn Vm>),
        packages,
        channels: Arc::<Channels>::clone(channels),
        tls: tls.clone(),
    };
    let settings = settings::chaincode(config, connect);
    Ok((ChaincodeSupport::new(settings, parts), vm, tls, listen))
}

fn register_system_chaincodes(
    config: &CoreConfig,
    support: &Arc<ChaincodeSupport>,
    channels: &Arc<Channels>,
    registry: &Registry,
    vm: Option<Arc<dyn Vm>>,
) {
    let validator = Arc::new(PlatformPlugins(registry.clone()));
    let mut lscc = Lscc::new(Arc::clone(channels), Arc::clone(support.packages()), validator)
        .max_package_size(config.chaincode.max_package_size)
        .plugins(Arc::new(DefinablePlugins(registry.clone())))
        .install_limit(support.config().install_limit());
    if let Some(vm) = vm {
        lscc = lscc.builder(Arc::new(VmBuilder(vm)));
    }
    let all: [Arc<dyn chaincode::SystemChaincode>; 3] = [
        Arc::new(lscc),
        Arc::new(Cscc::new(Arc::clone(channels))),
        Arc::new(Qscc::new(Arc::clone(channels))),
    ];
    for chaincode in all {
        if config.chaincode.system_enabled(chaincode.name()) {
            support.register_system_chaincode(chaincode);
        } else {
            tracing::info!(name = chaincode.name(), "system chaincode is not enabled");
        }
    }
}

fn peer_routes(
    config: &Arc<CoreConfig>,
    registry: &Registry,
    channels: &Arc<Channels>,
    endorser: Endorser,
    grpc: &Arc<GrpcMetrics>,
    tasks: &Tasks,
) -> Routes {
    let endorser = EndorserServer::new(EndorserParts {
        plugins: registry.clone(),
        endorser: Arc::new(endorser),
        concurrency: config.peer.limits.endorser_service,
        max_recv: config.peer.max_recv_msg_size,
        max_send: config.peer.max_send_msg_size,
    });
    let deliver = DeliverHandler::new(
        Arc::<Channels>::clone(channels),
        DeliverSettings {
            time_window: config.peer.authentication_timewindow,
            mutual_tls: config.peer.tls.enabled && config.peer.tls.client_auth_required,
            no_expiration_checks: false,
            shutdown: tasks.token(),
        },
    );
    let deliver = protos::peer::deliver_server::DeliverServer::new(PeerDeliverService::new(deliver))
        .max_decoding_message_size(config.peer.max_recv_msg_size)
        .max_encoding_message_size(config.peer.max_send_msg_size);
    let admin = PluginAdminService::server(
        Reloader::new(Arc::clone(config), registry.clone()),
        Arc::clone(channels.local_msp()),
        config.peer.authentication_timewindow,
    );
    let deliver = Guarded::streams(deliver, config.peer.limits.deliver_service);
    Routes::new(Guarded::new(endorser).counted(grpc, Shape::Unary))
        .add_service(Guarded::new(admin).counted(grpc, Shape::Unary))
        .add_service(deliver.counted(grpc, Shape::Stream))
}

async fn start_orderer(
    config: &CoreConfig,
    listener: Option<TcpListener>,
    tasks: &Tasks,
) -> Result<Option<EmbeddedOrderer>> {
    if !config.orderer.enabled {
        return Ok(None);
    }
    let (signer, bootstrap) = settings::orderer_identity(config)?;
    let orderer = EmbeddedOrderer::open(settings::orderer(config), signer, bootstrap).await?;
    let bound = Bound::new(listener, &config.orderer.listen_address)?;
    let security = servers::security(&config.orderer.tls, None)?;
    tracing::info!(address = %bound.address()?, channels = ?orderer.channels(), "embedded orderer started");
    tasks.serve(
        "orderer listener",
        (servers::server(config), security),
        Routes::new(Guarded::new(orderer.service())),
        bound,
    )?;
    Ok(Some(orderer))
}

/// The runtime as LSCC sees it. The build is kept for the launch.
struct VmBuilder(Arc<dyn Vm>);

#[async_trait]
impl PackageBuilder for VmBuilder {
    async fn build(&self, package: &Package) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.deploy(&package.source()).await?)
    }

    fn phase(&self, package: &Package) -> Option<&'static str> {
        self.0.phase(&package.id().to_string()).map(Phase::word)
    }
}
