//! Maven repositories and Go module proxies of the operator's choice, live: what builds fetch comes from there, with the
//! login in the platform's configuration, which is seen nowhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::dev::{Dev, are_here, install, source};
use crate::file_server::FileServer;
use crate::gradle::gradle_is_here;
use crate::npm_registry::files_holding;

const USER: &str = "builder";
/// With all that XML and Groovy write in another way.
const PASSWORD: &str = "s3&cr<e>t'\"q\\x";
/// Without what ends a word in a netrc.
const TOKEN: &str = "t0ken-of-netrc";

fn network(platforms: &Value) -> Dev {
    Dev::network(&[
        ("CORE_PEER_HANDLERS_PLATFORMS", &platforms.to_string()),
        ("FABRIC_LOGGING_SPEC", "debug"),
    ])
}

/// The only chaincode's cache in the process runtime.
fn cache(dev: &Dev) -> PathBuf {
    let folders = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let process = dev.folder.path().join("net/peer/process");
    let caches =
        folders(&process).find(|path| path.file_name().unwrap().to_string_lossy().starts_with("cache-"));
    folders(&caches.unwrap()).next().unwrap()
}

/// Neither the log nor a file of the peer nor what a client heard has it.
fn is_seen_nowhere(dev: &Dev, secret: &str, said: &[&str]) {
    let log = dev.log();
    assert!(log.contains("build output"), "the log has the build's output");
    for text in said.iter().chain([&log.as_str()]) {
        assert!(!text.contains(secret), "{text}");
    }
    let holding = files_holding(&dev.folder.path().join("net"), secret.as_bytes());
    assert_eq!(holding, Vec::<PathBuf>::new());
}

fn maven_project() -> [(&'static str, &'static str); 2] {
    [
        (
            "pom.xml",
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
             <groupId>x</groupId><artifactId>kv</artifactId><version>1</version><properties>\
             <maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target>\
             </properties><dependencies><dependency><groupId>commons-codec</groupId>\
             <artifactId>commons-codec</artifactId><version>1.15</version></dependency></dependencies>\
             <build><finalName>chaincode</finalName></build></project>",
        ),
        ("src/main/java/kv/Main.java", MAIN),
    ]
}

const MAIN: &str =
    "package kv; class Main { String x = org.apache.commons.codec.binary.Hex.encodeHexString(new byte[1]); }";

fn gradle_project() -> [(&'static str, &'static str); 3] {
    [
        (
            "build.gradle",
            "apply plugin: 'java'\nrepositories { mavenCentral() }\n\
             configurations { shaded; compileOnly.extendsFrom(shaded) }\n\
             dependencies { shaded 'commons-codec:commons-codec:1.15' }\n\
             task shadowJar(type: Jar, dependsOn: classes) { archiveName = 'chaincode.jar'; from sourceSets.main.output }\n",
        ),
        ("settings.gradle", "rootProject.name = 'chaincode'\n"),
        ("src/main/java/kv/Main.java", MAIN),
    ]
}

#[test]
fn a_maven_mirror_serves_maven_and_gradle_with_a_login_that_is_seen_nowhere() {
    if !are_here(&[("java", "--version"), ("mvn", "--version")]) || !gradle_is_here() {
        return;
    }
    // what a first build has fetched from elsewhere is what the mirror has
    let first = Dev::network(&[]);
    let project = source(&first, "maven", &maven_project());
    first.ok(&install("first", "java", &project));
    let repository = cache(&first).join("maven");
    let open = FileServer::start(&repository, None, false);
    let closed = FileServer::start(&repository, Some((USER, PASSWORD)), false);

    let password = first.folder.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let login = json!({ "mirror": closed.url, "user": USER, "passwordFile": password });
    let dev = network(&json!([{ "name": "java", "config": {
        "maven": { "mirror": open.url },
        "chaincodes": {
            "member": { "maven": login },
            "gradle": { "maven": login },
            "stranger": { "maven": { "mirror": closed.url } },
        },
    } }]));
    dev.ok(&install("anybody", "java", &project));
    assert!(open.gave("/commons-codec-1.15.jar"), "{:?}", open.asked());
    let plugin = |asked: &str| asked.contains("/maven-compiler-plugin-") && asked.ends_with(".jar");
    assert!(open.asked().iter().any(|asked| plugin(&asked.path)));

    let strangers = dev.refused(&install("stranger", "java", &project));
    assert!(
        strangers.contains("phase dependencies of stranger:1") && strangers.contains("401"),
        "{strangers}"
    );
    assert!(closed.asked().iter().all(|asked| asked.status == 401));
    dev.ok(&install("member", "java", &project));
    assert!(closed.gave("/commons-codec-1.15.jar"));

    let given = closed.asked().len();
    let project = source(&dev, "gradle", &gradle_project());
    dev.ok(&install("gradle", "java", &project));
    let asked = closed.asked().split_off(given);
    let jar = |path: &str| path.ends_with("/commons-codec-1.15.jar");
    assert!(
        asked.iter().any(|asked| asked.status == 200 && jar(&asked.path)),
        "{asked:?}"
    );
    is_seen_nowhere(&dev, PASSWORD, &[&strangers]);
}

const SUM: &str = "github.com/pkg/errors v0.9.1 h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=\n\
                   github.com/pkg/errors v0.9.1/go.mod h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=\n";

#[test]
fn a_module_proxy_serves_go_with_a_login_that_is_seen_nowhere() {
    if !are_here(&[("go", "version")]) {
        return;
    }
    let files = [
        (
            "go.mod",
            "module example.com/kv\ngo 1.20\nrequire github.com/pkg/errors v0.9.1\n",
        ),
        ("go.sum", SUM),
        (
            "main.go",
            "package main\nimport \"github.com/pkg/errors\"\nfunc main() { panic(errors.New(\"x\")) }\n",
        ),
    ];
    // what go keeps of its downloads is the file tree of a proxy
    let first = Dev::network(&[]);
    let project = source(&first, "go", &files);
    first.ok(&install("first", "golang", &project));
    let modules = cache(&first).join("go-mod/cache/download");
    let open = FileServer::start(&modules, None, false);
    // go shows its logins to nobody without TLS
    let closed = FileServer::start(&modules, Some((USER, TOKEN)), true);
    let at = |name: &str, content: &str| {
        let path = first.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    // since 1.24 go wants the port, before that it must not be there
    let host = closed.url.trim_start_matches("https://").trim_end_matches('/');
    let machine = |host: &str| format!("machine {host} login {USER} password {TOKEN}\n");
    let netrc = at("netrc", &(machine("127.0.0.1") + &machine(host)));
    let ca = at("ca.pem", &closed.ca);

    let dev = network(&json!([{ "name": "golang", "config": {
        "goProxy": open.url,
        "chaincodes": {
            "member": { "goProxy": closed.url, "netrcFile": netrc, "caFile": ca },
            "stranger": { "goProxy": closed.url, "caFile": ca },
            "untrusting": { "goProxy": closed.url, "netrcFile": netrc },
        },
    } }]));
    dev.ok(&install("anybody", "golang", &project));
    assert!(
        open.gave("/github.com/pkg/errors/@v/v0.9.1.zip"),
        "{:?}",
        open.asked()
    );

    let untrusting = dev.refused(&install("untrusting", "golang", &project));
    assert!(untrusting.contains("certificate"), "{untrusting}");
    let strangers = dev.refused(&install("stranger", "golang", &project));
    for (name, said, reason) in [
        ("untrusting", &untrusting, "x509"),
        ("stranger", &strangers, "401"),
    ] {
        let phase = format!("phase dependencies of {name}:1");
        assert!(said.contains(&phase) && said.contains(reason), "{said}");
    }
    assert!(!closed.gave(""), "{:?}", closed.asked());
    dev.ok(&install("member", "golang", &project));
    assert!(
        closed.gave("/github.com/pkg/errors/@v/v0.9.1.zip"),
        "{:?}",
        closed.asked()
    );
    is_seen_nowhere(&dev, TOKEN, &[&untrusting, &strangers]);
}
