//! The audit log of a tenant: what happened that matters for its security, by whom,
//! in the order in which it happened, so that later changes to it show.
//!
//! The records of a tenant are numbered from 1 and form a chain: each has the SHA-256
//! of itself and of the hash of the record before it ([`AuditRecord::hash`]). Who
//! changes, removes or inserts a record without writing all later ones anew breaks the
//! chain; who writes them all anew cannot keep the hash that somebody has noted down
//! ([`AuditHead`]).
//!
//! A record names people by id alone. What else it knows of somebody (addresses of
//! their machines) is its [`AuditRecord::detail`], of which the chain has a salted
//! hash: so it can be taken away when the user is deleted, and the chain stays whole.

pub mod action;
mod chain;

use std::future::Future;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::UserId;
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

pub use chain::{
    AuditFault, AuditHash, AuditHead, AuditReport, NewAuditRecord, SaltedDetail, StoredAuditRecord,
};

/// What something was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditTarget {
    /// The noun, such as `user` or `connection`.
    pub kind: String,
    /// Which one.
    pub id: Uuid,
}

/// Something that happened, as it is recorded.
///
/// ```
/// use aimate_core::audit::{AuditEvent, action};
/// # let (admin, user) = (aimate_core::UserId::SHARED, aimate_core::UserId::SHARED);
/// let event = AuditEvent::new(action::ROLE_CHANGED).actor(admin).target("user", user).detail("role", "admin");
/// # let _ = event;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditEvent {
    /// What happened; see [`action`].
    pub action: String,
    /// Who did it; `None` if nobody was signed in, or the operator did it.
    pub actor: Option<UserId>,
    /// What it was done to.
    pub target: Option<AuditTarget>,
    /// What else is known. No secret, and nothing that names a person but the actor
    /// and the target.
    pub detail: Map<String, Value>,
}

impl AuditEvent {
    /// Characters of an action or a target's kind at most.
    pub const MAX_NAME: usize = 64;

    /// Something that nobody in particular did. An action is like `noun.verb`: of
    /// lower-case letters, digits, `.` and `_`.
    pub fn new(action: impl Into<String>) -> Self {
        Self { action: action.into(), actor: None, target: None, detail: Map::new() }
    }

    /// Done by this user.
    #[must_use]
    pub fn actor(mut self, user: UserId) -> Self {
        self.actor = Some(user);
        self
    }

    /// Done to this.
    #[must_use]
    pub fn target(mut self, kind: impl Into<String>, id: impl Into<Uuid>) -> Self {
        self.target = Some(AuditTarget { kind: kind.into(), id: id.into() });
        self
    }

    /// With this detail too.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        name("action", &self.action)?;
        self.target.as_ref().map_or(Ok(()), |target| name("target", &target.kind))?;
        limit::metadata("detail", &self.detail)
    }
}

fn name(field: &str, text: &str) -> Result<()> {
    let is_fine =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_');
    if (1..=AuditEvent::MAX_NAME).contains(&text.len()) && text.bytes().all(is_fine) {
        return Ok(());
    }
    Err(Error::field(field, "must be 1 to 64 lower-case letters, digits, `.` and `_`, such as `user.login`"))
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRecord {
    /// Its number in the tenant's log, from 1.
    pub sequence: u64,
    /// When it happened.
    pub created_at: Timestamp,
    /// What happened, such as `user.login`.
    pub action: String,
    /// Who did it; `null` if nobody was signed in, or the operator did it.
    pub actor_id: Option<UserId>,
    /// What it was done to.
    pub target: Option<AuditTarget>,
    /// What else is known; `null` once a user whom it names was deleted.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub detail: Option<Map<String, Value>>,
    /// SHA-256 of this record and of the hash of the one before it.
    pub hash: AuditHash,
}

impl From<StoredAuditRecord> for AuditRecord {
    fn from(stored: StoredAuditRecord) -> Self {
        let record = stored.record;
        Self {
            sequence: stored.sequence,
            created_at: record.created_at,
            action: record.action,
            actor_id: record.actor_id,
            target: record.target,
            detail: record.sealed_detail.and_then(|detail| serde_json::from_str(&detail.json).ok()),
            hash: stored.hash,
        }
    }
}

/// Which records are listed; every field narrows it down.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct AuditFilter {
    /// By this user.
    pub actor: Option<UserId>,
    /// Done to what has this id.
    pub target: Option<Uuid>,
    /// This action.
    pub action: Option<String>,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// Where audit logs are kept. Every method sees the log of the scope's tenant, whoever
/// the user is: the engine shows it to admins alone. Nothing changes a record but the
/// deletion of a user, which takes away its detail
/// ([`DeletionStore`](crate::deletion::DeletionStore)).
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Stores the record as the tenant's newest, with the next number and the hash
    /// after the one before it, in one commit. Calls at the same moment, in several
    /// processes too, make one chain. `NotFound` if there is no such tenant.
    async fn append(&self, scope: &Scope, record: &NewAuditRecord) -> Result<AuditHead>;
    /// Records, newest first.
    async fn list(&self, scope: &Scope, filter: &AuditFilter, page: PageRequest)
    -> Result<Page<AuditRecord>>;
    /// At most `limit` records after the one with this number, oldest first.
    async fn read(&self, scope: &Scope, after: u64, limit: u32) -> Result<Vec<StoredAuditRecord>>;
}

/// From where a request came, as far as it is known: the detail of what it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditOrigin {
    /// The address of the client's machine.
    pub ip: Option<String>,
    /// The id of the request, as it is in the server's log.
    pub request_id: Option<String>,
}

impl AuditOrigin {
    /// From an address and a request, as far as they are known.
    pub fn new(ip: Option<String>, request_id: Option<String>) -> Self {
        Self { ip, request_id }
    }

    /// Runs `work`, of whose events this is the origin: those that it records itself,
    /// not in other tasks that it starts.
    pub async fn of<F: Future>(self, work: F) -> F::Output {
        ORIGIN.scope(self, work).await
    }

    /// Adds what is known of the running request to a detail.
    pub(crate) fn add_to(detail: &mut Map<String, Value>) {
        // Outside of any request there is none.
        let _ = ORIGIN.try_with(|origin| {
            for (name, value) in [("ip", &origin.ip), ("request_id", &origin.request_id)] {
                if let Some(value) = value {
                    detail.entry(name).or_insert_with(|| Value::String(value.clone()));
                }
            }
        });
    }
}

tokio::task_local! {
    static ORIGIN: AuditOrigin;
}
