//! What this process has in hand at this moment: documents that it reads, runs
//! that it begins.
//!
//! The database may not confirm a claim, a begin or an end although it stored it;
//! or the work breaks off. What the database takes for this process's, but nobody
//! here holds, is therefore taken up again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ids, each with how many hold it. Clones share them.
pub(super) struct Held<Id>(Arc<Mutex<HashMap<Id, usize>>>);

impl<Id: Copy + Eq + Hash> Held<Id> {
    /// Holds `id` as long as the value lives.
    pub(super) fn hold(&self, id: Id) -> Hold<Id> {
        *self.ids().entry(id).or_default() += 1;
        Hold { held: Self(Arc::clone(&self.0)), id }
    }

    /// Those that are held.
    pub(super) fn all(&self) -> Vec<Id> {
        self.ids().keys().copied().collect()
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<Id, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Id> Default for Held<Id> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Holds an id.
pub(super) struct Hold<Id: Copy + Eq + Hash> {
    held: Held<Id>,
    id: Id,
}

impl<Id: Copy + Eq + Hash> Drop for Hold<Id> {
    fn drop(&mut self) {
        let mut ids = self.held.ids();
        if let Some(count) = ids.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                ids.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_held_until_the_last_lets_go() {
        let held = Held::default();
        let (one, two) = (held.hold(1), held.hold(1));
        drop(one);
        assert_eq!(held.all(), [1]);
        drop(two);
        assert!(held.all().is_empty());
    }
}
