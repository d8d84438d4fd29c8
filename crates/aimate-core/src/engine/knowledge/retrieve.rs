//! Passages for a turn: what of the knowledge a model is shown.

use aimate_text::tokens::Tokenizer;

use super::super::Engine;
use crate::chat::citation;
use crate::error::Result;
use crate::knowledge::{Search, SearchHit};
use crate::message::{Citation, Message, MessageRole, text_of};
use crate::scope::Scope;

/// Passages of a turn at most.
const MAX_PASSAGES: u32 = 8;
/// Tokens of all passages at most; never more than a third of the prompt.
const MAX_TOKENS: u64 = 3_000;
/// Words below which a question is taken for one that goes on from the one
/// before: "and in winter?" says too little alone.
const SHORT: usize = 6;
/// Characters of a question that are looked for.
const MAX_QUERY: usize = 4_000;

/// Passages for a turn, and how they were found.
pub(in super::super) struct Retrieved {
    pub(in super::super) citations: Vec<Citation>,
    /// What was looked for.
    pub(in super::super) query: String,
    /// Passages that were found and did not fit.
    pub(in super::super) left_out: usize,
    pub(in super::super) warnings: Vec<String>,
}

impl Engine {
    /// The passages for a question, at most as many as fit a third of
    /// `prompt_tokens`.
    pub(in super::super) async fn retrieve(
        &self,
        scope: &Scope,
        collections: &[String],
        query: String,
        tokenizer: Tokenizer,
        prompt_tokens: u64,
    ) -> Result<Retrieved> {
        let search = Search {
            collections: collections.to_vec(),
            limit: Some(MAX_PASSAGES),
            ..Search::new(query.chars().take(MAX_QUERY).collect::<String>())
        };
        let found = self.knowledge(scope).search(&search).await?;
        let max = MAX_TOKENS.min(prompt_tokens / 3);
        let count = found.hits.len();
        let mut citations: Vec<Citation> = Vec::with_capacity(count);
        let mut tokens = u64::from(tokenizer.count(citation::INSTRUCTION));
        for (n, hit) in (1..).zip(found.hits) {
            let next = passage(n, hit);
            tokens += u64::from(tokenizer.count(&citation::show(&next)));
            if tokens > max {
                break;
            }
            citations.push(next);
        }
        let left_out = count - citations.len();
        Ok(Retrieved { citations, query: search.query, left_out, warnings: found.warnings })
    }
}

fn passage(n: u32, hit: SearchHit) -> Citation {
    Citation {
        n,
        document_id: hit.document_id.0,
        chunk_id: hit.chunk_id.0,
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

/// What to look for: the question, with the one before it if the question alone
/// says too little.
pub(in super::super) fn question(path: &[Message]) -> Option<String> {
    let mut questions = path.iter().rev().filter(|message| message.role == MessageRole::User);
    let last = text_of(&questions.next()?.content);
    let last = last.trim();
    if last.is_empty() {
        return None;
    }
    if !leans(last) {
        return Some(last.to_owned());
    }
    let before = questions.map(|message| text_of(&message.content)).find(|text| !text.trim().is_empty());
    Some(before.map_or_else(|| last.to_owned(), |before| format!("{}\n{last}", before.trim())))
}

/// Whether a question leans on what was said before it.
fn leans(question: &str) -> bool {
    const POINTERS: [&str; 22] = [
        "it", "its", "they", "them", "their", "this", "that", "these", "those", "he", "she", "him", "her",
        "there", "then", "same", "other", "one", "ones", "why", "and", "more",
    ];
    let words: Vec<String> = question
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.len() < SHORT
        || (words.len() < 2 * SHORT && words.iter().any(|word| POINTERS.contains(&word.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_that_says_little_leans() {
        assert!(leans("and in winter?"));
        assert!(leans("How often must it be done by the owner?"));
        assert!(!leans(
            "How often must the boiler in the cellar be serviced by its owner to keep the warranty?"
        ));
        assert!(!leans("Which valve regulates the pressure of the boiler?"));
    }
}
