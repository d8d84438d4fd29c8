//! Searching: both retrievers beside each other, then one ranking.

use std::collections::HashMap;
use std::time::Duration;

use aimate_index::analysis::Terms;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::KnowledgeSearch;
use super::fuse::{self, Candidate, Found};
use crate::error::{Error, Result};
use crate::id::{ChunkId, SpaceId, UserId};
use crate::knowledge::{
    CollectionConfig, EmbeddingModel, Passage, RankedChunks, ScoredChunk, SearchExplanation, SearchHit,
    SearchMode, SearchRequest, SearchResponse, SearchScope, Timings,
};
use crate::metrics;
use crate::scope::Scope;

/// Candidates of each retriever at least.
const MIN_CANDIDATES: usize = fuse::MEASURED;

/// The spaces of one search that share a model and an owner, in whose scope the model is
/// found: the question is embedded once for all of them.
struct ModelSpaces {
    model: EmbeddingModel,
    owner: UserId,
    spaces: Vec<SpaceId>,
}

/// What was found by words.
#[derive(Default)]
struct TextResults {
    ranked: RankedChunks,
    find_time: Duration,
}

/// What was found by meaning, and the question's vector for each model.
#[derive(Default)]
struct VectorResults {
    ranked: RankedChunks,
    queries: Vec<(Vec<SpaceId>, Vec<f32>)>,
    models: Vec<String>,
    embed_time: Duration,
    find_time: Duration,
    warnings: Vec<String>,
}

/// What both retrievers look for, and where.
struct Query<'a> {
    request: &'a SearchRequest,
    terms: Terms,
    scope: SearchScope,
    /// Candidates of each retriever at most.
    max: u32,
}

impl KnowledgeSearch<'_> {
    /// Finds the passages that answer a question best; see
    /// [`Knowledge::search`](crate::engine::Knowledge::search).
    pub(crate) async fn search(&self, request: &SearchRequest) -> Result<SearchResponse> {
        let span = tracing::info_span!("retrieval", mode = %request.mode, collections = Empty, hits = Empty);
        self.search_within(request).instrument(span).await
    }

    async fn search_within(&self, request: &SearchRequest) -> Result<SearchResponse> {
        request.check()?;
        let start = Instant::now();
        let collections = self.collections(request).await?;
        let query = Query {
            request,
            terms: aimate_index::analysis::analyze_query(&request.query),
            scope: SearchScope {
                collections: collections.iter().map(|collection| collection.id).collect(),
                filter: request.filter.clone(),
            },
            max: u32::try_from(request.max_hits().max(MIN_CANDIDATES)).unwrap_or(u32::MAX),
        };
        let (text, mut vector) =
            tokio::try_join!(self.find_by_words(&query), self.find_by_meaning(&query, &collections))?;
        let cosines = self.all_cosines(&text.ranked, &vector).await?;
        let found = Found { text: &text.ranked, vector: &vector.ranked.best, cosines: &cosines };
        let cosine_weight = found.cosine_weight(request.mode);
        let mut candidates = found.fuse(cosine_weight);
        let fused = candidates.len();
        if let Some(min) = request.min_score {
            candidates.retain(|candidate| candidate.score >= min);
        }
        let mut warnings = std::mem::take(&mut vector.warnings);
        let reranking = Instant::now();
        let is_reranked = self.rerank(request, &mut candidates, &mut warnings).await?;
        let rerank_time = if is_reranked { reranking.elapsed() } else { Duration::ZERO };
        let below_min_score = count(fused - candidates.len());
        if request.diversity > 0.0 {
            self.diversify(request, &mut candidates, &vector).await?;
        }
        let hits = self.hits(request, candidates).await?;
        let span = tracing::Span::current();
        span.record("collections", query.scope.collections.len());
        span.record("hits", hits.len());
        let mut explain = explain(query.terms, &text, vector);
        explain.cosine_weight = cosine_weight;
        explain.below_min_score = below_min_score;
        explain.timings.rerank_ms = milliseconds(rerank_time);
        explain.timings.total_ms = milliseconds(start.elapsed());
        measure(&explain.timings);
        Ok(SearchResponse { hits, warnings, explain: request.explain.then_some(explain) })
    }

    async fn collections(&self, request: &SearchRequest) -> Result<Vec<CollectionConfig>> {
        let store = &self.stores.collections;
        if request.collections.is_empty() {
            return store.newest_configs(self.scope).await;
        }
        let found = store.configs(self.scope, &request.collections).await?;
        for used in found.iter().filter(|config| config.notes_use(self.now)) {
            store.touch(self.scope, used.id, self.now).await?;
        }
        Ok(found)
    }

    async fn find_by_words(&self, query: &Query<'_>) -> Result<TextResults> {
        let Query { request, terms, scope, max } = query;
        if request.mode == SearchMode::Vector || terms.counts.is_empty() || scope.collections.is_empty() {
            return Ok(TextResults::default());
        }
        let start = Instant::now();
        let ranked = self.stores.index.find_text(self.scope, scope, terms, *max).await?;
        Ok(TextResults { ranked, find_time: start.elapsed() })
    }

    async fn find_by_meaning(
        &self,
        query: &Query<'_>,
        collections: &[CollectionConfig],
    ) -> Result<VectorResults> {
        let mut all = VectorResults::default();
        let mode = query.request.mode;
        if mode == SearchMode::Text || collections.is_empty() {
            return Ok(all);
        }
        let groups = group_by_model(collections);
        if groups.is_empty() {
            let why = "no collection has vectors (its embedder is `none`)";
            if mode == SearchMode::Vector {
                return Err(Error::unsupported(format!("{why}; search with mode `text`")));
            }
            all.warnings.push(format!("{why}: the search was by words alone"));
        }
        for group in groups {
            let name = group.model.name.clone();
            if mode == SearchMode::Hybrid
                && !self.embedder.reads(self.scope, &group.model, &query.request.query)
            {
                let why = "it does not read the script of this question";
                all.warnings.push(format!("the search was by words alone where `{name}` is needed: {why}"));
                continue;
            }
            match self.find_in_spaces(query, group, &mut all).await {
                Ok(()) => all.models.push(name),
                Err(error) if mode == SearchMode::Vector => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, model = name, "a search goes on without vectors");
                    all.warnings
                        .push(format!("the search was by words alone where `{name}` is needed: {error}"));
                }
            }
        }
        all.ranked.best.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        all.ranked.best.truncate(query.max as usize);
        Ok(all)
    }

    async fn find_in_spaces(
        &self,
        query: &Query<'_>,
        group: ModelSpaces,
        all: &mut VectorResults,
    ) -> Result<()> {
        let start = Instant::now();
        // A connection of the user's may have the name of another owner's.
        let owner = Scope { user: group.owner, ..*self.scope };
        let vector = self.embedder.embed_query(&owner, &group.model, &query.request.query).await?;
        all.embed_time += start.elapsed();
        let start = Instant::now();
        let index = &self.stores.index;
        let found = index.find_vector(self.scope, &query.scope, &group.spaces, &vector, query.max).await?;
        all.find_time += start.elapsed();
        all.ranked.best.extend(found.best);
        all.ranked.chunks += found.chunks;
        all.ranked.filtered += found.filtered;
        all.queries.push((group.spaces, vector));
        Ok(())
    }

    /// Returns the cosine of every candidate that has a vector: fusion needs it
    /// of those too that were found by words alone.
    async fn all_cosines(
        &self,
        text: &RankedChunks,
        vector: &VectorResults,
    ) -> Result<HashMap<ChunkId, f32>> {
        let mut cosines: HashMap<_, _> =
            vector.ranked.best.iter().map(|ScoredChunk { chunk, score }| (*chunk, *score)).collect();
        let missing: Vec<_> = text
            .best
            .iter()
            .map(|scored| scored.chunk)
            .filter(|chunk| !cosines.contains_key(chunk))
            .collect();
        if missing.is_empty() {
            return Ok(cosines);
        }
        for (spaces, query) in &vector.queries {
            let more = self.stores.index.cosines(self.scope, spaces, query, &missing).await?;
            cosines.extend(more.into_iter().map(|ScoredChunk { chunk, score }| (chunk, score)));
        }
        Ok(cosines)
    }

    async fn diversify(
        &self,
        request: &SearchRequest,
        candidates: &mut Vec<Candidate>,
        vector: &VectorResults,
    ) -> Result<()> {
        let spaces: Vec<_> = vector.queries.iter().flat_map(|(spaces, _)| spaces.clone()).collect();
        let chunks: Vec<_> = candidates.iter().map(|candidate| candidate.chunk).collect();
        let vectors = self.stores.index.vectors(self.scope, &spaces, &chunks).await?;
        fuse::diversify(candidates, request.max_hits(), request.diversity, &vectors.into_iter().collect());
        Ok(())
    }

    /// Returns the best candidates with their passages; one that was deleted
    /// meanwhile makes room for the next.
    async fn hits(&self, request: &SearchRequest, candidates: Vec<Candidate>) -> Result<Vec<SearchHit>> {
        let limit = request.max_hits();
        let mut hits = Vec::with_capacity(limit.min(candidates.len()));
        let mut candidates = candidates.into_iter();
        while hits.len() < limit {
            let next: Vec<_> = candidates.by_ref().take(limit - hits.len()).collect();
            if next.is_empty() {
                break;
            }
            let mut passages = self.passages(next.iter().map(|candidate| candidate.chunk)).await?;
            hits.extend(next.into_iter().filter_map(|candidate| {
                Some(hit(passages.remove(&candidate.chunk)?, candidate, request.explain))
            }));
        }
        Ok(hits)
    }

    pub(super) async fn passages(
        &self,
        chunks: impl Iterator<Item = ChunkId>,
    ) -> Result<HashMap<ChunkId, Passage>> {
        let chunks: Vec<_> = chunks.collect();
        let passages = self.stores.index.passages(self.scope, &chunks).await?;
        Ok(passages.into_iter().map(|passage| (passage.chunk.id, passage)).collect())
    }
}

/// Hands what took time to the application's recorder. What was not done took none.
fn measure(timings: &Timings) {
    let legs = [
        ("text", timings.text_ms),
        ("embed", timings.embed_ms),
        ("vector", timings.vector_ms),
        ("rerank", timings.rerank_ms),
        ("total", timings.total_ms),
    ];
    for (leg, milliseconds) in legs.into_iter().filter(|(_, milliseconds)| *milliseconds > 0.0) {
        metrics::searched(leg, Duration::from_secs_f32(milliseconds / 1_000.0));
    }
}

fn group_by_model(collections: &[CollectionConfig]) -> Vec<ModelSpaces> {
    let mut groups: Vec<ModelSpaces> = Vec::new();
    for collection in collections {
        let Some((space, model)) = &collection.space else { continue };
        let owner = collection.owner;
        match groups.iter_mut().find(|group| group.model == *model && group.owner == owner) {
            Some(group) => group.spaces.push(*space),
            None => groups.push(ModelSpaces { model: model.clone(), owner, spaces: vec![*space] }),
        }
    }
    groups
}

fn explain(terms: Terms, text: &TextResults, vector: VectorResults) -> SearchExplanation {
    let mut explain = SearchExplanation {
        terms: terms.counts.into_iter().map(|(term, _)| term).collect(),
        models: vector.models,
        chunks: text.ranked.chunks.max(vector.ranked.chunks),
        filtered: text.ranked.filtered.max(vector.ranked.filtered),
        max_bm25: text.ranked.max_score,
        text_candidates: count(text.ranked.best.len()),
        vector_candidates: count(vector.ranked.best.len()),
        ..SearchExplanation::default()
    };
    explain.timings.text_ms = milliseconds(text.find_time);
    explain.timings.embed_ms = milliseconds(vector.embed_time);
    explain.timings.vector_ms = milliseconds(vector.find_time);
    explain
}

fn hit(passage: Passage, candidate: Candidate, explain: bool) -> SearchHit {
    let Passage { chunk, collection, title, file_id, .. } = passage;
    SearchHit {
        document_id: chunk.document_id,
        file_id,
        chunk_id: chunk.id,
        collection_id: collection,
        title,
        headings: chunk.headings,
        text: chunk.text,
        page: chunk.page,
        start: chunk.start,
        end: chunk.end,
        score: candidate.reranked.unwrap_or(candidate.score),
        explain: explain.then_some(candidate.explain),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn milliseconds(time: Duration) -> f32 {
    time.as_secs_f32() * 1_000.0
}
