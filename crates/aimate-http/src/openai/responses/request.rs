//! What `POST /v1/responses` takes, and what is made of it.

use aimate_core::provider::{Sampling, ToolChoice, ToolSpec};
use aimate_core::{ConversationId, Error, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::echo::Echo;
use super::format::{self, TextFormat};
use super::mcp::{ForcedCall, McpTool};
use super::object::PREFIX;
use super::search::AnswerSearch;
use super::tool::{Offered, offered};
use super::web_search::WebSearchTool;
use super::word::one_of;
use crate::error::{Failure, Result};
use crate::openai::number::Whole;
use crate::openai::{attribute, include, wire_id};

/// Items of one request at most.
const MAX_ITEMS: usize = 10_000;
/// Bytes of `input` at most, as JSON.
const MAX_INPUT: usize = 16 * 1024 * 1024;
/// Characters of an identifier of the caller's own at most.
const MAX_IDENTIFIER: usize = 512;
/// Tokens of an answer at least.
const MIN_OUTPUT: i64 = 16;
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const SUMMARIES: [&str; 3] = ["auto", "concise", "detailed"];

/// A question to a model, and how it is to be answered. Fields that are not listed are
/// passed over.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct ResponseBody {
    /// What a message of a `WebSocket` is: `response.create`.
    #[serde(rename = "type")]
    #[schema(ignore)]
    pub(super) kind: Option<String>,
    /// The model, as `CONNECTION/MODEL` or a bare name. Required.
    pub(super) model: Option<String>,
    /// A text, or a list of items. It may be left out with `previous_response_id`,
    /// `conversation` or `prompt`.
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    /// What the model is told first, in this response alone.
    instructions: Option<String>,
    /// The response that this one follows.
    previous_response_id: Option<String>,
    /// The conversation that this response is added to: its id, or an object with it.
    #[schema(value_type = Option<Object>)]
    conversation: Option<Value>,
    /// Whether the response can be read again; default true.
    store: Option<bool>,
    /// Whether the response is made whoever waits for it.
    pub(super) background: Option<bool>,
    /// Whether the response comes as events.
    stream: Option<bool>,
    /// What is done where the prompt is too long: `disabled` (an error, the default) or
    /// `auto` (the oldest is left out).
    truncation: Option<String>,
    /// Steps by which a long context is made shorter; one of the type `compaction` counts as
    /// `truncation: "auto"`.
    #[schema(value_type = Option<Vec<Object>>)]
    context_management: Option<Vec<Value>>,
    /// What is included beside the answer.
    include: Option<Vec<String>>,
    /// The form of the answer.
    #[schema(value_type = Option<Object>)]
    text: Option<TextFormat>,
    /// Tools that the model may call: `function`, `file_search`, `mcp` and `web_search`.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Value>>,
    /// Whether it must, may or must not.
    #[schema(value_type = Option<Object>)]
    tool_choice: Option<Value>,
    /// Whether several calls at once are welcome; default true.
    parallel_tool_calls: Option<bool>,
    /// Calls that the server makes at most.
    #[schema(value_type = Option<i64>, minimum = 1)]
    max_tool_calls: Option<Whole>,
    /// Tokens of the answer at most, 16 or more.
    #[schema(value_type = Option<i64>, minimum = 16)]
    max_output_tokens: Option<Whole>,
    /// Randomness, 0 to 2.
    temperature: Option<f64>,
    /// The share of probability to pick from, 0 to 1.
    top_p: Option<f64>,
    /// Penalty on tokens that occurred, -2 to 2.
    presence_penalty: Option<f64>,
    /// Penalty on frequent tokens, -2 to 2.
    frequency_penalty: Option<f64>,
    /// Not supported but for 0.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 20)]
    top_logprobs: Option<Whole>,
    /// How much the model thinks.
    reasoning: Option<ReasoningBody>,
    /// At most 16 pairs of texts.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// A stored prompt.
    pub(super) prompt: Option<PromptReference>,
    /// The caller's own name of their user.
    safety_identifier: Option<String>,
    /// Repeated in the response.
    prompt_cache_key: Option<String>,
    /// Repeated in the response.
    user: Option<String>,
    /// Whether a prompt was named.
    #[serde(skip)]
    pub(super) has_prompt: bool,
    /// Whether it follows what only its connection knows.
    #[serde(skip)]
    has_memory: bool,
}

/// How much a model thinks.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct ReasoningBody {
    /// `none`, `minimal`, `low`, `medium`, `high` or `xhigh`.
    effort: Option<String>,
    /// `auto`, `concise` or `detailed`.
    summary: Option<String>,
}

/// A prompt of the library.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub(crate) struct PromptReference {
    /// Its id: `pmpt_` and the prompt's own.
    pub(super) id: String,
    /// Its version: there is one, 1.
    pub(super) version: Option<String>,
    /// What stands in place of `{{name}}`.
    #[schema(value_type = Option<Object>)]
    pub(super) variables: Option<Map<String, Value>>,
}

/// A request that is checked.
#[derive(Debug)]
pub(super) struct ParsedResponse {
    pub(super) model: String,
    /// The items, as they were written.
    pub(super) items: Vec<Value>,
    pub(super) instructions: Option<String>,
    pub(super) previous: Option<RunId>,
    pub(super) conversation: Option<ConversationId>,
    pub(super) is_streamed: bool,
    pub(super) is_cut: bool,
    pub(super) tools: Vec<ToolSpec>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) max_tool_calls: Option<u32>,
    pub(super) search: Option<AnswerSearch>,
    /// Tool servers that the model may use.
    pub(super) servers: Vec<McpTool>,
    pub(super) web_search: Option<WebSearchTool>,
    /// The call of a tool server that it has to make.
    pub(super) forced: Option<ForcedCall>,
    pub(super) response_format: Option<aimate_core::provider::ResponseFormat>,
    pub(super) sampling: Sampling,
    pub(super) echo: Echo,
    /// Whether it follows what only its connection knows.
    pub(super) has_memory: bool,
}

impl ParsedResponse {
    /// Whether the response can be read again.
    pub(super) fn is_stored(&self) -> bool {
        self.echo.is_stored()
    }
}

impl ResponseBody {
    /// The request whose context is to be made shorter.
    pub(super) fn to_compact(
        model: Option<String>,
        input: Option<Value>,
        previous_response_id: Option<String>,
        instructions: Option<String>,
    ) -> Self {
        let store = Some(false);
        Self { model, input, previous_response_id, instructions, store, ..Self::default() }
    }

    /// The response that it wants to follow.
    pub(super) fn previous(&self) -> Option<&str> {
        self.previous_response_id.as_deref()
    }

    /// Whether the response is not to be stored.
    pub(super) fn is_unstored(&self) -> bool {
        self.store == Some(false)
    }

    /// Follows what only its connection knows, in place of a stored response.
    pub(super) fn follows_memory(&mut self) {
        self.previous_response_id = None;
        self.has_memory = true;
    }

    /// Whether the response comes as events.
    pub(super) fn set_stream(&mut self, stream: bool) {
        self.stream = Some(stream);
    }

    /// Checks the request and converts it.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` for an id that is none.
    pub(super) fn parse(self) -> Result<ParsedResponse> {
        let model = self.model.filter(|model| !model.trim().is_empty());
        let model = model.ok_or_else(|| {
            Error::field("model", "is missing; it needs the id of a model as `GET /v1/models` lists it")
        })?;
        let mut echo = Echo::default();
        let (previous, conversation) =
            origin(self.previous_response_id.as_deref(), self.conversation.as_ref())?;
        echo.set("previous_response_id", self.previous_response_id.clone());
        if self.conversation.is_some() {
            let id = conversation.map(|id| wire_id::write("conv_", id.0));
            echo.set("conversation", id.map_or(Value::Null, |id| json!({"id": id})));
        }
        let has_context = previous.is_some() || conversation.is_some() || self.has_prompt || self.has_memory;
        let items = items(self.input, has_context)?;
        let store = self.store.unwrap_or(true);
        let background = self.background.unwrap_or(false);
        if background && !store {
            return Err(Error::field("background", "needs `store`; leave one of them out").into());
        }
        echo.set("store", store);
        echo.set("background", background);
        let is_cut = truncation(self.truncation.as_deref(), self.context_management.as_deref())?;
        echo.set("truncation", if is_cut { "auto" } else { "disabled" });
        echo.include = include::read(self.include.unwrap_or_default())?;
        let (response_format, text) = format::read(self.text)?;
        echo.set("text", text);
        let Offered { tools, tool_choice, search, servers, web_search, forced } =
            offered(self.tools, self.tool_choice, &mut echo)?;
        echo.set("parallel_tool_calls", self.parallel_tool_calls.unwrap_or(true));
        let max_tool_calls = at_least("max_tool_calls", self.max_tool_calls, 1)?;
        echo.set("max_tool_calls", max_tool_calls);
        let max_tokens = at_least("max_output_tokens", self.max_output_tokens, MIN_OUTPUT)?;
        echo.set("max_output_tokens", max_tokens);
        let reasoning_effort = reasoning(self.reasoning, &mut echo)?;
        for (name, value, least, most, otherwise) in [
            ("temperature", self.temperature, 0.0, 2.0, 1.0),
            ("top_p", self.top_p, 0.0, 1.0, 1.0),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0, 0.0),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0, 0.0),
        ] {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return Err(Error::field(name, format!("must be {least} to {most}")).into());
            }
            echo.set(name, value.unwrap_or(otherwise));
        }
        match self.top_logprobs.map_or(0, |number| number.0) {
            0 => {}
            1..=20 => {
                return Err(Failure::unsupported("top_logprobs", "must be 0: models' servers give none"));
            }
            _ => return Err(Error::field("top_logprobs", "must be 0 to 20").into()),
        }
        echo.set("metadata", attribute::metadata(self.metadata.unwrap_or_default())?);
        for (name, value) in [
            ("safety_identifier", self.safety_identifier),
            ("prompt_cache_key", self.prompt_cache_key),
            ("user", self.user),
        ] {
            if value.as_ref().is_some_and(|value| value.chars().count() > MAX_IDENTIFIER) {
                return Err(Error::field(name, format!("has more than {MAX_IDENTIFIER} characters")).into());
            }
            if value.is_some() {
                echo.set(name, value);
            }
        }
        echo.set("instructions", self.instructions.clone());
        Ok(ParsedResponse {
            model,
            items,
            instructions: self.instructions.filter(|text| !text.trim().is_empty()),
            previous,
            conversation,
            is_streamed: self.stream.unwrap_or(false),
            is_cut,
            tools,
            tool_choice,
            parallel_tool_calls: self.parallel_tool_calls,
            max_tool_calls,
            search,
            servers,
            web_search,
            forced,
            response_format,
            sampling: Sampling {
                temperature: self.temperature,
                top_p: self.top_p,
                max_tokens,
                frequency_penalty: self.frequency_penalty,
                presence_penalty: self.presence_penalty,
                reasoning_effort,
                ..Sampling::default()
            },
            echo,
            has_memory: self.has_memory,
        })
    }
}

/// What the response follows.
fn origin(
    previous: Option<&str>,
    conversation: Option<&Value>,
) -> Result<(Option<RunId>, Option<ConversationId>)> {
    let conversation = conversation.filter(|one| !one.is_null());
    let previous = previous.filter(|one| !one.is_empty());
    if previous.is_some() && conversation.is_some() {
        return Err(Error::field(
            "previous_response_id",
            "and `conversation` are mutually exclusive: `previous_response_id` says what is followed, or \
             `conversation` does",
        )
        .into());
    }
    let previous = previous.map(previous_id).transpose()?;
    let conversation = conversation.map(conversation_id).transpose()?;
    Ok((previous, conversation))
}

/// The run of a response that is to be followed.
fn previous_id(text: &str) -> Result<RunId> {
    let id = wire_id::read(PREFIX, text).map(RunId);
    id.ok_or_else(|| previous_not_found(text))
}

/// That there is no response to follow.
pub(super) fn previous_not_found(text: &str) -> Failure {
    let shown = wire_id::shown(text);
    let error = Error::not_found(format!("Previous response with id '{shown}' not found."));
    Failure::from(error).coded("previous_response_not_found").of_param("previous_response_id")
}

fn conversation_id(written: &Value) -> Result<ConversationId> {
    let text = written.as_str().or_else(|| written.get("id")?.as_str());
    let text =
        text.ok_or_else(|| Error::field("conversation", "must be an id, or an object with an `id`"))?;
    if !text.starts_with("conv_") {
        let shown = wire_id::shown(text);
        return Err(Error::field(
            "conversation",
            format!("`{shown}` is no id of a conversation; they begin with `conv_`"),
        )
        .into());
    }
    Ok(ConversationId(wire_id::of("conv_", "conversation", text)?))
}

/// The items of `input`.
fn items(input: Option<Value>, has_context: bool) -> Result<Vec<Value>> {
    let items = match input {
        None | Some(Value::Null) if has_context => return Ok(Vec::new()),
        None | Some(Value::Null) => {
            return Err(Error::field("input", "is missing; it needs a text or a list of items").into());
        }
        Some(Value::String(text)) if text.is_empty() && has_context => Vec::new(),
        Some(Value::String(text)) => vec![json!({"type": "message", "role": "user", "content": text})],
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Error::field("input", "must be a text or a list of items").into()),
    };
    if items.is_empty() && !has_context {
        return Err(Error::field("input", "is empty; it needs at least one item").into());
    }
    if items.len() > MAX_ITEMS {
        let count = items.len();
        return Err(Error::field("input", format!("has {count} items; the most is {MAX_ITEMS}")).into());
    }
    check_bytes(items.iter())?;
    Ok(items)
}

/// Whether there is room for the items of one request.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_bytes<'a>(items: impl Iterator<Item = &'a Value>) -> Result<()> {
    check_total(items.map(size).sum())
}

/// Whether there is room for so many bytes of items.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_total(bytes: usize) -> Result<()> {
    if bytes <= MAX_INPUT {
        return Ok(());
    }
    let most = MAX_INPUT >> 20;
    Err(Error::too_large(format!(
        "`input` has {bytes} bytes; the most is {most} MiB: put long text into a file or a vector store"
    ))
    .into())
}

/// About the bytes of a value as JSON.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(|one| size(one) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>() + 2
        }
        _ => 8,
    }
}

fn truncation(given: Option<&str>, steps: Option<&[Value]>) -> Result<bool> {
    let is_compacted = steps
        .unwrap_or_default()
        .iter()
        .any(|step| step.get("type").and_then(Value::as_str) == Some("compaction"));
    match given {
        None => Ok(is_compacted),
        Some("disabled") => Ok(false),
        Some("auto") => Ok(true),
        Some(_) => Err(Error::field("truncation", "must be `auto` or `disabled`").into()),
    }
}

fn at_least(name: &str, given: Option<Whole>, least: i64) -> Result<Option<u32>> {
    let Some(Whole(number)) = given else { return Ok(None) };
    if number < least {
        return Err(Error::field(name, format!("is {number}; it must be {least} or more")).into());
    }
    Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
}

fn reasoning(given: Option<ReasoningBody>, echo: &mut Echo) -> Result<Option<String>> {
    let Some(ReasoningBody { effort, summary }) = given else { return Ok(None) };
    one_of("reasoning.effort", effort.as_deref(), &EFFORTS)?;
    one_of("reasoning.summary", summary.as_deref(), &SUMMARIES)?;
    echo.set("reasoning", json!({"effort": effort, "summary": summary}));
    Ok(effort)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
