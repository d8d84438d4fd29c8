//! Searching a vector store.

use aimate_core::Error;
use aimate_core::engine::{FileHit, FileSearch};
use aimate_core::rate_limit::{RateBucket, RequestClass};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::file::FILE;
use super::super::wire_id::{self, about};
use super::super::{attribute, attribute_filter};
use super::file::ContentText;
use super::usable;
use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::path::Path;
use crate::scope::Caller;

/// Questions that are counted at most; more are refused.
const MAX_QUERIES: usize = 10;

/// A search in a vector store.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct StoreSearchBody {
    /// The question, or up to 10 of them.
    query: Queries,
    /// Results at most, 1 to 50; default 10.
    #[serde(default)]
    max_num_results: Option<u32>,
    /// Conditions on the attributes of files: `{type, key, value}` with `eq`, `ne`, `gt`,
    /// `gte`, `lt`, `lte`, `in` or `nin`, and `{type, filters}` with `and` or `or`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filters: Option<Value>,
    /// How results are ranked.
    #[serde(default)]
    ranking_options: Option<RankingOptions>,
    /// Taken, and passed over: questions are searched for as they are.
    #[serde(default)]
    #[allow(dead_code, reason = "it changes nothing")]
    rewrite_query: Option<bool>,
}

/// One question or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "must be a string or a list of strings")]
enum Queries {
    /// One.
    One(String),
    /// Several: a result counts as well as it fits the one that it fits best.
    Several(Vec<String>),
}

/// How results are ranked.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RankingOptions {
    /// `auto`, `default-2024-11-15`, or `none`: without the server's reranker, if it has one.
    #[serde(default)]
    ranker: Option<String>,
    /// Leave out results below this score, 0 to 1.
    #[serde(default)]
    score_threshold: Option<f32>,
}

/// The results of a search.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreSearchResults {
    /// `vector_store.search_results.page`.
    object: &'static str,
    /// The questions.
    search_query: Vec<String>,
    /// The results, best first.
    data: Vec<StoreSearchResult>,
    /// `false`.
    has_more: bool,
    /// `null`.
    next_page: Option<String>,
}

/// A passage that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreSearchResult {
    /// The file.
    file_id: String,
    /// Its name.
    filename: String,
    /// How well it fits, from 0 to 1.
    score: f32,
    /// The attributes of the file.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// The passage.
    content: Vec<ContentText>,
}

impl From<FileHit> for StoreSearchResult {
    fn from(found: FileHit) -> Self {
        Self {
            file_id: wire_id::write(FILE, found.document.key().0),
            filename: found.document.name,
            score: found.hit.score,
            attributes: attribute::of_document(&found.document.metadata),
            content: vec![ContentText::new(found.hit.text)],
        }
    }
}

impl StoreSearchBody {
    fn search(self) -> aimate_core::Result<FileSearch> {
        let options = self.ranking_options;
        let threshold = options.as_ref().and_then(|options| options.score_threshold);
        if threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
            return Err(Error::field("ranking_options.score_threshold", "must be 0 to 1"));
        }
        let ranker = options.and_then(|options| options.ranker);
        if ranker.as_deref().is_some_and(|ranker| !["auto", "none", "default-2024-11-15"].contains(&ranker)) {
            let message = "must be `auto`, `none` or `default-2024-11-15`";
            return Err(Error::field("ranking_options.ranker", message));
        }
        Ok(FileSearch {
            queries: match self.query {
                Queries::One(query) => vec![query],
                Queries::Several(queries) => queries,
            },
            filter: self
                .filters
                .as_ref()
                .filter(|filters| !filters.is_null())
                .map(|filters| attribute_filter::read(filters, "filters"))
                .transpose()?,
            limit: self.max_num_results,
            min_score: threshold,
            rerank: (ranker.as_deref() == Some("none")).then_some(false),
        })
    }
}

/// Searches a vector store, by words and by meaning.
#[utoipa::path(post, path = "/v1/vector_stores/{vector_store_id}/search", tag = "vector stores",
    operation_id = "search_vector_store", request_body = StoreSearchBody,
    params(("vector_store_id" = String, Path)), responses((status = 200, body = StoreSearchResults)))]
pub(crate) async fn search(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(store): Path<String>,
    Json(body): Json<StoreSearchBody>,
) -> Result<Json<StoreSearchResults>> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = usable(&app, &knowledge, &store).await?;
    let search = body.search()?;
    // Each question is a search; the first was counted when the request came.
    for _ in search.queries.iter().skip(1).take(MAX_QUERIES) {
        app.pass(RateBucket::of_user(&scope, RequestClass::Search)).await?;
    }
    let hits = knowledge.search_files(&[collection.id], &search).await;
    let hits = hits.map_err(|error| about(error, "vector store", &store))?;
    Ok(Json(StoreSearchResults {
        object: "vector_store.search_results.page",
        search_query: search.queries,
        data: hits.into_iter().map(StoreSearchResult::from).collect(),
        has_more: false,
        next_page: None,
    }))
}
