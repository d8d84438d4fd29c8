//! OpenAI's answers, serialized by hand into one buffer: the fields that are the
//! same in every chunk of a stream are serialized once and copied.

use std::collections::BTreeMap;

use aimate_core::message::{Citation, ToolCall};
use aimate_core::provider::FinishReason;
use aimate_core::usage::TokenUsage;
use aimate_core::{ClockAndIds, ConversationId, Error};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::completion::ChatCompletion;
use super::schema::Usage;
use super::write::put;
use crate::error::OpenAiError;

/// The fields that an answer, or each of its chunks, begins with.
pub(crate) struct CompletionHead {
    id: String,
    created: i64,
    model: String,
    conversation: Option<ConversationId>,
}

impl CompletionHead {
    pub(crate) fn new(
        clock_and_ids: &ClockAndIds,
        model: &str,
        conversation: Option<ConversationId>,
    ) -> Self {
        let id: Uuid = clock_and_ids.id();
        Self {
            id: format!("chatcmpl-{}", id.simple()),
            created: clock_and_ids.now().unix_seconds(),
            model: model.to_owned(),
            conversation,
        }
    }

    /// Writes the object up to the opening bracket of `choices`.
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
pub(crate) struct ChunkWriter {
    /// `data: {…,"choices":[`.
    head: Bytes,
    include_usage: bool,
    /// Whether the first chunk, with the role, has been written.
    has_begun: bool,
    calls: u64,
    finish_reason: Option<FinishReason>,
    /// `,"citations":[…]` for the first chunk; empty if there are none.
    citations: Bytes,
}

impl ChunkWriter {
    pub(crate) fn new(head: &CompletionHead, include_usage: bool) -> Self {
        let mut text = BytesMut::with_capacity(256);
        text.put_slice(b"data: ");
        head.write(&mut text, "chat.completion.chunk");
        Self {
            head: text.freeze(),
            include_usage,
            has_begun: false,
            calls: 0,
            finish_reason: None,
            citations: Bytes::new(),
        }
    }

    /// Sets the citations of the first chunk.
    pub(crate) fn citations(&mut self, citations: &[Citation]) {
        let mut text = BytesMut::new();
        write_citations(&mut text, citations);
        self.citations = text.freeze();
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
        self.delta(out, |out| write_details(out, details, b""));
    }

    /// What else there is of the answer, under the provider's names.
    pub(crate) fn extra(&mut self, out: &mut BytesMut, fields: &Map<String, Value>) {
        let (of_message, of_answer) = split_extra(fields);
        self.begin(out);
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":");
        put(out, &of_message);
        out.put_slice(b",\"logprobs\":null,\"finish_reason\":null}]");
        write_fields(out, &of_answer);
        out.put_slice(if self.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n".as_slice() });
    }

    /// A tool call, whole in one chunk: its arguments are not streamed.
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

    /// Sets the finish reason, which [`ChunkWriter::end`] writes.
    pub(crate) fn finish(&mut self, reason: FinishReason) {
        self.finish_reason = Some(reason);
    }

    /// Whether the model has finished.
    pub(crate) fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The last chunks of a complete answer.
    pub(crate) fn end(&mut self, out: &mut BytesMut, usage: &TokenUsage) {
        self.begin(out);
        let reason = self.finish_reason.take().unwrap_or(FinishReason::Stop);
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":{},\"logprobs\":null");
        write_finish_reason(out, &reason, self.calls > 0);
        self.close(out);
        if self.include_usage {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            put(out, &Usage::from(usage));
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }

    /// The end of an answer that failed.
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
        if self.has_begun {
            return;
        }
        self.has_begun = true;
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

/// Serializes a whole answer.
pub(crate) fn write_completion(head: &CompletionHead, completion: &ChatCompletion) -> Bytes {
    let ChatCompletion { text, reasoning, reasoning_details, calls, finish_reason, usage, citations, extra } =
        completion;
    let (of_message, mut of_answer) = split_extra(extra);
    let mut buffer = BytesMut::with_capacity(768 + text.len() + reasoning.len());
    let out = &mut buffer;
    head.write(out, "chat.completion");
    out.put_slice(b"{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if text.is_empty() && !calls.is_empty() {
        out.put_slice(b"null");
    } else {
        put(out, text);
    }
    out.put_slice(b",\"refusal\":null");
    if !reasoning.is_empty() {
        out.put_slice(b",\"reasoning_content\":");
        put(out, reasoning);
    }
    if let Some(details) = reasoning_details {
        write_details(out, details, b",");
    }
    write_fields(out, &of_message);
    if !calls.is_empty() {
        out.put_slice(b",\"tool_calls\":[");
        for (n, call) in calls.iter().enumerate() {
            out.put_slice(if n > 0 { b",{" } else { b"{".as_slice() });
            write_call(out, call);
            out.put_slice(b"}");
        }
        out.put_slice(b"]");
    }
    out.put_slice(b"},\"logprobs\":null");
    write_finish_reason(out, finish_reason.as_ref().unwrap_or(&FinishReason::Stop), !calls.is_empty());
    out.put_slice(b"]");
    if !citations.is_empty() {
        of_answer.remove("citations");
    }
    write_citations(out, citations);
    write_fields(out, &of_answer);
    out.put_slice(b",\"usage\":");
    put(out, &Usage::from(usage));
    out.put_slice(b"}");
    buffer.freeze()
}

/// Writes `,"citations":[…]`, if there are any.
fn write_citations(out: &mut BytesMut, citations: &[Citation]) {
    if !citations.is_empty() {
        out.put_slice(b",\"citations\":");
        put(out, citations);
    }
}

/// Fields by their names.
type Fields<'a> = BTreeMap<&'a str, &'a Value>;

/// What of a provider's extra fields stands in the message, and what beside it.
fn split_extra(fields: &Map<String, Value>) -> (Fields<'_>, Fields<'_>) {
    let all = fields.iter().map(|(name, value)| (name.as_str(), value));
    all.filter(|(name, _)| !matches!(*name, "choices" | "id" | "object" | "created" | "model" | "usage"))
        .partition(|(name, _)| matches!(*name, "images" | "audio" | "annotations" | "parts" | "references"))
}

/// Writes `,"name":value` for each field.
fn write_fields(out: &mut BytesMut, fields: &Fields<'_>) {
    for (name, value) in fields {
        out.put_slice(b",");
        put(out, name);
        out.put_slice(b":");
        put(out, value);
    }
}

/// Writes what a provider wants back with its reasoning, after `before`: a list
/// under the name it has at OpenRouter, else the fields under their own names.
fn write_details(out: &mut BytesMut, details: &Value, before: &[u8]) {
    let Value::Object(fields) = details else {
        out.put_slice(before);
        out.put_slice(b"\"reasoning_details\":");
        return put(out, details);
    };
    for (n, (name, value)) in fields.iter().enumerate() {
        out.put_slice(if n > 0 { b"," } else { before });
        put(out, name);
        out.put_slice(b":");
        put(out, value);
    }
}

/// Writes the fields of a tool call, without its braces.
fn write_call(out: &mut BytesMut, call: &ToolCall) {
    out.put_slice(b"\"id\":");
    put(out, &call.id);
    out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
    put(out, &call.name);
    out.put_slice(b",\"arguments\":");
    put(out, &call.arguments_json());
    out.put_slice(b"}");
    let is_other = |name: &str| !matches!(name, "id" | "type" | "function" | "index");
    for (name, value) in call.extra.iter().filter(|(name, _)| is_other(name)) {
        out.put_slice(b",");
        put(out, name);
        out.put_slice(b":");
        put(out, value);
    }
}

/// Writes the finish reason and the end of the choice. OpenAI has four reasons;
/// any other becomes `native_finish_reason` beside `stop`, or `length` for one that says
/// that a budget is used up.
fn write_finish_reason(out: &mut BytesMut, reason: &FinishReason, has_calls: bool) {
    let name = match reason {
        FinishReason::Stop | FinishReason::Other(_) if has_calls => "tool_calls",
        // It is not whole.
        reason if reason.is_budget() => "length",
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
