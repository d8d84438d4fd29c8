//! Serializes OpenAI's chat request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aimate_core::message::{MessageRole, Part, ToolCall, ToolResult};
use aimate_core::provider::{
    ChatMessage, ChatRequest, Endpoint, MaxTokensField, ResponseFormat, ToolChoice, ToolSpec,
};
use aimate_core::{Error, Result};
use reqwest::Url;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::learned::{ReasoningField, Takes};
use super::verbatim::verbatim;

/// The request's body for a server that takes this.
///
/// # Errors
/// `Unsupported` if a message holds a file.
pub(crate) fn body(
    dialect: Dialect,
    endpoint: &Endpoint,
    request: &ChatRequest,
    takes: Takes,
) -> Result<Vec<u8>> {
    let settings = &endpoint.settings;
    let as_parts = if takes.is_text_only { Some(false) } else { settings.text_as_parts };
    let messages = Messages::new(dialect, takes, as_parts, &request.messages)?;
    let known = if is_openai(dialect, &endpoint.url) {
        MaxTokensField::MaxCompletionTokens
    } else {
        MaxTokensField::MaxTokens
    };
    let max_tokens =
        settings.max_tokens_field.or(takes.max_tokens).or(request.max_tokens_field).unwrap_or(known);
    let asks_usage = settings.stream_options.unwrap_or(!takes.no_stream_options);
    let body = Body { dialect, request, messages, max_tokens, asks_usage };
    serde_json::to_vec(&body)
        .map_err(|error| Error::internal("the request cannot be written as JSON").with_source(error))
}

/// Whether the server is OpenAI's own (or Azure's), which takes
/// `max_completion_tokens` for every model and refuses the older `max_tokens` for
/// those that reason; most others know only `max_tokens`.
fn is_openai(dialect: Dialect, url: &str) -> bool {
    let host =
        Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase)).unwrap_or_default();
    let is_openai =
        host == "api.openai.com" || host.ends_with(".api.openai.com") || host.ends_with(".openai.azure.com");
    dialect == Dialect::OpenAi && is_openai
}

struct Body<'a> {
    dialect: Dialect,
    request: &'a ChatRequest,
    messages: Messages<'a>,
    max_tokens: MaxTokensField,
    asks_usage: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = self.request;
        let mut fields = Fields { map: serializer.serialize_map(None)?, names: Vec::with_capacity(16) };
        fields.put("model", &request.model)?;
        fields.put("messages", &self.messages)?;
        if request.stream {
            fields.put("stream", &true)?;
            if self.asks_usage {
                fields.put("stream_options", &json!({"include_usage": true}))?;
            }
        } else {
            fields.put("stream", &false)?;
        }
        self.tools(&mut fields)?;
        fields.some("response_format", request.response_format.as_ref().map(format).as_ref())?;
        self.sampling(&mut fields)?;
        fields.rest(&request.extra)?;
        fields.map.end()
    }
}

impl Body<'_> {
    fn tools<M: SerializeMap>(&self, fields: &mut Fields<M>) -> Result<(), M::Error> {
        let request = self.request;
        if request.tools.is_empty() {
            return Ok(());
        }
        fields.put("tools", &request.tools.iter().map(tool).collect::<Vec<_>>())?;
        fields.some("tool_choice", request.tool_choice.as_ref().map(tool_choice).as_ref())?;
        fields.some("parallel_tool_calls", request.parallel_tool_calls.as_ref())
    }

    fn sampling<M: SerializeMap>(&self, fields: &mut Fields<M>) -> Result<(), M::Error> {
        let sampling = &self.request.sampling;
        fields.some("temperature", sampling.temperature.as_ref())?;
        fields.some("top_p", sampling.top_p.as_ref())?;
        let max_tokens = match self.max_tokens {
            MaxTokensField::MaxTokens => "max_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
        };
        fields.some(max_tokens, sampling.max_tokens.as_ref())?;
        fields.some("stop", (!sampling.stop.is_empty()).then_some(&sampling.stop))?;
        fields.some("seed", sampling.seed.as_ref())?;
        fields.some("frequency_penalty", sampling.frequency_penalty.as_ref())?;
        fields.some("presence_penalty", sampling.presence_penalty.as_ref())?;
        match (&sampling.reasoning_effort, self.dialect) {
            (None, _) => Ok(()),
            (Some(effort), Dialect::OpenAi) => fields.put("reasoning_effort", effort),
            (Some(effort), Dialect::OpenRouter) => fields.put("reasoning", &json!({"effort": effort})),
        }
    }
}

/// A JSON object without duplicate names.
struct Fields<M> {
    map: M,
    names: Vec<&'static str>,
}

impl<M: SerializeMap> Fields<M> {
    fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), M::Error> {
        self.names.push(name);
        self.map.serialize_entry(name, value)
    }

    fn some<T: Serialize>(&mut self, name: &'static str, value: Option<&T>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(name, value))
    }

    /// Adds the fields that aiMate does not know, unless it has set them itself.
    fn rest(&mut self, extra: &Map<String, Value>) -> Result<(), M::Error> {
        let names = &self.names;
        let others = extra.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        others.into_iter().try_for_each(|(name, value)| self.map.serialize_entry(name, value))
    }
}

#[derive(Serialize)]
struct WireTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: WireFunction<'a>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: Cow<'a, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

/// Converts a tool to the form of OpenAI and Ollama.
pub(crate) fn tool(tool: &ToolSpec) -> impl Serialize {
    let parameters = match &tool.parameters {
        Value::Null => Cow::Owned(json!({"type": "object", "properties": {}})),
        schema => Cow::Borrowed(schema),
    };
    let ToolSpec { name, description, strict, extra, .. } = tool;
    let of_function = extra.get("function").and_then(Value::as_object).into_iter().flatten();
    WireTool {
        kind: "function",
        function: WireFunction {
            name,
            description,
            parameters,
            strict: *strict,
            extra: of_function.map(|(name, value)| (name.as_str(), value)).collect(),
        },
        extra: extra
            .iter()
            .filter(|(name, _)| *name != "function")
            .map(|(name, value)| (name.as_str(), value))
            .collect(),
    }
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, schema, strict: None } => {
            json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema}})
        }
        ResponseFormat::JsonSchema { name, schema, strict } => {
            json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": strict}})
        }
    }
}

/// The prompt in OpenAI's form: results of tools become messages of their own.
struct Messages<'a>(Vec<Outgoing<'a>>);

#[derive(Serialize)]
#[serde(untagged)]
enum Outgoing<'a> {
    Built(WireMessage<'a>),
    /// As the caller wrote it.
    Verbatim(Cow<'a, Value>),
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: MessageRole,
    /// `null` where an assistant only calls tools.
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    /// What the provider wants back with an answer of its own.
    #[serde(flatten)]
    opaque: BTreeMap<&'a str, Cow<'a, Value>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<WirePart<'a>>),
}

enum WirePart<'a> {
    Text(&'a str),
    ImageUrl(&'a str),
    ImageData { media_type: &'a str, data: &'a str },
}

struct WireCall<'a> {
    call: &'a ToolCall,
    with_extra: bool,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|message| all.serialize_element(message))?;
        all.end()
    }
}

impl<'a> Messages<'a> {
    fn new(
        dialect: Dialect,
        takes: Takes,
        as_parts: Option<bool>,
        messages: &'a [ChatMessage],
    ) -> Result<Self> {
        let mut all = Self(Vec::with_capacity(messages.len()));
        for message in messages {
            match &message.verbatim {
                Some(message) => all.0.push(Outgoing::Verbatim(verbatim(takes, as_parts, message))),
                None => all.add(dialect, takes, as_parts.unwrap_or(false), message)?,
            }
        }
        Ok(all)
    }

    /// Adds `message`; a result of a tool inside it ends one wire message and
    /// what follows begins the next.
    fn add(
        &mut self,
        dialect: Dialect,
        takes: Takes,
        as_parts: bool,
        message: &'a ChatMessage,
    ) -> Result<()> {
        let mut builder = MessageBuilder::new(message.role);
        for part in &message.content {
            match part {
                Part::Text { text } => builder.parts.push(WirePart::Text(text)),
                Part::Image { url: Some(url), .. } => builder.parts.push(WirePart::ImageUrl(url)),
                Part::Image { data: Some(data), media_type, .. } => {
                    let media_type = media_type.as_deref().unwrap_or("image/png");
                    builder.parts.push(WirePart::ImageData { media_type, data });
                }
                Part::Image { .. } | Part::Citation(_) | Part::Extra { .. } => {}
                Part::File { name, .. } => return Err(no_file(name)),
                Part::Reasoning { text, details } => builder.reasoning(text, details.as_ref()),
                Part::ToolCall(call) => builder.calls.push(WireCall { call, with_extra: !takes.no_opaque }),
                Part::ToolResult(returned) => {
                    let before = std::mem::replace(&mut builder, MessageBuilder::new(message.role));
                    self.0.extend(before.message(dialect, takes, as_parts).map(Outgoing::Built));
                    self.0.push(Outgoing::Built(result(returned)));
                }
            }
        }
        self.0.extend(builder.message(dialect, takes, as_parts).map(Outgoing::Built));
        Ok(())
    }
}

/// A wire message under construction.
struct MessageBuilder<'a> {
    role: MessageRole,
    parts: Vec<WirePart<'a>>,
    calls: Vec<WireCall<'a>>,
    thoughts: Vec<&'a str>,
    details: Option<&'a Value>,
}

impl<'a> MessageBuilder<'a> {
    fn new(role: MessageRole) -> Self {
        Self { role, parts: Vec::new(), calls: Vec::new(), thoughts: Vec::new(), details: None }
    }

    fn reasoning(&mut self, text: &'a str, details: Option<&'a Value>) {
        if !text.is_empty() {
            self.thoughts.push(text);
        }
        self.details = details.or(self.details);
    }

    /// Returns `None` if the message is empty.
    fn message(self, dialect: Dialect, takes: Takes, as_parts: bool) -> Option<WireMessage<'a>> {
        if self.parts.is_empty() && self.calls.is_empty() {
            return None;
        }
        let opaque = self.opaque(dialect, takes);
        // Text between tool results is the assistant's.
        let role = if self.role == MessageRole::Tool { MessageRole::Assistant } else { self.role };
        // Assistants write only text, which no server expects in parts.
        let content = content(self.parts, as_parts && role == MessageRole::User, role == MessageRole::User);
        Some(WireMessage { role, content, tool_calls: self.calls, tool_call_id: None, opaque })
    }

    /// What the provider wants back: its own details, and the reasoning itself
    /// beside calls of tools, where the model goes on with it.
    fn opaque(&self, dialect: Dialect, takes: Takes) -> BTreeMap<&'a str, Cow<'a, Value>> {
        let mut opaque = BTreeMap::new();
        if !takes.no_opaque {
            match self.details {
                Some(Value::Object(fields)) => {
                    opaque.extend(fields.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value))));
                }
                Some(details) => drop(opaque.insert("reasoning_details", Cow::Borrowed(details))),
                None => {}
            }
        }
        let name = match (takes.reasoning, dialect) {
            (ReasoningField::None, _) => None,
            (_, Dialect::OpenRouter) => opaque.is_empty().then_some("reasoning"),
            (ReasoningField::WithCalls | ReasoningField::Always, Dialect::OpenAi) => {
                Some("reasoning_content")
            }
        };
        let is_wanted = !self.calls.is_empty() || takes.reasoning == ReasoningField::Always;
        if let Some(name) = name.filter(|_| is_wanted && !self.thoughts.is_empty()) {
            opaque.insert(name, Cow::Owned(self.thoughts.concat().into()));
        }
        opaque
    }
}

/// Text alone as a string unless `as_parts`; images only where they are allowed.
fn content(mut parts: Vec<WirePart<'_>>, as_parts: bool, with_images: bool) -> Option<Content<'_>> {
    if !with_images {
        parts.retain(|part| matches!(part, WirePart::Text(_)));
    }
    let is_text = parts.iter().all(|part| matches!(part, WirePart::Text(_)));
    match parts.as_slice() {
        [] => None,
        _ if as_parts || !is_text => Some(Content::Parts(parts)),
        [WirePart::Text(text)] => Some(Content::Text(Cow::Borrowed(text))),
        several => {
            let texts = several
                .iter()
                .filter_map(|part| if let WirePart::Text(text) = part { Some(*text) } else { None });
            Some(Content::Text(Cow::Owned(texts.collect())))
        }
    }
}

/// Returns the message of a tool's result.
fn result(result: &ToolResult) -> WireMessage<'_> {
    WireMessage {
        role: MessageRole::Tool,
        content: Some(Content::Text(result.text())),
        tool_calls: Vec::new(),
        tool_call_id: Some(&result.id),
        opaque: BTreeMap::new(),
    }
}

/// The error of a file in a prompt.
pub(crate) fn no_file(name: &str) -> Error {
    Error::unsupported(format!(
        "the file `{name}` cannot be sent to this model server; send its text or an image"
    ))
}

impl Serialize for WirePart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct DataUri<'a>(&'a str, &'a str);
        impl Serialize for DataUri<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&format_args!("data:{};base64,{}", self.0, self.1))
            }
        }
        #[derive(Serialize)]
        struct Url<T> {
            url: T,
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", if matches!(self, Self::Text(_)) { "text" } else { "image_url" })?;
        match self {
            Self::Text(text) => map.serialize_entry("text", text)?,
            Self::ImageUrl(url) => map.serialize_entry("image_url", &Url { url })?,
            Self::ImageData { media_type, data } => {
                map.serialize_entry("image_url", &Url { url: DataUri(media_type, data) })?;
            }
        }
        map.end()
    }
}

impl Serialize for WireCall<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct WireFunctionCall<'a> {
            name: &'a str,
            arguments: String,
        }
        let call = self.call;
        let function = WireFunctionCall { name: &call.name, arguments: call.arguments_json() };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &call.id)?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry("function", &function)?;
        let is_other = |name: &str| !matches!(name, "id" | "type" | "function" | "index");
        for (name, value) in call.extra.iter().filter(|(name, _)| self.with_extra && is_other(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openai_is_known_by_its_host() {
        let is_openai = |url| is_openai(Dialect::OpenAi, url);
        assert!(is_openai("https://api.openai.com/v1"));
        assert!(is_openai("https://eu.api.openai.com/v1"));
        assert!(is_openai("https://me.openai.azure.com/openai/v1"));
        assert!(!is_openai("http://127.0.0.1:1234/v1"));
        assert!(!is_openai("https://evilapi.openai.com.example/v1"));
        assert!(!super::is_openai(Dialect::OpenRouter, "https://api.openai.com/v1"));
    }
}
