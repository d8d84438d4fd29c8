//! Going through the interleavings of tasks, by the `shuttle` crate.
//!
//! Code under test is what ships, but for the lock: where it says
//! `#[cfg(test)] use aimate_interleave::Mutex`, another task may run before the
//! lock is taken and after it is released. A step of tokio's channels, semaphores
//! and locks counts as one: tokio checks what is inside them by loom. What a test
//! explores is therefore every order of the critical sections and of the steps
//! between them, which is where code that only uses such parts can go wrong;
//! weak memory orders are out of its sight.
//!
//! Shuttle, not loom: loom would replace tokio itself, and everything that
//! depends on it, by versions that it can see into.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError};

use shuttle::scheduler::{DfsScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

pub use shuttle::future::{JoinHandle, block_on, spawn, yield_now};

thread_local! {
    /// Whether this thread runs the tasks of [`explore`] or [`exhaust`].
    static IS_EXPLORED: Cell<bool> = const { Cell::new(false) };
}

/// Stacks of tasks: a debug build of tokio needs more than shuttle gives.
const STACK: usize = 256 * 1024;
/// The orders that [`explore`] chooses; `SHUTTLE_RANDOM_SEED` sets other ones.
const SEED: u64 = 1;

/// Runs `test` with `count` orders of its tasks, chosen at random, the same in
/// each run; a failure prints how to repeat its order.
pub fn explore(count: usize, test: impl Fn() + Send + Sync + 'static) {
    explored(RandomScheduler::new_from_seed(SEED, count), test);
}

/// Runs `test` with every order of its tasks.
///
/// # Panics
/// If there are more than `max`, for then not all were tried.
pub fn exhaust(max: usize, test: impl Fn() + Send + Sync + 'static) {
    let tried = explored(DfsScheduler::new(Some(max), false), test);
    assert!(tried < max, "there are more than {max} orders");
    println!("{tried} orders, which are all");
}

fn explored(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) -> usize {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            IS_EXPLORED.set(false);
        }
    }
    let mut config = Config::new();
    config.stack_size = STACK;
    IS_EXPLORED.set(true);
    let _reset = Reset;
    Runner::new(scheduler, config).run(test)
}

/// A place at which another task may run; nothing outside of an exploration.
pub fn switch() {
    if IS_EXPLORED.get() && !std::thread::panicking() {
        shuttle::thread::yield_now();
    }
}

/// std's lock, around which other tasks may run.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// See [`std::sync::Mutex::lock`].
    ///
    /// # Errors
    /// If a task panicked while it held the lock.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        switch();
        match self.0.lock() {
            Ok(guard) => Ok(MutexGuard(Some(guard))),
            Err(error) => Err(PoisonError::new(MutexGuard(Some(error.into_inner())))),
        }
    }
}

/// Releases the lock when it is dropped.
#[derive(Debug)]
pub struct MutexGuard<'a, T>(Option<std::sync::MutexGuard<'a, T>>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "it is there until the guard is dropped")]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("the lock is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[expect(clippy::expect_used, reason = "it is there until the guard is dropped")]
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("the lock is held")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        drop(self.0.take());
        switch();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Adds one in two critical sections, as it should not be done.
    fn lost_update() {
        let count = Arc::new(Mutex::new(0));
        let add = |count: Arc<Mutex<u32>>| async move {
            let seen = *count.lock().unwrap();
            *count.lock().unwrap() = seen + 1;
        };
        let (one, other) = (spawn(add(Arc::clone(&count))), spawn(add(Arc::clone(&count))));
        block_on(async move {
            one.await.unwrap();
            other.await.unwrap();
        });
        assert_eq!(*count.lock().unwrap(), 2, "an update is lost");
    }

    #[test]
    #[should_panic(expected = "an update is lost")]
    fn race_between_critical_sections_is_found() {
        explore(200, lost_update);
    }

    #[test]
    #[should_panic(expected = "an update is lost")]
    fn race_is_found_by_exhaustion() {
        exhaust(10_000, lost_update);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn missed_wake_up_is_a_deadlock() {
        explore(200, || {
            let news = Arc::new(tokio::sync::Notify::new());
            let flag = Arc::new(Mutex::new(false));
            let (his_news, his_flag) = (Arc::clone(&news), Arc::clone(&flag));
            let teller = spawn(async move {
                *his_flag.lock().unwrap() = true;
                // Wakes only who waits already.
                his_news.notify_waiters();
            });
            block_on(async move {
                if !*flag.lock().unwrap() {
                    news.notified().await;
                }
                teller.await.unwrap();
            });
        });
    }

    #[test]
    fn outside_of_an_exploration_it_is_a_lock() {
        let count = AtomicU32::new(0);
        let lock = Mutex::new(());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let _guard = lock.lock().unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(count.into_inner(), 4);
    }
}
