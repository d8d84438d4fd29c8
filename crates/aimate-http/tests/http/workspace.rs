//! Two users who share a workspace, and what each may do there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::testing::{HashEmbedder, ScriptedProvider, Step, answer};
use aimate_core::{Role, Scope};
use aimate_http::{Options, ScopeResolver};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::common::{Bench, Reply, builder, request, say};

/// Takes the user's name for a credential.
struct Names(BTreeMap<&'static str, Scope>);

#[aimate_http::async_trait]
impl ScopeResolver for Names {
    async fn resolve(&self, head: &http::request::Parts) -> aimate_core::Result<Option<Scope>> {
        let name = head.headers.get("x-user").and_then(|name| name.to_str().ok());
        Ok(name.and_then(|name| self.0.get(name).copied()))
    }
}

/// Ann and Bob of one company.
struct Office {
    bench: Bench,
    bob: Scope,
}

impl Office {
    async fn new(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let store = aimate_store::connect("sqlite::memory:").await.unwrap();
        let provider = ScriptedProvider::new(scripts);
        let embedder = Arc::new(HashEmbedder::new("hash", 64));
        let engine = builder(store, provider.clone()).embedder(embedder).build().await.unwrap();
        let mut scopes = BTreeMap::new();
        for name in ["ann", "bob"] {
            scopes.insert(name, engine.scope("acme", name).role(Role::User).ensure().await.unwrap());
        }
        let bob = scopes["bob"];
        let router =
            aimate_http::router(engine.clone(), Options::default().resolver(Arc::new(Names(scopes))));
        Self { bench: Bench { engine, provider, router }, bob }
    }

    async fn ask(&self, user: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = request(method, path, body);
        request.headers_mut().insert("x-user", user.parse().unwrap());
        self.bench.ask(request).await
    }

    async fn get(&self, user: &str, path: &str) -> Reply {
        self.ask(user, Method::GET, path, None).await
    }

    async fn post(&self, user: &str, path: &str, body: Value) -> Reply {
        self.ask(user, Method::POST, path, Some(body)).await
    }

    /// What is made, if it is.
    async fn made(&self, user: &str, path: &str, body: Value) -> Value {
        let reply = self.post(user, path, body).await;
        assert!(reply.status.is_success(), "{}", reply.body);
        reply.json()
    }

    async fn let_bob_in(&self, workspace: &str, role: &str) {
        let body = json!({"id": self.bob.user, "role": role});
        let members = format!("/api/v1/workspaces/{workspace}/members");
        let reply = self.ask("ann", Method::PUT, &members, Some(body)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    async fn put_bob_out(&self, workspace: &str) {
        let member = format!("/api/v1/workspaces/{workspace}/members/{}", self.bob.user);
        assert_eq!(self.ask("ann", Method::DELETE, &member, None).await.status, 204);
    }
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn knowledge_of_a_workspace_is_read_searched_and_cited_by_its_members() {
    let office = Office::new([answer("In May [1].")]).await;
    let workspace = id(&office.made("ann", "/api/v1/workspaces", json!({"name": "Cellar"})).await);
    let new = json!({"name": "manuals", "workspace_id": workspace});
    let collection = id(&office.made("ann", "/api/v1/knowledge/collections", new).await);
    let documents = format!("/api/v1/knowledge/collections/{collection}/documents");
    let text = json!({"name": "boiler.md", "text": "The boiler in the cellar is serviced in May."});
    let document = id(&office.made("ann", &documents, text.clone()).await);
    let ann = office.bench.engine.scope("acme", "ann").ensure().await.unwrap();
    office.bench.engine.knowledge(&ann).wait(document.parse().unwrap()).await.unwrap();

    let at = format!("/api/v1/knowledge/documents/{document}");
    let chunks = format!("{at}/chunks");
    let content = format!("{at}/content");
    let search = json!({"query": "When is the boiler serviced?", "collections": [collection]});
    let reads = [&at, &chunks, &content];
    for path in reads {
        office.get("bob", path).await.problem(404, "not_found");
    }
    office.post("bob", "/api/v1/knowledge/search", search.clone()).await.problem(404, "not_found");
    office.post("bob", &documents, text.clone()).await.problem(404, "not_found");

    office.let_bob_in(&workspace, "viewer").await;
    for path in reads {
        let (bobs, anns) = (office.get("bob", path).await, office.get("ann", path).await);
        assert_eq!((bobs.status.as_u16(), &bobs.body), (200, &anns.body), "{path}");
    }
    let list = office.get("bob", &format!("/api/v1/knowledge/collections?workspace_id={workspace}")).await;
    assert_eq!(list.json()["data"][0]["id"], *collection);
    let filter = json!({"eq": {"field": "$name", "value": "boiler.md"}});
    for (mode, filter) in [("hybrid", Some(filter)), ("text", None), ("vector", None)] {
        let mut search = search.clone();
        search["mode"] = json!(mode);
        if let Some(filter) = filter {
            search["filter"] = filter;
        }
        let found = office.made("bob", "/api/v1/knowledge/search", search).await;
        assert_eq!(found["data"][0]["document_id"], *document, "{mode}");
    }
    // What they ask of it elsewhere cites it.
    let turn = json!({"content": "When is the boiler serviced?", "knowledge": [collection], "stream": false});
    let told = office.made("bob", "/api/v1/messages", turn).await;
    let cited = told["content"].as_array().unwrap().iter().find(|part| part["type"] == "citation").unwrap();
    assert_eq!(cited["document_id"], *document);
    for (method, path, body) in [
        (Method::POST, documents.clone(), Some(text.clone())),
        (Method::PATCH, format!("/api/v1/knowledge/collections/{collection}"), Some(json!({"name": "x"}))),
        (Method::DELETE, format!("/api/v1/knowledge/collections/{collection}"), None),
        (Method::DELETE, at.clone(), None),
    ] {
        office.ask("bob", method, &path, body).await.problem(403, "forbidden");
    }

    office.let_bob_in(&workspace, "editor").await;
    let bobs = id(&office.made("bob", &documents, json!({"name": "pump.md", "text": "The pump."})).await);
    assert_eq!(office.get("ann", &format!("/api/v1/knowledge/documents/{bobs}")).await.status, 200);

    office.put_bob_out(&workspace).await;
    let bobs = format!("/api/v1/knowledge/documents/{bobs}");
    for path in reads.into_iter().chain([&bobs]) {
        office.get("bob", path).await.problem(404, "not_found");
    }
    office.post("bob", "/api/v1/knowledge/search", search).await.problem(404, "not_found");
    // The passage that they were shown stays what they were shown, and opens nothing.
    let conversation = told["conversation_id"].as_str().unwrap();
    let messages = office.get("bob", &format!("/api/v1/conversations/{conversation}/messages")).await.json();
    let parts = messages["data"][1]["content"].as_array().unwrap();
    let cited = parts.iter().find(|part| part["type"] == "citation").unwrap();
    assert_eq!((&cited["document_id"], &cited["is_stale"]), (&json!(document), &json!(true)));
}

#[tokio::test]
async fn connection_of_a_workspace_is_used_and_not_seen() {
    let office = Office::new([answer("Hello Bob.")]).await;
    let workspace = id(&office.made("ann", "/api/v1/workspaces", json!({"name": "Cellar"})).await);
    let key = "sk-of-the-workspace-1234";
    let new = json!({"name": "ours", "provider": "openai", "url": "http://127.0.0.1:9/v1", "api_key": key,
        "workspace_id": workspace});
    let connection = id(&office.made("ann", "/api/v1/connections", new.clone()).await);
    let at = format!("/api/v1/connections/{connection}");
    let turn = json!({"content": "Hello?", "model": "ours/test", "stream": false});
    office.let_bob_in(&workspace, "viewer").await;
    office.get("bob", &at).await.problem(404, "not_found");
    office.post("bob", "/api/v1/messages", turn.clone()).await.problem(404, "not_found");
    office.let_bob_in(&workspace, "editor").await;
    let seen = office.get("bob", &at).await;
    assert_eq!((&seen.json()["has_key"], &seen.json()["key_hint"]), (&json!(true), &json!("1234")));
    assert!(!seen.body.contains(key));
    office.made("bob", "/api/v1/messages", turn.clone()).await;
    assert_eq!(office.made("bob", &format!("{at}/test"), json!({})).await["ok"], true);
    let change = json!({"url": "http://evil.example/v1"});
    office.ask("bob", Method::PATCH, &at, Some(change)).await.problem(403, "forbidden");
    office.ask("bob", Method::DELETE, &at, None).await.problem(403, "forbidden");
    let disable = "/api/v1/models/ours/test/disable";
    office.post("bob", disable, json!({})).await.problem(403, "forbidden");
    let mut second = new;
    second["name"] = json!("second");
    office.post("bob", "/api/v1/connections", second).await.problem(403, "forbidden");
    office.put_bob_out(&workspace).await;
    office.get("bob", &at).await.problem(404, "not_found");
    office.post("bob", "/api/v1/messages", turn).await.problem(404, "not_found");
    assert_eq!(office.post("ann", disable, json!({})).await.status, 200);
}

#[tokio::test]
async fn sec_t19_who_is_put_out_of_a_workspace_hears_no_more() {
    // Two answers that never end: one that Ann asked for, one that Bob did.
    let office = Office::new([vec![say("A"), Step::Hang], vec![say("B"), Step::Hang]]).await;
    let workspace = id(&office.made("ann", "/api/v1/workspaces", json!({"name": "Cellar"})).await);
    office.let_bob_in(&workspace, "editor").await;
    let mut streams = Vec::new();
    for user in ["ann", "bob"] {
        let turn = json!({"content": "When?", "conversation": {"workspace_id": workspace}});
        let mut request = request(Method::POST, "/api/v1/messages", Some(turn));
        request.headers_mut().insert("x-user", user.parse().unwrap());
        let mut stream = office.bench.send(request).await.into_body();
        let mut told = String::new();
        while !told.contains("event: text") {
            let frame = stream.frame().await.unwrap().unwrap();
            told.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        let run = told.split("\"run_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        streams.push((run, stream));
    }
    // Bob listens to Ann's, too.
    let (anns_run, _anns) = &streams[0];
    let mut listen = request(Method::GET, &format!("/api/v1/runs/{anns_run}/events"), None);
    listen.headers_mut().insert("x-user", "bob".parse().unwrap());
    let listening = office.bench.send(listen).await.into_body();
    office.put_bob_out(&workspace).await;
    let began = tokio::time::Instant::now();
    let rest = tokio::time::timeout(Duration::from_secs(10), listening.collect()).await.unwrap().unwrap();
    let rest = String::from_utf8(rest.to_bytes().to_vec()).unwrap();
    assert!(rest.contains("event: error") && rest.contains("not_found"), "{rest}");
    let (bobs_run, bobs) = streams.pop().unwrap();
    let own = tokio::time::timeout(Duration::from_secs(10), bobs.collect()).await.unwrap().unwrap();
    assert!(own.to_bytes().starts_with(b"id: "));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    office.get("bob", &format!("/api/v1/runs/{bobs_run}")).await.problem(404, "not_found");
    // What was said is the owner's.
    let run = office.get("ann", &format!("/api/v1/runs/{bobs_run}")).await.json();
    assert_eq!(run["status"], "cancelled", "{run}");
    let listed = office.get("ann", &format!("/api/v1/runs/{anns_run}", anns_run = streams[0].0)).await.json();
    assert_eq!(listed["status"], "running", "{listed}");
}
