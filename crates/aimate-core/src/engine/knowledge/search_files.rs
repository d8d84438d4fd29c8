//! Searching a collection for several questions at once, with the files that the passages
//! are of.

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

/// Questions to a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileSearch {
    /// The questions, 1 to 10; a passage counts as well as it fits the one that it fits best.
    pub queries: Vec<String>,
    /// Conditions on the documents.
    pub filter: Option<Filter>,
    /// Passages at most, 1 to 50; default 10.
    pub limit: Option<u32>,
    /// Leave out passages below this score, 0 to 1.
    pub min_score: Option<f32>,
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
    /// Finds the passages of a collection that fit one of several questions best, best
    /// first. The collection counts as used.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if the collection is not there, or has
    /// expired; see [`Knowledge::search`].
    pub async fn search_files(&self, collection: CollectionId, search: &FileSearch) -> Result<Vec<FileHit>> {
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
        self.use_collection(collection).await?;
        let mut best: HashMap<ChunkId, SearchHit> = HashMap::new();
        for query in &search.queries {
            let mut request = SearchRequest::new(query).collections([collection.to_string()]);
            request.limit = Some(limit + SPARE);
            request.filter = search.filter.clone();
            request.min_score = search.min_score;
            for mut hit in self.engine.knowledge_search(&self.scope).search(&request).await?.hits {
                hit.score = hit.score.clamp(0.0, 1.0);
                let known = best.entry(hit.chunk_id).or_insert_with(|| hit.clone());
                if known.score < hit.score {
                    *known = hit;
                }
            }
        }
        let mut hits: Vec<SearchHit> = best.into_values().collect();
        let place = |hit: &SearchHit| (hit.document_id, hit.start);
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| place(a).cmp(&place(b))));
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
