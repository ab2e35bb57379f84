//! The build plan: one script for builder container and process runtime. Values from the configuration travel in files,
//! never inside the script.

use crate::error::OptionsError;
use crate::mirror::{GRADLE_PASSWORD, Settings};
use crate::options::Options;
use plugin_api::{PEER_ADDRESS, PHASE_FUNCTION, Plan};

/// Names of the files that lie beside the unpacked package.
const MAVEN_SETTINGS: &str = "settings.xml";
const GRADLE_INIT: &str = "mirror.init.gradle";
const GRADLE_PROPERTIES: &str = "gradle.properties";

/// Images of Fabric 2.x bring their own build script, which finds settings where Maven and Gradle look for them. Java
/// takes the home folder from the user's entry in passwd, so that is said again. Downloads are kept in the cache.
/// Maven and Gradle mix fetching and compiling; what they print tells which of them it was.
const SCRIPT: &str = r#"set -e
phase dependencies
watched() {
    ended="$(mktemp)"
    { code=0; "$@" || code=$?; echo "$code" > "$ended"; } 2>&1 | while IFS= read -r line || [ -n "$line" ]; do
        printf '%s\n' "$line"
        case "$line" in
        *"--- "*compiler*:compile*|"> Task :compile"*|":compile"*) phase compile ;;
        *MAVEN/*ResolutionException*|*MAVEN/UnresolvableModel*|*"Could not resolve "*) phase dependencies ;;
        esac
    done
    read -r code < "$ended"
    rm -f "$ended"
    return "$code"
}
GRADLE_USER_HOME="${XDG_CACHE_HOME:-$HOME}/.gradle"
MAVEN_OPTS="$MAVEN_OPTS -Duser.home=$HOME"
export GRADLE_USER_HOME MAVEN_OPTS
mkdir -p "$HOME/.m2" "$GRADLE_USER_HOME/init.d"
rm -f "$GRADLE_USER_HOME/init.d/mirror.init.gradle" "$GRADLE_USER_HOME/gradle.properties"
if [ -f "$CHAINCODE_INPUT/settings.xml" ]; then
    (umask 077; cp "$CHAINCODE_INPUT/settings.xml" "$HOME/.m2/settings.xml")
fi
gradle_init=
if [ -f "$CHAINCODE_INPUT/mirror.init.gradle" ]; then
    gradle_init="$CHAINCODE_INPUT/mirror.init.gradle"
fi
if [ -f "$CHAINCODE_INPUT/gradle.properties" ]; then
    cp "$CHAINCODE_INPUT/gradle.properties" "$GRADLE_USER_HOME/gradle.properties"
fi
if [ "$CHAINCODE_INPUT" = /chaincode/input ] && [ -x /root/chaincode-java/build.sh ]; then
    if [ -n "$gradle_init" ]; then
        (umask 077; cp "$gradle_init" "$GRADLE_USER_HOME/init.d/mirror.init.gradle")
    fi
    cd /root/chaincode-java
    watched ./build.sh
    exit
fi
needs() {
    command -v "$1" >/dev/null && return
    echo "this chaincode is built with $2, and there is no $1 program in PATH" >&2
    exit 1
}
result() {
    if [ ! -f "$1" ]; then
        echo "the build made no $1: $2" >&2
        exit 1
    fi
    cp "$1" "$CHAINCODE_OUTPUT/chaincode.jar"
    # an image's start script takes it for complete
    : > "$CHAINCODE_OUTPUT/.uberjar"
}
needs java "a Java compiler"
cd "$CHAINCODE_INPUT/src"
if [ -f build.gradle ] || [ -f build.gradle.kts ]; then
    set -- --no-daemon --console=plain build shadowJar -x test
    if [ -n "$gradle_init" ]; then
        set -- --init-script "$gradle_init" "$@"
    fi
    if [ -f gradlew ] && [ -f gradle/wrapper/gradle-wrapper.jar ]; then
        watched sh ./gradlew "$@"
    else
        needs gradle "Gradle, without a wrapper of its own"
        watched gradle "$@"
    fi
    result build/libs/chaincode.jar "its shadowJar task must be named so (archiveBaseName 'chaincode', no version)"
elif [ -f pom.xml ]; then
    needs mvn Maven
    set -- -B -DskipTests -Dmaven.test.skip=true package
    if [ -f "$HOME/.m2/settings.xml" ]; then
        set -- -s "$HOME/.m2/settings.xml" "$@"
    fi
    if [ -n "$XDG_CACHE_HOME" ]; then
        set -- "-Dmaven.repo.local=$XDG_CACHE_HOME/maven" "$@"
    fi
    watched mvn "$@"
    result target/chaincode.jar "finalName must be chaincode, and the jar must contain its dependencies"
else
    echo "found neither build.gradle nor pom.xml in the chaincode's source" >&2
    exit 255
fi
"#;

/// The plan; it is the same for every package.
pub(crate) fn plan(options: &Options) -> Result<Plan, OptionsError> {
    let settings = Settings::of(options)?;
    let files = [
        (MAVEN_SETTINGS, settings.maven),
        (GRADLE_INIT, settings.gradle),
        (GRADLE_PASSWORD, settings.gradle_password),
        (GRADLE_PROPERTIES, settings.gradle_properties),
    ];
    let strings = |arguments: &[&str]| arguments.iter().map(|text| (*text).to_owned()).collect();
    Ok(Plan {
        image: options.runtime_image.clone(),
        cmd: script(),
        files: files
            .into_iter()
            .filter_map(|(name, content)| Some((name.to_owned(), content?.into_bytes())))
            .collect(),
        launch: strings(&["java", "-jar", "chaincode.jar", "--peerAddress", PEER_ADDRESS]),
        container_launch: strings(&["/root/chaincode-java/start", "--peerAddress", PEER_ADDRESS]),
        secrets: settings.secrets,
        ..Plan::default()
    })
}

fn script() -> String {
    format!("{PHASE_FUNCTION}{SCRIPT}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    fn options(json: &str) -> Options {
        Options::parse(json, &|_| None).unwrap()
    }

    #[test]
    fn settings_travel_in_files_and_never_in_the_script() {
        let json = r#"{"maven": {"mirror": "https://m.example/$(touch%20x)", "proxy": "http://p.example"}}"#;
        let with = plan(&options(json)).unwrap();
        let without = plan(&options("{}")).unwrap();
        assert_eq!(with.cmd, without.cmd);
        assert!(without.files.is_empty() && with.env.is_empty());
        let names: Vec<_> = with.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["settings.xml", "mirror.init.gradle", "gradle.properties"]);
        assert_eq!(
            with.launch,
            ["java", "-jar", "chaincode.jar", "--peerAddress", "{peer.address}"]
        );
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

    /// What a build says of itself, with a `mvn` that prints these lines and then fails.
    fn phases(printed: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "input/src", "output", "home"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("input/src/pom.xml"), "").unwrap();
        fs::write(at("printed"), printed).unwrap();
        for name in ["java", "mvn"] {
            let text = format!("#!/bin/sh\ncat '{}' >&2\nexit 7\n", at("printed").display());
            program(&at("bin").join(name), &text);
        }
        let output = Command::new("/bin/sh")
            .args(["-c", &script()])
            .env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()))
            .env("HOME", at("home"))
            .env("CHAINCODE_INPUT", at("input"))
            .env("CHAINCODE_OUTPUT", at("output"))
            .env("CHAINCODE_PHASE_MARK", "@@")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said.replace("@@dependencies\n", "").replace("@@compile\n", ""),
            printed
        );
        said.lines()
            .filter_map(|line| line.strip_prefix("@@"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_phase_is_read_from_what_maven_and_gradle_print() {
        let compiles = "[INFO] --- maven-compiler-plugin:3.11.0:compile (default-compile) @ kv ---\n";
        let coloured = "[INFO] \x1b[1m--- \x1b[0;32mcompiler:3.13.0:compile\x1b[m\n";
        let help = "[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/";
        let rows = [
            ("a \\n b\n".to_owned(), &["dependencies"][..]),
            (compiles.to_owned(), &["dependencies", "compile"]),
            (
                format!("{coloured}{help}MojoFailureException\n"),
                &["dependencies", "compile"],
            ),
            (
                format!("{compiles}{help}PluginResolutionException\n"),
                &["dependencies", "compile", "dependencies"],
            ),
            (":compileJava\n".to_owned(), &["dependencies", "compile"]),
            (
                "> Task :compileJava\n   > Could not resolve a:b:1.\n".to_owned(),
                &["dependencies", "compile", "dependencies"],
            ),
        ];
        for (printed, expected) in rows {
            assert_eq!(phases(&printed), expected, "{printed}");
        }
    }

    /// Runs the script with programs that only write down their arguments, and make `result` if they build.
    fn run(files: &[&str], programs: &[&str], result: &str) -> (Output, String) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let shell = "sh mkdir rm cp dirname mktemp";
        fs::create_dir_all(at("bin")).unwrap();
        for name in shell.split(' ') {
            let found = ["/bin", "/usr/bin"].map(|folder| format!("{folder}/{name}"));
            let found = found
                .iter()
                .find(|path| fs::exists(path).unwrap_or_default())
                .unwrap();
            std::os::unix::fs::symlink(found, at("bin").join(name)).unwrap();
        }
        for name in ["input/src", "output", "home"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let body = format!(
            "echo \"${{0##*/}} $*\" > \"$CHAINCODE_OUTPUT/call\"\nmkdir -p \"$(dirname {result})\"\necho jar > {result}\n"
        );
        for name in programs {
            program(&at("bin").join(name), &format!("#!/bin/sh\n{body}"));
        }
        for name in files {
            let path = at("input").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &body).unwrap();
        }
        let output = Command::new("/bin/sh")
            .args(["-c", &script()])
            .env_clear()
            .env("PATH", at("bin"))
            .env("HOME", at("home"))
            .env("XDG_CACHE_HOME", at("cache"))
            .env("CHAINCODE_INPUT", at("input"))
            .env("CHAINCODE_OUTPUT", at("output"))
            .output()
            .unwrap();
        let call = fs::read_to_string(at("output/call")).unwrap_or_default();
        if output.status.success() {
            assert_eq!(fs::read_to_string(at("output/chaincode.jar")).unwrap(), "jar\n");
            assert!(at("output/.uberjar").exists());
        }
        (output, call.replace(&folder.path().display().to_string(), ""))
    }

    #[test]
    fn maven_projects_are_built_with_the_settings_and_a_cache() {
        let (output, call) = run(&["src/pom.xml"], &["java", "mvn"], "target/chaincode.jar");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            call.trim_end(),
            "mvn -Dmaven.repo.local=/cache/maven -B -DskipTests -Dmaven.test.skip=true package"
        );
        let (_, call) = run(
            &["src/pom.xml", "settings.xml"],
            &["java", "mvn"],
            "target/chaincode.jar",
        );
        assert!(call.contains("-s /home/.m2/settings.xml"), "{call}");
    }

    #[test]
    fn gradle_projects_are_built_with_their_wrapper_or_the_machines_gradle() {
        let result = "build/libs/chaincode.jar";
        let task = "--no-daemon --console=plain build shadowJar -x test";
        let (output, call) = run(
            &[
                "src/build.gradle",
                "src/gradlew",
                "src/gradle/wrapper/gradle-wrapper.jar",
            ],
            &["java"],
            result,
        );
        assert!(output.status.success(), "{output:?}");
        assert_eq!(call.trim_end(), format!("gradlew {task}"));
        let (_, call) = run(
            &["src/build.gradle.kts", "mirror.init.gradle"],
            &["java", "gradle"],
            result,
        );
        assert_eq!(
            call.trim_end(),
            format!("gradle --init-script /input/mirror.init.gradle {task}")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (files, programs, result, text) in [
            (["src/pom.xml"], ["java"], "x", "there is no mvn program in PATH"),
            (
                ["src/build.gradle"],
                ["java"],
                "x",
                "there is no gradle program in PATH",
            ),
            (["src/pom.xml"], ["mvn"], "x", "there is no java program in PATH"),
            (
                ["src/README"],
                ["java"],
                "x",
                "found neither build.gradle nor pom.xml",
            ),
        ] {
            let (output, _) = run(&files, &programs, result);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(text), "{said}");
        }
        let (output, _) = run(&["src/pom.xml"], &["java", "mvn"], "target/other.jar");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("the build made no target/chaincode.jar"), "{said}");
    }
}
