//! The pool under the orders in which its callers take their steps.

use std::sync::atomic::{AtomicUsize, Ordering};

use aimate_interleave::{block_on, explore, spawn, switch, yield_now};
use futures_util::FutureExt as _;

use super::*;

/// A connection to nothing, which counts how many there are.
struct Counted(Arc<AtomicUsize>);

impl Poolable for Counted {
    type Options = Arc<AtomicUsize>;
    const DATABASE: Kind = Kind::Postgres;

    async fn open(open: &Arc<AtomicUsize>) -> sqlx::Result<Self> {
        yield_now().await;
        open.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Arc::clone(open)))
    }

    async fn ping(&mut self) -> sqlx::Result<()> {
        Ok(())
    }

    async fn close(self) -> sqlx::Result<()> {
        yield_now().await;
        Ok(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a caller does with its connection.
#[derive(Clone, Copy, PartialEq)]
enum CallEnd {
    Release,
    Lose,
    /// The work was given up.
    Drop,
}

const SIZE: u32 = 2;

fn pool() -> (Pool<Counted>, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    (Pool::new(Arc::clone(&open), SIZE, Duration::from_secs(10)), open)
}

/// One call; whether it got a connection.
async fn call(pool: Pool<Counted>, end: CallEnd) -> bool {
    let Ok(permit) = pool.permit().await else { return false };
    assert!(pool.in_use() <= SIZE as usize);
    let connection = permit.connection().await.unwrap();
    // While the pool is closed, those that were idle are still being closed.
    let is_closing = pool.0.permits.is_closed();
    assert!(is_closing || connection.0.load(Ordering::Relaxed) <= SIZE as usize, "more than permits");
    yield_now().await;
    match end {
        CallEnd::Release => connection.release(false),
        CallEnd::Lose => connection.release(true),
        CallEnd::Drop => drop(connection),
    }
    true
}

/// Explores with a clock, which stands: no call times out.
fn explored(count: usize, test: impl Fn() + Send + Sync + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _clock = runtime.enter();
    explore(count, test);
}

#[test]
fn every_caller_gets_a_connection_and_leaves_its_permit() {
    explored(2_000, || {
        let (pool, open) = pool();
        let calls = [CallEnd::Release, CallEnd::Lose, CallEnd::Drop, CallEnd::Release]
            .map(|end| spawn(call(pool.clone(), end)));
        let all = pool.clone();
        block_on(async move {
            for call in calls {
                assert!(call.await.unwrap());
            }
            // Whoever gives up while waiting takes nothing along.
            drop(all.permit().now_or_never());
        });
        assert_eq!(pool.in_use(), 0);
        assert_eq!(open.load(Ordering::Relaxed), pool.idle().len());
    });
}

#[test]
fn caller_that_gives_up_waiting_takes_no_permit_along() {
    explored(2_000, || {
        let (pool, _) = pool();
        let waits = pool.clone();
        let gives_up = spawn(async move {
            let mut permit = Box::pin(waits.permit());
            for _ in 0..2 {
                if (&mut permit).now_or_never().is_some() {
                    return;
                }
                yield_now().await;
            }
        });
        let calls = [CallEnd::Release; 3].map(|end| spawn(call(pool.clone(), end)));
        block_on(async move {
            gives_up.await.unwrap();
            for call in calls {
                assert!(call.await.unwrap());
            }
        });
        assert_eq!(pool.in_use(), 0);
    });
}

#[test]
fn closed_pool_keeps_no_connection_open() {
    explored(4_000, || {
        let (pool, open) = pool();
        let calls =
            [CallEnd::Release, CallEnd::Lose, CallEnd::Release].map(|end| spawn(call(pool.clone(), end)));
        let closes = pool.clone();
        let close = spawn(async move {
            switch();
            closes.close().await;
        });
        block_on(async move {
            for call in calls {
                call.await.unwrap();
            }
            close.await.unwrap();
        });
        assert_eq!(open.load(Ordering::Relaxed), 0, "a connection is left open");
        assert!(pool.permit().now_or_never().unwrap().is_err());
    });
}
