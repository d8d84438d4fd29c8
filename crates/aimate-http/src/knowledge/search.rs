//! `/api/v1/knowledge/search`.

use aimate_core::knowledge::{Filter, SearchMode, SearchRequest, SearchResponse};
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::scope::Caller;

/// A search.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SearchBody {
    /// The query, 1 to 20,000 characters of plain words: there are no operators.
    #[schema(required = true)]
    query: String,
    /// The collections to search, by id or name, at most 100; default: all of the
    /// caller's.
    collections: Vec<String>,
    /// Maximum hits, 1 to 200; default 10.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The retrieval mode; default `hybrid`.
    mode: Option<SearchMode>,
    /// Conditions on the documents.
    filter: Option<Filter>,
    /// The minimum score of a hit.
    min_score: Option<f32>,
    /// How much hits should differ from each other, 0 (the default) to 1.
    diversity: Option<f32>,
    /// Whether to rerank the best hits; default: if the server has a reranker.
    rerank: Option<bool>,
    /// Whether to explain each hit and the search; default false.
    explain: Option<bool>,
}

impl From<SearchBody> for SearchRequest {
    fn from(body: SearchBody) -> Self {
        let mut request = Self::new(body.query).collections(body.collections);
        request.limit = body.limit;
        request.mode = body.mode.unwrap_or_default();
        request.filter = body.filter;
        request.min_score = body.min_score;
        request.diversity = body.diversity.unwrap_or_default();
        request.rerank = body.rerank;
        request.explain = body.explain.unwrap_or_default();
        request
    }
}

/// Finds the passages that match a query best.
#[utoipa::path(post, path = "/api/v1/knowledge/search", tag = "knowledge", request_body = SearchBody,
    responses((status = 200, body = SearchResponse)))]
pub(crate) async fn search(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<SearchBody>,
) -> Result<Json<SearchResponse>> {
    Ok(Json(app.engine.knowledge(&scope).search(&body.into()).await?))
}
