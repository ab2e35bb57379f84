//! Builds: one at a time per package, shared by all callers, kept across restarts, put into place by one rename.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::ProcessConfig;
use super::folders::{Folders, remove_tree};
use crate::build_hash::build_hash;
use crate::error::{Phase, VmError};
use crate::job::{Job, JobRunner};
use crate::output::Stream;
use crate::single_flight::SingleFlight;
use crate::stage::{Stage, Stages};
use crate::unpack::{UnpackError, checked_name, unpack};
use crate::vm::{BuildPlan, ChaincodeSource, PlatformBuilder};

/// A finished build.
#[derive(Debug, Clone)]
pub(super) struct Build {
    /// What the build command left in `$CHAINCODE_OUTPUT`.
    pub output: PathBuf,
    /// The platform's launch arguments.
    pub launch: Vec<String>,
}

/// Names of the folders that belong to one build.
pub(super) struct Place {
    /// Of the chaincode's version.
    pub name: String,
    /// Of the chaincode.
    pub cache: String,
}

pub(super) struct Builds {
    platforms: Arc<dyn PlatformBuilder>,
    builder: Arc<Builder>,
    flights: SingleFlight<PathBuf, PathBuf>,
}

impl Builds {
    pub(super) fn new(
        platforms: Arc<dyn PlatformBuilder>,
        config: Arc<ProcessConfig>,
        folders: Arc<Folders>,
        runner: Arc<JobRunner>,
        stages: Arc<Stages>,
    ) -> Self {
        let builder = Arc::new(Builder {
            config,
            folders,
            runner,
            stages,
        });
        Self {
            platforms,
            builder,
            flights: SingleFlight::default(),
        }
    }

    /// The build of that package: an old one, the one at work, or a new one.
    pub(super) async fn ensure(&self, at: Place, source: &ChaincodeSource) -> Result<Build, VmError> {
        let plan = self.platforms.build_plan(source).await.map_err(VmError::Plan)?;
        let place = self
            .builder
            .folders
            .build(&at.name, &build_hash(source, &plan, &[]));
        let launch = plan.launch.clone();
        let builder = Arc::clone(&self.builder);
        let (source, folder) = (source.clone(), place.clone());
        let build = || async move { builder.find_or_build(at, &source, plan, &folder).await };
        let output = self.flights.run(place, build).await?;
        Ok(Build { output, launch })
    }

    /// No new builds from here on.
    pub(super) fn close(&self) {
        self.flights.close();
    }

    /// Waits until the builds at work have ended; the runner was told to end them.
    pub(super) async fn wait_all(&self) {
        self.flights.wait_all().await;
    }
}

struct Builder {
    config: Arc<ProcessConfig>,
    folders: Arc<Folders>,
    runner: Arc<JobRunner>,
    stages: Arc<Stages>,
}

impl Builder {
    async fn find_or_build(
        &self,
        at: Place,
        source: &ChaincodeSource,
        plan: BuildPlan,
        place: &Path,
    ) -> Result<PathBuf, VmError> {
        let output = place.join("output");
        if tokio::fs::try_exists(&output)
            .await
            .map_err(VmError::io(Phase::Build, "look for an earlier build"))?
        {
            tracing::debug!(chaincode = source.id, "chaincode is built already");
            return Ok(output);
        }
        tracing::info!(
            chaincode = source.id,
            r#type = source.chaincode_type,
            "building chaincode"
        );
        let folders = Arc::clone(&self.folders);
        let make = move || Ok((folders.new_build(&at.name)?, folders.cache(&at.cache)?));
        let (work, cache) = blocking(Phase::Unpack, "make a folder for the build", make).await?;
        let built = self.build(source, plan, (&work, &cache), place).await;
        if let Err(error) = remove_tree(work).await {
            tracing::warn!(%error, "folder of a build was not removed");
        }
        built?;
        tracing::info!(chaincode = source.id, "chaincode is built");
        Ok(output)
    }

    async fn build(
        &self,
        source: &ChaincodeSource,
        plan: BuildPlan,
        (work, cache): (&Path, &Path),
        place: &Path,
    ) -> Result<(), VmError> {
        let stage = self.stages.begin(&source.id, Phase::Unpack);
        self.prepare(source, &plan, work).await?;
        stage.enter(Phase::Build);
        let running = self
            .runner
            .start(self.job(source, plan, (work, cache), &stage))
            .await
            .map_err(VmError::io(Phase::Build, "start"))?;
        let chaincode = source.id.clone();
        match tokio::time::timeout(self.config.build_timeout, running.exit().wait()).await {
            Ok(exit) if exit.code == Some(0) => {}
            Ok(_) if self.runner.is_closed() => return Err(VmError::ShuttingDown),
            Ok(exit) => {
                return Err(VmError::Build {
                    phase: stage.phase(),
                    chaincode,
                    exit,
                });
            }
            Err(_elapsed) => {
                let last_lines = running.kill().await.last_lines;
                return Err(VmError::BuildTimeout {
                    phase: stage.phase(),
                    chaincode,
                    limit: self.config.build_timeout,
                    last_lines,
                });
            }
        }
        // `output` keeps its name inside the folder that is renamed, so a build is either there as a whole or not at all.
        let (work, place) = (work.to_owned(), place.to_owned());
        let finish = move || {
            for rest in ["input", "home", "tmp"] {
                fs::remove_dir_all(work.join(rest))?;
            }
            fs::rename(work, place)
        };
        blocking(Phase::Build, "keep the build", finish).await
    }

    /// Unpacks the package.
    async fn prepare(&self, source: &ChaincodeSource, plan: &BuildPlan, work: &Path) -> Result<(), VmError> {
        let folders = Arc::clone(&self.folders);
        let (package, files, limits) = (
            source.code_package.clone(),
            plan.files.clone(),
            self.config.unpack,
        );
        let work = work.to_owned();
        let prepare = move || -> Result<(), VmError> {
            let failed = |error| VmError::io(Phase::Unpack, "prepare the build")(error);
            let input = work.join("input");
            for folder in ["input", "output", "home", "tmp"] {
                folders.owned_folder(&work.join(folder)).map_err(failed)?;
            }
            unpack(&package, &input, &limits).map_err(|error| VmError::Unpack(Arc::new(error)))?;
            for (name, content) in &files {
                write_plan_file(&input, name, content).map_err(|error| VmError::Unpack(Arc::new(error)))?;
            }
            folders.hand_over_tree(&input).map_err(failed)
        };
        tokio::task::spawn_blocking(prepare)
            .await
            .map_err(|lost| VmError::lost(Phase::Unpack, lost))?
    }

    fn job(
        &self,
        source: &ChaincodeSource,
        plan: BuildPlan,
        (work, cache): (&Path, &Path),
        stage: &Arc<Stage>,
    ) -> Job {
        let text = |path: PathBuf| path.display().to_string();
        let mut env: BTreeMap<String, String> = self.config.environment.iter().cloned().collect();
        env.extend([
            ("HOME".to_owned(), text(work.join("home"))),
            ("TMPDIR".to_owned(), text(work.join("tmp"))),
            ("XDG_CACHE_HOME".to_owned(), text(cache.to_owned())),
            ("npm_config_cache".to_owned(), text(cache.join("npm"))),
        ]);
        env.extend(
            plan.env
                .iter()
                .filter_map(|pair| pair.split_once('='))
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        env.extend([
            ("CHAINCODE_INPUT".to_owned(), text(work.join("input"))),
            ("CHAINCODE_OUTPUT".to_owned(), text(work.join("output"))),
            stage.variable(),
        ]);
        Job {
            chaincode: source.id.clone(),
            stream: Stream::Build,
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), plan.cmd],
            env: env.into_iter().collect(),
            cwd: work.join("home"),
            readable: Vec::new(),
            writable: vec![work.to_owned(), cache.to_owned()],
            limits: self.config.build_limits_of(&source.name),
            network: !plan.offline,
            secrets: plan.secrets,
            stage: Some(Arc::clone(stage)),
        }
    }
}

/// A platform's file goes beside the package; it never replaces a file of the package. It may hold a token, so only
/// the build may read it.
fn write_plan_file(input: &Path, name: &str, content: &[u8]) -> Result<(), UnpackError> {
    // The same rules as for the package, with one exception: it may lie beside `src`.
    if checked_name(format!("src/{name}").as_bytes()).is_none() {
        return Err(UnpackError::Name(format!("{name:?}")));
    }
    let write = || -> io::Result<()> {
        let path = input.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?
            .write_all(content)
    };
    write().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => UnpackError::Duplicate(format!("{name:?}")),
        _ => UnpackError::Write(format!("{name:?}"), error),
    })
}

async fn blocking<T: Send + 'static>(
    phase: Phase,
    action: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, VmError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(VmError::io(phase, action)),
        Err(lost) => Err(VmError::lost(phase, lost)),
    }
}
