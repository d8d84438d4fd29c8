//! Passages of the application's own: asked for within bounds, cleaned, and told
//! apart from what is not the user's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::KnowledgeSearch;
use crate::caught::caught;
use crate::error::Result;
use crate::knowledge::{Retriever, SourcePassage};
use crate::limit::without_nul;
use crate::message::Citation;
use crate::text::shorten;

/// Passages of one source that are looked at.
const MAX_LOOKED_AT: usize = 50;
/// Characters of a passage.
const MAX_TEXT: usize = 16_000;
/// Characters of the key of a source, or of an address.
const MAX_SOURCE: usize = 2_000;
/// Characters of a title.
const MAX_TITLE: usize = 500;
/// Characters of a failed retriever's sentence that are quoted.
const MAX_QUOTED: usize = 300;

/// Where the passages of a turn come from.
#[derive(Default)]
pub(crate) struct PassageSources {
    /// Collections, by id or name; all of the user's if the list is empty.
    pub(crate) collections: Option<Vec<String>>,
    /// Passages that came with the turn.
    pub(crate) given: Vec<SourcePassage>,
    /// Searches of the application's own.
    pub(crate) retrievers: Vec<NamedRetriever>,
    /// How long each of them may take.
    pub(crate) timeout: Duration,
}

/// A retriever and the name under which it is registered.
#[derive(Clone)]
pub(crate) struct NamedRetriever {
    pub(crate) name: String,
    pub(crate) retriever: Arc<dyn Retriever>,
}

impl PassageSources {
    pub(crate) fn is_empty(&self) -> bool {
        self.collections.is_none() && self.given.is_empty() && self.retrievers.is_empty()
    }
}

impl KnowledgeSearch<'_> {
    /// What each retriever finds, in their order; none of one that fails.
    pub(super) async fn retrieve_all(
        &self,
        sources: &PassageSources,
        question: &str,
        limit: u32,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Vec<SourcePassage>>> {
        let asked = sources.retrievers.iter().map(|NamedRetriever { name, retriever }| async move {
            let asked = caught(async { retriever.retrieve(self.scope, question, limit).await });
            let found = match tokio::time::timeout(sources.timeout, asked).await {
                Err(_) => Err(format!("it took longer than {} s", sources.timeout.as_secs_f64())),
                Ok(Err(panic)) => {
                    tracing::error!(retriever = name, %panic, "a retriever broke down");
                    Err("it panicked".to_owned())
                }
                Ok(Ok(Err(error))) => {
                    tracing::warn!(retriever = name, cause = ?error, "a retriever failed");
                    Err(shorten(error.message(), MAX_QUOTED))
                }
                Ok(Ok(Ok(found))) => Ok(found),
            };
            (name, found)
        });
        let mut all = Vec::new();
        for (name, found) in join_all(asked).await {
            match found {
                Ok(found) => {
                    all.push(self.cleaned(&format!("the retriever `{name}`"), found, warnings).await?);
                }
                Err(why) => warnings.push(format!("the retriever `{name}` gave no passages: {why}")),
            }
        }
        Ok(all)
    }

    /// The passages within the bounds, in their order, without those that are chunks
    /// of somebody else's documents.
    pub(super) async fn cleaned(
        &self,
        of: &str,
        mut passages: Vec<SourcePassage>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<SourcePassage>> {
        if passages.len() > MAX_LOOKED_AT {
            let count = passages.len();
            warnings.push(format!("{of} gave {count} passages; the first {MAX_LOOKED_AT} were looked at"));
            passages.truncate(MAX_LOOKED_AT);
        }
        let mut mended = Mended::default();
        let mut passages: Vec<_> =
            passages.into_iter().filter_map(|passage| clean(passage, &mut mended)).collect();
        let chunks: Vec<_> = passages.iter().filter_map(|one| Some(one.chunk?.chunk_id)).collect();
        if !chunks.is_empty() {
            let there = self.stores.index.passages(self.scope, &chunks).await?;
            let there: HashSet<_> =
                there.into_iter().map(|one| (one.chunk.id, one.chunk.document_id)).collect();
            let before = passages.len();
            passages.retain(|one| one.chunk.is_none_or(|of| there.contains(&(of.chunk_id, of.document_id))));
            mended.foreign = before - passages.len();
        }
        warnings.extend(mended.told(of));
        Ok(passages)
    }
}

/// What was wrong with passages, by how many.
#[derive(Default)]
struct Mended {
    blank: usize,
    cut: usize,
    scores: usize,
    addresses: usize,
    foreign: usize,
}

impl Mended {
    fn told(&self, of: &str) -> Vec<String> {
        let of_all = [
            (self.blank, "left out: they hold no text"),
            (
                self.cut,
                "cut: a passage has at most 16000 characters, a title 500, a source or an address 2000",
            ),
            (self.scores, "without a score: theirs was no finite number"),
            (self.addresses, "without an address: theirs is none that begins with `http:` or `https:`"),
            (self.foreign, "left out: they are of documents that are not there"),
        ];
        let wrong = of_all.into_iter().filter(|(count, _)| *count > 0);
        wrong.map(|(count, how)| format!("{of}: {count} of the passages are {how}")).collect()
    }
}

/// A passage within its bounds; `None` if it says nothing.
fn clean(mut passage: SourcePassage, mended: &mut Mended) -> Option<SourcePassage> {
    let mut is_cut = false;
    let mut within = |text: &str, max: usize| -> String {
        let text = without_nul(text);
        let end = text.char_indices().nth(max).map(|(at, _)| at);
        is_cut |= end.is_some();
        end.and_then(|end| text.get(..end)).unwrap_or(&text).to_owned()
    };
    passage.text = within(&passage.text, MAX_TEXT);
    if passage.text.trim().is_empty() {
        mended.blank += 1;
        return None;
    }
    passage.source = within(&passage.source, MAX_SOURCE);
    passage.title = passage.title.as_deref().map(|title| within(title, MAX_TITLE));
    passage.url = match passage.url.as_deref().map(|url| within(url, MAX_SOURCE)) {
        Some(url) if !is_address(&url) => {
            mended.addresses += 1;
            None
        }
        url => url,
    };
    mended.cut += usize::from(is_cut);
    if passage.score.is_some_and(|score| !score.is_finite()) {
        mended.scores += 1;
        passage.score = None;
    }
    Some(passage)
}

/// Whether people may be given this to click on.
fn is_address(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// A passage as the model is shown it.
pub(super) fn citation(passage: SourcePassage) -> Citation {
    let start = passage.chunk.map_or(0, |chunk| chunk.start);
    let title = passage.title.filter(|title| !title.trim().is_empty());
    Citation {
        n: 0,
        document_id: passage.chunk.map(|chunk| chunk.document_id),
        file_id: passage.chunk.and_then(|chunk| chunk.file_id),
        chunk_id: passage.chunk.map(|chunk| chunk.chunk_id),
        title: title.unwrap_or_else(|| one_line(&passage.source)),
        source: passage.chunk.is_none().then_some(passage.source),
        url: passage.url,
        page: passage.page,
        start,
        end: start + passage.text.chars().count() as u64,
        text: passage.text,
        score: passage.score.unwrap_or(0.0),
        quotes: Vec::new(),
        is_stale: false,
    }
}

fn one_line(source: &str) -> String {
    let line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    shorten(&line, MAX_TITLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_brought_within_their_bounds() {
        let mut mended = Mended::default();
        let long = SourcePassage::new("s".repeat(3_000), "é\0".repeat(20_000)).title("t".repeat(600));
        let cleaned = clean(long, &mut mended).unwrap();
        assert_eq!(cleaned.text, "é".repeat(MAX_TEXT));
        assert_eq!(cleaned.source.len(), MAX_SOURCE);
        assert_eq!(cleaned.title.unwrap().len(), MAX_TITLE);
        assert_eq!(mended.cut, 1);
        assert!(clean(SourcePassage::new("s", " \0\n"), &mut mended).is_none());
        assert_eq!(mended.blank, 1);
    }

    #[test]
    fn score_is_finite_and_an_address_can_be_opened() {
        let mut mended = Mended::default();
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(clean(SourcePassage::new("s", "t").score(score), &mut mended).unwrap().score, None);
        }
        for url in ["javascript:alert(1)", "data:text/html,x", "ticket 42", ""] {
            assert_eq!(clean(SourcePassage::new("s", "t").url(url), &mut mended).unwrap().url, None, "{url}");
        }
        let good = SourcePassage::new("s", "t").url("https://a.example/t/42").score(-3.5);
        assert_eq!(clean(good.clone(), &mut mended), Some(good));
        assert_eq!((mended.scores, mended.addresses, mended.cut), (3, 4, 0));
        assert_eq!(mended.told("it").len(), 2);
    }
}
