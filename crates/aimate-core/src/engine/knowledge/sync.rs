//! Keeping a collection in step with files and folders.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::Knowledge;
use crate::error::{Error, Result};
use crate::id::{CollectionId, DocumentId};
use crate::knowledge::{Document, DocumentFilter, DocumentMove, DocumentStatus, NewDocument};
use crate::page::PageRequest;

/// Bytes that are read from a file at once.
const PIECE: usize = 256 * 1024;
/// Bytes of a file that tell what it is.
const HEAD: usize = 4 * 1024;
/// Documents that are moved or deleted together.
const TOGETHER: usize = 200;

/// How files become documents; see [`Knowledge::sync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// Whether documents whose files are gone from a folder are deleted.
    /// Default: true.
    pub delete: bool,
    /// Whether documents that failed are read again although their files did
    /// not change. Default: false.
    pub retry_failed: bool,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self { delete: true, retry_failed: false }
    }
}

/// What a synchronisation did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// Documents that are new.
    pub added: Vec<DocumentId>,
    /// Documents whose content changed.
    pub updated: Vec<DocumentId>,
    /// Documents whose file has another name or place now.
    pub moved: u64,
    /// Documents whose file is gone.
    pub deleted: u64,
    /// Documents that are as they were.
    pub unchanged: u64,
    /// Files that were left out, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

/// One step of a synchronisation.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncEvent {
    /// The files were listed.
    Listed {
        /// How many there are.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A file is as its document is, or was only moved.
    Unchanged(PathBuf),
    /// A file was put into the queue; its document is `pending`.
    Queued(PathBuf, Box<Document>),
    /// A file was left out, for this reason.
    Skipped(PathBuf, String),
}

impl Knowledge {
    /// Brings a collection in step with files and folders: new files are added,
    /// changed ones read again (of which only changed chunks are embedded),
    /// moved ones renamed, and documents whose files are gone from a folder are
    /// deleted. What did not change is not read again. Documents are `pending`
    /// when this returns; `on_event` hears of each step.
    ///
    /// Hidden files, symbolic links and media that have no text are left out.
    ///
    /// # Errors
    /// `NotFound` if a path or the collection is not there; what the store says.
    /// What was done until then stays.
    pub async fn sync(
        &self,
        collection: CollectionId,
        paths: &[PathBuf],
        options: SyncOptions,
        mut on_event: impl FnMut(SyncEvent) + Send,
    ) -> Result<SyncReport> {
        let mut report = SyncReport::default();
        let skip = |report: &mut SyncReport, path: PathBuf, why: String, tell: &mut dyn FnMut(SyncEvent)| {
            tell(SyncEvent::Skipped(path.clone(), why.clone()));
            report.skipped.push((path, why));
        };
        let mut known: HashMap<String, Document> = HashMap::new();
        let mut files = Vec::new();
        for path in paths {
            let path = absolute(path).await?;
            let listing = blocking(self, {
                let path = path.clone();
                move || list(&path)
            })
            .await??;
            for document in self.under(collection, &path).await? {
                known.insert(document.source.clone().unwrap_or_default(), document);
            }
            files.extend(listing.files);
            for (path, why) in listing.skipped {
                skip(&mut report, path, why, &mut on_event);
            }
        }
        let bytes = files.iter().map(|file| file.size).sum();
        on_event(SyncEvent::Listed { files: files.len() as u64, bytes });
        let there: HashSet<String> = files.iter().map(|file| source(&file.path)).collect();
        let mut gone: HashMap<String, Vec<Document>> = HashMap::new();
        for document in
            known.values().filter(|document| !there.contains(document.source.as_deref().unwrap_or("")))
        {
            gone.entry(document.content_hash.clone()).or_default().push(document.clone());
        }
        let mut moves = Vec::new();
        for file in files {
            let path = file.path.clone();
            let hashed = blocking(self, {
                let path = path.clone();
                move || hash(&path)
            })
            .await?;
            let hash = match hashed {
                Ok(hash) => hash,
                Err(error) => {
                    skip(&mut report, path, format!("it cannot be read: {error}"), &mut on_event);
                    continue;
                }
            };
            let source = source(&path);
            let old = known.get(&source);
            let is_same = |document: &Document| {
                document.content_hash == hash
                    && !(options.retry_failed && document.status == DocumentStatus::Failed)
            };
            if old.is_some_and(is_same) {
                report.unchanged += 1;
                on_event(SyncEvent::Unchanged(path));
                continue;
            }
            if old.is_none()
                && let Some(document) = gone.get_mut(&hash).and_then(Vec::pop)
            {
                moves.push(DocumentMove { id: document.id, name: name(&path), source });
                on_event(SyncEvent::Unchanged(path));
                continue;
            }
            let new = NewDocument { source: Some(source), ..NewDocument::new(name(&path)) };
            match self.add(collection, new, bytes_of(path.clone())).await {
                Ok(document) => {
                    let list = if old.is_some() { &mut report.updated } else { &mut report.added };
                    list.push(document.id);
                    on_event(SyncEvent::Queued(path, Box::new(document)));
                }
                Err(error) if error.kind().retryable() => return Err(error),
                Err(error) => skip(&mut report, path, error.message().to_owned(), &mut on_event),
            }
        }
        report.moved = moves.len() as u64;
        for some in moves.chunks(TOGETHER) {
            let now = self.engine.inner.sources.now();
            self.engine.inner.stores.documents.rename(&self.scope, some, now).await?;
        }
        let gone: Vec<_> = gone.into_values().flatten().map(|document| document.id).collect();
        if options.delete {
            report.deleted = gone.len() as u64;
            for some in gone.chunks(TOGETHER) {
                self.delete_all(some).await?;
            }
        }
        Ok(report)
    }

    /// The collection's documents that came from `path` or from below it.
    async fn under(&self, collection: CollectionId, path: &Path) -> Result<Vec<Document>> {
        let itself = source(path);
        let below = format!("{}/", itself.trim_end_matches('/'));
        let filter = DocumentFilter {
            collection: Some(collection),
            source_prefix: Some(itself.clone()),
            ..DocumentFilter::default()
        };
        let (mut all, mut page) = (Vec::new(), PageRequest::first(PageRequest::MAX_LIMIT));
        loop {
            let found = self.engine.inner.stores.documents.list(&self.scope, &filter, page).await?;
            all.extend(found.data.into_iter().filter(|document| {
                document.source.as_ref().is_some_and(|source| *source == itself || source.starts_with(&below))
            }));
            match found.next {
                None => return Ok(all),
                next => page.after = next,
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    knowledge: &Knowledge,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let task = knowledge.engine.inner.tasks.spawn_blocking(work);
    task.await.map_err(|error| Error::internal("reading files failed").with_source(error))
}

/// A file that may become a document.
struct Listed {
    path: PathBuf,
    size: u64,
}

/// What a path leads to.
#[derive(Default)]
struct Listing {
    files: Vec<Listed>,
    skipped: Vec<(PathBuf, String)>,
}

/// All files at or below `path`, in the order of their names.
fn list(path: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    let about = std::fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if about.is_file() {
        listing.files.push(Listed { path: path.to_owned(), size: about.len() });
        return Ok(listing);
    }
    let walk = walkdir::WalkDir::new(path).follow_links(false).sort_by_file_name();
    let is_shown = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
    };
    for entry in walk.into_iter().filter_entry(is_shown) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let at = error.path().unwrap_or(path).to_owned();
                listing.skipped.push((at, format!("it cannot be read: {error}")));
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        match textless(entry.path()) {
            Some(why) => listing.skipped.push((entry.path().to_owned(), why)),
            None => {
                let size = entry.metadata().map_or(0, |about| about.len());
                listing.files.push(Listed { path: entry.into_path(), size });
            }
        }
    }
    Ok(listing)
}

/// Why a file of a folder is left out: it is a picture or something else
/// without text.
fn textless(path: &Path) -> Option<String> {
    let mut head = Vec::with_capacity(HEAD);
    let file = std::fs::File::open(path).ok()?;
    file.take(HEAD as u64).read_to_end(&mut head).ok()?;
    let media = aimate_text::extract::media_type(&name(path), &head);
    let kind = media.split('/').next().unwrap_or_default();
    let none = matches!(kind, "image" | "audio" | "video" | "font") || media == "application/octet-stream";
    (none && !head.is_empty()).then(|| format!("it has no text that can be read ({media})"))
}

fn hash(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            n => hash.update(piece.get(..n).unwrap_or_default()),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The path from the root, without `..` and links.
pub(super) async fn absolute(path: &Path) -> Result<PathBuf> {
    tokio::fs::canonicalize(path).await.map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "is not there",
        std::io::ErrorKind::PermissionDenied => "may not be read by this process",
        _ => "cannot be read",
    };
    Error::not_found(format!("`{}` {why}", path.display())).with_source(error)
}

/// The source of a document that is this file.
pub(super) fn source(path: &Path) -> String {
    format!("file:{}", path.display())
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// A file's bytes, piece by piece.
pub(super) fn bytes_of(path: PathBuf) -> BoxStream<'static, Result<Vec<u8>>> {
    enum State {
        Closed(PathBuf),
        Open(PathBuf, tokio::fs::File),
        Over,
    }
    stream::unfold(State::Closed(path), |state| async move {
        let (path, mut file) = match state {
            State::Over => return None,
            State::Open(path, file) => (path, file),
            State::Closed(path) => match tokio::fs::File::open(&path).await {
                Ok(file) => (path, file),
                Err(error) => return Some((Err(unreadable(&path, error)), State::Over)),
            },
        };
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(n) => {
                piece.truncate(n);
                Some((Ok(piece), State::Open(path, file)))
            }
            Err(error) => Some((Err(unreadable(&path, error)), State::Over)),
        }
    })
    .boxed()
}
