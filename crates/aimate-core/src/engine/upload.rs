//! Files that come in parts.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};

use super::Engine;
use super::knowledge::{MAX_BYTES, Upload, written_anew};
use crate::error::{Error, Result};
use crate::file::File;
use crate::id::{UploadId, UploadPartId};
use crate::knowledge::{ByteStream, StoredBytes};
use crate::scope::Scope;
use crate::upload::{FileUpload, NewFileUpload, UploadPart, UploadStatus};

/// The uploads of a scope; see [`Engine::uploads`].
#[derive(Clone, Debug)]
pub struct Uploads {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The files of `scope`'s user that come in parts. What is completed is one of
    /// [`Engine::files`].
    pub fn uploads(&self, scope: &Scope) -> Uploads {
        Uploads { engine: self.clone(), scope: *scope }
    }
}

impl Uploads {
    /// Begins an upload, which may take [`FileUpload::LIFE`].
    ///
    /// # Errors
    /// `Invalid`, naming the field, or if the user has [`FileUpload::MAX_PENDING`] already; `TooLarge` if
    /// there is certainly no room within the user's or the tenant's quota.
    pub async fn create(&self, new: NewFileUpload) -> Result<FileUpload> {
        self.engine.admit(&self.scope).await?;
        self.engine.accepting()?;
        new.check(MAX_BYTES)?;
        self.engine.has_room_for(&self.scope, false).await?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let upload = FileUpload {
            id: inner.sources.id(),
            name: new.file.name,
            media_type: written_anew(new.file.media_type.as_deref()),
            purpose: new.file.purpose,
            size: new.size,
            file_life: new.file.expires_after,
            status: UploadStatus::Pending,
            file_id: None,
            created_at: now,
            expires_at: now.plus(FileUpload::LIFE),
        };
        inner.stores.uploads.create(&self.scope, &upload).await?;
        Ok(upload)
    }

    /// One upload.
    ///
    /// # Errors
    /// `NotFound`, also if it has expired.
    pub async fn get(&self, id: UploadId) -> Result<FileUpload> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.uploads.get(&self.scope, id, inner.sources.now()).await
    }

    /// Adds a part of at most [`FileUpload::MAX_PART`] bytes. Several may come at once; their order is said
    /// when the upload is completed.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if the upload is completed or cancelled, the part is empty, or there would be
    /// more than [`FileUpload::MAX_PARTS`] or [`FileUpload::max_bytes`]; `TooLarge`, also if there is no
    /// room within a quota; an error of `bytes`. Nothing is stored then.
    pub async fn add_part(&self, id: UploadId, bytes: ByteStream<'_>) -> Result<UploadPart> {
        self.engine.admit(&self.scope).await?;
        self.engine.accepting()?;
        let inner = &self.engine.inner;
        let upload = inner.stores.uploads.get(&self.scope, id, inner.sources.now()).await?;
        if upload.status != UploadStatus::Pending {
            return Err(closed(&upload));
        }
        let bytes_of_part = Upload::begin_file(&self.engine, &self.scope).await?;
        self.engine.has_room_for(&self.scope, false).await?;
        let stored = inner.stores.blobs.put(bytes_of_part.blob(), bytes, FileUpload::MAX_PART).await?;
        if stored.size == 0 || stored.size > upload.size {
            let message =
                format!("has {} bytes; it must have 1 to the {} of its upload", stored.size, upload.size);
            return Err(Error::field("data", message));
        }
        let part = UploadPart {
            id: inner.sources.id(),
            size: stored.size,
            content_hash: stored.hash,
            blob_id: bytes_of_part.blob().id,
            created_at: inner.sources.now(),
        };
        let uploads = Self { engine: self.engine.for_task(), ..self.clone() };
        // In the engine's own task: a caller who goes away now must not leave it open whether the
        // part is stored.
        let stored = inner.tasks.spawn(async move {
            let inner = &uploads.engine.inner;
            inner.stores.uploads.add_part(&uploads.scope, id, &part, &inner.storage_quotas).await?;
            bytes_of_part.end();
            Ok(part)
        });
        stored.await.map_err(|error| Error::internal("the part could not be stored").with_source(error))?
    }

    /// Completes an upload: these of its parts, in this order, are a file from now on, and its parts are
    /// gone. `md5` is the checksum of the whole, in hexadecimal. Of one that is completed, what it came
    /// to is returned again, unless that file is deleted since.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`, naming the field, if it is cancelled, a part is not its own or named twice,
    /// the parts have not as many bytes as the upload, or another checksum; `TooLarge` if there is no
    /// room within a quota. The upload stays as it is then.
    pub async fn complete(
        &self,
        id: UploadId,
        parts: &[UploadPartId],
        md5: Option<&str>,
    ) -> Result<(FileUpload, File)> {
        self.engine.admit(&self.scope).await?;
        self.engine.accepting()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let upload = inner.stores.uploads.get(&self.scope, id, now).await?;
        if let Some(file) = upload.file_id {
            let file = inner.stores.files.get(&self.scope, file, now).await?;
            return Ok((upload, file));
        }
        if upload.status != UploadStatus::Pending {
            return Err(closed(&upload));
        }
        let parts = self.in_order(&upload, parts).await?;
        let whole = Upload::begin_file(&self.engine, &self.scope).await?;
        let (bytes, sum) = self.joined(parts, md5.is_some());
        let stored = inner.stores.blobs.put(whole.blob(), bytes, MAX_BYTES).await?;
        if let Some(wanted) = md5 {
            let found = sum.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize();
            let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            if !wanted.trim().eq_ignore_ascii_case(&found) {
                return Err(Error::field("md5", format!("is not that of the parts, which is {found}")));
            }
        }
        let uploads = Self { engine: self.engine.for_task(), ..self.clone() };
        // As for a part.
        let completed = inner.tasks.spawn(async move { uploads.store(upload, stored, whole).await });
        completed.await.map_err(|error| Error::internal("the file could not be stored").with_source(error))?
    }

    async fn store(
        &self,
        upload: FileUpload,
        stored: StoredBytes,
        whole: Upload,
    ) -> Result<(FileUpload, File)> {
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let file = File {
            id: inner.sources.id(),
            name: upload.name,
            media_type: upload.media_type,
            purpose: upload.purpose,
            size: stored.size,
            content_hash: stored.hash,
            blob_id: whole.blob().id,
            created_at: now,
            expires_at: upload.file_life.map(|life| now.plus(life)),
        };
        let quotas = &inner.storage_quotas;
        let upload = inner.stores.uploads.complete(&self.scope, upload.id, &file, quotas).await?;
        whole.end();
        self.engine.remove_bytes(true).await;
        Ok((upload, file))
    }

    /// The parts that were named.
    async fn in_order(&self, upload: &FileUpload, wanted: &[UploadPartId]) -> Result<Vec<UploadPart>> {
        let inner = &self.engine.inner;
        let known = inner.stores.uploads.parts(&self.scope, upload.id, inner.sources.now()).await?;
        let known: HashMap<UploadPartId, UploadPart> =
            known.into_iter().map(|part| (part.id, part)).collect();
        let (mut parts, mut seen, mut size) = (Vec::new(), HashSet::new(), 0);
        for (place, id) in wanted.iter().enumerate() {
            let wrong = |message: &str| Error::field(format!("part_ids[{place}]"), message);
            let part = known.get(id).ok_or_else(|| wrong("is no part of the upload"))?;
            if !seen.insert(*id) {
                return Err(wrong("is named twice"));
            }
            size += part.size;
            parts.push(part.clone());
        }
        if size != upload.size {
            let message = format!("have {size} bytes; the upload was begun with {}", upload.size);
            return Err(Error::field("part_ids", message));
        }
        Ok(parts)
    }

    /// The bytes of parts one after the other, and their MD5 as far as they were read, if it is
    /// wanted.
    fn joined(&self, parts: Vec<UploadPart>, is_summed: bool) -> (ByteStream<'static>, Arc<Mutex<Md5>>) {
        let sum = Arc::new(Mutex::new(Md5::new()));
        let (engine, scope, of_all) = (self.engine.clone(), self.scope, sum.clone());
        let each = stream::iter(parts.into_iter().map(Ok)).and_then(move |part: UploadPart| {
            let engine = engine.clone();
            async move {
                let what = format!("part {}", part.id);
                let stored = StoredBytes { size: part.size, hash: part.content_hash };
                let content = engine.checked_bytes(&scope, part.blob_id, stored, &what).await?;
                Ok::<_, Error>(content.into_stream())
            }
        });
        let bytes = each.try_flatten().inspect_ok(move |piece| {
            if is_summed {
                of_all.lock().unwrap_or_else(PoisonError::into_inner).update(piece);
            }
        });
        (bytes.boxed(), sum)
    }

    /// Gives an upload up, with its parts. Of one that is cancelled it changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if it is completed.
    pub async fn cancel(&self, id: UploadId) -> Result<FileUpload> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let cancelled = inner.stores.uploads.cancel(&self.scope, id, inner.sources.now()).await?;
        self.engine.remove_bytes(true).await;
        Ok(cancelled)
    }
}

/// That an upload is over.
fn closed(upload: &FileUpload) -> Error {
    let status = upload.status;
    Error::invalid(format!("the upload is {status}; begin another one", status = status.as_str()))
}
