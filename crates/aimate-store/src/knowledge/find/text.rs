//! Finding chunks by their words.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aimate_core::knowledge::{RankedChunks, ScoredChunk, SearchScope};
use aimate_core::{ChunkId, Result, Scope};
use aimate_index::analysis::Terms;
use aimate_index::bm25::{self, CollectionStatistics, SegmentMatches};
use aimate_index::segment::{extract_term, find_postings};
use aimate_index::{DocAddress, SegmentHeader};
use uuid::Uuid;

use super::parts::{self, BlockId, FirstTerms, Listed};
use super::{Allowed, allowed};
use crate::SqlStore;
use crate::knowledge::{TRIES, again, compute};

/// Blocks that a search holds as a whole.
const MAX_BLOCKS: usize = 2048;

/// See [`SearchIndex::find_text`](aimate_core::knowledge::SearchIndex::find_text).
pub(in crate::knowledge) async fn text(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    terms: &Terms,
    limit: u32,
) -> Result<RankedChunks> {
    for _ in 0..TRIES {
        let segments = parts::segments(store, scope, target).await?;
        let passing = allowed(store, scope, target).await?;
        let statistics = CollectionStatistics {
            chunks: segments.iter().map(|segment| segment.chunks).sum(),
            total_length: segments.iter().map(|segment| segment.length).sum(),
        };
        let Some(mut question) = Question::read(store, scope, &segments, terms).await? else { continue };
        // Who is counted out by the filter is to be told of all segments.
        let wanted = segments.iter().map(|segment| segment.id);
        let wanted: Vec<Uuid> = match passing {
            Some(_) => wanted.collect(),
            None => wanted.filter(|id| question.segments.iter().any(|found| found.id == *id)).collect(),
        };
        let Some(headers) = parts::headers(store, scope, &wanted).await? else { continue };
        let allowed = Allowed::of(&headers, passing.as_ref());
        question.headers = headers;
        let filtered = allowed.filtered;
        let best = compute(move || question.score(&allowed, statistics, limit as usize)).await?;
        return Ok(RankedChunks { best, chunks: statistics.chunks, filtered });
    }
    Err(again())
}

/// A question with all that the index has of its terms.
struct Question {
    terms: Arc<[String]>,
    weights: Vec<u32>,
    /// Those that have one of its terms, perhaps.
    segments: Vec<Found>,
    headers: HashMap<Uuid, Arc<SegmentHeader>>,
}

/// A segment with the block that has each term, if the segment has it.
struct Found {
    id: Uuid,
    blocks: Vec<Option<Arc<[u8]>>>,
}

impl Question {
    /// `None` if a segment is not there any more.
    async fn read(
        store: &SqlStore,
        scope: &Scope,
        segments: &[Listed],
        terms: &Terms,
    ) -> Result<Option<Self>> {
        let ids: Vec<Uuid> = segments.iter().map(|segment| segment.id).collect();
        let Some(first_terms) = parts::first_terms(store, scope, &ids).await? else { return Ok(None) };
        let (terms, weights): (Vec<String>, Vec<u32>) = terms.counts.iter().cloned().unzip();
        let mut places: Vec<(Uuid, Vec<Option<BlockId>>)> = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(first_terms) = first_terms.get(&id) else { continue };
            places.push((id, terms.iter().map(|term| place(id, first_terms, term)).collect()));
        }
        let mut question =
            Self { terms: terms.into(), weights, segments: Vec::new(), headers: HashMap::new() };
        let many = places.iter().flat_map(|(_, blocks)| blocks).flatten().count() > MAX_BLOCKS;
        let mut held = 0;
        let groups = places.chunk_by(|_, (_, next)| {
            held += next.iter().flatten().count();
            let fits = held < MAX_BLOCKS;
            held = if fits { held } else { 0 };
            fits
        });
        for group in groups {
            let wanted: BTreeSet<&BlockId> = group.iter().flat_map(|(_, blocks)| blocks).flatten().collect();
            let wanted: Vec<BlockId> = wanted.into_iter().cloned().collect();
            let Some(blocks) = parts::blocks(store, scope, &wanted).await? else { return Ok(None) };
            let found = group.iter().map(|(id, places)| Found {
                id: *id,
                blocks: places.iter().map(|place| blocks.get(place.as_ref()?).cloned()).collect(),
            });
            let found: Vec<Found> = found.filter(|found| found.blocks.iter().any(Option::is_some)).collect();
            let terms = question.terms.clone();
            let mut found = if many { compute(move || extract_terms(&terms, found)).await? } else { found };
            question.segments.append(&mut found);
        }
        Ok(Some(question))
    }

    /// The best chunks.
    fn score(
        &self,
        allowed: &Allowed,
        statistics: CollectionStatistics,
        limit: usize,
    ) -> Result<Vec<ScoredChunk>> {
        let mut matches = Vec::with_capacity(self.segments.len());
        let mut headers = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            let Some(header) = self.headers.get(&segment.id) else { continue };
            let postings = self.terms.iter().zip(&segment.blocks).map(|(term, block)| match block {
                Some(block) => find_postings(block, term),
                None => Ok(None),
            });
            matches.push(SegmentMatches {
                chunk_count: header.chunk_count(),
                postings: postings.collect::<aimate_index::Result<_>>()?,
                allowed: allowed.docs.get(&segment.id),
            });
            headers.push(header);
        }
        let id = |at: DocAddress| {
            let header = headers.get(at.segment as usize);
            header.and_then(|header| header.chunks.get(at.doc as usize)).copied().unwrap_or_default()
        };
        let best = bm25::top_k(&self.weights, statistics, &matches, limit, id)?;
        Ok(best.into_iter().map(|(score, at)| ScoredChunk { chunk: ChunkId(id(at)), score }).collect())
    }
}

/// Leaves of each block what it has of its term.
fn extract_terms(terms: &[String], mut segments: Vec<Found>) -> Result<Vec<Found>> {
    for (term, block) in segments.iter_mut().flat_map(|found| terms.iter().zip(&mut found.blocks)) {
        if let Some(whole) = block {
            *block = extract_term(whole, term)?.map(Arc::from);
        }
    }
    Ok(segments)
}

/// The block of the segment that has the term, if one has: the last one whose
/// first term is not greater.
fn place(segment: Uuid, first_terms: &FirstTerms, term: &str) -> Option<BlockId> {
    let after = first_terms.partition_point(|first| first.as_ref() <= term.as_bytes());
    Some((segment, first_terms.get(after.checked_sub(1)?)?.clone()))
}
