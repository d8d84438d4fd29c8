//! `/api/v1/knowledge/search`.

use aimate_core::knowledge::{Filter, SearchMode, SearchRequest, SearchResponse};
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

/// Finds the passages that answer a question best.
#[utoipa::path(post, path = "/api/v1/knowledge/search", tag = "knowledge", request_body = SearchBody,
    responses((status = 200, body = SearchResponse)))]
pub(crate) async fn search(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<SearchBody>,
) -> Result<Json<SearchResponse>> {
    Ok(Json(app.engine.knowledge(&scope).search(&body.into()).await?))
}
