//! The tool `file_search` of a response.

use aimate_core::message::text_of;
use aimate_core::provider::ChatMessage;
use aimate_core::testing::answer;
use aimate_http::Options;
use serde_json::{Value, json};

use crate::knowledge::{BOILER, Library, PUMP, library_with};
use crate::responses::{ask, output_text, with};

const QUESTION: &str = "When is the boiler in the cellar serviced?";

/// A library with a vector store of two files, and its id.
async fn library(answers: &[&str]) -> (Library, String) {
    let library =
        library_with(answers.iter().map(|text| answer(text)), Options::local(), |builder| builder).await;
    let at = library.collection("house").await;
    library.add(&at, "boiler.md", BOILER, json!({"year": 2025})).await;
    library.add(&at, "pump.md", PUMP, json!({"year": 2026})).await;
    let id = format!("vs_{}", at.rsplit('/').next().unwrap().replace('-', ""));
    (library, id)
}

fn search(store: &str, more: Value) -> Value {
    let tool = with(json!({"type": "file_search", "vector_store_ids": [store]}), more);
    with(ask(QUESTION), json!({"tools": [tool], "include": ["file_search_call.results"]}))
}

fn results(response: &Value) -> Vec<&Value> {
    response["output"][0]["results"].as_array().unwrap().iter().collect()
}

#[tokio::test]
async fn search_comes_first_and_the_answer_cites_it() {
    let (library, store) = library(&["It is serviced in May [1]."]).await;
    let response = library.bench.respond(search(&store, json!({}))).await;
    let call = &response["output"][0];
    assert_eq!((&call["type"], &call["status"]), (&json!("file_search_call"), &json!("completed")));
    assert_eq!(call["queries"], json!([QUESTION]));
    let first = results(&response)[0];
    assert!(first["text"].as_str().unwrap().contains("serviced in May"));
    assert!((0.0..=1.0).contains(&first["score"].as_f64().unwrap()));
    assert_eq!((&first["filename"], &first["attributes"]), (&json!("boiler.md"), &json!({"year": 2025})));
    let annotation = &response["output"][1]["content"][0]["annotations"][0];
    assert_eq!((&annotation["type"], &annotation["file_id"]), (&json!("file_citation"), &first["file_id"]));
    assert_eq!(annotation["index"], 22);
    assert!(first["file_id"].as_str().unwrap().starts_with("file-"));
    let at = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(library.bench.get(&at).await.json(), response);
    let request = library.bench.provider.requests().pop().unwrap();
    assert!(request.messages.iter().any(|message| text_of(&message.content).contains("serviced in May")));
}

#[tokio::test]
async fn question_is_searched_for_though_outputs_of_functions_follow_it() {
    let (library, store) = library(&["It is serviced in May [1]."]).await;
    let input = json!([
        {"role": "user", "content": QUESTION},
        {"type": "function_call", "call_id": "c1", "name": "today", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "Monday"},
    ]);
    let response = library.bench.respond(with(search(&store, json!({})), json!({"input": input}))).await;
    assert!(!results(&response).is_empty());
    let at = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(library.bench.get(&at).await.json(), response);
    let request = library.bench.provider.requests().pop().unwrap();
    let said = |message: &ChatMessage| text_of(&message.content).contains("serviced in May");
    assert!(request.messages.iter().any(said));
}

#[tokio::test]
async fn stream_ends_as_the_response_reads() {
    let (library, store) = library(&["It is serviced in May."]).await;
    let body = with(search(&store, json!({})), json!({"stream": true}));
    let told = library.bench.post("/v1/responses", body).await;
    let last = told.body.split_terminator("\n\n").collect::<Vec<_>>().into_iter().rev().nth(1).unwrap();
    let last: Value = serde_json::from_str(last.split_once("\ndata: ").unwrap().1).unwrap();
    assert_eq!(last["type"], "response.completed");
    let at = format!("/v1/responses/{}", last["response"]["id"].as_str().unwrap());
    assert_eq!(library.bench.get(&at).await.json(), last["response"]);
    let annotated = told.body.find("response.output_text.annotation.added").unwrap();
    assert!(annotated < told.body.find("event: response.output_text.done").unwrap());
    assert_eq!(library.bench.get(&format!("{at}?stream=true")).await.body, told.body);
}

#[tokio::test]
async fn filters_limits_and_thresholds_hold() {
    let (library, store) = library(&[]).await;
    let filter = json!({"filters": {"type": "gte", "key": "year", "value": 2026}});
    let response = library.bench.respond(search(&store, filter)).await;
    assert!(results(&response).iter().all(|one| one["text"].as_str().unwrap().contains("pump")));
    let response = library.bench.respond(search(&store, json!({"max_num_results": 1}))).await;
    assert_eq!(results(&response).len(), 1);
    let high = json!({"ranking_options": {"score_threshold": 1.0}});
    let response = library.bench.respond(search(&store, high)).await;
    assert_eq!(results(&response).len(), 0);
    assert_eq!(output_text(&response), "Hello there");
}

#[tokio::test]
async fn results_come_where_they_are_asked_for() {
    let (library, store) = library(&[]).await;
    let response = library.bench.respond(with(search(&store, json!({})), json!({"include": []}))).await;
    assert_eq!(response["output"][0]["results"], Value::Null);
    let at = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let included = library.bench.get(&format!("{at}?include[]=file_search_call.results")).await.json();
    assert!(!results(&included).is_empty());
}

#[tokio::test]
async fn choice_of_none_searches_nothing() {
    let (library, store) = library(&[]).await;
    let response =
        library.bench.respond(with(search(&store, json!({})), json!({"tool_choice": "none"}))).await;
    assert_eq!(response["output"][0]["type"], "message");
}

#[tokio::test]
async fn unknown_store_is_not_found() {
    let (library, _) = library(&[]).await;
    for store in ["vs_0190a5d27c1e7cc398c4dc0c0c07398f", "vs_1"] {
        for path in ["/v1/responses", "/v1/responses/input_tokens"] {
            let reply = library.bench.post(path, search(store, json!({}))).await;
            let error = reply.openai_error(404, "not_found");
            assert!(error["message"].as_str().unwrap().contains(store), "{error}");
        }
    }
    let tool = json!({"type": "file_search", "vector_store_ids": ["vs_0190a5d27c1e7cc398c4dc0c0c07398f"], "filters": {"type": "is"}});
    let error = library.bench.post("/v1/responses", with(ask("a"), json!({"tools": [tool]}))).await;
    assert!(error.openai_error(400, "invalid")["message"].as_str().unwrap().contains("filter"));
    assert_eq!(library.bench.provider.requests().len(), 0);
}
