//! Sessions of clients that speak a revision with sessions: bounded, and each of one user.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aimate_core::{Scope, TenantId, UserId};
use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionConfig,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};

/// How long a session may be idle.
const IDLE: Duration = Duration::from_secs(15 * 60);

tokio::task_local! {
    /// Whose request this task handles.
    static OWNER: SessionOwner;
}

/// Whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionOwner(TenantId, UserId);

impl From<&Scope> for SessionOwner {
    fn from(scope: &Scope) -> Self {
        Self(scope.tenant, scope.user)
    }
}

/// Handles a request of `owner`.
pub(super) async fn handling<F: Future>(owner: SessionOwner, handler: F) -> F::Output {
    OWNER.scope(owner, handler).await
}

/// The sessions: one more than there may be ends the one that was longest unused.
///
/// To another user a session is not there, so that its id alone opens nothing.
pub(super) struct Sessions {
    local: LocalSessionManager,
    open: Mutex<SessionTable>,
    max: usize,
    max_per_user: usize,
}

#[derive(Default)]
struct SessionTable {
    sessions: HashMap<SessionId, OpenSession>,
    /// Grows with each use.
    clock: u64,
}

struct OpenSession {
    owner: SessionOwner,
    used: u64,
}

impl Sessions {
    pub(super) fn new(max: usize, max_per_user: usize) -> Self {
        let mut config = SessionConfig::default();
        config.keep_alive = Some(IDLE);
        let mut local = LocalSessionManager::default();
        local.session_config = config;
        Self { local, open: Mutex::default(), max: max.max(1), max_per_user: max_per_user.max(1) }
    }

    /// Whether the request of this task may use a session.
    fn may_use(&self, id: &SessionId) -> bool {
        let Ok(owner) = OWNER.try_with(|owner| *owner) else { return false };
        let mut open = self.open();
        open.clock += 1;
        let now = open.clock;
        match open.sessions.get_mut(id) {
            Some(session) if session.owner == owner => {
                session.used = now;
                true
            }
            _ => false,
        }
    }

    fn check(&self, id: &SessionId) -> Result<(), LocalSessionManagerError> {
        if self.may_use(id) { Ok(()) } else { Err(LocalSessionManagerError::SessionNotFound(id.clone())) }
    }

    /// The sessions that have to end before `owner` gets one more.
    fn too_many(&self, owner: SessionOwner) -> Vec<SessionId> {
        let open = self.open();
        let mut gone = Vec::new();
        let of_user = open.sessions.values().filter(|session| session.owner == owner).count();
        let mut oldest = |most: usize, count: usize, is_of: &dyn Fn(&OpenSession) -> bool| {
            if count >= most {
                let candidates = open.sessions.iter().filter(|(_, session)| is_of(session));
                gone.extend(candidates.min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone()));
            }
        };
        oldest(self.max_per_user, of_user, &|session| session.owner == owner);
        if of_user < self.max_per_user {
            oldest(self.max, open.sessions.len(), &|_| true);
        }
        gone
    }

    fn open(&self) -> MutexGuard<'_, SessionTable> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let nobody = || LocalSessionManagerError::SessionNotFound("of nobody".into());
        let owner = OWNER.try_with(|owner| *owner).map_err(|_| nobody())?;
        for id in self.too_many(owner) {
            tracing::debug!(%id, "an MCP session ends for want of room");
            self.open().sessions.remove(&id);
            self.local.close_session(&id).await?;
        }
        let (id, transport) = self.local.create_session().await?;
        let mut open = self.open();
        open.clock += 1;
        let used = open.clock;
        open.sessions.insert(id.clone(), OpenSession { owner, used });
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.check(id)?;
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.may_use(id) && self.local.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        // By a request of somebody, or by the session's own end, which is in no request.
        let is_in_request = OWNER.try_with(|_| ()).is_ok();
        if is_in_request && !self.may_use(id) {
            return Ok(());
        }
        self.open().sessions.remove(id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.check(id)?;
        self.local.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.check(id)?;
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.check(id)?;
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.check(id)?;
        self.local.resume(id, last_event_id).await
    }
}

#[cfg(test)]
mod tests {
    use aimate_core::Role;

    use super::*;

    fn owner(user: u128) -> SessionOwner {
        let scope = Scope { tenant: TenantId::LOCAL, user: UserId(uuid(user)), role: Role::User };
        SessionOwner::from(&scope)
    }

    fn uuid<T: std::str::FromStr>(n: u128) -> T
    where
        T::Err: std::fmt::Debug,
    {
        format!("{n:032x}").parse().unwrap()
    }

    async fn opened(sessions: &Sessions, owner: SessionOwner) -> SessionId {
        handling(owner, sessions.create_session()).await.unwrap().0
    }

    async fn is_there(sessions: &Sessions, owner: SessionOwner, id: &SessionId) -> bool {
        handling(owner, sessions.has_session(id)).await.unwrap()
    }

    #[tokio::test]
    async fn session_is_of_the_user_who_opened_it() {
        let sessions = Sessions::new(10, 10);
        let (ann, bob) = (owner(1), owner(2));
        let id = opened(&sessions, ann).await;
        assert!(is_there(&sessions, ann, &id).await);
        assert!(!is_there(&sessions, bob, &id).await);
        assert!(handling(bob, sessions.create_standalone_stream(&id)).await.is_err());
        handling(bob, sessions.close_session(&id)).await.unwrap();
        assert!(is_there(&sessions, ann, &id).await, "another user ended it");
        handling(ann, sessions.close_session(&id)).await.unwrap();
        assert!(!is_there(&sessions, ann, &id).await);
    }

    #[tokio::test]
    async fn session_that_is_longest_unused_makes_room() {
        let sessions = Sessions::new(3, 2);
        let (ann, bob, eve) = (owner(1), owner(2), owner(3));
        let (first, second) = (opened(&sessions, ann).await, opened(&sessions, ann).await);
        assert!(is_there(&sessions, ann, &first).await);
        let third = opened(&sessions, ann).await;
        assert!(!is_there(&sessions, ann, &second).await, "the user's own limit");
        let of_bob = opened(&sessions, bob).await;
        assert!(is_there(&sessions, ann, &first).await && is_there(&sessions, ann, &third).await);
        opened(&sessions, eve).await;
        assert!(!is_there(&sessions, bob, &of_bob).await, "the limit of all");
        assert!(is_there(&sessions, ann, &first).await);
    }
}
