//! Calls that are not stored: a model behind one address, with usage recorded.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

use super::Engine;
use super::chat::budget;
use super::usage_guard::UsageGuard;
use crate::caught::caught;
use crate::chat::model_call::{ask, broken};
use crate::error::{Error, Result};
use crate::message::{Citation, Part};
use crate::provider::{ChatRequest, Embeddings, ProviderEvent, ProviderStream};
use crate::scope::Scope;
use crate::usage::{TokenUsage, UsageOutcome};
use aimate_text::tokens::{MESSAGE_OVERHEAD, Tokenizer, estimate};

/// One call of a model that is not stored.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// The model, as `CONNECTION/MODEL` or a bare name; default: the first
    /// active one.
    pub model: Option<String>,
    /// The question; its `model` and `context_window` are filled in.
    pub request: ChatRequest,
    /// The collections, by id or name, whose passages are put before the last
    /// user message; an empty list is none. Default: none.
    pub knowledge: Option<Vec<String>>,
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
    /// as they are: nothing is cut to the window.
    ///
    /// # Errors
    /// `NotFound` if there is no such model; what the server says.
    pub async fn complete(&self, scope: &Scope, completion: Completion) -> Result<CompletionStream> {
        self.accepting()?;
        let target = self.resolve_model(scope, completion.model.as_deref()).await?;
        let endpoint = self.endpoint(scope, &target.connection)?;
        let provider = &self.inner.providers.get(&endpoint.provider)?.provider;
        let mut request = completion.request;
        request.context_window = target.window();
        if let Some(collections) = completion.knowledge.as_ref().filter(|named| !named.is_empty()) {
            let tokens = budget(request.context_window, request.sampling.max_tokens).prompt();
            self.retriever(scope).show_passages(collections, &mut request, tokens).await?;
        }
        let passages = request.passages.clone();
        let mut usage = self.usage_guard(scope, target.label(), target.prices());
        usage.prompt_tokens = prompt_estimate(&request);
        request.model.clone_from(&target.model_id);
        request.limits = self.inner.answer_limits;
        match ask(provider.as_ref(), &endpoint, &request).await {
            Ok(stream) => Ok(CompletionStream { stream, usage, passages }),
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
        self.accepting()?;
        let EmbeddingRequest { model, mut texts, tokens, dimensions } = request;
        if !tokens.is_empty() {
            texts.extend(self.decoded(tokens).await?);
        }
        let target = self.resolve_model(scope, model.as_deref()).await?;
        let endpoint = self.endpoint(scope, &target.connection)?;
        let provider = &self.inner.providers.get(&endpoint.provider)?.provider;
        let mut usage = self.usage_guard(scope, target.label(), target.prices());
        usage.prompt_tokens = texts.iter().map(|text| u64::from(estimate(text))).sum();
        let made = async { provider.embed(&endpoint, &target.model_id, &texts, dimensions).await };
        let outcome = caught(made).await.unwrap_or_else(|panic| Err(broken(&endpoint, panic)));
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
}

impl Engine {
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

fn prompt_estimate(request: &ChatRequest) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.content);
    let text = parts.map(|part| if let Part::Text { text } = part { u64::from(estimate(text)) } else { 0 });
    text.sum::<u64>() + request.messages.len() as u64 * u64::from(MESSAGE_OVERHEAD)
}
