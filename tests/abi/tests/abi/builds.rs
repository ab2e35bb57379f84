//! The fixture as other compilers and other settings build it, outside of the workspace.

use crate::exercise::{Build, exercise};
use crate::library::{Library, root, scratch, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Builds share folders, and their results have one name.
static BUILDING: Mutex<()> = Mutex::new(());

/// What cargo puts into the environment of tests, and what would reach another compiler through it.
const OURS: [&str; 6] = [
    "CARGO",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "CARGO_ENCODED_RUSTFLAGS",
];

pub struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Builds with different compilers do not reuse anything of each other.
    folder: &'static str,
}

impl Compiler {
    /// The one that this test was built with.
    pub fn own() -> Self {
        let cargo = PathBuf::from(env!("CARGO"));
        let rustc = cargo.with_file_name("rustc");
        Self {
            cargo,
            rustc,
            folder: "own",
        }
    }

    /// Debian's for web browsers, which is a newer one than the rest of a Debian release has.
    fn of_debian() -> Option<Self> {
        Some(Self {
            cargo: program_of("cargo-web", "/bin/cargo")?,
            rustc: program_of("rustc-web", "/bin/rustc")?,
            folder: "debian",
        })
    }

    fn version(&self) -> String {
        let output = Command::new(&self.rustc).arg("-V").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Builds the fixture and takes a copy of it.
    fn build(&self, profile: &str, features: &[&str]) -> Library {
        self.build_source(&root().join("tests/abi/fixture"), profile, features)
    }

    /// Builds a copy of the fixture.
    pub fn build_source(&self, source: &Path, profile: &str, features: &[&str]) -> Library {
        let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let target = scratch().join("abi-fixture").join(self.folder);
        let mut cargo = Command::new(&self.cargo);
        for variable in OURS {
            cargo.env_remove(variable);
        }
        let built = cargo
            .current_dir(source)
            .env("RUSTC", &self.rustc)
            .args(["build", "--quiet", "--profile", profile])
            .args(["--features", &features.join(","), "--target-dir"])
            .arg(&target)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(
            built.status.success(),
            "{} {features:?}:\n{errors}",
            self.version()
        );
        let folder = if profile == "dev" { "debug" } else { profile };
        Library::copy_of(&target.join(folder).join("libabi_fixture.so"))
    }
}

/// A program that a Debian package has installed.
fn program_of(package: &str, program: &str) -> Option<PathBuf> {
    let files = Command::new("dpkg-query").args(["-L", package]).output().ok()?;
    let files = String::from_utf8(files.stdout).ok()?;
    let path = files.lines().find(|file| file.ends_with(program))?;
    Path::new(path).is_file().then(|| PathBuf::from(path))
}

/// The version of the plugin API that this peer has.
fn minor() -> u32 {
    handlers::api_version()
        .split('.')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// The fixture's features for everything that this version has.
fn api() -> Vec<String> {
    (1..=minor()).map(|minor| format!("api-1-{minor}")).collect()
}

fn with(feature: &str) -> Vec<String> {
    let mut features = api();
    features.push(feature.to_owned());
    features
}

fn build(compiler: &Compiler, profile: &str, features: &[String]) -> Library {
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    compiler.build(profile, &features)
}

fn has(library: &Library, text: &str) -> bool {
    let content = std::fs::read(library.file()).unwrap();
    content.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[tokio::test]
async fn a_debug_build_works() {
    let library = build(&Compiler::own(), "dev", &api());
    let debug = Build {
        minor: minor(),
        debug: true,
        ..Build::default()
    };
    exercise(&library, debug).await;
}

#[tokio::test]
async fn a_plugin_with_another_allocator_works() {
    let library = build(&Compiler::own(), "dev", &with("dlmalloc"));
    assert!(has(&library, "dlmalloc"));
    let debug = Build {
        minor: minor(),
        debug: true,
        ..Build::default()
    };
    exercise(&library, debug).await;
}

/// mimalloc takes the thread that its library is loaded on for the main thread, and breaks when that thread ends before
/// the process.
#[tokio::test]
async fn a_plugin_whose_allocator_cares_where_it_is_loaded_works() {
    let library = build(&Compiler::own(), "dev", &with("mimalloc"));
    assert!(has(&library, "mimalloc"));
    let debug = Build {
        minor: minor(),
        debug: true,
        ..Build::default()
    };
    exercise(&library, debug).await;
}

#[tokio::test]
async fn a_plugin_with_an_old_tokio_and_a_runtime_of_its_own_works() {
    let library = build(&Compiler::own(), "dev", &with("old-tokio"));
    assert!(has(&library, "tokio-1.20."));
    let old_tokio = Build {
        minor: minor(),
        debug: true,
        old_tokio: true,
    };
    exercise(&library, old_tokio).await;
}

#[tokio::test]
async fn a_plugin_by_another_compiler_works() {
    let Some(compiler) = Compiler::of_debian() else {
        skipped("no rustc-web and cargo-web of Debian (cargo xtask test installs them as root)");
        return;
    };
    let library = build(&compiler, "release", &api());
    let toolchain = library.manifest().toolchain;
    assert!(compiler.version().starts_with(&toolchain), "{toolchain}");
    assert_ne!(
        toolchain,
        Compiler::own().version(),
        "two compilers are needed to show something"
    );
    let release = Build {
        minor: minor(),
        ..Build::default()
    };
    exercise(&library, release).await;
}
