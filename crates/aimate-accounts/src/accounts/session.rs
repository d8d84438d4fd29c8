//! Sessions of a principal.

use aimate_core::session::Session;
use aimate_core::{Error, Page, PageRequest, Result, Scope, SessionId, UserId};

use super::{Accounts, Principal};
use crate::event::AccountEvent;

impl Accounts {
    /// The principal's sessions, newest first.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn sessions(&self, principal: &Principal, page: PageRequest) -> Result<Page<Session>> {
        self.0.stores.sessions.list(&principal.scope, self.now(), page).await
    }

    /// Ends a session of the principal's user, with its tokens and streams.
    ///
    /// # Errors
    /// `NotFound` if they have none of this id.
    pub async fn revoke_session(&self, principal: &Principal, id: SessionId) -> Result<()> {
        self.end_session(&principal.scope, id).await
    }

    /// Ends all sessions of the principal's user but `keep`; returns how many.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn revoke_sessions(&self, principal: &Principal, keep: Option<SessionId>) -> Result<u64> {
        let scope = &principal.scope;
        let ended = self.0.stores.sessions.delete_all(scope, keep).await?;
        self.0.sessions.forget(|of, _| of.user == scope.user && Some(of.session) != keep);
        self.record(AccountEvent::SessionsEnded(scope.user, ended)).await;
        Ok(ended)
    }

    pub(super) async fn end_session(&self, scope: &Scope, id: SessionId) -> Result<()> {
        let ended = self.0.stores.sessions.delete(scope, id).await;
        self.forget_session(scope.user, id);
        ended.map_err(|error| match error.kind() {
            aimate_core::ErrorKind::NotFound => Error::missing("session", id),
            _ => error,
        })?;
        self.record(AccountEvent::SessionEnded(scope.user, id)).await;
        Ok(())
    }

    pub(super) fn forget_session(&self, user: UserId, id: SessionId) {
        self.0.sessions.forget(|of, _| of.user == user && of.session == id);
    }
}
