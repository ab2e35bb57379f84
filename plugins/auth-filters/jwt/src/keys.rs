//! The issuer's keys as they are now: fetched ahead of need, kept when fetching fails, up to a limit.

use crate::config::Times;
use crate::error::Refusal;
use crate::fetch::{Source, with_causes};
use crate::jwks::{Jwks, Key};
use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use plugin_api::rt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Keys, and what keeps them fresh.
pub(crate) struct Keys(Arc<Shared>);

struct Shared {
    source: Source,
    allowed: Vec<Algorithm>,
    times: Times,
    current: ArcSwapOption<Known>,
    turn: Mutex<Turn>,
    /// Counts fetches that have ended, well or not.
    ended: watch::Sender<u64>,
}

/// A set, and when it was fetched.
struct Known {
    set: Jwks,
    at: Instant,
}

/// Whose turn it is to fetch: one at a time, not too often.
#[derive(Default)]
struct Turn {
    fetching: bool,
    last: Option<Instant>,
}

/// Which key a token asks for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) algorithm: Algorithm,
}

impl Keys {
    /// Reads a file at once, so that a bad one stops the peer at start; begins to fetch from a server, which may be down
    /// when the peer starts.
    pub(crate) fn new(source: Source, allowed: Vec<Algorithm>, times: Times) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            source,
            allowed,
            times,
            current: ArcSwapOption::empty(),
            turn: Mutex::default(),
            ended: watch::Sender::new(0),
        });
        if let Source::File(file) = &shared.source {
            let failed = |error: &dyn std::error::Error| {
                format!("keys.file {}: {}", file.display(), with_causes(error))
            };
            let bytes = crate::fetch::read(file).map_err(|error| failed(&error))?;
            shared.take(&bytes).map_err(|error| failed(&error))?;
        } else {
            shared.fetch();
        }
        Ok(Self(shared))
    }

    /// The key for a token. Waits for a fetch if the key is not known.
    pub(crate) async fn find(&self, wanted: Wanted<'_>) -> Result<Arc<Key>, Refusal> {
        let ended = self.0.ended.subscribe();
        if let Ok(key) = self.0.look(wanted) {
            return Ok(key);
        }
        // after this, too, the answer is what is known: the fetch may have brought the key, or nothing
        if self.0.fetch() {
            self.wait(ended).await;
        }
        self.0.look(wanted)
    }

    async fn wait(&self, mut ended: watch::Receiver<u64>) {
        let patience = self.0.times.wait;
        let waited =
            rt::spawn(async move { tokio::time::timeout(patience, ended.changed()).await.is_ok() }).await;
        if !matches!(waited, Ok(true)) {
            tracing::debug!("a token is checked before its key has been fetched");
        }
    }
}

impl Shared {
    fn turn(&self) -> std::sync::MutexGuard<'_, Turn> {
        // nothing panics while it is held
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks among the keys that are good enough; has older ones fetched again.
    fn look(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Arc<Key>, Refusal> {
        let known = self.current.load();
        let known = known.as_ref().ok_or(Refusal::NoKeys)?;
        let age = known.at.elapsed();
        if age > self.times.max_stale {
            return Err(Refusal::NoKeys);
        }
        let key = known
            .set
            .find(wanted.id, wanted.algorithm)
            .ok_or(Refusal::Invalid(
                "is signed with a key that its issuer has not published",
            ))?;
        if age > self.times.refresh {
            self.fetch();
        }
        Ok(key)
    }

    /// Starts a fetch unless the last one is too recent; true if one is under way.
    fn fetch(self: &Arc<Self>) -> bool {
        {
            let mut turn = self.turn();
            if turn.fetching {
                return true;
            }
            if turn.last.is_some_and(|last| last.elapsed() < self.times.retry) {
                return false;
            }
            turn.fetching = true;
        }
        // ends the turn however the fetch ends
        let fetching = Fetching(Arc::clone(self));
        let started = rt::detach(async move {
            let shared = &fetching.0;
            let fetched = tokio::time::timeout(shared.times.timeout, shared.source.load()).await;
            shared.took(match fetched {
                Ok(Ok(bytes)) => shared.take(&bytes).map_err(|error| with_causes(&error)),
                Ok(Err(error)) => Err(with_causes(&error)),
                Err(_elapsed) => Err(format!("no answer within {:?}", shared.times.timeout)),
            });
        });
        if let Err(error) = &started {
            tracing::error!(%error, "keys cannot be fetched");
        }
        started.is_ok()
    }

    fn take(&self, bytes: &[u8]) -> Result<(), crate::jwks::JwksError> {
        let set = Jwks::parse(bytes, &self.allowed)?;
        let known = Known {
            set,
            at: Instant::now(),
        };
        self.current.store(Some(Arc::new(known)));
        Ok(())
    }

    fn took(&self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => tracing::debug!("keys fetched"),
            Err(reason) if self.current.load().is_some() => {
                tracing::warn!(
                    reason,
                    "keys could not be fetched again, the known ones stay in use for a while"
                );
            }
            Err(reason) => tracing::error!(reason, "keys could not be fetched: every token is refused"),
        }
    }
}

/// A fetch that is under way.
struct Fetching(Arc<Shared>);

impl Drop for Fetching {
    fn drop(&mut self) {
        let mut turn = self.0.turn();
        turn.fetching = false;
        turn.last = Some(Instant::now());
        drop(turn);
        self.0.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
    }
}
