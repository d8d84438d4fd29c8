//! A file that is being written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aimate_core::BlobId;
use sha2::{Digest as _, Sha256};

/// How the names of files end that are not whole.
const ENDING: &str = ".part";

/// Tells this process's files apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The file in which the bytes of `file` are until they are whole.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}

/// Whether a file is one that is not whole.
pub(super) fn is_part(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ENDING))
}

/// Bytes on their way to a document's file. Dropped before [`PartFile::keep`], it
/// leaves nothing.
pub(super) struct PartFile {
    file: File,
    path: PathBuf,
    whole: PathBuf,
    hash: Sha256,
    pub(super) size: u64,
    is_kept: bool,
}

impl PartFile {
    /// An empty one in `folder`, which is made if it must be. There is none yet: an
    /// upload's id is new.
    pub(super) fn new(folder: &Path, blob: BlobId) -> Result<Self> {
        make_folder(folder)?;
        let whole = folder.join(blob.to_string());
        let path = beside(&whole);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok(Self { file, path, whole, hash: Sha256::new(), size: 0, is_kept: false })
    }

    pub(super) fn write(mut self, bytes: &[u8]) -> Result<Self> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(self)
    }

    /// Gives the file its name, once it is safe on the disk; returns the hash.
    pub(super) fn keep(mut self) -> Result<String> {
        self.file.sync_all()?;
        let hash = format!("{:x}", self.hash.clone().finalize());
        std::fs::rename(&self.path, &self.whole)?;
        self.is_kept = true;
        self.path.parent().map_or(Ok(()), sync_folder)?;
        Ok(hash)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is found by its name later.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A new folder of this user's among the system's temporary ones.
pub(super) fn make_temporary() -> Result<PathBuf> {
    unused(|n| {
        let folder = std::env::temp_dir().join(format!("aimate-blobs-{}-{n}", std::process::id()));
        builder().create(&folder)?;
        Ok(folder)
    })
}

/// `make` with a number for which there is nothing yet.
fn unused<T>(make: impl Fn(u64) -> Result<T>) -> Result<T> {
    loop {
        match make(NEXT.fetch_add(1, Ordering::Relaxed)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Makes the folder and those it is in, each safe on the disk.
fn make_folder(folder: &Path) -> Result<()> {
    match builder().create(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let Some(parent) = folder.parent() else { return Err(error) };
            make_folder(parent)?;
            make_folder(folder)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
    }
}

/// Makes the names in a folder safe on the disk, where the system can.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
