//! Bringing a backup back.

use std::fs;
use std::path::{Path, PathBuf};

use aimate_core::knowledge::BlobStore as _;
use aimate_core::{Error, Result};
use futures_util::stream::{self, StreamExt as _};
use sqlx::{ConnectOptions as _, Connection as _, query, query_scalar};

use super::{
    Backup, beside, bytes, make_private, names_in, not_written, now, open_backup, options, read_through,
    sync_folder,
};
use crate::DiskBlobs;
use crate::database::failure;

/// Where a backup goes.
#[derive(Clone, Debug)]
pub struct RestoreTarget {
    /// The database's file.
    pub database: PathBuf,
    /// The folder of the documents' bytes.
    pub blobs: PathBuf,
    /// The file of the encryption keys.
    pub keys: PathBuf,
    /// Whether what is there is put aside, under names that end with `.replaced-`
    /// and the time; otherwise it is an error.
    pub replace: bool,
}

/// Brings back what [`Store::backup`](crate::Store::backup) has written. All of it
/// is read and compared with its hashes before anything is touched.
///
/// # Errors
/// `NotFound` if there is no such file; `Invalid` if it is no backup, or damaged;
/// `Conflict` if something is there already and is not to be replaced, or a process
/// works on it; `Unavailable` if something cannot be written.
pub async fn restore(file: &Path, target: &RestoreTarget) -> Result<Backup> {
    let keys = read_through(file).await?;
    if is_in_use(&target.database) {
        return Err(Error::conflict(format!(
            "a process works on {}; stop it first",
            target.database.display()
        )));
    }
    let is_filled = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    let mut taken =
        [&target.database, &target.blobs, &target.keys].map(|path| path.symlink_metadata().is_ok());
    taken[1] &= is_filled(&target.blobs);
    // A key file that no backup brings stays: it may open what is restored.
    taken[2] &= keys.is_some();
    if taken.contains(&true) && !target.replace {
        return Err(Error::conflict(format!(
            "there is something at {} already; restore into another folder, or put it aside with `--replace`",
            target.database.parent().unwrap_or(Path::new(".")).display()
        )));
    }
    let parts = [&target.database, &target.blobs, &target.keys].map(|path| beside(path, ".restoring"));
    let restored = unpack(file, &parts, keys.as_deref()).await;
    let placed = restored.and_then(|backup| place(target, &parts, keys.is_some()).map(|()| backup));
    if placed.is_err() {
        let _ = fs::remove_file(&parts[0]);
        let _ = fs::remove_dir_all(&parts[1]);
        let _ = fs::remove_file(&parts[2]);
    }
    placed
}

/// Whether a worker holds its lock beside the database.
fn is_in_use(database: &Path) -> bool {
    let locks = fs::read_dir(beside(database, "-workers")).into_iter().flatten().flatten();
    let is_held = |lock: fs::DirEntry| {
        let file = fs::OpenOptions::new().append(true).open(lock.path());
        file.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
    };
    locks.into_iter().any(is_held)
}

async fn unpack(
    file: &Path,
    [database, blobs, key_file]: &[PathBuf; 3],
    keys: Option<&str>,
) -> Result<Backup> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| not_written(folder, error))?;
    }
    make_private(database).map_err(|error| not_written(database, error))?;
    let (from, to) = (file.to_owned(), database.clone());
    let copied = tokio::task::spawn_blocking(move || fs::copy(from, to)).await;
    copied
        .map_err(|error| Error::internal("copying the backup broke off").with_source(error))?
        .map_err(|error| not_written(database, error))?;
    set_private(database).map_err(|error| not_written(database, error))?;
    let _ = fs::remove_dir_all(blobs);
    fs::create_dir_all(blobs).map_err(|error| not_written(blobs, error))?;

    let mut backup = Backup { has_keys: keys.is_some(), ..Backup::default() };
    let (mut packed, folder, mut last) = (open_backup(file).await?, DiskBlobs::new(blobs), None);
    let names = names_in(&mut packed).await?;
    loop {
        let documents = bytes::after(&mut packed, &names, last).await?;
        let Some(end) = documents.last() else { break };
        last = Some(end.blob);
        for document in documents {
            backup.documents += 1;
            let Some(first) = bytes::piece(&mut packed, document.blob, 0).await? else {
                backup.without_bytes.push(document.name);
                continue;
            };
            let packed = &mut packed;
            let pieces = stream::try_unfold((packed, first, 0), |(packed, piece, n)| async move {
                if piece.is_empty() {
                    return Ok(None);
                }
                let next = bytes::piece(packed, document.blob, n + 1).await?.unwrap_or_default();
                Ok(Some((piece.into(), (packed, next, n + 1))))
            });
            backup.bytes += folder.put(&document.blob, pieces.boxed(), u64::MAX).await?.size;
        }
    }
    packed.close().await.map_err(failure)?;

    let mut connection = options(database).connect().await.map_err(failure)?;
    for statement in [query("DROP TABLE backup_bytes"), query("DROP TABLE backup_manifest"), query("VACUUM")]
    {
        statement.execute(&mut connection).await.map_err(failure)?;
    }
    let check: String =
        query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await.map_err(failure)?;
    connection.close().await.map_err(failure)?;
    if check != "ok" {
        return Err(Error::internal(format!("the restored database is not sound: {check}")));
    }
    let write_keys = |keys: &str| {
        make_private(key_file)?;
        fs::write(key_file, keys)?;
        fs::File::open(key_file)?.sync_all()
    };
    keys.map_or(Ok(()), write_keys).map_err(|error| not_written(key_file, error))?;
    let sync = || fs::File::open(database)?.sync_all();
    sync().map_err(|error| not_written(database, error))?;
    Ok(backup)
}

#[cfg(unix)]
fn set_private(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn set_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Puts aside what is there, and the restored in its place: the database last.
fn place(target: &RestoreTarget, parts: &[PathBuf; 3], has_keys: bool) -> Result<()> {
    let ending = format!(".replaced-{}", now().0 / 1_000_000);
    let move_to = |from: &Path, to: &Path| fs::rename(from, to).map_err(|error| not_written(to, error));
    let database = |ending: &str| beside(&target.database, ending);
    let aside = [target.blobs.clone(), database("-wal"), database("-shm"), target.database.clone()];
    for path in aside.iter().chain(has_keys.then_some(&target.keys)) {
        if path.symlink_metadata().is_ok() {
            move_to(path, &beside(path, &ending))?;
        }
    }
    let [database, blobs, keys] = parts;
    move_to(blobs, &target.blobs)?;
    if has_keys {
        move_to(keys, &target.keys)?;
    }
    move_to(database, &target.database)?;
    sync_folder(&target.database).map_err(|error| not_written(&target.database, error))
}
