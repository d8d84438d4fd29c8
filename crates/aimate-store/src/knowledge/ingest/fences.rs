//! The fences of documents that are worked on.
//!
//! A fence is a document with the attempt of the work on it. Every statement that
//! stores work names it, so that a worker that lost its lease, and does not know it
//! yet, changes nothing any more.

use std::collections::{HashMap, HashSet};

use aimate_core::knowledge::{Fence, SpaceVectors};
use aimate_core::{CollectionId, DocumentId, Error, Result, Scope};
use uuid::Uuid;

use crate::database::{Sql, Statement};
use crate::knowledge::ownership::SpaceRow;
use crate::knowledge::vector::{self, NewVector};
use crate::page::or_not_found;
use crate::{Kind, SqlStore};

/// One row without a space if the collection has none.
const SPACES: Sql = Sql::Same(
    "SELECT c.id AS collection_id, s.id, s.dimensions, s.status FROM collections c \
     LEFT JOIN spaces s ON s.tenant_id = c.tenant_id AND s.collection_id = c.id \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3",
);
/// Those of the documents `$4` that somebody works on. PostgreSQL is kept from the
/// indexes on the status and the collection: it would look through all that are
/// processed, or all of the collection, for the few that are named by their id.
const FENCED: Sql = Sql::Each {
    sqlite: "SELECT id, attempt, segment_id, attributes_version, name, source, CAST(metadata AS text) AS metadata \
        FROM documents WHERE tenant_id = $1 AND user_id = $2 \
        AND collection_id IS NOT DISTINCT FROM $3 AND status || '' = 'processing' \
        AND id IN (SELECT unhex(value) FROM json_each($4))",
    postgres: "SELECT id, attempt, segment_id, attributes_version, name, source, CAST(metadata AS text) AS metadata \
        FROM documents WHERE tenant_id = $1 AND user_id = $2 \
        AND collection_id IS NOT DISTINCT FROM $3 AND status || '' = 'processing' AND id = ANY($4)",
};

/// Documents that somebody works on, and the spaces of their collection.
pub(super) struct FencedDocuments {
    /// The fences that hold.
    pub(super) fences: HashMap<Fence, FencedDocument>,
    pub(super) spaces: Vec<SpaceRow>,
}

/// What is stored of a document that somebody works on.
pub(super) struct FencedDocument {
    /// That its old version is found in.
    pub(super) segment: Option<Uuid>,
    /// Of what follows, and is filtered by.
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) source: Option<String>,
    /// As JSON.
    pub(super) metadata: String,
}

impl FencedDocuments {
    /// Those of `fences` that hold at this moment. Whoever stores something checks
    /// them again in its transaction.
    pub(super) async fn read(
        store: &SqlStore,
        scope: &Scope,
        collection: CollectionId,
        fences: &[Fence],
    ) -> Result<Self> {
        let rows = store.database.read(SPACES.scoped(scope).bind(collection)).await?;
        or_not_found(rows.first(), || Error::missing("collection", collection))?;
        let mut spaces = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.maybe::<Uuid>("id")?.is_some() {
                spaces.push(SpaceRow::of(row)?);
            }
        }
        let ids: Vec<Uuid> = fences.iter().map(|fence| fence.document.0).collect();
        let rows = store.database.read(FENCED.scoped(scope).bind(collection).bind(ids)).await?;
        let fenced = rows.iter().map(|row| {
            let fence = Fence { document: row.get("id")?, attempt: row.get("attempt")? };
            let document = FencedDocument {
                segment: row.maybe("segment_id")?,
                version: row.get("attributes_version")?,
                name: row.get("name")?,
                source: row.maybe("source")?,
                metadata: row.get("metadata")?,
            };
            Ok((fence, document))
        });
        let mut held = fenced.collect::<Result<HashMap<_, _>>>()?;
        held.retain(|fence, _| fences.contains(fence));
        Ok(Self { fences: held, spaces })
    }

    /// Whether this is the first attempt at all of them: then nothing of them is
    /// stored but themselves, and nothing has to be replaced.
    pub(super) fn is_first_attempt(&self) -> bool {
        self.fences.keys().all(|fence| fence.attempt == 1)
    }

    /// The statements that store those of the vectors whose document's fence holds;
    /// in place of what is there, if something `may_exist`.
    pub(super) fn store_vectors(
        &self,
        kind: Kind,
        scope: &Scope,
        vectors: &[SpaceVectors],
        may_exist: bool,
    ) -> Result<Vec<Statement>> {
        let documents: HashSet<DocumentId> = self.fences.keys().map(|fence| fence.document).collect();
        let mut statements = Vec::new();
        for vectors in vectors {
            let space = self.spaces.iter().find(|space| space.id == vectors.space);
            let space = or_not_found(space, || Error::missing("embedding space", vectors.space))?;
            vector::check(vectors, space.dimensions)?;
            let rows: Vec<&NewVector> =
                vectors.vectors.iter().filter(|(_, document, _)| documents.contains(document)).collect();
            statements.extend(vector::store(kind, scope, space.id, space.dimensions, &rows, may_exist)?);
        }
        Ok(statements)
    }
}
