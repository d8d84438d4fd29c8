//! What was read from the database a moment ago, so that a request need not read it
//! again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aimate_core::Timestamp;

/// How much older than the database something may be: another process may have changed
/// it. Who looks once a second knows it within five, also when much is going on.
const FRESH: Duration = Duration::from_secs(3);
/// Entries at most.
const MAX_KNOWN: usize = 50_000;

/// What was read, by key, for three seconds.
pub(crate) struct Fresh<K, V> {
    known: Mutex<HashMap<K, (Timestamp, V)>>,
    /// How often something was forgotten: what was read before that is old.
    changes: AtomicU64,
}

impl<K, V> Default for Fresh<K, V> {
    fn default() -> Self {
        Self { known: Mutex::default(), changes: AtomicU64::new(0) }
    }
}

impl<K: Eq + Hash, V: Clone> Fresh<K, V> {
    fn known(&self) -> MutexGuard<'_, HashMap<K, (Timestamp, V)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of `key`.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Timestamp) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let known = self.known();
        let (read_at, value) = known.get(key)?;
        (now.since(*read_at) < FRESH).then(|| value.clone())
    }

    /// A moment before something is read that is to be kept.
    pub(crate) fn moment(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Keeps what was read since `moment`, unless something was forgotten meanwhile.
    pub(crate) fn keep(&self, key: K, value: V, read_at: Timestamp, moment: u64) {
        let mut known = self.known();
        if self.moment() != moment {
            return;
        }
        if known.len() >= MAX_KNOWN {
            known.retain(|_, (read_at_then, _)| read_at.since(*read_at_then) < FRESH);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
        }
        known.insert(key, (read_at, value));
    }

    /// Forgets what `is_gone` says: it changed.
    pub(crate) fn forget(&self, is_gone: impl Fn(&K, &V) -> bool) {
        let mut known = self.known();
        self.changes.fetch_add(1, Ordering::AcqRel);
        known.retain(|key, (_, value)| !is_gone(key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_known_for_a_while() {
        let fresh = Fresh::default();
        fresh.keep(1, 'a', Timestamp(0), fresh.moment());
        assert_eq!(fresh.get(&1, Timestamp(2_999_999)), Some('a'));
        assert_eq!(fresh.get(&1, Timestamp(3_000_000)), None);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let fresh = Fresh::default();
        let moment = fresh.moment();
        fresh.forget(|_, _| true);
        fresh.keep(1, 'a', Timestamp(0), moment);
        assert_eq!(fresh.get(&1, Timestamp(0)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let fresh = Fresh::default();
        for n in 0..=MAX_KNOWN {
            fresh.keep(n, (), Timestamp(0), fresh.moment());
        }
        assert!(fresh.known().len() <= MAX_KNOWN);
    }
}
