//! What ends a process, or must not: each runs in a process of its own, which is this test binary again.

use crate::harness::one_filter;
use bytes::Bytes;
use handlers::ParsedRequest;
use std::env;
use std::io::pipe;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Says to the child what its filter shall do.
const MODE: &str = "FAULT_PLUGIN_CHILD";

/// The child: nothing, unless it is one.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test starts itself, and tells itself so by a variable"
)]
async fn child() {
    let Ok(mode) = env::var(MODE) else { return };
    handlers::report_crashes().unwrap();
    peer::logging::init("debug", "", peer::logging::Style::Peer);
    let chain = one_filter(&mode, "isolated", 60_000).auth_chain();
    let request = Arc::new(ParsedRequest::default());
    chain.run(request, || async { Ok(Bytes::new()) }).await.unwrap();
}

fn child_with(mode: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child", "--nocapture"])
        .env(MODE, mode)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

#[test]
fn a_crash_names_the_plugin_and_stays_a_crash() {
    for (mode, signal, name) in [("segv", 11, "SIGSEGV"), ("abort", 6, "SIGABRT")] {
        let ended = child_with(mode).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.signal(), Some(signal), "{said}");
        assert!(
            said.contains(&format!("\nfatal: {name} inside plugin faulty\n")),
            "{said}"
        );
    }
}

#[test]
fn a_stack_that_is_too_small_names_the_plugin() {
    let ended = child_with("overflow").stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.signal(), Some(11), "{said}");
    assert!(said.contains("\nfatal: SIGSEGV inside plugin faulty\n"), "{said}");
}

#[test]
fn a_plugin_that_calls_exit_has_failed_the_process_and_is_named() {
    let ended = child_with("exit").stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("\nfatal: exit inside plugin faulty\n"), "{said}");
}

#[test]
fn a_log_that_cannot_be_written_harms_nobody() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let ended = child_with("mark").stderr(writer).status().unwrap();
    assert!(ended.success(), "{ended}");
}

#[test]
fn lines_of_both_log_crates_reach_the_peers_log() {
    let ended = child_with("mark").stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("constructed instance=faulty"), "{said}");
    assert!(said.contains("constructed faulty, says log"), "{said}");
    assert!(said.contains("fault_plugin::filter"), "{said}");
}
