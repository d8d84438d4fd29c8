//! Calls that are not stored: a model behind one address, with usage recorded.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::Engine;
use super::budget_hold::{NewHold, Output, metered};
use super::tool_stream::{ToolStream, without_calls};
use super::turn_prompt::budget;
use super::usage_guard::UsageGuard;
use crate::budget::Amount;
use crate::caught::caught;
use crate::chat::call_trace::CallTrace;
use crate::chat::model_call::{EMBED_PATIENCE, ask, broken, no_vectors};
use crate::chat::prompt_messages::{leave_out_own_pictures, show_returned_pictures};
use crate::chat::tool_loop::{ParkedTurn, ToolLoop};
use crate::chat::{CallDecision, OnApproval, Truncation};
use crate::error::{Error, Result};
use crate::knowledge::SourcePassage;
use crate::limit;
use crate::message::{Citation, MessageRole, Part, ToolCall, text_of};
use crate::observer::TurnSummary;
use crate::provider::{ChatMessage, ChatRequest, Embeddings, ProviderEvent, ProviderStream};
use crate::retrieval::citations::with_passages;
use crate::scope::Scope;
use crate::tool::OfferedServer;
use crate::usage::{TokenUsage, UsageOutcome};
use aimate_text::tokens::{MESSAGE_OVERHEAD, Tokenizer, estimate};

/// One call of a model that is not stored.
///
/// ```
/// use aimate_core::engine::Completion;
/// use aimate_core::message::{MessageRole, Part};
/// use aimate_core::provider::{ChatMessage, ChatRequest};
/// let question = ChatMessage::new(MessageRole::User, vec![Part::text("When is the boiler serviced?")]);
/// let request = ChatRequest { messages: vec![question], stream: true, ..ChatRequest::default() };
/// let call = Completion::new(request).model("ollama/llama3.2").knowledge(["manuals"]);
/// # let _ = call;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Completion {
    /// The model, as `CONNECTION/MODEL` or a bare name; default: the first
    /// active one.
    pub model: Option<String>,
    /// The question; its `model` and `context_window` are filled in.
    pub request: ChatRequest,
    /// The collections, by id or name, whose passages are put before the last
    /// user message; an empty list is none. Default: none.
    pub knowledge: Option<Vec<String>>,
    /// Searches of the application's own that are asked for passages too, by their
    /// names. Default: none.
    pub retrievers: Vec<String>,
    /// Passages of the application's own, before any that are found.
    pub passages: Vec<SourcePassage>,
    /// Tools that aiMate calls within the answer, as for a [`Turn`](crate::chat::Turn). A
    /// call that needs an approval is refused, unless [`Completion::on_approval`] says otherwise.
    pub use_tools: Vec<String>,
    /// Tool servers whose tools aiMate calls too, as for a [`Turn`](crate::chat::Turn).
    pub tool_servers: Vec<OfferedServer>,
    /// What becomes of the answer where its model calls a tool that needs a person's approval.
    /// Default: such a call is refused, since nothing waits; with [`OnApproval::End`] the answer
    /// ends with it.
    pub on_approval: OnApproval,
    /// Calls with which an answer before ended, with what a person decided of each: the answer begins
    /// with them, and the model is asked once they have returned. Whoever brings them has shown the
    /// person what they say. Default: none.
    pub decided: Vec<(ToolCall, CallDecision)>,
    /// How many calls aiMate makes at most, as for a [`Turn`](crate::chat::Turn). Default: as
    /// many as the engine's limits allow.
    pub max_tool_calls: Option<u32>,
    /// What is done with more messages than the model's window has room for. Default: they go as
    /// they are, and the model's server says what becomes of them.
    pub truncation: Option<Truncation>,
    /// What the application wants its usage summed by, as for a
    /// [`Turn`](crate::chat::Turn).
    pub tags: Vec<String>,
}

impl Completion {
    /// A call of the default model, without passages.
    pub fn new(request: ChatRequest) -> Self {
        Self { request, ..Self::default() }
    }

    /// Of this model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// With passages of these collections, by id or name; with none of an empty
    /// list.
    #[must_use]
    pub fn knowledge<T: Into<String>>(mut self, collections: impl IntoIterator<Item = T>) -> Self {
        self.knowledge = Some(collections.into_iter().map(Into::into).collect());
        self
    }

    /// With passages of these searches of the application's own.
    #[must_use]
    pub fn retrievers<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.retrievers = names.into_iter().map(Into::into).collect();
        self
    }

    /// With these passages of the application's own.
    #[must_use]
    pub fn passages(mut self, passages: impl IntoIterator<Item = SourcePassage>) -> Self {
        self.passages = passages.into_iter().collect();
        self
    }

    /// With these tools, which aiMate calls.
    #[must_use]
    pub fn use_tools<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.use_tools = names.into_iter().map(Into::into).collect();
        self
    }

    /// With at most so many calls that aiMate makes.
    #[must_use]
    pub fn max_tool_calls(mut self, most: u32) -> Self {
        self.max_tool_calls = Some(most);
        self
    }

    /// With this done to more messages than there is room for.
    #[must_use]
    pub fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = Some(truncation);
        self
    }

    /// With one more tag, by which its usage can be summed.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

/// Texts that a model of a connection embeds.
///
/// ```
/// use aimate_core::engine::EmbeddingRequest;
/// let request = EmbeddingRequest::new(["boiler", "pump"]).model("ollama/nomic-embed-text");
/// # let _ = request;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddingRequest {
    /// The model, as `CONNECTION/MODEL` or a bare name; default: the first
    /// active one.
    pub model: Option<String>,
    /// The texts.
    pub texts: Vec<String>,
    /// Texts as token ids of OpenAI's `cl100k_base`, in place of `texts`: they are
    /// embedded as the texts that they stand for.
    pub tokens: Vec<Vec<u32>>,
    /// Numbers of each vector, where the model lets one choose.
    pub dimensions: Option<u32>,
}

impl EmbeddingRequest {
    /// A request for the vectors of `texts`.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self { texts: texts.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// A request for the vectors of texts that are given as token ids of
    /// `cl100k_base`.
    pub fn of_tokens(tokens: impl IntoIterator<Item = Vec<u32>>) -> Self {
        Self { tokens: tokens.into_iter().collect(), ..Self::default() }
    }

    /// By this model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// With so many numbers in each vector.
    #[must_use]
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self
    }
}

/// The vectors of texts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingResponse {
    /// The model that made them, as `CONNECTION/MODEL`.
    pub model: String,
    /// One vector for each text, in the order of the texts, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// What was used.
    pub usage: TokenUsage,
}

/// The pieces of an answer that is not stored. Its usage is recorded when it
/// ends or is dropped; dropping it stops the model.
pub struct CompletionStream {
    stream: ProviderStream,
    usage: UsageGuard,
    passages: Vec<Citation>,
    warnings: Vec<String>,
}

impl CompletionStream {
    /// The model that answers, as `CONNECTION/MODEL`.
    pub fn model(&self) -> &str {
        &self.usage.model
    }

    /// The passages that the model was shown; `[n]` in its answer is number n.
    pub fn passages(&self) -> &[Citation] {
        &self.passages
    }

    /// What could not be done when passages were looked for, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What was used so far: final once the stream has ended.
    pub fn usage(&self) -> TokenUsage {
        self.usage.usage()
    }
}

impl Stream for CompletionStream {
    type Item = Result<ProviderEvent>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = this.stream.as_mut().poll_next(context);
        if let Poll::Ready(piece) = &next {
            this.usage.observe(piece.as_ref());
        }
        next
    }
}

impl std::fmt::Debug for CompletionStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompletionStream").field("model", &self.usage.model).finish_non_exhaustive()
    }
}

impl Engine {
    /// Asks a model and stores nothing but the usage. The caller's messages go
    /// as they are, unless [`Completion::truncation`] says what is done with too many.
    ///
    /// # Errors
    /// `NotFound` if there is no such model or retriever; `ContextOverflow` for what does not fit, if
    /// `truncation` was set; `Forbidden` or `RateLimited` as an observer says; what the server says.
    pub async fn complete(&self, scope: &Scope, completion: Completion) -> Result<CompletionStream> {
        self.admit(scope).await?;
        self.accepting()?;
        let tags = limit::distinct_tags("tags", completion.tags)?;
        let target = self.resolve_model(scope, completion.model.as_deref()).await?;
        let endpoint = self.endpoint(scope, &target.connection).await?;
        let provider = &self.inner.providers.get(&endpoint.provider)?.provider;
        let mut request = completion.request;
        show_stored_passages(&mut request.messages);
        let (toolbox, mut left_out) =
            self.toolbox(scope, &completion.use_tools, &completion.tool_servers, &request.tools).await?;
        let foreign = request.tools.clone();
        request.tools = toolbox.specs().chain(foreign.iter()).cloned().collect();
        let summary = || TurnSummary {
            model: target.label(),
            tags: tags.clone(),
            question: question(&request).map(|message| text_of(&message.content)).unwrap_or_default(),
            ..TurnSummary::default()
        };
        self.inner.observers.before_turn(scope, summary).await?;
        request.context_window = target.window();
        request.tools_by_prompt = target.has_tools_by_prompt();
        let knowledge = completion.knowledge.clone().unwrap_or_default();
        let collections = completion.knowledge.filter(|named| !named.is_empty());
        let sources = self.sources_of(collections, &completion.retrievers, completion.passages)?;
        let mut warnings = Vec::new();
        let window = budget(request.context_window, request.sampling.max_tokens);
        if !sources.is_empty() {
            let tokens = window.prompt();
            warnings = self.knowledge_search(scope).show_passages(sources, &mut request, tokens).await?;
        }
        if let Some(truncation) = completion.truncation {
            self.fit(&mut request, truncation, Tokenizer::for_model(&target.model_id), window).await?;
        }
        warnings.append(&mut left_out);
        let passages = request.passages.clone();
        let (call, pricing) = (self.inner.sources.id(), target.pricing(self.inner.sources.now()));
        let prompt_tokens = prompt_estimate(&request);
        let output = Output::of(&request);
        let hold = NewHold {
            call,
            target: &target,
            pricing,
            workspace: None,
            tags: &tags,
            prompt_tokens,
            output,
            spent: Amount::default(),
            steps_before: 0,
        };
        let mut hold = self.hold_budget(scope, hold).await?;
        let trace = CallTrace::chat(&endpoint, &target.model_id);
        let mut usage = self.usage_guard(scope, call, target.label(), pricing, trace);
        usage.tags.clone_from(&tags);
        usage.prompt_tokens = prompt_tokens;
        request.model.clone_from(&target.model_id);
        request.limits = self.inner.answer_limits;
        if !target.sees_pictures() {
            leave_out_own_pictures(&mut request.messages);
        }
        request.messages = show_returned_pictures(request.messages);
        let cap = hold.as_mut().and_then(|hold| hold.take_whole(&mut request));
        let tools = if toolbox.is_empty() && foreign.is_empty() && completion.decided.is_empty() {
            None
        } else {
            let turn = ParkedTurn {
                max_tool_calls: completion.max_tool_calls,
                on_approval: completion.on_approval,
                tool_choice: request.tool_choice.clone(),
                ..ParkedTurn::default()
            };
            Some(ToolLoop::new(toolbox, foreign, self.calling(scope, None, None, knowledge), turn))
        };
        let begun = match tools {
            Some(mut tools) if !completion.decided.is_empty() => {
                for (call, decision) in &completion.decided {
                    self.audit_unstored(scope, call, decision).await;
                }
                let calls = tools.decide(completion.decided);
                let call =
                    ToolStream::new(provider.clone(), endpoint, request, tools, target.sees_pictures());
                Ok(call.begin_with(calls))
            }
            tools => {
                let asked = ask(provider.as_ref(), &endpoint, &request).instrument(usage.span()).await;
                asked.map(|stream| match tools {
                    Some(tools) => {
                        let sees_pictures = target.sees_pictures();
                        ToolStream::new(provider.clone(), endpoint, request, tools, sees_pictures)
                            .follow(stream)
                    }
                    None if request.has_own_tools() => stream,
                    None => without_calls(stream),
                })
            }
        };
        match begun {
            Ok(stream) => {
                let stream = match hold {
                    Some(hold) => metered(stream, hold, cap.is_some()),
                    None => stream,
                };
                Ok(CompletionStream { stream, usage, passages, warnings })
            }
            Err(error) => {
                usage.outcome = UsageOutcome::Failed;
                Err(target.explain(error))
            }
        }
    }

    /// Embeds texts with a model of a connection; its usage is recorded.
    ///
    /// # Errors
    /// `NotFound` if there is no such model; `Unsupported` if its provider makes
    /// no vectors; `Invalid` for token ids that are none; what the server says.
    pub async fn embed(&self, scope: &Scope, request: EmbeddingRequest) -> Result<EmbeddingResponse> {
        self.admit(scope).await?;
        self.embed_admitted(scope, request).await
    }
}

impl Engine {
    /// [`Engine::embed`] for a call that was let in before, or for the work on documents
    /// that were added then.
    pub(super) async fn embed_admitted(
        &self,
        scope: &Scope,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse> {
        self.accepting()?;
        let EmbeddingRequest { model, mut texts, tokens, dimensions } = request;
        if !tokens.is_empty() {
            texts.extend(self.decoded(tokens).await?);
        }
        let target = self.resolve_model(scope, model.as_deref()).await?;
        let endpoint = self.endpoint(scope, &target.connection).await?;
        let provider = &self.inner.providers.get(&endpoint.provider)?.provider;
        let (call, pricing) = (self.inner.sources.id(), target.pricing(self.inner.sources.now()));
        let prompt_tokens = texts.iter().map(|text| u64::from(estimate(text))).sum();
        let output = Output::None;
        let hold = NewHold {
            call,
            target: &target,
            pricing,
            workspace: None,
            tags: &[],
            prompt_tokens,
            output,
            spent: Amount::default(),
            steps_before: 0,
        };
        let mut hold = self.hold_budget(scope, hold).await?;
        let trace = CallTrace::embeddings(&endpoint, &target.model_id);
        let mut usage = self.usage_guard(scope, call, target.label(), pricing, trace);
        usage.prompt_tokens = prompt_tokens;
        if let Some(hold) = &mut hold {
            hold.take();
        }
        let made = async { provider.embed(&endpoint, &target.model_id, &texts, dimensions).await };
        let made = timeout(EMBED_PATIENCE, caught(made.instrument(usage.span()))).await;
        let outcome = match made {
            Ok(made) => made.unwrap_or_else(|panic| Err(broken(&endpoint, panic))),
            Err(_) => Err(no_vectors(&target.label())),
        };
        match &outcome {
            Ok(embeddings) => {
                usage.outcome = UsageOutcome::Completed;
                usage.reported = (embeddings.usage.input_tokens > 0).then_some(embeddings.usage);
            }
            Err(_) => usage.outcome = UsageOutcome::Failed,
        }
        let Embeddings { vectors, usage: reported } = outcome.map_err(|error| target.explain(error))?;
        let usage = reported.bounded(&usage.usage());
        Ok(EmbeddingResponse { model: target.label(), vectors, usage })
    }

    /// The texts that these token ids stand for; off the async threads, since the
    /// vocabulary may have to be loaded.
    async fn decoded(&self, tokens: Vec<Vec<u32>>) -> Result<Vec<String>> {
        let decode = move || -> Option<Vec<String>> {
            tokens.iter().map(|ids| Tokenizer::Cl100k.decode(ids)).collect()
        };
        let decoded = self.inner.tasks.spawn_blocking(decode).await;
        decoded
            .map_err(|error| Error::internal("token ids could not be read").with_source(error))?
            .ok_or_else(|| {
                Error::field(
                    "input",
                    "has token ids that are none of `cl100k_base`, or this build reads none; send text",
                )
            })
    }
}

/// Has questions that were stored with their passages show them, as they did then.
fn show_stored_passages(messages: &mut [ChatMessage]) {
    let is_passage = |part: &Part| matches!(part, Part::Citation(_));
    for message in messages.iter_mut().filter(|message| message.content.iter().any(is_passage)) {
        message.content = with_passages(message.content.iter());
    }
}

/// The last message of the user.
fn question(request: &ChatRequest) -> Option<&ChatMessage> {
    request.messages.iter().rev().find(|message| message.role == MessageRole::User)
}

fn prompt_estimate(request: &ChatRequest) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.content);
    let text = parts.map(|part| if let Part::Text { text } = part { u64::from(estimate(text)) } else { 0 });
    text.sum::<u64>() + request.messages.len() as u64 * u64::from(MESSAGE_OVERHEAD)
}
