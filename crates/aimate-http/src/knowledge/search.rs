//! `/api/v1/knowledge/search`.

use aimate_core::knowledge::{Filter, Search, SearchMode, SearchResult};
use axum::extract::State;
use serde::Deserialize;
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
