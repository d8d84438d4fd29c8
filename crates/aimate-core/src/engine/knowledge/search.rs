//! Searching: both legs beside each other, then one list.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Knowledge;
use super::embedder::embed_checked;
use super::fuse::{self, Candidate};
use crate::error::{Error, Result};
use crate::id::{ChunkId, SpaceId};
use crate::knowledge::{
    Chunk, CollectionConfig, EmbedPurpose, EmbeddingModel, Found, Passage, RankedChunks, ScoredChunk, Search,
    SearchHit, SearchMode, SearchScope,
};

/// Candidates of each leg at least.
const DEPTH: usize = 100;
/// Candidates that a reranker reads.
const RERANKED: usize = 50;

/// The collections of one search that share a model.
struct Group {
    model: EmbeddingModel,
    spaces: Vec<SpaceId>,
}

/// What the vector leg found, and the question's vector in each group.
#[derive(Default)]
struct VectorLeg {
    leg: RankedChunks,
    queries: Vec<(Vec<SpaceId>, Vec<f32>)>,
    models: Vec<String>,
    embed_time: Duration,
    find_time: Duration,
    warnings: Vec<String>,
}

impl Knowledge {
    /// Finds the passages that answer a question best.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if a named collection is not
    /// there; `Unsupported` for mode `vector` where no collection has vectors;
    /// what an embedder or reranker says, but for mode `hybrid`, which goes on
    /// with what it has and says so in `warnings`.
    pub async fn search(&self, search: &Search) -> Result<Found> {
        search.check()?;
        let start = Instant::now();
        let stores = &self.engine.inner.stores;
        let collections = match search.collections.is_empty() {
            true => stores.collections.newest_configs(&self.scope).await?,
            false => stores.collections.configs(&self.scope, &search.collections).await?,
        };
        let target = SearchScope {
            collections: collections.iter().map(|collection| collection.id).collect(),
            filter: search.filter.clone(),
        };
        let depth = u32::try_from(search.limit().max(DEPTH)).unwrap_or(u32::MAX);
        let terms = aimate_index::analysis::analyze_query(&search.query);
        let ((text, text_time), mut vector) = tokio::try_join!(
            self.text_leg(search, &target, &terms, depth),
            self.vector_leg(search, &collections, &target, depth),
        )?;
        let cosines = self.all_cosines(&text, &vector).await?;
        let mut candidates = fuse::fuse(search.mode, &text.best, &vector.leg.best, &cosines);
        let before = candidates.len();
        if let Some(least) = search.min_score {
            candidates.retain(|candidate| candidate.score >= least);
        }
        let mut found = Found {
            terms: terms.counts.into_iter().map(|(term, _)| term).collect(),
            models: vector.models,
            chunks: text.chunks.max(vector.leg.chunks),
            filtered: text.filtered.max(vector.leg.filtered),
            text_candidates: count(text.best.len()),
            vector_candidates: count(vector.leg.best.len()),
            below_min_score: count(before - candidates.len()),
            warnings: std::mem::take(&mut vector.warnings),
            ..Found::default()
        };
        found.timings.text_ms = milliseconds(text_time);
        found.timings.embed_ms = milliseconds(vector.embed_time);
        found.timings.vector_ms = milliseconds(vector.find_time);
        self.rerank(search, &mut candidates, &mut found).await?;
        if search.diversity > 0.0 {
            let spaces: Vec<_> = vector.queries.iter().flat_map(|(spaces, _)| spaces.clone()).collect();
            self.diversify(search, &mut candidates, &spaces).await?;
        }
        found.hits = self.hits(search, candidates).await?;
        found.timings.total_ms = milliseconds(start.elapsed());
        Ok(found)
    }

    async fn text_leg(
        &self,
        search: &Search,
        target: &SearchScope,
        terms: &aimate_index::analysis::Terms,
        depth: u32,
    ) -> Result<(RankedChunks, Duration)> {
        if search.mode == SearchMode::Vector || terms.counts.is_empty() || target.collections.is_empty() {
            return Ok((RankedChunks::default(), Duration::ZERO));
        }
        let start = Instant::now();
        let leg = self.engine.inner.stores.index.find_text(&self.scope, target, terms, depth).await?;
        Ok((leg, start.elapsed()))
    }

    async fn vector_leg(
        &self,
        search: &Search,
        collections: &[CollectionConfig],
        target: &SearchScope,
        depth: u32,
    ) -> Result<VectorLeg> {
        let mut all = VectorLeg::default();
        if search.mode == SearchMode::Text || collections.is_empty() {
            return Ok(all);
        }
        let groups = groups(collections);
        if groups.is_empty() {
            let why = "no collection has vectors (its embedder is `none`)";
            if search.mode == SearchMode::Vector {
                return Err(Error::unsupported(format!("{why}; search with mode `text`")));
            }
            all.warnings.push(format!("{why}: the search was by words alone"));
        }
        for group in groups {
            let name = group.model.name.clone();
            match self.search_group(search, group, target, depth, &mut all).await {
                Err(error) if search.mode == SearchMode::Vector => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, model = name, "a search goes on without vectors");
                    all.warnings
                        .push(format!("the search was by words alone where `{name}` is needed: {error}"));
                }
                Ok(()) => all.models.push(name),
            }
        }
        all.leg.best.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        all.leg.best.truncate(depth as usize);
        Ok(all)
    }

    async fn search_group(
        &self,
        search: &Search,
        group: Group,
        target: &SearchScope,
        depth: u32,
        all: &mut VectorLeg,
    ) -> Result<()> {
        let embedder = self.engine.embedder(&self.scope, &group.model)?;
        let start = Instant::now();
        let texts = [search.query.clone()];
        let mut vectors = embed_checked(embedder.as_ref(), &texts, EmbedPurpose::Query).await?;
        let query = vectors.pop().unwrap_or_default();
        all.embed_time += start.elapsed();
        let start = Instant::now();
        let stores = &self.engine.inner.stores;
        let leg = stores.index.find_vector(&self.scope, target, &group.spaces, &query, depth).await?;
        all.find_time += start.elapsed();
        all.leg.best.extend(leg.best);
        all.leg.chunks += leg.chunks;
        all.leg.filtered += leg.filtered;
        all.queries.push((group.spaces, query));
        Ok(())
    }

    /// The cosine of every candidate that has a vector.
    async fn all_cosines(&self, text: &RankedChunks, vector: &VectorLeg) -> Result<HashMap<ChunkId, f32>> {
        let mut cosines: HashMap<_, _> =
            vector.leg.best.iter().map(|ScoredChunk { chunk, score }| (*chunk, *score)).collect();
        let missing: Vec<_> = text
            .best
            .iter()
            .map(|scored| scored.chunk)
            .filter(|chunk| !cosines.contains_key(chunk))
            .collect();
        if missing.is_empty() {
            return Ok(cosines);
        }
        let stores = &self.engine.inner.stores;
        for (spaces, query) in &vector.queries {
            let more = stores.index.cosines(&self.scope, spaces, query, &missing).await?;
            cosines.extend(more.into_iter().map(|ScoredChunk { chunk, score }| (chunk, score)));
        }
        Ok(cosines)
    }

    async fn rerank(&self, search: &Search, candidates: &mut [Candidate], found: &mut Found) -> Result<()> {
        let Some(reranker) = self.engine.inner.knowledge.reranker.clone() else {
            if search.rerank == Some(true) {
                found.warnings.push("there is no reranker: set one up with the builder".to_owned());
            }
            return Ok(());
        };
        if search.rerank == Some(false) || candidates.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let head = candidates.len().min(RERANKED);
        let Some(best) = candidates.get_mut(..head) else { return Ok(()) };
        let passages = self.passages(best.iter().map(|candidate| candidate.chunk)).await?;
        best.sort_by_key(|candidate| !passages.contains_key(&candidate.chunk));
        let readable = best.iter().filter_map(|candidate| passages.get(&candidate.chunk));
        let texts: Vec<_> = readable
            .map(|passage| Chunk::index_text(&passage.title, &passage.chunk.headings, &passage.chunk.text))
            .collect();
        match reranker.rerank(&search.query, &texts).await {
            Ok(scores) if scores.len() == texts.len() && scores.iter().all(|score| score.is_finite()) => {
                for (candidate, score) in best.iter_mut().zip(scores) {
                    candidate.explain.rerank = Some(score);
                }
                best.sort_by(|a, b| {
                    let score = |c: &Candidate| c.explain.rerank.unwrap_or(f32::NEG_INFINITY);
                    score(b).total_cmp(&score(a)).then(b.score.total_cmp(&a.score))
                });
            }
            Ok(scores) => {
                let name = reranker.name();
                let message = format!("`{name}` gave {} scores for {} passages", scores.len(), texts.len());
                found.warnings.push(format!("the hits are not reranked: {message}"));
            }
            Err(error) => found.warnings.push(format!("the hits are not reranked: {error}")),
        }
        found.timings.rerank_ms = milliseconds(start.elapsed());
        Ok(())
    }

    async fn diversify(
        &self,
        search: &Search,
        candidates: &mut Vec<Candidate>,
        spaces: &[SpaceId],
    ) -> Result<()> {
        let chunks: Vec<_> = candidates.iter().map(|candidate| candidate.chunk).collect();
        let vectors = self.engine.inner.stores.index.vectors(&self.scope, spaces, &chunks).await?;
        fuse::diversify(candidates, search.limit(), search.diversity, &vectors.into_iter().collect());
        Ok(())
    }

    /// The best candidates with their passages; one that was deleted meanwhile
    /// makes room for the next.
    async fn hits(&self, search: &Search, candidates: Vec<Candidate>) -> Result<Vec<SearchHit>> {
        let limit = search.limit();
        let mut hits = Vec::with_capacity(limit.min(candidates.len()));
        let mut candidates = candidates.into_iter();
        while hits.len() < limit {
            let some: Vec<_> = candidates.by_ref().take(limit - hits.len()).collect();
            if some.is_empty() {
                break;
            }
            let mut passages = self.passages(some.iter().map(|candidate| candidate.chunk)).await?;
            hits.extend(some.into_iter().filter_map(|candidate| {
                Some(hit(passages.remove(&candidate.chunk)?, candidate, search.explain))
            }));
        }
        Ok(hits)
    }

    async fn passages(&self, chunks: impl Iterator<Item = ChunkId>) -> Result<HashMap<ChunkId, Passage>> {
        let chunks: Vec<_> = chunks.collect();
        let passages = self.engine.inner.stores.index.passages(&self.scope, &chunks).await?;
        Ok(passages.into_iter().map(|passage| (passage.chunk.id, passage)).collect())
    }
}

fn groups(collections: &[CollectionConfig]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (space, model) in collections.iter().filter_map(|collection| collection.space.as_ref()) {
        match groups.iter_mut().find(|group| group.model == *model) {
            Some(group) => group.spaces.push(*space),
            None => groups.push(Group { model: model.clone(), spaces: vec![*space] }),
        }
    }
    groups
}

fn hit(passage: Passage, candidate: Candidate, explain: bool) -> SearchHit {
    let Passage { chunk, collection, title, .. } = passage;
    SearchHit {
        document_id: chunk.document_id,
        chunk_id: chunk.id,
        collection_id: collection,
        title,
        headings: chunk.headings,
        text: chunk.text,
        page: chunk.page,
        start: chunk.start,
        end: chunk.end,
        score: candidate.explain.rerank.unwrap_or(candidate.score),
        explain: explain.then_some(candidate.explain),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn milliseconds(time: Duration) -> f32 {
    time.as_secs_f32() * 1_000.0
}
