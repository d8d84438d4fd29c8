//! A process that dies while tools are called or wait, and the next one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aimate::chat::CallDecision;
use aimate::engine::Reached;
use aimate::message::{Message, MessageStatus, Part, ToolCall, ToolResult};
use aimate::provider::{FinishReason, ProviderEvent};
use aimate::run::RunStatus;
use aimate::testing::{ScriptedProvider, Step, answer};
use aimate::tool::{HostTool, ToolContext, ToolPolicy};
use aimate::{ChatEvent, ConversationId, Engine, PageRequest, RunId, Turn};
use common::{builder, events, said, text};
use serde_json::{Value, json};

fn call() -> Vec<Step> {
    let call = ToolCall::new("c1", "work", json!({"n": 1}));
    vec![
        Step::Say(ProviderEvent::Reasoning("hm".to_owned())),
        Step::Say(ProviderEvent::ReasoningDetails(json!([{"signature": "s"}]))),
        Step::Say(ProviderEvent::ToolCall(call)),
        Step::Say(ProviderEvent::Finish(FinishReason::ToolCalls)),
    ]
}

/// A tool that never returns in the first process, and counts its calls.
fn work(count: &Arc<AtomicUsize>, hangs: bool) -> HostTool {
    let count = count.clone();
    HostTool::new("work", "", json!({}), move |_: ToolContext, _: Value| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok("worked")
        }
    })
}

struct File(std::path::PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("aimate-tool-crash-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.0.join("tools.db").display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn engine(url: &str, scripts: Vec<Vec<Step>>, tool: HostTool) -> (Engine, Arc<ScriptedProvider>) {
    let provider = ScriptedProvider::new(scripts);
    let store = aimate::store::connect(url).await.unwrap();
    let engine = builder(&provider).lease(Duration::ZERO).tool(tool).store(store).build().await.unwrap();
    (engine, provider)
}

/// Runs `process` in a runtime of its own, whose tasks all end without a word, as in a crash.
fn crash<T>(process: impl Future<Output = (T, Engine)>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let told = runtime.block_on(async {
        let (told, engine) = tokio::time::timeout(Duration::from_secs(60), process).await.unwrap();
        std::mem::forget(engine);
        told
    });
    runtime.shutdown_background();
    told
}

async fn answer_of(engine: &Engine, conversation: ConversationId) -> Message {
    let me = engine.local_scope().await.unwrap();
    let page = engine.conversations(&me).messages(conversation, None, PageRequest::default()).await.unwrap();
    page.data[1].message.clone()
}

fn result(message: &Message) -> &ToolResult {
    message
        .content
        .iter()
        .find_map(|part| if let Part::ToolResult(result) = part { Some(result) } else { None })
        .unwrap()
}

#[test]
fn call_that_may_have_happened_is_not_made_again() {
    let (file, count) = (File::new("running"), Arc::<AtomicUsize>::default());
    let (conversation, run): (ConversationId, RunId) = crash(async {
        let (engine, _) = engine(&file.url(), vec![call()], work(&count, true)).await;
        let me = engine.local_scope().await.unwrap();
        let listener = engine.chat(&me, Turn::new("q").use_tools(["work"])).await.unwrap();
        let ids = (listener.conversation_id(), listener.run_id());
        while count.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        std::mem::forget(listener);
        (ids, engine)
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (engine, _) = engine(&file.url(), vec![], work(&count, false)).await;
        let me = engine.local_scope().await.unwrap();
        let stored = answer_of(&engine, conversation).await;
        assert_eq!(stored.status, MessageStatus::Interrupted);
        assert!(result(&stored).is_error && result(&stored).text().contains("not known"));
        assert_eq!(engine.runs(&me).get(run).await.unwrap().status, RunStatus::Interrupted);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let told = events(engine.runs(&me).attach(run, 0).await.unwrap()).await;
        assert!(told.iter().any(|event| matches!(event, ChatEvent::ToolReturned(result) if result.is_error)));
        engine.drain(Duration::ZERO).await;
    });
}

#[test]
fn waiting_run_goes_on_in_another_process() {
    let (file, count) = (File::new("waiting"), Arc::<AtomicUsize>::default());
    let (conversation, run): (ConversationId, RunId) = crash(async {
        let tool = work(&count, false).policy(ToolPolicy::Ask);
        let (engine, _) = engine(&file.url(), vec![call()], tool).await;
        let me = engine.local_scope().await.unwrap();
        let mut listener = engine.chat(&me, Turn::new("q").use_tools(["work"])).await.unwrap();
        let Reached::Waiting(waiting) = listener.finished_or_waiting().await.unwrap() else { panic!() };
        assert_eq!(waiting[0].id, "c1");
        let runs = engine.runs(&me);
        while runs.get(listener.run_id()).await.unwrap().status != RunStatus::Waiting {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let ids = (listener.conversation_id(), listener.run_id());
        std::mem::forget(listener);
        (ids, engine)
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tool = work(&count, false).policy(ToolPolicy::Ask);
        let (engine, provider) = engine(&file.url(), vec![answer("Done.")], tool).await;
        let me = engine.local_scope().await.unwrap();
        let runs = engine.runs(&me);
        assert_eq!(runs.get(run).await.unwrap().status, RunStatus::Waiting);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        let listener = runs.attach(run, 0).await.unwrap();
        runs.decide(run, "c1", CallDecision::approve()).await.unwrap();
        let told = events(listener).await;
        assert_eq!(said(&told), "Done.");
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let stored = answer_of(&engine, conversation).await;
        assert_eq!((stored.status, text(&stored).as_str()), (MessageStatus::Complete, "Done."));
        assert_eq!(result(&stored).output, json!("worked"));
        // What its provider wants back was kept over the restart.
        let asked = provider.requests();
        let details = json!([{"signature": "s"}]);
        assert!(
            asked[0].messages[1].content.iter().any(
                |part| matches!(part, Part::Reasoning { details: Some(found), .. } if *found == details)
            )
        );
        engine.drain(Duration::ZERO).await;
    });
}
