//! Putting small segments together, so that a search looks into few.

use aimate_core::{CollectionId, Error, Result, Scope};
use uuid::Uuid;

use super::{Added, Change, active, load};
use crate::SqlStore;
use crate::knowledge::step::run;
use crate::knowledge::{TRIES, again, compute};
use crate::row::Columns as _;
use crate::statement::scoped;

/// Segments of one tier that are put together; a tier's segments are eight
/// times as large as those of the one below.
const WIDTH: usize = 8;
/// Chunks of a segment at most: one that is rewritten is held in memory.
const MAX_CHUNKS: u64 = 32_768;

/// One row without a segment if the collection has none.
const SIZES: &str = "SELECT c.id AS collection_id, g.id, g.chunk_count FROM collections c \
    LEFT JOIN segments g ON g.tenant_id = c.tenant_id AND g.collection_id = c.id \
    WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3";

/// See [`merge_index`](aimate_core::knowledge::KnowledgeStore::merge_index).
pub(in crate::knowledge) async fn merge(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
) -> Result<bool> {
    let _replacing = store.index.replacing(std::iter::once(collection)).await;
    for _ in 0..TRIES {
        let sizes = sizes(store, scope, collection).await?;
        let chosen = choose(sizes);
        if chosen.is_empty() {
            return Ok(false);
        }
        let active = active(store, scope, collection).await?;
        let Some(parts) = load(store, scope, &chosen).await? else { continue };
        let mut change = Change::new(collection, active);
        change.removed = chosen;
        change.added = compute(move || Ok(vec![Added::merged(parts)?])).await?;
        let mut steps = change.take_out(scope);
        steps.extend(change.put_in(scope));
        if run(store, steps).await? {
            return Ok(true);
        }
    }
    Err(again())
}

async fn sizes(store: &SqlStore, scope: &Scope, collection: CollectionId) -> Result<Vec<(u64, Uuid)>> {
    let rows: Vec<Option<(u64, Uuid)>> = on!(store, |db| {
        let rows = db.read(scoped(SIZES, scope).bind(collection.0)).await?;
        let sizes = rows.iter().map(|row| match row.maybe("id")? {
            Some(id) => Ok(Some((row.get("chunk_count")?, id))),
            None => Ok(None),
        });
        sizes.collect::<Result<_>>()?
    });
    if rows.is_empty() {
        return Err(Error::missing("collection", collection));
    }
    Ok(rows.into_iter().flatten().collect())
}

/// The segments to put together: of the lowest tier that is full, the smallest
/// ones. Segments of more than half the most chunks stay as they are.
fn choose(mut sizes: Vec<(u64, Uuid)>) -> Vec<Uuid> {
    sizes.retain(|(chunks, _)| *chunks <= MAX_CHUNKS / 2);
    sizes.sort_unstable();
    let tier = |chunks: u64| chunks.max(1).ilog(WIDTH as u64);
    for group in sizes.chunk_by(|(a, _), (b, _)| tier(*a) == tier(*b)) {
        if group.len() < WIDTH {
            continue;
        }
        let mut total = 0;
        let fits = group.iter().take_while(|(chunks, _)| {
            total += chunks;
            total <= MAX_CHUNKS
        });
        return fits.map(|(_, id)| *id).collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(sizes: &[u64]) -> Vec<(u64, Uuid)> {
        sizes.iter().enumerate().map(|(n, size)| (*size, Uuid::from_u128(n as u128))).collect()
    }

    #[test]
    fn a_full_tier_is_put_together() {
        assert!(choose(sizes(&[1, 2, 3, 4, 5, 6, 7])).is_empty());
        assert_eq!(choose(sizes(&[1, 2, 3, 4, 5, 6, 7, 1])).len(), 8);
        assert!(choose(sizes(&[1, 2, 3, 4, 5, 6, 7, 8])).is_empty(), "8 is of another tier");
        assert_eq!(choose(sizes(&[500; 30])).len(), 30);
    }

    #[test]
    fn segments_stay_within_the_most_chunks() {
        assert_eq!(choose(sizes(&[5000; 8])).len(), 6);
        assert_eq!(choose(sizes(&[16_384; 8])).len(), 2);
        assert!(choose(sizes(&[16_385; 20])).is_empty());
    }
}
