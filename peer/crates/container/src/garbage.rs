//! Things that were made for chaincode and that nobody needs any more.

use std::fmt;

use serde::Serialize;

/// The kind of a thing that nobody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GarbageKind {
    /// A container of the engine.
    Container,
    /// An image of the engine.
    Image,
    /// A build of the process runtime.
    Build,
    /// What the builds of a chaincode kept for the next, such as downloads.
    Cache,
    /// The logs of a chaincode.
    Logs,
}

impl fmt::Display for GarbageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Build => "build",
            Self::Cache => "cache",
            Self::Logs => "logs",
        })
    }
}

/// A thing that nobody needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Garbage {
    /// What it is. Containers sort before images, which they keep in use.
    pub kind: GarbageKind,
    /// Its name: a container's, an image's, a folder's.
    pub name: String,
    /// The chaincode it was made for; empty where only the name tells.
    pub chaincode: String,
    /// What identifies it where it is: an id of the engine, a path.
    #[serde(skip)]
    pub id: String,
}
