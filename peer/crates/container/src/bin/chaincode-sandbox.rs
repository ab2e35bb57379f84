//! The sandbox's helper as a program of its own, for embedders whose own program cannot be started a second time,
//! such as test harnesses. The peer itself is its own helper.

use std::process::ExitCode;

fn main() -> ExitCode {
    container::sandbox::run_if_requested().unwrap_or(ExitCode::FAILURE)
}
