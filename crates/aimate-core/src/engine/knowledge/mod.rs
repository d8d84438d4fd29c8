//! Managing a user's knowledge: collections and their documents.

mod attachment;
mod blob;
mod change;
mod embedder;
mod fetch;
mod ingest;
mod room;
mod search;
mod search_files;
mod space;
mod wait;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aimate_text::extract::Extractor;
use futures_util::stream::{self, StreamExt};
use tokio::sync::Notify;

use super::Engine;
use super::access::{changing, may_change, owner};
use super::held::Held;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{CollectionId, DocumentId, WorkspaceId};
use crate::knowledge::{
    BlobContent, ByteStream, Chunk, Collection, CollectionChange, CollectionConfig, DEFAULT_COLLECTION,
    Document, DocumentFilter, DocumentStatus, Embedder, EmbeddingSpace, Fetcher, NewCollection, NewDocument,
    Reranker, Retriever, Scripts, SpaceStatus,
};
use crate::limit;
use crate::media_type::MediaType;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::workspace::WorkspaceRole;

pub(super) use blob::{BlobServices, Upload};
pub(super) use ingest::{LocalFile, RefiledDocuments};
pub use search_files::{FileHit, FileSearch};
pub(super) use wait::EndedDocuments;

/// Bytes of a document at most.
pub const MAX_BYTES: u64 = 1 << 30;
/// Characters of a label that are in its collection's name.
const MAX_LABEL_IN_NAME: usize = 150;

/// What of the engine serves knowledge.
pub(super) struct KnowledgeServices {
    pub(super) embedders: Vec<Arc<dyn Embedder>>,
    /// `none`, `local`, `local/NAME` or `CONNECTION/MODEL`.
    pub(super) default_embedder: String,
    /// What is said of embedders by name, before what they say themselves.
    pub(super) embedder_scripts: HashMap<String, Scripts>,
    pub(super) reranker: Option<Arc<dyn Reranker>>,
    pub(super) extractor: Extractor,
    pub(super) fetcher: Option<Arc<dyn Fetcher>>,
    /// Documents that are read at once; 0: this process reads none.
    pub(super) readers: usize,
    /// Searches of the application's own, by name.
    pub(super) retrievers: BTreeMap<String, Arc<dyn Retriever>>,
    /// How long each of them may take.
    pub(super) retriever_timeout: Duration,
    /// Fires when a document was added.
    pub(super) added: Notify,
    /// The documents that are ready, or have failed, since this process is done with them.
    pub(super) ended: EndedDocuments,
    /// Fires when a space was made.
    pub(super) space_made: Notify,
    /// Collections whose documents are filtered by other values than before.
    pub(super) refiled: RefiledDocuments,
    /// The documents that this process reads.
    pub(super) held: Held<DocumentId>,
    pub(super) bytes: blob::BlobServices,
}

/// The knowledge of a scope; see [`Engine::knowledge`].
#[derive(Clone, Debug)]
pub struct Knowledge {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The collections and documents of `scope`'s user.
    pub fn knowledge(&self, scope: &Scope) -> Knowledge {
        Knowledge { engine: self.clone(), scope: *scope }
    }
}

impl Knowledge {
    /// Makes a collection, with the vectors of the model it names or of the
    /// engine's default one.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `Conflict` if the name is taken; `NotFound`
    /// if there is no such embedder; `Forbidden` if it is to be shared and the scope is
    /// no admin's; what a model server says when it is asked how long its vectors are.
    pub async fn create_collection(&self, new: NewCollection) -> Result<Collection> {
        self.engine.admit(&self.scope).await?;
        new.check()?;
        self.new_collection(new, None).await
    }

    /// [`Knowledge::create_collection`] for clients that give a name which may be empty, or
    /// another collection's too: `label`, at most 256 characters. The name that `new` has is
    /// replaced by one that is made of the label.
    ///
    /// # Errors
    /// See [`Knowledge::create_collection`].
    pub async fn create_labelled(&self, label: &str, new: NewCollection) -> Result<Collection> {
        self.engine.admit(&self.scope).await?;
        limit::text("label", label, limit::LABEL)?;
        let named = |name| NewCollection { name, ..new.clone() };
        let plain = named(name_of_label(label));
        plain.check()?;
        match self.new_collection(plain, Some(label.to_owned())).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            made => return made,
        }
        let free = named(self.free_name(label));
        self.new_collection(free, Some(label.to_owned())).await
    }

    /// A name made of `label` that nothing has yet.
    fn free_name(&self, label: &str) -> String {
        let id: uuid::Uuid = self.engine.inner.sources.id();
        let id = id.simple().to_string();
        format!("{} ({})", name_of_label(label), id.get(16..).unwrap_or(&id))
    }

    async fn new_collection(&self, new: NewCollection, label: Option<String>) -> Result<Collection> {
        let inner = &self.engine.inner;
        let (id, now) = (inner.sources.id(), inner.sources.now());
        let owner = owner(&self.scope, new.shared, "a collection")?;
        let name = new.embedder.as_deref().unwrap_or(&inner.knowledge.default_embedder);
        let model = self.engine.embedding_model(&owner, name).await?;
        let collection = Collection {
            id,
            name: new.name,
            workspace_id: new.workspace_id,
            description: new.description,
            chunking: new.chunking,
            space: model.map(|model| EmbeddingSpace {
                id: inner.sources.id(),
                collection_id: id,
                model,
                status: SpaceStatus::Active,
                chunk_count: 0,
                error: None,
                created_at: now,
            }),
            metadata: new.metadata,
            label,
            expires_after_days: new.expires_after_days,
            last_active_at: now,
            is_shared: new.shared,
            document_count: 0,
            chunk_count: 0,
            created_at: now,
            updated_at: now,
        };
        inner.stores.collections.create(&owner, &collection).await?;
        Ok(collection)
    }

    /// The collection with this id or name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn collection(&self, id_or_name: &str) -> Result<Collection> {
        self.engine.admit(&self.scope).await?;
        let stores = &self.engine.inner.stores;
        if let Ok(id) = id_or_name.parse::<CollectionId>() {
            return stores.collections.get(&self.scope, id).await;
        }
        stores.collections.get_by_name(&self.scope, id_or_name).await?.ok_or_else(|| {
            Error::not_found(format!("there is no collection `{}`", crate::text::shorten(id_or_name, 64)))
        })
    }

    /// The configuration of the collection with this id: nothing is counted for it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn collection_config(&self, id: CollectionId) -> Result<CollectionConfig> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.collections.config(&self.scope, id).await
    }

    /// The collection of this name, made with defaults if there is none. Where there is
    /// only a shared one, which the user may not add to, one of their own is made.
    ///
    /// # Errors
    /// See [`Knowledge::create_collection`].
    pub async fn collection_or_new(&self, name: &str) -> Result<Collection> {
        match self.collection(name).await {
            Err(error) if error.kind() == ErrorKind::NotFound && name.parse::<CollectionId>().is_err() => {}
            Ok(found) if may_change(&self.scope, found.is_shared, "collection").is_err() => {}
            found => return found,
        }
        match self.create_collection(NewCollection::new(name)).await {
            // Somebody else made it at the same moment.
            Err(error) if error.kind() == ErrorKind::Conflict => self.collection(name).await,
            made => made,
        }
    }

    /// The collections that the user made and those that the tenant shares, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn collections(&self, page: PageRequest) -> Result<Page<Collection>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.collections.list(&self.scope, None, page).await
    }

    /// The collections of a workspace, whoever made them, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn collections_of(
        &self,
        workspace: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<Collection>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.collections.list(&self.scope, Some(workspace), page).await
    }

    /// Changes a collection; see [`CollectionChange`] for what another embedder
    /// means.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound`; `Forbidden` if it is shared and the scope
    /// is no admin's; `Conflict` if the name is taken.
    pub async fn update_collection(
        &self,
        id: CollectionId,
        mut change: CollectionChange,
    ) -> Result<Collection> {
        self.engine.admit(&self.scope).await?;
        change.check()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        if let Some(label) = change.label.as_ref().filter(|_| change.name.is_none()) {
            let known = inner.stores.collections.get(&self.scope, id).await?.label;
            // A name that somebody gave stays what others know it by.
            if known.is_some_and(|known| known != *label) {
                // As it is free: whether the plain one is too, only the change itself can tell.
                change.name = Some(self.free_name(label));
            }
        }
        let config = inner.stores.collections.config(&self.scope, id).await?;
        let owner = changing(&self.scope, &config)?;
        if let Some(into) = change.workspace_id {
            self.check_move(&config, into)?;
        }
        inner.stores.collections.update(&owner, id, &change, now).await?;
        if let Some(name) = &change.embedder {
            self.engine.change_model(&owner, id, name).await?;
        }
        inner.stores.collections.get(&self.scope, id).await
    }

    /// Who made a collection puts it into a workspace; an owner of the workspace, too, takes
    /// it out again.
    fn check_move(&self, config: &CollectionConfig, into: Option<WorkspaceId>) -> Result<()> {
        let is_own = config.owner == self.scope.user;
        if is_own || (into.is_none() && config.role == Some(WorkspaceRole::Owner)) {
            return Ok(());
        }
        if config.is_shared {
            return Err(Error::field("workspace_id", "is for collections that the tenant does not share"));
        }
        Err(Error::forbidden(
            "only who made the collection puts it into a workspace; they or an owner take it out again",
        ))
    }

    /// The collection's spaces, newest first: the active one, one that is being
    /// built, those that it had before.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn spaces(&self, id: CollectionId) -> Result<Vec<EmbeddingSpace>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.spaces.list(&self.scope, id).await
    }

    /// Deletes a collection with all its documents.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if it is shared and the scope is no admin's.
    pub async fn delete_collection(&self, id: CollectionId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let owner = self.owner_of(id).await?;
        let blobs = self.engine.inner.stores.collections.delete(&owner, id).await?;
        self.engine.remove_bytes(!blobs.is_empty()).await;
        Ok(())
    }

    /// Adds a document: keeps its bytes and puts it in the queue. It is
    /// `pending` then; [`Knowledge::wait`] waits until it can be found.
    ///
    /// # Errors
    /// `Invalid`; `NotFound` if there is no such collection; `Forbidden` if it is shared
    /// and the scope is no admin's; `TooLarge`; an error of `bytes`. Nothing is stored
    /// then.
    pub async fn add(
        &self,
        collection: CollectionId,
        new: NewDocument,
        bytes: ByteStream<'_>,
    ) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        self.engine.accepting()?;
        new.check()?;
        let inner = &self.engine.inner;
        // Before the bytes are taken: a wrong id should cost nothing, and a crash
        // from here on leaves nothing.
        let config = inner.stores.collections.config(&self.scope, collection).await?;
        let owner = changing(&self.scope, &config)?;
        if config.notes_use(inner.sources.now()) {
            inner.stores.collections.touch(&self.scope, collection, inner.sources.now()).await?;
        }
        let upload = Upload::begin(&self.engine, &owner, collection).await?;
        self.engine.has_room_for(&owner, new.source.is_some()).await?;
        let stored = inner.stores.blobs.put(upload.blob(), bytes, MAX_BYTES).await?;
        let now = inner.sources.now();
        let document = Document {
            id: inner.sources.id(),
            collection_id: collection,
            title: new.name.clone(),
            name: new.name,
            source: new.source,
            media_type: written_anew(new.media_type.as_deref()),
            size: stored.size,
            content_hash: stored.hash,
            blob_id: upload.blob().id,
            status: DocumentStatus::Pending,
            error: None,
            progress: 0.0,
            chunk_count: 0,
            warnings: Vec::new(),
            metadata: new.metadata,
            file_id: None,
            token_chunking: None,
            created_at: now,
            updated_at: now,
        };
        let knowledge = Self { scope: owner, ..self.clone() };
        // In the engine's own task: a caller who goes away now must not leave it
        // open whether the document is stored.
        let stored = inner.tasks.spawn(async move { knowledge.store_document(&document, upload).await });
        stored
            .await
            .map_err(|error| Error::internal("the document could not be stored").with_source(error))?
    }

    async fn store_document(&self, document: &Document, upload: Upload) -> Result<Document> {
        let inner = &self.engine.inner;
        // After an error the upload is given up: its bytes go unless the document
        // was stored all the same.
        let (stored, former) =
            inner.stores.documents.add(&self.scope, document, &inner.storage_quotas).await?;
        upload.end();
        inner.knowledge.added.notify_one();
        self.engine.remove_bytes(former.is_some()).await;
        Ok(stored)
    }

    /// Adds a text to the collection [`DEFAULT_COLLECTION`] and waits until it
    /// can be found. A text of the same name is replaced.
    ///
    /// # Errors
    /// See [`Knowledge::add`] and [`Knowledge::wait`].
    pub async fn add_text(&self, name: &str, text: impl Into<String>) -> Result<Document> {
        let collection = self.collection_or_new(DEFAULT_COLLECTION).await?;
        let new = NewDocument { source: Some(format!("text:{name}")), ..NewDocument::new(name) };
        let added = self.add_text_to(collection.id, new, text.into()).await?;
        self.wait(added.id).await
    }

    /// Adds a text to a collection; it is `pending` then.
    ///
    /// # Errors
    /// See [`Knowledge::add`].
    pub async fn add_text_to(
        &self,
        collection: CollectionId,
        mut new: NewDocument,
        text: String,
    ) -> Result<Document> {
        new.media_type.get_or_insert_with(|| "text/markdown".to_owned());
        let bytes = stream::once(async move { Ok(text.into_bytes().into()) });
        self.add(collection, new, bytes.boxed()).await
    }

    /// One document.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn document(&self, id: DocumentId) -> Result<Document> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.documents.get(&self.scope, id).await
    }

    /// The documents that pass `filter`, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn documents(&self, filter: &DocumentFilter, page: PageRequest) -> Result<Page<Document>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.documents.list(&self.scope, filter, page).await
    }

    /// The document and its bytes as they were sent: bytes that are not, because
    /// somebody changed the file, are refused.
    ///
    /// # Errors
    /// `NotFound` if there is no such document, or its bytes are gone; `Internal`
    /// if they are others. Of bytes that are in no file on this machine, the stream
    /// says so at its end.
    pub async fn content(&self, id: DocumentId) -> Result<(Document, BlobContent)> {
        let document = self.document(id).await?;
        let content = self.engine.document_bytes(&self.scope, &document).await?;
        Ok((document, content))
    }

    /// The findable chunks of a document in order, `limit` (at most 200) from
    /// place `from` on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn chunks(&self, id: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        self.engine.admit(&self.scope).await?;
        let limit = limit.clamp(1, PageRequest::MAX_LIMIT);
        self.engine.inner.stores.documents.chunks(&self.scope, id, from, limit).await
    }
}

/// The name of a collection that has this label, if it is free.
fn name_of_label(label: &str) -> String {
    let label: String = label.trim().chars().filter(|c| !c.is_control()).take(MAX_LABEL_IN_NAME).collect();
    // What looks like an id would be taken for one.
    if label.is_empty() || label.parse::<CollectionId>().is_ok() { "vector store".to_owned() } else { label }
}

/// The media type as it is stored: what was parsed, and nothing of how it was
/// written.
pub(super) fn written_anew(media_type: Option<&str>) -> String {
    let parsed = media_type.and_then(MediaType::parse).map(|media_type| media_type.to_string());
    parsed.unwrap_or_else(|| "application/octet-stream".to_owned())
}
