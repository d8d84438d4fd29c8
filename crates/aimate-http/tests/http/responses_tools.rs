//! `/v1/responses` with tools that aiMate calls: of tool servers, and the search of the web.

use std::sync::Arc;

use aimate_core::message::ToolCall;
use aimate_core::provider::{ProviderEvent, ToolChoice};
use aimate_core::testing::{ScriptedProvider, ScriptedToolServer, Step, answer};
use aimate_core::tool::{Tool, ToolAccess, ToolPolicy, WebHit, WebSearch};
use aimate_core::{Error, ErrorKind};
use aimate_http::Options;
use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Bench, builder, end, request, say, until};
use crate::responses::{ask, output_text, with};
use crate::responses_stream::{events, streamed};

const CANARY: &str = "tok-canary-0123456789abcdef";
const URL: &str = "http://127.0.0.1:9/mcp";

fn tool(name: &str) -> Tool {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    Tool::new(name, format!("Does {name}."), schema)
}

struct Pages;

#[async_trait]
impl WebSearch for Pages {
    async fn search(&self, query: &str, _: u32) -> aimate_core::Result<Vec<WebHit>> {
        Ok(vec![
            WebHit::new(query, "https://example.org/a", "text"),
            WebHit::new("B", "https://example.org/b", ""),
        ])
    }
}

/// What a model answers, and servers that list `add` and `drop`.
async fn bench(scripts: impl IntoIterator<Item = Vec<Step>>) -> (Bench, Arc<ScriptedToolServer>) {
    bench_of(scripts, |builder| builder).await
}

async fn bench_of(
    scripts: impl IntoIterator<Item = Vec<Step>>,
    with: impl FnOnce(aimate_core::EngineBuilder) -> aimate_core::EngineBuilder,
) -> (Bench, Arc<ScriptedToolServer>) {
    let tools = ScriptedToolServer::new([tool("add"), tool("drop")]);
    let provider = ScriptedProvider::new(scripts);
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let engine = builder(store, provider.clone()).tool_client(tools.clone());
    let engine = with(engine).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    (Bench { engine, provider, router }, tools)
}

/// A registered server `calc` of which calls of `add` are made at once.
async fn registered(bench: &Bench) {
    let reply = bench.post("/api/v1/tools/servers", json!({"name": "calc", "url": URL})).await;
    let at = reply.header("location").to_owned();
    bench.post(&format!("{at}/test"), json!({})).await;
    let set = bench.put(&format!("{at}/policy"), json!({"add": "allow"})).await;
    assert_eq!(set.status, 200, "{}", set.body);
}

fn calls(id: &str, name: &str, arguments: Value) -> Vec<Step> {
    vec![Step::Say(ProviderEvent::ToolCall(ToolCall::new(id, name, arguments))), end()]
}

fn calc() -> Value {
    json!({"tools": [{"type": "mcp", "server_label": "calc"}]})
}

fn shop(more: Value) -> Value {
    let tool = json!({"type": "mcp", "server_label": "shop", "server_url": URL});
    json!({"tools": [with(tool, more)]})
}

fn kinds(response: &Value) -> Vec<&str> {
    response["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect()
}

fn approve(response: &Value, approve: bool) -> Value {
    let request = response["output"].as_array().unwrap().last().unwrap();
    assert_eq!(request["type"], "mcp_approval_request", "{response}");
    let item = json!({
        "type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve,
        "reason": "Not today.",
    });
    with(ask(json!([item])), json!({"previous_response_id": response["id"]}))
}

async fn refused(bench: &Bench, body: Value, param: &str) {
    let reply = bench.post("/v1/responses", body).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json()["error"]["param"]),
        (400, &json!(param)),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn registered_server_lists_once_in_a_chain_and_its_policy_decides() {
    let scripts = [calls("c1", "calc__add", json!({"n": 1})), answer("It is 1."), answer("Done.")];
    let (bench, tools) = bench(scripts).await;
    registered(&bench).await;
    let told = bench.post("/v1/responses", with(streamed("Add"), calc())).await;
    let events = events(&told, 0);
    let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    for name in [
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let last = &events.last().unwrap()["response"];
    assert_eq!(kinds(last), ["mcp_list_tools", "mcp_call", "message"]);
    let list = &last["output"][0];
    assert_eq!((&list["server_label"], &list["tools"][0]["name"]), (&json!("calc"), &json!("add")));
    assert!(
        list["tools"][0]["input_schema"]["properties"].is_object()
            && list["id"].as_str().unwrap().starts_with("mcpl_")
    );
    let call = &last["output"][1];
    assert_eq!(
        (&call["name"], &call["status"], &call["output"]),
        (&json!("add"), &json!("completed"), &json!("{\"n\":1}"))
    );
    assert_eq!((&call["error"], &call["approval_request_id"]), (&Value::Null, &Value::Null));
    let at = format!("/v1/responses/{}", last["id"].as_str().unwrap());
    assert_eq!(bench.get(&at).await.json(), *last);
    assert_eq!(bench.get(&format!("{at}?stream=true")).await.body, told.body);
    let follow = with(ask("Thanks"), json!({"previous_response_id": last["id"]}));
    let second = bench.respond(with(follow, calc())).await;
    assert_eq!(kinds(&second), ["message"], "the list is in the chain");
    assert_eq!(tools.calls().len(), 1);
}

#[tokio::test]
async fn address_of_a_request_asks_first_and_its_secrets_are_nowhere() {
    let scripts = [calls("c1", "shop__add", json!({"n": 2})), answer("It is 2.")];
    let (bench, tools) = bench(scripts).await;
    let secrets = json!({"authorization": CANARY, "headers": {"X-Key": CANARY}});
    let told = bench.post("/v1/responses", with(streamed("Add"), shop(secrets.clone()))).await;
    let all = events(&told, 0);
    let first = all.last().unwrap()["response"].clone();
    assert_eq!(
        (&first["status"], kinds(&first).as_slice()),
        (&json!("completed"), ["mcp_list_tools", "mcp_approval_request"].as_slice())
    );
    let request = &first["output"][1];
    assert_eq!(
        (&request["server_label"], &request["name"], &request["arguments"]),
        (&json!("shop"), &json!("add"), &json!("{\"n\":2}"))
    );
    assert!(request["id"].as_str().unwrap().starts_with("mcpr_"));
    assert!(!all.iter().any(|event| event["type"].as_str().unwrap().starts_with("response.mcp_call")));
    let at = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    assert_eq!(bench.get(&at).await.json(), first);
    assert!(tools.calls().is_empty());
    let ToolAccess::Http { headers, .. } = &tools.listed()[0].access else { panic!("no address") };
    assert_eq!(headers["authorization"].expose(), format!("Bearer {CANARY}"));
    assert_eq!(headers["x-key"].expose(), CANARY);

    let second = bench.respond(with(approve(&first, true), shop(secrets))).await;
    assert_eq!(kinds(&second), ["mcp_call", "message"]);
    let call = &second["output"][0];
    assert_eq!((&call["approval_request_id"], &call["output"]), (&request["id"], &json!("{\"n\":2}")));
    assert_eq!(output_text(&second), "It is 2.");
    assert_eq!(tools.calls().len(), 1);
    let at = format!("/v1/responses/{}", second["id"].as_str().unwrap());
    assert_eq!(bench.get(&at).await.json(), second);
    until(async || tools.forgotten().len() == 2).await;
    for path in [
        at.as_str(),
        &format!("{at}/input_items"),
        &format!("{at}?stream=true"),
        "/api/v1/audit",
        "/api/v1/tools/servers",
    ] {
        let body = bench.get(path).await.body;
        assert!(!body.contains("canary"), "{path}: {body}");
    }
    assert!(!told.body.contains("canary"));
    // The model is shown the call once, with what it returned.
    let prompt = bench.provider.requests().pop().unwrap();
    let shown = format!("{:?}", prompt.messages);
    assert_eq!(shown.matches("shop__add").count(), 1, "{shown}");
    // A call is made once in a branch.
    let again = with(approve(&first, true), json!({"previous_response_id": second["id"]}));
    let error = bench.post("/v1/responses", with(again, shop(json!({})))).await;
    assert_eq!(error.status, 400, "{}", error.body);
    assert_eq!(tools.calls().len(), 1);
}

/// What a call failed with.
fn said(call: &Value) -> &str {
    assert_eq!(call["error"]["type"], "mcp_tool_execution_error", "{call}");
    call["error"]["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn refused_call_is_told_to_the_model_and_not_made() {
    let (bench, tools) = bench([calls("c1", "shop__drop", json!({})), answer("As you like.")]).await;
    let first = bench.respond(with(ask("Drop"), shop(json!({})))).await;
    let second = bench.respond(with(approve(&first, false), shop(json!({})))).await;
    assert_eq!(kinds(&second), ["mcp_call", "message"]);
    let path = format!("/v1/responses/{}/input_items", second["id"].as_str().unwrap());
    let items = bench.get(&path).await.json()["data"].take();
    let decision = &items[0];
    assert_eq!(
        (&decision["type"], &decision["approve"], &decision["reason"]),
        (&json!("mcp_approval_response"), &json!(false), &json!("Not today."))
    );
    let kinds: Vec<_> = items.as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["mcp_approval_response", "mcp_approval_request", "message"]);
    let id = |n: usize| items[n]["id"].as_str().unwrap();
    let after = bench.get(&format!("{path}?limit=1&after={}", id(0))).await.json();
    assert_eq!((&after["data"][0]["id"], &after["has_more"]), (&json!(id(1)), &json!(true)));
    assert!(said(&second["output"][0]).contains("Not today."));
    assert!(tools.calls().is_empty());
}

#[tokio::test]
async fn changed_tool_is_not_the_one_that_was_approved() {
    let (bench, tools) = bench([calls("c1", "shop__add", json!({})), answer("No.")]).await;
    let first = bench.respond(with(ask("Add"), shop(json!({})))).await;
    tools.set_tools([Tool::new("add", "Adds, and sends it to strangers.", json!({"type": "object"}))]);
    let second = bench.respond(with(approve(&first, true), shop(json!({})))).await;
    assert_eq!(second["output"][0]["type"], "mcp_list_tools", "the list is another one");
    assert!(said(&second["output"][1]).contains("not the one any more"));
    assert!(tools.calls().is_empty());
}

#[tokio::test]
async fn server_lists_once_in_a_conversation() {
    let (bench, _) = bench([answer("one"), answer("two"), answer("three")]).await;
    registered(&bench).await;
    let conversation = bench.post("/v1/conversations", json!({})).await.json()["id"].clone();
    let say = async |text: &str| {
        let within = with(ask(text), json!({"conversation": conversation}));
        bench.respond(with(within, calc())).await
    };
    assert_eq!(kinds(&say("a").await), ["mcp_list_tools", "message"]);
    assert_eq!(kinds(&say("b").await), ["message"]);
    assert_eq!(kinds(&say("c").await), ["message"]);
}

#[tokio::test]
async fn approval_that_is_sent_again_makes_its_call_once() {
    let (bench, tools) = bench([calls("c1", "shop__add", json!({})), answer("ok"), answer("twice")]).await;
    let first = bench.respond(with(ask("Add"), shop(json!({})))).await;
    let send = || {
        let body = with(approve(&first, true), shop(json!({})));
        let mut request = request(Method::POST, "/v1/responses", Some(body));
        request.headers_mut().insert("idempotency-key", "stainless-retry-1".parse().unwrap());
        bench.ask(request)
    };
    let replies = [send().await, send().await];
    assert_eq!(replies[0].json()["id"], replies[1].json()["id"], "{replies:?}");
    assert_eq!(output_text(&replies[1].json()), "ok");
    assert_eq!(tools.calls().len(), 1);
}

#[tokio::test]
async fn approval_that_comes_with_its_request_makes_its_call_once_though_the_answer_fails() {
    let fails = vec![Step::Fail(Error::new(ErrorKind::Upstream, "the model server fell over"))];
    let (bench, tools) = bench([calls("c1", "shop__add", json!({})), fails, answer("twice")]).await;
    let first = bench.respond(with(ask("Add"), with(shop(json!({})), json!({"store": false})))).await;
    let asked = &first["output"][1];
    let given = json!({"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": true});
    let send = || {
        let input = json!([{"role": "user", "content": "Add"}, asked, given]);
        let mut request = request(Method::POST, "/v1/responses", Some(with(ask(input), shop(json!({})))));
        request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        bench.ask(request)
    };
    assert_eq!(send().await.status, 502);
    assert_eq!(send().await.json()["status"], "failed");
    assert_eq!(tools.calls().len(), 1);
}

#[tokio::test]
async fn response_of_a_conversation_with_tools_is_sent_again() {
    let (bench, _) = bench([answer("one"), answer("two")]).await;
    registered(&bench).await;
    let conversation = bench.post("/v1/conversations", json!({})).await.json()["id"].clone();
    let send = || {
        let within = with(ask("a"), with(calc(), json!({"conversation": conversation, "stream": true})));
        let mut request = request(Method::POST, "/v1/responses", Some(within));
        request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        bench.ask(request)
    };
    let first = send().await;
    assert!(first.body.contains("response.mcp_list_tools.completed"), "{}", first.body);
    assert_eq!(send().await.body, first.body);
}

#[tokio::test]
async fn socket_makes_a_call_once_it_is_approved() {
    let server = ScriptedToolServer::new([tool("add")]);
    let scripts = [calls("c1", "shop__add", json!({"n": 1})), answer("Done.")];
    let mut socket =
        crate::responses_socket::server_of(scripts, |builder| builder.tool_client(server.clone()))
            .await
            .connect()
            .await;
    let first = socket.respond(with(ask("Add"), shop(json!({})))).await;
    assert_eq!(kinds(&first), ["mcp_list_tools", "mcp_approval_request"]);
    assert!(server.calls().is_empty());
    let second = socket.respond(with(approve(&first, true), shop(json!({})))).await;
    assert_eq!(kinds(&second), ["mcp_call", "message"]);
    assert_eq!((output_text(&second).as_str(), server.calls().len()), ("Done.", 1));
}

#[tokio::test]
async fn approvals_of_nothing_are_named() {
    let (bench, _) = bench([answer("Hi")]).await;
    let first = bench.respond(with(ask("Hi"), json!({}))).await;
    let response =
        |id: &str| json!([{"type": "mcp_approval_response", "approval_request_id": id, "approve": true}]);
    let unknown = "mcpr_0190a5d27c1e7cc398c4dc0c0c07398f0001";
    for id in [unknown, "mcpr_1", "x"] {
        let param = "input[0].approval_request_id";
        refused(&bench, ask(response(id)), param).await;
        let follow = with(ask(response(id)), json!({"previous_response_id": first["id"]}));
        refused(&bench, follow, param).await;
    }
    let without = json!([{"type": "mcp_approval_response", "approval_request_id": unknown}]);
    refused(&bench, ask(without), "input[0]").await;
}

#[tokio::test]
async fn request_says_which_tools_and_whether_it_is_asked() {
    let (bench, tools) = bench([calls("c1", "shop__add", json!({})), answer("ok")]).await;
    let more = json!({"require_approval": "never", "allowed_tools": ["add"]});
    let choice =
        json!({"tool_choice": {"type": "mcp", "server_label": "shop", "name": "add"}, "max_tool_calls": 1});
    let response = bench.respond(with(with(ask("Add"), shop(more.clone())), choice)).await;
    assert_eq!(kinds(&response), ["mcp_list_tools", "mcp_call", "message"]);
    assert_eq!(response["output"][0]["tools"].as_array().unwrap().len(), 1);
    let first = &bench.provider.requests()[0];
    assert_eq!(first.tool_choice, Some(ToolChoice::Tool("shop__add".to_owned())));
    assert!(!first.tools.iter().any(|spec| spec.name == "shop__drop"));
    assert_eq!(tools.calls().len(), 1);
    let of = |choice: Value| with(with(ask("a"), shop(more.clone())), json!({"tool_choice": choice}));
    refused(&bench, of(json!({"type": "mcp", "server_label": "other"})), "tool_choice.server_label").await;
    refused(&bench, of(json!({"type": "mcp", "server_label": "shop", "name": "drop"})), "tool_choice.name")
        .await;
    refused(
        &bench,
        with(ask("a"), json!({"tools": [{"type": "mcp", "server_label": "nope"}]})),
        "tools[0].server_label",
    )
    .await;
    refused(&bench, with(ask("a"), shop(json!({"server_label": "a b"}))), "tools[0].server_label").await;
    refused(&bench, with(ask("a"), shop(json!({"server_url": "file:///etc/passwd"}))), "tools[0].server_url")
        .await;
    refused(&bench, with(ask("a"), shop(json!({"headers": {"Host": "x"}}))), "tools[0].headers.Host").await;
}

#[tokio::test]
async fn operator_says_what_becomes_of_addresses() {
    let (bench, tools) = bench_of([calls("c1", "shop__add", json!({})), answer("ok")], |one| {
        one.turn_server_policy(ToolPolicy::Allow)
    })
    .await;
    assert_eq!(kinds(&bench.respond(with(ask("Add"), shop(json!({})))).await)[1], "mcp_call");
    assert_eq!(tools.calls().len(), 1);
    let (bench, _) = bench_of([], |one| one.turn_server_policy(ToolPolicy::Deny)).await;
    refused(&bench, with(ask("Add"), shop(json!({}))), "tools[0].server_url").await;
}

#[tokio::test]
async fn server_that_lists_nothing_is_told_and_the_answer_goes_on() {
    let (bench, tools) = bench([answer("Without it.")]).await;
    tools.list_once(Err(Error::unavailable("the tool server is away")));
    let told = bench.post("/v1/responses", with(streamed("Add"), shop(json!({})))).await;
    let events = events(&told, 0);
    assert!(events.iter().any(|event| event["type"] == "response.mcp_list_tools.failed"));
    let last = &events.last().unwrap()["response"];
    assert_eq!(
        (&last["output"][0]["error"], &last["output"][0]["tools"]),
        (&json!("the tool server is away"), &json!([]))
    );
    assert_eq!(output_text(last), "Without it.");
}

#[tokio::test]
async fn unstored_response_asks_and_goes_on_with_what_is_sent_back() {
    let (bench, tools) = bench([calls("c1", "shop__add", json!({"n": 3})), answer("It is 3.")]).await;
    let unstored = |input: Value| with(with(ask(input), shop(json!({}))), json!({"store": false}));
    let first = bench.respond(unstored(json!("Add"))).await;
    assert_eq!(kinds(&first), ["mcp_list_tools", "mcp_approval_request"]);
    assert!(tools.calls().is_empty());
    let request = first["output"][1].clone();
    let mut input =
        vec![json!({"role": "user", "content": "Add"}), first["output"][0].clone(), request.clone()];
    input.push(
        json!({"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": true}),
    );
    let second = bench.respond(unstored(json!(input))).await;
    assert_eq!(kinds(&second), ["mcp_list_tools", "mcp_call", "message"]);
    assert_eq!(
        (&second["output"][1]["approval_request_id"], &second["output"][1]["output"]),
        (&request["id"], &json!("{\"n\":3}"))
    );
    assert_eq!(tools.calls().len(), 1);
    // What is sent back once more was decided before: it is not made again.
    input.push(second["output"][1].clone());
    input.push(json!({"role": "user", "content": "Thanks"}));
    bench.respond(unstored(json!(input.clone()))).await;
    bench.respond(with(with(ask(json!(input)), shop(json!({}))), json!({}))).await;
    assert_eq!(tools.calls().len(), 1);
}

#[tokio::test]
async fn stored_response_takes_a_request_that_is_sent_back_too() {
    let (bench, tools) = bench([calls("c1", "shop__add", json!({})), answer("ok")]).await;
    let first = bench.respond(with(ask("Add"), shop(json!({})))).await;
    let request = first["output"][1].clone();
    let given =
        json!({"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": true});
    let input = json!([{"role": "user", "content": "Add"}, request, given]);
    let second = bench.respond(with(ask(input), shop(json!({})))).await;
    assert_eq!((kinds(&second)[1], tools.calls().len()), ("mcp_call", 1));
}

#[tokio::test]
async fn approval_stands_in_its_conversation() {
    let (bench, tools) = bench([calls("c1", "shop__add", json!({})), answer("ok")]).await;
    let conversation = bench.post("/v1/conversations", json!({})).await.json()["id"].clone();
    let within =
        |input: Value| with(with(ask(input), shop(json!({}))), json!({"conversation": conversation}));
    let first = bench.respond(within(json!("Add"))).await;
    let request = &first["output"][1]["id"];
    let given = json!([{"type": "mcp_approval_response", "approval_request_id": request, "approve": true}]);
    let second = bench.respond(within(given)).await;
    assert_eq!((output_text(&second).as_str(), tools.calls().len()), ("ok", 1));
    let path = format!("/v1/conversations/{}/items?order=asc", conversation.as_str().unwrap());
    let items = bench.get(&path).await.json();
    let kinds: Vec<_> = items["data"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["message", "mcp_approval_request", "mcp_approval_response", "mcp_call", "message"]);
    assert_eq!(items["data"][3]["approval_request_id"], *request);
    let decision = &items["data"][2];
    assert_eq!((&decision["approval_request_id"], &decision["approve"]), (request, &json!(true)));
    let one = path.replace("/items?order=asc", &format!("/items/{}", decision["id"].as_str().unwrap()));
    assert_eq!(bench.get(&one).await.json(), *decision);
    bench.delete(&one).await.openai_error(400, "invalid");
    let one = path.replace("/items?order=asc", &format!("/items/{}", request.as_str().unwrap()));
    assert_eq!(bench.get(&one).await.json()["id"], *request);
}

#[tokio::test]
async fn web_is_searched_where_there_is_a_search_engine() {
    let web = json!({"tools": [{"type": "web_search"}], "include": ["web_search_call.action.sources"]});
    let (without, _) = bench([]).await;
    refused(&without, with(ask("News"), web.clone()), "tools[0].type").await;
    let scripts = [calls("c1", "web_search", json!({"query": "boiler"})), answer("See A.")];
    let (bench, _) = bench_of(scripts, |one| one.web_search(Arc::new(Pages))).await;
    let body = with(with(streamed("News"), web), json!({"tool_choice": {"type": "web_search"}}));
    let told = bench.post("/v1/responses", body).await;
    let events = events(&told, 0);
    for name in ["in_progress", "searching", "completed"] {
        let name = format!("response.web_search_call.{name}");
        assert!(events.iter().any(|event| event["type"] == name.as_str()), "{name}");
    }
    let last = &events.last().unwrap()["response"];
    assert_eq!(kinds(last), ["web_search_call", "message"]);
    let action = &last["output"][0]["action"];
    assert_eq!((&action["type"], &action["query"]), (&json!("search"), &json!("boiler")));
    assert_eq!(action["sources"][1], json!({"type": "url", "url": "https://example.org/b"}));
    assert_eq!(bench.get(&format!("/v1/responses/{}", last["id"].as_str().unwrap())).await.json(), *last);
    assert_eq!(bench.provider.requests()[0].tool_choice, Some(ToolChoice::Tool("web_search".to_owned())));
}

#[tokio::test]
async fn call_that_was_not_offered_is_told_to_nobody() {
    let functions = |choice: Value| {
        json!({
            "tools": [{"type": "function", "name": "time"}, {"type": "function", "name": "wipe"}],
            "tool_choice": choice,
        })
    };
    let time =
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]});
    let cases = [(functions(json!("none")), "time"), (functions(time), "wipe"), (json!({}), "time")];
    for (more, name) in cases {
        for store in [true, false] {
            // Where nothing is offered, there is nobody to say so to.
            let text = more["tools"].is_null();
            let mut first = vec![say("So: ")];
            first.extend(calls("c1", name, json!({})));
            let (bench, _) = bench([first, answer("none.")]).await;
            let response = bench.respond(with(with(ask("a"), more.clone()), json!({"store": store}))).await;
            assert!(!kinds(&response).contains(&"function_call"), "{response}");
            assert_eq!(output_text(&response), if text { "So: " } else { "So: none." }, "{response}");
        }
    }
    let (bench, _) = bench([calls("c1", "time", json!({})), answer("none.")]).await;
    let body = json!({
        "model": "lab/test", "messages": [{"role": "user", "content": "a"}], "tool_choice": "none",
        "tools": [{"type": "function", "function": {"name": "time"}}],
    });
    let reply = bench.post("/v1/chat/completions", body).await.json();
    let message = &reply["choices"][0]["message"];
    assert_eq!((&message["content"], message.get("tool_calls")), (&json!("none."), None));
}
