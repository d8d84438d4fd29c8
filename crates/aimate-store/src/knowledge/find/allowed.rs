//! Which chunks a filter lets through.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aimate_core::knowledge::{Filter, SearchScope};
use aimate_core::{DocumentId, Result, Scope};
use aimate_index::{DocIdSet, SegmentHeader};
use uuid::Uuid;

use crate::SqlStore;
use crate::knowledge::blocking::compute;
use crate::knowledge::filter::{self, BlocksByTerm, ChangedDocuments, Condition, SegmentAttributes};
use crate::knowledge::index::{FirstTerms, TermBlockId, first_terms, headers, term_blocks};

/// Blocks of attributes that a filter holds, of about 16 KiB. One that looks through more,
/// for a part of texts that are all different, is asked of the database.
const MAX_BLOCKS: usize = 2048;

/// A filter on its way through the segments.
pub(super) struct SearchFilter<'a> {
    filter: &'a Filter,
    changed: ChangedDocuments,
}

impl<'a> SearchFilter<'a> {
    /// The target's filter, if it has one. To be read before segments are listed.
    pub(super) async fn read(
        store: &SqlStore,
        scope: &Scope,
        target: &'a SearchScope,
    ) -> Result<Option<Self>> {
        let Some(filter) = &target.filter else { return Ok(None) };
        let changed = filter::changed(store, scope, target, filter).await?;
        Ok(Some(Self { filter, changed }))
    }
}

/// Which chunks of segments pass a filter.
#[derive(Default)]
pub(super) struct AllowedChunks {
    /// All of a segment's if it is not in here.
    pub(super) docs: HashMap<Uuid, DocIdSet>,
    /// How many chunks do not pass.
    pub(super) filtered: u64,
}

/// The headers of segments.
pub(super) type Headers = HashMap<Uuid, Arc<SegmentHeader>>;

impl AllowedChunks {
    /// The chunks of the segments that pass, and the segments' headers; all chunks, and no
    /// headers, if there is no filter. `None` if a segment is not there any more.
    pub(super) async fn read(
        store: &SqlStore,
        scope: &Scope,
        target: &SearchScope,
        filter: Option<SearchFilter<'_>>,
        segments: &[Uuid],
    ) -> Result<Option<(Self, Headers)>> {
        let Some(filter) = filter else { return Ok(Some((Self::default(), HashMap::new()))) };
        let Some(headers) = headers(store, scope, segments).await? else { return Ok(None) };
        let Some(attributes) =
            FilteredSegments::read(store, scope, filter.filter, segments, &headers).await?
        else {
            return Ok(None);
        };
        if let Some(attributes) = attributes
            && let Some(allowed) = compute(move || attributes.allowed(&filter.changed)).await?
        {
            return Ok(Some((allowed, headers)));
        }
        let passing = filter::passing(store, scope, target, filter.filter).await?;
        let mut allowed = Self::default();
        for (segment, header) in &headers {
            let docs = header.docs_of(|document| passing.contains(&DocumentId(document)));
            allowed.add(*segment, header, docs);
        }
        Ok(Some((allowed, headers)))
    }

    /// Whether no chunk of the segment passes.
    pub(super) fn excludes(&self, segment: Uuid) -> bool {
        self.docs.get(&segment).is_some_and(DocIdSet::is_empty)
    }

    fn add(&mut self, segment: Uuid, header: &SegmentHeader, docs: DocIdSet) {
        self.filtered += u64::from(header.chunk_count()).saturating_sub(docs.len());
        self.docs.insert(segment, docs);
    }
}

/// A condition with all that it needs of the segments.
struct FilteredSegments {
    condition: Condition,
    segments: HashMap<Uuid, SegmentAttributes>,
}

impl FilteredSegments {
    /// `None` if a segment is not there any more, and within it if this would be too much.
    async fn read(
        store: &SqlStore,
        scope: &Scope,
        filter: &Filter,
        segments: &[Uuid],
        headers: &Headers,
    ) -> Result<Option<Option<Self>>> {
        let condition = Condition::of(filter)?;
        let Some(first_terms) = first_terms(store, scope, segments).await? else { return Ok(None) };
        let mut wanted: BTreeSet<TermBlockId> = BTreeSet::new();
        let mut places = Vec::new();
        for (segment, first_terms) in &first_terms {
            places.clear();
            condition.blocks(first_terms, &mut places);
            // Many values stand in one block.
            places.sort_unstable();
            places.dedup();
            let terms = places.iter().filter_map(|place| first_terms.get(*place));
            wanted.extend(terms.map(|term| (*segment, term.clone())));
            if wanted.len() > MAX_BLOCKS {
                return Ok(Some(None));
            }
        }
        let wanted: Vec<TermBlockId> = wanted.into_iter().collect();
        let Some(blocks) = term_blocks(store, scope, &wanted).await? else { return Ok(None) };
        let mut of_segments: HashMap<Uuid, BlocksByTerm> = HashMap::new();
        for ((segment, term), block) in blocks {
            of_segments.entry(segment).or_default().insert(term, block);
        }
        let attributes = |(segment, first_terms): (Uuid, FirstTerms)| {
            let header = Arc::clone(headers.get(&segment)?);
            let blocks = of_segments.remove(&segment).unwrap_or_default();
            Some((segment, SegmentAttributes { header, first_terms, blocks }))
        };
        let segments = first_terms.into_iter().filter_map(attributes).collect();
        Ok(Some(Some(Self { condition, segments })))
    }

    /// The chunks that pass; `None` if the attributes do not tell.
    fn allowed(&self, changed: &ChangedDocuments) -> Result<Option<AllowedChunks>> {
        // One that was replaced meanwhile has its documents in any of the others.
        let is_listed = changed.segments.iter().all(|segment| self.segments.contains_key(segment));
        let mut allowed = AllowedChunks::default();
        for (segment, attributes) in &self.segments {
            let Some(mut documents) = self.condition.documents(attributes)? else { return Ok(None) };
            let header = &attributes.header;
            if !changed.passes.is_empty() && (!is_listed || changed.segments.contains(segment)) {
                for (number, document) in (0..).zip(&header.documents) {
                    match changed.passes.get(document) {
                        Some(true) => documents.insert(number),
                        Some(false) => documents.remove(number),
                        None => {}
                    }
                }
            }
            allowed.add(*segment, header, header.docs_in(&documents));
        }
        Ok(Some(allowed))
    }
}
