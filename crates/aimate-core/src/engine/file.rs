//! Uploaded files.

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::Engine;
use super::knowledge::{MAX_BYTES, Upload, written_anew};
use crate::error::{Error, Result};
use crate::file::{File, FilePurpose, NewFile};
use crate::id::FileId;
use crate::knowledge::{BlobContent, ByteStream, StoredBytes};
use crate::page::{IdRange, Slice};
use crate::scope::Scope;

/// The files of a scope; see [`Engine::files`].
#[derive(Clone, Debug)]
pub struct Files {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The files that `scope`'s user uploaded. [`Knowledge::attach`](super::Knowledge::attach)
    /// makes them findable.
    pub fn files(&self, scope: &Scope) -> Files {
        Files { engine: self.clone(), scope: *scope }
    }
}

/// Bytes that came, and that no file has yet. Dropped, they are removed.
pub struct UploadedBytes {
    upload: Upload,
    stored: StoredBytes,
}

impl UploadedBytes {
    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.stored.size
    }
}

impl Files {
    /// Stores a file with these bytes, at most 1 GiB.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `TooLarge`, also if there is no room within the user's
    /// or the tenant's quota; an error of `bytes`. Nothing is stored then.
    pub async fn create(&self, new: NewFile, bytes: ByteStream<'_>) -> Result<File> {
        self.engine.admit(&self.scope).await?;
        new.check()?;
        let uploaded = self.upload(bytes).await?;
        self.finish(new, uploaded).await
    }

    /// Takes the bytes of a file of which nothing else is known yet, at most 1 GiB;
    /// [`Files::finish`] stores it.
    ///
    /// # Errors
    /// `TooLarge`, also if there is certainly no room within a quota; an error of `bytes`.
    pub async fn upload(&self, bytes: ByteStream<'_>) -> Result<UploadedBytes> {
        self.engine.admit(&self.scope).await?;
        self.engine.accepting()?;
        let upload = Upload::begin_file(&self.engine, &self.scope).await?;
        self.engine.has_room_for(&self.scope, false).await?;
        let stored = self.engine.inner.stores.blobs.put(upload.blob(), bytes, MAX_BYTES).await?;
        Ok(UploadedBytes { upload, stored })
    }

    /// Stores a file with bytes that came before.
    ///
    /// # Errors
    /// See [`Files::create`]; the bytes are removed then.
    pub async fn finish(&self, new: NewFile, uploaded: UploadedBytes) -> Result<File> {
        self.engine.admit(&self.scope).await?;
        new.check()?;
        let UploadedBytes { upload, stored } = uploaded;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let file = File {
            id: inner.sources.id(),
            name: new.name,
            media_type: written_anew(new.media_type.as_deref()),
            purpose: new.purpose,
            size: stored.size,
            content_hash: stored.hash,
            blob_id: upload.blob().id,
            created_at: now,
            expires_at: new.expires_after.map(|life| now.plus(life)),
        };
        let files = Self { engine: self.engine.for_task(), ..self.clone() };
        // In the engine's own task: a caller who goes away now must not leave it open
        // whether the file is stored.
        let stored = inner.tasks.spawn(async move { files.store(file, upload).await });
        stored.await.map_err(|error| Error::internal("the file could not be stored").with_source(error))?
    }

    async fn store(&self, file: File, upload: Upload) -> Result<File> {
        let inner = &self.engine.inner;
        inner.stores.files.create(&self.scope, &file, &inner.storage_quotas).await?;
        upload.end();
        Ok(file)
    }

    /// One file.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: FileId) -> Result<File> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.files.get(&self.scope, id, inner.sources.now()).await
    }

    /// Those of these files that are there, in any order, in one query.
    ///
    /// # Errors
    /// What the store says.
    pub async fn find(&self, ids: &[FileId]) -> Result<Vec<File>> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.files.get_many(&self.scope, ids, inner.sources.now()).await
    }

    /// The user's files, by when they were uploaded; only those for `purpose`, if one is
    /// given.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, purpose: Option<FilePurpose>, range: IdRange) -> Result<Slice<File>> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.files.list(&self.scope, purpose, range, inner.sources.now()).await
    }

    /// The file and its bytes as they were sent.
    ///
    /// # Errors
    /// `NotFound` if there is no such file, or its bytes are gone; `Internal` if they are
    /// others. Of bytes that are in no file on this machine, the stream says so at its end.
    pub async fn content(&self, id: FileId) -> Result<(File, BlobContent)> {
        let file = self.get(id).await?;
        let stored = StoredBytes { size: file.size, hash: file.content_hash.clone() };
        let what = format!("file {id}");
        let content = self.engine.checked_bytes(&self.scope, file.blob_id, stored, &what).await?;
        Ok((file, content))
    }

    /// A file and its text, read from its bytes.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` with its reason if it cannot be read.
    pub async fn text(&self, id: FileId) -> Result<(File, String)> {
        let (file, content) = self.content(id).await?;
        let text = self.engine.whole_text(content, &file.name, &file.media_type).await?;
        Ok((file, text))
    }

    /// The text of a file that is not stored, by its name and bytes, and by what its sender calls
    /// its media type.
    ///
    /// # Errors
    /// `Invalid` with its reason if it cannot be read.
    pub async fn text_of_bytes(&self, name: &str, media_type: Option<&str>, bytes: Bytes) -> Result<String> {
        self.engine.admit(&self.scope).await?;
        let size = bytes.len() as u64;
        let content = BlobContent::from_stream(stream::once(async { Ok(bytes) }).boxed(), size);
        self.engine.whole_text(content, name, media_type.unwrap_or("application/octet-stream")).await
    }

    /// Deletes a file with the documents that were attached from it: they are found no more
    /// in any collection.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, id: FileId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        // One that has expired is gone already.
        inner.stores.files.get(&self.scope, id, inner.sources.now()).await?;
        inner.stores.files.delete(&self.scope, id).await?;
        self.engine.remove_bytes(true).await;
        Ok(())
    }
}
