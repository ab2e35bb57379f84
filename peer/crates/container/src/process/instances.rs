//! Running chaincode: one instance per id, its private folder with TLS material, its end.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::builds::Build;
use super::config::ProcessConfig;
use super::folders::{Folders, remove_tree};
use crate::container_command::{TlsPaths, chaincode_env, launch_args};
use crate::error::{Phase, VmError};
use crate::job::{Job, JobRunner, RunningJob};
use crate::output::Stream;
use crate::vm::{StartRequest, Started, TlsFiles};

pub(super) struct Instances {
    config: Arc<ProcessConfig>,
    folders: Arc<Folders>,
    runner: Arc<JobRunner>,
    running: Arc<Mutex<BTreeMap<String, Arc<RunningJob>>>>,
    /// Has a receiver for every instance that is not cleaned up yet.
    present: watch::Sender<()>,
}

impl Instances {
    pub(super) fn new(config: Arc<ProcessConfig>, folders: Arc<Folders>, runner: Arc<JobRunner>) -> Self {
        Self {
            config,
            folders,
            runner,
            running: Arc::default(),
            present: watch::Sender::new(()),
        }
    }

    /// Starts an instance; one that took the id in the meantime is ended.
    pub(super) async fn start(
        &self,
        name: String,
        build: Build,
        request: StartRequest,
    ) -> Result<Started, VmError> {
        let argv = launch_args(&build.launch, &request.peer_address)
            .map_err(|error| VmError::Launch(error.to_string()))?;
        if argv.is_empty() {
            return Err(VmError::Launch(
                "the platform gave no launch arguments".to_owned(),
            ));
        }
        let (folders, tls) = (Arc::clone(&self.folders), request.tls.clone());
        let prepare = move || prepare_folder(&folders, &name, tls.as_ref());
        let (run, tls) = tokio::task::spawn_blocking(prepare)
            .await
            .map_err(|lost| VmError::lost(Phase::Start, lost))?
            .map_err(VmError::io(Phase::Start, "prepare the folder of the chaincode"))?;
        let job = self.job(&request, argv, &build.output, &run, tls.as_ref());
        let runner = Arc::clone(&self.runner);
        let running = Arc::clone(&self.running);
        let presence = self.present.subscribe();
        let id = request.chaincode_id;
        // Its own task: a caller that gives up must not leave a process that no list knows.
        let launch = async move {
            let job = Arc::new(
                runner
                    .start(job)
                    .await
                    .map_err(VmError::io(Phase::Start, "start-could not start container"))?,
            );
            let exit = job.exit().clone();
            let old = running.lock().insert(id.clone(), Arc::clone(&job));
            if let Some(old) = old {
                old.stop().await;
            }
            tracing::info!(chaincode = id, "chaincode process started");
            tokio::spawn(async move {
                clean_up(running, id, job, run).await;
                drop(presence);
            });
            Ok(Started { exit })
        };
        tokio::spawn(launch)
            .await
            .map_err(|lost| VmError::lost(Phase::Start, lost))?
    }

    /// Ends the instance of that id, if there is one.
    pub(super) async fn stop(&self, id: &str) {
        let job = self.running.lock().get(id).cloned();
        if let Some(job) = job {
            job.stop().await;
        }
    }

    /// Ends them all, at the same time, and waits until their keys are gone from the disk.
    pub(super) async fn stop_all(&self) {
        let jobs: Vec<_> = self.running.lock().values().cloned().collect();
        join_all(jobs.iter().map(|job| job.stop())).await;
        self.present.closed().await;
    }

    fn job(
        &self,
        request: &StartRequest,
        argv: Vec<String>,
        output: &Path,
        run: &Path,
        tls: Option<&TlsPaths>,
    ) -> Job {
        let mut env = chaincode_env(request, tls);
        env.extend(self.config.environment.iter().cloned());
        env.push(("HOME".to_owned(), run.join("home").display().to_string()));
        env.push(("TMPDIR".to_owned(), run.join("tmp").display().to_string()));
        Job {
            chaincode: request.chaincode_id.clone(),
            stream: Stream::Run,
            argv,
            env,
            cwd: output.to_owned(),
            readable: vec![output.to_owned(), run.join("tls")],
            writable: vec![run.join("home"), run.join("tmp")],
            limits: self.config.limits_of(&request.source.name),
            network: true,
            secrets: Vec::new(),
            stage: None,
        }
    }
}

/// Waits for the end, then takes the instance off the list and removes its folder with the key in it.
async fn clean_up(
    running: Arc<Mutex<BTreeMap<String, Arc<RunningJob>>>>,
    id: String,
    job: Arc<RunningJob>,
    run: PathBuf,
) {
    let exit = job.exit().wait().await;
    {
        let mut running = running.lock();
        if running.get(&id).is_some_and(|current| Arc::ptr_eq(current, &job)) {
            running.remove(&id);
        }
    }
    tracing::info!(
        chaincode = id,
        code = exit.code,
        signal = exit.signal,
        out_of_memory = exit.out_of_memory,
        "chaincode process ended"
    );
    if let Err(error) = remove_tree(run).await {
        tracing::warn!(%error, chaincode = id, "folder of a chaincode process was not removed");
    }
}

fn prepare_folder(
    folders: &Folders,
    name: &str,
    tls: Option<&TlsFiles>,
) -> io::Result<(PathBuf, Option<TlsPaths>)> {
    let run = folders.new_run(name)?;
    for folder in ["home", "tmp", "tls"] {
        folders.owned_folder(&run.join(folder))?;
    }
    let Some(tls) = tls else { return Ok((run, None)) };
    let paths = TlsPaths::in_folder(&run.join("tls").display().to_string());
    let files = [
        (&paths.key_path, STANDARD.encode(&tls.client_key_pem).into_bytes()),
        (
            &paths.cert_path,
            STANDARD.encode(&tls.client_cert_pem).into_bytes(),
        ),
        (&paths.key_file, tls.client_key_pem.clone()),
        (&paths.cert_file, tls.client_cert_pem.clone()),
        (&paths.root_cert_file, tls.root_cert_pem.clone()),
    ];
    for (path, content) in files {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(path)?
            .write_all(&content)?;
        folders.hand_over(Path::new(path))?;
    }
    Ok((run, Some(paths)))
}
