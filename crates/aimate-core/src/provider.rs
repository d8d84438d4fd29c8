//! Providers: the port to model servers, with its requests and events.

mod finish_reason;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chat::AnswerLimits;
use crate::connection::ConnectionSettings;
use crate::error::{Error, Result};
use crate::message::{Citation, MessageRole, Part, ToolCall, ToolResult};
use crate::model::{Capability, Prices};
use crate::secret::Secret;
use crate::setters::setters;
use crate::usage::TokenUsage;
use crate::warning::WarningCode;

pub use finish_reason::FinishReason;

pub use crate::connection::MaxTokensField;
pub use crate::profile::{AddressRule, AddressSource, ProviderId, ProviderProfile};

/// A model server as a call needs it: where, with which key, how patient.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The connection's name, for messages and logs.
    pub name: String,
    /// The provider that is asked.
    pub provider: ProviderId,
    /// The address without a slash at the end; empty where there is none.
    pub url: String,
    /// Who gave the address, which decides what it may reach.
    pub address_source: AddressSource,
    /// The key.
    pub api_key: Option<Secret>,
    /// Fine-tuning.
    pub settings: ConnectionSettings,
}

/// One message of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: Vec<Part>,
    /// The whole message as the caller wrote it in OpenAI's format, where that says
    /// more than `content`; OpenAI-like servers get it as it is.
    pub verbatim: Option<Box<Value>>,
}

impl ChatMessage {
    /// A message of these parts.
    pub fn new(role: MessageRole, content: Vec<Part>) -> Self {
        Self { role, content, verbatim: None }
    }
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolSpec {
    /// The name: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does, for the model.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments.
    #[serde(default)]
    pub parameters: Value,
    /// Whether arguments must follow the schema exactly, where the provider can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// More fields of the tool, handed on to OpenAI-like servers as they are; those
    /// of its function stand in an object `function`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub extra: Map<String, Value>,
}

impl ToolSpec {
    /// A tool that takes arguments of this JSON Schema.
    pub fn new(name: impl Into<String>, parameters: Value) -> Self {
        Self { name: name.into(), description: String::new(), parameters, strict: None, extra: Map::new() }
    }

    setters! {
        /// With what it does, for the model.
        plain description: String;
        /// With arguments that must follow the schema exactly, or need not.
        optional strict: bool;
    }
}

/// Whether the model must, may or must not call a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// It may.
    Auto,
    /// It must not.
    None,
    /// It must call one.
    Required,
    /// It must call the one of this name.
    Tool(String),
}

/// The form the answer must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// A name for the schema.
        name: String,
        /// The JSON Schema.
        schema: Value,
        /// Whether it must be followed exactly, where the provider can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// How the model picks its words; an absent field is the provider's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Randomness, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus: the share of probability to pick from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Tokens of the answer at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The seed of the randomness, where the provider takes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Penalty on frequent tokens, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Penalty on tokens that occurred, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// How much to think: `low`, `medium`, `high`, or what the provider takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
}

impl Sampling {
    /// Words picked as the provider does by default.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// With this randomness, 0 to 2.
        optional temperature: f64;
        /// Out of this share of probability, 0 to 1.
        optional top_p: f64;
        /// With an answer of so many tokens at most.
        optional max_tokens: u32;
        /// Until one of these texts.
        plain stop: Vec<String>;
        /// With this seed.
        optional seed: i64;
        /// With this penalty on frequent tokens, -2 to 2.
        optional frequency_penalty: f64;
        /// With this penalty on tokens that occurred, -2 to 2.
        optional presence_penalty: f64;
        /// After so much thought: `low`, `medium`, `high`, or what the provider takes.
        optional reasoning_effort: String;
    }
}

/// One question to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The server's own id of the model.
    pub model: String,
    /// The prompt, oldest message first.
    pub messages: Vec<ChatMessage>,
    /// Tools that may be called.
    pub tools: Vec<ToolSpec>,
    /// Whether they must be.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls at once are welcome.
    pub parallel_tool_calls: Option<bool>,
    /// Whether the tools are told in the prompt, and their calls read out of the answer's
    /// text: the model's server knows no tools. Providers never see them then.
    pub tools_by_prompt: bool,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// The passages that the last question's text holds, for providers that
    /// answer out of them alone.
    pub passages: Vec<Citation>,
    /// How words are picked.
    pub sampling: Sampling,
    /// Tokens of the window that the prompt was fitted to.
    pub context_window: Option<u32>,
    /// Whether the answer should come in pieces; else it comes whole.
    pub stream: bool,
    /// What the answer may take. The engine holds every answer to it; a provider
    /// holds what it has to collect before it is an event, such as arguments.
    pub limits: AnswerLimits,
    /// The name by which the caller gave `sampling.max_tokens`, for servers that
    /// know only one of them.
    pub max_tokens_field: Option<MaxTokensField>,
    /// Fields of OpenAI's request that aiMate has no name for, handed on to
    /// OpenAI-like servers as they are.
    pub extra: Map<String, Value>,
}

impl ChatRequest {
    /// Whether the caller tells the model of tools in its server's own way: what the model calls
    /// then is not known here.
    pub(crate) fn has_own_tools(&self) -> bool {
        ["tools", "functions"].iter().any(|name| self.extra.contains_key(*name))
    }

    /// A prompt, oldest message first, to be answered as a stream.
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self { messages, stream: true, ..Self::default() }
    }

    setters! {
        /// With these tools.
        plain tools: Vec<ToolSpec>;
        /// With this choice of tools.
        optional tool_choice: ToolChoice;
        /// With an answer of this form.
        optional response_format: ResponseFormat;
        /// With words picked in this way.
        plain sampling: Sampling;
        /// With an answer in pieces, or whole.
        plain stream: bool;
        /// With more fields for OpenAI-like servers.
        plain extra: Map<String, Value>;
    }
}

/// One piece of a model's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderEvent {
    /// More reasoning; never empty.
    Reasoning(String),
    /// What the provider wants back unchanged with the reasoning.
    ReasoningDetails(Value),
    /// More text; never empty.
    Text(String),
    /// All text so far was reasoning: the server separated them too late.
    TextWasReasoning,
    /// What else there is of the answer, under the provider's names: pictures,
    /// sounds, the sources of a search.
    Extra(Map<String, Value>),
    /// A whole call of a tool.
    ToolCall(ToolCall),
    /// What a tool returned that aiMate called within the answer; no provider sends it.
    ToolReturned(Box<ToolResult>),
    /// What was used, as far as the provider says; the last one counts.
    Usage(TokenUsage),
    /// Something the caller should know, such as a prompt the server cut.
    Warning {
        /// What it is about.
        code: WarningCode,
        /// A sentence.
        detail: String,
    },
    /// The answer is whole; usage may still follow.
    Finish(FinishReason),
}

/// The pieces of one answer. It ends after [`ProviderEvent::Finish`] (and
/// usage) or with one error; a stream that ends without either broke off.
/// Dropping it closes the connection to the server at once.
pub type ProviderStream = BoxStream<'static, Result<ProviderEvent>>;

/// A model as a server lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedModel {
    /// The server's own id.
    pub id: String,
    /// The name to show; the id where the server has none.
    pub name: String,
    /// Tokens of its context window.
    pub context_window: Option<u32>,
    /// What it can do; empty where the server does not say.
    pub capabilities: Vec<Capability>,
    /// What it costs.
    pub prices: Option<Prices>,
}

impl ListedModel {
    /// A model of which the server says nothing but its id.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    setters! {
        /// Shown under this name.
        plain name: String;
        /// With a context window of so many tokens.
        optional context_window: u32;
        /// That can do this.
        plain capabilities: Vec<Capability>;
        /// At these prices.
        optional prices: Prices;
    }
}

/// Vectors for a list of texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// One vector for each text, in the order of the texts, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read.
    pub usage: TokenUsage,
}

/// The model that a provider lists which does not say otherwise.
pub const ONLY_MODEL: &str = "default";

/// What speaks to the model servers of one kind; an engine knows it by the
/// [`ProviderId`] under which it is registered.
///
/// One method is enough; every other one has a default. A model of one's own needs
/// no server, no address and no key: see
/// [`EngineBuilder::provider_named`](crate::EngineBuilder::provider_named).
///
/// ```
/// use aimate_core::Result;
/// use aimate_core::provider::{
///     ChatProvider, ChatRequest, Endpoint, FinishReason, ProviderEvent, ProviderStream,
/// };
/// use futures_util::{StreamExt, stream};
///
/// struct Echo;
///
/// #[async_trait::async_trait]
/// impl ChatProvider for Echo {
///     async fn chat(&self, _: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
///         let said = ProviderEvent::Text(format!("{} messages", request.messages.len()));
///         Ok(stream::iter([Ok(said), Ok(ProviderEvent::Finish(FinishReason::Stop))]).boxed())
///     }
/// }
/// ```
///
/// A provider that panics, breaks off or never ends costs the call that asked it,
/// and no other: the answer ends with an error, or is cut at its
/// [`AnswerLimits`].
///
/// Implementations translate: they hold no state of a conversation, and every
/// call has deadlines (see [`ConnectionSettings`]). They retry only before the
/// first piece of an answer and never put a key into an error or a log.
#[async_trait]
pub trait ChatProvider: Send + Sync {
    /// What the engine has to know of this provider; it is read once, when an
    /// engine is built. Default: a profile with every default.
    fn profile(&self) -> ProviderProfile {
        ProviderProfile::default()
    }
    /// Asks the model. Fails here if the server refuses or cannot be reached;
    /// what fails later comes as the stream's last item.
    async fn chat(&self, endpoint: &Endpoint, request: &ChatRequest) -> Result<ProviderStream>;
    /// The server's models, with what it says about them. Default: one, named
    /// [`ONLY_MODEL`], for a provider with nothing to choose from. A model that is
    /// not listed may be named nonetheless: [`ChatProvider::chat`] is asked for it.
    async fn models(&self, endpoint: &Endpoint) -> Result<Vec<ListedModel>> {
        let _ = endpoint;
        Ok(vec![ListedModel::new(ONLY_MODEL)])
    }
    /// Vectors for `texts`, in batches the server takes. Default: `Unsupported`,
    /// for a provider that makes none. `Upstream` if a vector is missing, has another
    /// length than the first or holds a number that is not finite.
    async fn embed(
        &self,
        endpoint: &Endpoint,
        model: &str,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<Embeddings> {
        let _ = (model, texts, dimensions);
        Err(Error::unsupported(format!("connection `{}`: its provider makes no embeddings", endpoint.name)))
    }
}
