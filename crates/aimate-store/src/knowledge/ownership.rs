//! Whether something is the scope's user's, for methods that did nothing and have
//! to say why.

use aimate_core::knowledge::SpaceStatus;
use aimate_core::{CollectionId, DocumentId, Error, Result, Scope, SpaceId};

use crate::SqlStore;
use crate::database::{Row, Sql};
use crate::page::or_not_found;

const COLLECTION: Sql =
    Sql::Same("SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const DOCUMENT: Sql = Sql::Same("SELECT id FROM documents WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const SPACE: Sql = Sql::Same(
    "SELECT s.id, s.collection_id, s.dimensions, s.status FROM collections c \
     JOIN spaces s ON s.tenant_id = c.tenant_id AND s.collection_id = c.id \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND s.id = $3",
);

/// Fails unless the collection is the user's.
pub(super) async fn check_collection(store: &SqlStore, scope: &Scope, id: CollectionId) -> Result<()> {
    let row = store.database.read_first(COLLECTION.scoped(scope).bind(id)).await?;
    or_not_found(row.map(drop), || Error::missing("collection", id))
}

/// Fails unless the document is the user's.
pub(super) async fn check_document(store: &SqlStore, scope: &Scope, id: DocumentId) -> Result<()> {
    let row = store.database.read_first(DOCUMENT.scoped(scope).bind(id)).await?;
    or_not_found(row.map(drop), || Error::missing("document", id))
}

/// What has to be known of an embedding space before something is done with it.
pub(super) struct SpaceRow {
    pub(super) id: SpaceId,
    pub(super) collection: CollectionId,
    pub(super) dimensions: usize,
    pub(super) status: SpaceStatus,
}

impl SpaceRow {
    pub(super) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            collection: row.get("collection_id")?,
            dimensions: row.get::<u32>("dimensions")? as usize,
            status: row.name("status")?,
        })
    }
}

/// The space, if it is the user's.
pub(super) async fn space(store: &SqlStore, scope: &Scope, id: SpaceId) -> Result<SpaceRow> {
    let row = store.database.read_first(SPACE.scoped(scope).bind(id)).await?;
    SpaceRow::of(&or_not_found(row, || Error::missing("embedding space", id))?)
}
