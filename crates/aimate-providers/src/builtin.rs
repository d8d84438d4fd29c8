//! No model server: aiMate itself says that none is connected, and how to
//! connect one.

use aimate_core::model::Capability;
use aimate_core::provider::{
    ChatProvider, ChatRequest, Embeddings, Endpoint, FinishReason, ListedModel, ProviderEvent, ProviderStream,
};
use aimate_core::usage::TokenUsage;
use aimate_core::{Error, Result};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};

/// What every question is answered with.
const ANSWER: &str = "\
No model is connected yet, so this answer comes from aiMate itself, without a model.

To connect one, do any of these:

- **Ollama** (free, on this machine): install it, run `ollama pull llama3.2`, and start aiMate again. \
It looks for Ollama at http://127.0.0.1:11434; set `OLLAMA_HOST` for another address.
- **Any OpenAI-compatible server** (LM Studio, vLLM, llama.cpp, OpenAI, …): set `OPENAI_BASE_URL` \
(it usually ends in `/v1`) and, if the server wants one, `OPENAI_API_KEY`.
- **OpenRouter**: set `OPENROUTER_API_KEY`.
- **While aiMate runs**: `POST /api/v1/connections` with \
`{\"name\": \"ollama\", \"provider\": \"ollama\", \"url\": \"http://127.0.0.1:11434\"}`; \
`provider` is `openai`, `ollama` or `openrouter`, and `api_key` holds the key.

Then ask again with one of the models that `GET /api/v1/models` lists.
";

/// Answers without a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builtin;

#[async_trait]
impl ChatProvider for Builtin {
    async fn chat(&self, _: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        let pieces: Vec<&str> =
            if request.stream { ANSWER.split_inclusive(' ').collect() } else { vec![ANSWER] };
        let texts = pieces.into_iter().map(|piece| ProviderEvent::Text(piece.to_owned()));
        let end = [ProviderEvent::Usage(TokenUsage::default()), ProviderEvent::Finish(FinishReason::Stop)];
        Ok(stream::iter(texts.chain(end).map(Ok).collect::<Vec<_>>()).boxed())
    }

    async fn models(&self, _: &Endpoint) -> Result<Vec<ListedModel>> {
        Ok(vec![ListedModel {
            id: "builtin".into(),
            name: "No model (aiMate itself)".into(),
            context_window: Some(8_192),
            capabilities: vec![Capability::Chat],
            prices: None,
        }])
    }

    async fn embed(&self, _: &Endpoint, _: &str, _: &[String], _: Option<u32>) -> Result<Embeddings> {
        Err(Error::unsupported(
            "`builtin` makes no embeddings; connect a model server that does, such as Ollama with `nomic-embed-text`",
        ))
    }
}
