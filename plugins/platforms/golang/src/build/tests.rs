use super::*;
use std::path::Path;
use std::process::Command;

fn options(json: &str) -> Options {
    Options::parse(json, &|_| None).unwrap()
}

fn module(name: &str, vendored: bool) -> Contents {
    Contents {
        module: Some(name.to_owned()),
        vendored,
    }
}

fn has(plan: &Plan, line: &str) -> bool {
    plan.env.iter().any(|known| known == line)
}

#[test]
fn settings_travel_in_variables_and_never_in_the_script() {
    let json =
        r#"{"goProxy": "https://proxy.example/$(touch%20x)", "goFlags": "-v; rm", "dynamicLink": true}"#;
    let with = plan(&options(json), &Contents::default(), "example.com/kv").unwrap();
    let without = plan(&options("{}"), &Contents::default(), "example.com/kv").unwrap();
    assert_eq!(with.cmd, without.cmd);
    for line in [
        "GOPROXY=https://proxy.example/$(touch%20x)",
        "GOFLAGS=-v; rm",
        "GOTOOLCHAIN=local",
        "CHAINCODE_DYNAMIC_LINK=true",
        "CHAINCODE_PACKAGE=example.com/kv",
    ] {
        assert!(has(&with, line), "{line} in {:?}", with.env);
    }
    assert!(!without.env.iter().any(|line| line.starts_with("GOPROXY")));
    assert!(has(&without, "CHAINCODE_DYNAMIC_LINK=false"));
    assert_eq!(
        with.launch,
        ["./chaincode", "-peer.address={peer.address}"],
        "the placeholder is the peer's"
    );
}

#[test]
fn vendored_modules_need_no_network() {
    let json = r#"{"goProxy": "https://proxy.example", "netrcFile": "/there/is/none"}"#;
    let plan = plan(&options(json), &module("kv", true), "kv").unwrap();
    assert!(plan.offline && plan.files.is_empty() && has(&plan, "GOPROXY=off"));
    assert!(!has(&plan, "GOPROXY=https://proxy.example"));
}

#[test]
fn credentials_are_a_private_file_and_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("netrc");
    let json = format!(r#"{{"netrcFile": "{}"}}"#, file.display());
    let error = plan(&options(&json), &Contents::default(), "kv")
        .unwrap_err()
        .text();
    assert!(error.starts_with("cannot read netrcFile"), "{error}");
    fs::write(&file, "machine a.example login me password s3cret\n").unwrap();
    let plan = plan(&options(&json), &Contents::default(), "kv").unwrap();
    assert_eq!(plan.secrets, ["s3cret"]);
    assert_eq!(plan.files[0].0, "netrc");
    let json = format!(r#"{{"caFile": "{}"}}"#, file.display());
    let with_ca = super::plan(&options(&json), &Contents::default(), "kv").unwrap();
    assert_eq!(with_ca.files[0].0, "go-ca.pem");
    assert!(with_ca.secrets.is_empty());
    assert!(!plan.env.iter().any(|line| line.contains("s3cret")));
}

#[test]
fn the_package_to_build_is_the_import_path_or_the_modules_root() {
    let kv = module("example.com/kv", false);
    for (contents, path, package) in [
        (&kv, "example.com/kv", "example.com/kv"),
        (&kv, "example.com/kv/cmd", "example.com/kv/cmd"),
        (&kv, "/home/somebody/kv", "."),
        (&kv, "", "."),
        (&kv, "example.com/kvx", "."),
        (&Contents::default(), "example.com/kv", "example.com/kv"),
    ] {
        assert_eq!(package_to_build(contents, path).unwrap(), package, "{path}");
    }
    for path in ["-toolexec=x", "/abs", "$(x)"] {
        assert!(package_to_build(&Contents::default(), path).is_err(), "{path}");
    }
}

/// Runs the script with a `go` that only writes down where, with what arguments and in which mode it was called.
fn call_of_go(files: &[&str], package: &str, extra: &[(&str, &str)], compiler: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["bin", "input/src", "output"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    for name in files {
        let path = at("input/src").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let go = "#!/bin/sh\n(echo \"$(basename \"$PWD\")\"; printf '%s|' \"$@\"; \
              echo; echo \"$GO111MODULE $GOPATH $CGO_ENABLED\") > \"$CHAINCODE_OUTPUT/call\"\n";
    program(&at("bin/go"), go);
    if compiler {
        program(&at("bin/a-compiler"), "#!/bin/sh\n");
    }
    let status = Command::new("/bin/sh")
        .args(["-c", &script()])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()))
        .env("CC", "a-compiler")
        .env("CHAINCODE_INPUT", at("input"))
        .env("CHAINCODE_OUTPUT", at("output"))
        .env("CHAINCODE_PACKAGE", package)
        .envs(extra.iter().copied())
        .status()
        .unwrap();
    assert!(status.success());
    let place = folder.path().display().to_string();
    fs::read_to_string(at("output/call"))
        .unwrap()
        .replace(&place, "")
        .replace("-ldflags|-linkmode external -extldflags '-static'|", "STATIC|")
}

#[test]
fn the_five_layouts_are_built_as_fabric_builds_them() {
    let cc = "example.com/kv";
    let built = "-o|/output/chaincode";
    for (files, expected) in [
        (
            ["go.mod", "vendor/modules.txt"],
            format!("src\nbuild|-v|-modcacherw|-mod=vendor|STATIC|{built}|{cc}|\non"),
        ),
        (
            ["go.mod", "main.go"],
            format!("src\nbuild|-v|-modcacherw|-mod=readonly|STATIC|{built}|{cc}|\non"),
        ),
        (
            ["example.com/kv/go.mod", "example.com/kv/vendor/modules.txt"],
            format!("kv\nbuild|-v|-modcacherw|-mod=vendor|STATIC|{built}|.|\non"),
        ),
        (
            ["example.com/kv/go.mod", "main.go"],
            format!("kv\nbuild|-v|-modcacherw|-mod=readonly|STATIC|{built}|.|\non"),
        ),
        (
            ["example.com/kv/main.go", "example.com/dep/dep.go"],
            format!("platforms\nbuild|-v|STATIC|{built}|{cc}|\noff /input"),
        ),
    ] {
        let call = call_of_go(&files, cc, &[], true);
        // the last case stays where it was started
        let call = call.replacen("golang\n", "platforms\n", 1);
        assert_eq!(call.trim_end(), expected, "{files:?}");
    }
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

/// What a build says of itself, with a `go` whose commands do these.
fn phases(file: &str, list: &str, build: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["bin", "input/src/kv", "output"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(at("input/src").join(file), "").unwrap();
    let go = format!("#!/bin/sh\ncase $1 in list) {list} ;; *) {build} ;; esac\n");
    program(&at("bin/go"), &go);
    let output = Command::new("/bin/sh")
        .args(["-c", &script()])
        .env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()))
        .env("CHAINCODE_INPUT", at("input"))
        .env("CHAINCODE_OUTPUT", at("output"))
        .env("CHAINCODE_PACKAGE", "kv")
        .env("CHAINCODE_PHASE_MARK", "@@")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said, errors)
}

#[test]
fn modules_are_fetched_before_they_are_compiled() {
    let (code, said, _) = phases("go.mod", "exit 3", "exit 0");
    assert_eq!((code, said.as_str()), (Some(3), "@@dependencies\n"));
    let (code, said, errors) = phases("go.mod", "echo no module", "exit 0");
    assert_eq!((code, said.as_str()), (Some(1), "@@dependencies\n"));
    assert!(errors.ends_with("no module\n"), "{errors}");
    let (code, said, _) = phases("go.mod", "exit 0", "exit 2");
    assert_eq!((code, said.as_str()), (Some(2), "@@dependencies\n@@compile\n"));
    let (code, said, _) = phases("kv/main.go", "exit 3", "exit 2");
    assert_eq!((code, said.as_str()), (Some(2), "@@compile\n"), "below GOPATH");
}

#[test]
fn linking_is_static_unless_configured_or_impossible() {
    let files = ["go.mod"];
    let dynamic = [("CHAINCODE_DYNAMIC_LINK", "true")];
    assert!(!call_of_go(&files, "kv", &dynamic, true).contains("STATIC"));
    let call = call_of_go(&files, "kv", &[], false);
    assert!(
        !call.contains("STATIC") && call.trim_end().ends_with(" 0"),
        "{call}"
    );
    let gopath = [("GOPATH", "/go")];
    assert!(call_of_go(&["kv/main.go"], "kv", &gopath, true).contains("off /input:/go"));
}
