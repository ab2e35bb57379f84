//! What chaincode cannot do inside the sandbox. Each test says what it skips where the machine allows less.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot be set up fails; clippy's exemption does not reach helper functions"
)]

#[path = "support/setup.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use container::{ExitInfo, Level, Limits, OwnLimits, SandboxMode, Vm, fake};
use support::{Setup, eventually, platform, setup};

async fn run(
    setup: &Setup,
    script: &str,
    adjust: impl FnOnce(&mut container::ProcessConfig),
) -> (Level, ExitInfo) {
    let vm = setup.vm_with(platform("true", &["sh", "-c", script], |_| {}), adjust);
    let started = vm.start(&fake::request("mycc:1.0")).await.unwrap();
    (vm.level(), started.exit.wait().await)
}

#[tokio::test]
async fn chaincode_sees_only_its_own_processes_and_has_no_rights() {
    let setup = setup().await;
    let script = "echo $$; ls -d /proc/[0-9]* | wc -l; grep -E 'NoNewPrivs|CapEff' /proc/self/status | tr -d '\\n\\t'; echo; id -u";
    let (level, exit) = run(&setup, script, |_| {}).await;
    if level < Level::Namespaces {
        eprintln!("skipped: level {level}");
        return;
    }
    let [pid, processes, rights, user] = exit.last_lines.as_slice() else {
        panic!("{exit}")
    };
    assert_eq!(pid, "2", "the helper is process 1");
    assert!(processes.trim().parse::<u32>().unwrap() < 8, "{processes}");
    assert_eq!(rights, "CapEff:0000000000000000NoNewPrivs:1");
    if level == Level::Full {
        assert_eq!(user, "65534");
    }
}

#[tokio::test]
async fn the_basic_level_takes_capabilities_and_other_folders_away() {
    let setup = setup().await;
    let outside = setup.shared_file("outside");
    let script = format!(
        "grep CapPrm /proc/self/status | tr -d '\\t'; ( : > {0} ) 2>/dev/null; cat {1}/lock; : > $TMPDIR/x && echo wrote",
        outside.display(),
        setup.root().display()
    );
    let (level, exit) = run(&setup, &script, |config| config.strongest = Level::Basic).await;
    assert_eq!(level, Level::Basic);
    assert_eq!(exit.code, Some(0), "{exit}");
    // standard output and standard error are two pipes: nothing says in which order their lines arrive
    for line in ["CapPrm:0000000000000000", "wrote"] {
        assert!(exit.last_lines.iter().any(|printed| printed == line), "{exit}");
    }
    if exit.last_lines.len() == 2 {
        eprintln!("skipped: no Landlock");
        return;
    }
    assert!(
        exit.last_lines
            .iter()
            .any(|line| line.contains("lock: Permission denied")),
        "{exit}"
    );
    assert!(!outside.exists());
}

#[tokio::test]
async fn chaincode_writes_only_to_its_own_folders() {
    let setup = setup().await;
    let outside = setup.shared_file("outside");
    let script = format!(
        "try() {{ ( : > $1 ) 2>/dev/null && echo wrote $2; }}; try ./x output; try $HOME/x home; try $TMPDIR/x tmp; \
         try {} outside; try /usr/x usr; try /etc/x etc; try /x root; echo done",
        outside.display()
    );
    let (level, exit) = run(&setup, &script, |_| {}).await;
    if level < Level::Full {
        eprintln!("skipped: level {level}");
        return;
    }
    assert_eq!(exit.last_lines, ["wrote home", "wrote tmp", "done"], "{exit}");
    assert!(!outside.exists());
}

#[tokio::test]
async fn the_peers_files_are_out_of_sight() {
    let setup = setup().await;
    let secrets = setup.shared_file("msp");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("key.pem"), "SECRET").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o777)).unwrap();
    let script = format!(
        "cat {0}/key.pem; ls {0} | wc -l; ls {1}; cat /etc/shadow; exit 0",
        secrets.display(),
        setup.root().display()
    );
    let hidden = secrets.clone();
    let (level, exit) = run(&setup, &script, |config| config.hidden = vec![hidden]).await;
    if level < Level::Namespaces {
        eprintln!("skipped: level {level}");
        return;
    }
    let text = exit.last_lines.join("\n");
    assert!(!text.contains("SECRET") && !text.contains("root:"), "{text}");
    // Of the runtime's folder it sees its own part, not the lock or the caches.
    assert!(!text.contains("lock") && !text.contains("cache-"), "{text}");
}

#[tokio::test]
async fn weaker_levels_still_take_rights_away() {
    let setup = setup().await;
    let script = "grep NoNewPrivs /proc/self/status | tr -d '\\t'; ulimit -n; ulimit -c; kill -9 $PPID 2>/dev/null || echo kept";
    let (_, exit) = run(&setup, script, |config| config.limits.nofile = 77).await;
    assert_eq!(
        exit.last_lines.get(..3).unwrap(),
        ["NoNewPrivs:1", "77", "0"],
        "{exit}"
    );
}

#[tokio::test]
async fn switched_off_it_still_limits() {
    let setup = setup().await;
    let script =
        "ulimit -n; ulimit -c; grep NoNewPrivs /proc/self/status | tr -d '\\t'; cat /proc/self/cgroup";
    let (level, exit) = run(&setup, script, |config| {
        config.sandbox = SandboxMode::Off;
        config.limits.nofile = 78;
    })
    .await;
    assert_eq!((level, exit.code), (Level::Off, Some(0)), "{exit}");
    assert_eq!(
        exit.last_lines.get(..3).unwrap(),
        ["78", "0", "NoNewPrivs:0"],
        "{exit}"
    );
    if support::groups_of(setup.root()).is_empty() {
        eprintln!("skipped: no control groups");
        return;
    }
    let grouped = exit
        .last_lines
        .iter()
        .filter(|line| line.contains("fabric-chaincode-"));
    assert!(grouped.count() > 0, "{exit}");
}

#[tokio::test]
async fn chaincode_runs_in_the_configured_group() {
    let setup = setup().await;
    let (level, exit) = run(&setup, "id -u; id -g; stat -c %g .", |config| {
        (config.user, config.group) = (65533, 65532)
    })
    .await;
    if !support::is_root() || level < Level::Namespaces {
        eprintln!("skipped: not root, or level {level}");
        return;
    }
    assert_eq!(exit.last_lines, ["65533", "65532", "65532"], "{exit}");
}

#[tokio::test]
async fn processors_are_limited() {
    let setup = setup().await;
    let vm = setup.vm_with(platform("true", &["sleep", "60"], |_| {}), |config| {
        config.limits.cpu = Some(0.25);
    });
    let started = vm.start(&fake::request("mycc:1.0")).await.unwrap();
    let quotas: Vec<String> = support::groups_of(setup.root())
        .iter()
        .flat_map(|base| support::sub_folders(base))
        .flat_map(|job| ["cpu.max", "cpu.cfs_quota_us"].map(|file| job.join(file)))
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    vm.stop("mycc:1.0").await.unwrap();
    started.exit.wait().await;
    if quotas.is_empty() {
        assert!(vm.level() < Level::Full, "the limit is part of the full level");
        eprintln!("skipped: no cpu controller");
        return;
    }
    assert!(
        quotas.iter().all(|quota| quota.starts_with("25000")),
        "{quotas:?}"
    );
}

#[tokio::test]
async fn required_means_all_of_it() {
    let setup = setup().await;
    let open = |strongest: Level| {
        let mut config = setup.config();
        (config.sandbox, config.strongest) = (SandboxMode::Required, strongest);
        let platform = std::sync::Arc::new(platform("true", &["true"], |_| {}));
        container::ProcessVm::new(config, Setup::naming(), platform)
    };
    for strongest in [Level::Namespaces, Level::Basic] {
        let refused = open(strongest).err().unwrap();
        let text = std::error::Error::source(&refused).unwrap().to_string();
        assert!(text.contains("this machine allows only level"), "{text}");
    }
    match open(Level::Full) {
        Ok(vm) => assert_eq!(vm.level(), Level::Full),
        Err(refused) => eprintln!("skipped: {refused}"),
    }
}

#[tokio::test]
async fn memory_and_process_limits_hold() {
    let setup = setup().await;
    let limits = Limits {
        memory_bytes: 64 << 20,
        pids: 20,
        nofile: 256,
        cpu: None,
    };
    // `tail` keeps what has no newline in memory.
    let (level, exit) = run(
        &setup,
        "head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null",
        |config| config.limits = limits,
    )
    .await;
    if level < Level::Full {
        eprintln!("skipped: level {level}");
        return;
    }
    assert!(exit.out_of_memory, "{exit}");
    assert!(exit.to_string().contains("out of memory"));
    let forks = "i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i+1)); done; echo all";
    let (_, exit) = run(&setup, forks, |config| config.limits = limits).await;
    assert!(
        exit.code != Some(0) && !exit.last_lines.contains(&"all".to_owned()),
        "{exit}"
    );
}

#[tokio::test]
async fn groups_do_not_pile_up_and_stale_ones_are_removed() {
    let setup = setup().await;
    let vm = setup.vm(platform("true", &["true"], |_| {}));
    if vm.level() < Level::Full {
        eprintln!("skipped: level {}", vm.level());
        return;
    }
    vm.start(&fake::request("mycc:1.0"))
        .await
        .unwrap()
        .exit
        .wait()
        .await;
    let bases = || support::groups_of(setup.root());
    assert!(!bases().is_empty());
    eventually(|| bases().iter().all(|base| support::sub_folders(base).is_empty())).await;
    // As a crashed peer leaves them.
    let found = bases();
    drop(vm);
    eventually(|| bases().is_empty()).await;
    for base in found {
        fs::create_dir_all(base.join("job-99")).unwrap();
    }
    let vm = setup.vm(platform("true", &["true"], |_| {}));
    assert!(bases().iter().all(|base| support::sub_folders(base).is_empty()));
    drop(vm);
    eventually(|| bases().is_empty()).await;
}

/// The whole way to a Node chaincode: npm, its cache and its lifecycle scripts run as another user without a home.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "npm may lie anywhere in the PATH of the tester"
)]
async fn npm_builds_and_starts_a_package() {
    let setup = setup().await;
    if std::process::Command::new("npm")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: no npm");
        return;
    }
    let plan = "cp -R \"$CHAINCODE_INPUT\"/src/. \"$CHAINCODE_OUTPUT\" && cd \"$CHAINCODE_OUTPUT\" && npm install --omit=dev --no-audit --no-fund";
    let package = r#"{"name": "cc", "version": "1.0.0", "dependencies": {"dep": "file:./dep"},
        "scripts": {"start": "node index.js", "postinstall": "node -e \"require('fs').writeFileSync('made', 'by npm')\""}}"#;
    let index = "const fs = require('fs'), os = require('os'); console.log(require('dep'), fs.readFileSync('made', 'utf8'));
        console.log(process.argv.slice(2).join(' ')); fs.writeFileSync(os.tmpdir() + '/x', ''); process.exit(4);";
    let files = [
        ("package.json", package),
        ("index.js", index),
        ("dep/package.json", r#"{"name": "dep", "version": "1.0.0"}"#),
        ("dep/index.js", "module.exports = 'dep';"),
    ];
    let launch = ["npm", "start", "--", "--peer.address", "{peer.address}"];
    let vm = setup.vm_with(platform(plan, &launch, |_| {}), |config| {
        let variables: Vec<_> = std::env::vars().collect();
        config.environment = container::ProcessConfig::new(config.root.clone(), &variables).environment;
    });
    let mut request = fake::request("mycc:1.0");
    request.source.code_package = fake::package(&files);
    let exit = vm
        .start(&request)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
        .exit
        .wait()
        .await;
    let text = exit.last_lines.join("\n");
    assert!(
        text.contains("dep by npm") && text.contains("--peer.address 127.0.0.1:7052"),
        "{exit}"
    );
    assert_eq!(exit.code, Some(4));
}

#[tokio::test]
async fn single_chaincodes_have_limits_of_their_own() {
    let setup = setup().await;
    let of = |nofile| Limits {
        nofile,
        ..Limits::default()
    };
    let own = OwnLimits {
        limits: of(111),
        build_limits: of(222),
    };
    let build = "ulimit -n > $CHAINCODE_OUTPUT/build";
    let vm = setup.vm_with(
        platform(build, &["sh", "-c", "cat build; ulimit -n"], |_| {}),
        |config| {
            config.limits = of(333);
            config.build_limits = of(444);
            config.overrides = [("mycc".to_owned(), own)].into();
        },
    );
    for (id, printed) in [("mycc:1.0", ["222", "111"]), ("other:1.0", ["444", "333"])] {
        let started = vm.start(&fake::request(id)).await.unwrap();
        assert_eq!(started.exit.wait().await.last_lines, printed, "{id}");
    }
}
