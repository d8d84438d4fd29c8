//! How an engine ends when nobody holds it any more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::{Arc, Weak};
use std::time::Duration;

use aimate::knowledge::{DocumentStatus, EmbedPurpose, Embedder, EmbeddingModel, NewDocument};
use aimate::message::MessageStatus;
use aimate::run::RunStatus;
use aimate::testing::{HashEmbedder, ScriptedProvider, Step};
use aimate::{ChatEvent, Engine, PageRequest, Result, Turn};
use async_trait::async_trait;
use common::{builder, say, text};
use tokio::sync::Notify;

/// Waits until nothing holds what `weak` points to.
async fn gone<T: ?Sized>(weak: &Weak<T>) {
    let gone = async {
        while weak.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("a task still holds it");
}

/// Never makes a vector.
struct Stuck {
    model: EmbeddingModel,
    asked: Notify,
}

#[async_trait]
impl Embedder for Stuck {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn max_tokens(&self) -> usize {
        256
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.len()
    }

    async fn embed(&self, _: &[String], _: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        self.asked.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn next_engine_takes_over_what_a_dropped_one_was_doing() {
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let works = Arc::new(HashEmbedder::new("hash", 8));
    let stuck = Arc::new(Stuck { model: works.model().clone(), asked: Notify::new() });
    let provider = ScriptedProvider::new([vec![say("half"), Step::Hang]]);
    let engine = builder(&provider).embedder(stuck.clone()).store(store.clone()).build().await.unwrap();
    let me = engine.local_scope().await.unwrap();
    let mut answer = engine.chat(&me, Turn::new("q")).await.unwrap();
    while !matches!(answer.next().await, Some(ChatEvent::Text { .. })) {}
    let (conversation, run) = (answer.conversation_id(), answer.run_id());
    let knowledge = engine.knowledge(&me);
    let collection = knowledge.collection_or_new("docs").await.unwrap();
    let text_file = NewDocument::new("notes.md");
    let document = knowledge.add_text_to(collection.id, text_file, "It is so.".to_owned()).await.unwrap();
    stuck.asked.notified().await;

    let held = (Arc::downgrade(&provider), Arc::downgrade(&stuck));
    drop((engine, answer, knowledge, provider, stuck));
    gone(&held.0).await;
    gone(&held.1).await;

    // Its lease of 30 s has not passed: it was handed back.
    let provider = ScriptedProvider::new([]);
    let engine = builder(&provider).embedder(works).store(store).build().await.unwrap();
    let branch =
        engine.conversations(&me).messages(conversation, None, PageRequest::default()).await.unwrap();
    let answer = &branch.data[1].message;
    assert_eq!((text(answer).as_str(), answer.status), ("half", MessageStatus::Interrupted));
    assert_eq!(engine.runs(&me).get(run).await.unwrap().status, RunStatus::Interrupted);
    let knowledge = engine.knowledge(&me);
    let waited = tokio::time::timeout(Duration::from_secs(20), knowledge.wait(document.id)).await;
    assert_eq!(waited.expect("it is read at once").unwrap().status, DocumentStatus::Ready);
}

#[tokio::test]
async fn every_handle_keeps_the_engine() {
    let provider = ScriptedProvider::new([]);
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let engine = builder(&provider).store(store).build().await.unwrap();
    let me = engine.local_scope().await.unwrap();
    let models = engine.models(&me);
    let held = Arc::downgrade(&provider);
    drop((engine, provider));
    assert_eq!(models.clone().list().await.unwrap().len(), 2);
    drop(models);
    gone(&held).await;
}

#[tokio::test]
async fn answer_is_a_stream() {
    use futures_util::StreamExt;
    let provider = ScriptedProvider::new([aimate::testing::answer("one two")]);
    let store = aimate::store::connect("sqlite::memory:").await.unwrap();
    let engine: Engine = builder(&provider).store(store).build().await.unwrap();
    let me = engine.local_scope().await.unwrap();
    let answer = engine.chat(&me, Turn::new("q")).await.unwrap();
    let names: Vec<_> = answer.map(|event| event.name()).collect().await;
    assert_eq!((names.first(), names.last()), (Some(&"started"), Some(&"finished")));
}
