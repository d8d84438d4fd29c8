//! Tools that run in this process: the application's own and aiMate's.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::client::ToolCaller;
use super::output::ToolOutput;
use crate::error::Result;
use crate::id::{ConversationId, RunId};
use crate::scope::Scope;

/// Who calls a tool, and for what.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolContext {
    /// Whose turn it is: the tool acts for this user and no other.
    pub scope: Scope,
    /// The conversation; `None` in a call that is not stored.
    pub conversation_id: Option<ConversationId>,
    /// The run; `None` in a call that is not stored.
    pub run_id: Option<RunId>,
    /// The id of the call.
    pub call_id: String,
    /// The same for the same call, whoever makes it and however often; of no other call.
    /// A tool that does what it was asked for once per key does nothing twice.
    pub idempotency_key: String,
    /// The collections of the turn, by id or name.
    pub knowledge: Vec<String>,
    /// Is told how far the tool is, and answers what it asks.
    pub caller: Arc<dyn ToolCaller>,
    /// Fires when nobody waits for the result any more. The future of the call is dropped
    /// then; work outside it may listen here.
    pub cancelled: CancellationToken,
}

impl std::fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolContext").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}

/// A tool that runs in this process. An async function of its arguments is one, and so is
/// one of the context and the arguments through [`ToolHandler::call`].
///
/// It is called within a deadline, and its panic costs the call alone.
#[async_trait]
pub trait ToolHandler: Send + Sync {
    /// Does what the tool does. `arguments` follow its input schema.
    ///
    /// # Errors
    /// Whatever kind fits: the model is given the sentence as a failed result, never the
    /// source.
    async fn call(&self, context: ToolContext, arguments: Value) -> Result<ToolOutput>;
}

#[async_trait]
impl<F, Called, Output> ToolHandler for F
where
    F: Fn(ToolContext, Value) -> Called + Send + Sync,
    Called: Future<Output = Result<Output>> + Send,
    Output: Into<ToolOutput>,
{
    async fn call(&self, context: ToolContext, arguments: Value) -> Result<ToolOutput> {
        self(context, arguments).await.map(Into::into)
    }
}
