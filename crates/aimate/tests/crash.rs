//! A process that dies in the middle of an answer, and the next one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::time::Duration;

use aimate::message::MessageStatus;
use aimate::run::RunStatus;
use aimate::testing::{ScriptedProvider, Step};
use aimate::usage::{UsageFilter, UsageOutcome};
use aimate::{ChatEvent, ConversationId, Engine, PageRequest, RunId, Stores, Turn};
use common::{builder, events, said, say, text};

/// Starts a turn in a runtime of its own and drops the runtime while the model
/// is still answering: every task of it ends without a word, as in a crash.
fn crash(url: &str) -> (ConversationId, RunId) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ids = runtime.block_on(async {
        let script = vec![say("kept "), say("text"), Step::Hang];
        let stores: Stores = aimate::store::connect(url).await.unwrap().into();
        let engine = builder(&ScriptedProvider::new([script])).store(stores.clone()).build().await.unwrap();
        let me = engine.local_scope().await.unwrap();
        let listener = engine.chat(&me, Turn::new("q").tag("ticket:42")).await.unwrap();
        let ids = (listener.conversation_id(), listener.run_id());
        // Until the text is checkpointed.
        let is_logged = async || {
            let batches = stores.runs.events(&me, ids.1, 0, 100).await.unwrap();
            said(&batches.into_iter().flat_map(|batch| batch.events).collect::<Vec<_>>()) == "kept text"
        };
        let logged = async {
            while !is_logged().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), logged).await.expect("the text is checkpointed");
        std::mem::forget((listener, engine));
        ids
    });
    runtime.shutdown_background();
    ids
}

async fn next_process(url: &str) -> Engine {
    let store = aimate::store::connect(url).await.unwrap();
    let builder = builder(&ScriptedProvider::new([])).lease(Duration::ZERO);
    builder.store(store).build().await.unwrap()
}

#[test]
fn next_process_marks_the_answer_and_keeps_its_text() {
    let folder = std::env::temp_dir().join(format!("aimate-crash-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite:{}", folder.join("crash.db").display());
    let (conversation, run) = crash(&url);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = next_process(&url).await;
        let me = engine.local_scope().await.unwrap();
        let branch =
            engine.conversations(&me).messages(conversation, None, PageRequest::default()).await.unwrap();
        let answer = &branch.data[1].message;
        assert_eq!((text(answer).as_str(), answer.status), ("kept text", MessageStatus::Interrupted));
        let stored = engine.runs(&me).get(run).await.unwrap();
        assert_eq!(stored.status, RunStatus::Interrupted);
        assert!(stored.usage.unwrap().estimated);
        assert_eq!(stored.tags, ["ticket:42"]);
        let filter = UsageFilter::new().tag("ticket:42");
        let records = engine.usage_records(&me, &filter, PageRequest::default()).await.unwrap().data;
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].record.run_id, records[0].record.outcome),
            (Some(run), UsageOutcome::Interrupted)
        );

        let told = events(engine.runs(&me).attach(run, 0).await.unwrap()).await;
        assert_eq!(said(&told), "kept text");
        assert!(matches!(told.last(), Some(ChatEvent::Error { retryable: true, .. })));

        // The conversation goes on.
        let next = engine.chat(&me, Turn::new("and?").conversation(conversation)).await.unwrap();
        assert_eq!(said(&events(next).await), "Hello there");
        engine.drain(Duration::ZERO).await;
    });
    std::fs::remove_dir_all(folder).unwrap();
}
