//! Tools for models whose servers know none: they are told of them in the prompt, and their
//! calls are read out of what they write.
//!
//! The form is the one that most open models were trained with (Hermes, Qwen): a JSON object
//! between `<tool_call>` and `</tool_call>`. Small models write it in other ways too; those
//! that were seen are read as well: in a fenced block, without its end, alone.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::error::Result;
use crate::message::{MessageRole, Part, ToolCall};
use crate::provider::{
    ChatMessage, ChatRequest, FinishReason, ProviderEvent, ProviderStream, ToolChoice, ToolSpec,
};

/// What calls begin and end with.
const MARKS: [(&str, &str); 4] = [
    ("<tool_call>", "</tool_call>"),
    ("```tool_call", "```"),
    ("```json", "```"),
    ("[TOOL_CALLS]", "[/TOOL_CALLS]"),
];

/// The same question with its tools in the prompt.
pub(crate) fn told_in_prompt(request: &ChatRequest) -> ChatRequest {
    let mut told = request.clone();
    let instructions = instructions(&request.tools, request.tool_choice.as_ref());
    told.tools = Vec::new();
    (told.tool_choice, told.parallel_tool_calls) = (None, None);
    told.messages = Vec::with_capacity(request.messages.len() + 1);
    match request.messages.first() {
        Some(first) if first.role == MessageRole::System => {
            let mut content = first.content.clone();
            content.push(Part::text(format!("\n\n{instructions}")));
            told.messages.push(ChatMessage::new(MessageRole::System, joined(content)));
        }
        _ => told.messages.push(ChatMessage::new(MessageRole::System, vec![Part::text(instructions)])),
    }
    let rest = request.messages.iter().filter(|message| message.role != MessageRole::System);
    for message in rest {
        let role = if message.role == MessageRole::Tool { MessageRole::User } else { message.role };
        let content = joined(message.content.iter().map(as_text).collect());
        match told.messages.last_mut().filter(|last| last.role == role) {
            Some(last) => {
                last.content.push(Part::text("\n\n"));
                last.content.extend(content);
                last.content = joined(std::mem::take(&mut last.content));
            }
            None => told.messages.push(ChatMessage::new(role, content)),
        }
    }
    told
}

/// Neighbouring texts as one.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (all.last_mut(), part) {
            (Some(Part::Text { text }), Part::Text { text: more }) => text.push_str(&more),
            (_, part) => all.push(part),
        }
    }
    all
}

fn instructions(tools: &[ToolSpec], choice: Option<&ToolChoice>) -> String {
    let mut text = String::from(
        "You can call tools. To call one, write:\n<tool_call>\n{\"name\": \"NAME\", \"arguments\": {}}\n</tool_call>\n\
         Write several for several calls, and nothing after the last. What they return comes in the next message. \
         Call a tool only where it helps; else just answer.\n\nTools:",
    );
    for ToolSpec { name, description, parameters, .. } in tools {
        let told = json!({"name": name, "description": description, "parameters": parameters});
        let _ = write!(text, "\n{told}");
    }
    match choice {
        Some(ToolChoice::None) => text.push_str("\n\nCall no tool now: answer with what you have."),
        Some(ToolChoice::Required) => text.push_str("\n\nCall a tool now."),
        Some(ToolChoice::Tool(name)) => {
            let _ = write!(text, "\n\nCall the tool `{name}` now.");
        }
        Some(ToolChoice::Auto) | None => {}
    }
    text
}

/// A part as such a model wrote or reads it.
fn as_text(part: &Part) -> Part {
    match part {
        Part::ToolCall(call) => {
            let call = json!({"name": call.name, "arguments": call.arguments});
            Part::text(format!("<tool_call>\n{call}\n</tool_call>\n"))
        }
        Part::ToolResult(result) => {
            let failed = if result.is_error { " failed=\"true\"" } else { "" };
            Part::text(format!(
                "<tool_result call=\"{}\"{failed}>\n{}\n</tool_result>\n",
                result.id,
                result.text()
            ))
        }
        other => other.clone(),
    }
}

/// The answer with the calls of these tools read out of its text.
pub(crate) fn calls_of_text(stream: ProviderStream, tools: &[ToolSpec]) -> ProviderStream {
    let reading = CallReader {
        stream,
        names: tools.iter().map(|tool| tool.name.clone()).collect(),
        held: String::new(),
        has_said: false,
        calls: 0,
        ready: VecDeque::new(),
    };
    stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) })
        .fuse()
        .boxed()
}

struct CallReader {
    stream: ProviderStream,
    names: HashSet<String>,
    /// Text of which it is not known yet whether it is a call.
    held: String,
    /// Whether some text was handed on.
    has_said: bool,
    calls: usize,
    ready: VecDeque<Result<ProviderEvent>>,
}

impl CallReader {
    async fn next(&mut self) -> Option<Result<ProviderEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.stream.next().await {
                Some(Ok(ProviderEvent::Text(text))) => {
                    self.held.push_str(&text);
                    self.read(false);
                }
                Some(Ok(ProviderEvent::Finish(reason))) => {
                    self.read(true);
                    let is_call = self.calls > 0 && reason == FinishReason::Stop;
                    let reason = if is_call { FinishReason::ToolCalls } else { reason };
                    self.ready.push_back(Ok(ProviderEvent::Finish(reason)));
                }
                Some(event) => {
                    self.ready.push_back(event);
                }
                None => {
                    self.read(true);
                    if self.ready.is_empty() {
                        return None;
                    }
                }
            }
        }
    }

    /// Hands on what is known to be text, and reads the calls that are whole; all of it at
    /// the end.
    fn read(&mut self, is_end: bool) {
        loop {
            // An answer that is a JSON object may be nothing but a call.
            if !self.has_said && self.held.trim_start().starts_with('{') {
                if is_end {
                    let all = std::mem::take(&mut self.held);
                    self.call_or_text(&all, &all);
                }
                return;
            }
            let marks = MARKS.iter().filter_map(|(begin, end)| Some((self.held.find(begin)?, begin, end)));
            let Some((at, begin, end)) = marks.min_by_key(|(at, ..)| *at) else { break };
            let after = at + begin.len();
            let rest = self.held.get(after..).unwrap_or_default();
            let (inner, until) = match rest.find(end) {
                Some(found) => (rest.get(..found).unwrap_or_default().to_owned(), after + found + end.len()),
                // Small models forget the end.
                None if is_end => (rest.to_owned(), self.held.len()),
                None => {
                    let before: String = self.held.drain(..at).collect();
                    self.say(before);
                    return;
                }
            };
            let before: String = self.held.drain(..at).collect();
            self.say(before);
            let whole: String = self.held.drain(..until - at).collect();
            self.call_or_text(&inner, &whole);
        }
        let keep = if is_end { 0 } else { begins_of_marks(&self.held) };
        let sure: String = self.held.drain(..self.held.len() - keep).collect();
        self.say(sure);
    }

    fn say(&mut self, text: String) {
        // White space around calls is nothing that was said.
        if text.is_empty() || (text.trim().is_empty() && (self.calls > 0 || !self.has_said)) {
            return;
        }
        self.has_said = true;
        self.ready.push_back(Ok(ProviderEvent::Text(text)));
    }

    fn call_or_text(&mut self, inner: &str, whole: &str) {
        let calls = read_calls(inner, &self.names);
        if calls.is_empty() {
            self.has_said = true;
            self.ready.push_back(Ok(ProviderEvent::Text(whole.to_owned())));
        }
        for (name, arguments) in calls {
            self.calls += 1;
            let call = ToolCall::new(format!("call_{}", self.calls), name, arguments);
            self.ready.push_back(Ok(ProviderEvent::ToolCall(call)));
        }
    }
}

/// Bytes at the end of `text` that a mark may begin with.
fn begins_of_marks(text: &str) -> usize {
    let most = MARKS.iter().map(|(begin, _)| begin.len()).max().unwrap_or_default();
    (1..most.min(text.len() + 1))
        .rev()
        .find(|length| {
            let tail = text.len().checked_sub(*length).and_then(|at| text.get(at..));
            tail.is_some_and(|tail| MARKS.iter().any(|(begin, _)| begin.starts_with(tail)))
        })
        .unwrap_or(0)
}

/// The calls in a text that a model wrote for one: an object or a list of them.
fn read_calls(text: &str, names: &HashSet<String>) -> Vec<(String, Value)> {
    let text = text.trim().trim_start_matches("json").trim();
    let parsed =
        serde_json::from_str::<Value>(text).or_else(|_| serde_json::from_str(&without_trailing_commas(text)));
    let Ok(value) = parsed else { return Vec::new() };
    let items = match value {
        Value::Array(items) => items,
        one => vec![one],
    };
    let calls: Option<Vec<_>> = items.iter().map(|item| read_call(item, names)).collect();
    calls.unwrap_or_default()
}

fn read_call(value: &Value, names: &HashSet<String>) -> Option<(String, Value)> {
    let object = value.get("function").filter(|function| function.is_object()).unwrap_or(value);
    let name = ["name", "tool", "tool_name", "function"].iter().find_map(|key| object.get(key)?.as_str())?;
    let name = names.get(name.trim())?.clone();
    let given = ["arguments", "parameters", "args", "input"].iter().find_map(|key| object.get(key));
    let arguments = match given {
        Some(Value::String(text)) => ToolCall::parse_arguments(text),
        Some(value) if !value.is_null() => value.clone(),
        _ => json!({}),
    };
    Some((name, arguments))
}

/// `{"a": 1,}` as `{"a": 1}`; commas in texts stay.
fn without_trailing_commas(text: &str) -> String {
    let (mut out, mut in_text, mut is_escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if in_text {
            in_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
        } else if c == '"' {
            in_text = true;
        } else if matches!(c, '}' | ']') {
            let end = out.trim_end().len();
            if out.get(..end).is_some_and(|kept| kept.ends_with(',')) {
                out.truncate(end - 1);
            }
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ToolResult;

    fn tools() -> Vec<ToolSpec> {
        vec![ToolSpec::new("look", json!({"type": "object"})).description("Looks something up.")]
    }

    /// What is told and called of a text that comes in pieces of so many bytes.
    async fn read(text: &str, piece: usize) -> (String, Vec<Value>, FinishReason) {
        let pieces = text.as_bytes().chunks(piece);
        let events = pieces.map(|piece| Ok(ProviderEvent::Text(String::from_utf8(piece.to_vec()).unwrap())));
        let end = [Ok(ProviderEvent::Finish(FinishReason::Stop))];
        let stream = stream::iter(events.chain(end).collect::<Vec<_>>()).boxed();
        let (mut said, mut calls, mut reason) = (String::new(), Vec::new(), FinishReason::Length);
        for event in calls_of_text(stream, &tools()).collect::<Vec<_>>().await {
            match event.unwrap() {
                ProviderEvent::Text(text) => said.push_str(&text),
                ProviderEvent::ToolCall(call) => calls.push(json!([call.id, call.name, call.arguments])),
                ProviderEvent::Finish(told) => reason = told,
                _ => {}
            }
        }
        (said, calls, reason)
    }

    #[tokio::test]
    async fn call_is_read_however_it_is_written_and_cut() {
        let written = [
            "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"q\": 1}}\n</tool_call>",
            "<tool_call>{\"name\": \"look\", \"arguments\": {\"q\": 1}}",
            "```json\n{\"name\": \"look\", \"parameters\": {\"q\": 1}}\n```",
            "```tool_call\n{\"tool\": \"look\", \"arguments\": \"{\\\"q\\\": 1}\"}\n```\n",
            "  {\"name\": \"look\", \"arguments\": {\"q\": 1,},}",
            "[TOOL_CALLS][{\"name\": \"look\", \"arguments\": {\"q\": 1}}]",
            "{\"function\": {\"name\": \"look\", \"arguments\": {\"q\": 1}}}",
        ];
        for text in written {
            for piece in [1, 3, 1_000] {
                let (said, calls, reason) = read(text, piece).await;
                assert_eq!(calls, [json!(["call_1", "look", {"q": 1}])], "{text} by {piece}");
                assert_eq!((said.as_str(), reason), ("", FinishReason::ToolCalls), "{text} by {piece}");
            }
        }
    }

    #[tokio::test]
    async fn text_stays_text() {
        let texts = [
            "Plain, with a < and ``` in it.",
            "Code: ```json\n{\"a\": 1}\n``` and on.",
            "{\"answer\": 42}",
            "<tool_call>{\"name\": \"unknown\"}</tool_call>",
            "ends with <tool_",
        ];
        for text in texts {
            for piece in [1, 1_000] {
                let (said, calls, reason) = read(text, piece).await;
                assert_eq!((said.as_str(), calls.len(), reason), (text, 0, FinishReason::Stop), "by {piece}");
            }
        }
    }

    #[tokio::test]
    async fn text_before_calls_is_said() {
        let text = "Let me look.\n<tool_call>{\"name\":\"look\"}</tool_call>\n<tool_call>{\"name\":\"look\",\"arguments\":{\"q\":2}}</tool_call>\n";
        let (said, calls, _) = read(text, 4).await;
        assert_eq!(said, "Let me look.\n");
        assert_eq!(calls, [json!(["call_1", "look", {}]), json!(["call_2", "look", {"q": 2}])]);
    }

    #[test]
    fn tools_and_results_are_told_in_the_prompt() {
        let call = Part::ToolCall(ToolCall::new("c", "look", json!({"q": 1})));
        let messages = vec![
            ChatMessage::new(MessageRole::System, vec![Part::text("Be brief.")]),
            ChatMessage::new(MessageRole::User, vec![Part::text("q")]),
            ChatMessage::new(MessageRole::Assistant, vec![call]),
            ChatMessage::new(MessageRole::Tool, vec![Part::ToolResult(ToolResult::new("c", "dry"))]),
        ];
        let told = told_in_prompt(&ChatRequest::new(messages).tools(tools()));
        assert!(told.tools.is_empty());
        let roles: Vec<_> = told.messages.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [MessageRole::System, MessageRole::User, MessageRole::Assistant, MessageRole::User]
        );
        let text = |n: usize| crate::message::text_of(&told.messages[n].content);
        assert!(text(0).starts_with("Be brief.") && text(0).contains("Looks something up."));
        assert!(text(2).contains("<tool_call>") && text(3).contains("dry"));
    }
}
