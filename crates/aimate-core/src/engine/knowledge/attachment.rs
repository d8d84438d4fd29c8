//! Attaching files to collections.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::Engine;
use super::ingest::LocalFile;
use super::{Collection, Knowledge};
use crate::error::{Error, Result};
use crate::id::{CollectionId, DocumentId, FileBatchId, FileId};
use crate::knowledge::{
    AttachmentCounts, AttachmentFilter, Attachments, BlobContent, Document, DocumentError, DocumentErrorCode,
    FileBatch, NewAttachment,
};
use crate::limit;
use crate::page::{IdRange, Slice};

/// Files of a batch at most.
const MAX_BATCH: usize = 2_000;

impl Engine {
    /// The text of a file of this name and media type.
    ///
    /// # Errors
    /// `Invalid` with its reason if it cannot be read.
    pub(in crate::engine) async fn whole_text(
        &self,
        content: BlobContent,
        name: &str,
        media_type: &str,
    ) -> Result<String> {
        let file = LocalFile::of(content).await?;
        let said = Some(media_type).filter(|media| *media != "application/octet-stream");
        let read = self.inner.knowledge.extractor.extract(file.path(), name, said).await;
        let unreadable = |error: aimate_text::extract::ExtractError| {
            Error::invalid(format!("`{name}` could not be read: {}", error.message))
        };
        Ok(read.map_err(unreadable)?.text)
    }
}

impl Knowledge {
    /// Attaches one of the user's files to a collection: a document that reads the file's
    /// bytes. It is `pending` then; [`Knowledge::wait_at_most`] waits until it can be found. A
    /// file that the collection has already is read again, with the new metadata and
    /// chunking.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if there is no such collection or file, or the
    /// collection has expired; `Forbidden` to who may not change the collection; `TooLarge` if it is
    /// more than its owner's, or the tenant's, quota.
    pub async fn attach(&self, collection: CollectionId, new: NewAttachment) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        let file = new.file;
        let attached = self.attach_all(collection, None, vec![new]).await?;
        attached.into_iter().next().ok_or_else(|| Error::missing("file", file))
    }

    /// Attaches several files together, at most 2,000, each once: all of them or none.
    ///
    /// # Errors
    /// See [`Knowledge::attach`].
    pub async fn attach_batch(
        &self,
        collection: CollectionId,
        files: Vec<NewAttachment>,
    ) -> Result<FileBatch> {
        self.engine.admit(&self.scope).await?;
        if files.len() > MAX_BATCH {
            let message = format!("has {} files; the most is {MAX_BATCH}", files.len());
            return Err(Error::field("files", message));
        }
        let batch: FileBatchId = self.engine.inner.sources.id();
        self.attach_all(collection, Some(batch), files).await?;
        self.batch(collection, batch).await
    }

    async fn attach_all(
        &self,
        collection: CollectionId,
        batch: Option<FileBatchId>,
        files: Vec<NewAttachment>,
    ) -> Result<Vec<Document>> {
        self.engine.accepting()?;
        let inner = &self.engine.inner;
        let owner = self.owner_of(collection).await?;
        self.use_collections(&[collection]).await?;
        let now = inner.sources.now();
        let mut once: Vec<NewAttachment> = Vec::with_capacity(files.len());
        let mut known = HashSet::new();
        for new in files {
            new.check()?;
            if known.insert(new.file) {
                once.push(new);
            }
        }
        // Says which, if one is not there.
        let ids: Vec<FileId> = once.iter().map(|new| new.file).collect();
        let found = inner.stores.files.get_many(&self.scope, &ids, now).await?;
        let found: HashSet<FileId> = found.iter().map(|file| file.id).collect();
        if let Some(missing) = ids.iter().find(|id| !found.contains(id)) {
            return Err(Error::missing("file", missing));
        }
        // Who attaches the same ones at once locks them in the same order.
        once.sort_by_key(|new| new.file);
        let files = once.into_iter().map(|new| (inner.sources.id(), new)).collect();
        let quotas = inner.storage_quotas.of_owner(&owner);
        let attachments = Attachments { collection, file_owner: self.scope.user, batch, files, quotas, now };
        let knowledge = Self { scope: owner, engine: self.engine.for_task() };
        // In the engine's own task: a caller who goes away now must not leave it open
        // whether they are stored.
        let stored = inner.tasks.spawn(async move {
            let inner = &knowledge.engine.inner;
            let documents = inner.stores.attachments.attach(&knowledge.scope, &attachments).await;
            inner.knowledge.added.notify_one();
            documents
        });
        stored.await.map_err(|error| Error::internal("the files could not be attached").with_source(error))?
    }

    /// Notes that collections are used, for their expiry.
    ///
    /// # Errors
    /// `NotFound` if one is not there, or has expired.
    pub(super) async fn use_collections(&self, ids: &[CollectionId]) -> Result<()> {
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let wanted: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let found = inner.stores.collections.configs(&self.scope, &wanted).await?;
        if let Some(expired) = found.iter().find(|config| config.has_expired(now)) {
            return Err(Error::not_found(format!(
                "collection {} has expired, since nobody used it; change it to use it again",
                expired.id
            )));
        }
        for config in found {
            inner.stores.collections.touch(&self.scope, config.id, now).await?;
        }
        Ok(())
    }

    /// Waits until each of some documents is `ready` or `failed`, but no longer than
    /// `at_most`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn wait_at_most(&self, ids: &[DocumentId], at_most: Duration) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        match tokio::time::timeout(at_most, self.wait_for_all(ids)).await {
            Ok(waited) => waited.map(drop),
            Err(_) => Ok(()),
        }
    }

    /// The document of a collection that was attached from this file, or, if it was added by
    /// itself, has this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attached(&self, collection: CollectionId, key: FileId) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.attachments.get(&self.scope, collection, key, inner.sources.now()).await
    }

    /// The documents of a collection, by the file that they were attached from.
    ///
    /// # Errors
    /// `NotFound` if there is no such collection, or no such batch in it.
    pub async fn attached_files(
        &self,
        collection: CollectionId,
        filter: AttachmentFilter,
        range: IdRange,
    ) -> Result<Slice<Document>> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        if let Some(batch) = filter.batch {
            inner.stores.attachments.batch(&self.scope, collection, batch).await?;
        } else {
            inner.stores.collections.config(&self.scope, collection).await?;
        }
        let now = inner.sources.now();
        inner.stores.attachments.list(&self.scope, collection, filter, range, now).await
    }

    /// Gives a document other metadata, all of it, without reading it again: filters go by it
    /// at once.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound`; `Forbidden` to who may not change it.
    pub async fn set_metadata(&self, id: DocumentId, metadata: &Map<String, Value>) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        limit::metadata("metadata", metadata)?;
        let inner = &self.engine.inner;
        let found = inner.stores.documents.get(&self.scope, id).await?;
        let owner = self.owner_of(found.collection_id).await?;
        let changed =
            inner.stores.attachments.set_metadata(&owner, id, metadata, inner.sources.now()).await?;
        inner.knowledge.refiled.add(owner, found.collection_id);
        Ok(changed)
    }

    /// The text of a document, read from its bytes anew.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` with its reason if it cannot be read.
    pub async fn text(&self, id: DocumentId) -> Result<String> {
        let (document, content) = self.content(id).await?;
        self.engine.whole_text(content, &document.name, &document.media_type).await
    }

    /// A batch.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn batch(&self, collection: CollectionId, id: FileBatchId) -> Result<FileBatch> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.attachments.batch(&self.scope, collection, id).await
    }

    /// Cancels a batch: what has not begun to be read is not read. Again, it changes
    /// nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` to who may not change the collection.
    pub async fn cancel_batch(&self, collection: CollectionId, id: FileBatchId) -> Result<FileBatch> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let owner = self.owner_of(collection).await?;
        let reason = DocumentError {
            code: DocumentErrorCode::Cancelled,
            detail: "its batch was cancelled before it was read; attach it again to read it".to_owned(),
        };
        let now = inner.sources.now();
        inner.stores.attachments.cancel_batch(&owner, collection, id, &reason, now).await
    }

    /// The collections that the user made and those that the tenant shares, by when they were
    /// made.
    ///
    /// # Errors
    /// What the store says.
    pub async fn collections_in(&self, range: IdRange) -> Result<Slice<Collection>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.collections.range(&self.scope, range).await
    }

    /// How many documents of each status collections have, in their order.
    ///
    /// # Errors
    /// What the store says.
    pub async fn attachment_counts(&self, collections: &[CollectionId]) -> Result<Vec<AttachmentCounts>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.attachments.counts(&self.scope, collections).await
    }
}
