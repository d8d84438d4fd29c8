//! The second step: what a sync is going to do.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aimate_core::knowledge::{Document, DocumentFilter, DocumentStatus};
use aimate_core::{DocumentId, Error, PageRequest, Result};
use sha2::{Digest, Sha256};

use crate::diff::{self, FoundFile, KnownDocument};
use crate::list::{list, unreadable};
use crate::report::{LeftOut, SyncEvent};
use crate::source::source_of;
use crate::{FolderSync, blocking};

/// So many documents may always be deleted.
const MANY: usize = 20;
/// One in so many of a collection's documents may be deleted unasked.
const SHARE: u64 = 4;
/// Files that one blocking task reads.
const BATCH: usize = 32;
/// Bytes that are read from a file at once.
const BUFFER: usize = 256 * 1024;

/// What a sync is going to do; see [`FolderSync::plan`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncPlan {
    /// Files that become new documents.
    pub add: Vec<PathBuf>,
    /// Files whose documents are read again.
    pub update: Vec<PathBuf>,
    /// Documents whose files have another name or place, and the file's path now.
    pub moves: Vec<(DocumentId, PathBuf)>,
    /// Documents whose files are gone.
    pub delete: Vec<DocumentId>,
    /// Files that are as their documents are.
    pub unchanged: Vec<PathBuf>,
    /// Files that are left out because they can be no documents.
    pub skipped: Vec<LeftOut>,
    /// Files and folders that could not be read. Nothing at or below them counts
    /// as gone.
    pub unreadable: Vec<LeftOut>,
    /// Documents of the collection before the sync, those from elsewhere too.
    pub documents: u64,
}

impl SyncPlan {
    /// Whether it deletes more than 20 documents and more than a quarter of the
    /// collection.
    pub fn deletes_many(&self) -> bool {
        self.delete.len() > MANY && (self.delete.len() as u64).saturating_mul(SHARE) > self.documents
    }
}

impl FolderSync {
    /// Compares `paths` with the collection and changes nothing. `on_event` hears
    /// what was listed and compared.
    ///
    /// # Errors
    /// `NotFound` if a path or the collection is not there; what the store says.
    pub async fn plan<P: AsRef<Path>>(
        &self,
        paths: &[P],
        mut on_event: impl FnMut(SyncEvent) + Send,
    ) -> Result<SyncPlan> {
        let collection = self.knowledge.collection(&self.collection.to_string()).await?;
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        let (mut files, mut documents, mut plan) = (Vec::new(), Vec::new(), SyncPlan::default());
        plan.documents = collection.document_count;
        let mut seen = HashSet::new();
        let mut bytes = 0;
        for path in paths {
            let (root, listing) = blocking(move || {
                let root = path.canonicalize().map_err(|error| not_there(&path, error))?;
                let listing = list(&root).map_err(|error| not_there(&root, error))?;
                Ok::<_, Error>((root, listing))
            })
            .await??;
            documents.extend(self.documents_below(&root).await?);
            for file in listing.files {
                let source = source_of(&file.path);
                // Paths may lie within each other.
                if seen.insert(source.clone()) {
                    bytes += file.size;
                    files.push(FoundFile { path: file.path, source, size: file.size, hash: None });
                }
            }
            plan.skipped.extend(listing.skipped);
            plan.unreadable.extend(listing.unreadable);
        }
        on_event(SyncEvent::Listed { files: files.len() as u64, bytes });
        let files = self.hash(files, &documents, &mut plan.unreadable, &mut on_event).await?;
        Ok(diff::diff(&documents, files, plan, self.options))
    }

    /// Hashes the files whose content decides what becomes of them. Those that
    /// cannot be read are told as unreadable.
    async fn hash(
        &self,
        files: Vec<FoundFile>,
        documents: &[KnownDocument],
        left_out: &mut Vec<LeftOut>,
        on_event: &mut (dyn FnMut(SyncEvent) + Send),
    ) -> Result<Vec<FoundFile>> {
        let needs_hash = diff::needing_hash(documents, &files, left_out, self.options);
        let of = needs_hash.len() as u64;
        let (to_hash, mut done): (Vec<_>, Vec<_>) =
            files.into_iter().enumerate().partition(|(n, _)| needs_hash.contains(n));
        let mut compared = 0;
        let mut to_hash = to_hash.into_iter().peekable();
        while to_hash.peek().is_some() {
            let batch: Vec<_> = to_hash.by_ref().take(BATCH).collect();
            compared += batch.len() as u64;
            for (n, file, hash) in blocking(move || hash_all(batch)).await? {
                match hash {
                    Ok(hash) => done.push((n, FoundFile { hash: Some(hash), ..file })),
                    Err(error) => left_out.push(unreadable(file.path, error)),
                }
            }
            on_event(SyncEvent::Compared { files: compared, of });
        }
        done.sort_unstable_by_key(|(n, _)| *n);
        Ok(done.into_iter().map(|(_, file)| file).collect())
    }

    /// The collection's documents that came from `path` or from below it.
    async fn documents_below(&self, path: &Path) -> Result<Vec<KnownDocument>> {
        let itself = source_of(path);
        let below = format!("{}/", itself.trim_end_matches('/'));
        let filter = DocumentFilter {
            collection: Some(self.collection),
            source_prefix: Some(itself.clone()),
            ..DocumentFilter::default()
        };
        let (mut all, mut page) = (Vec::new(), PageRequest::first(PageRequest::MAX_LIMIT));
        loop {
            let found = self.knowledge.documents(&filter, page).await?;
            // `/a/b` is a prefix of `/a/bc` too.
            all.extend(
                found
                    .data
                    .into_iter()
                    .filter_map(known)
                    .filter(|document| document.source == itself || document.source.starts_with(&below)),
            );
            match found.next {
                None => return Ok(all),
                next => page.after = next,
            }
        }
    }
}

fn known(document: Document) -> Option<KnownDocument> {
    Some(KnownDocument {
        id: document.id,
        source: document.source?,
        size: document.size,
        hash: document.content_hash,
        is_failed: document.status == DocumentStatus::Failed,
    })
}

type Hashed = (usize, FoundFile, std::io::Result<String>);

fn hash_all(files: Vec<(usize, FoundFile)>) -> Vec<Hashed> {
    let hash = |(n, file): (usize, FoundFile)| {
        let hash = hash(&file.path);
        (n, file, hash)
    };
    files.into_iter().map(hash).collect()
}

/// SHA-256 of a file, as documents have it.
fn hash(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn not_there(path: &Path, error: std::io::Error) -> Error {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "is not there",
        std::io::ErrorKind::PermissionDenied => "may not be read by this process",
        // What `list` says of what it does not list.
        std::io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
            return Error::invalid(format!("`{}`: {error}", path.display()));
        }
        _ => "cannot be read",
    };
    Error::not_found(format!("`{}` {why}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_is_more_than_twenty_and_more_than_a_quarter() {
        let plan = |deleted, documents| SyncPlan {
            delete: vec![DocumentId(uuid::Uuid::nil()); deleted],
            documents,
            ..SyncPlan::default()
        };
        assert!(!plan(20, 20).deletes_many());
        assert!(plan(21, 21).deletes_many());
        assert!(plan(26, 100).deletes_many());
        assert!(!plan(25, 100).deletes_many());
        assert!(!plan(0, 0).deletes_many());
    }
}
