//! Finding chunks by their vectors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use aimate_core::knowledge::{RankedChunks, ScoredChunk, SearchScope};
use aimate_core::{Result, Scope, SpaceId};
use aimate_index::SegmentHeader;
use aimate_index::quantize::{self, Candidate, CodeScanner};
use uuid::Uuid;

use super::parts::{self, Listed};
use super::{Allowed, allowed, rank};
use crate::SqlStore;
use crate::knowledge::{TRIES, again, compute, vector as vectors};

/// Chunks whose vectors are compared with the question exactly, for each that is
/// wanted: see [`quantize`] for what they hold of the nearest.
const CANDIDATES: usize = 5;
/// And at least.
const LEAST: usize = 500;
/// Bytes of codes that a search holds at once.
const AT_ONCE: u64 = 16 << 20;

/// See [`SearchIndex::find_vector`](aimate_core::knowledge::SearchIndex::find_vector).
pub(in crate::knowledge) async fn vector(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
    spaces: &[SpaceId],
    query: &[f32],
    limit: u32,
) -> Result<RankedChunks> {
    let limit = limit as usize;
    for _ in 0..TRIES {
        let listed = parts::segments_of_spaces(store, scope, target, spaces, query.len()).await?;
        let passing = allowed(store, scope, target).await?;
        let mut headers = HashMap::new();
        let mut allowed = Allowed::default();
        if passing.is_some() {
            let ids: Vec<Uuid> = listed.iter().map(|(segment, _)| segment.id).collect();
            let Some(read) = parts::headers(store, scope, &ids).await? else { continue };
            allowed = Allowed::of(&read, passing.as_ref());
            headers = read;
        }
        let filtered = allowed.filtered;
        let scan = Scan::new(query, limit.saturating_mul(CANDIDATES).max(LEAST), allowed);
        let Some(candidates) = candidates(store, scope, scan, &listed).await? else { continue };
        let Some(candidates) = chunks_of(store, scope, &candidates, headers).await? else { continue };

        let spaces: Vec<Uuid> = spaces.iter().map(|space| space.0).collect();
        let mut best: Vec<ScoredChunk> = vectors::cosines(store, scope, &spaces, query, &candidates).await?;
        rank(&mut best, limit);
        let chunks = listed.iter().map(|(segment, _)| segment.chunks).sum();
        return Ok(RankedChunks { best, chunks, filtered });
    }
    Err(again())
}

/// Scans the codes of all segments for the candidates, some segments at a time;
/// `None` if one is not there any more.
async fn candidates(
    store: &SqlStore,
    scope: &Scope,
    mut scan: Scan,
    listed: &[(Listed, Option<Uuid>)],
) -> Result<Option<Vec<Candidate>>> {
    let mut by_space: HashMap<Uuid, Vec<Listed>> = HashMap::new();
    for (segment, space) in listed {
        // Segments without codes have no space here.
        if let Some(space) = space {
            by_space.entry(*space).or_default().push(*segment);
        }
    }
    for (space, segments) in by_space {
        let mut held = 0;
        let groups = segments.chunk_by(|_, next| {
            held += next.chunks * scan.code_length as u64;
            let fits = held < AT_ONCE;
            held = if fits { held } else { 0 };
            fits
        });
        let groups: Vec<Vec<Uuid>> = groups.map(|group| group.iter().map(|one| one.id).collect()).collect();
        for group in groups {
            let Some(codes) = parts::codes(store, scope, space, &group).await? else { return Ok(None) };
            scan = compute(move || scan.group(&codes)).await?;
        }
    }
    Ok(Some(scan.scanner.finish()))
}

/// A scan of codes on its way through the segments.
struct Scan {
    scanner: CodeScanner,
    code_length: usize,
    allowed: Allowed,
}

impl Scan {
    fn new(query: &[f32], candidates: usize, allowed: Allowed) -> Self {
        Self {
            scanner: CodeScanner::new(query, candidates),
            code_length: quantize::code_length(query.len()),
            allowed,
        }
    }

    fn group(mut self, group: &BTreeMap<Uuid, Arc<[u8]>>) -> Result<Self> {
        for (segment, codes) in group {
            self.scanner.scan(*segment, codes, self.allowed.docs.get(segment))?;
        }
        Ok(self)
    }
}

/// The chunks that the candidates are; `None` if a segment is not there any more.
async fn chunks_of(
    store: &SqlStore,
    scope: &Scope,
    candidates: &[Candidate],
    known: HashMap<Uuid, Arc<SegmentHeader>>,
) -> Result<Option<Vec<Uuid>>> {
    let headers = if known.is_empty() {
        let segments: HashSet<Uuid> = candidates.iter().map(|candidate| candidate.segment).collect();
        let segments: Vec<Uuid> = segments.into_iter().collect();
        let Some(headers) = parts::headers(store, scope, &segments).await? else { return Ok(None) };
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
