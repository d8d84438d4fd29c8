//! Comparing files with the documents that came from them. Nothing here reads or
//! writes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use aimate_core::DocumentId;

use crate::report::LeftOut;
use crate::source::path_of;
use crate::{SyncOptions, SyncPlan};

/// A document that came from a file.
#[derive(Clone, Debug)]
pub(crate) struct KnownDocument {
    pub(crate) id: DocumentId,
    pub(crate) source: String,
    pub(crate) size: u64,
    pub(crate) hash: String,
    pub(crate) is_failed: bool,
}

/// A file that was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    pub(crate) source: String,
    pub(crate) size: u64,
    /// Its content, where that decides what becomes of it.
    pub(crate) hash: Option<String>,
}

/// Returns the files (by their place in the list) whose content must be known:
/// those as large as the document of their source, or as a document whose file
/// is gone.
pub(crate) fn needing_hash(
    documents: &[KnownDocument],
    files: &[FoundFile],
    unreadable: &[LeftOut],
    options: SyncOptions,
) -> HashSet<usize> {
    let known = by_source(documents);
    let gone: HashSet<u64> = gone(documents, files, unreadable).map(|document| document.size).collect();
    let needs_hash = |file: &FoundFile| match known.get(file.source.as_str()) {
        Some(document) => document.size == file.size && !(options.retry_failed && document.is_failed),
        None => gone.contains(&file.size),
    };
    files.iter().enumerate().filter(|(_, file)| needs_hash(file)).map(|(n, _)| n).collect()
}

/// Completes a plan with what becomes of the files and documents.
///
/// A file without a document takes over one of the same content whose own file is
/// gone. Documents at or below an unreadable path are not gone.
pub(crate) fn diff(
    documents: &[KnownDocument],
    files: Vec<FoundFile>,
    mut plan: SyncPlan,
    options: SyncOptions,
) -> SyncPlan {
    let known = by_source(documents);
    let mut gone: Vec<_> = gone(documents, &files, &plan.unreadable).collect();
    gone.sort_unstable_by(|a, b| b.source.cmp(&a.source));
    let mut by_hash: HashMap<&str, Vec<&KnownDocument>> = HashMap::new();
    for document in &gone {
        by_hash.entry(&document.hash).or_default().push(document);
    }
    let mut moved = HashSet::new();
    for file in files {
        let is_same = |document: &KnownDocument| {
            file.hash.as_ref() == Some(&document.hash) && !(options.retry_failed && document.is_failed)
        };
        match known.get(file.source.as_str()) {
            Some(document) if is_same(document) => plan.unchanged.push(file.path),
            Some(_) => plan.update.push(file.path),
            None => match file.hash.and_then(|hash| by_hash.get_mut(hash.as_str())?.pop()) {
                Some(document) => {
                    moved.insert(document.id);
                    plan.moves.push((document.id, file.path));
                }
                None => plan.add.push(file.path),
            },
        }
    }
    if options.delete {
        plan.delete = gone.iter().map(|document| document.id).filter(|id| !moved.contains(id)).collect();
    }
    plan
}

fn by_source(documents: &[KnownDocument]) -> HashMap<&str, &KnownDocument> {
    documents.iter().map(|document| (document.source.as_str(), document)).collect()
}

/// The documents whose files are gone.
fn gone<'a>(
    documents: &'a [KnownDocument],
    files: &[FoundFile],
    unreadable: &[LeftOut],
) -> impl Iterator<Item = &'a KnownDocument> {
    let there: HashSet<String> = files.iter().map(|file| file.source.clone()).collect();
    let unreadable: HashSet<PathBuf> = unreadable.iter().map(|one| one.path.clone()).collect();
    let mut seen = HashSet::new();
    documents.iter().filter(move |document| {
        let may_be_there = |path: &Path| path.ancestors().any(|folder| unreadable.contains(folder));
        // Roots that lie within each other bring a document twice.
        seen.insert(document.id)
            && !there.contains(&document.source)
            && path_of(&document.source).is_some_and(|path| !may_be_there(&path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(n: u128, path: &str, content: &str) -> KnownDocument {
        KnownDocument {
            id: id(n),
            source: format!("file:{path}"),
            size: content.len() as u64,
            hash: content.to_owned(),
            is_failed: false,
        }
    }

    fn id(n: u128) -> DocumentId {
        DocumentId(uuid::Uuid::from_u128(n))
    }

    fn unreadable(path: &str) -> LeftOut {
        LeftOut::new(path, "it cannot be read")
    }

    /// Compares documents (number, path, content) with files (path, content).
    fn compare(
        documents: &[KnownDocument],
        files: &[(&str, &str)],
        unreadable: &[LeftOut],
        options: SyncOptions,
    ) -> SyncPlan {
        let mut files: Vec<_> = files
            .iter()
            .map(|(path, content)| FoundFile {
                path: path.into(),
                source: format!("file:{path}"),
                size: content.len() as u64,
                hash: Some((*content).to_owned()),
            })
            .collect();
        let needed = needing_hash(documents, &files, unreadable, options);
        for (n, file) in files.iter_mut().enumerate().filter(|(n, _)| !needed.contains(n)) {
            let _ = n;
            file.hash = None;
        }
        let plan = SyncPlan { unreadable: unreadable.to_vec(), ..SyncPlan::default() };
        diff(documents, files, plan, options)
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn each_file_and_document_has_one_fate() {
        let documents = [
            document(1, "/d/same", "same"),
            document(2, "/d/longer", "longer"),
            document(3, "/d/edited", "old"),
            document(4, "/d/moved", "moved"),
            document(5, "/d/gone", "gone"),
        ];
        let files = [
            ("/d/same", "same"),
            ("/d/longer", "longer!"),
            ("/d/edited", "new"),
            ("/e/moved", "moved"),
            ("/d/fresh", "x"),
        ];
        let plan = compare(&documents, &files, &[], SyncOptions::default());
        assert_eq!(plan.unchanged, paths(&["/d/same"]));
        assert_eq!(plan.update, paths(&["/d/longer", "/d/edited"]));
        assert_eq!(plan.moves, [(id(4), "/e/moved".into())]);
        assert_eq!(plan.add, paths(&["/d/fresh"]));
        assert_eq!(plan.delete, [id(5)]);
    }

    #[test]
    fn only_files_that_may_be_known_are_hashed() {
        let documents = [document(1, "/d/a", "12345"), document(2, "/d/gone", "1234567")];
        let file = |path: &str, size| FoundFile {
            path: path.into(),
            source: format!("file:{path}"),
            size,
            hash: None,
        };
        let files = [file("/d/a", 5), file("/d/b", 7), file("/d/c", 5), file("/d/d", 6)];
        let needed = |unreadable: &[LeftOut]| {
            let mut needed: Vec<_> =
                needing_hash(&documents, &files, unreadable, SyncOptions::default()).into_iter().collect();
            needed.sort_unstable();
            needed
        };
        assert_eq!(needed(&[]), [0, 1]);
        assert_eq!(needed(&[unreadable("/d")]), [0]);
    }

    #[test]
    fn nothing_at_or_below_an_unreadable_path_is_gone() {
        let documents = [
            document(1, "/d/shut/a", "a"),
            document(2, "/d/shut/deep/b", "b"),
            document(3, "/d/shut", "c"),
            document(4, "/d/shutter", "d"),
            document(5, "/d/file", "e"),
        ];
        let shut = [unreadable("/d/shut"), unreadable("/d/file")];
        let plan = compare(&documents, &[], &shut, SyncOptions::default());
        assert_eq!(plan.delete, [id(4)]);
        let plan = compare(&documents, &[], &[unreadable("/d")], SyncOptions::default());
        assert!(plan.delete.is_empty());
        // What is only hidden keeps its document; the same text elsewhere is new.
        let plan = compare(&documents, &[("/d/new", "a")], &shut, SyncOptions::default());
        assert_eq!((plan.add.len(), plan.moves.len()), (1, 0));
    }

    #[test]
    fn documents_of_the_same_content_move_one_each() {
        let documents = [document(1, "/d/a", "x"), document(2, "/d/b", "x"), document(3, "/d/c", "x")];
        let plan = compare(&documents, &[("/e/a", "x"), ("/e/b", "x")], &[], SyncOptions::default());
        assert_eq!(plan.moves, [(id(1), "/e/a".into()), (id(2), "/e/b".into())]);
        assert_eq!(plan.delete, [id(3)]);
    }

    #[test]
    fn options_keep_documents_and_read_failed_ones_again() {
        let failed = KnownDocument { is_failed: true, ..document(1, "/d/a", "a") };
        let documents = [failed, document(2, "/d/gone", "gone")];
        let plan = compare(&documents, &[("/d/a", "a")], &[], SyncOptions::default().delete(false));
        assert_eq!((plan.unchanged.len(), plan.delete.len()), (1, 0));
        let plan = compare(&documents, &[("/d/a", "a")], &[], SyncOptions::default().retry_failed(true));
        assert_eq!((plan.update, plan.delete), (paths(&["/d/a"]), vec![id(2)]));
    }

    #[test]
    fn document_that_two_roots_bring_is_deleted_once() {
        let twice = [document(1, "/d/sub/a", "a"), document(1, "/d/sub/a", "a")];
        assert_eq!(compare(&twice, &[], &[], SyncOptions::default()).delete, [id(1)]);
    }
}
