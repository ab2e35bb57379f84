//! Plugins through the C interface (`plugin-api/include/fabric_peer_plugin.h`), behind the same root module that every
//! other plugin has: what comes after loading sees no difference.
//!
//! A constructor of the root module is a plain function that cannot know which library it is asked for. So there is one
//! for each place in a list of libraries.
#![allow(unsafe_code, reason = "a C plugin's constructor is an address in its library")]

mod calls;
mod host;
mod instance;
mod kinds;
mod memory;
mod tables;

use super::file::PluginFile;
use crate::load_error::LoadError;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::{ROption, RString};
use instance::Instance;
use libloading::os::unix::Library;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use plugin_api::manifest::{KIND_AUTH_FILTER, KIND_DECORATOR};
use plugin_api::{
    AuthFilterObject, Code, DecoratorObject, Init, Note, PluginError, PluginMod, PluginMod_Ref, Res,
};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tables::Create;

/// Section of a library that says what its configuration is.
const METADATA: &str = ".fabplug.meta";
/// Most bytes that are read from it.
const MAX_METADATA: usize = 1 << 20;
/// Name of the constructor, NUL-terminated.
const CREATE: &[u8] = b"fabric_peer_plugin_create\0";

/// What is known of a C library.
struct CLibrary {
    create: Create,
    metadata: String,
}

type New<T> = extern "C" fn(Init<'_>) -> Res<T>;

/// The functions for one place in the list of libraries.
struct Place {
    library: OnceLock<CLibrary>,
    metadata_json: extern "C" fn() -> RString,
    new_auth_filter: New<AuthFilterObject>,
    new_decorator: New<DecoratorObject>,
}

static TAKEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn metadata_json<const AT: usize>() -> RString {
    library(AT).map_or_else(RString::new, |library| RString::from(library.metadata.as_str()))
}

extern "C" fn new_auth_filter<const AT: usize>(init: Init<'_>) -> Res<AuthFilterObject> {
    Res::from(create(AT, &init).and_then(kinds::filter))
}

extern "C" fn new_decorator<const AT: usize>(init: Init<'_>) -> Res<DecoratorObject> {
    Res::from(create(AT, &init).and_then(kinds::decorator))
}

macro_rules! places {
    ($($at:literal)*) => {
        [$(Place {
            library: OnceLock::new(),
            metadata_json: metadata_json::<$at>,
            new_auth_filter: new_auth_filter::<$at>,
            new_decorator: new_decorator::<$at>,
        }),*]
    };
}

/// As many C libraries as one process can have.
const MOST: usize = 64;

static PLACES: [Place; MOST] = places!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
);

fn library(at: usize) -> Option<&'static CLibrary> {
    PLACES.get(at)?.library.get()
}

fn create(at: usize, init: &Init<'_>) -> plugin_api::Result<std::sync::Arc<Instance>> {
    let library = library(at).ok_or_else(|| PluginError::new(Code::INTERNAL, "no such library"))?;
    Instance::create(library.create, init)
}

/// The root module of a mapped library whose manifest says that it has the C interface.
pub(super) fn module(library: &Library, file: &PluginFile, note: &Note) -> Result<PluginMod_Ref, LoadError> {
    // SAFETY: the manifest says that the library has the C interface, where this symbol is a function of this type.
    // JUSTIFICATION: a symbol of a mapped library is an address and nothing more.
    let create = unsafe { library.get::<Create>(CREATE).map(|create| *create) };
    let create = create.map_err(|error| LoadError::NoSymbol {
        symbol: "fabric_peer_plugin_create",
        found: protos::wire_message(&error),
    })?;
    let metadata = metadata_of(file).ok_or_else(|| LoadError::NoSymbol {
        symbol: "FABRIC_PEER_PLUGIN_METADATA",
        found: format!("no UTF-8 text of at most {MAX_METADATA} bytes in a section {METADATA}"),
    })?;
    let at = TAKEN.fetch_add(1, Ordering::Relaxed);
    let place = PLACES.get(at).ok_or(LoadError::Limit { limit: MOST })?;
    place
        .library
        .set(CLibrary { create, metadata })
        .map_err(|_taken| LoadError::Limit { limit: MOST })?;
    Ok(PluginMod {
        metadata_json: place.metadata_json,
        new_auth_filter: offered(note, KIND_AUTH_FILTER, place.new_auth_filter),
        new_decorator: offered(note, KIND_DECORATOR, place.new_decorator),
        new_platform: ROption::RNone,
        new_endorsement: ROption::RNone,
        new_validation: ROption::RNone,
    }
    .leak_into_prefix())
}

fn offered<T>(note: &Note, kind: u32, new: New<T>) -> ROption<New<T>> {
    if note.kinds & kind == 0 {
        return ROption::RNone;
    }
    ROption::RSome(new)
}

fn metadata_of(file: &PluginFile) -> Option<String> {
    let elf = ElfFile64::<Endianness, _>::parse(file.bytes.as_slice()).ok()?;
    let section = elf.section_by_name(METADATA)?.data().ok()?;
    if section.len() > MAX_METADATA {
        return None;
    }
    String::from_utf8(section.to_vec()).ok()
}
