//! How a build's command says which phase it is in, so that the peer's errors can name it.
//!
//! The peer sets [`PHASE_MARK`] to a text that is another one in every build. A line of standard output that consists of
//! that text and the name of a phase, [`DEPENDENCIES`] or [`COMPILE`], begins the phase; the last one counts. The line is
//! not shown among the command's output. Any other line is output. A command that prints no such line has one phase,
//! `build`; so does every command under a peer that does not set the variable.
//!
//! A phase is a word in an error and in `peer chaincode logs`, nothing else depends on it. What the command starts should
//! not see the variable all the same: [`PHASE_FUNCTION`] keeps it from them.

/// Variable of a build's command: what stands in front of the name of a phase. Since API 1.1.
pub const PHASE_MARK: &str = "CHAINCODE_PHASE_MARK";

/// Phase: what the chaincode depends on is found and fetched.
pub const DEPENDENCIES: &str = "dependencies";

/// Phase: the chaincode, or what it depends on, is compiled.
pub const COMPILE: &str = "compile";

/// The beginning of a command in POSIX shell that says its phases with `phase dependencies` and `phase compile`.
/// Does nothing under a peer that does not ask.
pub const PHASE_FUNCTION: &str = r#"phase_mark="$CHAINCODE_PHASE_MARK"
unset CHAINCODE_PHASE_MARK
phase() {
    if [ -n "$phase_mark" ]; then
        printf '%s%s\n' "$phase_mark" "$1"
    fi
}
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn printed(mark: Option<&str>) -> String {
        let script = format!(
            "set -eu\n{PHASE_MARK}=\"${{{PHASE_MARK}-}}\"\n{PHASE_FUNCTION}phase {COMPILE}\nenv | grep -c {PHASE_MARK} || true\n"
        );
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).env_remove(PHASE_MARK);
        if let Some(mark) = mark {
            shell.env(PHASE_MARK, mark);
        }
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_function_speaks_when_asked_and_hides_the_mark_from_what_it_starts() {
        assert_eq!(printed(Some("@x:")), "@x:compile\n0\n");
        assert_eq!(printed(None), "0\n");
        assert_eq!(printed(Some("")), "0\n");
    }
}
