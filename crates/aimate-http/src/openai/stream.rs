//! Streamed answers: of a call that stores nothing, and of a stored run.

use std::task::Poll;
use std::time::Duration;

use aimate_core::chat::event::ChatEvent;
use aimate_core::engine::{CompletionStream, NumberedEvents, Reached};
use aimate_core::message::Part;
use aimate_core::provider::ProviderEvent;
use aimate_core::{Answer, Error};
use bytes::BytesMut;
use futures_util::{StreamExt, future::poll_fn};
use tokio::time::timeout;

use super::chunk::ChunkWriter;
use super::completion::{ChatCompletion, incomplete_answer, log_warning};
use crate::error::Result;
use crate::sse::SseSource;

/// Maximum bytes of one frame, for a model that is faster than its reader.
const MAX_FRAME: usize = 64 * 1024;
/// How long the response head of a stored answer waits for the first event, so
/// that a run that fails at once gets a status of its own.
const FIRST_EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The streamed answer of a call that stores nothing.
pub(crate) struct CompletionStreamBody {
    stream: CompletionStream,
    chunks: ChunkWriter,
    is_over: bool,
}

impl CompletionStreamBody {
    pub(crate) fn new(stream: CompletionStream, mut chunks: ChunkWriter) -> Self {
        chunks.citations(stream.passages());
        Self { stream, chunks, is_over: false }
    }

    fn write_event(&mut self, out: &mut BytesMut, event: Result<ProviderEvent, Error>) {
        let chunks = &mut self.chunks;
        match event {
            Ok(ProviderEvent::Text(text)) => chunks.text(out, &text),
            Ok(ProviderEvent::Reasoning(text)) => chunks.reasoning(out, &text),
            Ok(ProviderEvent::ReasoningDetails(details)) => chunks.reasoning_details(out, &details),
            // What was sent cannot be taken back.
            Ok(ProviderEvent::TextWasReasoning) => {}
            Ok(ProviderEvent::Extra(fields)) => chunks.extra(out, &fields),
            // Those that are made here are none of the client's.
            Ok(ProviderEvent::ToolCall(call)) if call.is_made_here => {}
            Ok(ProviderEvent::ToolReturned(_)) => {}
            Ok(ProviderEvent::ToolCall(call)) => chunks.call(out, &call),
            Ok(ProviderEvent::Warning { code, detail }) => log_warning(&code, &detail),
            Ok(ProviderEvent::Finish(reason)) => chunks.finish(reason),
            Ok(ProviderEvent::Usage(_)) => {}
            // The answer is whole: what fails now is the usage at most.
            Err(_) if chunks.is_finished() => self.end(out),
            Err(error) => self.fail(out, &error),
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.is_over = true;
        if self.chunks.is_finished() {
            self.chunks.end(out, &self.stream.usage());
        } else {
            self.fail(out, &incomplete_answer());
        }
    }

    fn fail(&mut self, out: &mut BytesMut, error: &Error) {
        self.is_over = true;
        tracing::warn!(code = error.kind().as_str(), cause = ?error, "an answer failed while it was streamed");
        self.chunks.fail(out, error);
    }
}

impl SseSource for CompletionStreamBody {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        poll_fn(|context| {
            let before = out.len();
            while !self.is_over && out.len() - before < MAX_FRAME {
                match self.stream.poll_next_unpin(context) {
                    Poll::Ready(Some(event)) => self.write_event(out, event),
                    Poll::Ready(None) => self.end(out),
                    Poll::Pending if out.len() == before => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(out.len() > before)
        })
        .await
    }
}

/// The answer of a run that is stored.
pub(crate) struct StoredCompletion {
    answer: Answer,
    /// Events that were read ahead.
    events: NumberedEvents,
}

impl StoredCompletion {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { answer, events: Vec::new() }
    }

    /// Waits for the end and returns the answer and its model.
    ///
    /// # Errors
    /// The error of the run; `Conflict` if it waits for a person, for which this protocol has
    /// no word.
    pub(crate) async fn collect(mut self) -> Result<(ChatCompletion, String)> {
        let finished = match self.answer.finished_or_waiting().await? {
            Reached::Finished(finished) => *finished,
            Reached::Waiting(_) => return Err(waits(&self.answer).into()),
        };
        let model = finished.message.model.clone().unwrap_or_default();
        Ok((finished.into(), model))
    }

    /// Waits for the first event of the answer, [`FIRST_EVENT_TIMEOUT`] at most,
    /// and returns the answer and its model.
    ///
    /// # Errors
    /// The error of a run that failed before it wrote anything.
    pub(crate) async fn started(mut self) -> Result<(Self, String)> {
        let mut model = String::new();
        let first = async {
            while let Some(events) = self.answer.next_batch().await {
                let outcome = events.iter().find_map(|(_, event)| match &**event {
                    ChatEvent::Started(started) => {
                        model.clone_from(&started.model);
                        None
                    }
                    ChatEvent::Error { code, detail, .. } => Some(Err(Error::new(*code, detail.clone()))),
                    _ => Some(Ok(())),
                });
                self.events.extend(events);
                if let Some(outcome) = outcome {
                    return outcome;
                }
            }
            Ok(())
        };
        match timeout(FIRST_EVENT_TIMEOUT, first).await {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) | Err(_) => Ok((self, model)),
        }
    }

    /// The answer as chunks.
    pub(crate) fn into_chunks(self, chunks: ChunkWriter) -> StoredCompletionBody {
        StoredCompletionBody { completion: self, chunks }
    }
}

/// The error of an answer that waits for a person.
fn waits(answer: &Answer) -> Error {
    let run = answer.run_id();
    Error::conflict(format!(
        "the answer waits for the approval of tool calls: decide at `/api/v1/runs/{run}/approvals/CALL`, and it goes on"
    ))
}

/// The streamed answer of a run that is stored.
pub(crate) struct StoredCompletionBody {
    completion: StoredCompletion,
    chunks: ChunkWriter,
}

impl StoredCompletionBody {
    fn write_event(&mut self, out: &mut BytesMut, event: &ChatEvent) {
        let chunks = &mut self.chunks;
        match event {
            ChatEvent::Text { text } => chunks.text(out, text),
            ChatEvent::Reasoning { text } => chunks.reasoning(out, text),
            ChatEvent::ToolCalled { call } if call.is_made_here => {}
            ChatEvent::ToolCalled { call } => chunks.call(out, call),
            ChatEvent::Extra { fields } => chunks.extra(out, fields),
            ChatEvent::Finished(finished) => {
                let details = finished.message.content.iter().filter_map(|part| match part {
                    Part::Reasoning { details, .. } => details.as_ref(),
                    _ => None,
                });
                details.for_each(|details| chunks.reasoning_details(out, details));
                chunks.finish(finished.finish_reason.clone());
                chunks.end(out, &finished.usage);
            }
            ChatEvent::Error { code, detail, .. } => {
                chunks.fail(out, &Error::new(*code, detail.clone()));
            }
            ChatEvent::Retrieved { citations } => chunks.citations(citations),
            ChatEvent::Started(_)
            | ChatEvent::TextWasReasoning
            | ChatEvent::ApprovalRequired { .. }
            | ChatEvent::ToolProgress { .. }
            | ChatEvent::InputRequired { .. }
            | ChatEvent::ToolReturned(_)
            | ChatEvent::Warning { .. } => {}
        }
    }
}

impl SseSource for StoredCompletionBody {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        let before = out.len();
        while out.len() == before {
            let events = if self.completion.events.is_empty() {
                match self.completion.answer.next_batch().await {
                    Some(events) => events,
                    None => return false,
                }
            } else {
                std::mem::take(&mut self.completion.events)
            };
            for (_, event) in events {
                self.write_event(out, &event);
            }
        }
        true
    }
}
