//! Room on the disk that is kept for deletions.
//!
//! A deletion writes before it frees anything: the write-ahead log grows by every page
//! that it changes. On a full disk nobody could make room by it, so a file beside the
//! database holds some, and goes when a deletion needs it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

/// How long after a failure it is tried again to make the file.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// How long after it was there it is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
/// How long nothing is made while there is work to do: many programs are over by then.
const AT_WORK: Duration = Duration::from_secs(10);

/// The file that holds the room beside a database.
pub(crate) fn reserve_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-reserve");
    path.into()
}

/// The file, which may be there or not.
pub(super) struct DiskReserve {
    path: PathBuf,
    bytes: u64,
    begun: Instant,
    /// Not looked for before.
    not_before: Option<Instant>,
    /// Whether it was given up and is not there again: what does not make room is refused, so
    /// that it does not take the room of deletions.
    is_given_up: bool,
}

impl DiskReserve {
    /// Beside the database; `None` if no room is to be kept, and what was kept is given back.
    pub(super) fn beside(database: &Path, bytes: u64) -> Option<Self> {
        let path = reserve_of(database);
        if bytes == 0 {
            let _ = std::fs::remove_file(path);
            return None;
        }
        Some(Self { path, bytes, begun: Instant::now(), not_before: None, is_given_up: false })
    }

    /// Whether it was given up and could not be made again yet.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Gives the room to whoever writes next; whether there was any.
    pub(super) fn give_up(&mut self) -> bool {
        let held = self.path.metadata().is_ok_and(|about| about.len() > 0);
        let is_gone = held && std::fs::remove_file(&self.path).is_ok();
        if is_gone {
            tracing::warn!(
                "the disk is full: the room that was kept for deletions is used, and only they are stored"
            );
            self.is_given_up = true;
            self.not_before = Some(Instant::now() + TRY_AGAIN);
        }
        is_gone
    }

    /// Makes the file, if it is not there whole and was not tried just now.
    pub(super) async fn keep(&mut self, is_idle: bool) {
        let not_before = self.not_before.or_else(|| (!is_idle).then(|| self.begun + AT_WORK));
        if not_before.is_some_and(|moment| Instant::now() < moment) {
            return;
        }
        let (path, bytes) = (self.path.clone(), self.bytes);
        let made = tokio::task::spawn_blocking(move || make(&path, bytes)).await;
        let is_made = matches!(made, Ok(Ok(())));
        if is_made && self.is_given_up {
            tracing::info!("there is room on the disk again: everything is stored");
        }
        self.is_given_up &= !is_made;
        self.not_before = Some(Instant::now() + if is_made { LOOK_AGAIN } else { TRY_AGAIN });
    }
}

/// Leaves nothing if it fails, and takes not the last room there is.
fn make(path: &Path, bytes: u64) -> std::io::Result<()> {
    if path.metadata().is_ok_and(|about| about.len() == bytes) {
        return Ok(());
    }
    if free_bytes(path)? < bytes + bytes / 4 {
        return Err(std::io::ErrorKind::StorageFull.into());
    }
    let written = write(path, bytes);
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let about = rustix::fs::statvfs(folder)?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> std::io::Result<u64> {
    Ok(u64::MAX)
}

/// No zeros, nor anything that repeats: a file system that packs files would keep no room for it.
fn write(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = [0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        for word in block.as_chunks_mut::<8>().0 {
            // Xorshift: Marsaglia 2003.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *word = state.to_le_bytes();
        }
        let part =
            block.get(..usize::try_from(left).unwrap_or(block.len()).min(block.len())).unwrap_or_default();
        file.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_that_was_given_up_is_kept_again_after_a_while() {
        let folder = std::env::temp_dir().join(format!("aimate-reserve-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let database = folder.join("a.db");
        let path = folder.join("a.db-reserve");
        let held = || path.metadata().map_or(0, |about| about.len());
        assert!(DiskReserve::beside(&database, 0).is_none());
        // No multiple of what is written at once.
        let mut reserve = DiskReserve::beside(&database, 100_001).unwrap();
        assert!(!reserve.give_up(), "there is none yet");
        assert!(!reserve.is_given_up());
        reserve.keep(true).await;
        assert_eq!(held(), 100_001);
        assert!(reserve.give_up());
        assert!(!path.exists());
        reserve.keep(true).await;
        assert!(reserve.is_given_up() && !path.exists(), "not at once");
        tokio::time::advance(TRY_AGAIN).await;
        reserve.keep(true).await;
        assert!(!reserve.is_given_up());
        assert_eq!(held(), 100_001);
        // Half of one, of a process that was killed, is made whole.
        std::fs::write(&path, "half").unwrap();
        let mut next = DiskReserve::beside(&database, 100_001).unwrap();
        next.keep(false).await;
        assert_eq!(held(), 4, "there may be much to do at first");
        next.keep(true).await;
        assert_eq!(held(), 100_001);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
