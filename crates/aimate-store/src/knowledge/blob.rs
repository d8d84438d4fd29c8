//! The bytes of documents, in a folder: `TENANT/XX/DOCUMENT-SHA256`, where `XX`
//! is the last byte of the document's id.

mod part_file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aimate_core::knowledge::{Blob, BlobContent, BlobStore, ByteStream};
use aimate_core::{DocumentId, Error, Result, TenantId};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use part_file::PartFile;

/// What nobody goes on writing after this time.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// A folder with the bytes of documents.
#[derive(Clone, Debug)]
pub struct DiskBlobs {
    place: Arc<Place>,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    /// Made when the first bytes come, and removed with the value.
    Temporary(Mutex<Option<PathBuf>>),
}

impl DiskBlobs {
    /// In this folder, which is made when the first bytes come.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { place: Arc::new(Place::Folder(folder.into())) }
    }

    /// In a folder of its own that is removed with the last clone of the value.
    pub fn temporary() -> Self {
        Self { place: Arc::new(Place::Temporary(Mutex::default())) }
    }

    /// The folder; `None` if there is none yet.
    fn folder(&self) -> Option<PathBuf> {
        self.place.folder()
    }

    /// Where the bytes are, if they are.
    fn path(&self, blob: &Blob) -> Option<PathBuf> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_hash = blob.hash.len() == 64 && blob.hash.bytes().all(is_hex);
        let folder = self.folder().filter(|_| is_hash)?;
        Some(folder_of(&folder, blob.tenant, blob.document).join(format!("{}-{}", blob.document, blob.hash)))
    }
}

impl Place {
    fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.clone()),
            Self::Temporary(made) => made.lock().ok()?.clone(),
        }
    }

    /// The folder, made if it must be.
    fn make(&self) -> std::io::Result<PathBuf> {
        match self {
            Self::Folder(folder) => Ok(folder.clone()),
            Self::Temporary(made) => {
                let mut made = made.lock().map_err(|_| std::io::Error::other("the folder's lock broke"))?;
                if let Some(folder) = &*made {
                    return Ok(folder.clone());
                }
                let folder = part_file::make_temporary()?;
                *made = Some(folder.clone());
                Ok(folder)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Self::Temporary(_), Some(folder)) = (&*self, self.folder())
            && let Err(error) = std::fs::remove_dir_all(&folder)
        {
            tracing::warn!(%error, folder = %folder.display(), "a temporary folder could not be removed");
        }
    }
}

#[async_trait]
impl BlobStore for DiskBlobs {
    async fn put(
        &self,
        tenant: TenantId,
        document: DocumentId,
        mut bytes: ByteStream<'_>,
        max_bytes: u64,
    ) -> Result<(Blob, u64)> {
        let place = Arc::clone(&self.place);
        let mut part = off_the_async_threads(move || {
            PartFile::new(&folder_of(&place.make()?, tenant, document), document)
        })
        .await?;
        while let Some(bytes) = bytes.next().await {
            let bytes = bytes?;
            if part.size.saturating_add(bytes.len() as u64) > max_bytes {
                return Err(Error::too_large(format!(
                    "the document has more than {max_bytes} bytes, which is the most"
                )));
            }
            part = off_the_async_threads(move || part.write(&bytes)).await?;
        }
        let size = part.size;
        let hash = off_the_async_threads(move || part.keep()).await?;
        Ok((Blob { tenant, document, hash }, size))
    }

    async fn get(&self, blob: &Blob) -> Result<BlobContent> {
        let gone = || Error::not_found(format!("the bytes of document {} are not there", blob.document));
        let path = self.path(blob).ok_or_else(gone)?;
        off_the_async_threads(move || match path.metadata() {
            Ok(about) if about.is_file() => Ok(Some(BlobContent::from_file(path, about.len()))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await?
        .ok_or_else(gone)
    }

    async fn delete(&self, blob: &Blob) -> Result<()> {
        let Some(path) = self.path(blob) else { return Ok(()) };
        off_the_async_threads(move || match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    fn list(&self) -> BoxStream<'_, Result<Blob>> {
        let folder = stream::iter(self.folder().map(Ok));
        let tenants = folder.and_then(|folder| off_the_async_threads(move || tenants(&folder)));
        // A folder at a time, so that millions of names are never in memory together.
        let folders = flat(tenants).and_then(|(tenant, folder)| {
            off_the_async_threads(move || {
                Ok(entries(&folder)?.into_iter().map(|files| (tenant, files)).collect())
            })
        });
        let blobs = flat(folders).and_then(|(tenant, files)| {
            off_the_async_threads(move || {
                Ok(entries(&files)?.iter().filter_map(|file| blob(tenant, file)).collect())
            })
        });
        flat(blobs).boxed()
    }
}

/// The items of each list, one by one.
fn flat<T>(lists: impl Stream<Item = Result<Vec<T>>>) -> impl Stream<Item = Result<T>> {
    lists.map_ok(|list| stream::iter(list.into_iter().map(Ok))).try_flatten()
}

/// The folders of tenants.
fn tenants(folder: &Path) -> std::io::Result<Vec<(TenantId, PathBuf)>> {
    let id = |tenant: &PathBuf| name(tenant).and_then(|name| Uuid::parse_str(name).ok());
    let tenants = entries(folder)?.into_iter();
    Ok(tenants.filter_map(|tenant| Some((TenantId(id(&tenant)?), tenant))).collect())
}

fn folder_of(folder: &Path, tenant: TenantId, document: DocumentId) -> PathBuf {
    let [.., last] = document.0.into_bytes();
    folder.join(tenant.to_string()).join(format!("{last:02x}"))
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// What is in a folder; nothing if it is not there or not a folder.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The blob that a file holds. What was left half written is removed on the way.
fn blob(tenant: TenantId, file: &Path) -> Option<Blob> {
    let name = name(file)?;
    if name.ends_with(part_file::ENDING) {
        let age = file.metadata().and_then(|file| file.modified()).ok()?.elapsed().ok()?;
        if age > ABANDONED {
            let _ = std::fs::remove_file(file);
        }
        return None;
    }
    let (document, hash) = name.split_at_checked(36)?;
    let hash = hash.strip_prefix('-').filter(|hash| hash.len() == 64)?;
    Some(Blob { tenant, document: DocumentId(Uuid::parse_str(document).ok()?), hash: hash.to_owned() })
}

/// Runs `work`, which waits for the disk.
async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Error::unavailable(
            "the folder of documents cannot be read or written; check its owner and the space on its disk",
        )
        .with_source(error)),
        Err(error) => Err(Error::internal("work on a document's file broke off").with_source(error)),
    }
}

#[cfg(test)]
mod tests;
