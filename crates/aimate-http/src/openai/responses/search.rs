//! The tool `file_search`: what is looked up before the answer.

use aimate_core::engine::{FileHit, FileSearch};
use aimate_core::knowledge::SourcePassage;
use aimate_core::{CollectionId, Error, Scope};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Result;
use crate::openai::vector_store::{self, STORE};
use crate::openai::{attribute, attribute_filter, wire_id};

/// Hits where the caller does not say, and at most.
const HITS: (u32, u32) = (10, 50);
/// Vector stores of one search at most.
const MAX_STORES: usize = 20;
/// Characters of the question that are searched for.
const MAX_QUERY: usize = 2_000;
/// Bytes of the attributes of files that are kept with a response; of more, those of the best
/// results.
const MAX_ATTRIBUTES: usize = 64 * 1024;
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
pub(super) struct AnswerSearch {
    /// The vector stores, as the caller named them.
    stores: Vec<String>,
    collections: Vec<CollectionId>,
    /// The search, without its question.
    search: FileSearch,
}

/// What a search before an answer found.
pub(super) struct FoundFiles {
    /// The passages, best first.
    pub(super) passages: Vec<SourcePassage>,
    /// The attributes of their files, by the id of the document.
    pub(super) attributes: Map<String, Value>,
}

impl FileSearchBody {
    /// Checks the tool at `path`, and gives it as the response repeats it.
    pub(super) fn read(self, path: &str) -> Result<(AnswerSearch, Value)> {
        let Self { vector_store_ids, max_num_results, filters, ranking_options } = self;
        if vector_store_ids.is_empty() || vector_store_ids.len() > MAX_STORES {
            let why = format!("must list 1 to {MAX_STORES} vector stores");
            return Err(Error::field(format!("{path}.vector_store_ids"), why).into());
        }
        let collections: Result<Vec<_>> = vector_store_ids
            .iter()
            .map(|id| Ok(CollectionId(wire_id::of(STORE, "vector store", id)?)))
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
        let rerank = (ranker.as_deref() == Some("none")).then_some(false);
        let mut ranking = json!({
            "ranker": ranker.unwrap_or_else(|| "auto".to_owned()),
            "score_threshold": score_threshold.unwrap_or(0.0),
        });
        if let (Some(weights), Some(fields)) = (hybrid_search, ranking.as_object_mut()) {
            // Nothing else: it is stored and shown again.
            let known = ["embedding_weight", "text_weight"].into_iter().filter_map(|name| {
                Some((name.to_owned(), weights.get(name).filter(|weight| weight.is_number())?.clone()))
            });
            fields.insert("hybrid_search".to_owned(), Value::Object(known.collect()));
        }
        echo.insert("ranking_options".to_owned(), ranking);
        let search = FileSearch {
            queries: Vec::new(),
            filter,
            limit: Some(limit),
            min_score: score_threshold,
            rerank,
        };
        let search = AnswerSearch { stores: vector_store_ids, collections: collections?, search };
        Ok((search, echo.into()))
    }
}

impl AnswerSearch {
    /// What of a question is searched for; `None` if there are no words to search for.
    pub(super) fn query(question: &str) -> Option<String> {
        let query: String = question.trim().chars().take(MAX_QUERY).collect();
        (!query.is_empty()).then_some(query)
    }

    /// Whether every vector store is there to be searched.
    ///
    /// # Errors
    /// `NotFound`, naming one that is not, or has expired.
    pub(super) async fn check(&self, app: &App, scope: &Scope) -> Result<()> {
        let knowledge = app.engine.knowledge(scope);
        for store in &self.stores {
            vector_store::usable(app, &knowledge, store).await?;
        }
        Ok(())
    }

    /// What is found.
    ///
    /// # Errors
    /// See [`AnswerSearch::check`].
    pub(super) async fn find(&self, app: &App, scope: &Scope, query: &str) -> Result<FoundFiles> {
        self.check(app, scope).await?;
        let search = FileSearch { queries: vec![query.to_owned()], ..self.search.clone() };
        let hits = app.engine.knowledge(scope).search_files(&self.collections, &search).await?;
        let mut attributes = Map::new();
        let mut room = MAX_ATTRIBUTES;
        let mut passages = Vec::with_capacity(hits.len());
        for FileHit { hit, document } in hits {
            let known = attribute::of_document(&document.metadata);
            let id = document.id.to_string();
            if !known.is_empty() && !attributes.contains_key(&id) {
                let known = Value::Object(known);
                let bytes = known.to_string().len();
                if bytes <= room {
                    room -= bytes;
                    attributes.insert(id, known);
                }
            }
            passages.push(SourcePassage::from(hit).title(document.name));
        }
        Ok(FoundFiles { passages, attributes })
    }
}
