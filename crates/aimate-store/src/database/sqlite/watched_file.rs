//! Whether the database's file is still the one that was opened.
//!
//! A file that somebody removes or replaces goes on under the connections that
//! have it open, and with it all that is written, until they close.

use std::path::{Path, PathBuf};

use aimate_core::{Error, Result};

/// A file as it was when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct WatchedFile {
    path: PathBuf,
    identity: Option<FileIdentity>,
}

/// Device and number.
type FileIdentity = (u64, u64);

impl WatchedFile {
    /// Around a file that has just been opened.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), identity: identity(path).ok().flatten() }
    }

    /// That the file is there still.
    ///
    /// # Errors
    /// `Unavailable` if another one is at its path, or none.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(opened) = self.identity else { return Ok(()) };
        match identity(&self.path) {
            Ok(Some(found)) if found == opened => Ok(()),
            Ok(_) => Err(Error::unavailable(
                "another file is where the database's file was: stop this process, put the right one back and \
                 start again",
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::unavailable(
                "the database's file is gone: stop this process, put the file back and start again",
            )),
            Err(error) => Err(Error::unavailable("the database's file cannot be reached; look at its disk")
                .with_source(error)),
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<Option<FileIdentity>> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().map(|about| Some((about.dev(), about.ino())))
}

/// Elsewhere, an open file can be neither removed nor replaced.
#[cfg(not(unix))]
fn identity(_: &Path) -> std::io::Result<Option<FileIdentity>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_moved_back_is_the_same() {
        let folder = std::env::temp_dir().join(format!("aimate-watched-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, aside) = (folder.join("a"), folder.join("b"));
        std::fs::write(&path, "x").unwrap();
        let watched = WatchedFile::new(&path);
        watched.check().unwrap();
        std::fs::rename(&path, &aside).unwrap();
        assert!(watched.check().unwrap_err().message().contains("gone"));
        std::fs::write(&path, "x").unwrap();
        assert!(watched.check().unwrap_err().message().contains("another"));
        std::fs::rename(&aside, &path).unwrap();
        watched.check().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
