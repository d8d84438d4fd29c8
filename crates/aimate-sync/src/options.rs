//! How files become documents.

/// How files become documents; see [`FolderSync`](crate::FolderSync).
///
/// ```
/// let options = aimate_sync::SyncOptions::default().delete(false);
/// assert!(!options.delete && !options.retry_failed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Whether documents whose files are gone from a folder are deleted.
    /// Default: true.
    pub delete: bool,
    /// Whether they are deleted even if they are many: more than 20 and more
    /// than a quarter of the collection's documents. Default: false, because
    /// such a folder is more often one that is not mounted than one that was
    /// emptied.
    pub delete_many: bool,
    /// Whether documents that failed are read again although their files did
    /// not change. Default: false.
    pub retry_failed: bool,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self { delete: true, delete_many: false, retry_failed: false }
    }
}

impl SyncOptions {
    /// Sets whether documents whose files are gone are deleted.
    #[must_use]
    pub fn delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Sets whether many documents may be deleted.
    #[must_use]
    pub fn delete_many(mut self, delete_many: bool) -> Self {
        self.delete_many = delete_many;
        self
    }

    /// Sets whether documents that failed are read again.
    #[must_use]
    pub fn retry_failed(mut self, retry_failed: bool) -> Self {
        self.retry_failed = retry_failed;
        self
    }
}
