//! What a turn stores before its model is asked.

use std::time::Duration;

use super::Engine;
use super::resolve::ResolvedModel;
use super::title::title;
use super::turn_prompt::Branch;
use crate::chat::Turn;
use crate::conversation::{Conversation, DEFAULT_TITLE};
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::message::{Message, MessageRole, MessageStatus, PathStats};
use crate::per_user::UserPlace;
use crate::run::{BeginRun, Run, RunStatus};
use crate::scope::Scope;

impl Engine {
    /// A place among the answers of a user.
    ///
    /// # Errors
    /// `RateLimited` if they have as many as they may.
    pub(super) fn place_of_answer(&self, scope: &Scope) -> Result<UserPlace> {
        let most = self.inner.max_runs_per_user;
        self.inner.user_runs.one_more(scope, most).ok_or_else(|| {
            Error::rate_limited(format!(
                "{most} answers to this user are being written already, the most at once; wait for one, or cancel one"
            ))
            .with_retry_after(Duration::from_secs(5))
        })
    }

    /// The run `id` of a turn, with its messages and the place of its answer.
    pub(super) fn begin_run(
        &self,
        id: RunId,
        branch: &Branch,
        turn: &Turn,
        messages: Vec<Message>,
        target: &ResolvedModel,
        manifest: serde_json::Value,
    ) -> BeginRun {
        let now = self.inner.sources.now();
        let last = branch.path.last();
        let answer = Message {
            id: self.inner.sources.id(),
            conversation_id: branch.conversation.id,
            parent_id: last.map(|message| message.id),
            role: MessageRole::Assistant,
            content: Vec::new(),
            status: MessageStatus::Streaming,
            model: Some(target.label()),
            usage: None,
            cost: None,
            metadata: serde_json::Map::new(),
            created_at: now,
            path_stats: last.map_or_else(PathStats::default, |message| message.path_stats).child(0),
        };
        let run = Run {
            id,
            conversation_id: branch.conversation.id,
            user_message_id: last.map(|message| message.id),
            message_id: answer.id,
            status: RunStatus::Running,
            model: target.label(),
            error: None,
            finish_reason: None,
            usage: None,
            context: manifest,
            worker_id: self.inner.worker,
            attempt: 1,
            client_id: turn.client_id.clone(),
            client_hash: None,
            tags: turn.tags.clone(),
            workspace_id: branch.conversation.workspace_id,
            created_at: now,
            finished_at: None,
        };
        let is_untitled = branch.conversation.title == DEFAULT_TITLE && !branch.conversation.is_hidden;
        let title = is_untitled.then(|| title(&messages)).flatten();
        let create = branch.is_new.then(|| Conversation {
            title: title.clone().unwrap_or_else(|| branch.conversation.title.clone()),
            ..branch.conversation.clone()
        });
        let title = if branch.is_new { None } else { title };
        let request = turn.request.clone();
        BeginRun { title, create, messages, answer, run, request, replaces: None }
    }
}
