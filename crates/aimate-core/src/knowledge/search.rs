//! What a search takes and what it returns.

use serde::{Deserialize, Serialize};

use super::Filter;
use crate::error::{Error, Result};
use crate::id::{ChunkId, CollectionId, DocumentId, FileId};
use crate::text::names;

/// Hits of a search at most.
const MAX_HITS: u32 = 200;
/// Characters of a question at most.
const MAX_QUERY: usize = 20_000;
/// Collections of one search at most.
const MAX_COLLECTIONS: usize = 100;

/// How passages are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SearchMode {
    /// By words and by meaning.
    #[default]
    Hybrid,
    /// By meaning alone.
    Vector,
    /// By words alone.
    Text,
}

names! { SearchMode { Hybrid = "hybrid", Vector = "vector", Text = "text" } }

/// A question to the knowledge, and how it is searched for.
///
/// ```
/// use aimate_core::knowledge::{SearchMode, SearchRequest};
/// let request = SearchRequest::new("When is the boiler serviced?")
///     .collections(["manuals"])
///     .mode(SearchMode::Text)
///     .limit(5);
/// # let _ = request;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SearchRequest {
    /// The question, 1 to 20,000 characters, in plain words: no character in it
    /// is an operator.
    pub query: String,
    /// Where to look, by id or name; empty: in all of the user's collections.
    pub collections: Vec<String>,
    /// Hits at most, 1 to 200; default 10.
    pub limit: Option<u32>,
    /// How passages are found.
    pub mode: SearchMode,
    /// Conditions on the documents.
    pub filter: Option<Filter>,
    /// Leave out hits below this [score](SearchHit::score), 0 to 1.
    pub min_score: Option<f32>,
    /// How much hits should differ from each other, 0 (not at all, the default)
    /// to 1: maximal marginal relevance with λ = 1 − `diversity` (Carbonell and
    /// Goldstein, 1998).
    pub diversity: f32,
    /// Whether the engine's reranker orders the best hits; default: if there is
    /// one.
    pub rerank: Option<bool>,
    /// Whether to explain each hit and the search.
    pub explain: bool,
}

impl SearchRequest {
    /// A request with this question and defaults.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), ..Self::default() }
    }

    /// Looks in these collections alone, by id or name.
    #[must_use]
    pub fn collections<T: Into<String>>(mut self, collections: impl IntoIterator<Item = T>) -> Self {
        self.collections = collections.into_iter().map(Into::into).collect();
        self
    }

    /// Returns so many hits at most.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Finds passages in this way.
    #[must_use]
    pub fn mode(mut self, mode: SearchMode) -> Self {
        self.mode = mode;
        self
    }

    /// Looks in documents alone that pass this filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Explains each hit and the search.
    #[must_use]
    pub fn explain(mut self, explain: bool) -> Self {
        self.explain = explain;
        self
    }

    /// Hits at most, within the limits.
    pub(crate) fn max_hits(&self) -> usize {
        self.limit.unwrap_or(10).clamp(1, MAX_HITS) as usize
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        if self.query.trim().is_empty() {
            return Err(Error::field("query", "is empty; it needs 1 to 20000 characters"));
        }
        let count = self.query.chars().count();
        if count > MAX_QUERY {
            return Err(Error::field("query", format!("has {count} characters; the most is {MAX_QUERY}")));
        }
        if let Some(limit) = self.limit
            && !(1..=MAX_HITS).contains(&limit)
        {
            return Err(Error::field("limit", format!("is {limit}; it must be 1 to {MAX_HITS}")));
        }
        if self.collections.len() > MAX_COLLECTIONS {
            return Err(Error::field("collections", format!("names more than {MAX_COLLECTIONS}")));
        }
        if !(0.0..=1.0).contains(&self.diversity) {
            return Err(Error::field("diversity", "must be 0 to 1"));
        }
        if self.min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(Error::field("min_score", "must be 0 to 1"));
        }
        self.filter.as_ref().map_or(Ok(()), Filter::check)
    }
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SearchHit {
    /// The document.
    pub document_id: DocumentId,
    /// The file that the document was attached from; absent for one that was added by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<FileId>,
    /// The chunk.
    pub chunk_id: ChunkId,
    /// The collection.
    pub collection_id: CollectionId,
    /// The document's title.
    pub title: String,
    /// The headings the passage stands under, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// The passage.
    pub text: String,
    /// The page, slide or sheet, from 1, where the format has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// First character of the passage in the document's text, in Unicode code
    /// points.
    pub start: u64,
    /// The character after its last.
    pub end: u64,
    /// How well it fits, from 0 to 1. By meaning: the cosine. By words: BM25 ÷ what
    /// no passage can reach for the question, so the part of the question, by the
    /// rarity of its words, that the passage says. Hybrid: the mean of both, with the
    /// weight that [`SearchExplanation::cosine_weight`] tells. Reranked: the
    /// reranker's score; one that gives others than 0 to 1 is taken to give
    /// logarithms of odds.
    pub score: f32,
    /// How the score came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<HitExplanation>,
}

/// How a hit's score came about. A rank counts from 1; `None` means that the
/// retriever did not find the passage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct HitExplanation {
    /// The rank by words.
    pub text_rank: Option<u32>,
    /// The BM25 score.
    pub bm25: Option<f32>,
    /// The rank by meaning.
    pub vector_rank: Option<u32>,
    /// The cosine between question and passage.
    pub cosine: Option<f32>,
    /// The fused score, before a reranker or the diversity changed the order.
    pub fused: f32,
    /// The reranker's score.
    pub rerank: Option<f32>,
}

/// What a search found: in JSON `data` (the hits), `warnings`, and `explain`
/// where it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SearchResponse {
    /// The hits, best first.
    #[serde(rename = "data")]
    pub hits: Vec<SearchHit>,
    /// What the search could not do, such as a retriever that was left out; a
    /// sentence each.
    pub warnings: Vec<String>,
    /// How the hits came about, where [`SearchRequest::explain`] asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<SearchExplanation>,
}

/// How a search came to its hits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SearchExplanation {
    /// The terms looked for.
    pub terms: Vec<String>,
    /// The models whose vectors were compared; empty if none were.
    pub models: Vec<String>,
    /// What no BM25 score reaches for the question; 0 if nothing was looked for by
    /// words.
    pub max_bm25: f32,
    /// The weight of the cosine in a fused score, from 0 to 1: the more, the less
    /// the cosines of the best hundred candidates of each retriever differ and the
    /// further the best one stands out, compared with their BM25.
    pub cosine_weight: f32,
    /// Chunks of the collections.
    pub chunks: u64,
    /// Chunks that the filter left out.
    pub filtered: u64,
    /// Candidates by words.
    pub text_candidates: u32,
    /// Candidates by meaning.
    pub vector_candidates: u32,
    /// Candidates that `min_score` left out.
    pub below_min_score: u32,
    /// How long the steps took.
    pub timings: Timings,
}

/// How long the steps of a search took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Timings {
    /// Embedding the question.
    pub embed_ms: f32,
    /// Finding by words.
    pub text_ms: f32,
    /// Finding by meaning.
    pub vector_ms: f32,
    /// Reranking.
    pub rerank_ms: f32,
    /// All together.
    pub total_ms: f32,
}
