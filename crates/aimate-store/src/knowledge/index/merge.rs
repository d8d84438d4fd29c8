//! Merging small segments, so that a search looks into few, and writing those anew of
//! which many documents have other values than they had.

use std::sync::Arc;

use aimate_core::{CollectionId, Result, Scope};
use aimate_index::merge_policy::LogMergePolicy;

use super::change::{IndexChange, NewSegment};
use super::changed;
use super::load::{active_space, load};
use super::segment_reader::sizes;
use crate::SqlStore;
use crate::knowledge::blocking::compute;
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error, is_stored};

/// See [`SearchIndex::merge`](aimate_core::knowledge::SearchIndex::merge).
///
/// The old segments stay as they are until the transaction puts the new one in
/// their place, so searches go on meanwhile and find the same before and after. Had
/// somebody replaced one of them by then (a document was deleted), the statement
/// that removes them touches too few rows, and nothing is stored.
pub(in crate::knowledge) async fn merge(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
) -> Result<bool> {
    let _writing = store.index.lock_writers(std::iter::once(collection)).await;
    for _ in 0..MAX_ATTEMPTS {
        let sizes = sizes(store, scope, collection).await?;
        let mut candidates = LogMergePolicy::default().candidates(sizes.clone());
        if candidates.is_empty() {
            candidates.extend(changed::outdated(store, scope, collection, &sizes).await?);
        }
        if candidates.is_empty() {
            return Ok(false);
        }
        let changed = changed::of_segments(store, scope, collection, &candidates).await?;
        let active = active_space(store, scope, collection).await?;
        let Some(old) = load(store, scope, &candidates).await? else { continue };
        let mut change = IndexChange::new(collection, active);
        change.removed = candidates;
        let ids = Arc::clone(&store.ids);
        change.added = compute(move || Ok(vec![NewSegment::merged(ids.next(), old, changed)?])).await?;
        let mut statements = change.remove_statements(scope);
        statements.extend(change.add_statements(scope)?);
        if is_stored(store.database.transaction_of(statements).await)? {
            return Ok(true);
        }
    }
    Err(contention_error())
}
