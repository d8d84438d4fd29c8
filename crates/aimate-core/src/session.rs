//! Sessions: the logins of a user.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::SessionId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// Sessions that a user has at most; the oldest one makes room.
pub const MAX_SESSIONS: u32 = 100;

/// One login of the scope's user, on one device. It is renewed by refresh tokens,
/// of which one at a time is good.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// SHA-256 of what all refresh tokens of this session have in common: whoever
    /// has it, has or had one of them.
    #[serde(skip)]
    pub family_hash: Vec<u8>,
    /// SHA-256 of the refresh token that is good; no token is ever kept.
    #[serde(skip)]
    pub token_hash: Vec<u8>,
    /// The client's address when it was last renewed.
    pub ip: Option<String>,
    /// The client's name for itself when it was last renewed.
    pub user_agent: Option<String>,
    /// When the session was made.
    pub created_at: Timestamp,
    /// When it was last renewed.
    pub renewed_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_activity_at: Timestamp,
    /// When it ends, unless it is renewed.
    pub expires_at: Timestamp,
}

/// A refresh token that is given for another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Renewal {
    /// The session.
    pub id: SessionId,
    /// SHA-256 of the session's part of the token that is presented.
    pub family_hash: Vec<u8>,
    /// SHA-256 of that token.
    pub token_hash: Vec<u8>,
    /// SHA-256 of the token that is good from now on.
    pub next_hash: Vec<u8>,
    /// The client's address.
    pub ip: Option<String>,
    /// The client's name for itself.
    pub user_agent: Option<String>,
    /// Now.
    pub now: Timestamp,
    /// How long the session lasts from now on.
    pub lifetime: Duration,
    /// How long after its beginning it ends in any case.
    pub max_age: Duration,
    /// A token that was good this long ago may be presented again by a client that
    /// did not hear the answer, or asked twice: it is refused and nothing more.
    pub grace: Duration,
}

/// What came of a [`Renewal`].
#[derive(Clone, Debug, PartialEq)]
pub enum Renewed {
    /// The session, with the next token.
    Session(Box<Session>),
    /// An old token of the session was presented, which somebody has copied: the
    /// session is over.
    Reused,
    /// The token was good a moment ago: another request of the same client, such as that
    /// of another tab, got the next one.
    JustRenewed,
    /// There is no such session, or the token was never one of it.
    Refused,
}

/// Where sessions are kept. Every method sees the sessions of the scope's user.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new session, and deletes in the same commit those of the user that
    /// are over and the oldest beyond [`MAX_SESSIONS`]. `Conflict` if the id is taken;
    /// `NotFound` if there is no such user.
    async fn create(&self, scope: &Scope, session: &Session) -> Result<()>;
    /// The session with this id, whether it is over or not; `NotFound` if the user has
    /// none.
    async fn get(&self, scope: &Scope, id: SessionId) -> Result<Session>;
    /// The user's sessions that are not over at `now`, newest first.
    async fn list(&self, scope: &Scope, now: Timestamp, page: PageRequest) -> Result<Page<Session>>;
    /// Gives a refresh token for the next one, in one commit: of several calls with
    /// the same token, one gets the session. An old token ends the session.
    async fn renew(&self, scope: &Scope, renewal: &Renewal) -> Result<Renewed>;
    /// Marks the session as used at `now`; `NotFound` if absent.
    async fn touch(&self, scope: &Scope, id: SessionId, now: Timestamp) -> Result<()>;
    /// Ends the session; `NotFound` if absent.
    async fn delete(&self, scope: &Scope, id: SessionId) -> Result<()>;
    /// Ends all sessions of the user but `keep`; returns how many.
    async fn delete_all(&self, scope: &Scope, keep: Option<SessionId>) -> Result<u64>;
}
