//! Serializes Ollama's chat request.

use std::collections::HashMap;

use aimate_core::message::{MessageRole, Part, ToolCall};
use aimate_core::provider::{ChatMessage, ChatRequest, Endpoint, ResponseFormat, ToolChoice, ToolSpec};
use aimate_core::{Error, Result};
use serde_json::{Map, Value, json};

use crate::openai::encode::{no_file, tool};

/// Context window if neither request nor connection has one. Ollama's own default
/// can be as small as 2,048 tokens, and it truncates longer prompts silently.
const DEFAULT_WINDOW: u32 = 8_192;

/// What was sent, to compare with what the server says it has read.
#[derive(Clone, Debug)]
pub(super) struct SentPrompt {
    /// The requested context window.
    pub(super) window: u32,
    /// Estimated tokens of the prompt.
    pub(super) tokens: u64,
    /// Whether a tool call was required, which Ollama cannot express.
    pub(super) is_choice_lost: bool,
    /// The fields that Ollama has nothing for.
    pub(super) ignored: String,
}

/// The request's body.
///
/// # Errors
/// `Unsupported` if a message holds a file or an image by address.
pub(super) fn body(endpoint: &Endpoint, request: &ChatRequest) -> Result<(Vec<u8>, SentPrompt)> {
    let settings = &endpoint.settings;
    let asked = option(request, "num_ctx").and_then(|window| u32::try_from(window.as_u64()?).ok());
    let window = asked.or(request.context_window).or(settings.context_window).unwrap_or(DEFAULT_WINDOW);
    let messages = messages(&request.messages)?;
    let sent = SentPrompt {
        window,
        tokens: estimate(&messages),
        is_choice_lost: matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))),
        ignored: ignored(request),
    };
    let mut body = Map::new();
    body.insert("model".into(), json!(request.model));
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), request.stream.into());
    body.insert("options".into(), options(request, window));
    let tools = tools(request).map(tool).collect::<Vec<_>>();
    if !tools.is_empty() {
        body.insert("tools".into(), json!(tools));
    }
    body.extend(request.response_format.as_ref().map(|format| ("format".into(), self::format(format))));
    body.extend(settings.keep_alive.as_ref().map(|time| ("keep_alive".into(), json!(time))));
    let effort = request.sampling.reasoning_effort.as_deref();
    body.extend(effort.map(|effort| ("think".into(), think(&request.model, effort))));
    let own = FIELDS.into_iter().filter_map(|name| Some((name.to_owned(), request.extra.get(name)?.clone())));
    body.extend(own);
    Ok((Value::Object(body).to_string().into_bytes(), sent))
}

/// Returns the tools to offer. Ollama has no `tool_choice`: none are offered if
/// none may be called, and only the required one if there is one.
fn tools(request: &ChatRequest) -> impl Iterator<Item = &ToolSpec> {
    request.tools.iter().filter(|tool| match &request.tool_choice {
        Some(ToolChoice::None) => false,
        Some(ToolChoice::Tool(name)) => tool.name == *name,
        _ => true,
    })
}

fn options(request: &ChatRequest, window: u32) -> Value {
    let sampling = &request.sampling;
    let mut options = Map::new();
    options.insert("num_ctx".into(), window.into());
    options.extend(sampling.temperature.map(|value| ("temperature".into(), value.into())));
    options.extend(sampling.top_p.map(|value| ("top_p".into(), value.into())));
    options.extend(sampling.max_tokens.map(|value| ("num_predict".into(), value.into())));
    options.extend(sampling.seed.map(|value| ("seed".into(), value.into())));
    options.extend(sampling.frequency_penalty.map(|value| ("frequency_penalty".into(), value.into())));
    options.extend(sampling.presence_penalty.map(|value| ("presence_penalty".into(), value.into())));
    if !sampling.stop.is_empty() {
        options.insert("stop".into(), json!(sampling.stop));
    }
    for name in OPTIONS {
        if let Some(value) = option(request, name) {
            options.insert(name.into(), value.clone());
        }
    }
    let others = request.extra.get("options").and_then(Value::as_object).into_iter().flatten();
    for (name, value) in others {
        options.insert(name.clone(), value.clone());
    }
    options.insert("num_ctx".into(), window.into());
    Value::Object(options)
}

/// Ollama's own fields of a request, and its own options.
const FIELDS: [&str; 4] = ["keep_alive", "think", "truncate", "shift"];
const OPTIONS: [&str; 20] = [
    "top_k",
    "min_p",
    "typical_p",
    "tfs_z",
    "repeat_penalty",
    "repeat_last_n",
    "num_ctx",
    "num_predict",
    "num_keep",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "use_mmap",
    "use_mlock",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "penalize_newline",
    "low_vram",
];

/// An option of Ollama's in the request: among `options`, or beside them.
fn option<'a>(request: &'a ChatRequest, name: &str) -> Option<&'a Value> {
    request.extra.get("options").and_then(|options| options.get(name)).or_else(|| request.extra.get(name))
}

/// The fields of the request that Ollama has nothing for, as a text.
fn ignored(request: &ChatRequest) -> String {
    // What says nothing of the answer is not missed.
    const HARMLESS: [&str; 6] =
        ["user", "metadata", "safety_identifier", "prompt_cache_key", "service_tier", "store"];
    let names = request.extra.keys().map(String::as_str);
    let names = names
        .filter(|name| *name != "options" && ![&FIELDS[..], &OPTIONS, &HARMLESS].concat().contains(name));
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::JsonObject => "json".into(),
        ResponseFormat::JsonSchema { schema, .. } => schema.clone(),
    }
}

/// Only gpt-oss has levels; others think or do not.
fn think(model: &str, effort: &str) -> Value {
    match effort {
        "none" | "off" | "false" => false.into(),
        "low" | "medium" | "high" if model.contains("gpt-oss") => effort.into(),
        _ => true.into(),
    }
}

fn messages(messages: &[ChatMessage]) -> Result<Vec<Value>> {
    let mut all = Vec::with_capacity(messages.len());
    let mut tools = HashMap::new();
    for message in messages {
        add(&mut all, &mut tools, message)?;
    }
    Ok(all)
}

/// Adds `message`; each result of a tool becomes a message of its own that
/// names the tool.
fn add<'a>(
    all: &mut Vec<Value>,
    tools: &mut HashMap<&'a str, &'a str>,
    message: &'a ChatMessage,
) -> Result<()> {
    let role = if message.role == MessageRole::Tool { MessageRole::Assistant } else { message.role };
    let mut pending = OllamaMessage::default();
    for part in &message.content {
        match part {
            Part::Text { text } => pending.texts.push(text),
            Part::Image { data: Some(data), .. } => pending.images.push(data),
            Part::Image { url: Some(_), .. } => {
                return Err(Error::unsupported(
                    "Ollama fetches no images; send the image itself as `data`, not its `url`",
                ));
            }
            Part::File { name, .. } => return Err(no_file(name)),
            Part::Reasoning { text, .. } => pending.thoughts.push(text),
            Part::ToolCall(call) => {
                tools.insert(&call.id, &call.name);
                pending.calls.push(wire_call(call));
            }
            Part::ToolResult(result) => {
                all.extend(std::mem::take(&mut pending).message(role));
                let (id, content) = (&result.id, result.text());
                let name = tools.get(id.as_str()).copied().unwrap_or_default();
                all.push(json!({"role": "tool", "tool_name": name, "tool_call_id": id, "content": content}));
            }
            Part::Image { .. } | Part::Citation(_) | Part::Extra { .. } => {}
        }
    }
    all.extend(pending.message(role));
    Ok(())
}

/// A message under construction.
#[derive(Default)]
struct OllamaMessage<'a> {
    texts: Vec<&'a str>,
    images: Vec<&'a str>,
    thoughts: Vec<&'a str>,
    calls: Vec<Value>,
}

impl OllamaMessage<'_> {
    /// Returns `None` if the message is empty. Reasoning is sent back only with
    /// tool calls, where the model continues it.
    fn message(self, role: MessageRole) -> Option<Value> {
        if self.texts.is_empty() && self.images.is_empty() && self.calls.is_empty() {
            return None;
        }
        let mut message = Map::new();
        message.insert("role".into(), json!(role));
        message.insert("content".into(), self.texts.concat().into());
        if !self.images.is_empty() {
            message.insert("images".into(), json!(self.images));
        }
        if !self.calls.is_empty() {
            message.insert("tool_calls".into(), self.calls.into());
            if !self.thoughts.is_empty() {
                message.insert("thinking".into(), self.thoughts.concat().into());
            }
        }
        Some(Value::Object(message))
    }
}

/// Ollama requires an object as arguments: anything else is wrapped.
fn wire_call(call: &ToolCall) -> Value {
    let arguments = match &call.arguments {
        Value::Object(_) => call.arguments.clone(),
        other => json!({"arguments": other}),
    };
    json!({"id": call.id, "function": {"name": call.name, "arguments": arguments}})
}

/// Estimates the tokens of a prompt, rather too low, so that no prompt is wrongly
/// called truncated: a quarter of the ASCII characters, half of the others.
fn estimate(messages: &[Value]) -> u64 {
    let count = |text: &str| {
        let others = text.chars().filter(|c| !c.is_ascii()).count();
        let ascii = text.chars().count() - others;
        (ascii / 4 + others / 2) as u64
    };
    messages.iter().filter_map(|message| message.get("content")?.as_str()).map(count).sum()
}
