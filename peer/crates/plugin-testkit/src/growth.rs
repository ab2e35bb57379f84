//! Memory and threads that stay behind. Only in a process that does nothing else.

use crate::promises::Promises;
use crate::subject::Subject;
use anyhow::{Context, Result};
use handlers::{Executor, Kind};
use std::fs;
use std::future::Future;
use std::time::{Duration, Instant};

/// Instances before the first measurement: caches fill, allocators settle.
const WARM_UP: usize = 100;
/// Instances between the measurements.
const INSTANCES: usize = 300;
/// Calls before the first measurement.
const FIRST_CALLS: usize = 200;
/// Calls between the measurements.
const CALLS: usize = 2000;
/// How much the process may grow in between, in bytes: 27 KiB for an instance, 4 KiB for a call.
const MAX_GROWTH: u64 = 8 << 20;
/// Threads that may be there in addition.
const MAX_THREADS: u64 = 4;
/// How long the number of threads must not have fallen.
const CALM: Duration = Duration::from_millis(500);
/// How long instances may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes and drops many instances.
pub(crate) fn instances(subject: &Subject, kind: Kind, promises: &mut Promises) -> Result<()> {
    let make = |count: usize| -> Result<()> {
        for _ in 0..count {
            subject.good(kind, Executor::Inline)?;
        }
        Ok(())
    };
    make(WARM_UP)?;
    let before = settled_threads()?;
    let small = resident()?;
    make(INSTANCES)?;
    let after = settled_threads()?;
    promises.check(
        after <= before + MAX_THREADS,
        format!("ends what its instances start ({before} threads before {INSTANCES} instances, {after} after them)"),
    );
    grown(
        small,
        &format!("{INSTANCES} instances that came and went"),
        promises,
    )
}

/// Makes many calls.
pub(crate) async fn calls<F: Future>(call: impl Fn() -> F, promises: &mut Promises) -> Result<()> {
    for _ in 0..FIRST_CALLS {
        call().await;
    }
    let small = resident()?;
    for _ in 0..CALLS {
        call().await;
    }
    grown(small, &format!("{CALLS} calls"), promises)
}

fn grown(small: u64, after: &str, promises: &mut Promises) -> Result<()> {
    let large = resident()?;
    let grown = large.saturating_sub(small);
    promises.check(
        grown <= MAX_GROWTH,
        format!("needs no more memory after {after} ({grown} bytes more, {MAX_GROWTH} are tolerated)"),
    );
    Ok(())
}

/// The number of threads, once it does not fall any more.
fn settled_threads() -> Result<u64> {
    let started = Instant::now();
    let (mut least, mut since) = (threads()?, Instant::now());
    while since.elapsed() < CALM && started.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(20));
        let now = threads()?;
        if now < least {
            (least, since) = (now, Instant::now());
        }
    }
    Ok(least)
}

fn threads() -> Result<u64> {
    let tasks = fs::read_dir("/proc/self/task").context("cannot count threads")?;
    Ok(u64::try_from(tasks.count())?)
}

/// What of this process is in memory, in bytes.
fn resident() -> Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm").context("cannot measure memory")?;
    let pages = statm.split(' ').nth(1).context("no such field in statm")?;
    let page = u64::try_from(rustix::param::page_size())?;
    Ok(pages.parse::<u64>()? * page)
}
