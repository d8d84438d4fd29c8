//! Observers: what may refuse a turn, and is told what happened.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aimate::conversation::ConversationFilter;
use aimate::engine::{Completion, EmbeddingRequest};
use aimate::knowledge::Document;
use aimate::message::{MessageRole, Part};
use aimate::observer::{Observer, TurnSummary};
use aimate::provider::{ChatMessage, ChatRequest};
use aimate::run::{Run, RunStatus};
use aimate::testing::{Step, answer};
use aimate::usage::{UsageOutcome, UsageRecord};
use aimate::{Error, ErrorKind, PageRequest, Result, Scope, Turn, async_trait};
use common::{Bench, events, said, say};
use tokio::sync::Notify;

/// Writes down what it is told.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until it has `count` lines.
    async fn has(&self, count: usize) -> Vec<String> {
        let patience = Duration::from_secs(20);
        let waiting = async {
            while self.lines().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(patience, waiting).await.unwrap_or_else(|_| panic!("{:?}", self.lines()));
        self.lines()
    }
}

#[async_trait]
impl Observer for Diary {
    async fn before_turn(&self, _: &Scope, turn: &TurnSummary) -> Result<()> {
        self.write(format!("before {} {:?} stored={}", turn.model, turn.question, turn.is_stored));
        Ok(())
    }
    async fn run_finished(&self, _: &Scope, run: &Run) {
        assert!(run.context.is_null() && run.finished_at.is_some());
        self.write(format!("run {} {}", run.status, run.usage.unwrap().input_tokens));
    }
    async fn usage_recorded(&self, _: &Scope, record: &UsageRecord) {
        self.write(format!("usage {} {}", record.model, record.outcome));
    }
    async fn document_ready(&self, _: &Scope, document: &Document) {
        self.write(format!("ready {}", document.name));
    }
    async fn document_failed(&self, _: &Scope, document: &Document) {
        self.write(format!("failed {} {}", document.name, document.error.as_ref().unwrap().code));
    }
}

/// What an observer does when it is asked.
enum Asked {
    Refuses(ErrorKind),
    Fails,
    Panics,
    Hangs,
}

struct Doorkeeper {
    asked: Asked,
    fails_closed: bool,
}

#[async_trait]
impl Observer for Doorkeeper {
    fn fail_closed(&self) -> bool {
        self.fails_closed
    }
    async fn before_turn(&self, _: &Scope, _: &TurnSummary) -> Result<()> {
        match self.asked {
            Asked::Refuses(kind) => {
                Err(Error::new(kind, "your plan ended in March").with_retry_after(Duration::from_secs(60)))
            }
            Asked::Fails => Err(Error::internal("postgres://secret@billing is away")),
            Asked::Panics => panic!("a bug"),
            Asked::Hangs => std::future::pending().await,
        }
    }
}

async fn guarded(asked: Asked, fails_closed: bool) -> Bench {
    Bench::with([answer("Hello")], |builder| {
        builder
            .observer(Arc::new(Doorkeeper { asked, fails_closed }))
            .observer_timeout(Duration::from_millis(50))
    })
    .await
}

fn plain(text: &str) -> Completion {
    let question = ChatMessage::new(MessageRole::User, vec![Part::text(text)]);
    Completion::new(ChatRequest { messages: vec![question], ..ChatRequest::default() })
}

#[tokio::test]
async fn refusal_reaches_the_caller_and_nothing_is_stored() {
    for kind in [ErrorKind::Forbidden, ErrorKind::RateLimited] {
        let bench = guarded(Asked::Refuses(kind), false).await;
        let error = bench.engine.chat(&bench.me, Turn::new("q").client_id("1")).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, "your plan ended in March"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
        let error = bench.engine.complete(&bench.me, plain("q")).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let all = bench.engine.conversations(&bench.me);
        let all = all.list(&ConversationFilter::default(), PageRequest::default()).await.unwrap();
        assert_eq!(all.data, []);
        assert_eq!(bench.provider.requests(), []);
        let usage = bench.engine.usage(&bench.me, &aimate::usage::UsageFilter::default()).await.unwrap();
        assert_eq!(usage, []);
    }
}

#[tokio::test]
async fn observer_that_fails_lets_the_turn_go_on_or_fails_closed() {
    for broken in [|| Asked::Fails, || Asked::Panics, || Asked::Hangs] {
        let open = guarded(broken(), false).await;
        let listener = open.engine.chat(&open.me, Turn::new("q")).await.unwrap();
        assert_eq!(said(&events(listener).await), "Hello");
        let closed = guarded(broken(), true).await;
        let error = closed.engine.chat(&closed.me, Turn::new("q")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // What an observer says of itself is for the log.
        assert!(!error.message().contains("secret"), "{error}");
        assert_eq!(closed.provider.requests(), []);
    }
}

#[tokio::test]
async fn every_observer_has_a_say() {
    let diary = Arc::new(Diary::default());
    let bench = Bench::with([], |builder| {
        let refuses = Doorkeeper { asked: Asked::Refuses(ErrorKind::Forbidden), fails_closed: false };
        builder.observer(diary.clone()).observer(Arc::new(refuses)).observer(diary.clone())
    })
    .await;
    assert!(bench.engine.chat(&bench.me, Turn::new("q")).await.is_err());
    assert_eq!(diary.lines(), ["before lab/test \"q\" stored=true"; 2]);
}

#[tokio::test]
async fn observer_is_told_what_happened_in_its_order() {
    let diary = Arc::new(Diary::default());
    let scripts = [
        answer("Hello"),
        vec![Step::Fail(Error::upstream("no"))],
        vec![say("x"), Step::Hang],
        answer("plain"),
    ];
    let bench = Bench::with(scripts, |builder| builder.observer(diary.clone())).await;
    events(bench.engine.chat(&bench.me, Turn::new("one")).await.unwrap()).await;
    assert_eq!(
        diary.has(3).await,
        ["before lab/test \"one\" stored=true", "run completed 7", "usage lab/test completed"]
    );
    events(bench.engine.chat(&bench.me, Turn::new("two").model("tiny")).await.unwrap()).await;
    let told = diary.has(6).await;
    assert!(told[4].starts_with("run failed"), "{told:?}");
    assert_eq!(told[5], "usage lab/tiny failed");
    let stopped = bench.engine.chat(&bench.me, Turn::new("three")).await.unwrap();
    bench.engine.runs(&bench.me).cancel(stopped.run_id()).await.unwrap();
    events(stopped).await;
    let told = diary.has(9).await;
    assert!(told[7].starts_with(&format!("run {}", RunStatus::Cancelled)), "{told:?}");
    assert_eq!(told[8], format!("usage lab/test {}", UsageOutcome::Cancelled));
    let call = bench.engine.complete(&bench.me, plain("four")).await.unwrap();
    drop(call);
    let told = diary.has(11).await;
    assert_eq!(told[9..], ["before lab/test \"four\" stored=false", "usage lab/test cancelled"]);
    bench.engine.embed(&bench.me, EmbeddingRequest::new(["a"]).model("lab/test")).await.unwrap();
    assert_eq!(diary.has(12).await[11], "usage lab/test completed");
    assert_eq!(bench.engine.dropped_notices(), 0);
}

#[tokio::test]
async fn observer_is_told_of_documents() {
    let diary = Arc::new(Diary::default());
    let bench = Bench::with([], |builder| builder.observer(diary.clone())).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    knowledge.add_text("Good", "The boiler is serviced in May.").await.unwrap();
    assert_eq!(diary.has(1).await, ["ready Good"]);
    let collection = knowledge.collection_or_new("documents").await.unwrap();
    let new = aimate::knowledge::NewDocument::new("bad.bin");
    let bytes: Vec<u8> = (0..=255).cycle().take(4_096).collect();
    let bytes = aimate::stream::iter([Ok(bytes.into())]);
    knowledge.add(collection.id, new, aimate::StreamExt::boxed(bytes)).await.unwrap();
    let told = diary.has(2).await;
    assert!(told[1].starts_with("failed bad.bin "), "{told:?}");
}

#[tokio::test]
async fn end_of_the_engine_waits_for_its_observers() {
    let diary = Arc::new(Diary::default());
    let bench = Bench::with([vec![say("x"), Step::Hang]], |builder| builder.observer(diary.clone())).await;
    let _listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    bench.engine.drain(Duration::ZERO).await;
    let told = diary.lines();
    assert!(told[1].starts_with("run interrupted"), "{told:?}");
    assert_eq!(told[2], "usage lab/test interrupted");
}

/// Does not take a notice until it may.
struct Slow {
    may: Notify,
    is_held: AtomicBool,
}

#[async_trait]
impl Observer for Slow {
    async fn usage_recorded(&self, _: &Scope, _: &UsageRecord) {
        if self.is_held.load(Ordering::SeqCst) {
            self.may.notified().await;
        }
    }
}

struct Explodes;

#[async_trait]
impl Observer for Explodes {
    async fn run_finished(&self, _: &Scope, _: &Run) {
        panic!("a bug")
    }
    async fn usage_recorded(&self, _: &Scope, _: &UsageRecord) {
        panic!("a bug")
    }
}

#[tokio::test]
async fn slow_or_broken_observer_harms_nobody_and_is_counted() {
    let (diary, slow) =
        (Arc::new(Diary::default()), Arc::new(Slow { may: Notify::new(), is_held: true.into() }));
    let bench = Bench::with([answer("Hello")], |builder| {
        builder.observer(slow.clone()).observer(Arc::new(Explodes)).observer(diary.clone())
    })
    .await;
    let listener = bench.engine.chat(&bench.me, Turn::new("q")).await.unwrap();
    assert_eq!(said(&events(listener).await), "Hello");
    diary.has(3).await;
    // One is with the observer, 1,024 wait, the others are lost.
    let calls = 1_100;
    for n in 0..calls {
        let request = EmbeddingRequest::new(["a"]).model("lab/test");
        bench.engine.embed(&bench.me, request).await.unwrap();
        if n % 100 == 0 {
            diary.has(3 + n).await;
        }
    }
    diary.has(3 + calls).await;
    assert_eq!(bench.engine.dropped_notices(), calls as u64 - 1_024);
    let sums = bench.engine.usage(&bench.me, &aimate::usage::UsageFilter::default()).await.unwrap();
    assert_eq!(sums.first().unwrap().calls, 1 + calls as u64);
    slow.is_held.store(false, Ordering::SeqCst);
    slow.may.notify_one();
}
