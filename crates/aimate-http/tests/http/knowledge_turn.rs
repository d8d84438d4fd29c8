//! Answers out of the knowledge.

use std::sync::Arc;

use aimate_core::Scope;
use aimate_core::knowledge::{Retriever, SourcePassage};
use aimate_core::message::text_of;
use aimate_core::testing::answer;
use aimate_http::Options;
use serde_json::{Value, json};

use crate::common::{Event, text};
use crate::knowledge::{Library, UNKNOWN, library_with};

const QUESTION: &str = "When is the boiler in the cellar serviced?";

async fn library(answers: &[&str]) -> Library {
    let library =
        library_with(answers.iter().map(|text| answer(text)), Options::local(), |builder| builder).await;
    library.manuals().await;
    library
}

/// What the model was shown last.
fn shown(library: &Library) -> String {
    let requests = library.bench.provider.requests();
    let messages = &requests.last().unwrap().messages;
    messages.iter().map(|message| text_of(&message.content)).collect::<Vec<_>>().join("\n")
}

fn citations(message: &Value) -> Vec<&Value> {
    let parts = message["content"].as_array().unwrap();
    parts.iter().filter(|part| part["type"] == "citation").collect()
}

fn named<'a>(events: &'a [Event], name: &str) -> Option<&'a Event> {
    events.iter().find(|event| event.name == name)
}

#[tokio::test]
async fn answer_cites_what_was_retrieved() {
    let library = library(&["It is “serviced in May by the owner” [1]. And [9]."]).await;
    let bench = &library.bench;
    let at = bench.conversation().await;
    let path = format!("{at}/messages");
    let told = bench.post(&path, json!({"content": QUESTION, "knowledge": ["manuals"]})).await.events();
    let names: Vec<_> = told.iter().take(2).map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["started", "retrieved"]);
    let retrieved = &told[1].data["citations"][0];
    assert_eq!((&retrieved["n"], &retrieved["title"]), (&json!(1), &json!("Boiler")));
    for field in ["document_id", "chunk_id", "start", "end", "text", "score"] {
        assert!(!retrieved[field].is_null(), "{field}");
    }
    assert!(shown(&library).contains("serviced in May by the owner"));
    let finished = &told.last().unwrap().data["message"];
    assert_eq!(text(finished), "It is “serviced in May by the owner” [1]. And [9].");
    let cited = citations(finished);
    assert_eq!((cited.len(), &cited[0]["chunk_id"]), (1, &retrieved["chunk_id"]));
    assert_eq!(cited[0]["quotes"][0]["found"], true);
    assert!(named(&told, "warning").is_some(), "a mark that names nothing is told");
    let stored = bench.get(&path).await.json();
    assert_eq!(&citations(&stored["data"][1])[0], &cited[0]);
    let run = bench.get(&format!("/api/v1/runs/{}", told[0].data["run_id"].as_str().unwrap())).await.json();
    assert!(run["context"]["knowledge"]["passages"].as_u64().unwrap() >= 1, "{run}");
}

#[tokio::test]
async fn edit_looks_again_and_regenerate_keeps_the_passages() {
    let library = library(&["In May [1].", "Again in May [1].", "At night [1]."]).await;
    let bench = &library.bench;
    let at = bench.conversation().await;
    let body = json!({"content": QUESTION, "knowledge": ["manuals"], "stream": false});
    let first = bench.post(&format!("{at}/messages"), body).await.json();
    assert_eq!(citations(&first)[0]["title"], "Boiler");
    let mid = first["id"].as_str().unwrap();
    let path = format!("{at}/messages/{mid}/regenerate");
    let problem = bench.post(&path, json!({"knowledge": ["manuals"]})).await.problem(400, "invalid");
    assert_eq!(problem["errors"][0]["path"], "knowledge");
    let again = bench.post(&path, json!({"stream": false})).await.json();
    assert_eq!(citations(&again)[0]["title"], "Boiler");
    let question = first["parent_id"].as_str().unwrap();
    let edit = json!({"content": "When does the pump run, at night or by day?", "knowledge": ["manuals"], "stream": false});
    let edited = bench.put(&format!("{at}/messages/{question}"), edit).await;
    assert_eq!(edited.status, 200, "{}", edited.body);
    assert_eq!(citations(&edited.json())[0]["title"], "Pump");
}

#[tokio::test]
async fn without_knowledge_nothing_is_looked_for() {
    let library = library(&["See [1]."]).await;
    let bench = &library.bench;
    let at = bench.conversation().await;
    let told = bench.post(&format!("{at}/messages"), json!({"content": QUESTION})).await.events();
    assert!(named(&told, "retrieved").is_none());
    assert!(!shown(&library).contains("serviced in May"));
    assert_eq!(text(&told.last().unwrap().data["message"]), "See [1].");
}

#[tokio::test]
async fn unknown_collection_is_not_found_and_stores_nothing() {
    let library = library(&[]).await;
    let bench = &library.bench;
    let (_, theirs, _) = library.neighbour().await;
    let at = bench.conversation().await;
    for name in [UNKNOWN, &theirs, "theirs", "none", ""] {
        let body = json!({"content": QUESTION, "knowledge": [name]});
        bench.post(&format!("{at}/messages"), body).await.problem(404, "not_found");
        let chat = |store: bool| json!({"messages": [{"role": "user", "content": QUESTION}], "knowledge": [name], "store": store});
        for store in [true, false] {
            bench.post("/api/v1/chat/completions", chat(store)).await.problem(404, "not_found");
            bench.post("/v1/chat/completions", chat(store)).await.openai_error(404, "not_found");
        }
    }
    let stored = bench.get(&at).await.json();
    assert_eq!(stored["message_count"], 0);
    assert_eq!(bench.get("/api/v1/conversations").await.json()["data"].as_array().unwrap().len(), 1);
    assert!(bench.provider.requests().is_empty());
}

#[tokio::test]
async fn completions_are_shown_passages() {
    let library = library(&["In May [1]."; 6]).await;
    let bench = &library.bench;
    for (path, store) in [
        ("/api/v1/chat/completions", true),
        ("/api/v1/chat/completions", false),
        ("/v1/chat/completions", false),
    ] {
        let body = json!({"messages": [{"role": "user", "content": QUESTION}], "knowledge": ["manuals"], "store": store});
        let reply = bench.post(path, body.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "In May [1].");
        assert!(shown(&library).contains("serviced in May by the owner"), "{path} {store}");
        if let Some(conversation) = reply.json()["conversation_id"].as_str() {
            let list = bench.get(&format!("/api/v1/conversations/{conversation}/messages")).await.json();
            assert_eq!(citations(&list["data"][1])[0]["title"], "Boiler");
        }
        assert_eq!(reply.json()["citations"][0]["title"], "Boiler", "{path} {store}");
        let mut body = body;
        body["stream"] = json!(true);
        let reply = bench.post(path, body).await;
        let first = reply.body.split("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
        let first: Value = serde_json::from_str(first).unwrap();
        assert_eq!(
            (&first["citations"][0]["n"], &first["citations"][0]["title"]),
            (&json!(1), &json!("Boiler"))
        );
        assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(reply.body.matches("\"citations\"").count(), 1);
    }
    for wrong in [json!("manuals"), json!([1])] {
        let body = json!({"messages": [{"role": "user", "content": "x"}], "knowledge": wrong});
        bench.post("/v1/chat/completions", body).await.openai_error(400, "invalid");
    }
}

/// A search of the application's own.
struct Tickets;

#[async_trait::async_trait]
impl Retriever for Tickets {
    async fn retrieve(&self, _: &Scope, _: &str, _: u32) -> aimate_core::Result<Vec<SourcePassage>> {
        Ok(vec![SourcePassage::new("ticket:1", "The pump was new in 2020.")])
    }
}

#[tokio::test]
async fn passages_of_the_application_are_cited_on_both_faces() {
    let library = library_with([answer("In March [1].")], Options::local(), |builder| {
        builder.retriever("tickets", Arc::new(Tickets))
    })
    .await;
    library.manuals().await;
    let bench = &library.bench;
    let at = bench.conversation().await;
    let given = json!([{"source": "ticket:42", "text": "The pump was replaced in March.", "title": "Ticket 42",
        "url": "https://helpdesk.example.org/42"}]);
    let body = json!({"content": QUESTION, "stream": false, "passages": given, "retrievers": ["tickets"]});
    let message = bench.post(&format!("{at}/messages"), body).await.json();
    let citation = citations(&message)[0];
    assert_eq!(
        (&citation["source"], &citation["url"]),
        (&json!("ticket:42"), &json!("https://helpdesk.example.org/42"))
    );
    assert!(citation.get("document_id").is_none() && citation.get("chunk_id").is_none());
    assert!(shown(&library).contains("[2] ticket:1\nThe pump was new in 2020."));
    for (field, wrong, status) in [
        ("passages", json!([{"source": "a"}]), 400),
        ("passages", json!([{"source": "a", "text": "b", "chunk": "c"}]), 400),
        ("retrievers", json!(["nobody"]), 404),
    ] {
        let body = json!({"content": QUESTION, field: wrong});
        assert_eq!(bench.post(&format!("{at}/messages"), body).await.status, status, "{field}");
    }
    let id = message["id"].as_str().unwrap();
    let again = json!({"passages": given});
    bench.post(&format!("{at}/messages/{id}/regenerate"), again).await.problem(400, "invalid");
    let body = json!({"messages": [{"role": "user", "content": QUESTION}], "retrievers": ["tickets"]});
    let reply = bench.post("/v1/chat/completions", body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(shown(&library).contains("[1] ticket:1\nThe pump was new in 2020."));
}

#[tokio::test]
async fn builtin_quotes_the_documents() {
    let library = library(&[]).await;
    let bench = &library.bench;
    let at = bench.conversation().await;
    let body = json!({"content": QUESTION, "model": "builtin/builtin", "stream": false});
    let reply = bench.post(&format!("{at}/messages"), body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let message = reply.json();
    assert!(
        text(&message).contains("serviced in May by the owner") && text(&message).contains("[1]"),
        "{message}"
    );
    assert_eq!(citations(&message)[0]["title"], "Boiler");
    assert_eq!(citations(&message)[0]["quotes"][0]["found"], true);
}
