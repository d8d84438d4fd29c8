//! Rate limits through the engine, on both databases: processes together let no more
//! through than there is, and most requests cost no round trip.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aimate_core::engine::RateLimiter;
use aimate_core::rate_limit::{LimitStore, RateBucket, RateLimit, RateLimits, RequestClass, TakenRequests};
use aimate_core::testing::FixedClock;
use aimate_core::{ClockAndIds, Engine, ErrorKind, RandomIds, Result, Role, Scope, Timestamp};
use aimate_store::Store;
use futures_util::future::join_all;

/// A store of buckets that counts how often it is asked.
struct Counted {
    limits: Arc<dyn LimitStore>,
    asked: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl LimitStore for Counted {
    async fn take(
        &self,
        bucket: &RateBucket,
        limit: RateLimit,
        wanted: u32,
        now: Timestamp,
    ) -> Result<TakenRequests> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.limits.take(bucket, limit, wanted, now).await
    }

    async fn give_back(&self, bucket: &RateBucket, limit: RateLimit, count: u32) -> Result<()> {
        self.limits.give_back(bucket, limit, count).await
    }

    async fn clear(&self, before: Timestamp) -> Result<u64> {
        self.limits.clear(before).await
    }
}

/// A process whose clock stands.
struct Process {
    engine: Engine,
    limiter: RateLimiter,
    clock: Arc<FixedClock>,
    asked: Arc<AtomicUsize>,
}

impl Process {
    async fn new(store: &Store, limit: RateLimit) -> Self {
        let clock = Arc::new(FixedClock::at(1_767_225_600_000_000));
        let asked = Arc::new(AtomicUsize::new(0));
        let mut stores = store.stores();
        stores.limits = Arc::new(Counted { limits: stores.limits, asked: asked.clone() });
        let sources = ClockAndIds { clock: clock.clone(), ids: Arc::new(RandomIds) };
        let engine = Engine::builder().store(stores).sources(sources).build().await.unwrap();
        let limiter = engine.rate_limiter(RateLimits::NONE.with(RequestClass::Chat, Some(limit)));
        Self { engine, limiter, clock, asked }
    }

    /// How many of `count` requests at once are let through.
    async fn passed(&self, scope: &Scope, count: usize) -> usize {
        let bucket = RateBucket::of_user(scope, RequestClass::Chat);
        let passes = join_all((0..count).map(|_| self.limiter.pass(bucket))).await;
        let refused = |error: aimate_core::Error| {
            assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
            assert!(error.retry_after().unwrap() >= Duration::from_secs(1));
        };
        passes.into_iter().filter_map(|passed| passed.map_err(refused).ok()).count()
    }
}

fn user(n: u128) -> Scope {
    let id = uuid::Uuid::from_u128(n);
    Scope { tenant: id.into(), user: id.into(), role: Role::User }
}

/// Runs a test on SQLite and on each server.
async fn on_both(test: impl AsyncFn(Store)) {
    let folder = support::Folder::new();
    test(aimate_store::connect(&folder.url()).await.unwrap()).await;
    support::on_each_server(async |schema| test(support::connected(schema).await).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_together_let_no_more_through() {
    on_both(async |store| {
        let limit = RateLimit { per_minute: 60, burst: 100 };
        let processes = [Process::new(&store, limit).await, Process::new(&store, limit).await];
        let [one, two] = &processes;
        let scope = user(1);
        let (a, b) = futures_util::future::join(one.passed(&scope, 300), two.passed(&scope, 300)).await;
        assert_eq!(a + b, 100, "{a} and {b}");
        // Another user is not kept out by them.
        assert_eq!(one.passed(&user(2), 120).await, 100);
        for process in &processes {
            process.clock.advance(Duration::from_secs(7));
        }
        let (a, b) = futures_util::future::join(one.passed(&scope, 50), two.passed(&scope, 50)).await;
        assert_eq!(a + b, 7, "{a} and {b}");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_forgets_nothing() {
    on_both(async |store| {
        let limit = RateLimit { per_minute: 1, burst: 40 };
        let scope = user(1);
        let first = Process::new(&store, limit).await;
        assert_eq!(first.passed(&scope, 12).await, 12);
        // It ends in order, and gives back what it had taken ahead.
        first.limiter.give_back().await;
        first.engine.drain(Duration::ZERO).await;
        let second = Process::new(&store, limit).await;
        assert_eq!(second.passed(&scope, 100).await, 28);
        drop(second);
        // That one died.
        let third = Process::new(&store, limit).await;
        assert_eq!(third.passed(&scope, 100).await, 0);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn most_requests_ask_no_store() {
    on_both(async |store| {
        let process = Process::new(&store, RateLimit { per_minute: 600, burst: 400 }).await;
        let scope = user(1);
        for _ in 0..400 {
            assert_eq!(process.passed(&scope, 1).await, 1);
        }
        let asked = process.asked.load(Ordering::Relaxed);
        assert!(asked <= 400 / 50 + 2, "{asked}");
        // Who is refused asks once.
        assert_eq!(process.passed(&scope, 1_000).await, 0);
        assert!(process.asked.load(Ordering::Relaxed) <= asked + 2);
        process.clock.advance(Duration::from_millis(100));
        assert_eq!(process.passed(&scope, 10).await, 1);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn class_without_a_limit_costs_nothing() {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let process = Process::new(&store, RateLimit::per_minute(1)).await;
    let bucket = RateBucket::of_user(&user(1), RequestClass::Read);
    for _ in 0..100 {
        process.limiter.pass(bucket).await.unwrap();
    }
    assert_eq!(process.asked.load(Ordering::Relaxed), 0);
}
