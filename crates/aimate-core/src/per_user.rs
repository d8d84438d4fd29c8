//! How many things of a kind each user has at once, in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::{TenantId, UserId};
use crate::scope::Scope;

type Counts = HashMap<(TenantId, UserId), usize>;

/// Counts what each user has at once, such as streams. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct PerUser(Arc<Mutex<Counts>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct UserPlace {
    counts: PerUser,
    user: (TenantId, UserId),
}

impl PerUser {
    /// One more of this user; `None` if they have `most` already.
    pub fn one_more(&self, scope: &Scope, most: usize) -> Option<UserPlace> {
        let user = (scope.tenant, scope.user);
        let mut counts = self.counts();
        let count = counts.entry(user).or_insert(0);
        if *count >= most {
            if *count == 0 {
                counts.remove(&user);
            }
            return None;
        }
        *count += 1;
        Some(UserPlace { counts: self.clone(), user })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UserPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.counts();
        match counts.get_mut(&self.user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Role;

    #[test]
    fn each_user_has_their_own_places() {
        let scope = |n: u128| {
            let id = uuid::Uuid::from_u128(n);
            Scope { tenant: id.into(), user: id.into(), role: Role::User }
        };
        let all = PerUser::default();
        let (first, second) = (all.one_more(&scope(1), 2), all.one_more(&scope(1), 2));
        assert!(first.is_some() && second.is_some());
        assert!(all.one_more(&scope(1), 2).is_none());
        assert!(all.one_more(&scope(2), 2).is_some());
        drop(first);
        assert!(all.one_more(&scope(1), 2).is_some());
        drop(second);
        assert!(all.one_more(&scope(3), 0).is_none());
        assert!(all.counts().is_empty());
    }
}
