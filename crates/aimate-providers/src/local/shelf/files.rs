//! The files of which a model is made, on their way to the shelf.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aimate_core::{Error, Ids as _, RandomIds, Result};
use sha2::{Digest, Sha256};

use super::{MAX_MODELS, check, failed};

/// Their names.
const NAMES: [&str; 6] = [
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
];
/// Maximum bytes of weights.
const MAX_WEIGHTS: u64 = 4 << 30;
/// Maximum bytes of another file.
const MAX_FILE: u64 = 64 << 20;
/// Maximum bytes of all files of a model.
const MAX_BYTES: u64 = MAX_WEIGHTS + 4 * MAX_FILE;
/// Maximum files of a model.
const MAX_FILES: usize = 32;
/// What begins the names of what is not whole yet.
const ADDING: &str = ".adding-";
/// The age at which nobody works on it any more.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A path of nobody else's. What is left there is swept away some day.
pub(super) fn temporary(shelf: &Path) -> PathBuf {
    shelf.join(format!("{ADDING}{}", RandomIds.next().simple()))
}

/// A folder that is removed if nobody renamed it.
pub(super) struct Temporary(pub(super) PathBuf);

impl Temporary {
    pub(super) fn new(shelf: &Path) -> Result<Self> {
        sweep(shelf);
        let path = temporary(shelf);
        fs::create_dir(&path).map_err(|error| failed("make", &path, error))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what processes left that ended too early.
fn sweep(shelf: &Path) {
    for entry in fs::read_dir(shelf).into_iter().flatten().take(MAX_MODELS).flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(ADDING));
        let changed = entry.metadata().and_then(|data| data.modified()).ok();
        let age = changed.and_then(|changed| changed.elapsed().ok());
        if is_ours && age.is_some_and(|age| age > STALE) {
            let _ = remove_all(&entry.path());
        }
    }
}

/// What keeps other processes from fetching the same model. The file stays: one that was
/// removed could be locked by one process, and made anew and locked by another.
pub(super) struct Lock(#[allow(dead_code, reason = "it is released when it is closed")] File);

impl Lock {
    pub(super) fn new(shelf: &Path, name: &str) -> Result<Self> {
        let path = shelf.join(format!(".{name}.lock"));
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| failed("write", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::conflict(format!("another process is fetching `{name}`")))
            }
            Err(TryLockError::Error(error)) => Err(failed("lock", &path, error)),
        }
    }
}

/// Removes a folder, or a link to one; whether it was there makes no difference.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Where a file of a model goes, if `path` within the model's folder is one.
pub(super) fn wanted(path: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = path.split('/').collect();
    let (file, folders) = parts.split_last()?;
    let is_plain = |part: &&str| check(part).is_ok();
    (NAMES.contains(file) && folders.len() <= 1 && folders.iter().all(is_plain))
        .then(|| parts.iter().collect())
}

/// Maximum bytes of a file of a model.
pub(super) fn max_bytes(path: &Path) -> u64 {
    if path.ends_with("model.safetensors") { MAX_WEIGHTS } else { MAX_FILE }
}

/// A folder that the files of one model are written into, within the bounds of each and of
/// all together.
pub(super) struct Unpacked<'a> {
    folder: &'a Path,
    /// Bytes that there is room for.
    bytes: u64,
    /// Files that there is room for.
    files: usize,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, bytes: MAX_BYTES, files: MAX_FILES }
    }

    #[cfg(test)]
    pub(super) fn with_room(folder: &'a Path, bytes: u64) -> Self {
        Self { bytes, ..Self::new(folder) }
    }

    pub(super) fn write(&mut self, path: &Path, from: impl Read) -> Result<()> {
        self.files = self.files.checked_sub(1).ok_or_else(|| {
            Error::too_large(format!("it has more than the {MAX_FILES} files of a model at most"))
        })?;
        let (to, max) = (self.folder.join(path), max_bytes(path).min(self.bytes));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|error| failed("make", parent, error))?;
        }
        let written = File::create_new(&to).and_then(|mut file| {
            let bytes = io::copy(&mut from.take(max.saturating_add(1)), &mut file)?;
            file.sync_all().map(|()| bytes)
        });
        let bytes = written.map_err(|error| failed("write", &to, error))?;
        self.bytes = self.bytes.checked_sub(bytes).filter(|_| bytes <= max).ok_or_else(|| {
            Error::too_large(format!("`{}` is larger than the maximum of {max} bytes", path.display()))
        })?;
        Ok(())
    }
}

/// Copies the files of the model in a folder.
pub(super) fn copy(from: &Path, to: &mut Unpacked<'_>) -> Result<()> {
    let read = |folder: &Path| fs::read_dir(folder).map_err(|error| failed("read", folder, error));
    let mut paths = Vec::new();
    for entry in read(from)?.take(MAX_MODELS) {
        let path = entry.map_err(|error| failed("read", from, error))?.path();
        if path.is_dir() {
            paths.extend(read(&path)?.take(MAX_MODELS).filter_map(|entry| Some(entry.ok()?.path())));
        } else {
            paths.push(path);
        }
    }
    for path in paths {
        let within = path.strip_prefix(from).unwrap_or(&path);
        let parts: Vec<_> = within.iter().map(|part| part.to_string_lossy()).collect();
        if let Some(place) = wanted(&parts.join("/")).filter(|_| path.is_file()) {
            let file = File::open(&path).map_err(|error| failed("read", &path, error))?;
            to.write(&place, file)?;
        }
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hexadecimal(hash))
}

pub(super) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
