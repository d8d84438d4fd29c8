//! Passages for a turn: what of the knowledge a model is shown.

use aimate_text::tokens::Tokenizer;
use serde_json::{Value, json};

use super::{KnowledgeSearch, PassageSources, citations, sources};
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

impl KnowledgeSearch<'_> {
    /// Finds passages for the last question among the new messages of a branch and adds
    /// them to it. Without `sources`, or where there is no question, there are none.
    pub(crate) async fn add_passages(
        &self,
        path: &[Message],
        new: &mut [Message],
        sources: PassageSources,
        tokenizer: Tokenizer,
        prompt_tokens: u64,
    ) -> Result<TurnPassages> {
        if sources.is_empty() {
            return Ok(TurnPassages::default());
        }
        // Calls and their outputs may follow it.
        let at = new.iter().rposition(|message| message.role == MessageRole::User).unwrap_or_default();
        let (before, rest) = new.split_at_mut(at);
        let Some((question, after)) = rest.split_first_mut() else { return Ok(TurnPassages::default()) };
        let Some(query) = query(path.iter().chain(&*before), question) else {
            let is_lost = !sources.given.is_empty();
            let lost =
                is_lost.then(|| "the turn's passages were left out: it ends with no question".to_owned());
            return Ok(TurnPassages { account: None, warnings: lost.into_iter().collect() });
        };
        let selection = self.select(sources, query, tokenizer, prompt_tokens).await?;
        let tokens = citations::passage_tokens(tokenizer, &selection.citations);
        let account = json!({
            "query": selection.query, "passages": selection.citations.len(), "tokens": tokens,
            "left_out": selection.left_out, "warnings": selection.warnings,
        });
        question.content.extend(selection.citations.into_iter().map(Part::Citation));
        let own = question.path_stats.tokens.saturating_add(tokens);
        question.path_stats = question.path_stats.with_tokens(own);
        for message in after {
            let before = message.path_stats.path_tokens;
            message.path_stats.path_tokens = before.saturating_add(u64::from(tokens));
        }
        Ok(TurnPassages { account: Some(account), warnings: selection.warnings })
    }

    /// Puts passages for the last user message of a prompt in front of it; returns
    /// what could not be done.
    pub(crate) async fn show_passages(
        &self,
        sources: PassageSources,
        request: &mut ChatRequest,
        prompt_tokens: u64,
    ) -> Result<Vec<String>> {
        let mut messages = request.messages.iter_mut().rev();
        let Some(last) = messages.find(|message| message.role == MessageRole::User) else {
            return Ok(Vec::new());
        };
        let query = text_of(&last.content);
        if query.trim().is_empty() {
            return Ok(Vec::new());
        }
        let selection = self.select(sources, query, Tokenizer::Estimate, prompt_tokens).await?;
        request.passages.clone_from(&selection.citations);
        let parts = last.content.drain(..).chain(selection.citations.into_iter().map(Part::Citation));
        last.content = citations::with_passages(&parts.collect::<Vec<_>>());
        // It no longer says what the caller wrote.
        last.verbatim = None;
        Ok(selection.warnings)
    }

    /// The passages for a question that fit a third of `prompt_tokens`: first those
    /// that came with it, then the best ones that are found, each source's in turn.
    async fn select(
        &self,
        mut sources: PassageSources,
        query: String,
        tokenizer: Tokenizer,
        prompt_tokens: u64,
    ) -> Result<Selection> {
        let query: String = query.chars().take(MAX_QUERY).collect();
        let mut warnings = Vec::new();
        let given = std::mem::take(&mut sources.given);
        let given = self.cleaned("the turn", given, &mut warnings).await?;
        let (known, retrieved) = tokio::try_join!(
            self.find(sources.collections.as_deref(), &query),
            self.retrieve_all(&sources, &query, MAX_PASSAGES, &mut warnings),
        )?;
        let mut found = vec![known.0];
        found.extend(
            retrieved.into_iter().map(|passages| passages.into_iter().map(sources::citation).collect()),
        );
        warnings.extend(known.1);
        let mut room = Room::new(tokenizer, prompt_tokens / 3);
        let instruction = room.taken;
        let mut citations = Vec::new();
        let mut left_out = 0;
        for passage in given.into_iter().map(sources::citation) {
            match room.take(passage, citations.len()) {
                Some(passage) => citations.push(passage),
                None => left_out += 1,
            }
        }
        if left_out > 0 {
            warnings.push(format!(
                "the turn: {left_out} of the passages are left out: they are more than a third of the prompt"
            ));
        }
        room.max = room.max.min(room.taken - instruction + MAX_TOKENS);
        let found = in_turn(found);
        let (count, before) = (found.len(), citations.len());
        for passage in found.into_iter().take(MAX_PASSAGES as usize) {
            let Some(passage) = room.take(passage, citations.len()) else { break };
            citations.push(passage);
        }
        left_out += count - (citations.len() - before);
        Ok(Selection { citations, query, left_out, warnings })
    }

    /// What is found in collections, and what could not be done.
    async fn find(
        &self,
        collections: Option<&[String]>,
        query: &str,
    ) -> Result<(Vec<Citation>, Vec<String>)> {
        let Some(collections) = collections else { return Ok((Vec::new(), Vec::new())) };
        let request = SearchRequest {
            collections: collections.to_vec(),
            limit: Some(MAX_PASSAGES),
            ..SearchRequest::new(query)
        };
        let found = self.search(&request).await?;
        Ok((found.hits.into_iter().map(citation).collect(), found.warnings))
    }
}

/// The tokens that passages may take.
struct Room {
    tokenizer: Tokenizer,
    taken: u64,
    max: u64,
}

impl Room {
    fn new(tokenizer: Tokenizer, max: u64) -> Self {
        Self { tokenizer, taken: u64::from(tokenizer.count(citations::INSTRUCTION)), max }
    }

    /// The passage under the number after `before`, if there is room for it.
    fn take(&mut self, passage: Citation, before: usize) -> Option<Citation> {
        let n = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        let passage = Citation { n, ..passage };
        let tokens = u64::from(self.tokenizer.count(&citations::render(&passage)));
        if self.taken + tokens > self.max {
            return None;
        }
        self.taken += tokens;
        Some(passage)
    }
}

/// The first of each list, then the second of each, and so on: scores of several
/// searches do not compare.
fn in_turn(lists: Vec<Vec<Citation>>) -> Vec<Citation> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

fn citation(hit: SearchHit) -> Citation {
    Citation {
        n: 0,
        document_id: Some(hit.document_id),
        file_id: hit.file_id,
        chunk_id: Some(hit.chunk_id),
        title: hit.title,
        source: None,
        url: None,
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
