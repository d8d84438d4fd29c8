//! Finding chunks by their vectors.
//!
//! A search scans the two-bit codes of all segments for candidates, reads the
//! half-precision vectors of these alone, and ranks them by the exact cosine. So it
//! reads 2 bits a dimension of every chunk, but 16 of a few hundred.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use aimate_core::knowledge::{RankedChunks, ScoredChunk, SearchScope};
use aimate_core::{Result, Scope, SpaceId};
use aimate_index::SegmentHeader;
use aimate_index::quantize::{self, Candidate, CodeBlocks, CodeScanner};
use uuid::Uuid;

use super::allowed::{AllowedChunks, SearchFilter};
use crate::SqlStore;
use crate::knowledge::blocking::compute;
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error};
use crate::knowledge::index::{ListedSegment, codes, headers, list_of_spaces};
use crate::knowledge::vector::cosines;

/// Candidates for each chunk that is wanted: [`quantize`] says how many of the
/// nearest they hold.
const CANDIDATES_PER_HIT: usize = 5;
/// Candidates at least. Of few, a code that is off could lose one of the nearest:
/// 500 hold 99.9 % of the 100 nearest, 290 hold 99.2 %.
const MIN_CANDIDATES: usize = 500;
/// Bytes of codes that a search holds at once, beyond what the cache keeps anyway:
/// it bounds the memory of a search over a large collection.
const MAX_CODES_HELD: u64 = 16 << 20;

/// See [`SearchIndex::find_vector`](aimate_core::knowledge::SearchIndex::find_vector).
pub(super) async fn find(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    spaces: &[SpaceId],
    query: &[f32],
    limit: usize,
) -> Result<RankedChunks> {
    // Segments are read one after the other without a transaction. If one was
    // replaced since it was listed, the search begins anew: the list as it is now
    // has the same chunks in other segments.
    for _ in 0..MAX_ATTEMPTS {
        let filter = SearchFilter::read(store, scope, target).await?;
        let listed = list_of_spaces(store, scope, target, spaces, query.len()).await?;
        let segments: Vec<Uuid> = listed.iter().map(|(segment, _)| segment.id).collect();
        let allowed = AllowedChunks::read(store, scope, target, filter, &segments).await?;
        let Some((allowed, known)) = allowed else { continue };
        let filtered = allowed.filtered;
        let scan = Scan::new(query, limit.saturating_mul(CANDIDATES_PER_HIT).max(MIN_CANDIDATES), allowed);
        let Some(candidates) = scan.all(store, scope, &listed).await? else { continue };
        let Some(chunks) = chunks_of(store, scope, &candidates, known).await? else { continue };

        let spaces: Vec<Uuid> = spaces.iter().map(|space| space.0).collect();
        let best = rank(cosines(store, scope, spaces, query, chunks).await?, limit);
        let chunks = listed.iter().map(|(segment, _)| segment.chunks).sum();
        return Ok(RankedChunks { best, max_score: if chunks == 0 { 0.0 } else { 1.0 }, chunks, filtered });
    }
    Err(contention_error())
}

/// Puts the best first, equal ones by id, each chunk once, at most `limit`. While a
/// space is built beside the active one, a chunk can have a vector in both.
pub(super) fn rank(mut scored: Vec<ScoredChunk>, limit: usize) -> Vec<ScoredChunk> {
    scored.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
    let mut seen = HashSet::with_capacity(scored.len());
    scored.retain(|one| seen.insert(one.chunk));
    scored.truncate(limit);
    scored
}

/// A scan of codes on its way through the segments.
struct Scan {
    scanner: CodeScanner,
    code_length: usize,
    allowed: AllowedChunks,
}

impl Scan {
    fn new(query: &[f32], candidates: usize, allowed: AllowedChunks) -> Self {
        Self {
            scanner: CodeScanner::new(query, candidates),
            code_length: quantize::code_length(query.len()),
            allowed,
        }
    }

    /// Scans all segments, some at a time, and returns the candidates; `None` if a
    /// segment is not there any more.
    async fn all(
        mut self,
        store: &SqlStore,
        scope: &Scope,
        listed: &[(ListedSegment, Option<Uuid>)],
    ) -> Result<Option<Vec<Candidate>>> {
        let mut by_space: HashMap<Uuid, Vec<ListedSegment>> = HashMap::new();
        for (segment, space) in listed {
            // Without a space, the segment has no codes; while a space is built, that
            // is so of most.
            if let Some(space) = space
                && !self.allowed.excludes(segment.id)
            {
                by_space.entry(*space).or_default().push(*segment);
            }
        }
        for (space, segments) in by_space {
            for group in self.groups(&segments) {
                let Some(codes) = codes(store, scope, space, &group, self.code_length).await? else {
                    return Ok(None);
                };
                self = compute(move || self.group(&codes)).await?;
            }
        }
        Ok(Some(self.scanner.finish()))
    }

    /// Segments whose codes are held at once.
    fn groups(&self, segments: &[ListedSegment]) -> Vec<Vec<Uuid>> {
        let mut held = 0;
        let groups = segments.chunk_by(|_, next| {
            // Blocks are whole.
            held += next.chunks.next_multiple_of(CodeBlocks::CODES as u64) * self.code_length as u64;
            let fits = held < MAX_CODES_HELD;
            held = if fits { held } else { 0 };
            fits
        });
        groups.map(|group| group.iter().map(|segment| segment.id).collect()).collect()
    }

    fn group(mut self, group: &BTreeMap<Uuid, Arc<CodeBlocks>>) -> Result<Self> {
        for (segment, codes) in group {
            self.scanner.scan(*segment, codes, self.allowed.docs.get(segment))?;
        }
        Ok(self)
    }
}

/// The chunks that the candidates are; `None` if a segment is not there any more.
/// Without a filter, only the headers of segments that have a candidate are read.
async fn chunks_of(
    store: &SqlStore,
    scope: &Scope,
    candidates: &[Candidate],
    known: HashMap<Uuid, Arc<SegmentHeader>>,
) -> Result<Option<Vec<Uuid>>> {
    let headers = if known.is_empty() {
        let segments: HashSet<Uuid> = candidates.iter().map(|candidate| candidate.segment).collect();
        let segments: Vec<Uuid> = segments.into_iter().collect();
        let Some(headers) = headers(store, scope, &segments).await? else { return Ok(None) };
        headers
    } else {
        known
    };
    let chunk =
        |candidate: &Candidate| headers.get(&candidate.segment)?.chunks.get(candidate.doc as usize).copied();
    let mut chunks: Vec<Uuid> = candidates.iter().filter_map(chunk).collect();
    chunks.sort_unstable();
    chunks.dedup();
    Ok(Some(chunks))
}
