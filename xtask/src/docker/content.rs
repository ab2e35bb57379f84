//! What a stand-in image is made of: files of installed packages and programs of this machine, and a few of its own.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{LABEL, StandIn};
use crate::steps::output;

/// Counts up when images have to be made anew although the machine's packages are the same.
const RECIPE: u32 = 2;

const BASE: &[&str] = &[
    "base-files",
    "dash",
    "bash",
    "coreutils",
    "tar",
    "gzip",
    "sed",
    "grep",
    "findutils",
    "hostname",
    "procps",
];

/// Below these folders there is nothing that a container needs.
const LEFT_OUT: &[&str] = &[
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/zoneinfo/",
    "usr/share/lintian/",
];

const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What starts chaincode in a Java image of Fabric 2.x; the peer passes the address of the chaincode listener.
const JAVA_START: (&str, &str) = (
    "root/chaincode-java/start",
    "#!/bin/sh\nexec java -jar /root/chaincode-java/chaincode/chaincode.jar \"$@\"\n",
);

const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// What an image is made of.
pub(super) struct Content {
    /// Relative to the root of the file system.
    pub(super) files: BTreeSet<String>,
    path: String,
    /// Changes with whatever the image is made of.
    pub(super) id: String,
}

impl Content {
    pub(super) fn of(image: &StandIn) -> Result<Self> {
        let mut wanted: Vec<&str> = BASE.iter().chain(image.packages).copied().collect();
        if image.node {
            wanted.push("nodejs");
        }
        let packages = installed(&wanted)?;
        let mut files = package_files(&packages)?;
        let mut versions = packages;
        versions.push(format!("recipe {RECIPE}"));
        for link in [
            "bin",
            "sbin",
            "lib",
            "lib64",
            "etc/nsswitch.conf",
            "etc/ssl/certs/java/cacerts",
        ] {
            add_existing(&mut files, link);
        }
        let mut path = SYSTEM_PATH.to_owned();
        if image.node {
            versions.push(add_node(&mut files)?);
        }
        if image.go {
            let goroot = output(Command::new("go").args(["env", "GOROOT"]))?
                .trim()
                .to_owned();
            versions.push(output(Command::new("go").arg("version"))?);
            add_tree(&mut files, Path::new(&goroot))?;
            path = format!("{goroot}/bin:{path}");
        }
        add_alternatives(&mut files)?;
        let mut hasher = DefaultHasher::new();
        versions.hash(&mut hasher);
        fs::read(Path::new("/").join(AUTHORITIES)).ok().hash(&mut hasher);
        Ok(Self {
            files,
            path,
            id: format!("{:016x}", hasher.finish()),
        })
    }

    pub(super) fn changes(&self, image: &StandIn) -> Vec<String> {
        let bundle = format!("/{AUTHORITIES}");
        let mut changes = vec![
            format!("LABEL {LABEL}={}", self.id),
            format!("ENV PATH={}", self.path),
            format!("ENV SSL_CERT_FILE={bundle}"),
        ];
        if image.node {
            changes.push(format!("ENV NODE_EXTRA_CA_CERTS={bundle}"));
        }
        if image.java {
            changes.push("WORKDIR /root/chaincode-java".to_owned());
        }
        changes
    }

    /// Files and folders that the machine does not have, or not in this form; returns their names.
    pub(super) fn write_overlay(&self, image: &StandIn, overlay: &Path) -> Result<Vec<String>> {
        if overlay.exists() {
            fs::remove_dir_all(overlay)?;
        }
        let folders = [
            ("chaincode/input", 0o777),
            ("chaincode/output", 0o777),
            ("etc", 0o755),
            ("root/chaincode-java", 0o755),
            ("tmp", 0o1777),
            ("usr/local/src", 0o755),
            ("var/tmp", 0o1777),
        ];
        let mut names = BTreeSet::new();
        for (folder, mode) in folders {
            let path = overlay.join(folder);
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            let parents = Path::new(folder)
                .ancestors()
                .filter(|part| *part != Path::new(""));
            names.extend(parents.map(|part| part.display().to_string()));
        }
        let authorities = fs::read(Path::new("/").join(AUTHORITIES)).unwrap_or_default();
        let mut files: Vec<(&str, Vec<u8>, u32)> = vec![
            (
                "etc/passwd",
                b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n".into(),
                0o644,
            ),
            ("etc/group", b"root:x:0:\nnogroup:x:65534:\n".into(), 0o644),
            (AUTHORITIES, authorities, 0o644),
        ];
        if image.java {
            let (start, script) = JAVA_START;
            files.push((start, script.into(), 0o755));
        }
        for (file, content, mode) in files {
            let path = overlay.join(file);
            fs::create_dir_all(path.parent().unwrap_or(overlay))?;
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            let parts = Path::new(file).ancestors().filter(|part| *part != Path::new(""));
            names.extend(parts.map(|part| part.display().to_string()));
        }
        Ok(names.into_iter().collect())
    }
}

/// The packages and all they depend on, as far as they are installed: `name version`.
fn installed(wanted: &[&str]) -> Result<Vec<String>> {
    let depends = output(
        Command::new("apt-cache")
            .args([
                "depends",
                "--recurse",
                "--installed",
                "--no-recommends",
                "--no-suggests",
            ])
            .args(["--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"])
            .args(wanted),
    )?;
    let starts_plain = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let names: BTreeSet<&str> = depends.lines().filter(starts_plain).collect();
    // unknown names make it fail and are left out of its answer
    let answer = Command::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Abbrev} ${binary:Package} ${Version}\n"])
        .args(&names)
        .output()
        .context("could not run dpkg-query")?;
    let text = String::from_utf8(answer.stdout)?;
    let found = text.lines().filter_map(|line| line.strip_prefix("ii "));
    Ok(found.map(|line| line.trim().to_owned()).collect())
}

fn package_files(packages: &[String]) -> Result<BTreeSet<String>> {
    let names = packages.iter().filter_map(|line| line.split(' ').next());
    let listed = output(Command::new("dpkg").arg("-L").args(names))?;
    let mut files = BTreeSet::new();
    for path in listed.lines().filter_map(|line| line.strip_prefix('/')) {
        let first = path.split('/').next().unwrap_or_default();
        let path = if ["bin", "sbin", "lib", "lib64"].contains(&first) {
            format!("usr/{path}")
        } else {
            path.to_owned()
        };
        let left_out = LEFT_OUT.iter().any(|folder| path.starts_with(folder));
        if !left_out && path != "." && !path.is_empty() {
            add_existing(&mut files, &path);
        }
    }
    Ok(files)
}

/// Node and npm. npm may have been upgraded over the packaged one: its folder is taken as it is.
fn add_node(files: &mut BTreeSet<String>) -> Result<String> {
    let node = located("node")?;
    let npm = located("npm")?;
    let folder = npm
        .ancestors()
        .find(|part| part.file_name().is_some_and(|name| name == "npm"))
        .context("npm is not in a folder of its own")?
        .to_owned();
    let below = format!("{}/", relative(&folder));
    files.retain(|file| !file.starts_with(&below));
    add_tree(files, &folder)?;
    let links = output(Command::new("which").args(["node", "npm", "npx"]))?;
    for link in links.lines() {
        files.insert(relative(Path::new(link)));
    }
    files.insert(relative(&node));
    let libraries = output(Command::new("ldd").arg(&node))?;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        files.insert(relative(Path::new(library)));
        files.insert(relative(&fs::canonicalize(library)?));
    }
    Ok(format!(
        "node {} npm {}",
        output(Command::new(&node).arg("--version"))?.trim(),
        output(Command::new("npm").arg("--version"))?.trim()
    ))
}

/// Commands such as java and awk belong to no package: they are links to links.
fn add_alternatives(files: &mut BTreeSet<String>) -> Result<()> {
    let alternatives = Path::new("/etc/alternatives");
    let links = fs::read_dir("/usr/bin")?.flatten().map(|entry| entry.path());
    for link in links {
        let Ok(target) = fs::read_link(&link) else {
            continue;
        };
        let leads_to = fs::canonicalize(&link).map(|path| relative(&path));
        if target.starts_with(alternatives) && leads_to.is_ok_and(|path| files.contains(&path)) {
            files.insert(relative(&link));
            files.insert(relative(&target));
        }
    }
    Ok(())
}

fn located(program: &str) -> Result<PathBuf> {
    let found = output(Command::new("which").arg(program))?;
    fs::canonicalize(found.trim()).with_context(|| format!("{program} cannot be found"))
}

fn add_tree(files: &mut BTreeSet<String>, folder: &Path) -> Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        files.insert(relative(&path));
        if fs::symlink_metadata(&path)?.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}

fn add_existing(files: &mut BTreeSet<String>, path: &str) {
    if fs::symlink_metadata(Path::new("/").join(path)).is_ok() {
        files.insert(path.to_owned());
    }
}

/// Without the leading slash, and through the links `/bin`, `/lib` and the like.
fn relative(path: &Path) -> String {
    let text = path.display().to_string();
    let text = text.trim_start_matches('/');
    let first = text.split('/').next().unwrap_or_default();
    if ["bin", "sbin", "lib", "lib64"].contains(&first) {
        format!("usr/{text}")
    } else {
        text.to_owned()
    }
}
