//! A folder that is deleted when it is no longer used.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::process::Result;

/// A new folder, deleted with all it holds when this is dropped.
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    /// Makes the folder, which all may read; fails where something is there
    /// already, so what it holds is only what this process put there.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let failed = |error| format!("{}: {error}", path.display());
        fs::DirBuilder::new().mode(0o755).create(&path).map_err(failed)?;
        // Once more, for a umask that hides new folders from other accounts.
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Nothing is left to delete after a rename, and nobody to tell otherwise.
        let _ = fs::remove_dir_all(&self.0);
    }
}
