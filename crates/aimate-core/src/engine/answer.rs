//! Listening to a run, live or from its log.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use tokio::sync::{SemaphorePermit, watch};

use super::Engine;
use super::stored_answer::{StoredAnswer, StoredEvents};
use crate::chat::channel::{Channel, MAX_TAKEN, Next};
use crate::chat::event::{ChatEvent, Finished, NumberedEvents};
use crate::error::{Error, Result};
use crate::id::{ConversationId, MessageId, RunId};
use crate::message::{Message, ToolCall};
use crate::run::{Run, RunStatus};
use crate::scope::Scope;

/// How often the log of another process's run is looked at.
const POLL: Duration = Duration::from_millis(250);
/// The same while it waits for a person.
const WAITING_POLL: Duration = Duration::from_secs(1);
/// Events read from the log at once.
const READ: u32 = 64;
/// Listeners that read from the store at once: what one of them reads may be many
/// times what it takes at once.
pub(super) const READERS: usize = 8;

/// The events of one run, for one listener: a [`Stream`] of [`ChatEvent`]s.
///
/// Dropping it stops listening; whether the run goes on is the turn's
/// `on_disconnect` choice. It keeps its engine alive.
pub struct Answer {
    run_id: RunId,
    conversation_id: ConversationId,
    message_id: MessageId,
    /// Events that were read and not handed out.
    ready: VecDeque<(u64, Arc<ChatEvent>)>,
    state: AnswerState,
}

/// How far an answer comes without a person.
#[derive(Clone, Debug)]
pub enum Reached {
    /// It is over.
    Finished(Box<Finished>),
    /// These calls wait for a person's approval ([`Runs::decide`](super::Runs::decide)).
    Waiting(Vec<ToolCall>),
}

enum AnswerState {
    Idle(Box<Reader>),
    /// On its way to the next events. It is kept when a caller stops waiting, so
    /// that nothing is lost.
    Reading(BoxFuture<'static, (Box<Reader>, NumberedEvents)>),
    Ended,
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
        let (run_id, conversation_id, message_id) = (run.id, run.conversation_id, run.message_id);
        let reader = Reader { engine, scope, run_id, at: after, live, stored: None };
        let state = AnswerState::Idle(Box::new(reader));
        Self { run_id, conversation_id, message_id, ready: VecDeque::new(), state }
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

    /// The next event; `None` after the last one. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<ChatEvent> {
        poll_fn(|context| self.poll_event(context)).await.map(|(_, event)| event)
    }

    /// The events with their sequence numbers, one by one: what a face sends as the
    /// id of each, and [`Runs::attach`](super::Runs::attach) goes on after.
    pub fn numbered(self) -> NumberedAnswer {
        NumberedAnswer(self)
    }

    /// All events that are there, at least one, with their sequence numbers;
    /// `None` after the last one. Dropping the future loses nothing.
    pub async fn next_batch(&mut self) -> Option<NumberedEvents> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    /// Listens to the end and returns the stored answer.
    ///
    /// # Errors
    /// What the run failed with; the partial answer stays stored.
    pub async fn message(self) -> Result<Message> {
        Ok(self.finished().await?.message)
    }

    /// Listens to the end and returns the stored answer, why the model stopped,
    /// and what it used.
    ///
    /// # Errors
    /// What the run failed with; the partial answer stays stored.
    pub async fn finished(mut self) -> Result<Finished> {
        while let Some(event) = self.next().await {
            match event {
                ChatEvent::Finished(finished) => return Ok(*finished),
                ChatEvent::Error { code, detail, .. } => return Err(Error::new(code, detail)),
                _ => {}
            }
        }
        Err(Error::internal("the run ended without a last event"))
    }

    /// Listens to the end, or until the run waits for a person: then returns the calls that
    /// wait. [`Answer::next`] goes on from there.
    ///
    /// # Errors
    /// What the run failed with; the partial answer stays stored.
    pub async fn finished_or_waiting(&mut self) -> Result<Reached> {
        while let Some(events) = self.next_batch().await {
            let mut waiting = Vec::new();
            for (_, event) in events {
                match ChatEvent::clone(&event) {
                    ChatEvent::Finished(finished) => return Ok(Reached::Finished(finished)),
                    ChatEvent::Error { code, detail, .. } => return Err(Error::new(code, detail)),
                    ChatEvent::ApprovalRequired { call } => waiting.push(*call),
                    _ => {}
                }
            }
            if !waiting.is_empty() {
                return Ok(Reached::Waiting(waiting));
            }
        }
        Err(Error::internal("the run ended without a last event"))
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<(u64, ChatEvent)>> {
        if self.ready.is_empty() {
            match ready!(self.poll_batch(context)) {
                Some(events) => self.ready = events.into(),
                None => return Poll::Ready(None),
            }
        }
        let owned = |event| Arc::try_unwrap(event).unwrap_or_else(|shared| ChatEvent::clone(&shared));
        Poll::Ready(self.ready.pop_front().map(|(n, event)| (n, owned(event))))
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<NumberedEvents>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Some(self.ready.drain(..).collect()));
        }
        loop {
            let (reader, events) = match std::mem::replace(&mut self.state, AnswerState::Ended) {
                AnswerState::Ended => return Poll::Ready(None),
                // What is there already needs no future of its own.
                AnswerState::Idle(mut reader) => match reader.read_live() {
                    Some(events) => (reader, events),
                    None => {
                        let reading = async move {
                            let events = reader.read_batch().await;
                            (reader, events)
                        };
                        self.state = AnswerState::Reading(reading.boxed());
                        continue;
                    }
                },
                AnswerState::Reading(mut reading) => match reading.poll_unpin(context) {
                    Poll::Ready(read) => read,
                    Poll::Pending => {
                        self.state = AnswerState::Reading(reading);
                        return Poll::Pending;
                    }
                },
            };
            if events.last().is_some_and(|(_, last)| !last.is_final()) {
                self.state = AnswerState::Idle(reader);
            }
            return Poll::Ready((!events.is_empty()).then_some(events));
        }
    }
}

impl Stream for Answer {
    type Item = ChatEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ChatEvent>> {
        self.get_mut().poll_event(context).map(|next| next.map(|(_, event)| event))
    }
}

/// An [`Answer`] whose events come with their sequence numbers; see
/// [`Answer::numbered`].
#[derive(Debug)]
pub struct NumberedAnswer(Answer);

impl NumberedAnswer {
    /// The answer, from its next event on.
    pub fn into_inner(self) -> Answer {
        self.0
    }
}

impl Stream for NumberedAnswer {
    type Item = (u64, ChatEvent);

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_event(context)
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

/// Reads a run's events, live as long as it is in this process, else from its
/// log.
struct Reader {
    engine: Engine,
    scope: Scope,
    run_id: RunId,
    /// The last sequence number that was read.
    at: u64,
    live: Option<(Arc<Channel>, watch::Receiver<u64>)>,
    /// The rest of an answer of which the store has no events any more.
    stored: Option<StoredEvents>,
}

impl Reader {
    /// The events that are there without waiting; `None` if there are none.
    fn read_live(&mut self) -> Option<NumberedEvents> {
        let (channel, _) = self.live.as_ref()?;
        let Next::Events(events) = channel.after(self.at) else { return None };
        self.note(&events);
        Some(events)
    }

    /// The next events, waiting for them; empty if there are none any more.
    async fn read_batch(&mut self) -> NumberedEvents {
        let events = match self.read().await {
            Ok(events) => events,
            Err(error) => vec![(self.at + 1, Arc::new(error_event(&error)))],
        };
        self.note(&events);
        events
    }

    fn note(&mut self, events: &NumberedEvents) {
        self.at = events.last().map_or(self.at, |(at, _)| *at);
    }

    async fn read(&mut self) -> Result<NumberedEvents> {
        if let Some(stored) = &mut self.stored {
            return Ok(stored.take(self.at));
        }
        while let Some((channel, news)) = &mut self.live {
            match channel.next(news, self.at).await {
                Next::Events(events) => return Ok(events),
                // Its last event was read, or its driver failed and the store
                // has the end.
                Next::End | Next::Wait => self.leave(),
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
            if run.status != RunStatus::Waiting {
                tokio::time::sleep(POLL).await;
                continue;
            }
            // It may go on in this process, which is told at once, or in another.
            tokio::select! {
                () = self.engine.inner.resumed.notified() => {}
                () = tokio::time::sleep(WAITING_POLL) => {}
            }
            if let Some(channel) = self.engine.inner.channel(&self.scope, self.run_id) {
                channel.join();
                let news = channel.news();
                self.live = Some((channel, news));
                return Box::pin(self.read()).await;
            }
        }
    }

    async fn logged_after(&self) -> Result<NumberedEvents> {
        let _turn = self.turn().await?;
        let batches = self.engine.inner.stores.runs.events(&self.scope, self.run_id, self.at, READ).await?;
        let events = batches.into_iter().flat_map(|batch| (batch.first..).zip(batch.events));
        let mut taken = 0;
        let some = events.filter(|(n, _)| *n > self.at).take_while(|(_, event)| {
            let is_first = taken == 0;
            taken += event.bytes();
            is_first || taken <= MAX_TAKEN
        });
        Ok(some.map(|(n, event)| (n, Arc::new(event))).collect())
    }

    /// Waits for its turn to read from the store.
    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        let turn = self.engine.inner.log_readers.acquire().await;
        turn.map_err(|error| Error::unavailable("the engine is stopping").with_source(error))
    }

    /// What follows the log of a run that is over: the last event. Where the
    /// log was cleared, a listener from the beginning gets the stored answer.
    async fn rest(&mut self, run: &Run) -> Result<NumberedEvents> {
        let logged = self.logged_after().await?;
        if !logged.is_empty() || self.has_read_all(run).await? {
            return Ok(logged);
        }
        let answer = self.stored_answer(run).await?;
        let mut stored = StoredEvents::new(answer, self.at == 0);
        let events = stored.take(self.at);
        self.stored = Some(stored);
        Ok(events)
    }

    /// The stored answer, one copy of it for all who listen to it.
    async fn stored_answer(&self, run: &Run) -> Result<Arc<StoredAnswer>> {
        let inner = &self.engine.inner;
        let _turn = self.turn().await?;
        if let Some(known) = inner.stored_answers().get(&run.id).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let conversations = &inner.stores.conversations;
        let message = conversations.message(&self.scope, run.conversation_id, run.message_id).await?;
        let answer = Arc::new(StoredAnswer::new(run, message));
        let mut all = inner.stored_answers();
        all.retain(|_, answer| answer.strong_count() > 0);
        all.insert(run.id, Arc::downgrade(&answer));
        Ok(answer)
    }

    /// Whether the listener knows the last event, which is not in the log: its
    /// number is one more than the log's last. (Of an interrupted run it may
    /// know events that were lost with their process.)
    async fn has_read_all(&self, run: &Run) -> Result<bool> {
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

impl Drop for Reader {
    fn drop(&mut self) {
        self.leave();
    }
}

fn error_event(error: &Error) -> ChatEvent {
    ChatEvent::Error {
        code: error.kind(),
        detail: error.message().to_owned(),
        retryable: error.kind().retryable(),
    }
}
