//! Processor time of another process (`/proc/<pid>/stat`, proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The unit of the kernel's figures: `USER_HZ`, which is 100 on every architecture that Linux offers it to programs.
const TICKS_PER_SECOND: u64 = 100;
/// User and system time in the fields after the program's name.
const USER: usize = 11;
const SYSTEM: usize = 12;

/// User and system time that the process and its ended threads have taken, without its children. Resolution 10 ms.
///
/// # Errors
/// When there is no such process.
pub fn time_of(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("the peer, process {pid}, has gone"))?;
    ticks(&text)
        .map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
        .with_context(|| format!("cannot read the processor time in: {text}"))
}

/// The program's name stands in brackets and may hold blanks and brackets itself.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(field(USER)? + field(SYSTEM)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let line = "42 (pe) er) S 1 42 42 0 -1 4194560 0 0 0 0 150 37 9 9 20 0 5 0 0";
        assert_eq!(ticks(line), Some(187));
        assert_eq!(ticks("42 (peer) S 1"), None);
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn work_of_this_process_shows() {
        let before = time_of(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while time_of(std::process::id()).unwrap() < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(time_of(u32::MAX).is_err());
    }
}
