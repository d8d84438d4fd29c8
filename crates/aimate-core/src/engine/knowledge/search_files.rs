//! Searching collections for several questions at once, with the files that the passages
//! are of.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::Knowledge;
use crate::error::{Error, Result};
use crate::id::{ChunkId, CollectionId, DocumentId};
use crate::knowledge::{Document, Filter, SearchHit, SearchRequest};

/// Questions of a search at most.
const MAX_QUERIES: usize = 10;
/// Hits beyond those wanted that are looked for, in place of those whose file expired a
/// moment ago.
const SPARE: u32 = 10;

/// Questions to collections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileSearch {
    /// The questions, 1 to 10; a passage counts as well as it fits the one that it fits best.
    pub queries: Vec<String>,
    /// Conditions on the documents.
    pub filter: Option<Filter>,
    /// Passages at most, 1 to 50; default 10.
    pub limit: Option<u32>,
    /// Leave out passages below this score, 0 to 1: of those that the engine's reranker read, its
    /// score.
    pub min_score: Option<f32>,
    /// Whether the engine's reranker orders the best passages; default: if there is one.
    pub rerank: Option<bool>,
}

/// A passage with the document that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct FileHit {
    /// The passage. Its score is from 0 to 1: that of [`SearchHit::score`], of which what is
    /// below 0 (a cosine may be) is 0 and what is above 1 is 1, so that the order stays.
    pub hit: SearchHit,
    /// The document.
    pub document: Document,
}

impl Knowledge {
    /// Finds the passages of collections that fit one of several questions best, best
    /// first: before others those that the engine's reranker read. The collections count as
    /// used.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if a collection is not there, or has
    /// expired; see [`Knowledge::search`].
    pub async fn search_files(
        &self,
        collections: &[CollectionId],
        search: &FileSearch,
    ) -> Result<Vec<FileHit>> {
        self.engine.admit(&self.scope).await?;
        if search.queries.is_empty() || search.queries.len() > MAX_QUERIES {
            let message = format!("has {} questions; it must be 1 to {MAX_QUERIES}", search.queries.len());
            return Err(Error::field("query", message));
        }
        let limit = search.limit.unwrap_or(10);
        if !(1..=50).contains(&limit) {
            let message = format!("is {limit}; it must be 1 to 50");
            return Err(Error::field("max_num_results", message));
        }
        // None would mean all of the user's.
        if collections.is_empty() {
            return Err(Error::field("collections", "is empty; name one to search in"));
        }
        self.use_collections(collections).await?;
        let mut best: HashMap<ChunkId, SearchHit> = HashMap::new();
        for query in &search.queries {
            let named = collections.iter().map(ToString::to_string);
            let mut request = SearchRequest::new(query).collections(named).limit(limit + SPARE).explain(true);
            request.filter.clone_from(&search.filter);
            request.rerank = search.rerank;
            for mut hit in self.engine.knowledge_search(&self.scope).search(&request).await?.hits {
                hit.score = hit.score.clamp(0.0, 1.0);
                let known = best.entry(hit.chunk_id).or_insert_with(|| hit.clone());
                if order(known, &hit).is_gt() {
                    *known = hit;
                }
            }
        }
        // The search itself would compare it with scores from before the reranker.
        let is_near = |hit: &SearchHit| search.min_score.is_none_or(|min| hit.score >= min);
        let mut hits: Vec<SearchHit> = best.into_values().filter(is_near).collect();
        let place = |hit: &SearchHit| (hit.document_id, hit.start);
        hits.sort_by(|a, b| order(a, b).then_with(|| place(a).cmp(&place(b))));
        for hit in &mut hits {
            hit.explain = None;
        }
        self.with_documents(hits, limit).await
    }

    /// The first hits whose documents are still there.
    async fn with_documents(&self, hits: Vec<SearchHit>, limit: u32) -> Result<Vec<FileHit>> {
        let inner = &self.engine.inner;
        let mut ids: Vec<DocumentId> = hits.iter().map(|hit| hit.document_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = inner.stores.attachments.get_many(&self.scope, &ids, inner.sources.now()).await?;
        let documents: HashMap<DocumentId, Document> =
            found.into_iter().map(|document| (document.id, document)).collect();
        let with = |hit: SearchHit| {
            let document = documents.get(&hit.document_id)?.clone();
            Some(FileHit { hit, document })
        };
        Ok(hits.into_iter().filter_map(with).take(limit as usize).collect())
    }
}

/// The better first. Scores of a reranker and of the search do not compare: what it read goes before
/// the rest.
fn order(a: &SearchHit, b: &SearchHit) -> Ordering {
    let is_read = |hit: &SearchHit| hit.explain.as_ref().is_some_and(|explain| explain.rerank.is_some());
    is_read(b).cmp(&is_read(a)).then_with(|| b.score.total_cmp(&a.score))
}
