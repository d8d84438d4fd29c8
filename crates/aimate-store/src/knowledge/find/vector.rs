//! Finding chunks by their vectors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use aimate_core::knowledge::{RankedChunks, ScoredChunk, SearchScope};
use aimate_core::{Result, Scope, SpaceId};
use uuid::Uuid;

use super::parts::{self, Listed};
use super::{Allowed, allowed, rank};
use crate::SqlStore;
use crate::knowledge::bits::{self, Codes, Question};
use crate::knowledge::segment::Header;
use crate::knowledge::{TRIES, again, compute, vector as vectors};

/// Chunks whose vectors are compared with the question exactly, for each that is
/// wanted: see [`bits`] for what they hold of the nearest.
const CANDIDATES: usize = 5;
/// And at least.
const LEAST: usize = 500;
/// Bytes of codes that a search holds at once.
const AT_ONCE: u64 = 16 << 20;

/// See [`find_vector`](aimate_core::knowledge::KnowledgeStore::find_vector).
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
        let Some(places) = scan.all(store, scope, &listed).await? else { continue };
        let Some(places) = places.resolve(store, scope, headers).await? else { continue };

        let spaces: Vec<Uuid> = spaces.iter().map(|space| space.0).collect();
        let mut best: Vec<ScoredChunk> = vectors::cosines(store, scope, &spaces, query, &places).await?;
        rank(&mut best, limit);
        let chunks = listed.iter().map(|(segment, _)| segment.chunks).sum();
        return Ok(RankedChunks { best, chunks, filtered });
    }
    Err(again())
}

/// The chunks of codes looked at so far that are nearest to the question.
struct Scan {
    question: Question,
    code_length: usize,
    max: usize,
    allowed: Allowed,
    /// The nearest first: the segment and the number in it.
    places: Vec<(Uuid, u32)>,
    /// The codes of these.
    codes: Vec<u8>,
}

impl Scan {
    fn new(query: &[f32], max: usize, allowed: Allowed) -> Self {
        Self {
            question: Question::new(query),
            code_length: bits::code_length(query.len()),
            max,
            allowed,
            places: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Looks at all segments, some at a time; `None` if one is not there any
    /// more.
    async fn all(
        mut self,
        store: &SqlStore,
        scope: &Scope,
        listed: &[(Listed, Option<Uuid>)],
    ) -> Result<Option<Self>> {
        let mut by_space: HashMap<Uuid, Vec<Listed>> = HashMap::new();
        for (segment, space) in listed {
            by_space.entry(space.unwrap_or_default()).or_default().push(*segment);
        }
        // Those without codes.
        by_space.remove(&Uuid::nil());
        for (space, segments) in by_space {
            let mut held = 0;
            let groups = segments.chunk_by(|_, next| {
                held += next.chunks * self.code_length as u64;
                let fits = held < AT_ONCE;
                held = if fits { held } else { 0 };
                fits
            });
            let groups: Vec<Vec<Uuid>> =
                groups.map(|group| group.iter().map(|one| one.id).collect()).collect();
            for group in groups {
                let Some(codes) = parts::codes(store, scope, space, &group).await? else { return Ok(None) };
                self = compute(move || self.some(&codes)).await?;
            }
        }
        Ok(Some(self))
    }

    fn some(mut self, group: &BTreeMap<Uuid, Arc<[u8]>>) -> Result<Self> {
        let (places, codes) = (std::mem::take(&mut self.places), std::mem::take(&mut self.codes));
        // The nearest so far stand like a segment before the others.
        let mut ids = vec![Uuid::nil()];
        let mut segments = vec![Codes { bytes: &codes, allowed: None }];
        for (id, bytes) in group {
            ids.push(*id);
            segments.push(Codes { bytes, allowed: self.allowed.ordinals.get(id) });
        }
        for place in bits::scan(&self.question, &segments, self.max)? {
            let (segment, ordinal) = (place.segment as usize, place.ordinal as usize);
            let from = match segment {
                0 => places.get(ordinal).copied(),
                _ => ids.get(segment).map(|id| (*id, place.ordinal)),
            };
            let start = ordinal * self.code_length;
            let code =
                segments.get(segment).and_then(|codes| codes.bytes.get(start..start + self.code_length));
            if let (Some(from), Some(code)) = (from, code) {
                self.places.push(from);
                self.codes.extend_from_slice(code);
            }
        }
        Ok(self)
    }

    /// The chunks that were found; `None` if a segment is not there any more.
    async fn resolve(
        self,
        store: &SqlStore,
        scope: &Scope,
        known: HashMap<Uuid, Arc<Header>>,
    ) -> Result<Option<Vec<Uuid>>> {
        let headers = if known.is_empty() {
            let segments: HashSet<Uuid> = self.places.iter().map(|(segment, _)| *segment).collect();
            let segments: Vec<Uuid> = segments.into_iter().collect();
            let Some(headers) = parts::headers(store, scope, &segments).await? else { return Ok(None) };
            headers
        } else {
            known
        };
        let chunk =
            |(segment, ordinal): &(Uuid, u32)| headers.get(segment)?.chunks.get(*ordinal as usize).copied();
        let mut chunks: Vec<Uuid> = self.places.iter().filter_map(chunk).collect();
        chunks.sort_unstable();
        chunks.dedup();
        Ok(Some(chunks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_at_once_or_one_by_one_are_the_same() {
        let vector = |seed: u32| -> Vec<f32> {
            (0..100_u32).map(|n| ((seed * 7_919 + n * 104_729) % 1_009) as f32 - 504.0).collect()
        };
        let segment = |n: u32| -> (Uuid, Arc<[u8]>) {
            let mut codes = Vec::new();
            (0..50).for_each(|chunk| bits::code(&vector(n * 50 + chunk), &mut codes));
            (Uuid::from_u128(n.into()), codes.into())
        };
        let scan = || Scan::new(&vector(1), 30, Allowed::default());
        let all = (1..=4).map(segment).collect();
        let mut at_once = scan().some(&all).unwrap().places;
        let mut one_by_one = scan();
        for n in 1..=4 {
            one_by_one = one_by_one.some(&BTreeMap::from([segment(n)])).unwrap();
        }
        assert_eq!(one_by_one.codes.len(), 30 * bits::code_length(100));
        let mut one_by_one = one_by_one.places;
        at_once.sort_unstable();
        one_by_one.sort_unstable();
        assert_eq!(at_once.len(), 30);
        assert!(at_once.iter().filter(|place| one_by_one.contains(place)).count() >= 28, "but for ties");
    }
}
