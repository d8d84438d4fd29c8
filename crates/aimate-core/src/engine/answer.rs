//! Listening to a run, live or from its log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Engine;
use crate::chat::channel::{Channel, Next};
use crate::chat::driver::final_of;
use crate::chat::event::{ChatEvent, Started};
use crate::error::{Error, Result};
use crate::id::{ConversationId, MessageId, RunId};
use crate::message::{Message, Part};
use crate::run::{Run, RunStatus};
use crate::scope::Scope;

/// How often the log of another process's run is looked at.
const POLL: Duration = Duration::from_millis(250);
/// Events read from the log at once.
const READ: u32 = 1_000;

/// Events with their sequence numbers.
pub type NumberedEvents = Vec<(u64, Arc<ChatEvent>)>;

/// The events of one run, for one listener.
///
/// Dropping it stops listening; whether the run goes on is the turn's
/// `on_disconnect` choice.
pub struct Answer {
    engine: Engine,
    scope: Scope,
    run_id: RunId,
    conversation_id: ConversationId,
    message_id: MessageId,
    /// The last sequence number that was handed out.
    at: u64,
    live: Option<(Arc<Channel>, watch::Receiver<u64>)>,
    ready: VecDeque<(u64, Arc<ChatEvent>)>,
    ended: bool,
}

impl Answer {
    pub(super) fn new(
        engine: Engine,
        scope: Scope,
        run: &Run,
        after: u64,
        live: Option<Arc<Channel>>,
    ) -> Self {
        let live = live.map(|channel| {
            channel.join();
            let news = channel.news();
            (channel, news)
        });
        Self {
            engine,
            scope,
            run_id: run.id,
            conversation_id: run.conversation_id,
            message_id: run.message_id,
            at: after,
            live,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// The run, to attach to or cancel.
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// The conversation.
    pub fn conversation_id(&self) -> ConversationId {
        self.conversation_id
    }

    /// The answer's message.
    pub fn message_id(&self) -> MessageId {
        self.message_id
    }

    /// The next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<ChatEvent> {
        if self.ready.is_empty() {
            self.ready = self.next_batch().await?.into();
        }
        let (_, event) = self.ready.pop_front()?;
        Some(Arc::try_unwrap(event).unwrap_or_else(|shared| ChatEvent::clone(&shared)))
    }

    /// All events that are there, at least one, with their sequence numbers;
    /// `None` after the last one.
    pub async fn next_batch(&mut self) -> Option<NumberedEvents> {
        if !self.ready.is_empty() {
            return Some(self.ready.drain(..).collect());
        }
        if self.ended {
            return None;
        }
        let events = match self.read().await {
            Ok(events) => events,
            Err(error) => vec![(self.at + 1, Arc::new(told(&error)))],
        };
        if let Some((at, last)) = events.last() {
            self.at = *at;
            self.ended = last.is_final();
        } else {
            self.ended = true;
        }
        (!events.is_empty()).then_some(events)
    }

    /// Listens to the end and returns the stored answer.
    ///
    /// # Errors
    /// What the run failed with; what came before stays stored.
    pub async fn message(mut self) -> Result<Message> {
        while let Some(event) = self.next().await {
            match event {
                ChatEvent::Finished(finished) => return Ok(finished.message),
                ChatEvent::Error { code, detail, .. } => {
                    return Err(Error::new(code, detail));
                }
                _ => {}
            }
        }
        Err(Error::internal("the run ended without a last event"))
    }

    async fn read(&mut self) -> Result<NumberedEvents> {
        while let Some((channel, news)) = &mut self.live {
            // Seen before the channel is read, so that no news falls between.
            news.borrow_and_update();
            match channel.after(self.at) {
                Next::Events(events) => return Ok(events),
                // Its last event was handed out, or its driver failed and the
                // store will tell.
                Next::End => self.leave(),
                // The sender lives in the channel, which is held here.
                Next::Wait => drop(news.changed().await),
                Next::InLog => {
                    let events = self.logged_after().await?;
                    if !events.is_empty() {
                        return Ok(events);
                    }
                    // Logged before it was forgotten: only a cleared log is empty.
                    self.leave();
                }
            }
        }
        loop {
            let events = self.logged_after().await?;
            if !events.is_empty() {
                return Ok(events);
            }
            let run = self.engine.inner.stores.runs.get(&self.scope, self.run_id).await?;
            if run.status.is_final() {
                return self.rest(&run).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn logged_after(&self) -> Result<NumberedEvents> {
        let batches = self.engine.inner.stores.runs.events(&self.scope, self.run_id, self.at, READ).await?;
        Ok(batches
            .into_iter()
            .flat_map(|batch| (batch.first..).zip(batch.events))
            .filter(|(n, _)| *n > self.at)
            .map(|(n, event)| (n, Arc::new(event)))
            .collect())
    }

    /// What follows the log of a run that is over: the last event. Where the
    /// log was cleared, a listener from the beginning gets the stored answer.
    async fn rest(&self, run: &Run) -> Result<NumberedEvents> {
        let logged = self.logged_after().await?;
        if !logged.is_empty() || self.has_heard_all(run).await? {
            return Ok(logged);
        }
        let stores = &self.engine.inner.stores;
        let answer = stores.conversations.message(&self.scope, run.conversation_id, run.message_id).await?;
        let mut events = Vec::new();
        if self.at == 0 {
            events.push(ChatEvent::Started(Box::new(started(run))));
            events.extend(answer.content.iter().filter_map(retold));
        }
        events.push(final_of(run, &answer));
        Ok((self.at + 1..).zip(events.into_iter().map(Arc::new)).collect())
    }

    /// Whether the listener knows the last event, which is not in the log: its
    /// number is one more than the log's last. (Of an interrupted run it may
    /// know events that were lost with their process.)
    async fn has_heard_all(&self, run: &Run) -> Result<bool> {
        if self.at == 0 || run.status == RunStatus::Interrupted {
            return Ok(false);
        }
        let runs = &self.engine.inner.stores.runs;
        let is_logged = !runs.events(&self.scope, self.run_id, self.at - 1, 1).await?.is_empty();
        Ok(!is_logged && !runs.events(&self.scope, self.run_id, 0, 1).await?.is_empty())
    }

    fn leave(&mut self) {
        if let Some((channel, _)) = self.live.take() {
            channel.leave();
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.leave();
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("run_id", &self.run_id).field("at", &self.at).finish_non_exhaustive()
    }
}

/// The first event of a run.
pub(super) fn started(run: &Run) -> Started {
    Started {
        run_id: run.id,
        conversation_id: run.conversation_id,
        user_message_id: run.user_message_id,
        message_id: run.message_id,
        model: run.model.clone(),
    }
}

/// A stored part as the event that brought it.
fn retold(part: &Part) -> Option<ChatEvent> {
    match part {
        Part::Text { text } => Some(ChatEvent::Text { text: text.clone() }),
        Part::Reasoning { text, .. } => Some(ChatEvent::Reasoning { text: text.clone() }),
        Part::ToolCall(call) => Some(ChatEvent::ToolCalled { call: Box::new(call.clone()) }),
        _ => None,
    }
}

fn told(error: &Error) -> ChatEvent {
    ChatEvent::Error {
        code: error.kind(),
        detail: error.message().to_owned(),
        retryable: error.kind().retryable(),
    }
}
