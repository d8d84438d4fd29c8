//! Calls that are not stored: a model behind one address, with usage recorded.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

use super::Engine;
use crate::error::Result;
use crate::message::{Citation, Part};
use crate::model::Prices;
use crate::provider::{ChatRequest, Embeddings, ProviderEvent, ProviderStream};
use crate::scope::Scope;
use crate::usage::{TokenUsage, UsageOutcome, UsageRecord};
use aimate_text::tokens::{MESSAGE_OVERHEAD, estimate};

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

/// The pieces of an answer that is not stored. Its usage is recorded when it
/// ends or is dropped; dropping it stops the model.
pub struct CompletionStream {
    stream: ProviderStream,
    bill: Bill,
    passages: Vec<Citation>,
}

impl CompletionStream {
    /// The model that answers, as `CONNECTION/MODEL`.
    pub fn model(&self) -> &str {
        &self.bill.model
    }

    /// The passages that the model was shown; `[n]` in its answer is number n.
    pub fn passages(&self) -> &[Citation] {
        &self.passages
    }

    /// What was used so far: final once the stream has ended.
    pub fn usage(&self) -> TokenUsage {
        self.bill.usage()
    }
}

impl Stream for CompletionStream {
    type Item = Result<ProviderEvent>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = this.stream.as_mut().poll_next(context);
        if let Poll::Ready(piece) = &next {
            this.bill.note(piece.as_ref());
        }
        next
    }
}

impl std::fmt::Debug for CompletionStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompletionStream").field("model", &self.bill.model).finish_non_exhaustive()
    }
}

/// Counts what a call uses and records it when dropped, however it ended.
struct Bill {
    engine: Engine,
    scope: Scope,
    model: String,
    prices: Option<Prices>,
    prompt_tokens: u64,
    answer_tokens: u64,
    said: Option<TokenUsage>,
    outcome: UsageOutcome,
}

impl Bill {
    fn note(&mut self, piece: Option<&Result<ProviderEvent>>) {
        match piece {
            Some(Ok(ProviderEvent::Text(text) | ProviderEvent::Reasoning(text))) => {
                self.answer_tokens += u64::from(estimate(text));
            }
            Some(Ok(ProviderEvent::ToolCall(call))) => {
                self.answer_tokens += u64::from(estimate(&call.arguments_json()));
            }
            Some(Ok(ProviderEvent::Usage(usage))) => self.said = Some(*usage),
            Some(Ok(ProviderEvent::Finish(_))) => self.outcome = UsageOutcome::Completed,
            Some(Err(_)) => self.outcome = UsageOutcome::Failed,
            None if self.outcome == UsageOutcome::Cancelled => {
                self.outcome = UsageOutcome::Interrupted;
            }
            _ => {}
        }
    }

    fn usage(&self) -> TokenUsage {
        let mut usage = self.said.unwrap_or(TokenUsage {
            input_tokens: self.prompt_tokens,
            output_tokens: self.answer_tokens,
            estimated: true,
            ..TokenUsage::default()
        });
        usage.cost = usage.cost.or_else(|| self.prices.map(|prices| prices.cost(&usage)));
        usage
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        let inner = &self.engine.inner;
        inner.meter.record(
            self.scope,
            UsageRecord {
                id: inner.sources.id(),
                run_id: None,
                conversation_id: None,
                model: std::mem::take(&mut self.model),
                outcome: self.outcome,
                usage: self.usage(),
                created_at: inner.sources.now(),
            },
        );
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
            self.show_passages(scope, collections, &mut request).await?;
        }
        let passages = request.passages.clone();
        let mut bill = self.bill(scope, target.label(), target.prices());
        bill.prompt_tokens = prompt_estimate(&request);
        request.model.clone_from(&target.model_id);
        match provider.chat(&endpoint, &request).await {
            Ok(stream) => Ok(CompletionStream { stream, bill, passages }),
            Err(error) => {
                bill.outcome = UsageOutcome::Failed;
                Err(target.explain(error))
            }
        }
    }

    /// Vectors for `texts` by an embedding model, in their order.
    ///
    /// # Errors
    /// `NotFound` if there is no such model; `Unsupported` if its provider makes
    /// no vectors; what the server says.
    pub async fn embed(
        &self,
        scope: &Scope,
        model: Option<&str>,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<(String, Embeddings)> {
        self.accepting()?;
        let target = self.resolve_model(scope, model).await?;
        let endpoint = self.endpoint(scope, &target.connection)?;
        let provider = &self.inner.providers.get(&endpoint.provider)?.provider;
        let mut bill = self.bill(scope, target.label(), target.prices());
        bill.prompt_tokens = texts.iter().map(|text| u64::from(estimate(text))).sum();
        let outcome = provider.embed(&endpoint, &target.model_id, texts, dimensions).await;
        match &outcome {
            Ok(embeddings) => {
                bill.outcome = UsageOutcome::Completed;
                bill.said = (embeddings.usage.input_tokens > 0).then_some(embeddings.usage);
            }
            Err(_) => bill.outcome = UsageOutcome::Failed,
        }
        let embeddings = outcome.map_err(|error| target.explain(error))?;
        Ok((target.label(), embeddings))
    }

    /// A bill that counts as cancelled until something else is noted.
    fn bill(&self, scope: &Scope, model: String, prices: Option<Prices>) -> Bill {
        Bill {
            engine: self.clone(),
            scope: *scope,
            model,
            prices,
            prompt_tokens: 0,
            answer_tokens: 0,
            said: None,
            outcome: UsageOutcome::Cancelled,
        }
    }
}

fn prompt_estimate(request: &ChatRequest) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.content);
    let text = parts.map(|part| if let Part::Text { text } = part { u64::from(estimate(text)) } else { 0 });
    text.sum::<u64>() + request.messages.len() as u64 * u64::from(MESSAGE_OVERHEAD)
}
