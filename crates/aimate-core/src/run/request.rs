//! What runs keep for their callers, and the port that keeps it.

use async_trait::async_trait;
use serde_json::Value;

use super::Run;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ConversationId, RunId};
use crate::scope::Scope;

/// Where what turns asked to be kept for their callers
/// ([`Turn::request`](crate::chat::Turn::request)) is, and the hidden conversations that are there
/// for it. A foreign or unknown run, and one that keeps nothing, is `NotFound`.
#[async_trait]
pub trait RunRequestStore: Send + Sync {
    /// A run with what it keeps.
    async fn get(&self, scope: &Scope, id: RunId) -> Result<(Run, Value)>;
    /// Deletes what a run keeps. Where its conversation is hidden and no run of it keeps
    /// anything any more, that is deleted with all that is in it, in the same commit; returns its
    /// id then.
    async fn forget(&self, scope: &Scope, id: RunId) -> Result<Option<ConversationId>>;
    /// Deletes hidden conversations of all tenants, with all that is in them, of which no message
    /// was stored since `before` and no answer is being written: `limit` at most, oldest first.
    /// Returns how many it deleted.
    async fn clear(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
