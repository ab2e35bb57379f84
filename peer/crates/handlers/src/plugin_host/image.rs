//! Maps a checked library and takes its root module.
#![allow(unsafe_code, reason = "dlopen and what it returns cannot be used otherwise")]

use super::c_mode;
use super::file::PluginFile;
use crate::load_error::LoadError;
use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{CheckingGlobals, check_layout_compatibility_with_globals};
use abi_stable::library::{AbiHeaderRef, LibHeader};
use abi_stable::type_layout::TypeLayout;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use plugin_api::manifest::{API_MAJOR, API_MINOR, FLAG_C, MODULE_SYMBOL, NOTE_SYMBOL};
use plugin_api::{Note, PluginMod_Ref};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many differences of layout an error shows.
const MAX_DIFFERENCES: usize = 3;

static LIBRARIES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// What this process has mapped, also of libraries that were refused afterwards.
pub(crate) struct Mapped {
    pub(crate) libraries: u64,
    pub(crate) bytes: u64,
}

impl Mapped {
    pub(crate) fn of_process() -> Self {
        Self {
            libraries: LIBRARIES.load(Ordering::Relaxed),
            bytes: BYTES.load(Ordering::Relaxed),
        }
    }
}

/// Maps the library for ever and returns its root module.
pub(super) fn map(file: &PluginFile, note: &Note) -> Result<PluginMod_Ref, LoadError> {
    // never unmapped, whatever comes next: its initialisers have run, and may have left threads or pointers
    let library = ManuallyDrop::new(open(file)?);
    LIBRARIES.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(
        u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
        Ordering::Relaxed,
    );
    check_note(&library, note)?;
    if note.flags & FLAG_C != 0 {
        return c_mode::module(&library, file, note);
    }
    let header = header(&library)?;
    check_layout(header, note)?;
    // SAFETY: the layouts of the root module on both sides have just been found compatible.
    // JUSTIFICATION: abi_stable's own check has process-wide state and rejects older plugins.
    unsafe { header.init_root_module_with_unchecked_layout::<PluginMod_Ref>() }.map_err(|error| {
        LoadError::Header {
            found: first_line(&protos::wire_message(&error)),
        }
    })
}

fn open(file: &PluginFile) -> Result<Library, LoadError> {
    match open_sealed_copy(&file.bytes) {
        Ok(library) => Ok(library),
        // memory files may not be executable here; if the library itself is at fault, this fails as well
        Err(_first) => open_private_copy(&file.bytes).map_err(|error| LoadError::Dlopen {
            reason: protos::wire_message(&error),
        }),
    }
}

/// Opens a copy that nobody can change. Its descriptor stays open as long as the library is mapped, for ever: glibc
/// recognises libraries by the text of their path, and a reused number would give back the old one. What the linker
/// refuses is not mapped, and its copy goes away: somebody may try such a file again and again.
fn open_sealed_copy(bytes: &[u8]) -> io::Result<Library> {
    let copy = sealed_copy(bytes)?;
    let library = dlopen(&PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd())))?;
    let _kept_open = copy.into_raw_fd();
    Ok(library)
}

pub(super) fn sealed_copy(bytes: &[u8]) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // kernels before 6.3 do not know EXEC and do not need it
    let fd: OwnedFd = memfd_create(c"fabric-peer-plugin", flags | MemfdFlags::EXEC)
        .or_else(|_unknown_flag| memfd_create(c"fabric-peer-plugin", flags))?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(file)
}

/// Opens a copy in a folder of the peer's own, under a name that is never used again.
fn open_private_copy(bytes: &[u8]) -> io::Result<Library> {
    let folder = tempfile::Builder::new()
        .prefix("fabric-peer-plugin-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()?;
    let path = folder.path().join("plugin.so");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o500)
        .open(&path)?
        .write_all(bytes)?;
    let library = dlopen(&path)?;
    // the file is mapped from now on; without success the folder goes away again
    let _kept = folder.keep();
    Ok(library)
}

fn dlopen(path: &Path) -> io::Result<Library> {
    // SAFETY: initialisers of the library run here. The operator has chosen the file, its folder is
    // writable by nobody else, its headers are sound and its manifest is that of a plugin.
    // JUSTIFICATION: code can only be loaded by loading it. RTLD_NOW, because an undefined function would
    // otherwise end the process at its first call.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(io::Error::other)
}

fn check_note(library: &Library, expected: &Note) -> Result<(), LoadError> {
    const SYMBOL: &str = "FABRIC_PEER_PLUGIN";
    // SAFETY: the symbol's address is only read as the plain bytes of a `Note`, whose section the file
    // check has found to be large enough.
    // JUSTIFICATION: a symbol of a mapped library is an address and nothing more.
    let mapped = unsafe {
        library
            .get::<*const Note>(NOTE_SYMBOL)
            .map(|note| note.read_unaligned())
    };
    match mapped {
        Ok(mapped) if mapped == *expected => Ok(()),
        Ok(_) => Err(LoadError::NoSymbol {
            symbol: SYMBOL,
            found: "another manifest than in the file".into(),
        }),
        Err(error) => Err(LoadError::NoSymbol {
            symbol: SYMBOL,
            found: first_line(&protos::wire_message(&error)),
        }),
    }
}

fn header(library: &Library) -> Result<&'static LibHeader, LoadError> {
    // SAFETY: `AbiHeaderRef` is a pointer to a header that starts with a magic string and a version,
    // which `upgrade` checks before it looks further.
    // JUSTIFICATION: as above.
    let header = unsafe { library.get::<AbiHeaderRef>(MODULE_SYMBOL).map(|header| *header) };
    header
        .map_err(|error| LoadError::NoSymbol {
            symbol: "FABRIC_PEER_PLUGIN_MODULE",
            found: first_line(&protos::wire_message(&error)),
        })?
        .upgrade()
        .map_err(|error| LoadError::Header {
            found: first_line(&protos::wire_message(&error)),
        })
}

/// Compatible in either direction: the plugin may know more or less than this peer.
fn check_layout(header: &LibHeader, note: &Note) -> Result<(), LoadError> {
    let plugin = header.layout().ok_or_else(|| LoadError::Header {
        found: "a header without a layout".to_owned(),
    })?;
    let host = <PluginMod_Ref as StableAbi>::LAYOUT;
    let Err(differences) = compare(host, plugin) else {
        return Ok(());
    };
    if compare(plugin, host).is_ok() {
        return Ok(());
    }
    Err(LoadError::Layout {
        expected: format!("{API_MAJOR}.{API_MINOR}"),
        found: format!(
            "those of {}.{}, with differences in {differences}",
            note.api_major, note.api_minor
        ),
    })
}

fn compare(interface: &'static TypeLayout, implementation: &'static TypeLayout) -> Result<(), String> {
    // fresh each time: shared state would make the answer depend on what was loaded before
    check_layout_compatibility_with_globals(interface, implementation, &CheckingGlobals::new()).map_err(
        |errors| {
            let places: Vec<String> = errors
                .errors
                .iter()
                .flat_map(|error| error.stack_trace.last())
                .map(|field| first_line(&format!("{:?}", field.expected)))
                .take(MAX_DIFFERENCES)
                .collect();
            format!(
                "{} places, among them [{}]",
                errors.errors.len(),
                places.join(", ")
            )
        },
    )
}

fn first_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("nothing")
        .chars()
        .take(300)
        .collect()
}
