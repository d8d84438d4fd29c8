//! Passages for a turn: what of the knowledge a model is shown.

use aimate_text::tokens::Tokenizer;
use serde_json::{Value, json};

use super::{Retriever, citations};
use crate::error::Result;
use crate::knowledge::{SearchHit, SearchRequest};
use crate::message::{Citation, Message, MessageRole, Part, text_of};
use crate::provider::ChatRequest;

/// Passages of a turn at most.
const MAX_PASSAGES: u32 = 8;
/// Tokens of all passages at most; never more than a third of the prompt.
const MAX_TOKENS: u64 = 3_000;
/// Words below which a question is taken for a follow-up of the one before:
/// "and in winter?" says too little alone.
const SHORT_QUESTION: usize = 6;
/// Characters of a question that are searched for.
const MAX_QUERY: usize = 4_000;

/// How a turn's passages were found.
#[derive(Default)]
pub(crate) struct TurnPassages {
    /// For the run's manifest.
    account: Option<Value>,
    warnings: Vec<String>,
}

impl TurnPassages {
    /// Adds how the passages were found to a run's manifest; returns what the
    /// search could not do.
    pub(crate) fn describe(self, manifest: &mut Value) -> Vec<String> {
        if let (Some(account), Some(manifest)) = (self.account, manifest.as_object_mut()) {
            manifest.insert("knowledge".to_owned(), account);
        }
        self.warnings
    }
}

/// The passages for a question.
struct Selection {
    citations: Vec<Citation>,
    query: String,
    /// Passages that were found and did not fit.
    left_out: usize,
    warnings: Vec<String>,
}

impl Retriever<'_> {
    /// Finds passages for the last of the new messages of a branch and adds them
    /// to it. Without `collections`, or where that message is no question, there
    /// are none.
    pub(crate) async fn add_passages(
        &self,
        path: &[Message],
        new: &mut [Message],
        collections: Option<Vec<String>>,
        tokenizer: Tokenizer,
        prompt_tokens: u64,
    ) -> Result<TurnPassages> {
        let (Some(collections), Some((last, before))) = (collections, new.split_last_mut()) else {
            return Ok(TurnPassages::default());
        };
        let Some(query) = query(path.iter().chain(&*before), last) else {
            return Ok(TurnPassages::default());
        };
        let selection = self.select(&collections, query, tokenizer, prompt_tokens).await?;
        let tokens = citations::passage_tokens(tokenizer, &selection.citations);
        let account = json!({
            "query": selection.query, "passages": selection.citations.len(), "tokens": tokens,
            "left_out": selection.left_out, "warnings": selection.warnings,
        });
        last.content.extend(selection.citations.into_iter().map(Part::Citation));
        last.path_stats = last.path_stats.with_tokens(last.path_stats.tokens.saturating_add(tokens));
        Ok(TurnPassages { account: Some(account), warnings: selection.warnings })
    }

    /// Puts passages for the last user message of a prompt in front of it.
    pub(crate) async fn show_passages(
        &self,
        collections: &[String],
        request: &mut ChatRequest,
        prompt_tokens: u64,
    ) -> Result<()> {
        let mut messages = request.messages.iter_mut().rev();
        let Some(last) = messages.find(|message| message.role == MessageRole::User) else {
            return Ok(());
        };
        let query = text_of(&last.content);
        if query.trim().is_empty() {
            return Ok(());
        }
        let selection = self.select(collections, query, Tokenizer::Estimate, prompt_tokens).await?;
        request.passages.clone_from(&selection.citations);
        let parts = last.content.drain(..).chain(selection.citations.into_iter().map(Part::Citation));
        last.content = citations::with_passages(&parts.collect::<Vec<_>>());
        // It no longer says what the caller wrote.
        last.verbatim = None;
        Ok(())
    }

    /// The best passages for a question that fit a third of `prompt_tokens`.
    async fn select(
        &self,
        collections: &[String],
        query: String,
        tokenizer: Tokenizer,
        prompt_tokens: u64,
    ) -> Result<Selection> {
        let request = SearchRequest {
            collections: collections.to_vec(),
            limit: Some(MAX_PASSAGES),
            ..SearchRequest::new(query.chars().take(MAX_QUERY).collect::<String>())
        };
        let found = self.search(&request).await?;
        let max = MAX_TOKENS.min(prompt_tokens / 3);
        let count = found.hits.len();
        let mut passages: Vec<Citation> = Vec::with_capacity(count);
        let mut tokens = u64::from(tokenizer.count(citations::INSTRUCTION));
        for (n, hit) in (1..).zip(found.hits) {
            let next = citation(n, hit);
            tokens += u64::from(tokenizer.count(&citations::render(&next)));
            if tokens > max {
                break;
            }
            passages.push(next);
        }
        let left_out = count - passages.len();
        Ok(Selection { citations: passages, query: request.query, left_out, warnings: found.warnings })
    }
}

fn citation(n: u32, hit: SearchHit) -> Citation {
    Citation {
        n,
        document_id: hit.document_id,
        chunk_id: hit.chunk_id,
        title: hit.title,
        page: hit.page,
        start: hit.start,
        end: hit.end,
        text: hit.text,
        score: f64::from(hit.score),
        quotes: Vec::new(),
        is_stale: false,
    }
}

/// What to search for to answer `last`: its text, with the question before it
/// where it alone says too little. `None` if it is no question of the user.
fn query<'a>(before: impl DoubleEndedIterator<Item = &'a Message>, last: &Message) -> Option<String> {
    let text = text_of(&last.content);
    let text = text.trim();
    if last.role != MessageRole::User || text.is_empty() {
        return None;
    }
    if !is_follow_up(text) {
        return Some(text.to_owned());
    }
    let questions = before.rev().filter(|message| message.role == MessageRole::User);
    let previous = questions.map(|message| text_of(&message.content)).find(|text| !text.trim().is_empty());
    Some(previous.map_or_else(|| text.to_owned(), |previous| format!("{}\n{text}", previous.trim())))
}

/// Whether a question needs the one before it to be understood.
fn is_follow_up(question: &str) -> bool {
    const POINTERS: [&str; 22] = [
        "it", "its", "they", "them", "their", "this", "that", "these", "those", "he", "she", "him", "her",
        "there", "then", "same", "other", "one", "ones", "why", "and", "more",
    ];
    let words: Vec<String> = question
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.len() < SHORT_QUESTION
        || (words.len() < 2 * SHORT_QUESTION && words.iter().any(|word| POINTERS.contains(&word.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_that_says_little_is_a_follow_up() {
        assert!(is_follow_up("and in winter?"));
        assert!(is_follow_up("How often must it be done by the owner?"));
        assert!(!is_follow_up(
            "How often must the boiler in the cellar be serviced by its owner to keep the warranty?"
        ));
        assert!(!is_follow_up("Which valve regulates the pressure of the boiler?"));
    }
}
