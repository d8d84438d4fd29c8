//! A database that fails at the wrong moment: no document stays `processing` and no
//! run `running` while the process lives on, and no bytes are lost or left over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::time::Duration;

use aimate_core::chat::Turn;
use aimate_core::connection::NewConnection;
use aimate_core::engine::Knowledge;
use aimate_core::knowledge::{
    BlobEntry, Document, DocumentFilter, DocumentStatus, NewCollection, NewDocument,
};
use aimate_core::run::RunStatus;
use aimate_core::testing::{ScriptedProvider, answer};
use aimate_core::{CollectionId, Engine, ErrorKind, PageRequest, Scope};
use aimate_store::{Options, Store, connect_with};
use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, SqliteConnection};
use support::relay::Relay;

/// Far more than anything takes: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

async fn engine(store: &Store) -> (Engine, Scope, CollectionId) {
    let provider = ScriptedProvider::new((0..50).map(|_| answer("a whole answer")));
    let engine = Engine::builder()
        .store(store.clone())
        .provider("scripted", provider)
        .connection(NewConnection::new("lab", "scripted").url("http://127.0.0.1:9/v1"))
        .build()
        .await
        .unwrap();
    let me = engine.local_scope().await.unwrap();
    let collection = engine.knowledge(&me).create_collection(NewCollection::new("c")).await.unwrap();
    (engine, me, collection.id)
}

async fn add(knowledge: &Knowledge, collection: CollectionId, n: usize) -> aimate_core::Result<Document> {
    let new = NewDocument { source: Some(format!("source {}", n % 7)), ..NewDocument::new("a.txt") };
    knowledge.add_text_to(collection, new, format!("text number {n}")).await
}

/// All that was acknowledged is read and served, and nothing else is there.
async fn all_ends_well(store: &Store, knowledge: &Knowledge) {
    let begun = std::time::Instant::now();
    let stores = store.stores();
    loop {
        let page = PageRequest::first(200);
        let documents = knowledge.documents(&DocumentFilter::default(), page).await;
        let listed: Result<Vec<BlobEntry>, _> = stores.blobs.list().try_collect().await;
        if let (Ok(documents), Ok(listed)) = (documents, listed) {
            let documents = documents.data;
            let is_read = documents.iter().all(|document| document.status == DocumentStatus::Ready);
            if is_read && !documents.is_empty() && listed.len() == documents.len() {
                for document in documents {
                    let (_, content) = knowledge.content(document.id).await.unwrap();
                    assert_eq!(content.read_through().await.unwrap().hash, document.content_hash);
                }
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{documents:?} with {listed:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_read_though_connections_break_and_answers_are_lost() {
    support::on_each_server(async |schema| {
        let relay = Relay::to(schema.address(), Duration::ZERO).await;
        let blobs = support::Folder::new();
        let options = Options { blobs: blobs.file().parent().map(Into::into), ..Options::default() };
        let store = connect_with(&schema.url_through(relay.address), options).await.unwrap();
        let (engine, me, collection) = engine(&store).await;
        let knowledge = engine.knowledge(&me);
        for n in 0..40 {
            relay.loses_answers(n % 3 == 0);
            let cut = async {
                tokio::time::sleep(Duration::from_millis(3 + 5 * (n as u64 % 9))).await;
                relay.cut();
                relay.loses_answers(false);
            };
            let (added, ()) = tokio::join!(add(&knowledge, collection, n), cut);
            if let Err(error) = added {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            }
        }
        // On a busy machine every one before may have been cut.
        let mut tries = 40..60;
        while let Some(n) = tries.next()
            && add(&knowledge, collection, n).await.is_err()
        {}
        all_ends_well(&store, &knowledge).await;
        engine.drain(Duration::ZERO).await;
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_read_though_the_file_is_locked_for_longer_than_anybody_waits() {
    let folder = support::Folder::new();
    let options = Options { timeout: Duration::from_millis(100), ..Options::default() };
    let store = connect_with(&folder.url(), options).await.unwrap();
    let (engine, me, collection) = engine(&store).await;
    let knowledge = engine.knowledge(&me);
    let mut other = SqliteConnection::connect(&folder.url()).await.unwrap();
    let mut refused = 0;
    for n in 0..30 {
        if n % 5 == 0 {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
            let (during, ()) =
                tokio::join!(add(&knowledge, collection, n), tokio::time::sleep(Duration::from_millis(400)));
            refused += usize::from(during.is_err());
            sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        } else {
            add(&knowledge, collection, n).await.unwrap();
        }
    }
    assert!(refused > 0, "the lock was in nobody's way: the test tests nothing");
    all_ends_well(&store, &knowledge).await;
    engine.drain(Duration::ZERO).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_that_was_begun_without_an_answer_is_ended() {
    support::on_each_server(async |schema| {
        let relay = Relay::to(schema.address(), Duration::ZERO).await;
        let options = Options { pool_size: Some(4), ..Options::default() };
        let store = connect_with(&schema.url_through(relay.address), options).await.unwrap();
        let (engine, me, _) = engine(&store).await;
        // Everything that a turn needs is known already.
        engine.chat(&me, Turn::new("before").model("lab/m")).await.unwrap().message().await.unwrap();
        let mut session = schema.session().await;
        relay.loses_answers(true);
        let chat = engine.chat(&me, Turn::new("lost").model("lab/m"));
        let cut = async {
            let deadline = std::time::Instant::now() + PATIENCE;
            while std::time::Instant::now() < deadline {
                let running: i64 = sqlx::query_scalar("SELECT count(*) FROM runs WHERE finished_at IS NULL")
                    .fetch_one(&mut session)
                    .await
                    .unwrap();
                if running == 1 {
                    break;
                }
                // A read before it went unanswered: it is made again.
                relay.cut();
                relay.loses_answers(false);
                tokio::time::sleep(Duration::from_millis(1)).await;
                relay.loses_answers(true);
            }
            relay.cut();
            relay.loses_answers(false);
        };
        let (result, ()) = tokio::join!(chat, cut);
        if let Ok(answer) = result {
            // The answer came through between two cuts; nothing was lost.
            let _ = answer.message().await;
        }
        let begun = std::time::Instant::now();
        loop {
            let open: i64 = sqlx::query_scalar("SELECT count(*) FROM runs WHERE finished_at IS NULL")
                .fetch_one(&mut session)
                .await
                .unwrap();
            if open == 0 {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "a run stays open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        engine.drain(Duration::ZERO).await;
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_that_nobody_drives_is_ended_by_its_own_process() {
    let folder = support::Folder::new();
    let store = connect_with(&folder.url(), Options::default()).await.unwrap();
    let (engine, me, _) = engine(&store).await;
    let stored = engine.chat(&me, Turn::new("hello").model("lab/m")).await.unwrap();
    let run = stored.run_id();
    stored.message().await.unwrap();
    // As if its end had not been stored.
    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    let reopen = "UPDATE runs SET status = 'running', finished_at = NULL, attempt = attempt + 1";
    sqlx::query(reopen).execute(&mut session).await.unwrap();
    sqlx::query("DELETE FROM usage_records").execute(&mut session).await.unwrap();
    let begun = std::time::Instant::now();
    while engine.runs(&me).get(run).await.unwrap().status != RunStatus::Interrupted {
        assert!(begun.elapsed() < PATIENCE, "the run stays open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    engine.drain(Duration::ZERO).await;
    store.close().await;
}
