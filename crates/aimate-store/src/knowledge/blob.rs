//! The bytes of documents, in a folder: `TENANT/XX/ID`, where `ID` is that of the
//! upload and `XX` its last byte.

mod part_file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aimate_core::knowledge::{Blob, BlobContent, BlobEntry, BlobStore, ByteStream, StoredBytes};
use aimate_core::{BlobId, Error, Result, TenantId};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
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
        Some(folder_of(&self.folder()?, blob).join(blob.id.to_string()))
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
    async fn put(&self, blob: &Blob, mut bytes: ByteStream<'_>, max_bytes: u64) -> Result<StoredBytes> {
        let (place, blob) = (Arc::clone(&self.place), *blob);
        let mut part =
            off_the_async_threads(move || PartFile::new(&folder_of(&place.make()?, &blob), blob.id)).await?;
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
        Ok(StoredBytes { size, hash })
    }

    async fn get(&self, blob: &Blob) -> Result<BlobContent> {
        let gone = || {
            Error::not_found("the bytes of this document are not there; `aimate doctor` says which are gone")
        };
        let path = self.path(blob).ok_or_else(gone)?;
        // Not what a link leads to: nobody here has made one.
        off_the_async_threads(move || match path.symlink_metadata() {
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
        off_the_async_threads(move || {
            let part = part_file::beside(&path);
            for file in [path, part] {
                match std::fs::remove_file(file) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    fn list(&self) -> BoxStream<'_, Result<BlobEntry>> {
        let root = self.folder();
        let folders: Vec<Folder> =
            root.clone().map(|path| Folder { path, level: Level::Root }).into_iter().collect();
        // A folder at a time, so that millions of names are never in memory together.
        let lists = stream::try_unfold(folders, move |mut folders| {
            let root = root.clone().unwrap_or_default();
            async move {
                let Some(folder): Option<Folder> = folders.pop() else { return Ok::<_, Error>(None) };
                let (entries, below) = off_the_async_threads(move || folder.read(&root)).await?;
                folders.extend(below);
                Ok(Some((entries, folders)))
            }
        });
        lists.map_ok(|list| stream::iter(list.into_iter().map(Ok))).try_flatten().boxed()
    }
}

/// A folder that is listed.
struct Folder {
    path: PathBuf,
    level: Level,
}

#[derive(Clone, Copy)]
enum Level {
    /// All tenants.
    Root,
    /// The folders of a tenant.
    Tenant(TenantId),
    /// A tenant's blobs whose ids end with this byte.
    Blobs(TenantId, u8),
}

impl Folder {
    /// What is in it, and the folders below it; nothing if it is not there. No link
    /// is followed.
    fn read(&self, root: &Path) -> std::io::Result<(Vec<BlobEntry>, Vec<Self>)> {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        let (mut entries, mut folders) = (Vec::new(), Vec::new());
        let files = match std::fs::read_dir(&self.path) {
            Err(error) if matches!(error.kind(), NotADirectory | NotFound) => return Ok((entries, folders)),
            files => files?,
        };
        for file in files {
            let file = file?;
            let (path, kind) = (file.path(), file.file_type()?);
            let level = match self.level {
                _ if !kind.is_dir() => None,
                Level::Root => id_of(&path).map(|tenant| Level::Tenant(TenantId(tenant))),
                Level::Tenant(tenant) => {
                    let byte = name(&path).filter(|name| name.len() == 2);
                    byte.and_then(|byte| u8::from_str_radix(byte, 16).ok())
                        .map(|byte| Level::Blobs(tenant, byte))
                }
                Level::Blobs(..) => None,
            };
            match (level, self.level) {
                (Some(level), _) => folders.push(Self { path, level }),
                (None, Level::Blobs(..)) if kind.is_file() && part_file::is_part(&path) => {
                    remove_abandoned(&path);
                }
                (None, level) => entries.push(match (level, id_of(&path)) {
                    (Level::Blobs(tenant, byte), Some(id))
                        if kind.is_file() && id.as_bytes().last() == Some(&byte) =>
                    {
                        BlobEntry::Blob(Blob { tenant, id: BlobId(id) })
                    }
                    _ => BlobEntry::Foreign(path.strip_prefix(root).unwrap_or(&path).display().to_string()),
                }),
            }
        }
        Ok((entries, folders))
    }
}

/// The id that a file is named by, written as ids are.
fn id_of(path: &Path) -> Option<Uuid> {
    let name = name(path)?;
    Uuid::try_parse(name).ok().filter(|id| id.to_string() == name)
}

/// Removes a file that nobody goes on writing.
fn remove_abandoned(part: &Path) {
    let age = part.metadata().and_then(|file| file.modified()).ok().and_then(|at| at.elapsed().ok());
    if age.is_some_and(|age| age > ABANDONED) {
        let _ = std::fs::remove_file(part);
    }
}

fn folder_of(folder: &Path, blob: &Blob) -> PathBuf {
    let [.., last] = blob.id.0.into_bytes();
    folder.join(blob.tenant.to_string()).join(format!("{last:02x}"))
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// Runs `work`, which waits for the disk.
async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Error::unavailable(trouble(&error)).with_source(error)),
        Err(error) => Err(Error::internal("work on a document's file broke off").with_source(error)),
    }
}

/// What keeps the folder from its work.
fn trouble(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "the disk of the documents' bytes is full; make room and try again"
        }
        std::io::ErrorKind::PermissionDenied => {
            "the folder of documents may not be read or written by this user; check its owner"
        }
        std::io::ErrorKind::ReadOnlyFilesystem => "the disk of the documents' bytes can only be read",
        _ => "the folder of documents cannot be read or written; check its owner and the space on its disk",
    }
}

#[cfg(test)]
mod tests;
