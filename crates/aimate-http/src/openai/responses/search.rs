//! The tool `file_search`: what is looked up before the answer.

use aimate_core::knowledge::{Filter, SearchRequest, SourcePassage};
use aimate_core::{Engine, Error, ErrorKind, Scope};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::openai::attribute_filter;
use crate::openai::wire_id;

/// Hits where the caller does not say, and at most.
const HITS: (u32, u32) = (10, 50);
/// Vector stores of one search at most.
const MAX_STORES: usize = 20;
/// Characters of the question that are searched for.
const MAX_QUERY: usize = 2_000;
const RANKERS: [&str; 3] = ["none", "auto", "default-2024-11-15"];

/// The tool as a request has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FileSearchBody {
    vector_store_ids: Vec<String>,
    max_num_results: Option<u32>,
    filters: Option<Value>,
    ranking_options: Option<RankingBody>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RankingBody {
    ranker: Option<String>,
    score_threshold: Option<f32>,
    hybrid_search: Option<Value>,
}

/// A search before an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileSearch {
    collections: Vec<String>,
    limit: u32,
    filter: Option<Filter>,
    min_score: Option<f32>,
}

impl FileSearchBody {
    /// Checks the tool at `path`, and gives it as the response repeats it.
    pub(super) fn read(self, path: &str) -> Result<(FileSearch, Value)> {
        let Self { vector_store_ids, max_num_results, filters, ranking_options } = self;
        if vector_store_ids.is_empty() || vector_store_ids.len() > MAX_STORES {
            let why = format!("must list 1 to {MAX_STORES} vector stores");
            return Err(Error::field(format!("{path}.vector_store_ids"), why).into());
        }
        let collections: Result<Vec<_>> = vector_store_ids
            .iter()
            .map(|id| Ok(wire_id::of("vs_", "vector store", id)?.to_string()))
            .collect();
        let (usual, most) = HITS;
        let limit = max_num_results.unwrap_or(usual);
        if !(1..=most).contains(&limit) {
            let why = format!("is {limit}; it must be 1 to {most}");
            return Err(Error::field(format!("{path}.max_num_results"), why).into());
        }
        let mut echo = Map::from_iter([
            ("type".to_owned(), json!("file_search")),
            ("vector_store_ids".to_owned(), json!(vector_store_ids)),
            ("max_num_results".to_owned(), json!(limit)),
        ]);
        let filters = filters.filter(|filters| !filters.is_null());
        let filter = filters
            .as_ref()
            .map(|filters| attribute_filter::read(filters, &format!("{path}.filters")))
            .transpose()?;
        echo.insert("filters".to_owned(), json!(filters));
        let RankingBody { ranker, score_threshold, hybrid_search } = ranking_options.unwrap_or_default();
        super::word::one_of(&format!("{path}.ranking_options.ranker"), ranker.as_deref(), &RANKERS)?;
        if score_threshold.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(
                Error::field(format!("{path}.ranking_options.score_threshold"), "must be 0 to 1").into()
            );
        }
        let mut ranking = json!({
            "ranker": ranker.unwrap_or_else(|| "auto".to_owned()),
            "score_threshold": score_threshold.unwrap_or(0.0),
        });
        if let (Some(weights), Some(fields)) = (hybrid_search, ranking.as_object_mut()) {
            fields.insert("hybrid_search".to_owned(), weights);
        }
        echo.insert("ranking_options".to_owned(), ranking);
        let search = FileSearch { collections: collections?, limit, filter, min_score: score_threshold };
        Ok((search, echo.into()))
    }
}

impl FileSearch {
    /// What of a question is searched for; `None` if there are no words to search for.
    pub(super) fn query(question: &str) -> Option<String> {
        let query: String = question.trim().chars().take(MAX_QUERY).collect();
        (!query.is_empty()).then_some(query)
    }

    /// The passages that are found, best first.
    ///
    /// # Errors
    /// `NotFound` for a vector store that is not the user's; `Invalid` for a filter that does
    /// not fit.
    pub(super) async fn find(
        &self,
        engine: &Engine,
        scope: &Scope,
        query: &str,
    ) -> Result<Vec<SourcePassage>> {
        let mut request = SearchRequest::new(query).collections(self.collections.clone()).limit(self.limit);
        request.filter.clone_from(&self.filter);
        request.min_score = self.min_score;
        let found = engine.knowledge(scope).search(&request).await.map_err(named)?;
        Ok(found.hits.into_iter().map(SourcePassage::from).collect())
    }
}

/// An unknown collection under the name that the caller has for it.
fn named(error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    Error::not_found("there is no such vector store, or one of `vector_store_ids` is another's")
        .with_source(error)
}
