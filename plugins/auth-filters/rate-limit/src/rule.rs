//! One rule: for whom, how much, and its buckets.

use crate::key::{BucketKey, By, bucket_key};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use plugin_api::Request;
use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Which proposals a rule is for. A list of texts, one of which must fit; absent = every proposal.
#[derive(Debug, Default)]
pub(crate) struct Restriction {
    pub(crate) channel: Option<Vec<String>>,
    pub(crate) chaincode: Option<Vec<String>>,
    pub(crate) function: Option<Vec<String>>,
    pub(crate) mspid: Option<Vec<String>>,
}

impl Restriction {
    fn covers(&self, request: &Request, function: &[u8]) -> bool {
        fits(self.channel.as_deref(), request.channel_id().as_str().as_bytes())
            && fits(
                self.chaincode.as_deref(),
                request.chaincode_name().as_str().as_bytes(),
            )
            && fits(self.function.as_deref(), function)
            && fits(self.mspid.as_deref(), request.msp_id().as_str().as_bytes())
    }
}

fn fits(patterns: Option<&[String]>, text: &[u8]) -> bool {
    let one_fits = |pattern: &String| match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning.as_bytes()),
        None => text == pattern.as_bytes(),
    };
    patterns.is_none_or(|patterns| patterns.iter().any(one_fits))
}

/// The buckets of a rule: so many at most.
struct Buckets(Cache<BucketKey, Arc<InMemoryState>>);

impl StateStore for Buckets {
    type Key = BucketKey;

    fn measure_and_replace<T, F, E>(&self, key: &BucketKey, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let full = || Ok::<_, Infallible>(Arc::default());
        let Ok(bucket) = self.0.get_or_insert_with(key, full);
        bucket.measure_and_replace(&NotKeyed::NonKey, f)
    }
}

/// A rule with its buckets.
pub(crate) struct Rule<C: Clock = DefaultClock> {
    pub(crate) name: String,
    by: Vec<By>,
    restriction: Restriction,
    limiter: RateLimiter<BucketKey, Buckets, C, NoOpMiddleware<C::Instant>>,
}

impl<C: Clock> Rule<C> {
    pub(crate) fn new(
        name: String,
        by: Vec<By>,
        restriction: Restriction,
        quota: Quota,
        max_buckets: usize,
        clock: C,
    ) -> Self {
        Self {
            name,
            by,
            restriction,
            limiter: RateLimiter::new(quota, Buckets(Cache::new(max_buckets)), clock),
        }
    }

    /// Whether a request's function matters.
    pub(crate) fn wants_function(&self) -> bool {
        self.restriction.function.is_some() || self.by.contains(&By::Function)
    }

    /// Spends a token; how long to wait when there is none.
    pub(crate) fn admit(&self, request: &Request, function: &[u8]) -> Result<(), Duration> {
        if !self.restriction.covers(request, function) {
            return Ok(());
        }
        self.spend(&bucket_key(&self.by, request, function))
    }

    fn spend(&self, key: &BucketKey) -> Result<(), Duration> {
        let clock = self.limiter.clock();
        self.limiter
            .check_key(key)
            .map_err(|not_until| not_until.wait_time_from(clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;
    use std::num::NonZeroU32;

    fn rule(rate: u32, burst: u32, max_buckets: usize) -> (Rule<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let quota =
            Quota::per_second(NonZeroU32::new(rate).unwrap()).allow_burst(NonZeroU32::new(burst).unwrap());
        let restriction = Restriction::default();
        let rule = Rule::new(
            "r".to_owned(),
            Vec::new(),
            restriction,
            quota,
            max_buckets,
            clock.clone(),
        );
        (rule, clock)
    }

    fn key(number: u32) -> BucketKey {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn a_bucket_holds_a_burst_and_fills_with_time() {
        let (rule, clock) = rule(2, 3, 100);
        for _ in 0..3 {
            assert_eq!(rule.spend(&key(1)), Ok(()));
        }
        assert_eq!(rule.spend(&key(1)), Err(Duration::from_millis(500)));
        assert_eq!(rule.spend(&key(2)), Ok(()), "another bucket");
        clock.advance(Duration::from_millis(499));
        assert_eq!(rule.spend(&key(1)), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(rule.spend(&key(1)), Ok(()));
        clock.advance(Duration::from_secs(3600));
        for _ in 0..3 {
            assert_eq!(rule.spend(&key(1)), Ok(()), "no more than a burst is saved");
        }
        assert!(rule.spend(&key(1)).is_err());
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_room_and_spares_a_bucket_in_use() {
        let (rule, _clock) = rule(1, 5, 1000);
        // in use, and empty
        for _ in 0..10 {
            rule.spend(&key(0)).ok();
        }
        for number in 1..=100_000 {
            rule.spend(&key(number)).ok();
            if number % 100 == 0 {
                assert!(rule.spend(&key(0)).is_err(), "refilled by {number} others");
            }
        }
        let kept = rule.limiter.into_state_store().0.len();
        assert!(kept <= 1000, "{kept}");
    }

    #[test]
    fn threads_do_not_get_more_than_there_is() {
        let (rule, _clock) = rule(1, 50, 100);
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..100).filter(|_| rule.spend(&key(1)).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 50);
    }

    #[test]
    fn patterns_are_whole_texts_or_beginnings() {
        let patterns = ["transfer".to_owned(), "admin*".to_owned()];
        for (text, expected) in [
            ("transfer", true),
            ("transfers", false),
            ("admin", true),
            ("adminReset", true),
            ("", false),
        ] {
            assert_eq!(fits(Some(&patterns), text.as_bytes()), expected, "{text}");
        }
        assert!(fits(None, b"\xff") && !fits(Some(&[]), b""));
    }
}
