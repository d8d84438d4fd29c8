//! The bytes of aiMate's documents in object storage.
//!
//! [`ObjectBlobs`] is a [`BlobStore`] over any store of the [`object_store`]
//! crate: a local folder, memory, and with the feature `aws` S3 and what speaks
//! its protocol (MinIO, Ceph, R2 and others).
//!
//! ```
//! # fn main() -> aimate_core::Result<()> {
//! use aimate_object_store::ObjectBlobs;
//!
//! let in_memory = ObjectBlobs::open("memory:///", [("", ""); 0])?;
//! # Ok(())
//! # }
//! ```
//!
//! An object's name is `TENANT/XX/DOCUMENT-SHA256`, where `XX` is the last byte
//! of the document's id. That is what the folder of `aimate-store` has too, so a
//! folder can be copied into a bucket as it is.

mod key;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use aimate_core::knowledge::{Blob, BlobContent, BlobStore, ByteStream};
use aimate_core::{ClockAndIds, DocumentId, Error, Result, TenantId};
use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use url::Url;

pub use object_store;

use key::{Key, key_of};
use upload::Upload;

/// What nobody goes on writing after this time.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// A [`BlobStore`] in object storage. Clones share it.
#[derive(Clone, Debug)]
pub struct ObjectBlobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    clock_and_ids: ClockAndIds,
}

impl ObjectBlobs {
    /// In this store, all of it.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, prefix: Path::default(), clock_and_ids: ClockAndIds::default() }
    }

    /// Below this prefix of the store.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<Path>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// With this clock and these ids instead of the machine's.
    #[must_use]
    pub fn with_clock_and_ids(mut self, clock_and_ids: ClockAndIds) -> Self {
        self.clock_and_ids = clock_and_ids;
        self
    }

    /// In the store that a URL names: `file:///FOLDER` (made if absent),
    /// `memory:///`, or with the feature `aws` `s3://BUCKET/PREFIX`. `options` are
    /// those of the store, such as `endpoint`, `region`, `access_key_id`,
    /// `secret_access_key`; see `object_store::aws::AmazonS3ConfigKey`.
    ///
    /// # Errors
    /// `Invalid` if it is no such URL or an option is wrong; `Unsupported` if this
    /// build has no such store; `Unavailable` if the folder cannot be made.
    pub fn open<K, V>(url: &str, options: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        let url = Url::parse(url).map_err(|error| {
            Error::invalid("the address of the object storage is not a URL such as `s3://BUCKET/PREFIX`")
                .with_source(error)
        })?;
        match url.scheme() {
            "file" => make_folder(&url)?,
            "memory" => {}
            "s3" if cfg!(feature = "aws") => use_ring(),
            scheme => {
                return Err(Error::unsupported(format!(
                    "this build has no object storage for `{scheme}:`; it is one of `file:`, `memory:` and, \
                     with the feature `aws`, `s3:`"
                )));
            }
        }
        let (store, prefix) = object_store::parse_url_opts(&url, options).map_err(|error| {
            Error::invalid("the address of the object storage or one of its options is not valid")
                .with_source(error)
        })?;
        Ok(Self::new(store.into()).with_prefix(prefix))
    }

    fn path(&self, blob: &Blob) -> Option<Path> {
        Some(key::join(&self.prefix, &key_of(blob)?))
    }

    /// The blob of an object; `None` if it is none. An upload that was abandoned
    /// is deleted on the way.
    async fn blob(&self, object: ObjectMeta) -> Result<Option<Blob>> {
        match Key::parse(&self.prefix, &object.location) {
            Some(Key::Blob(blob)) => Ok(Some(blob)),
            Some(Key::Part) => {
                let now = self.clock_and_ids.now().0;
                let age = now.saturating_sub(object.last_modified.timestamp_micros());
                if u128::try_from(age).is_ok_and(|age| age > ABANDONED.as_micros()) {
                    delete(self.store.as_ref(), &object.location).await?;
                }
                Ok(None)
            }
            None => Ok(None),
        }
    }
}

/// TLS by ring, as everywhere in aiMate, unless the application chose already.
#[cfg(feature = "aws")]
fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(not(feature = "aws"))]
fn use_ring() {}

fn make_folder(url: &Url) -> Result<()> {
    let folder = url
        .to_file_path()
        .map_err(|()| Error::invalid("the address of the folder has no path: give `file:///FOLDER`"))?;
    std::fs::create_dir_all(&folder).map_err(|error| {
        Error::unavailable("the folder of documents cannot be made; check its owner").with_source(error)
    })
}

#[async_trait]
impl BlobStore for ObjectBlobs {
    async fn put(
        &self,
        tenant: TenantId,
        document: DocumentId,
        mut bytes: ByteStream<'_>,
        max_bytes: u64,
    ) -> Result<(Blob, u64)> {
        let part = key::part_of(&self.prefix, tenant, document, self.clock_and_ids.id());
        let mut upload = Upload::new(self.store.clone(), part);
        let blob = |hash| Blob { tenant, document, hash };
        let written = async {
            while let Some(bytes) = bytes.next().await {
                let bytes = bytes?;
                if upload.size().saturating_add(bytes.len() as u64) > max_bytes {
                    return Err(Error::too_large(format!(
                        "the document has more than {max_bytes} bytes, which is the most"
                    )));
                }
                upload.write(bytes).await?;
            }
            let blob = blob(upload.hash());
            let path = self.path(&blob).ok_or_else(|| Error::internal("a hash is not one"))?;
            upload.finish(&path).await?;
            Ok(blob)
        };
        let written = written.await;
        match written {
            Ok(blob) => Ok((blob, upload.size())),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn get(&self, blob: &Blob) -> Result<BlobContent> {
        let gone = || Error::not_found(format!("the bytes of document {} are not there", blob.document));
        let path = self.path(blob).ok_or_else(gone)?;
        let found = match self.store.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(gone()),
            Err(error) => return Err(failure(error)),
        };
        let size = found.meta.size;
        Ok(match found.payload {
            GetResultPayload::File(_, path) => BlobContent::from_file(path, size),
            GetResultPayload::Stream(bytes) => BlobContent::from_stream(bytes.map_err(failure).boxed(), size),
        })
    }

    async fn delete(&self, blob: &Blob) -> Result<()> {
        match self.path(blob) {
            Some(path) => delete(self.store.as_ref(), &path).await,
            None => Ok(()),
        }
    }

    fn list(&self) -> BoxStream<'_, Result<Blob>> {
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let objects = self.store.list(prefix).map_err(failure);
        objects.try_filter_map(|object| self.blob(object)).boxed()
    }
}

async fn delete(store: &dyn ObjectStore, path: &Path) -> Result<()> {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(failure(error)),
    }
}

/// What the store wrote goes to the log alone: it may name buckets and accounts.
fn failure(error: object_store::Error) -> Error {
    Error::unavailable(
        "the object storage cannot be read or written; check its address, its keys and that it runs",
    )
    .with_source(error)
}
