//! Changing and deleting documents: in the scope of who owns their collection.

use std::collections::{BTreeMap, HashMap};

use super::super::access::changing;
use super::Knowledge;
use crate::error::{Error, Result};
use crate::id::{CollectionId, DocumentId};
use crate::knowledge::{Document, DocumentError, DocumentErrorCode, DocumentMove};
use crate::scope::Scope;

impl Knowledge {
    /// The scope that owns a collection which the user may change.
    pub(super) async fn owner_of(&self, id: CollectionId) -> Result<Scope> {
        changing(&self.scope, &self.engine.inner.stores.collections.config(&self.scope, id).await?)
    }

    /// The documents that are there, by the scope that owns them, if the user may change them.
    async fn changing(&self, ids: &[DocumentId]) -> Result<Vec<(Result<Scope>, Vec<Document>)>> {
        let found = self.engine.inner.stores.documents.get_many(&self.scope, ids).await?;
        let mut by_collection: BTreeMap<CollectionId, Vec<Document>> = BTreeMap::new();
        for document in found {
            by_collection.entry(document.collection_id).or_default().push(document);
        }
        let mut all = Vec::new();
        for (collection, documents) in by_collection {
            all.push((self.owner_of(collection).await, documents));
        }
        Ok(all)
    }

    /// Stops the reading of a document that waits or is being read: it is
    /// `failed` then; what it would have replaced stays findable.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, id: DocumentId) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        let reason = DocumentError {
            code: DocumentErrorCode::Cancelled,
            detail: "somebody stopped it before it was read; add it again to read it".to_owned(),
        };
        let inner = &self.engine.inner;
        let (store, now) = (&inner.stores.documents, inner.sources.now());
        let found = store.get(&self.scope, id).await?;
        let owner = self.owner_of(found.collection_id).await?;
        let cancelled = store.cancel(&owner, id, &reason, now).await?;
        inner.knowledge.ended.tell(&[id]);
        Ok(cancelled)
    }

    /// Reads a document that is `failed` again, from the bytes that are stored; one that is not
    /// stays as it is.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` to who may not change it.
    pub async fn retry(&self, id: DocumentId) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let found = inner.stores.documents.get(&self.scope, id).await?;
        let owner = self.owner_of(found.collection_id).await?;
        let document = inner.stores.ingest.retry(&owner, id, inner.sources.now()).await?;
        inner.knowledge.added.notify_one();
        Ok(document)
    }

    /// Gives documents other names and sources without reading them again, in
    /// one commit: they may take each other's.
    ///
    /// # Errors
    /// `NotFound` if one is not there; `Conflict` if a source is one of a
    /// document that is not moved. Nothing is changed then.
    pub async fn rename_documents(&self, moves: &[DocumentMove]) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let (store, now) = (&inner.stores.documents, inner.sources.now());
        let ids: Vec<_> = moves.iter().map(|moved| moved.id).collect();
        let mut owner = None;
        let mut collections = Vec::new();
        for (scope, documents) in self.changing(&ids).await? {
            let scope = scope?;
            collections.extend(documents.first().map(|first| (scope, first.collection_id)));
            // One commit is in one owner's scope.
            if owner.replace(scope).is_some_and(|other| other != scope) {
                return Err(Error::invalid(
                    "the documents belong to several owners; move those of each by themselves",
                ));
            }
        }
        store.rename(&owner.unwrap_or(self.scope), moves, now).await?;
        for (owner, collection) in collections {
            inner.knowledge.refiled.add(owner, collection);
        }
        Ok(())
    }

    /// Deletes a document: its bytes, text, chunks, vectors and index entries.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if it is in a shared collection and the scope is no
    /// admin's.
    pub async fn delete(&self, id: DocumentId) -> Result<()> {
        let found = self.document(id).await?;
        self.owner_of(found.collection_id).await?;
        self.delete_many(&[id]).await
    }

    /// Deletes several documents together; ids that are not there, or that the user may
    /// not delete, are passed over. Those of each owner go in one commit.
    ///
    /// # Errors
    /// What the store says.
    pub async fn delete_many(&self, ids: &[DocumentId]) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let store = &self.engine.inner.stores.documents;
        let mut of_owners: HashMap<Scope, Vec<DocumentId>> = HashMap::new();
        for (owner, documents) in self.changing(ids).await? {
            let Ok(owner) = owner else { continue };
            of_owners.entry(owner).or_default().extend(documents.iter().map(|document| document.id));
        }
        let mut blobs = Vec::new();
        for (owner, ids) in of_owners {
            blobs.extend(store.delete(&owner, &ids).await?);
        }
        self.engine.inner.knowledge.ended.tell(ids);
        self.engine.remove_bytes(!blobs.is_empty()).await;
        Ok(())
    }
}
