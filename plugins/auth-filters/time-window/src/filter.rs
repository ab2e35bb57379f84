//! The filter itself.

use plugin_api::proposal::{self, Timestamp};
use plugin_api::{Filter, Flow, PluginError, Request, Result};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Refuses proposals of another time.
pub(crate) struct TimeWindow {
    /// How far behind the clock a timestamp may be.
    pub(crate) before: Duration,
    /// How far ahead of it.
    pub(crate) after: Duration,
}

impl TimeWindow {
    fn check(&self, timestamp: Option<Timestamp>, now: SystemTime) -> Result<()> {
        let written = timestamp.ok_or_else(|| {
            PluginError::unknown("the proposal has no timestamp in its channel header: this peer wants one")
        })?;
        let time = written.to_system_time().ok_or_else(|| {
            PluginError::unknown(format!(
                "the proposal's timestamp is no time: {} s and {} ns since 1970",
                written.seconds, written.nanos
            ))
        })?;
        let (distance, side, allowed) = match now.duration_since(time) {
            Ok(behind) => (behind, "behind", self.before),
            Err(ahead) => (ahead.duration(), "ahead of", self.after),
        };
        if distance <= allowed {
            return Ok(());
        }
        Err(PluginError::unknown(format!(
            "the proposal's timestamp {} is {} {side} the peer's clock, which allows {}: check the client's clock",
            shown(time),
            rounded(distance),
            humantime::format_duration(allowed)
        )))
    }
}

/// In seconds, as nobody needs more to set a clock.
fn rounded(duration: Duration) -> humantime::FormattedDuration {
    let up = u64::from(duration.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(duration.as_secs().saturating_add(up)))
}

fn shown(time: SystemTime) -> String {
    // in the years that a timestamp may have, both succeed
    OffsetDateTime::from(time)
        .format(&Rfc3339)
        .unwrap_or_else(|error| format!("({error})"))
}

impl Filter for TimeWindow {
    type State = ();

    async fn before(&self, request: &Request) -> Result<Flow<()>> {
        let header = proposal::channel_header(request.proposal_bytes())?;
        self.check(header.timestamp, SystemTime::now())?;
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: TimeWindow = TimeWindow {
        before: Duration::from_secs(900),
        after: Duration::from_secs(60),
    };

    fn check(seconds: i64, nanos: i32) -> Result<()> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        WINDOW.check(Some(Timestamp { seconds, nanos }), now)
    }

    #[test]
    fn both_ends_of_the_window_are_in_it() {
        for (seconds, nanos) in [(999_100, 0), (1_000_000, 0), (1_000_060, 0)] {
            assert_eq!(check(seconds, nanos), Ok(()), "{seconds} {nanos}");
        }
        for (seconds, nanos, text) in [
            (
                999_099,
                999_999_999,
                "the proposal's timestamp 1970-01-12T13:31:39.999999999Z is 15m 1s behind the peer's clock, which allows \
                 15m: check the client's clock",
            ),
            (
                1_000_060,
                1,
                "the proposal's timestamp 1970-01-12T13:47:40.000000001Z is 1m 1s ahead of the peer's clock, which allows \
                 1m: check the client's clock",
            ),
        ] {
            let error = check(seconds, nanos).unwrap_err();
            assert_eq!((error.code.0, error.message.as_str()), (2, text));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let far = SystemTime::now();
        let error = WINDOW.check(None, far).unwrap_err();
        assert!(error.message.contains("has no timestamp"), "{error}");
        for (seconds, nanos) in [
            (1_000_000, -1),
            (1_000_000, 1_000_000_000),
            (i64::MAX, 0),
            (i64::MIN, i32::MIN),
            (253_402_300_800, 0),
        ] {
            let error = check(seconds, nanos).unwrap_err();
            assert!(error.message.contains("is no time"), "{error}");
        }
        // the first and the last that are times, in words
        for seconds in [-62_135_596_800, 253_402_300_799] {
            let error = check(seconds, 999_999_999).unwrap_err();
            assert!(error.message.contains("the peer's clock"), "{error}");
        }
    }
}
