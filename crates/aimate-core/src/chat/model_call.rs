//! One call of a model.

use std::sync::Arc;
use std::time::Duration;

use aimate_text::tokens::Tokenizer;
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout_at;

use super::Truncation;
use super::answer_limits::too_slow;
use super::context::{self, PromptBudget};
use super::event::ChatEvent;
use super::prompt_tools::{calls_of_text, told_in_prompt};
use crate::caught::{Panicked, caught};
use crate::error::{Error, ErrorKind, Result};
use crate::message::Part;
use crate::provider::{ChatProvider, ChatRequest, Endpoint, ProviderStream};
use crate::warning::WarningCode;

/// Adds to a server's refusal what the engine knows of its models.
pub(crate) type ExplainRefusal = Box<dyn Fn(Error) -> Error + Send + Sync>;

/// Holds a run's answers to the budgets that count it, one after the other.
#[async_trait]
pub(crate) trait Meter: Send + Sync {
    /// The answer until a budget is used up.
    fn hold(&self, stream: ProviderStream) -> ProviderStream;
    /// Sets something aside for one more answer, to a prompt of so many tokens; whether there
    /// is enough.
    async fn set_aside(&self, prompt_tokens: u64) -> Result<bool>;
}

/// What a model is asked, and how it is reached.
pub(crate) struct ModelCall {
    pub(crate) provider: Arc<dyn ChatProvider>,
    pub(crate) endpoint: Endpoint,
    pub(crate) request: ChatRequest,
    pub(crate) explain: ExplainRefusal,
    pub(crate) meter: Option<Arc<dyn Meter>>,
    pub(crate) tokenizer: Tokenizer,
    /// Tokens of the prompt as aiMate counts them.
    pub(crate) prompt_tokens: u64,
    /// Whether the model sees pictures, as far as is known.
    pub(crate) sees_pictures: bool,
    /// Messages at the end of the prompt that are of the answer itself.
    pub(crate) own_messages: usize,
    /// Whether the oldest turns may be left out.
    pub(crate) truncation: Truncation,
}

impl ModelCall {
    /// Asks the model, and once more without the oldest turns if the server says
    /// that the prompt does not fit: it knows its window better than any list.
    /// Returns the answer and how many messages were left out.
    ///
    /// # Errors
    /// What the server says; see [`ChatProvider::chat`]. `Timeout` if it has not
    /// begun to answer in the time of an answer.
    pub(crate) async fn send(&mut self) -> Result<(ProviderStream, usize)> {
        let (stream, left_out) = self.ask_twice().await?;
        let stream = match &self.meter {
            Some(meter) => meter.hold(stream),
            None => stream,
        };
        Ok((stream, left_out))
    }

    /// Puts what the answer is so far, with what tools returned, at the end of the prompt.
    pub(crate) fn go_on(&mut self, answer: &[Part]) {
        let messages = &mut self.request.messages;
        messages.truncate(messages.len().saturating_sub(self.own_messages));
        let before = messages.len();
        messages.extend(context::steps_of(answer, self.sees_pictures));
        self.own_messages = self.request.messages.len() - before;
    }

    async fn ask_twice(&mut self) -> Result<(ProviderStream, usize)> {
        let error = match self.begin().await {
            Ok(stream) => return Ok((stream, 0)),
            Err(error) => error,
        };
        if error.kind() == ErrorKind::ContextOverflow && self.truncation == Truncation::Auto {
            let tokens = self.fitting_tokens(&error);
            let messages = &self.request.messages;
            if let Some((messages, left_out)) = context::without_oldest(messages, self.tokenizer, tokens) {
                tracing::info!(connection = %self.endpoint.name, left_out, "a prompt did not fit; sent again without its oldest messages");
                self.request.messages = messages;
                // The first refusal says more than one of the shortened prompt.
                return match self.begin().await {
                    Ok(stream) => Ok((stream, left_out)),
                    Err(_) => Err((self.explain)(error)),
                };
            }
        }
        Err((self.explain)(error))
    }

    /// Asks the model and waits for the first event of the answer: some servers
    /// refuse a prompt there.
    async fn begin(&self) -> Result<ProviderStream> {
        let mut stream = ask(self.provider.as_ref(), &self.endpoint, &self.request).await?;
        match stream.next().await {
            Some(Err(error)) if error.kind() == ErrorKind::ContextOverflow => Err(error),
            first => Ok(stream::iter(first).chain(stream).boxed()),
        }
    }

    /// Tokens, as aiMate counts them, that a prompt may have after this refusal: by
    /// the server's own numbers with a tenth to spare and place for the answer, else
    /// half of what it was.
    fn fitting_tokens(&self, error: &Error) -> u64 {
        let Some(overflow) = error.overflow() else { return self.prompt_tokens / 2 };
        let budget = PromptBudget::new(overflow.window, self.request.sampling.max_tokens).prompt();
        let ours = match overflow.prompt {
            Some(prompt) => budget.saturating_mul(self.prompt_tokens) / u64::from(prompt.max(1)),
            None => budget,
        };
        (ours - ours / 10).min(self.prompt_tokens / 10 * 9)
    }
}

/// Asks a model; the answer keeps to the limits of the request.
///
/// # Errors
/// See [`ModelCall::send`].
pub(crate) async fn ask(
    provider: &dyn ChatProvider,
    endpoint: &Endpoint,
    request: &ChatRequest,
) -> Result<ProviderStream> {
    let limits = request.limits;
    let deadline = limits.deadline();
    let by_prompt = request.tools_by_prompt && !request.tools.is_empty();
    let told = by_prompt.then(|| told_in_prompt(request));
    let asked = caught(async { provider.chat(endpoint, told.as_ref().unwrap_or(request)).await });
    match timeout_at(deadline, asked).await {
        Ok(Ok(stream)) if by_prompt => Ok(limits.hold(calls_of_text(stream?, &request.tools), deadline)),
        Ok(Ok(stream)) => Ok(limits.hold(stream?, deadline)),
        Ok(Err(panic)) => Err(broken(endpoint, panic)),
        Err(_) => Err(too_slow(limits.time)),
    }
}

/// The error of a call in which a provider panicked.
pub(crate) fn broken(endpoint: &Endpoint, panic: Panicked) -> Error {
    Error::internal(format!("connection `{}`: its provider broke down: it panicked", endpoint.name))
        .with_source(panic)
}

/// How long a model or an embedder may take for the vectors of one call: one that hangs
/// must not keep all documents waiting.
pub(crate) const EMBED_PATIENCE: Duration = Duration::from_secs(600);

/// The error of one that took longer.
pub(crate) fn no_vectors(name: &str) -> Error {
    Error::timeout(format!("`{name}` made no vectors in {} s", EMBED_PATIENCE.as_secs()))
}

/// The warning of a prompt that was sent again without its oldest messages.
pub(crate) fn trimmed(left_out: usize) -> ChatEvent {
    ChatEvent::Warning {
        code: WarningCode::ContextTruncated,
        detail: format!(
            "The model's window is smaller than the prompt: the oldest {left_out} messages were left out. Set the \
             connection's `context_window` to what the model reads."
        ),
    }
}
