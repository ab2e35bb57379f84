//! A platform of plain shell commands and requests for it, for tests of this crate and of those above it.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::vm::{BuildError, BuildPlan, ChaincodeLogging, ChaincodeSource, PlatformBuilder, StartRequest};

/// Answers with what its fields say.
#[derive(Debug, Default)]
pub struct FakePlatform {
    /// Answer of `dockerfile`.
    pub dockerfile: String,
    /// Answer of `build_plan`.
    pub plan: BuildPlan,
    /// Refuses both.
    pub refuse: Option<BuildError>,
    /// How often a plan was asked for.
    pub plans: AtomicUsize,
}

#[async_trait]
impl PlatformBuilder for FakePlatform {
    async fn dockerfile(&self, _: &ChaincodeSource) -> Result<String, BuildError> {
        self.refuse
            .clone()
            .map_or_else(|| Ok(self.dockerfile.clone()), Err)
    }

    async fn build_plan(&self, _: &ChaincodeSource) -> Result<BuildPlan, BuildError> {
        self.plans.fetch_add(1, Ordering::Relaxed);
        self.refuse.clone().map_or_else(|| Ok(self.plan.clone()), Err)
    }
}

/// A package with the given files below `src/`.
pub fn package(files: &[(&str, &str)]) -> Bytes {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o100_644);
        header.set_size(u64::try_from(content.len()).unwrap_or_default());
        let appended = tar.append_data(&mut header, format!("src/{name}"), content.as_bytes());
        debug_assert!(appended.is_ok(), "writing into memory");
    }
    tar.into_inner()
        .and_then(GzEncoder::finish)
        .unwrap_or_default()
        .into()
}

/// A source of type NODE for an id `name:version`, with a package of one file.
pub fn source(id: &str) -> ChaincodeSource {
    let (name, version) = id.split_once(':').unwrap_or((id, "1.0"));
    ChaincodeSource {
        id: id.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        chaincode_type: "NODE".to_owned(),
        deployment_spec: Bytes::new(),
        code_package: package(&[("package.json", "{}")]),
    }
}

/// A start of that source without TLS.
pub fn request(id: &str) -> StartRequest {
    StartRequest {
        chaincode_id: id.to_owned(),
        peer_address: "127.0.0.1:7052".to_owned(),
        local_msp_id: "Org1MSP".to_owned(),
        tls: None,
        logging: ChaincodeLogging::default(),
        source: source(id),
    }
}
