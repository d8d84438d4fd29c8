//! aiMate's own tools, called by a model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;

use aimate::bytes::Bytes;
use aimate::knowledge::{Fetched, Fetcher, NewCollection, NewDocument};
use aimate::message::{Part, ToolCall};
use aimate::provider::{FinishReason, ProviderEvent};
use aimate::testing::{Step, answer};
use aimate::tool::{HostTool, ToolContext, WebHit, WebSearch};
use aimate::{EngineBuilder, Error, Result, StreamExt as _, Turn, stream};
use common::Bench;
use serde_json::{Value, json};

struct OnePage;

#[aimate::async_trait]
impl Fetcher for OnePage {
    async fn fetch(&self, url: &str, _: u64) -> Result<Fetched> {
        if url.contains("10.0.0.1") {
            return Err(Error::forbidden("`url`: that address is private"));
        }
        let bytes = stream::iter([Ok(Bytes::from_static(b"# Pump\n\nThe pump runs at night."))]).boxed();
        Ok(Fetched::new("pump.md", bytes).media_type(Some("text/markdown".to_owned())))
    }
}

struct OneHit;

#[aimate::async_trait]
impl WebSearch for OneHit {
    async fn search(&self, query: &str, _: u32) -> Result<Vec<WebHit>> {
        Ok(vec![WebHit::new(format!("About {query}"), "https://example.org/", "A snippet.")])
    }
}

/// What a tool of this name returns to a model that calls it, and whether it failed.
async fn called(bench: &Bench, turn: Turn, tool: &str, arguments: Value) -> (Value, bool) {
    bench.provider.push(vec![
        Step::Say(ProviderEvent::ToolCall(ToolCall::new("c1", tool, arguments))),
        Step::Say(ProviderEvent::Finish(FinishReason::ToolCalls)),
    ]);
    bench.provider.push(answer("Done."));
    let message =
        bench.engine.chat(&bench.me, turn.use_tools([tool])).await.unwrap().message().await.unwrap();
    let result = message.content.iter().find_map(|part| match part {
        Part::ToolResult(result) => Some((result.output.clone(), result.is_error)),
        _ => None,
    });
    result.unwrap_or_else(|| panic!("no result in {message:?}"))
}

fn text(result: &(Value, bool)) -> &str {
    result.0.as_str().unwrap_or_else(|| panic!("no text: {result:?}"))
}

async fn bench(more: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Bench {
    Bench::with([], more).await
}

fn names(bench: &Bench) -> Vec<String> {
    bench.engine.registered_tools().into_iter().map(|one| one.tool.name).collect()
}

#[tokio::test]
async fn tools_are_there_whose_parts_are() {
    let bare = bench(|builder| builder).await;
    let own =
        |names: Vec<String>| names.into_iter().filter(|name| name != "read_tool_output").collect::<Vec<_>>();
    assert_eq!(own(names(&bare)), ["current_time", "knowledge_search"]);
    let whole = bench(|builder| builder.fetcher(Arc::new(OnePage)).web_search(Arc::new(OneHit))).await;
    assert_eq!(own(names(&whole)), ["current_time", "knowledge_search", "web_fetch", "web_search"]);
    let mine =
        HostTool::new("current_time", "", json!({"type": "object"}), async |_: ToolContext, _: Value| {
            Ok("noon")
        });
    let replaced = bench(|builder| builder.tool(mine)).await;
    let told = called(&replaced, Turn::new("When?"), "current_time", json!({})).await;
    assert_eq!(text(&told), "noon", "the application's own comes first");
}

#[tokio::test]
async fn model_is_told_the_time() {
    let bench = bench(|builder| builder).await;
    let told = called(&bench, Turn::new("When?"), "current_time", json!({"zone": "Asia/Kolkata"})).await;
    assert!(text(&told).ends_with("+05:30 (Asia/Kolkata)"), "{told:?}");
    let wrong = called(&bench, Turn::new("When?"), "current_time", json!({"zone": "Mars"})).await;
    assert!(wrong.1 && text(&wrong).contains("Europe/Berlin"), "{wrong:?}");
}

#[tokio::test]
async fn search_reaches_the_collections_of_the_turn_alone() {
    let bench = bench(|builder| builder).await;
    let knowledge = bench.engine.knowledge(&bench.me);
    for (name, fact) in
        [("cellar", "The boiler is serviced in May."), ("attic", "The boiler hums in the attic.")]
    {
        let collection = knowledge.create_collection(NewCollection::new(name)).await.unwrap();
        let new = NewDocument::new(format!("{name}.md"));
        let document = knowledge.add_text_to(collection.id, new, fact.to_owned()).await.unwrap();
        knowledge.wait(document.id).await.unwrap();
    }
    let query = json!({"query": "boiler"});
    let all = called(&bench, Turn::new("Boiler?"), "knowledge_search", query.clone()).await;
    assert!(text(&all).contains("serviced in May") && text(&all).contains("hums"), "{all:?}");
    assert!(text(&all).starts_with("[1] "), "{all:?}");
    let some =
        called(&bench, Turn::new("Boiler?").knowledge(["attic"]), "knowledge_search", query.clone()).await;
    assert!(text(&some).contains("hums") && !text(&some).contains("serviced"), "{some:?}");
    let other = bench.engine.scope("other", "eve").ensure().await.unwrap();
    let bench = Bench { me: other, ..bench };
    let none = called(&bench, Turn::new("Boiler?").model("lab/test"), "knowledge_search", query).await;
    assert_eq!(text(&none), "No passage was found.");
}

#[tokio::test]
async fn pages_are_read_and_found() {
    let bench = bench(|builder| builder.fetcher(Arc::new(OnePage)).web_search(Arc::new(OneHit))).await;
    let read = called(&bench, Turn::new("?"), "web_fetch", json!({"url": "https://example.org/pump"})).await;
    assert!(text(&read).contains("The pump runs at night.") && !read.1, "{read:?}");
    let refused = called(&bench, Turn::new("?"), "web_fetch", json!({"url": "http://10.0.0.1/"})).await;
    assert!(refused.1 && text(&refused).contains("that address is private"), "{refused:?}");
    let found = called(&bench, Turn::new("?"), "web_search", json!({"query": "pumps"})).await;
    assert_eq!(text(&found), "[1] About pumps\nhttps://example.org/\nA snippet.");
}
