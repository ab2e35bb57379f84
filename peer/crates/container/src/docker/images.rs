//! Images of chaincode: built when they are not there or were built from something else, once for all who ask.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bollard::models::ImageInspect;
use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptionsBuilder};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::builder_container::BuilderContainer;
use super::config::DockerConfig;
use super::contact::Contact;
use super::engine::{Session, within};
use super::error::DockerError;
use super::host_config::host_config;
use super::labels::{BUILD, Labels};
use super::pull::{PullPolicy, Puller, base_images};
use super::upload::streamed;
use crate::build_context::build_context;
use crate::build_hash::build_hash;
use crate::dockerfile::generate_dockerfile;
use crate::error::{Phase, VmError};
use crate::naming::Naming;
use crate::output::{Output, Stream};
use crate::single_flight::SingleFlight;
use crate::stage::{Stage, Stages};
use crate::unpack;
use crate::vm::{BuildPlan, ChaincodeSource, PlatformBuilder};

/// Where the limit of a build is set.
pub(super) const BUILD_KEY: &str = "vm.docker.buildTimeout";
/// What a build leaves behind, under the name that Dockerfiles add.
const BINARY_PACKAGE: &str = "binpackage.tar";

/// An image that can be started.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) name: String,
    /// The user that its configuration names.
    pub(super) user: String,
    /// The platform's arguments for a container; none: Fabric's own.
    pub(super) launch: Vec<String>,
}

pub(super) struct Images {
    platforms: Arc<dyn PlatformBuilder>,
    naming: Naming,
    builder: Arc<Builder>,
    flights: SingleFlight<(String, String), String>,
    closed: watch::Sender<bool>,
}

/// One image to build.
pub(super) struct Job {
    pub(super) source: ChaincodeSource,
    pub(super) plan: BuildPlan,
    dockerfile: String,
    name: String,
    hash: String,
}

impl Images {
    pub(super) fn new(
        platforms: Arc<dyn PlatformBuilder>,
        naming: Naming,
        config: Arc<DockerConfig>,
        contact: Arc<Contact>,
        stages: Arc<Stages>,
    ) -> Self {
        let puller = Puller {
            policy: config.pull_policy,
            mirror: config.mirror.clone(),
            limit: config.pull_timeout,
            logins: config.auth.clone(),
        };
        let builder = Arc::new(Builder {
            labels: Labels::new(naming.clone()),
            config,
            contact,
            puller,
            stages,
        });
        Self {
            platforms,
            naming,
            builder,
            flights: SingleFlight::default(),
            closed: watch::Sender::new(false),
        }
    }

    /// The image of that package: an old one, the one at work, or a new one.
    pub(super) async fn ensure(&self, source: &ChaincodeSource) -> Result<Image, VmError> {
        let plan = self.platforms.build_plan(source).await.map_err(VmError::Plan)?;
        let level = &self.builder.config.level;
        let dockerfile = generate_dockerfile(self.platforms.as_ref(), source, level)
            .await
            .map_err(|error| VmError::docker(Phase::Image, &source.id)(error.into()))?;
        let name = self.naming.image_name(&source.id).map_err(VmError::Name)?;
        let hash = build_hash(source, &plan, &[&plan.image, &dockerfile]);
        let launch = plan.container_launch.clone();
        let key = (name.clone(), hash.clone());
        let job = Job {
            source: source.clone(),
            plan,
            dockerfile,
            name: name.clone(),
            hash,
        };
        let (builder, mut closed) = (Arc::clone(&self.builder), self.closed.subscribe());
        let work = || async move {
            tokio::select! {
                built = builder.find_or_build(&job) => built,
                // what is dropped here is removed from the engine by its guards
                _ = closed.wait_for(|closed| *closed) => Err(VmError::ShuttingDown),
            }
        };
        let user = self.flights.run(key, work).await?;
        Ok(Image { name, user, launch })
    }

    /// Ends what is being built and builds no more.
    pub(super) async fn close(&self) {
        self.flights.close();
        self.closed.send_replace(true);
        self.flights.wait_all().await;
    }
}

pub(super) struct Builder {
    pub(super) config: Arc<DockerConfig>,
    pub(super) labels: Labels,
    contact: Arc<Contact>,
    puller: Puller,
    stages: Arc<Stages>,
}

impl Builder {
    /// Returns the image's user.
    async fn find_or_build(&self, job: &Job) -> Result<String, VmError> {
        let id = job.source.id.as_str();
        let stage = self.stages.begin(id, Phase::Image);
        let session = self.contact.session(Phase::Image, id).await?;
        let old = self
            .find(&session, &job.name)
            .await
            .map_err(VmError::docker(Phase::Image, id))?;
        if let Some(image) = &old
            && label(image, BUILD) == Some(job.hash.as_str())
        {
            tracing::debug!(chaincode = id, image = job.name, "image is built already");
            return Ok(user(image));
        }
        tracing::info!(
            chaincode = id,
            r#type = job.source.chaincode_type,
            image = job.name,
            "building chaincode"
        );
        self.check_package(job).await?;
        stage.enter(Phase::Pull);
        self.pull(&session, job).await?;
        let log = self.config.logs.as_ref();
        let log = log.map(|logs| logs.writer(&Handle::current(), id, Stream::Build));
        let secrets = job.plan.secrets.clone();
        let told = Some(Arc::clone(&stage));
        let output = Output::new(id.to_owned(), Stream::Build, secrets, log, true, told);
        let output = Arc::new(output);
        stage.enter(Phase::Build);
        let build = self.build(&session, job, &output, &stage);
        let built = within("chaincode build", self.config.build_timeout, BUILD_KEY, build).await;
        let failed = |error: DockerError| {
            let error = error.with_output(output.last_lines());
            VmError::docker(stage.phase(), id)(error)
        };
        let user = built.map_err(failed)?;
        tracing::info!(chaincode = id, image = job.name, "chaincode is built");
        if let Some(old) = old.and_then(|image| image.id) {
            remove_replaced(&session, &old).await;
        }
        Ok(user)
    }

    async fn build(
        &self,
        session: &Session,
        job: &Job,
        output: &Arc<Output>,
        stage: &Stage,
    ) -> Result<String, DockerError> {
        let container = BuilderContainer::create(self, session, job, stage).await?;
        let package = container.run(job, output).await;
        container.remove().await;
        let package = package?;
        stage.enter(Phase::Image);
        self.build_image(session, job, package.path(), output).await?;
        let image = self.find(session, &job.name).await?;
        match image {
            Some(image) if label(&image, BUILD) == Some(job.hash.as_str()) => Ok(user(&image)),
            _ => Err(DockerError::Refused {
                action: "docker image build failed".to_owned(),
                message: "the engine reported success and has no such image".to_owned(),
                status: None,
                last_lines: Vec::new(),
            }),
        }
    }

    /// The engine unpacks packages without limits of its own, so they are looked at first.
    async fn check_package(&self, job: &Job) -> Result<(), VmError> {
        let (package, limits) = (job.source.code_package.clone(), self.config.unpack);
        if package.is_empty() {
            return Ok(());
        }
        tokio::task::spawn_blocking(move || unpack::check(&package, &limits))
            .await
            .map_err(|lost| VmError::lost(Phase::Unpack, lost))?
            .map_err(|error| VmError::Unpack(Arc::new(error)))
    }

    async fn pull(&self, session: &Session, job: &Job) -> Result<(), VmError> {
        let mut images = vec![self.builder_image(&job.plan).to_owned()];
        for base in base_images(&job.dockerfile) {
            if !images.contains(&base) {
                images.push(base);
            }
        }
        for image in images.iter().filter(|image| !image.is_empty()) {
            self.puller
                .ensure(session, image)
                .await
                .map_err(VmError::docker(Phase::Pull, &job.source.id))?;
        }
        Ok(())
    }

    /// The image of the builder container; empty if nobody names one.
    pub(super) fn builder_image<'a>(&'a self, plan: &'a BuildPlan) -> &'a str {
        if plan.image.is_empty() {
            &self.config.builder
        } else {
            &plan.image
        }
    }

    async fn build_image(
        &self,
        session: &Session,
        job: &Job,
        package: &Path,
        output: &Output,
    ) -> Result<(), DockerError> {
        let action = "docker image build failed";
        let host = host_config(&self.config.host_config, self.config.own(&job.source.name))
            .map_err(|error| DockerError::context(action, error))?;
        let pull = self.config.pull && self.config.pull_policy != PullPolicy::Never;
        let mut options = BuildImageOptionsBuilder::new()
            .t(&job.name)
            .rm(true)
            .forcerm(true)
            .labels(&self.labels.image(&job.source.id, &job.hash))
            .networkmode(host.network_mode.as_deref().unwrap_or("host"));
        let mut logins = None;
        if pull {
            options = options.pull("true");
            logins = Some(self.puller.logins_of(&base_images(&job.dockerfile)).await?);
        }
        let package = package.to_owned();
        let context = build_context(job.dockerfile.clone(), move |writer| {
            writer.add_file(BINARY_PACKAGE, &package)
        });
        let (body, broken) = streamed(context);
        let answers =
            session
                .docker()
                .build_image(options.build(), logins, Some(bollard::body_try_stream(body)));
        let built = session
            .drain(action, answers, |info| {
                for line in info.stream.iter().flat_map(|text| text.lines()) {
                    if !line.trim().is_empty() {
                        output.line("image", line.as_bytes(), false);
                    }
                }
            })
            .await;
        broken.or(action, built)
    }

    async fn find(&self, session: &Session, name: &str) -> Result<Option<ImageInspect>, DockerError> {
        let found = session
            .ask(
                "docker image inspection failed",
                session.docker().inspect_image(name),
            )
            .await;
        match found {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An image that lost its name to a newer build.
async fn remove_replaced(session: &Session, id: &str) {
    let options = RemoveImageOptionsBuilder::new()
        .force(false)
        .noprune(false)
        .build();
    let removed = session
        .ask(
            "remove replaced image",
            session.docker().remove_image(id, Some(options), None),
        )
        .await;
    if let Err(error) = removed {
        tracing::debug!(%error, image = id, "image of an earlier build stays");
    }
}

fn label<'a>(image: &'a ImageInspect, key: &str) -> Option<&'a str> {
    let labels: &HashMap<String, String> = image.config.as_ref()?.labels.as_ref()?;
    labels.get(key).map(String::as_str)
}

/// The user that an image's configuration names.
pub(super) fn user(image: &ImageInspect) -> String {
    let config = image.config.as_ref();
    config.and_then(|config| config.user.clone()).unwrap_or_default()
}
