//! Putting small segments together, so that a search looks into few.

use aimate_core::{CollectionId, Error, Result, Scope};
use aimate_index::merge_policy::LogMergePolicy;
use uuid::Uuid;

use super::{Added, Change, active, load};
use crate::SqlStore;
use crate::knowledge::step::run;
use crate::knowledge::{TRIES, again, compute};
use crate::row::Columns as _;
use crate::statement::scoped;

/// One row without a segment if the collection has none.
const SIZES: &str = "SELECT c.id AS collection_id, g.id, g.chunk_count FROM collections c \
    LEFT JOIN segments g ON g.tenant_id = c.tenant_id AND g.collection_id = c.id \
    WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3";

/// See [`SearchIndex::merge`](aimate_core::knowledge::SearchIndex::merge).
pub(in crate::knowledge) async fn merge(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
) -> Result<bool> {
    let _replacing = store.index.replacing(std::iter::once(collection)).await;
    for _ in 0..TRIES {
        let sizes = sizes(store, scope, collection).await?;
        let chosen = LogMergePolicy::default().candidates(sizes);
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
