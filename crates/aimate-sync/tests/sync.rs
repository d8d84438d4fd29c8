//! A collection follows a folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::path::PathBuf;

use aimate_core::engine::Knowledge;
use aimate_core::knowledge::{DocumentFilter, NewCollection, SearchMode, SearchRequest};
use aimate_core::{CollectionId, Engine, Error, ErrorKind, PageRequest};
use aimate_sync::{FolderSync, SyncError, SyncEvent, SyncOptions, SyncReport, add_file, path_of};

/// A folder that is removed at the end, and a collection that follows it.
struct Bench {
    folder: PathBuf,
    knowledge: Knowledge,
    collection: CollectionId,
}

impl Bench {
    async fn new() -> Self {
        let store = aimate_store::connect("sqlite::memory:").await.unwrap();
        let engine = Engine::builder().store(store).build().await.unwrap();
        let me = engine.local_scope().await.unwrap();
        let folder =
            std::env::temp_dir().join(format!("aimate-sync-{}", engine.sources().id::<uuid::Uuid>()));
        fs::create_dir_all(&folder).unwrap();
        let knowledge = engine.knowledge(&me);
        let collection = knowledge.create_collection(NewCollection::new("folder")).await.unwrap().id;
        Self { folder: folder.canonicalize().unwrap(), knowledge, collection }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn sync(&self) -> FolderSync {
        FolderSync::new(&self.knowledge, self.collection)
    }

    /// Syncs, waits until all is read, and tells what was added, updated, moved,
    /// deleted and left as it was.
    async fn run(&self) -> (usize, usize, u64, u64, u64) {
        let report = self.sync().run(&[&self.folder]).await.unwrap();
        self.wait(&report).await;
        (report.added.len(), report.updated.len(), report.moved, report.deleted, report.unchanged)
    }

    async fn wait(&self, report: &SyncReport) {
        for id in report.added.iter().chain(&report.updated) {
            self.knowledge.wait(*id).await.unwrap();
        }
    }

    async fn count(&self) -> usize {
        let filter = DocumentFilter { collection: Some(self.collection), ..DocumentFilter::default() };
        self.knowledge.documents(&filter, PageRequest::first(200)).await.unwrap().data.len()
    }

    async fn hits(&self, query: &str) -> usize {
        let request = SearchRequest::new(query).mode(SearchMode::Text);
        self.knowledge.search(&request).await.unwrap().hits.len()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn folder_is_followed_through_changes() {
    let bench = Bench::new().await;
    for (name, text) in
        [("a.md", "alpha alpha"), ("sub/b.md", "beta beta"), (".hidden", "no"), ("c.md", "gamma")]
    {
        bench.write(name, text);
    }
    assert_eq!(bench.run().await, (3, 0, 0, 0, 0));
    assert_eq!(bench.run().await, (0, 0, 0, 0, 3));
    fs::rename(bench.folder.join("a.md"), bench.folder.join("sub/z.md")).unwrap();
    bench.write("sub/b.md", "delta delta");
    fs::remove_file(bench.folder.join("c.md")).unwrap();
    assert_eq!(bench.run().await, (0, 1, 1, 1, 0));
    assert_eq!((bench.hits("alpha").await, bench.hits("delta").await), (1, 1));
    assert_eq!(bench.hits("beta gamma").await, 0);
}

#[tokio::test]
async fn document_from_elsewhere_and_from_beside_the_folder_stays() {
    let bench = Bench::new().await;
    bench.write("docs/a.md", "alpha");
    bench.write("docs-old/b.md", "beta");
    bench.sync().run(&[bench.folder.join("docs"), bench.folder.join("docs-old")]).await.unwrap();
    bench
        .knowledge
        .add_text_to(bench.collection, aimate_core::knowledge::NewDocument::new("c"), "c".into())
        .await
        .unwrap();
    fs::remove_dir_all(bench.folder.join("docs-old")).unwrap();
    let report = bench.sync().run(&[bench.folder.join("docs")]).await.unwrap();
    assert_eq!((report.unchanged, report.deleted), (1, 0));
    assert_eq!(bench.count().await, 3);
    let missing = bench.sync().run(&[bench.folder.join("docs-old")]).await.unwrap_err();
    assert_eq!(Error::from(missing).kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn many_documents_are_deleted_only_where_that_is_allowed() {
    let bench = Bench::new().await;
    for n in 0..25 {
        bench.write(&format!("{n}.md"), &format!("number {n}"));
    }
    bench.run().await;
    for n in 0..21 {
        fs::remove_file(bench.folder.join(format!("{n}.md"))).unwrap();
    }
    bench.write("new.md", "new");
    let error = bench.sync().run(&[&bench.folder]).await.unwrap_err();
    let SyncError::DeletesMany(plan) = &error else { panic!("{error}") };
    assert_eq!((plan.delete.len(), plan.documents, plan.add.len()), (21, 25, 1));
    assert_eq!(bench.count().await, 25, "nothing is changed");
    assert_eq!(Error::from(error).kind(), ErrorKind::Conflict);

    let keeping = bench.sync().options(SyncOptions::default().delete(false));
    let report = keeping.run(&[&bench.folder]).await.unwrap();
    assert_eq!((report.added.len(), report.deleted, bench.count().await), (1, 0, 26));
    let allowed = bench.sync().options(SyncOptions::default().delete_many(true));
    let report = allowed.run(&[&bench.folder]).await.unwrap();
    assert_eq!((report.deleted, report.unchanged, bench.count().await), (21, 5, 5));
}

#[tokio::test]
async fn few_documents_are_deleted_unasked() {
    let bench = Bench::new().await;
    for n in 0..20 {
        bench.write(&format!("{n}.md"), &format!("number {n}"));
    }
    bench.run().await;
    fs::remove_dir_all(&bench.folder).unwrap();
    fs::create_dir_all(&bench.folder).unwrap();
    assert_eq!(bench.run().await, (0, 0, 0, 20, 0));
}

#[tokio::test]
async fn plan_changes_nothing_and_events_tell_each_step() {
    let bench = Bench::new().await;
    bench.write("a.md", "alpha");
    bench.write("b.png", "\u{89}PNG\r\n\u{1a}\n0000");
    let plan = bench.sync().plan(&[&bench.folder], |_| {}).await.unwrap();
    assert_eq!(plan.add, [bench.folder.join("a.md")]);
    assert_eq!(bench.count().await, 0);
    let mut events = Vec::new();
    let report = bench.sync().run_with(&[&bench.folder], |event| events.push(event)).await.unwrap();
    assert!(matches!(events[0], SyncEvent::Listed { .. }), "{events:?}");
    assert!(matches!(events.last(), Some(SyncEvent::Queued(..))), "{events:?}");
    bench.wait(&report).await;
    events.clear();
    bench.sync().run_with(&[&bench.folder], |event| events.push(event)).await.unwrap();
    assert!(events.contains(&SyncEvent::Compared { files: 1, of: 1 }), "{events:?}");
    assert!(events.contains(&SyncEvent::Unchanged(bench.folder.join("a.md"))), "{events:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn names_that_are_no_utf8_are_documents_of_their_own() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new().await;
    for (name, text) in [(b"\xff.md", "alpha"), (b"\xfe.md", "beta ")] {
        fs::write(bench.folder.join(std::ffi::OsStr::from_bytes(name)), text).unwrap();
    }
    bench.write("100%.md", "gamma");
    assert_eq!(bench.run().await, (3, 0, 0, 0, 0));
    assert_eq!(bench.run().await, (0, 0, 0, 0, 3));
    assert_eq!((bench.hits("alpha").await, bench.hits("beta").await), (1, 1));
    fs::remove_file(bench.folder.join(std::ffi::OsStr::from_bytes(b"\xff.md"))).unwrap();
    assert_eq!(bench.run().await, (0, 0, 0, 1, 2));
    assert_eq!((bench.hits("alpha").await, bench.hits("beta").await), (0, 1));
}

#[tokio::test]
async fn single_file_is_added_and_replaced() {
    let bench = Bench::new().await;
    bench.write("a.md", "alpha");
    let path = bench.folder.join("a.md");
    let first = add_file(&bench.knowledge, bench.collection, &path).await.unwrap();
    assert_eq!(path_of(first.source.as_deref().unwrap()), Some(path.clone()));
    bench.write("a.md", "beta");
    let second = add_file(&bench.knowledge, bench.collection, &path).await.unwrap();
    assert_eq!(first.id, second.id);
    let missing = add_file(&bench.knowledge, bench.collection, bench.folder.join("b.md")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}
