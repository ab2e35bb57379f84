//! The container that a build runs in: package in, command run, result out, and gone in every case.

use std::io;
use std::sync::Arc;

use bollard::body_try_stream;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use super::archive::{Owner, folder_archive, plan_archive};
use super::container::{self, Guard, wait_for_exit};
use super::engine::Session;
use super::error::DockerError;
use super::host_config::{builder_host_config, has_readable_logs, host_config};
use super::images::{Builder, Job, user};
use super::labels::Role;
use super::upload::{streamed, whole};
use crate::build_context::package_archive;
use crate::output::Output;
use crate::stage::Stage;

const INPUT: &str = "/chaincode/input";
const OUTPUT: &str = "/chaincode/output";
/// The largest result of a build; it is kept on disk for as long as the image is made.
const MAX_OUTPUT: u64 = 4 << 30;

pub(super) struct BuilderContainer<'a> {
    builder: &'a Builder,
    session: &'a Session,
    guard: Guard,
    readable_logs: bool,
}

impl<'a> BuilderContainer<'a> {
    pub(super) async fn create(
        builder: &'a Builder,
        session: &'a Session,
        job: &Job,
        stage: &Stage,
    ) -> Result<Self, DockerError> {
        let action = "Error creating container";
        let own = builder.config.own(&job.source.name);
        let host = host_config(&builder.config.host_config, own)
            .map_err(|error| DockerError::context(action, error))?;
        let mut host = builder_host_config(&host);
        if job.plan.offline {
            host.network_mode = Some("none".to_owned());
        }
        let readable_logs = has_readable_logs(&host);
        let image = builder.builder_image(&job.plan);
        if image.is_empty() {
            return Err(DockerError::Refused {
                action: action.to_owned(),
                message: "No image provided and \"chaincode.builder\" default does not exist".to_owned(),
                status: None,
                last_lines: Vec::new(),
            });
        }
        let (mark, value) = stage.variable();
        let mut env = job.plan.env.clone();
        env.extend([
            format!("CHAINCODE_INPUT={INPUT}"),
            format!("CHAINCODE_OUTPUT={OUTPUT}"),
            format!("{mark}={value}"),
        ]);
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            env: Some(env),
            // Fabric's builder images have no entry point; others must not get in the way
            entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
            cmd: Some(vec![job.plan.cmd.clone()]),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            labels: Some(builder.labels.container(&job.source.id, Role::Builder)),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let created = session
            .call(
                action,
                builder.config.start_timeout,
                container::START_KEY,
                session.docker().create_container(None, body),
            )
            .await?;
        Ok(Self {
            builder,
            session,
            guard: Guard::new(session.clone(), created.id),
            readable_logs,
        })
    }

    /// Runs the build; returns what it left in the output folder, as a tar on disk.
    pub(super) async fn run(&self, job: &Job, output: &Arc<Output>) -> Result<NamedTempFile, DockerError> {
        self.upload(job).await?;
        let options = AttachContainerOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .stream(true)
            .logs(self.readable_logs)
            .build();
        let (docker, id) = (self.session.docker(), self.guard.id());
        let attached = self
            .session
            .ask(
                "Error attaching to container",
                docker.attach_container(id, Some(options)),
            )
            .await?;
        let reader = container::read_output(attached.output, Arc::clone(output));
        self.session
            .call(
                "Error executing build",
                self.builder.config.start_timeout,
                container::START_KEY,
                docker.start_container(id, None),
            )
            .await?;
        let mut exit = wait_for_exit(self.session, id, "Error waiting for container to complete").await?;
        reader.finish().await;
        if exit.code != Some(0) {
            exit.out_of_memory = container::ran_out_of_memory(self.session, id).await;
            exit.last_lines = output.last_lines();
            return Err(DockerError::Build(exit));
        }
        self.download().await
    }

    /// Removes the container, and waits until it is gone.
    pub(super) async fn remove(self) {
        self.guard.remove().await;
    }

    async fn upload(&self, job: &Job) -> Result<(), DockerError> {
        let action = "Error uploading input to container";
        let uploaded = self.upload_package(job).await;
        match uploaded {
            // Fabric's images have the folders, others need not
            Err(error) if error.is_not_found() => {
                let folders = ["chaincode", "chaincode/input", "chaincode/output"];
                let folders =
                    folder_archive(&folders).map_err(|error| DockerError::context(action, error))?;
                self.upload_to("/", whole(folders)).await?;
                self.upload_package(job).await?;
            }
            uploaded => uploaded?,
        }
        if job.plan.files.is_empty() {
            return Ok(());
        }
        let image = self.builder.builder_image(&job.plan);
        let image = self
            .session
            .ask(action, self.session.docker().inspect_image(image))
            .await?;
        let owner = Owner::of_image(&user(&image));
        let files =
            plan_archive(&job.plan.files, owner).map_err(|error| DockerError::context(action, error))?;
        self.upload_to(INPUT, whole(files)).await
    }

    /// The engine never sees the package itself.
    async fn upload_package(&self, job: &Job) -> Result<(), DockerError> {
        let package = job.source.code_package.clone();
        if package.is_empty() {
            return Ok(());
        }
        let archive = package_archive(package, self.builder.config.unpack);
        let (archive, broken) = streamed(archive);
        let uploaded = self.upload_to(INPUT, archive).await;
        broken.or("Error uploading input to container", uploaded)
    }

    async fn upload_to(
        &self,
        folder: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), DockerError> {
        let options = UploadToContainerOptionsBuilder::new().path(folder).build();
        let upload = self.session.docker().upload_to_container(
            self.guard.id(),
            Some(options),
            body_try_stream(archive),
        );
        self.session
            .call(
                "Error uploading input to container",
                self.builder.config.start_timeout,
                container::START_KEY,
                upload,
            )
            .await
    }

    async fn download(&self) -> Result<NamedTempFile, DockerError> {
        let action = "Error downloading output";
        let failed = |error| DockerError::context(action, error);
        let folder = self.builder.config.folder.clone();
        let file = tokio::task::spawn_blocking(move || NamedTempFile::new_in(folder))
            .await
            .map_err(|lost| DockerError::context(action, lost))?
            .map_err(failed)?;
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(&format!("{OUTPUT}/."))
            .build();
        let mut writer = tokio::fs::File::from_std(file.reopen().map_err(failed)?);
        let mut answer = self
            .session
            .docker()
            .download_from_container(self.guard.id(), Some(options));
        let mut left = MAX_OUTPUT;
        while let Some(piece) = answer.next().await {
            let piece = piece.map_err(|error| self.session.error(action, error))?;
            let size = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            left = left.checked_sub(size).ok_or_else(|| DockerError::TooLarge {
                action: action.to_owned(),
                limit: MAX_OUTPUT,
            })?;
            writer.write_all(&piece).await.map_err(failed)?;
        }
        writer.flush().await.map_err(failed)?;
        Ok(file)
    }
}
