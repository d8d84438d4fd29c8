//! Which chunks a filter lets through.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aimate_core::knowledge::SearchScope;
use aimate_core::{DocumentId, Result, Scope};
use aimate_index::{DocIdSet, SegmentHeader};
use uuid::Uuid;

use crate::SqlStore;
use crate::knowledge::filter;

/// The documents that pass the target's filter; `None` if it has none.
pub(super) async fn passing_documents(
    store: &SqlStore,
    scope: &Scope,
    target: &SearchScope,
) -> Result<Option<HashSet<DocumentId>>> {
    match &target.filter {
        Some(filter) => filter::allowed(store, scope, &target.collections, filter).await.map(Some),
        None => Ok(None),
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

impl AllowedChunks {
    /// The chunks of the documents `passing`; all if it is `None`.
    pub(super) fn of(
        headers: &HashMap<Uuid, Arc<SegmentHeader>>,
        passing: Option<&HashSet<DocumentId>>,
    ) -> Self {
        let mut allowed = Self::default();
        let Some(passing) = passing else { return allowed };
        for (segment, header) in headers {
            let docs = header.docs_of(|document| passing.contains(&DocumentId(document)));
            allowed.filtered += u64::from(header.chunk_count()).saturating_sub(docs.len());
            allowed.docs.insert(*segment, docs);
        }
        allowed
    }
}
