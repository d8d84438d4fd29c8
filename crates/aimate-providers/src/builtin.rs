//! The provider without a model: it quotes the user's documents, or explains how to
//! connect a model.

use aimate_core::message::{Citation, MessageRole, text_of};
use aimate_core::model::Capability;
use aimate_core::provider::{
    AddressRule, ChatProvider, ChatRequest, Embeddings, Endpoint, FinishReason, ListedModel, ProviderEvent,
    ProviderProfile, ProviderStream,
};
use aimate_core::usage::TokenUsage;
use aimate_core::{Error, Result};
use aimate_index::analysis::{analyze, analyze_query};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};

/// The answer to every question without passages.
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

/// Maximum quotations of an answer.
const MAX_QUOTES: usize = 3;
/// Maximum characters of a quotation.
const MAX_QUOTE: usize = 400;

/// A sentence of a passage.
struct Sentence<'a> {
    /// The passage's number.
    n: u32,
    text: &'a str,
    terms: Vec<String>,
}

/// Quotes the sentences that share most with the question, weighted by the rarity
/// of words; `None` without passages.
fn quote(request: &ChatRequest) -> Option<String> {
    let last = request.passages.last()?;
    let asked = request.messages.iter().rev().find(|message| message.role == MessageRole::User)?;
    let text = text_of(&asked.content);
    let question = text.rsplit_once(last.text.as_str()).map_or(text.as_str(), |(_, question)| question);
    let asked: Vec<String> = analyze_query(question).counts.into_iter().map(|(term, _)| term).collect();
    let sentences: Vec<_> = request.passages.iter().flat_map(sentences_of).collect();
    #[allow(clippy::cast_precision_loss, reason = "a few hundred sentences")]
    let weight = |term: &String| {
        let with = sentences.iter().filter(|sentence| sentence.terms.contains(term)).count();
        (1.0 + sentences.len() as f64 / (1.0 + with as f64)).ln()
    };
    let weights: Vec<(&String, f64)> = asked.iter().map(|term| (term, weight(term))).collect();
    let mut scored: Vec<_> = sentences
        .iter()
        .map(|sentence| {
            let shared = weights.iter().filter(|(term, _)| sentence.terms.contains(term));
            (shared.map(|(_, weight)| weight).sum::<f64>(), sentence)
        })
        .filter(|(score, _)| *score > 0.0)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.n.cmp(&b.1.n)));
    scored.dedup_by(|a, b| a.1.text == b.1.text);
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    scored.retain(|(score, _)| *score >= best / 2.0);
    if scored.is_empty() {
        return Some(format!(
            "Your documents hold nothing that answers this word for word. The closest passage is from “{}” [{}].",
            request.passages.first()?.title,
            request.passages.first()?.n
        ));
    }
    let quotes = scored.iter().take(MAX_QUOTES).map(|(_, Sentence { n, text, .. })| {
        let cut: String = text.chars().take(MAX_QUOTE).collect();
        format!("“{cut}” [{n}]")
    });
    Some(format!("Your documents say:\n\n{}", quotes.collect::<Vec<_>>().join("\n\n")))
}

fn sentences_of(passage: &Citation) -> impl Iterator<Item = Sentence<'_>> {
    let ends = |text: &str| text.ends_with(['.', '!', '?', '。', '！', '？']);
    let words = passage.text.split_inclusive(['\n', ' ', '。', '！', '？']);
    let mut bounds = vec![0];
    let mut at = 0;
    for word in words {
        at += word.len();
        if word.ends_with('\n') || ends(word.trim_end()) {
            bounds.push(at);
        }
    }
    bounds.push(passage.text.len());
    let spans: Vec<_> =
        bounds.windows(2).filter_map(|pair| passage.text.get(*pair.first()?..*pair.last()?)).collect();
    let n = passage.n;
    spans.into_iter().map(str::trim).filter(|text| text.chars().count() > 2).map(move |text| {
        let terms = analyze(text).counts.into_iter().map(|(term, _)| term).collect();
        Sentence { n, text, terms }
    })
}

/// Answers without a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builtin;

#[async_trait]
impl ChatProvider for Builtin {
    fn profile(&self) -> ProviderProfile {
        ProviderProfile::new().address(AddressRule::Unused).fallback()
    }

    async fn chat(&self, _: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        let answer = quote(request).unwrap_or_else(|| ANSWER.to_owned());
        let pieces: Vec<&str> =
            if request.stream { answer.split_inclusive(' ').collect() } else { vec![answer.as_str()] };
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
