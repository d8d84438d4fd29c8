//! A provider that plays scripts and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use crate::error::{Error, Result};
use crate::provider::{
    ChatProvider, ChatRequest, Embeddings, Endpoint, FinishReason, ListedModel, ProviderEvent, ProviderStream,
};
use crate::usage::TokenUsage;

/// One step of a script.
#[derive(Debug)]
pub enum Step {
    /// The model says this.
    Say(ProviderEvent),
    /// Nothing comes for this long.
    Wait(Duration),
    /// Nothing comes any more, but the connection stays open.
    Hang,
    /// The server fails: before anything was said as the call's error, later
    /// as the stream's.
    Fail(Error),
}

/// The script of a plain answer: each word a piece, then usage of 7 and 3
/// tokens and the end.
pub fn answer(text: &str) -> Vec<Step> {
    let mut steps: Vec<_> =
        text.split_inclusive(' ').map(|word| Step::Say(ProviderEvent::Text(word.to_owned()))).collect();
    steps.push(Step::Say(ProviderEvent::Finish(FinishReason::Stop)));
    steps.push(Step::Say(ProviderEvent::Usage(TokenUsage {
        input_tokens: 7,
        output_tokens: 3,
        ..TokenUsage::default()
    })));
    steps
}

/// Plays one script for each call, in order; `Hello there` when none is left.
#[derive(Debug, Default)]
pub struct ScriptedProvider {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    requests: Mutex<Vec<ChatRequest>>,
    models: Mutex<Option<Result<Vec<ListedModel>>>>,
    open: Arc<AtomicUsize>,
}

impl ScriptedProvider {
    /// A provider that will play these scripts.
    pub fn new(scripts: impl IntoIterator<Item = Vec<Step>>) -> Arc<Self> {
        let provider = Self::default();
        provider.scripts().extend(scripts);
        Arc::new(provider)
    }

    /// Adds a script.
    pub fn push(&self, script: Vec<Step>) {
        self.scripts().push_back(script);
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many answers are being played: 0 once every listener let go.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// What the next look at its models gives; after that, and without this, it
    /// lists `test` and `tiny`.
    pub fn list_once(&self, outcome: Result<Vec<ListedModel>>) {
        *self.models.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    fn scripts(&self) -> MutexGuard<'_, VecDeque<Vec<Step>>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts an answer as open until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ChatProvider for ScriptedProvider {
    async fn chat(&self, _endpoint: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let script = self.scripts().pop_front().unwrap_or_else(|| answer("Hello there"));
        self.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(self.open.clone());
        let mut steps = VecDeque::from(script);
        if matches!(steps.front(), Some(Step::Fail(_)))
            && let Some(Step::Fail(error)) = steps.pop_front()
        {
            return Err(error);
        }
        let play = stream::unfold((steps, open), |(mut steps, open)| async move {
            loop {
                match steps.pop_front()? {
                    Step::Say(event) => return Some((Ok(event), (steps, open))),
                    Step::Wait(time) => tokio::time::sleep(time).await,
                    Step::Hang => std::future::pending().await,
                    Step::Fail(error) => return Some((Err(error), (VecDeque::new(), open))),
                }
            }
        });
        Ok(play.boxed())
    }

    async fn models(&self, _endpoint: &Endpoint) -> Result<Vec<ListedModel>> {
        let model = |id: &str| ListedModel {
            id: id.to_owned(),
            name: id.to_owned(),
            context_window: Some(4_096),
            ..ListedModel::default()
        };
        let once = self.models.lock().unwrap_or_else(PoisonError::into_inner).take();
        once.unwrap_or_else(|| Ok(vec![model("test"), model("tiny")]))
    }

    async fn embed(
        &self,
        _endpoint: &Endpoint,
        _model: &str,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<Embeddings> {
        let length = dimensions.unwrap_or(8) as usize;
        let vector = |text: &String| {
            let sum =
                text.bytes().fold(1_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
            (0..length).map(|n| f32::from(u8::try_from((sum >> (n % 24)) & 0xff).unwrap_or(0))).collect()
        };
        Ok(Embeddings { vectors: texts.iter().map(vector).collect(), usage: TokenUsage::default() })
    }
}
