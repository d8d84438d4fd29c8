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

use super::allowed::{AllowedChunks, SearchFilter};
use crate::SqlStore;
use crate::knowledge::blocking::compute;
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error};
use crate::knowledge::index::{
    FirstTerms, ListedSegment, TermBlockId, first_terms, headers, list, term_blocks,
};

/// Term blocks that a search holds whole. A question of more terms times segments
/// keeps only the entries of its terms, so that a text pasted as a question does not
/// fill the memory.
const MAX_BLOCKS_HELD: usize = 2048;

/// See [`SearchIndex::find_text`](aimate_core::knowledge::SearchIndex::find_text).
pub(super) async fn find(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    terms: &Terms,
    limit: usize,
) -> Result<RankedChunks> {
    // Begins anew if a segment was replaced between listing and reading it.
    for _ in 0..MAX_ATTEMPTS {
        let filter = SearchFilter::read(store, scope, target).await?;
        let is_filtered = filter.is_some();
        let segments = list(store, scope, target).await?;
        let statistics = CollectionStatistics {
            chunks: segments.iter().map(|segment| segment.chunks).sum(),
            total_length: segments.iter().map(|segment| segment.length).sum(),
        };
        let Some(mut question) = Question::read(store, scope, &segments, terms).await? else { continue };
        let ids: Vec<Uuid> = segments.iter().map(|segment| segment.id).collect();
        let allowed = AllowedChunks::read(store, scope, target, filter, &ids).await?;
        let Some((allowed, known)) = allowed else { continue };
        question.headers = known;
        if !is_filtered {
            let wanted: Vec<Uuid> = question.segments.iter().map(|found| found.id).collect();
            let Some(headers) = headers(store, scope, &wanted).await? else { continue };
            question.headers = headers;
        }
        let filtered = allowed.filtered;
        let (best, max_score) = compute(move || question.score(&allowed, statistics, limit)).await?;
        return Ok(RankedChunks { best, max_score, chunks: statistics.chunks, filtered });
    }
    Err(contention_error())
}

/// A question with all that the index has of its terms.
struct Question {
    terms: Arc<[String]>,
    weights: Vec<u32>,
    /// Those that may have one of its terms: a block that would hold it exists.
    segments: Vec<SegmentTerms>,
    headers: HashMap<Uuid, Arc<SegmentHeader>>,
}

/// A segment with the block that has each term, if the segment has it.
struct SegmentTerms {
    id: Uuid,
    blocks: Vec<Option<Arc<[u8]>>>,
}

impl Question {
    /// `None` if a segment is not there any more.
    async fn read(
        store: &SqlStore,
        scope: &Scope,
        segments: &[ListedSegment],
        terms: &Terms,
    ) -> Result<Option<Self>> {
        let ids: Vec<Uuid> = segments.iter().map(|segment| segment.id).collect();
        let Some(first_terms) = first_terms(store, scope, &ids).await? else { return Ok(None) };
        let (terms, weights): (Vec<String>, Vec<u32>) = terms.counts.iter().cloned().unzip();
        let mut places: Vec<(Uuid, Vec<Option<TermBlockId>>)> = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(first_terms) = first_terms.get(&id) else { continue };
            places.push((id, terms.iter().map(|term| block_of(id, first_terms, term)).collect()));
        }
        let mut question =
            Self { terms: terms.into(), weights, segments: Vec::new(), headers: HashMap::new() };
        let many = places.iter().flat_map(|(_, blocks)| blocks).flatten().count() > MAX_BLOCKS_HELD;
        let mut held = 0;
        let groups = places.chunk_by(|_, (_, next)| {
            held += next.iter().flatten().count();
            let fits = held < MAX_BLOCKS_HELD;
            held = if fits { held } else { 0 };
            fits
        });
        for group in groups {
            let wanted: BTreeSet<&TermBlockId> =
                group.iter().flat_map(|(_, blocks)| blocks).flatten().collect();
            let wanted: Vec<TermBlockId> = wanted.into_iter().cloned().collect();
            let Some(blocks) = term_blocks(store, scope, &wanted).await? else { return Ok(None) };
            let found = group.iter().map(|(id, places)| SegmentTerms {
                id: *id,
                blocks: places.iter().map(|place| blocks.get(place.as_ref()?).cloned()).collect(),
            });
            let found: Vec<SegmentTerms> =
                found.filter(|found| found.blocks.iter().any(Option::is_some)).collect();
            let terms = question.terms.clone();
            let mut found = if many { compute(move || extract_terms(&terms, found)).await? } else { found };
            question.segments.append(&mut found);
        }
        Ok(Some(question))
    }

    /// The best chunks, and the score that none reaches.
    fn score(
        &self,
        allowed: &AllowedChunks,
        statistics: CollectionStatistics,
        limit: usize,
    ) -> Result<(Vec<ScoredChunk>, f32)> {
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
        let best = best.into_iter().map(|(score, at)| ScoredChunk { chunk: ChunkId(id(at)), score });
        Ok((best.collect(), bm25::max_score(&self.weights, statistics, &matches)))
    }
}

/// Keeps of each block only the entry of its term.
fn extract_terms(terms: &[String], mut segments: Vec<SegmentTerms>) -> Result<Vec<SegmentTerms>> {
    for (term, block) in segments.iter_mut().flat_map(|found| terms.iter().zip(&mut found.blocks)) {
        if let Some(whole) = block {
            *block = extract_term(whole, term)?.map(Arc::from);
        }
    }
    Ok(segments)
}

/// The block of the segment that has the term, if one has: the last one whose
/// first term is not greater.
fn block_of(segment: Uuid, first_terms: &FirstTerms, term: &str) -> Option<TermBlockId> {
    let after = first_terms.partition_point(|first| first.as_ref() <= term.as_bytes());
    Some((segment, first_terms.get(after.checked_sub(1)?)?.clone()))
}
