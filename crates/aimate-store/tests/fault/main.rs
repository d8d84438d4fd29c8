//! A disk that is full, or that does not keep what it was given: what fails is
//! told, is stored as a whole or not at all, and the store works again afterwards.
//!
//! The disk fails in a process of its own, into which `shim.c` is loaded before
//! the C library: SQLite and the blob store run as they do always, and the system
//! calls under them fail.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "these are tests, which start themselves once more"
)]

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aimate_core::Engine;
use aimate_core::conformance::knowledge_world::Fixture;
use aimate_core::conformance::world::{self, World};
use aimate_core::deletion::{DeletionStep, DeletionTarget};
use aimate_core::knowledge::{Blob, StoredBytes};
use aimate_core::run::{BeginRun, Begun};
use aimate_core::{BlobId, Error, ErrorKind, Ids as _, RandomIds, Result, Stores};
use aimate_store::{Options, Store, connect_with};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use sqlx::Connection as _;

const FOLDER: &str = "AIMATE_FAULT_FOLDER";
const LEASE: Duration = Duration::from_secs(30);
/// Bytes that are kept for deletions.
const RESERVE: u64 = 1 << 20;

#[test]
fn full_disk_fails_writes_and_nothing_else() {
    in_child("child_on_a_full_disk");
}

#[test]
fn full_disk_lets_deletions_through() {
    in_child("child_that_makes_room");
}

#[test]
fn failing_sync_acknowledges_nothing() {
    in_child("child_whose_sync_fails");
}

/// Runs a test of this binary in another process whose disk can fail.
fn in_child(test: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let shim = target.join(format!("fault-{test}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault/shim.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).status();
    assert!(built.unwrap().success(), "a C compiler builds the shim");
    let folder = support::Folder::new();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("LD_PRELOAD", shim)
        .env(FOLDER, folder.file().parent().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "full_disk_fails_writes_and_nothing_else starts it"]
async fn child_on_a_full_disk() {
    with_a_disk_that_fails("full").await;
}

#[tokio::test]
#[ignore = "full_disk_lets_deletions_through starts it"]
async fn child_that_makes_room() {
    let disk = Disk { folder: std::env::var(FOLDER).unwrap().into(), fault: "filled".to_owned() };
    let store = disk.open().await;
    let stores = store.stores();
    let papers = Fixture::new(&stores).await;
    let document = papers.ready("a.txt", &["what it says"]).await;
    let w = &papers.world;
    let [first, second, third] =
        [w.conversation("a").await, w.conversation("b").await, w.conversation("c").await];
    let reserve = disk.folder.join("aimate.db-reserve");
    support::until(async || reserve.metadata().is_ok_and(|about| about.len() == RESERVE)).await;

    disk.fails(true);
    is_clear(&begin(w, &turn(w, "a turn")).await.unwrap_err());
    assert!(reserve.exists(), "it is for deletions");
    // Beside others in one transaction.
    let beside = turn(w, "beside");
    let (refused, deleted) = tokio::join!(begin(w, &beside), stores.conversations.delete(&w.me, first.id));
    deleted.unwrap();
    is_clear(&refused.unwrap_err());
    assert!(!reserve.exists());
    // What is left of the room is for deletions too.
    is_clear(&begin(w, &turn(w, "after it")).await.unwrap_err());
    stores.conversations.delete(&w.me, second.id).await.unwrap();
    stores.documents.delete(&w.me, &[document.id]).await.unwrap();
    stores.collections.delete(&w.me, papers.collection).await.unwrap();
    // Their bytes are the room that is made.
    let worker = w.worker;
    stores.workers.beat(worker, world::at(1)).await.unwrap_err();
    let loose = stores.queue.blobs_to_remove(worker, world::at(1), LEASE, 10).await.unwrap();
    assert_eq!(loose.len(), 1);
    stores.blobs.delete(&loose[0]).await.unwrap();
    stores.queue.forget_removed(&loose).await.unwrap();
    assert_eq!(disk.blob_files(), Vec::<PathBuf>::new());
    // A user goes whole.
    let other = DeletionTarget { tenant: w.other.tenant, user: Some(w.other.user) };
    stores.deletions.begin(&other, worker, world::at(1)).await.unwrap();
    assert_eq!(stores.deletions.take_over(worker, world::at(1), LEASE).await.unwrap(), [other]);
    while stores.deletions.step(&other, world::at(100)).await.unwrap() == DeletionStep::Deleted {}
    assert!(stores.deletions.finish(&other, world::at(100)).await.unwrap().finished_at.is_some());
    let (me, turn) = (w.me, turn(w, "a turn"));
    store.close().await;

    // A process that starts then deletes, too.
    disk.fails(false);
    std::fs::write(&reserve, "kept").unwrap();
    disk.fails(true);
    let store = disk.open().await;
    let next = store.stores();
    let engine = Engine::builder().store(store.clone()).build().await.unwrap();
    engine.local_scope().await.unwrap();
    next.conversations.delete(&me, third.id).await.unwrap();
    engine.drain(Duration::ZERO).await;
    store.close().await;

    // There is room again.
    disk.fails(false);
    let store = disk.open().await;
    let stores = store.stores();
    for gone in [first.id, second.id, third.id] {
        assert_eq!(stores.conversations.get(&me, gone).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert!(matches!(stores.runs.begin(&me, &turn).await.unwrap(), Begun::New));
    support::until(async || reserve.exists()).await;
    store.close().await;
}

#[test]
fn full_disk_is_not_ready() {
    in_child("child_that_is_not_ready");
}

#[tokio::test]
#[ignore = "full_disk_is_not_ready starts it"]
async fn child_that_is_not_ready() {
    let disk = Disk { folder: std::env::var(FOLDER).unwrap().into(), fault: "full".to_owned() };
    let store = disk.open().await;
    let engine = Engine::builder().store(store.clone()).build().await.unwrap();
    engine.ready().await.unwrap();
    disk.fails(true);
    support::until(async || engine.ready().await.is_err()).await;
    is_clear_to_readers(&engine.ready().await.unwrap_err());
    disk.fails(false);
    support::until(async || engine.ready().await.is_ok()).await;
    engine.drain(Duration::ZERO).await;
    store.close().await;
}

fn is_clear_to_readers(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.message().contains("disk"), "{error:?}");
}

#[tokio::test]
#[ignore = "failing_sync_acknowledges_nothing starts it"]
async fn child_whose_sync_fails() {
    with_a_disk_that_fails("sync").await;
}

/// It says that the disk is at fault, or that the write is not stored.
fn is_clear(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let is_clear = ["disk", "not stored"].iter().any(|part| error.message().contains(part));
    assert!(is_clear, "{error:?}");
    assert!(std::error::Error::source(error).is_some(), "{error:?}");
}

async fn with_a_disk_that_fails(fault: &str) {
    let disk = Disk { folder: std::env::var(FOLDER).unwrap().into(), fault: fault.to_owned() };
    let store = disk.open().await;
    let stores = store.stores();
    let w = World::new(&stores).await;
    let before = begin(&w, &turn(&w, "before")).await.unwrap();
    assert!(matches!(before, Begun::New));

    disk.fails(true);
    // Alone, and several in one transaction.
    let turns: Vec<_> = (0..6).map(|n| turn(&w, &format!("turn {n}"))).collect();
    is_clear(&begin(&w, &turns[0]).await.unwrap_err());
    for result in join_all(turns.iter().map(|turn| begin(&w, turn))).await {
        is_clear(&result.unwrap_err());
    }
    for turn in &turns {
        assert_eq!(parts_that_are_stored(&w, turn).await, 0);
    }
    let blob = Blob { tenant: w.me.tenant, id: BlobId(RandomIds.next()) };
    is_clear(&put(&stores, &blob).await.unwrap_err());
    assert_eq!(disk.blob_files(), Vec::<PathBuf>::new());

    disk.fails(false);
    for turn in &turns {
        assert!(matches!(begin(&w, turn).await.unwrap(), Begun::New));
        // The caller who heard of a failure tries again: still once.
        assert!(matches!(begin(&w, turn).await.unwrap(), Begun::Existing(_)));
        assert_eq!(parts_that_are_stored(&w, turn).await, 4);
    }
    assert_eq!(put(&stores, &blob).await.unwrap().size, 5);
    assert_eq!(stores.blobs.get(&blob).await.unwrap().size(), 5);
    store.close().await;
    is_whole(&disk, &turns).await;
}

/// What is in the file when it is opened again.
async fn is_whole(disk: &Disk, turns: &[BeginRun]) {
    let mut connection = sqlx::SqliteConnection::connect(&disk.url()).await.unwrap();
    let check: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(check, "ok");
    let runs: i64 = sqlx::query_scalar("SELECT count(*) FROM runs").fetch_one(&mut connection).await.unwrap();
    assert_eq!(runs, 1 + i64::try_from(turns.len()).unwrap());
    connection.close().await.unwrap();
}

struct Disk {
    folder: PathBuf,
    fault: String,
}

impl Disk {
    fn url(&self) -> String {
        format!("sqlite:{}", self.folder.join("aimate.db").display())
    }

    async fn open(&self) -> Store {
        let options = Options {
            blobs: Some(self.folder.join("blobs")),
            deletion_reserve: RESERVE,
            ..Options::default()
        };
        connect_with(&self.url(), options).await.unwrap()
    }

    fn fails(&self, does: bool) {
        let marker = self.folder.join(&self.fault);
        if does { std::fs::write(marker, "").unwrap() } else { std::fs::remove_file(marker).unwrap() }
    }

    /// Every file of the blob store, whole or not.
    fn blob_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.join("blobs")];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
            let (inner, found): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
            folders.extend(inner);
            files.extend(found);
        }
        files
    }
}

/// A turn that begins a conversation and can be begun once.
fn turn(w: &World<'_>, client_id: &str) -> BeginRun {
    let fresh = world::conversation("turn");
    let mut turn = BeginRun { create: Some(fresh.clone()), ..w.turn(fresh.id, None) };
    turn.run.client_id = Some(client_id.to_owned());
    turn
}

async fn begin(w: &World<'_>, turn: &BeginRun) -> Result<Begun> {
    w.stores.runs.begin(&w.me, turn).await
}

/// How many of a turn's conversation, question, answer and run are stored.
async fn parts_that_are_stored(w: &World<'_>, turn: &BeginRun) -> usize {
    let (c, id) = (&w.stores.conversations, turn.run.conversation_id);
    let parts = [
        c.get(&w.me, id).await.is_ok(),
        c.message(&w.me, id, turn.messages[0].id).await.is_ok(),
        c.message(&w.me, id, turn.answer.id).await.is_ok(),
        w.stores.runs.get(&w.me, turn.run.id).await.is_ok(),
    ];
    parts.into_iter().filter(|is_stored| *is_stored).count()
}

async fn put(stores: &Stores, blob: &Blob) -> Result<StoredBytes> {
    let bytes = stream::iter([Ok(b"bytes".to_vec().into())]).boxed();
    stores.blobs.put(blob, bytes, 100).await
}
