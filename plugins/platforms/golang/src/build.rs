//! The build plan: one script for builder container and process runtime. Values from the configuration and from the
//! package travel in variables, never inside the script.

use crate::error::OptionsError;
use crate::module::is_import_path;
use crate::options::Options;
use crate::package::Contents;
use plugin_api::{PEER_ADDRESS, PHASE_FUNCTION, Plan};
use std::fs;
use std::path::Path;

/// Names of the files that lie beside the unpacked package.
const NETRC: &str = "netrc";
const CA: &str = "go-ca.pem";
/// Largest such file.
const MAX_FILE: u64 = 1 << 20;

/// Fabric 2.5's five cases in its order. Static linking needs a C compiler; without one, code in C is left out instead.
/// The caches are the chaincode's own; a builder container has none. Listing what a module needs fetches it; a fault in
/// the chaincode's own files is the compiler's to report. Below GOPATH nothing is fetched, and old go commands cannot list.
const SCRIPT: &str = r#"set -e
if [ -f "$CHAINCODE_INPUT/netrc" ]; then
    NETRC="$CHAINCODE_INPUT/netrc"
    export NETRC
fi
if [ -f "$CHAINCODE_INPUT/go-ca.pem" ]; then
    SSL_CERT_FILE="$CHAINCODE_INPUT/go-ca.pem"
    export SSL_CERT_FILE
fi
if [ -n "$XDG_CACHE_HOME" ]; then
    GOCACHE="$XDG_CACHE_HOME/go-build"
    GOMODCACHE="$XDG_CACHE_HOME/go-mod"
    export GOCACHE GOMODCACHE
fi
if [ "$CHAINCODE_DYNAMIC_LINK" = true ]; then
    set --
elif command -v "${CC:-gcc}" >/dev/null; then
    set -- -ldflags "-linkmode external -extldflags '-static'"
else
    echo "there is no C compiler: building without cgo" >&2
    CGO_ENABLED=0
    export CGO_ENABLED
    set --
fi
faults_of_others='{{if .Error}}{{if .DepOnly}}{{$own := false}}{{with .Module}}{{$own = .Main}}{{end}}{{if not $own}}{{.Error}}{{end}}{{end}}{{end}}'
build() {
    mode="$1"
    package="$2"
    shift 2
    phase dependencies
    faults="$(GO111MODULE=on go list -modcacherw "-mod=$mode" -e -deps -f "$faults_of_others" "$package")"
    if [ -n "$faults" ]; then
        printf '%s\n' "$faults" >&2
        exit 1
    fi
    phase compile
    GO111MODULE=on go build -v -modcacherw "-mod=$mode" "$@" -o "$CHAINCODE_OUTPUT/chaincode" "$package"
}
src="$CHAINCODE_INPUT/src"
if [ -f "$src/go.mod" ] && [ -d "$src/vendor" ]; then
    cd "$src"
    build vendor "$CHAINCODE_PACKAGE" "$@"
elif [ -f "$src/go.mod" ]; then
    cd "$src"
    build readonly "$CHAINCODE_PACKAGE" "$@"
elif [ -f "$src/$CHAINCODE_PACKAGE/go.mod" ] && [ -d "$src/$CHAINCODE_PACKAGE/vendor" ]; then
    cd "$src/$CHAINCODE_PACKAGE"
    build vendor . "$@"
elif [ -f "$src/$CHAINCODE_PACKAGE/go.mod" ]; then
    cd "$src/$CHAINCODE_PACKAGE"
    build readonly . "$@"
else
    phase compile
    GOPATH="$CHAINCODE_INPUT${GOPATH:+:$GOPATH}" GO111MODULE=off \
        go build -v "$@" -o "$CHAINCODE_OUTPUT/chaincode" "$CHAINCODE_PACKAGE"
fi
"#;

/// The plan for a package that says it was made from `path`.
pub(crate) fn plan(options: &Options, contents: &Contents, path: &str) -> Result<Plan, OptionsError> {
    let mut env: Vec<String> = options
        .variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if contents.vendored {
        env.retain(|line| !line.starts_with("GOPROXY="));
        env.push("GOPROXY=off".to_owned());
    }
    // the toolchain that is there, or an error that says which one is wanted
    env.push("GOTOOLCHAIN=local".to_owned());
    env.push(format!("CHAINCODE_DYNAMIC_LINK={}", options.dynamic_link));
    env.push(format!("CHAINCODE_PACKAGE={}", package_to_build(contents, path)?));
    let mut plan = Plan {
        image: options.builder_image.clone(),
        cmd: script(),
        env,
        launch: vec!["./chaincode".to_owned(), format!("-peer.address={PEER_ADDRESS}")],
        container_launch: vec!["chaincode".to_owned(), format!("-peer.address={PEER_ADDRESS}")],
        offline: contents.vendored,
        ..Plan::default()
    };
    if contents.vendored {
        return Ok(plan);
    }
    if let Some(path) = &options.netrc_file {
        let netrc = read("netrcFile", path)?;
        plan.secrets = secrets(&netrc);
        plan.files.push((NETRC.to_owned(), netrc));
    }
    if let Some(path) = &options.ca_file {
        plan.files.push((CA.to_owned(), read("caFile", path)?));
    }
    Ok(plan)
}

fn script() -> String {
    format!("{PHASE_FUNCTION}{SCRIPT}")
}

/// The import path that the package names. Some clients put a folder of their own machine there; in a module they can
/// only have meant its root.
fn package_to_build(contents: &Contents, path: &str) -> Result<String, OptionsError> {
    let inside = |module: &str| {
        path == module
            || path
                .strip_prefix(module)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    match &contents.module {
        Some(module) if !inside(module) || !is_import_path(path) => Ok(".".to_owned()),
        None if path.is_empty() => Ok(".".to_owned()),
        _ if is_import_path(path) => Ok(path.to_owned()),
        _ => Err(OptionsError::ImportPath(path.to_owned())),
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, OptionsError> {
    let failed = |source| OptionsError::File {
        key,
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(failed(std::io::Error::other("it is larger than 1 MiB")));
    }
    fs::read(path).map_err(failed)
}

/// The words after `password`.
fn secrets(netrc: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(netrc);
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .iter()
        .zip(words.iter().skip(1))
        .filter(|(key, _)| **key == "password")
        .map(|(_, password)| (*password).to_owned())
        .collect()
}

#[cfg(test)]
mod tests;
