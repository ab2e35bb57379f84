//! Running chaincode containers: one per id, watched from start to end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StopContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use bollard::{body_full, models::HostConfig};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::archive::{Owner, TLS_FOLDER, tls_archive};
use super::config::DockerConfig;
use super::container::{
    Chain, Guard, OutputReader, START_KEY, exit_of, ran_out_of_memory, read_output, remove,
};
use super::engine::{SHORT, Session};
use super::error::DockerError;
use super::host_config::{has_readable_logs, host_config};
use super::images::Image;
use super::labels::{CHAINCODE, Labels, Role};
use crate::container_command::{TlsPaths, chaincode_env, container_args, launch_args};
use crate::error::{Phase, VmError};
use crate::naming::Naming;
use crate::output::{Output, Stream};
use crate::vm::{ExitWatch, StartRequest, Started};

type IdLocks = Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>;

pub(super) struct Instances {
    config: Arc<DockerConfig>,
    naming: Naming,
    labels: Labels,
    /// By chaincode id; starts and stops of one id come one after the other.
    locks: IdLocks,
    running: Mutex<BTreeMap<String, Running>>,
    /// Has a receiver for every container that is not removed yet.
    present: watch::Sender<()>,
    closed: AtomicBool,
}

struct Running {
    session: Session,
    container: String,
    exit: ExitWatch,
}

impl Instances {
    pub(super) fn new(config: Arc<DockerConfig>, naming: Naming) -> Arc<Self> {
        Arc::new(Self {
            config,
            labels: Labels::new(naming.clone()),
            naming,
            locks: Mutex::default(),
            running: Mutex::default(),
            present: watch::Sender::new(()),
            closed: AtomicBool::new(false),
        })
    }

    /// Creates and starts the container of a built image. The error tells whether the image was not there.
    pub(super) async fn start(
        self: &Arc<Self>,
        session: Session,
        image: Image,
        request: StartRequest,
    ) -> Result<Started, StartError> {
        // Held from here on: whoever asks for a stop later stops what is started here.
        let held = self.lock(&request.chaincode_id).lock_owned().await;
        let presence = self.present.subscribe();
        if self.closed.load(Ordering::Acquire) {
            return Err(VmError::ShuttingDown.into());
        }
        let this = Arc::clone(self);
        // Its own task: a caller that gives up must not leave a container that no list knows.
        let launch = async move {
            let id = request.chaincode_id.as_str();
            let end = || async {
                this.end(&session, id)
                    .await
                    .map_err(VmError::docker(Phase::Start, id))
            };
            end().await?;
            let started = this.launch(session.clone(), &image, &request).await?;
            if this.closed.load(Ordering::Acquire) {
                end().await?;
            }
            drop((held, presence));
            Ok(started)
        };
        match tokio::spawn(launch).await {
            Ok(started) => started,
            Err(lost) => Err(VmError::lost(Phase::Start, lost).into()),
        }
    }

    /// Ends and removes the container of that id, if there is one.
    pub(super) async fn stop(&self, session: Option<Session>, id: &str) -> Result<(), VmError> {
        let lock = self.lock(id);
        let _held = lock.lock().await;
        let known = self.running.lock().get(id).map(|running| running.session.clone());
        let Some(session) = known.or(session) else {
            return Ok(());
        };
        self.end(&session, id)
            .await
            .map_err(VmError::docker(Phase::Stop, id))
    }

    /// Ends them all at the same time, and waits until they are removed. No new ones from here on.
    pub(super) async fn stop_all(&self) {
        self.closed.store(true, Ordering::Release);
        let ids: Vec<String> = self.running.lock().keys().cloned().collect();
        let stops = ids.iter().map(|id| self.stop(None, id));
        for (id, stopped) in ids.iter().zip(join_all(stops).await) {
            if let Err(error) = stopped {
                tracing::warn!(%error, chaincode = id, "chaincode was not stopped");
            }
        }
        self.present.closed().await;
    }

    fn lock(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock();
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(id.to_owned()).or_default())
    }

    /// Stop, kill, remove, as Fabric does; a container that is not there is fine, one of another peer is not touched.
    async fn end(&self, session: &Session, id: &str) -> Result<(), DockerError> {
        let name = self.naming.container_name(id);
        let found = session
            .ask(
                "inspect container",
                session.docker().inspect_container(&name, None),
            )
            .await;
        let found = match found {
            Err(error) if error.is_not_found() => return Ok(()),
            found => found?,
        };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        if self.labels.are_anothers(&labels) {
            return Err(DockerError::Refused {
                action: format!("container {name}"),
                message: "it belongs to another peer: give each peer of an engine its own peer.id".to_owned(),
                status: None,
                last_lines: Vec::new(),
            });
        }
        let whose = labels.get(CHAINCODE).filter(|other| other.as_str() != id);
        if let Some(other) = whose.filter(|other| self.is_running(other)) {
            return Err(DockerError::Refused {
                action: format!("container {name}"),
                message: format!(
                    "its name is that of chaincode {other}, too, which runs in it: choose a name or version that differs \
                     in more than punctuation"
                ),
                status: None,
                last_lines: Vec::new(),
            });
        }
        let container = found.id.unwrap_or(name);
        let grace = self.config.stop_grace;
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let stop = session.docker().stop_container(&container, Some(options));
        let stopped = session
            .call("stop container", grace.saturating_add(SHORT), "fixed", stop)
            .await;
        if let Err(error) = stopped {
            tracing::debug!(error = %Chain(&error), container, "container did not stop and is killed");
        }
        super::container::try_remove(session, &container).await
    }

    async fn launch(
        self: &Arc<Self>,
        session: Session,
        image: &Image,
        request: &StartRequest,
    ) -> Result<Started, StartError> {
        let id = request.chaincode_id.as_str();
        let failed = |error| VmError::docker(Phase::Start, id)(error);
        let host = host_config(&self.config.host_config, self.config.own(&request.source.name))
            .map_err(|error| failed(DockerError::context("Error creating container", error)))?;
        let readable_logs = has_readable_logs(&host);
        let read_only = host.readonly_rootfs == Some(true);
        let body = self.body(image, request, host, read_only)?;
        let options = CreateContainerOptionsBuilder::new()
            .name(&self.naming.container_name(id))
            .build();
        let create = session.docker().create_container(Some(options), body);
        let created = self.call(&session, "Error creating container", create).await;
        let created = match created {
            Err(error) if error.is_no_such_image() => return Err(StartError::NoSuchImage(failed(error))),
            created => created.map_err(failed)?,
        };
        let guard = Guard::new(session.clone(), created.id);
        let log = self.config.logs.as_ref();
        let log = log.map(|logs| logs.writer(&Handle::current(), id, Stream::Run));
        let output = Arc::new(Output::new(
            id.to_owned(),
            Stream::Run,
            Vec::new(),
            log,
            self.config.attach_stdout,
            None,
        ));
        let reader = self
            .attach(&session, guard.id(), readable_logs, &output)
            .await
            .map_err(failed)?;
        if let Some(tls) = &request.tls {
            let owner = Owner::of_image(&image.user);
            let archive = tls_archive(tls, owner, !read_only);
            let upload = self.upload_tls(&session, guard.id(), archive, read_only);
            upload.await.map_err(failed)?;
        }
        let start = session.docker().start_container(guard.id(), None);
        self.call(&session, "start-could not start container", start)
            .await
            .map_err(failed)?;
        tracing::info!(
            chaincode = id,
            container = guard.id(),
            "chaincode container started"
        );
        Ok(self.watch(session, guard, id, (reader, output)))
    }

    fn body(
        &self,
        image: &Image,
        request: &StartRequest,
        host: HostConfig,
        read_only: bool,
    ) -> Result<ContainerCreateBody, VmError> {
        let args = if image.launch.is_empty() {
            container_args(&request.source.chaincode_type, &request.peer_address)
        } else {
            launch_args(&image.launch, &request.peer_address)
        };
        let args = args.map_err(|error| VmError::Launch(error.to_string()))?;
        let tls = request.tls.as_ref().map(|_| TlsPaths::in_folder(TLS_FOLDER));
        let env = chaincode_env(request, tls.as_ref());
        // Nothing can be uploaded into a read-only file system, but into a volume that lies on it; this one has no
        // name and goes with its container.
        let volumes = (read_only && tls.is_some()).then(|| vec![TLS_FOLDER.to_owned()]);
        Ok(ContainerCreateBody {
            image: Some(image.name.clone()),
            cmd: Some(args),
            env: Some(
                env.into_iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect(),
            ),
            attach_stdout: Some(self.config.attach_stdout),
            attach_stderr: Some(self.config.attach_stdout),
            labels: Some(self.labels.container(&request.chaincode_id, Role::Chaincode)),
            volumes,
            host_config: Some(host),
            ..ContainerCreateBody::default()
        })
    }

    async fn attach(
        &self,
        session: &Session,
        container: &str,
        readable_logs: bool,
        output: &Arc<Output>,
    ) -> Result<OutputReader, DockerError> {
        let options = AttachContainerOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .stream(true)
            .logs(readable_logs)
            .build();
        let attach = session.docker().attach_container(container, Some(options));
        let attached = self.call(session, "Error attaching to container", attach).await?;
        Ok(read_output(attached.output, Arc::clone(output)))
    }

    async fn upload_tls(
        &self,
        session: &Session,
        container: &str,
        archive: std::io::Result<Vec<u8>>,
        read_only: bool,
    ) -> Result<(), DockerError> {
        let action = format!("Error uploading files to the container instance {container}");
        let archive = archive.map_err(|error| DockerError::context(&action, error))?;
        let folder = if read_only { TLS_FOLDER } else { "/" };
        let options = UploadToContainerOptionsBuilder::new().path(folder).build();
        let upload =
            session
                .docker()
                .upload_to_container(container, Some(options), body_full(archive.into()));
        self.call(session, &action, upload).await
    }

    async fn call<T>(
        &self,
        session: &Session,
        action: &str,
        answer: impl Future<Output = Result<T, bollard::errors::Error>> + Send,
    ) -> Result<T, DockerError> {
        session
            .call(action, self.config.start_timeout, START_KEY, answer)
            .await
    }

    fn watch(
        self: &Arc<Self>,
        session: Session,
        guard: Guard,
        id: &str,
        (reader, output): (OutputReader, Arc<Output>),
    ) -> Started {
        let (publish, exit) = ExitWatch::new();
        let container = guard.keep();
        let running = Running {
            session: session.clone(),
            container: container.clone(),
            exit: exit.clone(),
        };
        self.running.lock().insert(id.to_owned(), running);
        let (this, id, presence) = (Arc::clone(self), id.to_owned(), self.present.subscribe());
        tokio::spawn(async move {
            let mut ended = exit_of(&session, &container).await;
            reader.finish().await;
            ended.out_of_memory = ran_out_of_memory(&session, &container).await;
            ended.last_lines = output.last_lines();
            tracing::info!(
                chaincode = id,
                code = ended.code,
                out_of_memory = ended.out_of_memory,
                "chaincode container ended"
            );
            publish.send_replace(Some(ended));
            remove(&session, &container).await;
            this.forget(&id, &container);
            drop(presence);
        });
        Started { exit }
    }

    fn forget(&self, id: &str, container: &str) {
        let mut running = self.running.lock();
        if running
            .get(id)
            .is_some_and(|running| running.container == container)
        {
            running.remove(id);
        }
    }

    /// Whether a container of that id was started and has not ended.
    pub(super) fn is_running(&self, id: &str) -> bool {
        let running = self.running.lock();
        running
            .get(id)
            .is_some_and(|running| running.exit.try_get().is_none())
    }
}

/// Why a container was not started.
pub(super) enum StartError {
    /// Its image is not there (any more).
    NoSuchImage(VmError),
    /// Anything else.
    Other(VmError),
}

impl From<VmError> for StartError {
    fn from(error: VmError) -> Self {
        Self::Other(error)
    }
}

impl From<StartError> for VmError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NoSuchImage(error) | StartError::Other(error) => error,
        }
    }
}
