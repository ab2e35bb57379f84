//! The build plan: one script for builder container and process runtime. Values from the configuration
//! travel in variables and in a file, never inside the script.

use crate::error::OptionsError;
use crate::options::Options;
use plugin_api::{PEER_ADDRESS, PHASE_FUNCTION, Plan};
use std::fs;
use std::path::Path;
use url::Url;

/// Names of the files that lie beside the unpacked package, outside of what is built.
const NPMRC: &str = "npmrc";
const CA: &str = "npm-ca.pem";
/// Largest token or CA file.
const MAX_FILE: u64 = 1 << 20;

/// Images of Fabric 2.x bring their own build script, which reads and writes the same folders.
/// npm before 8 knows `--production`, later ones `--omit=dev`; npm before 6 has no usable `npm ci`.
/// npm first fetches everything, then runs the scripts of packages, which compile; only the shell that it is told to run
/// them with knows when that begins. A package that wants a shell of its own gets it, and has one phase.
const SCRIPT: &str = r#"set -e
if [ -f "$CHAINCODE_INPUT/npmrc" ]; then
    NPM_CONFIG_USERCONFIG="$CHAINCODE_INPUT/npmrc"
    export NPM_CONFIG_USERCONFIG
fi
phase dependencies
compiles="$(mktemp -d)"
printf '#!/bin/sh\n: > "%s/begun"\nexec /bin/sh "$@"\n' "$compiles" > "$compiles/sh"
chmod 0700 "$compiles/sh"
if "$compiles/sh" -c : 2>/dev/null && ! grep -qs '^ *script-shell' "$CHAINCODE_INPUT/src/.npmrc"; then
    npm_config_script_shell="$compiles/sh"
    export npm_config_script_shell
fi
rm -f "$compiles/begun"
ended() {
    status=$?
    if [ -f "$compiles/begun" ]; then
        phase compile
    fi
    rm -rf "$compiles"
    exit "$status"
}
trap ended EXIT
if [ "$CHAINCODE_INPUT" = /chaincode/input ] && [ -x /chaincode/build.sh ]; then
    /chaincode/build.sh
    exit
fi
cp -R "$CHAINCODE_INPUT/src/." "$CHAINCODE_OUTPUT"
cd "$CHAINCODE_OUTPUT"
case "$(npm --version)" in
    [0-5].*) ci=install production=--production ;;
    [67].*) ci=ci production=--production ;;
    *) ci=ci production=--omit=dev ;;
esac
if [ ! -f package-lock.json ] && [ ! -f npm-shrinkwrap.json ]; then
    ci=install
fi
npm "$ci" "$production"
"#;

/// Everything is there already; only the links to programs of dependencies are missing, which no package can hold.
const VENDORED_SCRIPT: &str = r#"set -e
phase dependencies
cp -R "$CHAINCODE_INPUT/src/." "$CHAINCODE_OUTPUT"
cd "$CHAINCODE_OUTPUT"
npm rebuild --offline --ignore-scripts
"#;

/// Starts what the image contains, as Fabric 2.5 does.
const START: &str = r#"set -e
if [ -x /chaincode/start.sh ]; then
    exec /chaincode/start.sh --peer.address "$1"
fi
cd /usr/local/src
exec npm start -- --peer.address "$1"
"#;

/// The plan for a package with or without its dependencies in it.
pub(crate) fn plan(options: &Options, vendored: bool) -> Result<Plan, OptionsError> {
    let mut plan = Plan {
        image: options.runtime_image.clone(),
        cmd: script(vendored),
        env: strings(&[
            "npm_config_audit=false",
            "npm_config_fund=false",
            "npm_config_update_notifier=false",
        ]),
        // npm looks for its own successor at every start, and says so among the last words of a crash
        launch: strings(&[
            "npm",
            "--no-update-notifier",
            "start",
            "--",
            "--peer.address",
            PEER_ADDRESS,
        ]),
        container_launch: strings(&["/bin/sh", "-c", START, "chaincode", PEER_ADDRESS]),
        offline: vendored,
        ..Plan::default()
    };
    if !vendored {
        add_registry(options, &mut plan)?;
    }
    Ok(plan)
}

fn script(vendored: bool) -> String {
    let script = if vendored { VENDORED_SCRIPT } else { SCRIPT };
    format!("{PHASE_FUNCTION}{script}")
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Variables win over a package's own `.npmrc`. Scopes, authorities and tokens have no variable that every shell
/// passes on, so they go into the user's `.npmrc`.
fn add_registry(options: &Options, plan: &mut Plan) -> Result<(), OptionsError> {
    if let Some(registry) = &options.registry {
        let replaced = options.replace_registry_host.word();
        plan.env.push(format!("npm_config_registry={registry}"));
        plan.env
            .push(format!("npm_config_replace_registry_host={replaced}"));
    }
    if let Some(proxy) = &options.proxy {
        plan.env.push(format!("npm_config_proxy={proxy}"));
        plan.env.push(format!("npm_config_https_proxy={proxy}"));
    }
    if !options.strict_ssl {
        plan.env.push("npm_config_strict_ssl=false".to_owned());
    }
    let mut npmrc = String::new();
    for (scope, url) in &options.scopes {
        npmrc.push_str(&format!("{scope}:registry={url}\n"));
    }
    if let Some(path) = &options.ca_file {
        plan.files.push((CA.to_owned(), read("npm.caFile", path)?));
        npmrc.push_str(&format!("cafile=${{CHAINCODE_INPUT}}/{CA}\n"));
    }
    if let Some(path) = &options.token_file {
        let token = token(path)?;
        let registries: Vec<&Url> = match &options.registry {
            Some(registry) => vec![registry],
            None => options.scopes.values().collect(),
        };
        for registry in registries {
            npmrc.push_str(&format!("//{}:_authToken={token}\n", without_scheme(registry)));
        }
        plan.secrets.push(token);
    }
    if !npmrc.is_empty() {
        plan.files.push((NPMRC.to_owned(), npmrc.into_bytes()));
    }
    Ok(())
}

/// `host:port/path/`, which is how npm names a registry in its configuration.
fn without_scheme(url: &Url) -> String {
    let text = url.as_str();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    format!("{}/", rest.trim_end_matches('/'))
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

fn token(path: &Path) -> Result<String, OptionsError> {
    let content = read("npm.tokenFile", path)?;
    let text = String::from_utf8_lossy(&content);
    match text.trim() {
        token if is_token(token) => Ok(token.to_owned()),
        _ => Err(OptionsError::NoToken(path.to_owned())),
    }
}

/// What means nothing in an `.npmrc`, where `;`, `#` and `${}` do.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    fn options(json: &str) -> Options {
        Options::parse(json, &|_| None).unwrap()
    }

    #[test]
    fn the_registry_travels_in_a_variable_and_never_in_the_script() {
        let url = "http://registry.example:4873/a$(touch%20x)";
        let with = plan(&options(&format!(r#"{{"npmRegistry": "{url}"}}"#)), false).unwrap();
        assert!(
            with.env.contains(&format!("npm_config_registry={url}")),
            "{:?}",
            with.env
        );
        let without = plan(&options("{}"), false).unwrap();
        assert_eq!(with.cmd, without.cmd);
        assert!(
            !without
                .env
                .iter()
                .any(|line| line.starts_with("npm_config_registry"))
        );
        assert!(without.files.is_empty());
        assert_eq!(without.image, "hyperledger/fabric-nodeenv:2.5");
        assert_eq!(
            without.launch,
            [
                "npm",
                "--no-update-notifier",
                "start",
                "--",
                "--peer.address",
                "{peer.address}"
            ]
        );
    }

    #[test]
    fn scopes_token_and_authorities_become_an_npmrc() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        fs::write(folder.path().join("ca.pem"), "PEM").unwrap();
        let at = folder.path().display();
        let json = format!(
            r#"{{"npm": {{"registry": "https://r.example/npm", "scopes": {{"@acme": "https://acme.example/"}},
                "tokenFile": "{at}/token", "caFile": "{at}/ca.pem", "proxy": "http://proxy:3128", "strictSsl": false}}}}"#
        );
        let plan = plan(&options(&json), false).unwrap();
        let (_, npmrc) = plan.files.iter().find(|(name, _)| name == NPMRC).unwrap();
        assert_eq!(
            String::from_utf8_lossy(npmrc),
            "@acme:registry=https://acme.example/\ncafile=${CHAINCODE_INPUT}/npm-ca.pem\n\
             //r.example/npm/:_authToken=s3cret\n"
        );
        for line in [
            "npm_config_registry=https://r.example/npm",
            "npm_config_replace_registry_host=always",
            "npm_config_strict_ssl=false",
            "npm_config_proxy=http://proxy:3128/",
        ] {
            assert!(plan.env.iter().any(|known| known == line), "{line}");
        }
        assert_eq!(plan.secrets, ["s3cret"]);
        assert!(!plan.cmd.contains("s3cret") && !plan.env.iter().any(|line| line.contains("s3cret")));
        for none in [" \n", "a b", "a;b", "${HOME}", "a\nb"] {
            fs::write(folder.path().join("token"), none).unwrap();
            let error = super::plan(&options(&json), false).unwrap_err().text();
            assert!(error.contains("holds no token"), "{error}");
        }
        fs::remove_file(folder.path().join("ca.pem")).unwrap();
        assert!(
            super::plan(&options(&json), false)
                .unwrap_err()
                .text()
                .starts_with("cannot read npm.caFile")
        );
    }

    #[test]
    fn without_a_registry_the_token_is_that_of_the_scopes() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "s3cret").unwrap();
        let json = format!(
            r#"{{"npm": {{"scopes": {{"@a": "https://a.example"}}, "tokenFile": "{}/token"}}}}"#,
            folder.path().display()
        );
        let plan = plan(&options(&json), false).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&plan.files[0].1),
            "@a:registry=https://a.example/\n//a.example/:_authToken=s3cret\n"
        );
    }

    #[test]
    fn vendored_dependencies_need_no_network_and_get_no_token() {
        let json = r#"{"npm": {"registry": "http://r.example", "tokenFile": "/there/is/none"}}"#;
        let plan = plan(&options(json), true).unwrap();
        assert!(plan.offline && plan.files.is_empty() && plan.secrets.is_empty());
        assert!(!plan.cmd.contains("npm \"$ci\""));
        assert!(!plan.env.iter().any(|line| line.contains("r.example")));
    }

    /// A program for a script to run. Another process writes it: what this one has open for writing while a test beside it
    /// starts a process cannot be run.
    fn program(path: &Path, text: &str) {
        let source = path.with_extension("text");
        fs::write(&source, text).unwrap();
        let installed = Command::new("install")
            .args(["-m", "755"])
            .args([source.as_path(), path])
            .status();
        assert!(installed.unwrap().success());
    }

    /// What a build says of itself, with an `npm` that runs the script of a package if it is told to, and then fails.
    fn phases(npmrc: &str, runs: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "input/src", "output", "tmp"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("input/src/.npmrc"), npmrc).unwrap();
        let npm = format!("#!/bin/sh\n[ \"$1\" = --version ] && exec echo 11.0.0\n{runs}\nexit 7\n");
        program(&at("bin/npm"), &npm);
        let output = Command::new("/bin/sh")
            .args(["-c", &script(false)])
            .env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()))
            .env("TMPDIR", at("tmp"))
            .env("CHAINCODE_INPUT", at("input"))
            .env("CHAINCODE_OUTPUT", at("output"))
            .env("CHAINCODE_PHASE_MARK", "@@")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert!(
            fs::read_dir(at("tmp")).unwrap().next().is_none(),
            "nothing is left"
        );
        let printed = String::from_utf8(output.stdout).unwrap();
        printed.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_phase_is_compile_once_a_package_runs_its_scripts() {
        let runs = "\"${npm_config_script_shell:-/bin/sh}\" -c 'echo \"$0 $1 $CHAINCODE_PHASE_MARK.\"' a b";
        assert_eq!(phases("", "true"), ["@@dependencies"]);
        assert_eq!(phases("", runs), ["@@dependencies", "a b .", "@@compile"]);
        assert_eq!(
            phases("script-shell = /bin/bash", runs),
            ["@@dependencies", "a b ."],
            "its own shell"
        );
    }

    /// Runs the script with an `npm` that only writes its arguments down.
    fn arguments_of_npm(version: &str, lock: bool) -> String {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "input/src/lib", "output"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let npm = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then echo {version}; else echo \"$@\" > arguments; fi\n"
        );
        program(&at("bin/npm"), &npm);
        fs::write(at("input/src/lib/a b.js"), "1").unwrap();
        if lock {
            fs::write(at("input/src/package-lock.json"), "{}").unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", at("bin").display());
        let status = Command::new("/bin/sh")
            .args(["-c", &script(false)])
            .env("PATH", path)
            .env("CHAINCODE_INPUT", at("input"))
            .env("CHAINCODE_OUTPUT", at("output"))
            .status()
            .unwrap();
        assert!(status.success());
        assert!(at("output/lib/a b.js").is_file());
        fs::read_to_string(at("output/arguments"))
            .unwrap()
            .trim()
            .to_owned()
    }

    #[test]
    fn the_script_suits_old_and_new_npm() {
        for (version, lock, expected) in [
            ("11.6.0", true, "ci --omit=dev"),
            ("10.9.2", false, "install --omit=dev"),
            ("8.0.0", true, "ci --omit=dev"),
            ("7.24.0", true, "ci --production"),
            ("6.14.18", false, "install --production"),
            ("5.6.0", true, "install --production"),
        ] {
            assert_eq!(arguments_of_npm(version, lock), expected, "{version}");
        }
    }
}
