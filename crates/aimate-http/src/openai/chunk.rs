//! OpenAI's answers, written by hand into one buffer: what is the same in every
//! chunk is written once and copied.

use aimate_core::message::{Citation, ToolCall};
use aimate_core::provider::FinishReason;
use aimate_core::usage::TokenUsage;
use aimate_core::{ClockAndIds, ConversationId, Error};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;
use uuid::Uuid;

use super::schema::Usage;
use super::{done, put};
use crate::error::OpenAiError;

/// What every piece of an answer begins with.
pub(crate) struct Head {
    id: String,
    created: i64,
    model: String,
    conversation: Option<ConversationId>,
}

impl Head {
    pub(crate) fn new(sources: &ClockAndIds, model: &str, conversation: Option<ConversationId>) -> Self {
        let id: Uuid = sources.id();
        Self {
            id: format!("chatcmpl-{}", id.simple()),
            created: sources.now().unix_seconds(),
            model: model.to_owned(),
            conversation,
        }
    }

    /// Writes everything up to the choices' opening bracket.
    fn write(&self, out: &mut BytesMut, object: &str) {
        out.put_slice(b"{\"id\":");
        put(out, &self.id);
        out.put_slice(b",\"object\":\"");
        out.put_slice(object.as_bytes());
        out.put_slice(b"\",\"created\":");
        put(out, &self.created);
        out.put_slice(b",\"model\":");
        put(out, &self.model);
        if let Some(conversation) = self.conversation {
            out.put_slice(b",\"conversation_id\":");
            put(out, &conversation);
        }
        out.put_slice(b",\"choices\":[");
    }
}

/// Writes the chunks of one streamed answer.
pub(crate) struct Chunks {
    /// `data: {…,"choices":[`.
    head: Bytes,
    include_usage: bool,
    /// Whether the first chunk, which names the role, was written.
    begun: bool,
    calls: u64,
    reason: Option<FinishReason>,
    /// `,"citations":[…]` for the first chunk, if there are any.
    citations: Bytes,
}

impl Chunks {
    pub(crate) fn new(head: &Head, include_usage: bool) -> Self {
        let mut text = BytesMut::with_capacity(256);
        text.put_slice(b"data: ");
        head.write(&mut text, "chat.completion.chunk");
        Self {
            head: done(text),
            include_usage,
            begun: false,
            calls: 0,
            reason: None,
            citations: Bytes::new(),
        }
    }

    /// Notes the passages that the model was shown, for the first chunk.
    pub(crate) fn cite(&mut self, citations: &[Citation]) {
        let mut text = BytesMut::new();
        write_citations(&mut text, citations);
        self.citations = done(text);
    }

    pub(crate) fn text(&mut self, out: &mut BytesMut, text: &str) {
        self.delta(out, |out| {
            out.put_slice(b"\"content\":");
            put(out, text);
        });
    }

    pub(crate) fn reasoning(&mut self, out: &mut BytesMut, text: &str) {
        self.delta(out, |out| {
            out.put_slice(b"\"reasoning_content\":");
            put(out, text);
        });
    }

    pub(crate) fn reasoning_details(&mut self, out: &mut BytesMut, details: &Value) {
        self.delta(out, |out| {
            out.put_slice(b"\"reasoning_details\":");
            put(out, details);
        });
    }

    /// A call, whole in one chunk.
    pub(crate) fn call(&mut self, out: &mut BytesMut, call: &ToolCall) {
        let index = self.calls;
        self.calls += 1;
        self.delta(out, |out| {
            out.put_slice(b"\"tool_calls\":[{\"index\":");
            put(out, &index);
            out.put_slice(b",");
            write_call(out, call);
            out.put_slice(b"}]");
        });
    }

    /// Notes why the model stopped; it is told by [`Chunks::end`].
    pub(crate) fn finish(&mut self, reason: FinishReason) {
        self.reason = Some(reason);
    }

    /// Whether the model has finished.
    pub(crate) fn is_finished(&self) -> bool {
        self.reason.is_some()
    }

    /// The end of a whole answer.
    pub(crate) fn end(&mut self, out: &mut BytesMut, usage: &TokenUsage) {
        self.begin(out);
        let reason = self.reason.take().unwrap_or(FinishReason::Stop);
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":{},\"logprobs\":null");
        write_reason(out, &reason, self.calls > 0);
        self.close(out);
        if self.include_usage {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            put(out, &Usage::from(usage));
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }

    /// The end of an answer that broke off.
    pub(crate) fn fail(&mut self, out: &mut BytesMut, error: &Error) {
        out.put_slice(b"data: ");
        put(out, &OpenAiError::new(error, None));
        out.put_slice(b"\n\ndata: [DONE]\n\n");
    }

    fn delta(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
        self.begin(out);
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":{");
        write(out);
        out.put_slice(b"},\"logprobs\":null,\"finish_reason\":null}");
        self.close(out);
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if self.begun {
            return;
        }
        self.begun = true;
        out.put_slice(&self.head);
        out.put_slice(
            b"{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\
              \"logprobs\":null,\"finish_reason\":null}]",
        );
        out.put_slice(&std::mem::take(&mut self.citations));
        out.put_slice(if self.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n".as_slice() });
    }

    fn close(&self, out: &mut BytesMut) {
        out.put_slice(if self.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n".as_slice() });
    }
}

/// A whole answer.
pub(crate) struct Told<'a> {
    pub(crate) text: &'a str,
    pub(crate) reasoning: &'a str,
    pub(crate) reasoning_details: Option<&'a Value>,
    pub(crate) calls: &'a [ToolCall],
    pub(crate) reason: &'a FinishReason,
    pub(crate) usage: &'a TokenUsage,
    pub(crate) citations: &'a [Citation],
}

/// Writes a whole answer.
pub(crate) fn write_whole(head: &Head, told: &Told<'_>) -> Bytes {
    let mut text = BytesMut::with_capacity(768 + told.text.len() + told.reasoning.len());
    let out = &mut text;
    head.write(out, "chat.completion");
    out.put_slice(b"{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if told.text.is_empty() && !told.calls.is_empty() {
        out.put_slice(b"null");
    } else {
        put(out, told.text);
    }
    out.put_slice(b",\"refusal\":null");
    if !told.reasoning.is_empty() {
        out.put_slice(b",\"reasoning_content\":");
        put(out, told.reasoning);
    }
    if let Some(details) = told.reasoning_details {
        out.put_slice(b",\"reasoning_details\":");
        put(out, details);
    }
    if !told.calls.is_empty() {
        out.put_slice(b",\"tool_calls\":[");
        for (n, call) in told.calls.iter().enumerate() {
            out.put_slice(if n > 0 { b",{" } else { b"{".as_slice() });
            write_call(out, call);
            out.put_slice(b"}");
        }
        out.put_slice(b"]");
    }
    out.put_slice(b"},\"logprobs\":null");
    write_reason(out, told.reason, !told.calls.is_empty());
    out.put_slice(b"]");
    write_citations(out, told.citations);
    out.put_slice(b",\"usage\":");
    put(out, &Usage::from(told.usage));
    out.put_slice(b"}");
    done(text)
}

/// The passages as one more field, if there are any.
fn write_citations(out: &mut BytesMut, citations: &[Citation]) {
    if !citations.is_empty() {
        out.put_slice(b",\"citations\":");
        put(out, citations);
    }
}

/// The fields of a call, without its braces.
fn write_call(out: &mut BytesMut, call: &ToolCall) {
    out.put_slice(b"\"id\":");
    put(out, &call.id);
    out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
    put(out, &call.name);
    out.put_slice(b",\"arguments\":");
    put(out, &call.arguments_json());
    out.put_slice(b"}");
}

/// The reason, and the end of the choice. OpenAI has four; any other one is
/// told beside `stop`.
fn write_reason(out: &mut BytesMut, reason: &FinishReason, has_calls: bool) {
    let name = match reason {
        FinishReason::Stop | FinishReason::Other(_) if has_calls => "tool_calls",
        FinishReason::Other(_) => "stop",
        reason => reason.as_str(),
    };
    out.put_slice(b",\"finish_reason\":");
    put(out, name);
    if let FinishReason::Other(native) = reason {
        out.put_slice(b",\"native_finish_reason\":");
        put(out, native);
    }
    out.put_slice(b"}");
}
