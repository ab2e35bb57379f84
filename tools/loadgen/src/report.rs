//! What is printed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool reports on its terminal"
)]

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::Operation;
use crate::load::{Case, Round};

/// Medians over the rounds of one case.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    operation: Operation,
    concurrency: u16,
    /// Endorsements a second.
    throughput: f64,
    /// Microseconds.
    p50: f64,
    /// Microseconds.
    p99: f64,
    /// Microseconds of processor time, user and system, of the peer's process.
    peer_cpu_per_endorsement: f64,
}

impl Figures {
    /// The medians.
    pub fn of(case: Case, rounds: &[Round]) -> Self {
        let over = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            operation: case.operation,
            concurrency: case.concurrency,
            throughput: over(|round| count(round) / round.elapsed.as_secs_f64()),
            p50: over(|round| micros(percentile(&round.latencies, 50))),
            p99: over(|round| micros(percentile(&round.latencies, 99))),
            peer_cpu_per_endorsement: over(|round| micros(round.cpu) / count(round)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer requests than 2^53")]
fn count(round: &Round) -> f64 {
    round.latencies.len() as f64
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The smallest latency that `percent` of all are not above.
fn percentile(latencies: &[Duration], percent: usize) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

/// What a load noticed of swaps, beside the same load without them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swapped {
    swaps: u32,
    concurrency: u16,
    /// Milliseconds from the call to its answer, half of the swaps.
    swap_p50: f64,
    /// Milliseconds, 99 of 100 swaps.
    swap_p99: f64,
    /// Requests during the swaps. All were endorsed, or there would be no report.
    requests: usize,
    /// Microseconds.
    p50_without: f64,
    /// Microseconds.
    p50_with: f64,
    /// Microseconds.
    p99_without: f64,
    /// Microseconds.
    p99_with: f64,
    /// Bytes that the peer occupied with every file mapped, before the swaps.
    memory_before: u64,
    /// Bytes after them.
    memory_after: u64,
}

impl Swapped {
    /// From a load without and one with swaps.
    pub fn of(
        (swaps, concurrency): (u32, u16),
        (without, with): (&Round, &Round),
        durations: &[Duration],
        (memory_before, memory_after): (u64, u64),
    ) -> Self {
        Self {
            swaps,
            concurrency,
            swap_p50: micros(percentile(durations, 50)) / 1000.0,
            swap_p99: micros(percentile(durations, 99)) / 1000.0,
            requests: with.latencies.len(),
            p50_without: micros(percentile(&without.latencies, 50)),
            p50_with: micros(percentile(&with.latencies, 50)),
            p99_without: micros(percentile(&without.latencies, 99)),
            p99_with: micros(percentile(&with.latencies, 99)),
            memory_before,
            memory_after,
        }
    }
}

/// Lines for people.
pub fn swapped(swapped: &Swapped) {
    let mib = |bytes: u64| Duration::from_micros(bytes).as_secs_f64() / 1.048_576;
    println!(
        "{} swaps at concurrency {}: {} requests, every one endorsed",
        swapped.swaps, swapped.concurrency, swapped.requests
    );
    println!(
        "a swap takes         p50 {:.1} ms, p99 {:.1} ms",
        swapped.swap_p50, swapped.swap_p99
    );
    println!(
        "p99 of a request     {:.0} µs with swaps, {:.0} µs without (p50 {:.0} and {:.0})",
        swapped.p99_with, swapped.p99_without, swapped.p50_with, swapped.p50_without
    );
    println!(
        "memory of the peer   {:.1} MiB before, {:.1} MiB after",
        mib(swapped.memory_before),
        mib(swapped.memory_after)
    );
}

/// A table for people.
pub fn table(figures: &[Figures]) {
    println!("operation  concurrency  endorsements/s    p50 µs    p99 µs  peer CPU µs/endorsement");
    for row in figures {
        println!(
            "{:<9}  {:>11}  {:>14.0}  {:>8.0}  {:>8.0}  {:>23.0}",
            row.operation.name(),
            row.concurrency,
            row.throughput,
            row.p50,
            row.p99,
            row.peer_cpu_per_endorsement
        );
    }
}

/// One JSON document for programs.
///
/// # Errors
/// Never with these figures; the serializer's, if there are any.
pub fn json<T: Serialize>(figures: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(figures)?);
    Ok(())
}

/// Says what happens now.
pub fn progress(what: &str) {
    eprintln!("loadgen: {what}");
}

/// Says what went wrong.
pub fn complain(what: &str) {
    eprintln!("loadgen: error: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let latencies: Vec<Duration> = (1..=200).rev().map(Duration::from_micros).collect();
        assert_eq!(percentile(&latencies, 50), Duration::from_micros(100));
        assert_eq!(percentile(&latencies, 99), Duration::from_micros(198));
        assert_eq!(percentile(&latencies, 100), Duration::from_micros(200));
        assert_eq!(percentile(&latencies[..1], 50), Duration::from_micros(200));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn one_slow_round_does_not_move_the_figures() {
        let round = |seconds: u64| Round {
            elapsed: Duration::from_secs(seconds),
            cpu: Duration::from_millis(seconds),
            latencies: vec![Duration::from_millis(seconds); 10],
        };
        let case = Case {
            operation: Operation::Noop,
            concurrency: 1,
        };
        let figures = Figures::of(case, &[round(1), round(100), round(1)]);
        assert!((figures.throughput - 10.0).abs() < 1e-9);
        assert!((figures.peer_cpu_per_endorsement - 100.0).abs() < 1e-9);
        assert!((figures.p99 - 1000.0).abs() < 1e-9);
    }
}
