//! The router within an application that has users of its own.

use std::sync::Arc;

use aimate_core::chat::Turn;
use aimate_core::testing::{HashEmbedder, ScriptedProvider, answer};
use aimate_core::user::User;
use aimate_core::{Engine, Error, Result, Role, Scope, TenantId, UserId};
use aimate_http::{Options, ScopeResolver};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::common::{Bench, builder, request, said};

const NEVER: &str = "00000000-0000-7000-8000-000000000000";

/// An application with two companies, each with one user whose name is the
/// credential.
#[derive(Clone)]
struct Helpdesk {
    engine: Engine,
    ann: Scope,
    bob: Scope,
}

struct House {
    app: Helpdesk,
    provider: Arc<ScriptedProvider>,
    store: aimate_store::Store,
}

impl House {
    async fn new() -> Self {
        let store = aimate_store::connect("sqlite::memory:").await.unwrap();
        let provider = ScriptedProvider::new([]);
        let builder =
            builder(store.clone(), provider.clone()).embedder(Arc::new(HashEmbedder::new("hash", 64)));
        let engine = builder.build().await.unwrap();
        let ann = user(&engine, &store, "Ann").await;
        let bob = user(&engine, &store, "Bob").await;
        Self { app: Helpdesk { engine, ann, bob }, provider, store }
    }

    /// The routes of aiMate as `options` say, asked without any credential.
    fn bare(&self, options: Options) -> Bench {
        self.bench(aimate_http::router(self.app.engine.clone(), options))
    }

    /// The application: its own route, and aiMate's under `/ai` behind its login.
    fn whole(&self) -> Bench {
        let ai = aimate_http::router(self.app.engine.clone(), Options::default());
        let own = Router::new().route("/tickets/{id}/ask", post(ask)).nest("/ai", ai);
        let router = own.layer(from_fn_with_state(self.app.clone(), sign_in)).with_state(self.app.clone());
        self.bench(router)
    }

    fn bench(&self, router: Router) -> Bench {
        Bench { engine: self.app.engine.clone(), provider: self.provider.clone(), router }
    }
}

async fn user(engine: &Engine, store: &aimate_store::Store, name: &str) -> Scope {
    let (tenant, user, now) =
        (engine.sources().id::<TenantId>(), engine.sources().id::<UserId>(), engine.sources().now());
    let scope = Scope { tenant, user, role: Role::Admin };
    let row = User {
        id: user,
        key: None,
        email: None,
        name: name.to_owned(),
        role: Role::Admin,
        is_active: true,
        settings: json!({}),
        created_at: now,
        updated_at: now,
    };
    store.stores().users.create(&scope, &row).await.unwrap();
    scope
}

async fn sign_in(State(app): State<Helpdesk>, mut request: Request, next: Next) -> Response {
    let name = request.headers().get("x-user").and_then(|name| name.to_str().ok());
    let scope = match name {
        Some("ann") => Some(app.ann),
        Some("bob") => Some(app.bob),
        _ => None,
    };
    if let Some(scope) = scope {
        request.extensions_mut().insert(scope);
    }
    next.run(request).await
}

/// A route of the application's own.
async fn ask(State(app): State<Helpdesk>, Path(ticket): Path<u32>, headers: HeaderMap) -> Response {
    let again = aimate_http::last_event_id(&headers);
    match again {
        Err(error) => return aimate_http::problem(error),
        Ok(Some(_)) => return aimate_http::problem(Error::not_found("that ticket was closed meanwhile")),
        Ok(None) => {}
    }
    match app.engine.chat(&app.ann, Turn::new(format!("What of ticket {ticket}?"))).await {
        Ok(answer) => aimate_http::sse(answer),
        Err(error) => aimate_http::problem(error),
    }
}

fn as_user(name: &str, method: Method, path: &str, body: Option<Value>) -> http::Request<axum::body::Body> {
    let mut request = request(method, path, body);
    request.headers_mut().insert("x-user", name.parse().unwrap());
    // Not loopback: the application's host is its own.
    request.headers_mut().insert("host", "helpdesk.example.org".parse().unwrap());
    request
}

/// Each method and path of the OpenAPI document.
async fn operations(bench: &Bench) -> Vec<(Method, String)> {
    let document = bench.get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    assert!(operations.len() > 50, "{operations:?}");
    operations
}

const OPEN: [&str; 4] = ["/api/v1/server", "/health", "/ready", "/metrics"];

#[tokio::test]
async fn no_route_answers_without_a_caller() {
    let house = House::new().await;
    let bench = house.bare(Options::default());
    for (method, path) in operations(&bench).await {
        let at = path.replace("{id}", NEVER).replace("{mid}", NEVER);
        let body = (method != Method::GET).then(|| json!({}));
        let reply = bench.ask(request(method.clone(), &at, body)).await;
        if OPEN.contains(&path.as_str()) {
            assert_eq!(reply.status, 200, "{method} {path}");
        } else if path == "/api/v1/tools/login/callback" {
            // A browser that comes back: its cookie says whose login it is, and there is none.
            reply.problem(400, "invalid");
        } else if path == "/api/v1/shared/{token}" {
            // Whoever has the link: this is none.
            reply.problem(404, "not_found");
        } else if path.starts_with("/v1") {
            reply.openai_error(401, "unauthenticated");
        } else {
            reply.problem(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn router_works_below_a_prefix_in_a_router_with_state() {
    let house = House::new().await;
    let bench = house.whole();
    let new = json!({"title": "Ann's"});
    let reply = bench.ask(as_user("ann", Method::POST, "/ai/api/v1/conversations", Some(new))).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let location = reply.header("location").to_owned();
    assert!(location.starts_with("/ai/api/v1/conversations/"), "{location}");
    let read = bench.ask(as_user("ann", Method::GET, &location, None)).await;
    assert_eq!(read.json()["title"], "Ann's");
    bench.ask(as_user("bob", Method::GET, &location, None)).await.problem(404, "not_found");
    bench.ask(as_user("nobody", Method::GET, &location, None)).await.problem(401, "unauthenticated");
    let document = bench.ask(as_user("nobody", Method::GET, "/ai/openapi.json", None)).await.json();
    assert_eq!(document["servers"], json!([{"url": "/ai"}]));
    assert!(document["paths"].as_object().unwrap().contains_key("/api/v1/conversations"));
    let at_root = house.bare(Options::default()).get("/openapi.json").await.json();
    assert!(at_root.get("servers").is_none());
    assert_eq!(at_root["paths"], document["paths"]);
    bench.ask(as_user("ann", Method::GET, "/ai/api/v1/none", None)).await.problem(404, "not_found");
    bench.ask(as_user("ann", Method::GET, "/ai/v1/none", None)).await.openai_error(404, "not_found");
}

#[tokio::test]
async fn prefix_may_have_parameters_and_many_parts() {
    let house = House::new().await;
    let ai = aimate_http::router(house.app.engine.clone(), Options::local());
    let deep = Router::new().nest("/ai", ai);
    let bench = house.bench(Router::new().nest("/company/{name}", deep));
    for prefix in ["/company/acme/ai", "/company/a%20b/ai"] {
        let reply = bench.post(&format!("{prefix}/api/v1/conversations"), json!({})).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert!(reply.header("location").starts_with(&format!("{prefix}/api/v1/conversations/")));
        let document = bench.get(&format!("{prefix}/openapi.json")).await.json();
        assert_eq!(document["servers"][0]["url"], prefix);
    }
}

/// Takes the user's name for a credential.
struct Names(Helpdesk);

#[aimate_http::async_trait]
impl ScopeResolver for Names {
    async fn resolve(&self, head: &http::request::Parts) -> Result<Option<Scope>> {
        match head.headers.get("x-user").and_then(|name| name.to_str().ok()) {
            Some("ann") => Ok(Some(self.0.ann)),
            Some("mallory") => Err(Error::forbidden("Mallory was shown the door")),
            _ => Ok(None),
        }
    }
}

#[tokio::test]
async fn resolver_says_who_asks() {
    let house = House::new().await;
    let bench = house.bare(Options::default().resolver(Arc::new(Names(house.app.clone()))));
    let list = |name: &str| as_user(name, Method::GET, "/api/v1/conversations", None);
    assert_eq!(bench.ask(list("ann")).await.status, 200);
    bench.ask(list("bob")).await.problem(401, "unauthenticated");
    let problem = bench.ask(list("mallory")).await.problem(403, "forbidden");
    assert_eq!(problem["detail"], "Mallory was shown the door");
    let mut forged = list("bob");
    forged.extensions_mut().insert(house.app.ann);
    bench.ask(forged).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn own_route_streams_an_answer() {
    let house = House::new().await;
    house.provider.push(answer("It is open."));
    let bench = house.whole();
    let reply = bench.ask(as_user("ann", Method::POST, "/tickets/7/ask", None)).await;
    let events = reply.events();
    assert_eq!(said(&events), "It is open.");
    assert_eq!(
        events.iter().map(|event| event.id).collect::<Vec<_>>(),
        (1..=events.len() as u64).collect::<Vec<_>>()
    );
    assert_eq!(events.last().unwrap().name, "finished");
    let with = |id: &str| {
        let mut request = as_user("ann", Method::POST, "/tickets/7/ask", None);
        request.headers_mut().insert("last-event-id", id.parse().unwrap());
        request
    };
    bench.ask(with("3")).await.problem(404, "not_found");
    bench.ask(with("three")).await.problem(400, "invalid");
    drop(house.store);
}
