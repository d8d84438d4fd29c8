//! `/api/v1/knowledge/search`.

use aimate_core::knowledge::{Filter, Found, Search, SearchHit, SearchMode, Timings};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::scope::Caller;

/// A question to the knowledge.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SearchBody {
    /// The question, 1 to 20,000 characters, in plain words: no character in it
    /// is an operator.
    #[schema(required = true)]
    query: String,
    /// Where to look, by id or name, at most 100; default: in all of the
    /// caller's collections.
    collections: Vec<String>,
    /// Hits at most, 1 to 200; default 10.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// How passages are found; default `hybrid`.
    mode: Option<SearchMode>,
    /// Conditions on the documents.
    filter: Option<Filter>,
    /// Leave out hits below this score.
    min_score: Option<f32>,
    /// How much hits should differ from each other, 0 (the default) to 1.
    diversity: Option<f32>,
    /// Whether the server's reranker orders the best hits; default: if it has
    /// one.
    rerank: Option<bool>,
    /// Whether to explain each hit and the search; default false.
    explain: Option<bool>,
}

impl From<SearchBody> for Search {
    fn from(body: SearchBody) -> Self {
        Self {
            query: body.query,
            collections: body.collections,
            limit: body.limit,
            mode: body.mode.unwrap_or_default(),
            filter: body.filter,
            min_score: body.min_score,
            diversity: body.diversity.unwrap_or_default(),
            rerank: body.rerank,
            explain: body.explain.unwrap_or_default(),
        }
    }
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchResult {
    /// The hits, best first.
    data: Vec<SearchHit>,
    /// What the search could not do, a sentence each.
    warnings: Vec<String>,
    /// How the hits came about, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<SearchExplanation>,
}

/// How a search came to its hits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchExplanation {
    /// The terms looked for.
    terms: Vec<String>,
    /// The models whose vectors were compared; empty if none were.
    models: Vec<String>,
    /// Chunks of the collections.
    chunks: u64,
    /// Chunks that the filter left out.
    filtered: u64,
    /// Candidates by words.
    text_candidates: u32,
    /// Candidates by meaning.
    vector_candidates: u32,
    /// Candidates that `min_score` left out.
    below_min_score: u32,
    /// How long the steps took.
    timings: Timings,
}

impl SearchResult {
    fn new(found: Found, explain: bool) -> Self {
        let explain = explain.then_some(SearchExplanation {
            terms: found.terms,
            models: found.models,
            chunks: found.chunks,
            filtered: found.filtered,
            text_candidates: found.text_candidates,
            vector_candidates: found.vector_candidates,
            below_min_score: found.below_min_score,
            timings: found.timings,
        });
        Self { data: found.hits, warnings: found.warnings, explain }
    }
}

/// Finds the passages that answer a question best.
#[utoipa::path(post, path = "/api/v1/knowledge/search", tag = "knowledge", request_body = SearchBody,
    responses((status = 200, body = SearchResult)))]
pub(crate) async fn search(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<SearchBody>,
) -> Result<Json<SearchResult>> {
    let search = Search::from(body);
    let found = app.engine.knowledge(&scope).search(&search).await?;
    Ok(Json(SearchResult::new(found, search.explain)))
}
