//! Sessions: the logins of a user.

use async_trait::async_trait;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::SessionId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// One login of the scope's user.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// SHA-256 of the refresh token; the token itself is never kept.
    #[serde(skip)]
    pub token_hash: Vec<u8>,
    /// The client's address at login.
    pub ip: Option<String>,
    /// The client's name for itself at login.
    pub user_agent: Option<String>,
    /// When the session was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_activity_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Where sessions are kept. Every method sees the sessions of the scope's user.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new session. `Conflict` if the id is taken.
    async fn create(&self, scope: &Scope, session: &Session) -> Result<()>;
    /// The session with this id; `NotFound` if the user has none.
    async fn get(&self, scope: &Scope, id: SessionId) -> Result<Session>;
    /// The user's sessions, newest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Session>>;
    /// Marks the session as used at `now`; `NotFound` if absent.
    async fn touch(&self, scope: &Scope, id: SessionId, now: Timestamp) -> Result<()>;
    /// Ends the session; `NotFound` if absent.
    async fn delete(&self, scope: &Scope, id: SessionId) -> Result<()>;
}
