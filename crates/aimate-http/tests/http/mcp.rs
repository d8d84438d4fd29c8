//! The MCP server, as its clients ask it: of the revision without sessions, and of those
//! with them.

use std::time::Duration;

use aimate_core::knowledge::{NewCollection, NewDocument};
use aimate_core::prompt::NewPrompt;
use aimate_core::rate_limit::{RateLimit, RateLimits, RequestClass};
use aimate_core::testing::{ScriptedProvider, Step, answer};
use aimate_core::{Engine, Scope};
use aimate_http::{Options, ScopeResolver};
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::common::{Bench, Reply, bench, bench_with, engine, request, say, until};

const NEW: &str = "2026-07-28";
const OLD: &str = "2025-11-25";

/// A message of a client of the revision without sessions.
fn message(method: &str, mut params: Value) -> Request<Body> {
    let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
    let fields = params.as_object_mut().unwrap();
    let meta = fields.entry("_meta").or_insert(json!({}));
    meta["io.modelcontextprotocol/protocolVersion"] = json!(NEW);
    meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "1"});
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut headers = vec![("mcp-protocol-version", NEW.to_owned()), ("mcp-method", method.to_owned())];
    headers.extend(name.map(|name| ("mcp-name", name)));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    posted(body, &headers)
}

fn posted(body: Value, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = request(Method::POST, "/mcp", Some(body));
    request.headers_mut().insert("accept", "application/json, text/event-stream".parse().unwrap());
    with(request, headers)
}

fn with(mut request: Request<Body>, headers: &[(&str, &str)]) -> Request<Body> {
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
fn call(tool: &str, arguments: Value) -> Request<Body> {
    message("tools/call", json!({"name": tool, "arguments": arguments}))
}

/// The JSON-RPC messages of a response, of whichever kind it is.
fn messages(reply: &Reply) -> Vec<Value> {
    if reply.header("content-type").starts_with("application/json") {
        return vec![reply.json()];
    }
    assert_eq!(reply.header("content-type"), "text/event-stream", "{} {}", reply.status, reply.body);
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The result of a response.
fn result(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let last = messages(reply).pop().unwrap();
    assert!(last.get("error").is_none(), "{last}");
    last["result"].clone()
}

async fn with_knowledge(engine: &Engine, scope: &Scope) -> String {
    let knowledge = engine.knowledge(scope);
    let collection = knowledge.create_collection(NewCollection::new("manuals")).await.unwrap();
    let text = "The boiler in the cellar is serviced in May.".to_owned();
    let document = knowledge.add_text_to(collection.id, NewDocument::new("boiler.md"), text).await.unwrap();
    knowledge.wait(document.id).await.unwrap();
    document.id.to_string()
}

async fn ready(scripts: impl IntoIterator<Item = Vec<Step>>) -> (Bench, String) {
    let bench = bench(scripts).await;
    let me = bench.engine.local_scope().await.unwrap();
    let document = with_knowledge(&bench.engine, &me).await;
    (bench, document)
}

#[tokio::test]
async fn client_without_a_session_searches_reads_and_gets_a_prompt() {
    let (bench, document) = ready([]).await;
    let me = bench.engine.local_scope().await.unwrap();
    bench.engine.prompts(&me).create(NewPrompt::new("Be brief!", "Answer in a line.")).await.unwrap();

    let found = result(&bench.ask(message("server/discover", json!({}))).await);
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!(NEW)), "{found}");
    assert!(found["instructions"].as_str().unwrap().contains("search"));
    let tools = result(&bench.ask(message("tools/list", json!({}))).await);
    let names: Vec<_> = tools["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(
        json!(names),
        json!(["search", "ask", "list_documents", "get_document", "list_conversations", "get_conversation"])
    );

    let hits = result(&bench.ask(call("search", json!({"query": "boiler serviced", "mode": "text"}))).await);
    let passage = &hits["structuredContent"]["passages"][0];
    assert_eq!(passage["document_id"], document, "{hits}");
    assert_eq!(hits["isError"], json!(false));
    let shown = hits["content"][0]["text"].as_str().unwrap();
    assert!(shown.starts_with("[1] ") && shown.contains("serviced in May"), "{shown}");

    let read = result(&bench.ask(call("get_document", json!({"document_id": document}))).await);
    let part = &read["structuredContent"];
    assert_eq!(part["text"], "The boiler in the cellar is serviced in May.");
    assert_eq!((&part["next"], &part["document"]["name"]), (&Value::Null, &json!("boiler.md")));
    let listed = result(&bench.ask(call("list_documents", json!({"collection": "manuals"}))).await);
    assert_eq!(listed["structuredContent"]["documents"][0]["id"], document);

    let resources = result(&bench.ask(message("resources/list", json!({}))).await);
    let uri = resources["resources"][0]["uri"].as_str().unwrap();
    assert_eq!(uri, format!("aimate://documents/{document}"));
    let content = result(&bench.ask(message("resources/read", json!({"uri": uri}))).await);
    assert_eq!(content["contents"][0]["text"], "The boiler in the cellar is serviced in May.");

    let prompts = result(&bench.ask(message("prompts/list", json!({}))).await);
    let name = prompts["prompts"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("be-brief-"), "{name}");
    assert_eq!(prompts["prompts"][0]["title"], "Be brief!");
    let prompt = result(&bench.ask(message("prompts/get", json!({"name": name}))).await);
    assert_eq!(prompt["messages"][0]["content"]["text"], "Answer in a line.");
}

#[tokio::test]
async fn failures_are_results_that_say_why() {
    let (bench, document) = ready([]).await;
    for (tool, arguments, why) in [
        ("search", json!({}), "missing field `query`"),
        ("search", json!({"query": " "}), "`query`: is empty"),
        ("search", json!({"query": "x", "limit": 51}), "must be 1 to 50"),
        ("search", json!({"query": "x", "colections": []}), "unknown field `colections`"),
        ("search", json!({"query": "x", "collections": ["none"]}), "no collection"),
        ("get_document", json!({"document_id": "x"}), "there is no document x"),
        ("get_document", json!({"document_id": document, "max_characters": 0}), "must be 1 to"),
        ("list_documents", json!({"cursor": "x"}), "`cursor`: is not a `next_cursor`"),
        ("get_conversation", json!({"conversation_id": document}), "there is no conversation"),
        ("ask", json!({"question": "x", "model": "nowhere/x"}), "nowhere"),
    ] {
        let failed = result(&bench.ask(call(tool, arguments.clone())).await);
        assert_eq!(failed["isError"], json!(true), "{tool} {arguments}: {failed}");
        let said = failed["content"][0]["text"].as_str().unwrap();
        assert!(said.contains(why), "{tool} {arguments}: {said}");
    }
    for (method, params) in [
        ("tools/call", json!({"name": "no_such_tool"})),
        ("resources/read", json!({"uri": "file:///etc/passwd"})),
        ("resources/read", json!({"uri": "aimate://documents/x"})),
        ("prompts/get", json!({"name": "x"})),
        ("resources/list", json!({"cursor": "x"})),
    ] {
        let reply = bench.ask(message(method, params.clone())).await;
        assert_eq!(messages(&reply)[0]["error"]["code"], json!(-32602), "{method} {params}: {}", reply.body);
    }
    let unknown = bench.ask(message("tools/fly", json!({}))).await;
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    assert_eq!(messages(&unknown)[0]["error"]["code"], json!(-32601));
}

#[tokio::test]
async fn answer_comes_with_citations_and_is_kept() {
    let (bench, document) = ready([answer("In May [1]."), answer("Yes.")]).await;
    let asked = json!({"name": "ask", "arguments": {"question": "When is the boiler serviced?", "collections": ["manuals"]},
        "_meta": {"progressToken": "p"}});
    let reply = bench.ask(message("tools/call", asked)).await;
    let told = messages(&reply);
    let progress: Vec<_> =
        told.iter().filter(|message| message["method"] == "notifications/progress").collect();
    assert!(!progress.is_empty(), "{}", reply.body);
    assert!(progress.iter().all(|one| one["params"]["progressToken"] == "p"));
    let answered = result(&reply)["structuredContent"].clone();
    assert_eq!(answered["answer"], "In May [1].", "{answered}");
    assert_eq!(answered["citations"][0]["document_id"], document);
    assert_eq!(answered["finish_reason"], "stop");

    let on = json!({"question": "Sure?", "conversation_id": answered["conversation_id"]});
    let again = result(&bench.ask(call("ask", on)).await)["structuredContent"].clone();
    assert_eq!(again["conversation_id"], answered["conversation_id"]);
    let kept = json!({"conversation_id": answered["conversation_id"]});
    let kept = result(&bench.ask(call("get_conversation", kept)).await)["structuredContent"].clone();
    let texts: Vec<_> = kept["messages"].as_array().unwrap().iter().map(|one| &one["text"]).collect();
    assert_eq!(json!(texts), json!(["When is the boiler serviced?", "In May [1].", "Sure?", "Yes."]));
    let list = result(&bench.ask(call("list_conversations", json!({}))).await);
    assert_eq!(list["structuredContent"]["conversations"][0]["id"], answered["conversation_id"]);
}

#[tokio::test]
async fn whoever_leaves_cancels_the_answer() {
    let (bench, _) = ready([vec![say("half"), Step::Hang]]).await;
    {
        let pending = tower::ServiceExt::oneshot(bench.router.clone(), call("ask", json!({"question": "x"})));
        tokio::select! {
            response = pending => panic!("the model hangs: {response:?}"),
            () = until(async || bench.engine.running() == 1) => {}
        }
    }
    until(async || bench.engine.running() == 0).await;
    let list = result(&bench.ask(call("list_conversations", json!({}))).await);
    let id = &list["structuredContent"]["conversations"][0]["id"];
    let kept = result(&bench.ask(call("get_conversation", json!({"conversation_id": id}))).await);
    let last = &kept["structuredContent"]["messages"][1];
    assert_eq!(last["status"], "cancelled", "{kept}");
}

/// A session of the older revisions.
struct Session {
    id: String,
    version: &'static str,
}

impl Session {
    async fn open(bench: &Bench, version: &'static str, headers: &[(&str, &str)]) -> Self {
        let params = json!({"protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        let first = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let reply = bench.ask(posted(first, headers)).await;
        assert_eq!(result(&reply)["protocolVersion"], version, "{}", reply.body);
        let session = Self { id: reply.header("mcp-session-id").to_owned(), version };
        let second = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.send(bench, second, headers).await.status, 202);
        session
    }

    async fn send(&self, bench: &Bench, message: Value, headers: &[(&str, &str)]) -> Reply {
        let own = [("mcp-session-id", self.id.as_str()), ("mcp-protocol-version", self.version)];
        bench.ask(with(posted(message, &own), headers)).await
    }

    async fn call(&self, bench: &Bench, tool: &str, arguments: Value, headers: &[(&str, &str)]) -> Reply {
        let params = json!({"name": tool, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params});
        self.send(bench, message, headers).await
    }

    fn request(&self, method: Method) -> Request<Body> {
        let own = [
            ("mcp-session-id", self.id.as_str()),
            ("mcp-protocol-version", self.version),
            ("accept", "text/event-stream"),
        ];
        with(request(method, "/mcp", None), &own)
    }
}

#[tokio::test]
async fn client_that_cancels_a_call_cancels_the_answer() {
    let (bench, _) = ready([]).await;
    for version in [OLD, "2025-06-18"] {
        bench.provider.push(vec![say("half"), Step::Hang]);
        let session = Session::open(&bench, version, &[]).await;
        let other = Session::open(&bench, version, &[]).await;
        let cancelled = |id: u32| {
            let params = json!({"requestId": id, "reason": "enough"});
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        };
        let asked = session.call(&bench, "ask", json!({"question": "x"}), &[]);
        let cancel = async {
            until(async || bench.engine.running() == 1).await;
            // Equal ids of another session, and other ids of this one, are not meant.
            assert_eq!(other.send(&bench, cancelled(2), &[]).await.status, 202);
            assert_eq!(session.send(&bench, cancelled(3), &[]).await.status, 202);
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(bench.engine.running(), 1);
            assert_eq!(session.send(&bench, cancelled(2), &[]).await.status, 202);
            until(async || bench.engine.running() == 0).await;
        };
        let ended = timeout(Duration::from_secs(20), async { tokio::join!(asked, cancel) }).await;
        let (reply, ()) = ended.unwrap_or_else(|_| panic!("{version}: the call goes on"));
        assert!(!reply.body.contains("structuredContent"), "{}", reply.body);
        let list = session.call(&bench, "list_conversations", json!({}), &[]).await;
        assert_eq!(list.status, 200, "the session goes on: {}", list.body);
    }
}

#[tokio::test]
async fn clients_of_older_revisions_have_sessions() {
    let (bench, document) = ready([]).await;
    for version in [OLD, "2025-06-18"] {
        let session = Session::open(&bench, version, &[]).await;
        let search = json!({"query": "boiler", "mode": "text"});
        let hits = result(&session.call(&bench, "search", search, &[]).await);
        assert_eq!(hits["structuredContent"]["passages"][0]["document_id"], document, "{version}: {hits}");
        assert!(hits.get("resultType").is_none(), "{version}: {hits}");
        assert_eq!(bench.ask(session.request(Method::DELETE)).await.status, 204);
        let gone = session.call(&bench, "list_documents", json!({}), &[]).await;
        assert_eq!(gone.status, 404, "{version}: {}", gone.body);
    }
    let without = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    assert_eq!(bench.ask(posted(without, &[("mcp-protocol-version", OLD)])).await.status, 400);
}

#[tokio::test]
async fn sec_t36_foreign_hosts_and_origins_are_refused() {
    let (bench, _) = ready([]).await;
    let session = Session::open(&bench, OLD, &[]).await;
    let foreign = [
        ("host", "evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:3001"),
        ("sec-fetch-site", "cross-site"),
    ];
    for header in foreign {
        for request in [
            call("list_documents", json!({})),
            message("server/discover", json!({})),
            session.request(Method::GET),
            session.request(Method::DELETE),
        ] {
            let method = request.method().clone();
            let reply = bench.ask(with(request, &[header])).await;
            assert_eq!(reply.status, 403, "{method} {header:?}: {}", reply.body);
        }
    }
    let own = ("origin", "http://127.0.0.1:3000");
    assert_eq!(bench.ask(with(call("list_documents", json!({})), &[own])).await.status, 200);
}

#[tokio::test]
async fn sec_t36_foreign_origin_is_refused_where_a_credential_is_needed_too() {
    let bench = house([], Options::default().allowed_origins(["https://app.example.org"])).await;
    let of_ann = |headers: &[(&str, &str)]| {
        with(with(call("list_documents", json!({})), &[("x-user", "ann")]), headers)
    };
    for (origin, status) in
        [("https://evil.example", 403), ("https://app.example.org", 200), ("http://127.0.0.1:3000", 200)]
    {
        let reply = bench.ask(of_ann(&[("origin", origin)])).await;
        assert_eq!(reply.status, status, "{origin}: {}", reply.body);
    }
    let listed = house([], Options::default().allowed_hosts(["chat.example.org"])).await;
    assert_eq!(listed.ask(of_ann(&[])).await.status, 403);
    assert_eq!(listed.ask(of_ann(&[("host", "chat.example.org")])).await.status, 200);
}

/// Takes the caller's name for a credential.
struct Names(Vec<(&'static str, Scope)>);

#[aimate_http::async_trait]
impl ScopeResolver for Names {
    async fn resolve(&self, head: &http::request::Parts) -> aimate_core::Result<Option<Scope>> {
        let name = head.headers.get("x-user").and_then(|name| name.to_str().ok());
        Ok(name.and_then(|name| self.0.iter().find(|(known, _)| *known == name)).map(|(_, scope)| *scope))
    }
}

async fn house(scripts: impl IntoIterator<Item = Vec<Step>>, options: Options) -> Bench {
    let provider = ScriptedProvider::new(scripts);
    let engine = engine(provider.clone()).await;
    let mut users = Vec::new();
    for name in ["ann", "bob"] {
        users.push((name, engine.scope("acme", name).ensure().await.unwrap()));
    }
    users.push(("eve", engine.scope("other", "eve").ensure().await.unwrap()));
    let router = aimate_http::router(engine.clone(), options.resolver(std::sync::Arc::new(Names(users))));
    Bench { engine, provider, router }
}

#[tokio::test]
async fn other_users_things_are_not_found() {
    let bench = house([answer("Mine.")], Options::default()).await;
    let ann = bench.engine.scope("acme", "ann").ensure().await.unwrap();
    let document = with_knowledge(&bench.engine, &ann).await;
    let prompt = bench.engine.prompts(&ann).create(NewPrompt::new("Mine", "Be brief.")).await.unwrap();
    let of = |user: &str, request: Request<Body>| with(request, &[("x-user", user)]);
    let ask = json!({"question": "Mine?", "model": "lab/test"});
    let asked = result(&bench.ask(of("ann", call("ask", ask))).await);
    let conversation = asked["structuredContent"]["conversation_id"].clone();
    assert!(conversation.is_string(), "{asked}");
    let uri = format!("aimate://documents/{document}");
    for user in ["bob", "eve"] {
        for (tool, arguments) in [
            ("get_document", json!({"document_id": document})),
            ("list_documents", json!({"collection": "manuals"})),
            ("search", json!({"query": "boiler", "collections": ["manuals"]})),
            ("get_conversation", json!({"conversation_id": conversation})),
            ("ask", json!({"question": "x", "conversation_id": conversation})),
            ("ask", json!({"question": "x", "collections": ["manuals"], "model": "lab/test"})),
        ] {
            let reply = result(&bench.ask(of(user, call(tool, arguments))).await);
            assert_eq!(reply["isError"], json!(true), "{user} {tool}: {reply}");
            let said = reply["content"][0]["text"].as_str().unwrap();
            assert!(said.contains("there is no"), "{user} {tool}: {said}");
        }
        let search = json!({"query": "boiler", "mode": "text"});
        let empty = [
            (call("search", search), "passages"),
            (call("list_documents", json!({})), "documents"),
            (call("list_conversations", json!({})), "conversations"),
        ];
        for (request, field) in empty {
            let reply = result(&bench.ask(of(user, request)).await);
            assert_eq!(reply["structuredContent"][field], json!([]), "{user} {field}");
        }
        for (method, params, field) in
            [("resources/list", json!({}), "resources"), ("prompts/list", json!({}), "prompts")]
        {
            let reply = result(&bench.ask(of(user, message(method, params))).await);
            assert_eq!(reply[field], json!([]), "{user} {method}");
        }
        let name = format!("mine-{}", prompt.id);
        for (method, params) in
            [("resources/read", json!({"uri": uri})), ("prompts/get", json!({"name": name}))]
        {
            let reply = bench.ask(of(user, message(method, params))).await;
            assert!(messages(&reply)[0]["error"]["message"].is_string(), "{user} {method}: {}", reply.body);
            assert!(!reply.body.contains("serviced") && !reply.body.contains("brief."), "{}", reply.body);
        }
    }
    assert_eq!(bench.ask(call("list_documents", json!({}))).await.status, 401, "nobody");
}

#[tokio::test]
async fn sec_t35_session_is_of_the_user_who_opened_it() {
    let bench = house([], Options::default()).await;
    let (ann, bob) = (("x-user", "ann"), ("x-user", "bob"));
    let session = Session::open(&bench, OLD, &[ann]).await;
    for request in [session.request(Method::GET), session.request(Method::DELETE)] {
        let method = request.method().clone();
        let reply = bench.ask(with(request, &[bob])).await;
        // Ending what is not there is no failure.
        assert_eq!(reply.status, if method == Method::GET { 404 } else { 204 }, "{method}: {}", reply.body);
    }
    assert_eq!(session.call(&bench, "list_documents", json!({}), &[bob]).await.status, 404);
    assert_eq!(session.call(&bench, "list_documents", json!({}), &[ann]).await.status, 200);
}

#[tokio::test]
async fn limits_hold() {
    let limits = RateLimits::NONE.with(RequestClass::Search, Some(RateLimit::per_minute(1).burst(1)));
    let bench = bench_with([], Options::local().rate_limits(limits)).await;
    let search = || call("search", json!({"query": "x", "mode": "text"}));
    assert_eq!(bench.ask(search()).await.status, 200);
    bench.ask(search()).await.problem(429, "rate_limited");
    assert_eq!(bench.ask(call("list_documents", json!({}))).await.status, 200);
    let long = "x".repeat(5 << 20);
    bench.ask(call("search", json!({"query": long}))).await.problem(413, "too_large");
    let bad = with(
        request(Method::POST, "/mcp", Some(json!([]))),
        &[("accept", "application/json, text/event-stream")],
    );
    assert!(bench.ask(bad).await.status.is_client_error());
    let seats = bench_with([vec![Step::Hang]], Options::local().max_listeners_per_user(0)).await;
    seats.ask(call("ask", json!({"question": "x", "model": "lab/test"}))).await.problem(429, "rate_limited");
}

#[tokio::test]
async fn stream_of_a_session_ends_with_the_router() {
    let (bench, _) = ready([]).await;
    let session = Session::open(&bench, OLD, &[]).await;
    let response = bench.send(session.request(Method::GET)).await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    assert!(body.frame().await.is_some(), "the stream begins at once");
    drop(bench);
    assert!(timeout(Duration::from_secs(5), body.collect()).await.is_ok(), "the stream does not end");
}

#[cfg(feature = "accounts")]
#[tokio::test]
async fn token_that_only_reads_cannot_ask() {
    use crate::account::{api_token, house, register, text};

    let (bench, _) = house([]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token");
    let ask = || call("ask", json!({"question": "x"}));
    for (scopes, may) in [(&["read"][..], false), (&["read", "write"], true)] {
        let token = api_token(&bench, access, scopes).await;
        let bearer = format!("Bearer {}", text(&token, "token"));
        let by = [("authorization", bearer.as_str())];
        let tools = result(&bench.ask(with(message("tools/list", json!({})), &by)).await);
        let is_offered = tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "ask");
        assert_eq!(is_offered, may, "{scopes:?}");
        let asked = result(&bench.ask(with(ask(), &by)).await);
        let said = asked["content"][0]["text"].as_str().unwrap();
        assert_eq!(said.contains("the credential may only read"), !may, "{scopes:?}: {said}");
        let listed = bench.ask(with(call("list_documents", json!({})), &by)).await;
        assert_eq!(result(&listed)["isError"], json!(false), "{scopes:?}");
    }
    let nobody = bench.ask(ask()).await;
    assert_eq!(nobody.status, 401);
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
}
