//! A library file before anything of it is mapped: its bytes, their hash, its ELF headers, its manifest.

use super::metadata::Metadata;
use crate::load_error::LoadError;
use aws_lc_rs::digest::{SHA256, digest};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ReadCache, ReadRef, elf};
use plugin_api::Note;
use plugin_api::manifest::{MAX_METADATA, METADATA_SECTION, SECTION};
use std::fs::{File, metadata};
use std::io::Read;
use std::path::Path;

/// The largest library that is read; a debug build with all its symbols has tens of MiB.
const MAX_LIBRARY: u64 = 1 << 30;

/// The type that ELF calls this machine.
const MACHINE: (elf::Machine, &str) = if cfg!(target_arch = "aarch64") {
    (elf::EM_AARCH64, "aarch64")
} else {
    (elf::EM_X86_64, "x86_64")
};

/// A library file, read once: what is checked is what gets mapped.
pub(crate) struct PluginFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: String,
}

impl PluginFile {
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        // opening a pipe would wait for somebody to write into it
        let length = match metadata(path).map_err(LoadError::Io)? {
            file if file.is_file() => file.len(),
            _ => return Err(not_elf("no regular file".to_owned())),
        };
        if length > MAX_LIBRARY {
            return Err(too_large(length.to_string()));
        }
        let file = File::open(path).map_err(LoadError::Io)?;
        let mut bytes = Vec::new();
        file.take(MAX_LIBRARY + 1)
            .read_to_end(&mut bytes)
            .map_err(LoadError::Io)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_LIBRARY) {
            return Err(too_large("more".to_owned()));
        }
        let sha256 = hex::encode(digest(&SHA256, &bytes));
        Ok(Self { bytes, sha256 })
    }

    /// Checks the ELF headers and returns the manifest.
    pub(crate) fn note(&self) -> Result<Note, LoadError> {
        let bytes = self.bytes.as_slice();
        let elf = ElfFile64::<Endianness, _>::parse(bytes).map_err(|error| not_elf(error.to_string()))?;
        let endian = elf.endianness();
        let header = elf.elf_header();
        if header.e_machine(endian) != MACHINE.0 {
            return Err(not_elf(format!("machine {:?}", header.e_machine(endian))));
        }
        if header.e_type(endian) != elf::ET_DYN {
            return Err(not_elf(format!("file type {:?}", header.e_type(endian))));
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        for segment in elf.elf_program_headers() {
            let end = segment.p_offset(endian).checked_add(segment.p_filesz(endian));
            if end.is_none_or(|end| end > length) {
                return Err(not_elf(format!("a file cut off at {length} bytes")));
            }
        }
        let section = section_of(&elf, SECTION).ok_or_else(|| LoadError::NoManifest {
            found: "no such section".to_owned(),
        })?;
        Note::parse(section).ok_or_else(|| LoadError::NoManifest {
            found: "other content".to_owned(),
        })
    }

    /// What the plugin says of itself in its file; `None`: it was built with API 1.0, and only its code can say it.
    pub(crate) fn metadata(&self, note: &Note) -> Result<Option<Metadata>, LoadError> {
        let bad = |found: String| LoadError::Metadata { found };
        let elf = ElfFile64::<Endianness, _>::parse(self.bytes.as_slice());
        let elf = elf.map_err(|error| not_elf(error.to_string()))?;
        let Some(section) = section_of(&elf, METADATA_SECTION) else {
            return Ok(None);
        };
        if section.len() > MAX_METADATA {
            return Err(bad(format!("{} bytes, more than {MAX_METADATA}", section.len())));
        }
        Metadata::parse(section, note).map(Some).map_err(bad)
    }
}

fn too_large(found: String) -> LoadError {
    LoadError::NotElf {
        expected: format!("at most {MAX_LIBRARY} bytes"),
        found,
    }
}

fn not_elf(found: String) -> LoadError {
    LoadError::NotElf {
        expected: format!("a complete 64-bit ELF shared object for {}", MACHINE.1),
        found,
    }
}

fn section_of<'a, R: ReadRef<'a>>(elf: &ElfFile64<'a, Endianness, R>, name: &str) -> Option<&'a [u8]> {
    elf.section_by_name(name)?.data().ok()
}

/// The manifest of a file, without reading all of it; `None` for anything that is not a plugin.
pub(crate) fn note_of(path: &Path) -> Option<Note> {
    if !metadata(path).ok()?.is_file() {
        return None;
    }
    let cache = ReadCache::new(File::open(path).ok()?);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    Note::parse(section_of(&elf, SECTION)?)
}
