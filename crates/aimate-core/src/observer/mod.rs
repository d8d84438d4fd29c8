//! Observers: what an application of its own is told, and asked before a turn.

mod notices;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{ConversationId, WorkspaceId};
use crate::knowledge::Document;
use crate::run::Run;
use crate::scope::Scope;
use crate::usage::UsageRecord;

pub(crate) use notices::{Notices, Observers};

/// A turn that is about to be answered; nothing of it is stored yet.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TurnSummary {
    /// The conversation; `None` for a new one, and for a call that is not stored.
    pub conversation_id: Option<ConversationId>,
    /// The workspace that the turn names for a new conversation.
    pub workspace_id: Option<WorkspaceId>,
    /// The model that is to answer, as `CONNECTION/MODEL`.
    pub model: String,
    /// The text of the last message that is to be answered; empty where an earlier
    /// question is answered again.
    pub question: String,
    /// What the application wants its usage summed by.
    pub tags: Vec<String>,
    /// The caller's own id of the turn.
    pub client_id: Option<String>,
    /// Whether question and answer will be stored. A plain call
    /// ([`Engine::complete`](crate::Engine::complete)) is not.
    pub is_stored: bool,
}

/// What an application does when something happens in an engine: refuse a turn of
/// who has used up their share, write an audit, send a bill.
///
/// Every method has a default that does nothing. Several observers may be added
/// ([`EngineBuilder::observer`](crate::EngineBuilder::observer)); none of them can
/// harm a run: errors, panics and slowness are the observer's alone.
///
/// **Asked**: [`Observer::before_turn`] runs on the way of the turn, so it has a
/// deadline ([`EngineBuilder::observer_timeout`](crate::EngineBuilder::observer_timeout)).
/// It is asked for each turn that could be answered, of every attempt: also for one
/// that is then found to be stored already under its `client_id`.
///
/// **Told**: every other method is called behind the work, in the order of what
/// happened, from a queue of 1,024 notices for each observer, at most once each. A
/// notice is lost where the queue is full, where a call takes longer than 30 s (both
/// are counted, [`Engine::dropped_notices`](crate::Engine::dropped_notices)), and
/// with the process. What must not be lost, such as what a bill is made of, is read
/// from the store: [`Engine::usage_records`](crate::Engine::usage_records). What one
/// process does, its own observers are told; a run that outlives its process is told
/// by the one that ends it.
///
/// ```
/// use aimate_core::observer::{Observer, TurnSummary};
/// use aimate_core::{Error, Result, Scope};
///
/// struct Quota;
///
/// #[async_trait::async_trait]
/// impl Observer for Quota {
///     async fn before_turn(&self, _: &Scope, turn: &TurnSummary) -> Result<()> {
///         if turn.model.starts_with("large/") {
///             return Err(Error::forbidden("your plan has no large models"));
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Observer: Send + Sync {
    /// Whether a turn is refused (`Unavailable`) where [`Observer::before_turn`]
    /// panics, fails or is not done in time. Read once, when an engine is built.
    /// Default: no, the turn goes on and the log says so.
    fn fail_closed(&self) -> bool {
        false
    }

    /// May refuse a turn before anything of it is stored or asked: an error of the
    /// kind `Forbidden` or `RateLimited` reaches the caller with its sentence. Any
    /// other error counts as a failure of the observer, see
    /// [`Observer::fail_closed`].
    async fn before_turn(&self, scope: &Scope, turn: &TurnSummary) -> Result<()> {
        let _ = (scope, turn);
        Ok(())
    }

    /// A run is over, however it ended, and its end is stored. Its manifest
    /// (`context`) is left out.
    async fn run_finished(&self, scope: &Scope, run: &Run) {
        let _ = (scope, run);
    }

    /// The record of a call of a model is stored: of a run, a plain call, or vectors
    /// that were made.
    async fn usage_recorded(&self, scope: &Scope, record: &UsageRecord) {
        let _ = (scope, record);
    }

    /// A document can be found from now on.
    async fn document_ready(&self, scope: &Scope, document: &Document) {
        let _ = (scope, document);
    }

    /// A document could not be read; its `error` says why.
    async fn document_failed(&self, scope: &Scope, document: &Document) {
        let _ = (scope, document);
    }
}
