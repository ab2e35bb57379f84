//! `peer plugin new`: writes a crate that builds and whose tests pass.

mod template;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::cli::{Output, output};

pub use template::Template;

/// `peer plugin new …`
#[derive(Clone, Debug, Args)]
pub struct NewArgs {
    /// What it is to be.
    #[arg(value_enum)]
    pub kind: Template,
    /// The plugin's name, which is also the crate's.
    pub name: String,
    /// The folder to make. Default: ./NAME
    #[arg(long)]
    pub path: Option<PathBuf>,
    /// The folder of the crate plugin-api, as `cargo package` packs it or in a checkout. Default: the one that came with
    /// this program.
    #[arg(long)]
    pub api: Option<PathBuf>,
}

/// What was made, as printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    path: PathBuf,
    files: Vec<String>,
    api: PathBuf,
    api_version: String,
}

/// Writes the crate.
pub(super) fn run(output: Output, args: &NewArgs) -> Result<()> {
    check_name(&args.name)?;
    let path = args.path.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let api = Api::find(args.api.as_deref())?;
    let files = files(args.kind, &args.name, &api)?;
    write(&path, &files)?;
    let made = Made {
        path,
        files: files.keys().map(|name| (*name).to_owned()).collect(),
        api: api.folder,
        api_version: api.version,
    };
    output::result(output, &made, |made| next_steps(made, &args.name))
}

fn next_steps(made: &Made, name: &str) -> String {
    let (path, library) = (made.path.display(), library(name));
    format!(
        "{path}: a plugin with plugin-api {}, in {}\n\
         Next:\n  \
           cd {path}\n  \
           cargo test\n  \
           cargo build --release\n  \
           peer plugin inspect target/release/{library}\n  \
           peer plugin test target/release/{library} --config @config.json\n\
         README.md says how a peer is told to use it.",
        made.api_version,
        made.api.display()
    )
}

fn library(name: &str) -> String {
    format!("lib{}.so", name.replace('-', "_"))
}

/// Words that cargo or rustc take for something else.
const RESERVED: [&str; 56] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
];
/// Crates that the new one depends on.
const DEPENDENCIES: [&str; 5] = ["plugin-api", "serde", "serde-json", "prost", "tempfile"];
/// As much as a manifest holds.
const LONGEST: usize = 63;

/// The rules for names of crates.
fn check_name(name: &str) -> Result<()> {
    let wrong = |why: &str| format!("{name:?} cannot be the name of a crate: {why}");
    ensure!(
        name.len() <= LONGEST,
        wrong(&format!("it has more than {LONGEST} letters"))
    );
    ensure!(
        name.starts_with(|first: char| first.is_ascii_alphabetic()),
        wrong("it must begin with a letter from a to z")
    );
    ensure!(
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        wrong("it may have letters from a to z, digits, - and _ only")
    );
    let plain = name.to_ascii_lowercase().replace('_', "-");
    ensure!(
        !RESERVED.contains(&plain.as_str()),
        wrong("Rust or cargo take it for something else")
    );
    ensure!(
        !DEPENDENCIES.contains(&plain.as_str()),
        wrong("it is the name of a crate that every plugin depends on")
    );
    Ok(())
}

/// The crate plugin-api.
struct Api {
    folder: PathBuf,
    version: String,
}

impl Api {
    /// The one that was named, else the one that came with this program, else that of the checkout it was built in.
    fn find(named: Option<&Path>) -> Result<Self> {
        if let Some(folder) = named {
            return Self::open(folder);
        }
        let program = std::env::current_exe().context("where is this program?")?;
        let beside = program.parent().unwrap_or(Path::new("/"));
        let places = ["../plugin-api", "../../plugin-api"].map(|place| beside.join(place));
        match places.iter().find_map(|place| Self::open(place).ok()) {
            Some(api) => Ok(api),
            None => bail!(
                "the crate plugin-api did not come with this program (it is not in {}): name its folder with --api",
                places.map(|place| place.display().to_string()).join(" or ")
            ),
        }
    }

    fn open(folder: &Path) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).with_context(|| format!("{}", manifest.display()))?;
        let value = |key: &str| {
            let package = text.split("[package]").nth(1)?.split("\n[").next()?;
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            Some(
                line.trim_start()
                    .strip_prefix('=')?
                    .trim()
                    .trim_matches('"')
                    .to_owned(),
            )
        };
        ensure!(
            value("name").is_some_and(|name| name == "plugin-api"),
            "{} is not the manifest of the crate plugin-api",
            manifest.display()
        );
        let version = value("version").with_context(|| format!("{} says no version", manifest.display()))?;
        let (ours, theirs) = (
            handlers::api_version(),
            version.split('.').next().unwrap_or_default(),
        );
        ensure!(
            ours.split('.').next() == Some(theirs),
            "{} is version {version}, and this peer supports {ours}",
            folder.display()
        );
        Ok(Self {
            folder: folder.canonicalize()?,
            version,
        })
    }
}

/// The files of the new crate by their names.
fn files(kind: Template, name: &str, api: &Api) -> Result<BTreeMap<&'static str, String>> {
    let words = kind.words();
    let folder = api
        .folder
        .to_str()
        .context("the folder of plugin-api has no UTF-8 name")?;
    // a string of TOML
    let folder = folder.replace('\\', "\\\\").replace('"', "\\\"");
    let (library, chaincode_type) = (library(name), name.to_ascii_uppercase());
    let filled = |template: &str| {
        [
            ("{{more}}", words.more),
            ("{{entry}}", words.entry.trim_end()),
            ("{{crate}}", name),
            ("{{description}}", words.description),
            ("{{version}}", &api.version),
            ("{{features}}", words.features),
            ("{{dependencies}}", words.dependencies),
            ("{{dev-dependencies}}", words.dev_dependencies),
            ("{{library}}", &library),
            ("{{section}}", words.section),
            ("{{config}}", words.config.trim()),
            ("{{type}}", &chaincode_type),
            // last: it may have anything in it
            ("{{api}}", &folder),
        ]
        .iter()
        .fold(template.to_owned(), |text, (place, word)| {
            text.replace(place, word)
        })
    };
    Ok(BTreeMap::from([
        ("Cargo.toml", filled(include_str!("new/Cargo.toml.in"))),
        (
            "README.md",
            filled(include_str!("new/README.md.in")).trim_end().to_owned() + "\n",
        ),
        (".gitignore", filled(include_str!("new/gitignore.in"))),
        ("config.json", filled(words.config)),
        ("config.schema.json", filled(words.schema)),
        ("src/lib.rs", filled(words.code)),
    ]))
}

/// Writes them into a folder that must not exist.
fn write(path: &Path, files: &BTreeMap<&str, String>) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
    }
    fs::create_dir(path).with_context(|| format!("could not create {}", path.display()))?;
    for (name, content) in files {
        let file = path.join(name);
        let folder = file.parent().unwrap_or(path);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, content))
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn api() -> Api {
        Api::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api")).unwrap()
    }

    #[test]
    fn names_are_those_of_crates() {
        for good in ["org-allow", "a", "X_1", &"a".repeat(63)] {
            check_name(good).unwrap();
        }
        for bad in [
            "",
            "1a",
            "-a",
            "a b",
            "a/b",
            "../a",
            "grün",
            "fn",
            "Test",
            "core",
            "proc_macro",
            "serde_json",
            &"a".repeat(64),
        ] {
            let error = check_name(bad).unwrap_err().to_string();
            assert!(error.contains("cannot be the name of a crate"), "{error}");
        }
    }

    #[test]
    fn every_template_is_filled() {
        for kind in Template::value_variants() {
            let files = files(*kind, "some-thing", &api()).unwrap();
            for (name, content) in &files {
                // JSON may end with two of the others
                assert!(!content.contains("{{"), "{kind:?} {name}");
            }
            let schema: serde_json::Value = serde_json::from_str(&files["config.schema.json"]).unwrap();
            assert_eq!(schema["additionalProperties"], false, "{kind:?}");
            serde_json::from_str::<serde_json::Value>(&files["config.json"]).unwrap();
            assert!(files["src/lib.rs"].contains("name: \"some-thing\""));
            let readme = &files["README.md"];
            assert!(readme.contains("libsome_thing.so"));
            let entry = readme.split("```yaml\n").nth(1).unwrap();
            let entry = entry.split("```").next().unwrap();
            assert!(
                entry.contains(&format!("\n    {}:\n", kind.words().section))
                    && entry.contains("name: some-thing\n"),
                "{kind:?} {entry}"
            );
        }
    }

    #[test]
    fn a_folder_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = BTreeMap::from([("src/lib.rs", "x".to_owned())]);
        let error = write(folder.path(), &files).unwrap_err();
        assert!(error.to_string().starts_with("could not create "), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let path = folder.path().join("a/b");
        write(&path, &files).unwrap();
        assert_eq!(fs::read_to_string(path.join("src/lib.rs")).unwrap(), "x");
    }

    #[test]
    fn another_crate_is_not_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let said = |manifest: &str| {
            fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
            Api::open(folder.path())
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert!(said("[package]\nname = \"serde\"\n").contains("not the manifest of the crate plugin-api"));
        assert!(said("[package]\nname = \"plugin-api\"\nversion = \"2.0.0\"\n").contains("is version 2.0.0"));
        assert!(said("[package]\nname = \"plugin-api\"\nversion.workspace = true\n").contains("no version"));
        assert_eq!(
            said("[package]\nname = \"plugin-api\"\nversion = \"1.0.3\"\n[lib]\n"),
            ""
        );
    }
}
