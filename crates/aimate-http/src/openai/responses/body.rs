//! Responses while they are made: as events, or waited for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::chat::event::{ChatEvent, NumberedEvents};
use aimate_core::message::Citation;
use aimate_core::{Answer, Error, ErrorKind, RunId, Scope};
use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::time::timeout;

use super::ask::found;
use super::echo::Echo;
use super::events::ResponseEvents;
use super::frame::Frames;
use super::object::{Head, Outcome, State};
use crate::app::App;
use crate::error::Result;
use crate::sse::SseSource;

/// How long the response head of a stream waits for the first event of the model, so that an
/// answer that fails at once gets a status of its own.
const FIRST_EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The events of a stored response.
pub(super) struct StoredBody {
    app: App,
    scope: Scope,
    answer: Answer,
    events: ResponseEvents,
    /// Events of the run that were read ahead.
    ahead: VecDeque<NumberedEvents>,
    /// The last event of the run, until the end is written.
    last: Option<Arc<ChatEvent>>,
    is_over: bool,
}

impl StoredBody {
    pub(super) fn new(app: &App, scope: &Scope, answer: Answer, echo: Echo, frames: Frames) -> Self {
        let head = Head { id: answer.run_id(), model: String::new(), echo };
        let events = ResponseEvents::new(head, answer.message_id(), frames);
        Self {
            app: app.clone(),
            scope: *scope,
            answer,
            events,
            ahead: VecDeque::new(),
            last: None,
            is_over: false,
        }
    }

    /// With what the search before the answer found, of which a log that was cleared does not tell.
    pub(super) fn with_found(mut self, found: Vec<Citation>) -> Self {
        self.events.found = found;
        self
    }

    /// Waits for the first event of the model, [`FIRST_EVENT_TIMEOUT`] at most.
    ///
    /// # Errors
    /// The error of a run that failed before it wrote anything.
    pub(super) async fn begun(&mut self) -> Result<()> {
        let first = async {
            while let Some(events) = self.answer.next_batch().await {
                let outcome = events.iter().find_map(|(_, event)| match &**event {
                    ChatEvent::Started(_) | ChatEvent::Retrieved { .. } | ChatEvent::Warning { .. } => None,
                    ChatEvent::Error { code, detail, .. } => Some(Err(Error::new(*code, detail.clone()))),
                    _ => Some(Ok(())),
                });
                self.ahead.push_back(events);
                if let Some(outcome) = outcome {
                    return outcome;
                }
            }
            Ok(())
        };
        match timeout(FIRST_EVENT_TIMEOUT, first).await {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// The next frame; `None` after the last one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.ready().await.then(|| self.events.pop()).flatten()
    }

    /// Waits for a frame; false after the last one.
    async fn ready(&mut self) -> bool {
        while self.events.is_empty() && !self.is_over {
            if let Some(last) = self.last.clone() {
                let run = self.answer.run_id();
                match outcome(&self.app, &self.scope, run, &self.events, &last).await {
                    Ok(outcome) => self.events.finish(&outcome),
                    Err(error) => self.events.fail(&error),
                }
                self.is_over = true;
                break;
            }
            let batch = match self.ahead.pop_front() {
                Some(batch) => Some(batch),
                None => self.answer.next_batch().await,
            };
            let Some(batch) = batch else {
                self.is_over = true;
                break;
            };
            for (_, event) in batch {
                if event.is_final() {
                    self.last = Some(event);
                } else {
                    self.events.apply(&event);
                }
            }
        }
        !self.events.is_empty()
    }
}

impl SseSource for StoredBody {
    fn shared(&mut self) -> Option<Bytes> {
        self.events.pop()
    }

    async fn write(&mut self, _: &mut BytesMut) -> bool {
        self.ready().await
    }
}

/// How a response ended, as whoever reads it afterwards is told.
///
/// # Errors
/// What hinders to know it: the run may go on.
async fn outcome(
    app: &App,
    scope: &Scope,
    run: RunId,
    events: &ResponseEvents,
    last: &ChatEvent,
) -> Result<Outcome, Error> {
    let read = async {
        let run = app.engine.runs(scope).get(run).await?;
        let echo = &events.head.echo;
        if let ChatEvent::Finished(finished) = last {
            return Ok(Outcome::of_run(echo, &run, &finished.message.content, &events.found));
        }
        let answer = app.engine.conversations(scope).message(run.conversation_id, run.message_id).await?;
        Ok::<_, Error>(Outcome::of_run(echo, &run, &answer.content, &events.found))
    };
    let lost = |state| Outcome { state, output: events.output(), usage: None, ended_at: None };
    match (read.await, last) {
        (Ok(outcome), _) if !matches!(outcome.state, State::InProgress | State::Queued) => Ok(outcome),
        // It was deleted meanwhile.
        (Err(error), ChatEvent::Error { code, detail, .. }) if error.kind() == ErrorKind::NotFound => {
            Ok(lost(State::failed(*code, detail.clone())))
        }
        // Its log could not be read.
        (_, ChatEvent::Error { code, detail, .. }) => Err(Error::new(*code, detail.clone())),
        (Err(error), _) => Ok(lost(State::of(&error))),
        (Ok(_), _) => Ok(lost(State::Completed)),
    }
}

/// A stored response as it is now.
pub(super) async fn stored_response(
    app: &App,
    scope: &Scope,
    run: &aimate_core::run::Run,
    echo: Echo,
) -> Result<Value> {
    let answer = if run.status.is_final() {
        app.engine.conversations(scope).message(run.conversation_id, run.message_id).await?.content
    } else {
        Vec::new()
    };
    let found = found(app, scope, run, &echo).await?;
    let outcome = Outcome::of_run(&echo, run, &answer, &found);
    Ok(Head::of_run(run, echo).response(&outcome))
}
