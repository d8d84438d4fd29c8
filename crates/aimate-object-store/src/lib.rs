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
//! An object's name is `TENANT/XX/ID`, where `ID` is that of the upload and `XX` its
//! last byte. That is what the folder of `aimate-store` has too, so a
//! folder can be copied into a bucket as it is.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod key;
mod upload;

use std::sync::Arc;

use aimate_core::knowledge::{Blob, BlobContent, BlobEntry, BlobStore, ByteStream, StoredBytes};
use aimate_core::{Error, Result};
use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt as _};
use url::Url;

pub use object_store;

use key::key_of;
use upload::Upload;

/// A [`BlobStore`] in object storage. Clones share it.
#[derive(Clone, Debug)]
pub struct ObjectBlobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl ObjectBlobs {
    /// In this store, all of it.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, prefix: Path::default() }
    }

    /// Below this prefix of the store.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<Path>) -> Self {
        self.prefix = prefix.into();
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

    fn path(&self, blob: &Blob) -> Path {
        key::join(&self.prefix, &key_of(blob))
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
    async fn put(&self, blob: &Blob, mut bytes: ByteStream<'_>, max_bytes: u64) -> Result<StoredBytes> {
        let mut upload = Upload::new(self.store.clone(), self.path(blob));
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
            upload.finish().await
        };
        let written = written.await;
        match written {
            Ok(()) => Ok(StoredBytes { size: upload.size(), hash: upload.hash() }),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn get(&self, blob: &Blob) -> Result<BlobContent> {
        let gone = || {
            Error::not_found("the bytes of this document are not there; `aimate doctor` says which are gone")
        };
        let found = match self.store.get(&self.path(blob)).await {
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
        match self.store.delete(&self.path(blob)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(error)),
        }
    }

    fn list(&self) -> BoxStream<'_, Result<BlobEntry>> {
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let objects = self.store.list(prefix).map_err(failure);
        let entry = |path: Path| match key::parse(&self.prefix, &path) {
            Some(blob) => BlobEntry::Blob(blob),
            None => BlobEntry::Foreign(path.to_string()),
        };
        objects.map_ok(move |object| entry(object.location)).boxed()
    }
}

/// What the store wrote goes to the log alone: it may name buckets and accounts.
fn failure(error: object_store::Error) -> Error {
    Error::unavailable(
        "the object storage cannot be read or written; check its address, its keys and that it runs",
    )
    .with_source(error)
}
