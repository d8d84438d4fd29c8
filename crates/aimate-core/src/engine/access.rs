//! Who may act: every call of a scope passes [`Engine::admit`].
//!
//! The standing of users who may act is kept in memory for a few seconds, so that a
//! call need not ask the database. Who may not is asked for each time, so that one who
//! may again is let in at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Engine;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::id::{TenantId, UserId};
use crate::knowledge::CollectionConfig;
use crate::scope::{Role, Scope};
use crate::user::Standing;
use crate::workspace::WorkspaceRole;

/// How long a standing may be older than the database: another process may have
/// changed it. Who looks once a second knows it within five, also when much is going on.
const FRESH: Duration = Duration::from_secs(3);
/// Standings kept at most.
const MAX_KNOWN: usize = 50_000;

/// The standings of the users who acted lately.
#[derive(Default)]
pub(super) struct Access {
    known: Mutex<HashMap<(TenantId, UserId), Known>>,
    /// How often something was forgotten: what was read before that is old.
    changes: AtomicU64,
}

struct Known {
    read_at: Timestamp,
    standing: Standing,
}

impl Access {
    fn known(&self) -> MutexGuard<'_, HashMap<(TenantId, UserId), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `of` makes of the user's standing, if it was read a moment ago. Only those
    /// who may act are known.
    pub(super) fn fresh<T>(
        &self,
        scope: &Scope,
        now: Timestamp,
        of: impl FnOnce(&Standing) -> T,
    ) -> Option<T> {
        let known = self.known();
        let found = known.get(&(scope.tenant, scope.user))?;
        (now.since(found.read_at) < FRESH).then(|| of(&found.standing))
    }

    /// Forgets a user, or all of a tenant: something changed. Returns the moment after it.
    pub(super) fn forget(&self, tenant: TenantId, user: Option<UserId>) -> u64 {
        let mut known = self.known();
        let moment = self.changes.fetch_add(1, Ordering::AcqRel) + 1;
        match user {
            Some(user) => drop(known.remove(&(tenant, user))),
            None => known.retain(|(other, _), _| *other != tenant),
        }
        moment
    }

    /// A moment before something is read that is to be kept.
    pub(super) fn moment(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Keeps what was read since `moment`, if nothing was forgotten meanwhile.
    pub(super) fn keep(&self, scope: &Scope, read_at: Timestamp, moment: u64, standing: Standing) {
        let mut known = self.known();
        if self.moment() != moment {
            return;
        }
        if known.len() >= MAX_KNOWN {
            known.retain(|_, known| read_at.since(known.read_at) < FRESH);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
        }
        known.insert((scope.tenant, scope.user), Known { read_at, standing });
    }
}

impl Engine {
    /// Lets a scope in whose user may act. Costs nothing for one that acted a moment
    /// ago, and one indexed read otherwise.
    ///
    /// # Errors
    /// `Forbidden` with [`ErrorReason::UserInactive`]; what the store says.
    pub(super) async fn admit(&self, scope: &Scope) -> Result<()> {
        self.admit_as(scope).await.map(drop)
    }

    /// [`Engine::admit`], and the role that the user has.
    async fn admit_as(&self, scope: &Scope) -> Result<Role> {
        let access = &self.inner.access;
        let (now, moment) = (self.inner.sources.now(), access.moment());
        if let Some(role) = access.fresh(scope, now, |standing| standing.role) {
            return Ok(role);
        }
        let standing = may_act(self.inner.stores.users.standing(scope).await?)?;
        let role = standing.role;
        access.keep(scope, now, moment, standing);
        Ok(role)
    }

    /// The scope of a user who is there and may act, with the role that is stored: for
    /// whoever has verified that it is they who ask. It is meant for every request: for
    /// one who acted within the last 5 s it asks nobody.
    ///
    /// # Errors
    /// `Forbidden` with [`ErrorReason::UserInactive`] if they are disabled, are being
    /// deleted or are not there; what the store says.
    pub async fn scope_of(&self, tenant: TenantId, user: UserId) -> Result<Scope> {
        let scope = Scope { tenant, user, role: Role::User };
        let role = self.admit_as(&scope).await?;
        Ok(Scope { role, ..scope })
    }

    /// Lets an admin in.
    ///
    /// # Errors
    /// `Forbidden`; see [`Engine::admit`].
    pub(super) async fn admit_admin(&self, scope: &Scope, what: &str) -> Result<()> {
        self.admit(scope).await?;
        match scope.role {
            Role::Admin => Ok(()),
            Role::User => Err(Error::forbidden(format!("only an admin of the tenant {what}"))),
        }
    }

    /// Cancels the answers of a user, or of a whole tenant, that this process writes.
    pub(super) fn cancel_answers(&self, tenant: TenantId, user: Option<UserId>) {
        for channel in self.inner.channels().values() {
            let is_theirs = user.is_none_or(|user| channel.scope.user == user);
            if channel.scope.tenant == tenant && is_theirs {
                channel.cancel.cancel();
            }
        }
    }
}

/// Whose a new thing is: the user's, or, if an admin shares it, the tenant's.
///
/// # Errors
/// `Forbidden` for others, naming `what`: "a collection".
pub(super) fn owner(scope: &Scope, is_shared: bool, what: &str) -> Result<Scope> {
    match (is_shared, scope.role) {
        (false, _) => Ok(*scope),
        (true, Role::Admin) => Ok(scope.shared()),
        (true, Role::User) => {
            Err(Error::forbidden(format!("only an admin of the tenant shares {what} with all its users")))
        }
    }
}

/// Refuses to change what is shared, unless to an admin.
///
/// # Errors
/// `Forbidden`, naming the noun.
pub(super) fn may_change(scope: &Scope, is_shared: bool, noun: &str) -> Result<()> {
    if is_shared && scope.role != Role::Admin {
        return Err(Error::forbidden(format!(
            "the {noun} is shared by all users of the tenant; only an admin changes it"
        )));
    }
    Ok(())
}

/// The scope in which a collection is changed: its owner's, if the user may.
///
/// # Errors
/// `Forbidden` to viewers of its workspace, and, if all users share it, unless to an admin.
pub(super) fn changing(scope: &Scope, config: &CollectionConfig) -> Result<Scope> {
    match config.role {
        Some(role) if role < WorkspaceRole::Editor => {
            return Err(Error::forbidden(
                "this takes an editor of the collection's workspace, where you are a viewer",
            ));
        }
        Some(_) => {}
        None => may_change(scope, config.is_shared, "collection")?,
    }
    Ok(Scope { user: config.owner, ..*scope })
}

/// The scope in which something is changed that the user's own scope does not have:
/// the tenant's, if `shared` (the look for it there) found it.
///
/// # Errors
/// `missing` if it did not; `Forbidden` unless to an admin; what the store says.
pub(super) fn shared_owner(scope: &Scope, noun: &str, missing: Error, shared: Result<()>) -> Result<Scope> {
    match shared {
        Ok(()) => may_change(scope, true, noun).map(|()| scope.shared()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing),
        Err(error) => Err(error),
    }
}

/// The standing of a user who may act.
///
/// # Errors
/// `Forbidden`, saying why they may not.
pub(super) fn may_act(standing: Option<Standing>) -> Result<Standing> {
    let why = match standing {
        None => "there is no such user in the tenant: the user was never made, or is deleted",
        Some(Standing { is_being_deleted: true, .. }) => "the user, or their whole tenant, is being deleted",
        Some(Standing { tenant_is_active: false, .. }) => {
            "the user's tenant is disabled; its operator can enable it"
        }
        Some(Standing { is_active: false, .. }) => {
            "the user is disabled; an admin of the tenant can enable them"
        }
        Some(standing) => return Ok(standing),
    };
    Err(Error::forbidden(why).with_reason(ErrorReason::UserInactive))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(n: u128) -> Scope {
        let id = uuid::Uuid::from_u128(n);
        Scope { tenant: TenantId(id), user: UserId(id), role: Role::User }
    }

    fn standing() -> Standing {
        Standing {
            name: "Ada".into(),
            role: Role::User,
            is_active: true,
            tenant_is_active: true,
            is_being_deleted: false,
        }
    }

    #[test]
    fn standing_is_known_for_a_while() {
        let access = Access::default();
        let now = Timestamp(1_000_000_000);
        access.keep(&scope(1), now, access.moment(), standing());
        assert!(access.fresh(&scope(1), now.plus(Duration::from_millis(2_999)), |_| ()).is_some());
        assert!(access.fresh(&scope(1), now.plus(FRESH), |_| ()).is_none());
        assert!(access.fresh(&scope(2), now, |_| ()).is_none());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let access = Access::default();
        let (now, moment) = (Timestamp(0), access.moment());
        access.forget(scope(1).tenant, None);
        access.keep(&scope(1), now, moment, standing());
        assert!(access.fresh(&scope(1), now, |_| ()).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let access = Access::default();
        for n in 0..=MAX_KNOWN as u128 {
            access.keep(&scope(n), Timestamp(0), access.moment(), standing());
        }
        assert!(access.known().len() <= MAX_KNOWN);
    }

    #[test]
    fn who_may_not_act_is_told_why() {
        let refused = [
            None,
            Some(Standing { is_active: false, ..standing() }),
            Some(Standing { tenant_is_active: false, ..standing() }),
            Some(Standing { is_being_deleted: true, ..standing() }),
        ];
        let mut sentences = std::collections::HashSet::new();
        for standing in refused {
            let error = may_act(standing).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Forbidden);
            assert_eq!(error.reason(), Some(ErrorReason::UserInactive));
            assert!(sentences.insert(error.message().to_owned()));
        }
        may_act(Some(standing())).unwrap();
    }
}
