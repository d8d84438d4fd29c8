//! Answers on their way out: passing through, or kept.

use std::task::Poll;
use std::time::Duration;

use aimate_core::chat::event::{ChatEvent, Finished};
use aimate_core::engine::{CompletionStream, NumberedEvents};
use aimate_core::message::{Citation, Part, ToolCall};
use aimate_core::provider::{FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{Answer, Error, WarningCode};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future::poll_fn};
use serde_json::Value;
use tokio::time::timeout;

use super::chunk::{Chunks, Head, Told, write_whole};
use crate::error::Result;
use crate::sse::Source;

/// Bytes that go out at once at most, where a model is faster than its reader.
const MAX_BODY_PIECE: usize = 64 * 1024;
/// How long the head of a kept answer waits for its first piece, so that what
/// fails at once has a status of its own.
const FIRST: Duration = Duration::from_secs(10);

fn broke_off() -> Error {
    Error::upstream("the model server broke off before the answer was whole")
}

fn warn(code: &WarningCode, detail: &str) {
    tracing::warn!(%code, detail, "the model server gave a warning");
}

/// A streamed answer that is not kept.
pub(crate) struct Live {
    pieces: CompletionStream,
    chunks: Chunks,
    ended: bool,
}

impl Live {
    pub(crate) fn new(pieces: CompletionStream, mut chunks: Chunks) -> Self {
        chunks.cite(pieces.passages());
        Self { pieces, chunks, ended: false }
    }

    fn take(&mut self, out: &mut BytesMut, piece: Result<ProviderEvent, Error>) {
        let chunks = &mut self.chunks;
        match piece {
            Ok(ProviderEvent::Text(text)) => chunks.text(out, &text),
            Ok(ProviderEvent::Reasoning(text)) => chunks.reasoning(out, &text),
            Ok(ProviderEvent::ReasoningDetails(details)) => chunks.reasoning_details(out, &details),
            Ok(ProviderEvent::ToolCall(call)) => chunks.call(out, &call),
            Ok(ProviderEvent::Warning { code, detail }) => warn(&code, &detail),
            Ok(ProviderEvent::Finish(reason)) => chunks.finish(reason),
            Ok(ProviderEvent::Usage(_)) => {}
            // What fails after the model has finished costs no answer.
            Err(_) if chunks.is_finished() => self.end(out),
            Err(error) => self.fail(out, &error),
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.ended = true;
        if self.chunks.is_finished() {
            self.chunks.end(out, &self.pieces.usage());
        } else {
            self.fail(out, &broke_off());
        }
    }

    fn fail(&mut self, out: &mut BytesMut, error: &Error) {
        self.ended = true;
        tracing::warn!(code = error.kind().as_str(), cause = ?error, "an answer broke off");
        self.chunks.fail(out, error);
    }
}

impl Source for Live {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        poll_fn(|context| {
            let before = out.len();
            while !self.ended && out.len() - before < MAX_BODY_PIECE {
                match self.pieces.poll_next_unpin(context) {
                    Poll::Ready(Some(piece)) => self.take(out, piece),
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

/// A whole answer.
#[derive(Default)]
pub(crate) struct Whole {
    text: String,
    reasoning: String,
    reasoning_details: Option<Value>,
    calls: Vec<ToolCall>,
    reason: Option<FinishReason>,
    usage: TokenUsage,
    citations: Vec<Citation>,
}

impl Whole {
    /// Listens to the end.
    pub(crate) async fn of(mut pieces: CompletionStream) -> Result<Self> {
        let mut whole = Self { citations: pieces.passages().to_vec(), ..Self::default() };
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(ProviderEvent::Text(text)) if whole.text.is_empty() => whole.text = text,
                Ok(ProviderEvent::Text(text)) => whole.text.push_str(&text),
                Ok(ProviderEvent::Reasoning(text)) => whole.reasoning.push_str(&text),
                Ok(ProviderEvent::ReasoningDetails(details)) => {
                    whole.reasoning_details = Some(details);
                }
                Ok(ProviderEvent::ToolCall(call)) => whole.calls.push(call),
                Ok(ProviderEvent::Warning { code, detail }) => warn(&code, &detail),
                Ok(ProviderEvent::Finish(reason)) => whole.reason = Some(reason),
                Ok(ProviderEvent::Usage(_)) => {}
                // What fails after the model has finished costs no answer.
                Err(_) if whole.reason.is_some() => break,
                Err(error) => return Err(error.into()),
            }
        }
        if whole.reason.is_none() {
            return Err(broke_off().into());
        }
        whole.usage = pieces.usage();
        Ok(whole)
    }

    /// Writes it down.
    pub(crate) fn write(&self, head: &Head) -> Bytes {
        let told = Told {
            text: &self.text,
            reasoning: &self.reasoning,
            reasoning_details: self.reasoning_details.as_ref(),
            calls: &self.calls,
            reason: self.reason.as_ref().unwrap_or(&FinishReason::Stop),
            usage: &self.usage,
            citations: &self.citations,
        };
        write_whole(head, &told)
    }
}

impl From<Finished> for Whole {
    fn from(finished: Finished) -> Self {
        let mut whole =
            Self { reason: Some(finished.finish_reason), usage: finished.usage, ..Self::default() };
        for part in finished.message.content {
            match part {
                Part::Text { text } => whole.text.push_str(&text),
                Part::Reasoning { text, details } => {
                    whole.reasoning.push_str(&text);
                    whole.reasoning_details = details.or(whole.reasoning_details);
                }
                Part::ToolCall(call) => whole.calls.push(call),
                Part::Citation(citation) => whole.citations.push(citation),
                _ => {}
            }
        }
        whole
    }
}

/// An answer that is kept.
pub(crate) struct Kept {
    answer: Answer,
    /// Events that were read and not told yet.
    read: NumberedEvents,
}

impl Kept {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { answer, read: Vec::new() }
    }

    /// The finished answer and its model.
    ///
    /// # Errors
    /// What the run failed with.
    pub(crate) async fn whole(self) -> Result<(Whole, String)> {
        let finished = self.answer.finished().await?;
        let model = finished.message.model.clone().unwrap_or_default();
        Ok((finished.into(), model))
    }

    /// The answer once its first piece is there (or is long in coming), and
    /// its model.
    ///
    /// # Errors
    /// What the run failed with before it said anything.
    pub(crate) async fn begun(mut self) -> Result<(Self, String)> {
        let mut model = String::new();
        let first = async {
            while let Some(events) = self.answer.next_batch().await {
                let begun = events.iter().find_map(|(_, event)| match &**event {
                    ChatEvent::Started(started) => {
                        model.clone_from(&started.model);
                        None
                    }
                    ChatEvent::Error { code, detail, .. } => Some(Err(Error::new(*code, detail.clone()))),
                    _ => Some(Ok(())),
                });
                self.read.extend(events);
                if let Some(outcome) = begun {
                    return outcome;
                }
            }
            Ok(())
        };
        match timeout(FIRST, first).await {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) | Err(_) => Ok((self, model)),
        }
    }

    /// The answer in OpenAI's chunks.
    pub(crate) fn told_as(self, chunks: Chunks) -> KeptChunks {
        KeptChunks { kept: self, chunks }
    }
}

/// A streamed answer that is kept.
pub(crate) struct KeptChunks {
    kept: Kept,
    chunks: Chunks,
}

impl KeptChunks {
    fn take(&mut self, out: &mut BytesMut, event: &ChatEvent) {
        let chunks = &mut self.chunks;
        match event {
            ChatEvent::Text { text } => chunks.text(out, text),
            ChatEvent::Reasoning { text } => chunks.reasoning(out, text),
            ChatEvent::ToolCalled { call } => chunks.call(out, call),
            ChatEvent::Finished(finished) => {
                chunks.finish(finished.finish_reason.clone());
                chunks.end(out, &finished.usage);
            }
            ChatEvent::Error { code, detail, .. } => {
                chunks.fail(out, &Error::new(*code, detail.clone()));
            }
            ChatEvent::Retrieved { citations } => chunks.cite(citations),
            ChatEvent::Started(_)
            | ChatEvent::ApprovalRequired { .. }
            | ChatEvent::ToolReturned { .. }
            | ChatEvent::Warning { .. } => {}
        }
    }
}

impl Source for KeptChunks {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        let before = out.len();
        while out.len() == before {
            let events = if self.kept.read.is_empty() {
                match self.kept.answer.next_batch().await {
                    Some(events) => events,
                    None => return false,
                }
            } else {
                std::mem::take(&mut self.kept.read)
            };
            for (_, event) in events {
                self.take(out, &event);
            }
        }
        true
    }
}
