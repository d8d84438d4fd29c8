//! Bytes on their way into the store.
//!
//! A small document is kept in memory and stored by one call; a larger one goes
//! part by part. Object storage shows an object only when it is complete.

use std::sync::Arc;

use aimate_core::Result;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::failure;

/// Bytes of a part: S3 takes 5 MiB at least and 10,000 parts at most, and some
/// of its kin want all but the last to be alike.
const PART_SIZE: usize = 8 << 20;

/// Dropped before [`Upload::finish`], it leaves nothing in the store.
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    /// The object's name.
    path: Path,
    hash: Sha256,
    size: u64,
    /// What is not sent yet, less than [`PART_SIZE`].
    waiting: Vec<Bytes>,
    waiting_size: usize,
    sent: Option<Box<dyn MultipartUpload>>,
    runtime: Handle,
}

impl Upload {
    /// Nothing yet; must be called within a runtime.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self {
            store,
            path,
            hash: Sha256::new(),
            size: 0,
            waiting: Vec::new(),
            waiting_size: 0,
            sent: None,
            runtime: Handle::current(),
        }
    }

    /// How many bytes were written.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The SHA-256 of what was written.
    pub(crate) fn hash(&self) -> String {
        format!("{:x}", self.hash.clone().finalize())
    }

    /// Takes bytes, and sends those that fill a part.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.hash.update(&bytes);
        self.size += bytes.len() as u64;
        while self.waiting_size + bytes.len() >= PART_SIZE {
            self.wait(bytes.split_to(PART_SIZE - self.waiting_size));
            self.send().await?;
        }
        self.wait(bytes);
        Ok(())
    }

    /// Makes what was written the object.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        if self.sent.is_none() {
            let all = self.take();
            return self.store.put(&self.path, all).await.map(drop).map_err(failure);
        }
        if self.waiting_size > 0 {
            self.send().await?;
        }
        if let Some(sent) = &mut self.sent {
            sent.complete().await.map_err(failure)?;
        }
        // It is an object now, which nobody aborts.
        self.sent = None;
        Ok(())
    }

    /// Removes what was sent.
    pub(crate) async fn abort(&mut self) {
        if let Some(sent) = self.sent.take() {
            abort(sent).await;
        }
    }

    fn wait(&mut self, bytes: Bytes) {
        self.waiting_size += bytes.len();
        if !bytes.is_empty() {
            self.waiting.push(bytes);
        }
    }

    async fn send(&mut self) -> Result<()> {
        let part = self.take();
        let sent = match &mut self.sent {
            Some(sent) => sent,
            none => none.insert(self.store.put_multipart(&self.path).await.map_err(failure)?),
        };
        sent.put_part(part).await.map_err(failure)
    }

    fn take(&mut self) -> PutPayload {
        self.waiting_size = 0;
        std::mem::take(&mut self.waiting).into_iter().collect()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // The caller went away in the middle. S3 keeps, and bills, the parts of an
        // upload that nobody aborts.
        if let Some(sent) = self.sent.take() {
            self.runtime.spawn(abort(sent));
        }
    }
}

async fn abort(mut sent: Box<dyn MultipartUpload>) {
    if let Err(error) = sent.abort().await {
        tracing::warn!(%error, "parts of an upload that broke off could not be removed from the object storage");
    }
}
