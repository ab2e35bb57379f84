//! Loads plugin libraries: finds the file, checks it, maps it, checks it again, keeps it for ever.
//!
//! The order matters: nothing of a library runs before its bytes, its manifest and its types have been
//! accepted. A library is never unmapped, because its code may still be referred to from anywhere.

mod c_mode;
mod file;
mod files;
mod image;
mod library;
mod metadata;
mod place;
mod schema;
mod trial;
mod way;

pub(crate) use file::PluginFile;
pub(crate) use files::Contents;
pub(crate) use image::Mapped;
pub(crate) use library::{Library, Policy, check_note};
pub(crate) use metadata::Metadata;
pub(crate) use place::PluginDirs;
pub use trial::try_out_if_requested;
pub(crate) use way::{Exposure, Way};
