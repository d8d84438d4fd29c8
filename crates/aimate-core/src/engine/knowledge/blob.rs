//! The bytes of documents: uploading them, checking what is read, and removing
//! those that no document has any more.
//!
//! An upload has a name of its own, which is on the store's list of loose bytes
//! before the first byte is written. The commit that gives the bytes to a document
//! takes them off that list; the commit that takes them from their last document
//! puts them on it. Whatever is on it, and is not being uploaded by a living
//! process, is removed: at once, and every few seconds. So a crash, or a commit of
//! which nobody knows whether it was stored, neither loses bytes nor leaves some.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::super::Engine;
use crate::error::{Error, Result};
use crate::id::{BlobId, CollectionId};
use crate::knowledge::{Blob, BlobContent, Document, StoredBytes};
use crate::scope::Scope;

/// How often the list of what is to be removed is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Bytes that are removed between two looks at the list.
const AT_ONCE: u32 = 500;
/// The longest wait before a write that failed is tried again.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Files that are known to be whole, at most; then all are checked again.
const MAX_CHECKED: usize = 10_000;

/// What of the engine serves the bytes of documents.
#[derive(Default)]
pub(in super::super) struct BlobServices {
    /// Fires when something is to be removed.
    loose: Notify,
    /// Held by who removes.
    removing: tokio::sync::Mutex<()>,
    /// Files whose bytes were compared with their hash, as they were then.
    checked: Mutex<HashMap<BlobId, FileState>>,
}

/// What tells that nobody wrote a file since.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileState {
    size: u64,
    modified: Option<SystemTime>,
    /// Of Unix: the file itself, and when it was last touched in any way.
    identity: (u64, u64, i64, i64),
}

impl FileState {
    fn of(path: &Path) -> std::io::Result<Self> {
        // Not what a link leads to.
        let about = path.symlink_metadata()?;
        if !about.is_file() {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt as _;
            (about.dev(), about.ino(), about.ctime(), about.ctime_nsec())
        };
        #[cfg(not(unix))]
        let identity = (0, 0, 0, 0);
        Ok(Self { size: about.len(), modified: about.modified().ok(), identity })
    }
}

/// An upload on its way. Dropped before [`Upload::end`], it is given up.
pub(in super::super) struct Upload {
    engine: Engine,
    scope: Scope,
    blob: Blob,
    has_ended: bool,
}

impl Upload {
    /// Puts a new name on the list of loose bytes.
    pub(super) async fn begin(engine: &Engine, scope: &Scope, collection: CollectionId) -> Result<Self> {
        let upload = Self::new(engine, scope);
        let inner = &engine.inner;
        inner.stores.documents.begin_upload(scope, collection, upload.blob.id, inner.worker).await?;
        Ok(upload)
    }

    /// The same for a file, which is in no collection.
    pub(in super::super) async fn begin_file(engine: &Engine, scope: &Scope) -> Result<Self> {
        let upload = Self::new(engine, scope);
        let inner = &engine.inner;
        inner.stores.files.begin_upload(scope, upload.blob.id, inner.worker).await?;
        Ok(upload)
    }

    fn new(engine: &Engine, scope: &Scope) -> Self {
        let blob = Blob { tenant: scope.tenant, id: engine.inner.sources.id() };
        Self { engine: engine.for_task(), scope: *scope, blob, has_ended: false }
    }

    pub(in super::super) fn blob(&self) -> &Blob {
        &self.blob
    }

    /// A document or file has the bytes.
    pub(in super::super) fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and the next one finds the upload.
        if self.has_ended || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (engine, scope, blob) = (self.engine.clone(), self.scope, self.blob);
        self.engine.inner.tasks.spawn(async move {
            let give_up = || engine.inner.stores.documents.give_up_upload(&scope, blob.id);
            if engine.until_stored("giving up an upload", give_up).await.is_ok() {
                engine.inner.knowledge.bytes.loose.notify_one();
            }
        });
    }
}

impl Engine {
    /// Writes again and again while the database is away, until it is stored, or
    /// refused, or the engine must end.
    pub(super) async fn until_stored<T, F>(&self, what: &str, mut write: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut wait = Duration::from_millis(100);
        loop {
            let is_last = self.inner.interrupt.is_cancelled();
            match write().await {
                Err(error) if error.kind() == crate::ErrorKind::Unavailable && !is_last => {
                    tracing::warn!(%error, "{what} failed; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.inner.interrupt.cancelled() => {}
                    }
                    wait = (wait * 2).min(MAX_WAIT);
                }
                result => return result,
            }
        }
    }

    /// Starts the task that removes what no document has.
    pub(in super::super) fn start_removing(&self) {
        let engine = self.clone();
        self.until_stopped(async move {
            loop {
                engine.delete_expired().await;
                engine.remove_loose_bytes().await;
                tokio::select! {
                    () = engine.inner.knowledge.bytes.loose.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        });
    }

    /// Removes what a commit has just put on the list, if it has, and waits for
    /// it. What cannot be removed now stays on the list.
    pub(in super::super) async fn remove_bytes(&self, any: bool) {
        if any {
            let engine = self.for_task();
            // Goes on if the caller goes away.
            let _ = self.inner.tasks.spawn(async move { engine.remove_loose_bytes().await }).await;
        }
    }

    async fn remove_loose_bytes(&self) {
        let _one_at_a_time = self.inner.knowledge.bytes.removing.lock().await;
        loop {
            match self.remove_some_bytes().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::warn!(%error, "removing bytes that no document has failed; trying again");
                }
            }
        }
    }

    /// Returns whether there may be more.
    async fn remove_some_bytes(&self) -> Result<bool> {
        let inner = &self.inner;
        let (queue, now) = (&inner.stores.queue, inner.sources.now());
        let loose = queue.blobs_to_remove(inner.worker, now, inner.lease, AT_ONCE).await?;
        let mut removed = Vec::with_capacity(loose.len());
        let mut failed = None;
        for blob in &loose {
            match inner.stores.blobs.delete(blob).await {
                Ok(()) => removed.push(*blob),
                Err(error) => failed = Some(error),
            }
        }
        if !removed.is_empty() {
            queue.forget_removed(&removed).await?;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(loose.len() as u64 >= u64::from(AT_ONCE)),
        }
    }

    /// A document's bytes, if they are those that were stored.
    pub(super) async fn document_bytes(&self, scope: &Scope, document: &Document) -> Result<BlobContent> {
        let stored = StoredBytes { size: document.size, hash: document.content_hash.clone() };
        let what = format!("document {}", document.id);
        self.checked_bytes(scope, document.blob_id, stored, &what).await
    }

    /// The bytes of `what`, if they are those that were stored.
    pub(in super::super) async fn checked_bytes(
        &self,
        scope: &Scope,
        blob: BlobId,
        stored: StoredBytes,
        what: &str,
    ) -> Result<BlobContent> {
        let blob = Blob { tenant: scope.tenant, id: blob };
        let content = self.inner.stores.blobs.get(&blob).await?;
        let StoredBytes { size, hash } = stored;
        let altered = || {
            Error::internal(format!(
                "the bytes of {what} are not those that were stored: put them back from a backup, or add it again"
            ))
        };
        if content.size() != size {
            return Err(altered());
        }
        let Some(path) = content.path().map(Path::to_owned) else {
            return Ok(checked_stream(content, size, hash, altered()));
        };
        let checked = &self.inner.knowledge.bytes.checked;
        let known = checked.lock().unwrap_or_else(PoisonError::into_inner).get(&blob.id).copied();
        let looked = self.inner.tasks.spawn_blocking(move || look(&path, known, &hash)).await;
        let looked =
            looked.map_err(|error| Error::internal("checking a file broke off").with_source(error))?;
        match looked {
            Ok(Some(state)) => {
                let mut checked = checked.lock().unwrap_or_else(PoisonError::into_inner);
                if checked.len() >= MAX_CHECKED {
                    checked.clear();
                }
                checked.insert(blob.id, state);
                Ok(content)
            }
            Ok(None) => Err(altered()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::not_found(format!("the bytes of {what} are not there")))
            }
            Err(error) => {
                Err(Error::unavailable(format!("the bytes of {what} cannot be read")).with_source(error))
            }
        }
    }
}

/// The state of a file that has this hash; `None` if it has another. It is read
/// only if it is not in the state in which it is `known` to have it.
fn look(path: &Path, known: Option<FileState>, hash: &str) -> std::io::Result<Option<FileState>> {
    let before = match FileState::of(path) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(None),
        state => state?,
    };
    if known == Some(before) {
        return Ok(Some(before));
    }
    let (mut file, mut found) = (File::open(path)?, Sha256::new());
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => found.update(piece.get(..read).unwrap_or_default()),
        }
    }
    let is_whole = format!("{:x}", found.finalize()) == hash && FileState::of(path)? == before;
    Ok(is_whole.then_some(before))
}

/// The same bytes, but for the last piece, which comes only if all were right.
fn checked_stream(content: BlobContent, size: u64, hash: String, altered: Error) -> BlobContent {
    struct Check {
        bytes: crate::knowledge::ByteStream<'static>,
        held: Option<bytes::Bytes>,
        found: Sha256,
        expected: Option<(String, Error)>,
    }
    let check = Check {
        bytes: content.into_stream(),
        held: None,
        found: Sha256::new(),
        expected: Some((hash, altered)),
    };
    let checked = futures_util::stream::unfold(check, |mut check| async move {
        loop {
            match check.bytes.next().await {
                Some(Ok(piece)) => {
                    check.found.update(&piece);
                    if let Some(former) = check.held.replace(piece) {
                        return Some((Ok(former), check));
                    }
                }
                Some(Err(error)) => return Some((Err(error), check)),
                None => {
                    let (hash, altered) = check.expected.take()?;
                    if format!("{:x}", check.found.clone().finalize()) != hash {
                        return Some((Err(altered), check));
                    }
                    let last = check.held.take()?;
                    return Some((Ok(last), check));
                }
            }
        }
    });
    BlobContent::from_stream(checked.boxed(), size)
}
