//! What this peer is, for `peer version` and for images it builds.

use serde::Serialize;

/// The peer's own version.
pub const PEER: &str = env!("CARGO_PKG_VERSION");
/// What this was built from; whoever builds for others says it with the variable `COMMIT_SHA`.
pub const COMMIT: &str = match option_env!("COMMIT_SHA") {
    Some(commit) => commit,
    None => "development build",
};
/// The Fabric release whose wire behaviour this is.
pub const FABRIC: &str = "2.5";

/// Everything `peer version` says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    peer: &'static str,
    fabric_wire: &'static str,
    plugin_api: String,
}

impl Versions {
    /// The versions of this build.
    #[must_use]
    pub fn of_this_build() -> Self {
        Self {
            peer: PEER,
            fabric_wire: FABRIC,
            plugin_api: handlers::api_version(),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "peer:\n Version: {}\n Fabric wire protocol: {}\n Plugin API: {}",
            self.peer, self.fabric_wire, self.plugin_api
        )
    }
}
