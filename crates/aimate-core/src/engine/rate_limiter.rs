//! Letting requests through as often as rate limits say.
//!
//! A process takes an allotment of a bucket ahead, so that most requests cost no round trip:
//! while one is spent, the next is fetched beside it. What is in an allotment has left the
//! bucket, so that processes together let no more through than there is. What a process
//! did not spend it gives back when it ends; what it holds for longer than a minute is
//! void: the bucket has filled again meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::Engine;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::metrics;
use crate::rate_limit::{RateBucket, RateLimit, RateLimits, refusal};

/// How long an allotment may be spent.
const LIFETIME: Duration = Duration::from_secs(60);
/// Buckets that are remembered at most; then those that tell nothing are forgotten.
const MAX_KNOWN: usize = 50_000;
/// How often full buckets are removed from the store, and for how long they are full.
const CLEAR_EVERY: Duration = Duration::from_secs(3_600);
/// How long giving back may take at the end.
const GIVE_BACK_TIME: Duration = Duration::from_secs(2);

/// Lets requests through, as often as its limits say; see [`Engine::rate_limiter`]. Clones
/// share what they know.
#[derive(Clone)]
pub struct RateLimiter(Arc<LimiterState>);

struct LimiterState {
    engine: Engine,
    limits: RateLimits,
    allotments: Mutex<HashMap<RateBucket, Allotment>>,
    cleared_at: Mutex<Option<Timestamp>>,
    /// Allotments that are being fetched.
    fetches: TaskTracker,
}

/// What this process has of a bucket.
struct Allotment {
    left: u32,
    void_at: Timestamp,
    /// The bucket is empty until then.
    empty_until: Timestamp,
    /// Held by who fetches more.
    fetching: Arc<tokio::sync::Mutex<()>>,
    /// Whether more is fetched while the rest is spent.
    is_fetched_ahead: bool,
}

/// What an allotment says of one more request.
enum Verdict {
    Open,
    /// Open, and more should be fetched.
    Low(Arc<tokio::sync::Mutex<()>>),
    Closed(Duration),
    Unknown(Arc<tokio::sync::Mutex<()>>),
}

impl Engine {
    /// What lets requests through as often as `limits` say, together with all processes
    /// on the same store: in any time, no more than there is in a full bucket and what
    /// comes into it meanwhile, and an eighth of a bucket for each process besides.
    pub fn rate_limiter(&self, limits: RateLimits) -> RateLimiter {
        RateLimiter(Arc::new(LimiterState {
            engine: self.for_task(),
            limits,
            allotments: Mutex::default(),
            cleared_at: Mutex::default(),
            fetches: TaskTracker::new(),
        }))
    }
}

impl RateLimiter {
    /// Its limits.
    pub fn limits(&self) -> &RateLimits {
        &self.0.limits
    }

    /// Lets one request of a bucket through. Costs no round trip for one of which this
    /// process has an allotment, or which it knows to be empty.
    ///
    /// # Errors
    /// `RateLimited`, with the time to wait; what the store says.
    pub async fn pass(&self, bucket: RateBucket) -> Result<()> {
        let Some(limit) = self.0.limits.of(bucket.class) else { return Ok(()) };
        loop {
            match self.0.spend(bucket) {
                Verdict::Open => return Ok(()),
                Verdict::Low(fetching) => {
                    // Whoever needs it and finds nothing asks again, and is told why.
                    drop(self.fetch(bucket, limit, fetching));
                    return Ok(());
                }
                Verdict::Closed(wait) => {
                    metrics::rate_limited(bucket.class.as_str());
                    return Err(refusal(bucket.class, limit, wait));
                }
                Verdict::Unknown(fetching) => {
                    let fetched = self.fetch(bucket, limit, fetching).await;
                    let failed = |error| Error::internal("fetching an allotment failed").with_source(error);
                    fetched.map_err(failed)??;
                }
            }
        }
    }

    /// Fetches an allotment, whoever goes away meanwhile.
    fn fetch(
        &self,
        bucket: RateBucket,
        limit: RateLimit,
        fetching: Arc<tokio::sync::Mutex<()>>,
    ) -> JoinHandle<Result<()>> {
        let shared = self.0.clone();
        let fetch = self.0.fetches.track_future(async move {
            let _alone = fetching.lock().await;
            shared.fetch(bucket, limit).await
        });
        self.0.engine.inner.tasks.spawn(fetch)
    }

    /// Gives back what was not spent: when a process ends in order.
    pub async fn give_back(&self) {
        let stores = &self.0.engine.inner.stores;
        let give_back = async {
            // What is being fetched ahead would be lost.
            self.0.fetches.close();
            self.0.fetches.wait().await;
            self.0.fetches.reopen();
            for (bucket, count) in self.0.unspent() {
                let Some(limit) = self.0.limits.of(bucket.class) else { continue };
                if let Err(error) = stores.limits.give_back(&bucket, limit, count).await {
                    return tracing::warn!(%error, "unspent allotments of rate limits are not given back");
                }
            }
        };
        if tokio::time::timeout(GIVE_BACK_TIME, give_back).await.is_err() {
            tracing::warn!("giving back unspent allotments of rate limits took too long");
        }
    }
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiter").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl LimiterState {
    fn allotments(&self) -> MutexGuard<'_, HashMap<RateBucket, Allotment>> {
        self.allotments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.engine.inner.sources.now()
    }

    /// Spends one of an allotment.
    fn spend(&self, bucket: RateBucket) -> Verdict {
        let now = self.now();
        let mut allotments = self.allotments();
        if allotments.len() >= MAX_KNOWN && !allotments.contains_key(&bucket) {
            forget(&mut allotments, now);
        }
        let allotment = allotments.entry(bucket).or_insert_with(|| Allotment {
            left: 0,
            void_at: now,
            empty_until: now,
            fetching: Arc::default(),
            is_fetched_ahead: false,
        });
        if allotment.left > 0 && now < allotment.void_at {
            allotment.left -= 1;
            let is_low = allotment.left == 0 && !allotment.is_fetched_ahead && now >= allotment.empty_until;
            allotment.is_fetched_ahead |= is_low;
            return if is_low { Verdict::Low(allotment.fetching.clone()) } else { Verdict::Open };
        }
        allotment.left = 0;
        if now < allotment.empty_until {
            return Verdict::Closed(allotment.empty_until.since(now));
        }
        Verdict::Unknown(allotment.fetching.clone())
    }

    /// Fetches an allotment, unless somebody did just now.
    async fn fetch(&self, bucket: RateBucket, limit: RateLimit) -> Result<()> {
        let now = self.now();
        let needs = |allotment: &mut Allotment| {
            allotment.is_fetched_ahead = false;
            (allotment.left == 0 || now >= allotment.void_at) && now >= allotment.empty_until
        };
        if !self.allotments().get_mut(&bucket).is_none_or(needs) {
            return Ok(());
        }
        let taken = self.engine.inner.stores.limits.take(&bucket, limit, limit.allotment(), now).await?;
        if let Some(allotment) = self.allotments().get_mut(&bucket) {
            allotment.left = taken.granted;
            allotment.void_at = now.plus(LIFETIME.max(limit.time_for(limit.allotment())));
            allotment.empty_until = if taken.granted < limit.allotment() { taken.next_at } else { now };
        }
        self.clear(now).await;
        Ok(())
    }

    /// Now and then, removes buckets that are full: they tell nothing.
    async fn clear(&self, now: Timestamp) {
        {
            let mut cleared_at = self.cleared_at.lock().unwrap_or_else(PoisonError::into_inner);
            match *cleared_at {
                Some(last) if now.since(last) >= CLEAR_EVERY => *cleared_at = Some(now),
                Some(_) => return,
                None => {
                    *cleared_at = Some(now);
                    return;
                }
            }
        }
        let before = now.minus(CLEAR_EVERY);
        if let Err(error) = self.engine.inner.stores.limits.clear(before).await {
            tracing::debug!(%error, "full buckets of rate limits are removed later");
        }
    }

    /// Takes what is left of every allotment.
    fn unspent(&self) -> Vec<(RateBucket, u32)> {
        let now = self.now();
        let mut allotments = self.allotments();
        let unspent = allotments.iter_mut().filter(|(_, allotment)| now < allotment.void_at);
        unspent
            .map(|(bucket, allotment)| (*bucket, std::mem::take(&mut allotment.left)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }
}

/// Forgets what tells nothing, or else everything: whoever comes again asks the store.
fn forget(allotments: &mut HashMap<RateBucket, Allotment>, now: Timestamp) {
    allotments.retain(|_, allotment| {
        now < allotment.empty_until || (allotment.left > 0 && now < allotment.void_at)
    });
    if allotments.len() >= MAX_KNOWN {
        allotments.clear();
    }
}
