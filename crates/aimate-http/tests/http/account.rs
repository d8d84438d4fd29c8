//! Accounts over HTTP.

use std::sync::Arc;

use aimate_accounts::{AccountSettings, Accounts, RegistrationRule, SigningSecret};
use aimate_core::testing::{ScriptedProvider, Step};
use aimate_core::{Ids as _, RandomIds};
use aimate_http::{Callers, Options};
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

use crate::common::{Bench, Reply, builder, request};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) async fn house(scripts: impl IntoIterator<Item = Vec<Step>>) -> (Bench, Accounts) {
    house_with(scripts, RegistrationRule::Open, Options::default()).await
}

pub(crate) async fn house_with(
    scripts: impl IntoIterator<Item = Vec<Step>>,
    rule: RegistrationRule,
    options: Options,
) -> (Bench, Accounts) {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    house_on(store, scripts, rule, options).await
}

/// Empty stores: in memory, and a schema on each PostgreSQL that `AIMATE_TEST_POSTGRES` names.
#[expect(clippy::disallowed_methods, reason = "tests are told of servers by the environment")]
pub(crate) async fn stores() -> Vec<aimate_store::Store> {
    let mut stores = vec![aimate_store::connect("sqlite::memory:").await.unwrap()];
    let servers = std::env::var("AIMATE_TEST_POSTGRES").unwrap_or_default();
    for server in servers.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let schema = Some(format!("accounts_{}", RandomIds.next().simple()));
        let options = aimate_store::Options { schema, ..aimate_store::Options::default() };
        stores.push(aimate_store::connect_with(server, options).await.unwrap());
    }
    stores
}

pub(crate) async fn house_on(
    store: aimate_store::Store,
    scripts: impl IntoIterator<Item = Vec<Step>>,
    rule: RegistrationRule,
    options: Options,
) -> (Bench, Accounts) {
    let provider = ScriptedProvider::new(scripts);
    let engine = builder(store.clone(), provider.clone()).build().await.unwrap();
    let settings = AccountSettings::new(SigningSecret::generate().unwrap()).registration(rule);
    let accounts = Accounts::new(engine.clone(), store, settings);
    let options = options.callers(Callers::Accounts(accounts.clone()));
    let router = aimate_http::router(engine.clone(), options);
    (Bench { engine, provider, router }, accounts)
}

/// A request with a credential.
pub(crate) fn by(token: &str, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    with(&[("authorization", &format!("Bearer {token}"))], method, path, body)
}

pub(crate) fn with(
    headers: &[(&str, &str)],
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Request<Body> {
    let mut request = request(method, path, body);
    for (name, value) in headers {
        request.headers_mut().append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    request
}

pub(crate) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

pub(crate) async fn register(bench: &Bench, email: &str) -> Value {
    let body = json!({"email": email, "password": PASSWORD});
    let reply = bench.post("/api/v1/auth/register", body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), "no-store");
    reply.json()
}

pub(crate) async fn api_token(bench: &Bench, access: &str, scopes: &[&str]) -> Value {
    let body = json!({"name": "ci", "scopes": scopes});
    let reply = bench.ask(by(access, Method::POST, "/api/v1/auth/tokens", Some(body))).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json()
}

#[tokio::test]
async fn somebody_registers_signs_in_and_out() {
    for store in stores().await {
        let (bench, _) = house_on(store, [], RegistrationRule::Open, Options::default()).await;
        let ada = register(&bench, "ada@example.org").await;
        assert_eq!((&ada["user"]["role"], &ada["expires_in"]), (&json!("admin"), &json!(900)));
        assert_eq!(register(&bench, "bob@example.org").await["user"]["role"], "user");
        let login = json!({"email": "ADA@example.org", "password": PASSWORD});
        let signed_in = bench.post("/api/v1/auth/login", login).await.json();
        let access = text(&signed_in, "access_token");
        let me = bench.ask(by(access, Method::GET, "/api/v1/auth/me", None)).await;
        assert_eq!(me.json()["id"], ada["user"]["id"]);
        let named = json!({"name": "Ada L."});
        let me = bench.ask(by(access, Method::PATCH, "/api/v1/auth/me", Some(named))).await;
        assert_eq!(me.json()["name"], "Ada L.");
        let forbidden = json!({"role": "admin"});
        bench
            .ask(by(access, Method::PATCH, "/api/v1/auth/me", Some(forbidden)))
            .await
            .problem(400, "invalid");
        let sessions = bench.ask(by(access, Method::GET, "/api/v1/auth/sessions", None)).await.json();
        let current: Vec<_> = sessions["data"].as_array().unwrap().iter().map(|s| &s["is_current"]).collect();
        assert_eq!(current, [&json!(true), &json!(false)]);
        assert!(!sessions.to_string().contains("hash"), "{sessions}");
        let next = json!({"refresh_token": signed_in["refresh_token"]});
        let next = bench.post("/api/v1/auth/refresh", next).await.json();
        let access = text(&next, "access_token");
        let reply = bench.ask(by(access, Method::POST, "/api/v1/auth/logout", None)).await;
        assert_eq!(reply.status, 204);
        let gone = bench.ask(by(access, Method::GET, "/api/v1/auth/me", None)).await;
        gone.problem(401, "unauthenticated");
        assert_eq!(gone.header("www-authenticate"), "Bearer");
        bench.ask(by(access, Method::GET, "/v1/models", None)).await.openai_error(401, "unauthenticated");
    }
}

#[tokio::test]
async fn two_users_see_nothing_of_each_other() {
    for store in stores().await {
        let (bench, _) = house_on(store, [], RegistrationRule::Open, Options::default()).await;
        let (ada, bob) =
            (register(&bench, "ada@example.org").await, register(&bench, "bob@example.org").await);
        let (ada, bob) = (text(&ada, "access_token"), text(&bob, "access_token"));
        let made =
            bench.ask(by(ada, Method::POST, "/api/v1/conversations", Some(json!({"title": "Ada's"})))).await;
        let at = made.header("location").to_owned();
        assert_eq!(bench.ask(by(ada, Method::GET, &at, None)).await.json()["title"], "Ada's");
        bench.ask(by(bob, Method::GET, &at, None)).await.problem(404, "not_found");
        let list = bench.ask(by(bob, Method::GET, "/api/v1/conversations", None)).await.json();
        assert_eq!(list["data"], json!([]));
        // Neither sessions nor tokens of others can be ended, by an admin either.
        let token = api_token(&bench, bob, &["read"]).await;
        let sessions = bench.ask(by(bob, Method::GET, "/api/v1/auth/sessions", None)).await.json();
        for path in [
            format!("/api/v1/auth/tokens/{}", text(&token, "id")),
            format!("/api/v1/auth/sessions/{}", text(&sessions["data"][0], "id")),
        ] {
            bench.ask(by(ada, Method::DELETE, &path, None)).await.problem(404, "not_found");
            assert_eq!(bench.ask(by(bob, Method::DELETE, &path, None)).await.status, 204, "{path}");
        }
    }
}

/// Each operation of the document, with ids that nothing has.
pub(crate) async fn operations(bench: &Bench) -> Vec<(Method, String)> {
    let document = bench.get("/openapi.json").await.json();
    let never = "00000000-0000-7000-8000-000000000000";
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { never } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    operations
}

pub(crate) const OPEN: [&str; 12] = [
    "/api/v1/server",
    "/health",
    "/ready",
    "/metrics",
    "/api/v1/auth/register",
    "/api/v1/auth/login",
    "/api/v1/auth/refresh",
    "/api/v1/auth/oidc",
    "/api/v1/auth/oidc/00000000-0000-7000-8000-000000000000/start",
    "/api/v1/auth/oidc/00000000-0000-7000-8000-000000000000/callback",
    // Of the browser that began a login, which its cookie tells.
    "/api/v1/tools/login/callback",
    // Whoever has the link; this one leads to nothing.
    "/api/v1/shared/00000000-0000-7000-8000-000000000000",
];

#[tokio::test]
async fn sec_t06_no_route_answers_without_a_credential() {
    let (bench, _) = house([]).await;
    let operations = operations(&bench).await;
    assert!(operations.iter().any(|(_, path)| path == "/api/v1/users"), "accounts are documented");
    for (method, path) in operations.into_iter().filter(|(_, path)| !OPEN.contains(&path.as_str())) {
        for headers in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer  ")],
            &[("authorization", "Basic YTpi")],
            &[("x-api-key", "")],
            &[("x-api-key", "aim_abcdefgh_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")],
            &[("cookie", "aimate_access=a.b.c")],
        ] {
            // No body is read before it is known who sends it.
            let body = (method != Method::GET).then(|| json!("no object"));
            let reply = bench.ask(with(headers, method.clone(), &path, body)).await;
            assert_eq!(reply.status, 401, "{method} {path} {headers:?}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn sec_t18_scopes_hold_whatever_carries_the_token() {
    let (bench, _) = house([]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let routes = [
        ("read", Method::GET, "/api/v1/conversations", None),
        ("read", Method::POST, "/api/v1/knowledge/search", Some(json!({"query": "x"}))),
        ("read", Method::GET, "/v1/models", None),
        ("write", Method::POST, "/api/v1/conversations", Some(json!({}))),
        ("write", Method::POST, "/v1/chat/completions", Some(json!({"messages": []}))),
        ("admin", Method::GET, "/api/v1/users", None),
        ("admin", Method::POST, "/api/v1/invites", Some(json!({}))),
        ("admin", Method::GET, "/api/v1/audit", None),
    ];
    for scope in ["read", "write", "admin"] {
        let token = api_token(&bench, &access, &[scope]).await;
        let token = text(&token, "token");
        let bearer = format!("Bearer {token}");
        let cookie = format!("aimate_access={token}");
        for (needed, method, path, body) in &routes {
            for headers in [
                &[("authorization", bearer.as_str())][..],
                &[("authorization", &bearer.replace("Bearer", "bearer"))],
                &[("x-api-key", token)],
                &[("authorization", &bearer), ("x-api-key", token)],
                &[("cookie", &cookie), ("sec-fetch-site", "same-origin")],
            ] {
                let reply = bench.ask(with(headers, method.clone(), path, body.clone())).await;
                let is_in = !matches!(reply.status.as_u16(), 401 | 403);
                assert_eq!(is_in, *needed == scope, "{scope} {method} {path} {headers:?}: {}", reply.body);
            }
        }
    }
    // Two that differ, and one twice, are nobody's.
    let one = api_token(&bench, &access, &["read"]).await;
    let (bearer, other) = (format!("Bearer {}", text(&one, "token")), access.as_str());
    for headers in [
        &[("authorization", bearer.as_str()), ("x-api-key", other)][..],
        &[("authorization", &bearer), ("authorization", &bearer)],
    ] {
        let reply = bench.ask(with(headers, Method::GET, "/api/v1/conversations", None)).await;
        reply.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn sec_t18_token_of_an_admin_administers_with_that_scope_alone() {
    let (bench, _) = house([]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token");
    let connection =
        |name: &str, shared: bool| Some(json!({"name": name, "provider": "ollama", "shared": shared}));
    let at = "/api/v1/connections";
    let writer = api_token(&bench, access, &["write"]).await;
    let writer = text(&writer, "token");
    bench.ask(by(writer, Method::POST, at, connection("a", true))).await.problem(403, "forbidden");
    assert_eq!(bench.ask(by(writer, Method::POST, at, connection("b", false))).await.status, 201);
    let admin = api_token(&bench, access, &["admin", "write"]).await;
    let admin = text(&admin, "token");
    let made = bench.ask(by(admin, Method::POST, at, connection("c", true))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    // Nor does it change what is shared.
    let shared = made.header("location").to_owned();
    bench.ask(by(writer, Method::DELETE, &shared, None)).await.problem(403, "forbidden");
    assert_eq!(bench.ask(by(admin, Method::DELETE, &shared, None)).await.status, 204);
}

#[tokio::test]
async fn scopes_hold_below_a_prefix() {
    let (bench, _) = house([]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let token = api_token(&bench, &access, &["read"]).await;
    let token = text(&token, "token");
    let deep =
        axum::Router::new().nest("/company/{name}", axum::Router::new().nest("/ai", bench.router.clone()));
    let nested = Bench { router: deep, ..bench };
    let at = |path: &str| format!("/company/a%20b/ai{path}");
    assert_eq!(nested.ask(by(token, Method::GET, &at("/api/v1/conversations"), None)).await.status, 200);
    assert_eq!(nested.ask(by(token, Method::GET, &at("/v1/models"), None)).await.status, 200);
    let post = by(token, Method::POST, &at("/api/v1/conversations"), Some(json!({})));
    nested.ask(post).await.problem(403, "forbidden");
    let login = json!({"email": "ada@example.org", "password": PASSWORD, "cookie": true});
    let own = [("sec-fetch-site", "same-origin")];
    let reply = nested.ask(with(&own, Method::POST, &at("/api/v1/auth/login"), Some(login))).await;
    let cookies = set_cookies(&reply);
    assert!(cookies[0].contains("; Path=/company/a%20b/ai/;"), "{cookies:?}");
    assert!(cookies[1].contains("; Path=/company/a%20b/ai/api/v1/auth;"), "{cookies:?}");
}

pub(crate) fn set_cookies(reply: &Reply) -> Vec<String> {
    let all = reply.headers.get_all("set-cookie").iter();
    all.map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// What a browser sends back.
pub(crate) fn jar(reply: &Reply) -> String {
    let cookies = set_cookies(reply);
    cookies.iter().map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn sec_t25_browser_has_cookies_that_only_its_own_pages_use() {
    let (bench, _) = house([]).await;
    register(&bench, "ada@example.org").await;
    let login = json!({"email": "ada@example.org", "password": PASSWORD, "cookie": true});
    // A foreign page signs nobody in.
    for foreign in [&[][..], &[("sec-fetch-site", "cross-site")], &[("origin", "https://evil.example")]] {
        let reply = bench.ask(with(foreign, Method::POST, "/api/v1/auth/login", Some(login.clone()))).await;
        reply.problem(403, "forbidden");
        assert!(set_cookies(&reply).is_empty());
    }
    let own = [("origin", "https://chat.example.org"), ("host", "chat.example.org")];
    let mut ask = request(Method::POST, "/api/v1/auth/login", Some(login));
    for (name, value) in own {
        ask.headers_mut().insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    let reply = bench.ask(ask).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let body = reply.json();
    assert!(body.get("access_token").is_none() && body.get("refresh_token").is_none(), "{body}");
    let cookies = set_cookies(&reply);
    assert_eq!(cookies.len(), 2);
    for cookie in &cookies {
        assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    }
    let jar = jar(&reply);
    let with_jar = |more: &[(&'static str, &'static str)], method, path: &str, body| {
        let mut headers = vec![("cookie", jar.as_str())];
        headers.extend(more);
        with(&headers, method, path, body)
    };
    assert_eq!(bench.ask(with_jar(&[], Method::GET, "/api/v1/auth/me", None)).await.status, 200);
    let site = [("sec-fetch-site", "same-origin")];
    let make = || (Method::POST, "/api/v1/conversations", Some(json!({})));
    let (method, path, new) = make();
    assert_eq!(bench.ask(with_jar(&site, method, path, new)).await.status, 201);
    for foreign in
        [&[][..], &[("sec-fetch-site", "cross-site")], &[("sec-fetch-site", "none")], &[("origin", "null")]]
    {
        for path in ["/api/v1/conversations", "/api/v1/auth/logout", "/api/v1/auth/refresh"] {
            let reply = bench.ask(with_jar(foreign, Method::POST, path, Some(json!({})))).await;
            reply.problem(403, "forbidden");
        }
    }
    let next = bench.ask(with_jar(&site, Method::POST, "/api/v1/auth/refresh", None)).await;
    assert_eq!((next.status.as_u16(), set_cookies(&next).len()), (200, 2), "{}", next.body);
    let out = bench.ask(with_jar(&site, Method::POST, "/api/v1/auth/logout", None)).await;
    assert_eq!(out.status, 204);
    assert!(set_cookies(&out).iter().all(|cookie| cookie.contains("=; ") && cookie.contains("Max-Age=0")));
    bench.ask(with_jar(&[], Method::GET, "/api/v1/auth/me", None)).await.problem(401, "unauthenticated");
    // On this machine itself, without TLS.
    let local = json!({"email": "ada@example.org", "password": PASSWORD, "cookie": true});
    let local = bench.ask(with(&site, Method::POST, "/api/v1/auth/login", Some(local))).await;
    assert!(set_cookies(&local).iter().all(|cookie| !cookie.contains("Secure")));
}

#[tokio::test]
async fn bad_input_says_what_is_wrong_and_not_who_is_there() {
    let (bench, _) = house([]).await;
    register(&bench, "ada@example.org").await;
    let asked = async |path: &str, body: Value| bench.post(path, body).await;
    for (body, field) in [
        (json!({"email": "ada", "password": PASSWORD}), "email"),
        (json!({"email": "a\u{200b}@example.org", "password": PASSWORD}), "email"),
        (json!({"email": "eve@example.org", "password": "short"}), "password"),
        (json!({"email": "eve@example.org", "password": ""}), "password"),
        (json!({"email": "eve@example.org", "password": "x".repeat(2_000)}), "password"),
        (json!({"email": "eve@example.org"}), "password"),
        (json!({"email": "eve@example.org", "password": null}), "password"),
        (json!({"email": "eve@example.org", "password": PASSWORD, "role": "admin"}), "role"),
        (json!({"email": "eve@example.org", "password": PASSWORD, "invite": "x"}), "invite"),
        (json!({"email": "eve@example.org", "password": PASSWORD, "name": " "}), "name"),
    ] {
        let problem = asked("/api/v1/auth/register", body.clone()).await.problem(400, "invalid");
        let named = problem["errors"][0]["path"].as_str().unwrap_or_default().to_owned();
        assert!(named == field || problem["detail"].as_str().unwrap().contains(field), "{body}: {problem}");
    }
    let mut bodies = std::collections::BTreeSet::new();
    for (email, password) in [
        ("ada@example.org", ""),
        ("ada@example.org", "wrong password"),
        ("eve@example.org", "wrong password"),
        ("eve@example.org", ""),
    ] {
        let reply = asked("/api/v1/auth/login", json!({"email": email, "password": password})).await;
        reply.problem(401, "unauthenticated");
        bodies.insert(reply.body);
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // Who is not known sends little.
    let large = json!({"email": "ada@example.org", "password": "x".repeat(1_000_000)});
    for path in ["login", "register", "refresh"] {
        asked(&format!("/api/v1/auth/{path}"), large.clone()).await.problem(413, "too_large");
    }
}

#[tokio::test]
async fn guessing_is_told_to_wait() {
    let (bench, _) = house([]).await;
    let wrong = json!({"email": "ada@example.org", "password": "wrong password"});
    for _ in 0..5 {
        bench.post("/api/v1/auth/login", wrong.clone()).await.problem(401, "unauthenticated");
    }
    let reply = bench.post("/api/v1/auth/login", wrong).await;
    assert_eq!(reply.problem(429, "rate_limited")["retry_after"], 1);
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn admins_manage_users_and_others_do_not() {
    let (bench, _) = house_with([], RegistrationRule::Invite, Options::default()).await;
    let first = json!({"email": "eve@example.org", "password": PASSWORD});
    bench.post("/api/v1/auth/register", first).await.problem(403, "forbidden");
    let (bench, _) = house_with([], RegistrationRule::First, Options::default()).await;
    let ada = register(&bench, "ada@example.org").await;
    let ada = text(&ada, "access_token");
    let invite = json!({"email": "bob@example.org"});
    let invite = bench.ask(by(ada, Method::POST, "/api/v1/invites", Some(invite))).await;
    assert_eq!(
        (invite.status.as_u16(), invite.header("cache-control")),
        (201, "no-store"),
        "{}",
        invite.body
    );
    let invite = invite.json();
    let listed = bench.ask(by(ada, Method::GET, "/api/v1/invites", None)).await.json();
    assert!(!listed.to_string().contains(text(&invite, "token")) && !listed.to_string().contains("hash"));
    let bob = json!({"email": "bob@example.org", "password": PASSWORD, "invite": invite["token"]});
    let bob = bench.post("/api/v1/auth/register", bob).await.json();
    let (bobs_id, bob) = (text(&bob["user"], "id").to_owned(), text(&bob, "access_token").to_owned());
    let at = format!("/api/v1/users/{bobs_id}");
    for (method, path, body) in [
        (Method::GET, "/api/v1/users", None),
        (Method::GET, at.as_str(), None),
        (Method::PATCH, &at, Some(json!({"role": "admin"}))),
        (Method::DELETE, &at, None),
        (Method::POST, &format!("{at}/unlock"), None),
        (Method::GET, "/api/v1/invites", None),
    ] {
        bench.ask(by(&bob, method, path, body)).await.problem(403, "forbidden");
    }
    let users = bench.ask(by(ada, Method::GET, "/api/v1/users", None)).await.json();
    assert_eq!(users["data"].as_array().unwrap().len(), 2);
    let changed = bench.ask(by(ada, Method::PATCH, &at, Some(json!({"role": "admin"})))).await;
    assert_eq!(changed.json()["role"], "admin");
    assert_eq!(bench.ask(by(&bob, Method::GET, "/api/v1/users", None)).await.status, 200);
    let receipt = bench.ask(by(ada, Method::DELETE, &at, None)).await;
    assert_eq!(receipt.json()["counts"]["users"], 1, "{}", receipt.body);
    bench.ask(by(&bob, Method::GET, "/api/v1/users", None)).await.problem(401, "unauthenticated");
    let own = format!("/api/v1/users/{}", text(&users["data"][0], "id"));
    bench.ask(by(ada, Method::DELETE, &own, None)).await.problem(409, "conflict");
}

#[tokio::test]
async fn audit_log_knows_the_address_of_who_signed_in() {
    let (bench, _) = house_with([], RegistrationRule::Open, Options::default().proxies(1)).await;
    register(&bench, "ada@example.org").await;
    let login = json!({"email": "ada@example.org", "password": PASSWORD});
    let from = [("x-forwarded-for", "forged, 192.0.2.7"), ("x-request-id", "mine-1")];
    let ada = bench.ask(with(&from, Method::POST, "/api/v1/auth/login", Some(login))).await.json();
    let ada = text(&ada, "access_token");
    let log = bench.ask(by(ada, Method::GET, "/api/v1/audit?action=user.login", None)).await.json();
    assert_eq!(log["data"][0]["detail"]["ip"], "192.0.2.7", "{log}");
    assert_eq!(log["data"][0]["detail"]["request_id"], "mine-1");
    let sessions = bench.ask(by(ada, Method::GET, "/api/v1/auth/sessions", None)).await.json();
    assert_eq!(sessions["data"][0]["ip"], "192.0.2.7");
}

#[tokio::test]
async fn routes_of_accounts_are_there_with_accounts_alone() {
    let (bench, _) = house([]).await;
    let headers: HeaderMap = bench.get("/openapi.json").await.headers;
    assert!(headers.contains_key("x-request-id"));
    let local = crate::common::bench([]).await;
    local.post("/api/v1/auth/login", json!({})).await.problem(404, "not_found");
    let document = local.get("/openapi.json").await.json();
    assert!(document["paths"].get("/api/v1/auth/login").is_none() && document.get("security").is_none());
    let document = bench.get("/openapi.json").await.json();
    assert_eq!(document["security"], json!([{"bearer": []}]));
    assert_eq!(document["paths"]["/api/v1/auth/login"]["post"]["security"], json!([]));
    assert!(document["paths"]["/api/v1/auth/me"]["get"].get("security").is_none());
    drop(Arc::new(bench));
}

#[tokio::test]
async fn who_has_no_good_access_token_signs_out_with_the_refresh_token() {
    for store in stores().await {
        let (bench, _) = house_on(store, [], RegistrationRule::Open, Options::default()).await;
        let ada = register(&bench, "ada@example.org").await;
        let bob = register(&bench, "bob@example.org").await;
        let (refresh, theirs) = (text(&ada, "refresh_token"), text(&bob, "refresh_token"));
        let path = "/api/v1/auth/logout";
        let mut made_up = theirs.to_owned();
        made_up.replace_range(made_up.len() - 20.., "AAAAAAAAAAAAAAAAAAAA");
        made_up.replace_range(69..89, "AAAAAAAAAAAAAAAAAAAA");
        for nothing in
            [json!({}), json!("x"), json!({"refresh_token": "x"}), json!({"refresh_token": made_up})]
        {
            let refused = bench.ask(by("a.b.c", Method::POST, path, Some(nothing))).await;
            refused.problem(401, "unauthenticated");
        }
        let body = json!({"refresh_token": refresh});
        let out = bench.ask(by("a.b.c", Method::POST, path, Some(body.clone()))).await;
        assert_eq!(out.status, 204, "{}", out.body);
        let access = text(&ada, "access_token");
        bench.ask(by(access, Method::GET, "/api/v1/auth/me", None)).await.problem(401, "unauthenticated");
        bench.post("/api/v1/auth/refresh", body.clone()).await.problem(401, "unauthenticated");
        bench.post(path, body).await.problem(401, "unauthenticated");
        // A browser's is in its cookie, and no other site signs anybody out.
        let cookie = format!("aimate_refresh={theirs}");
        let site = |from| with(&[("cookie", &cookie), ("sec-fetch-site", from)], Method::POST, path, None);
        bench.ask(site("cross-site")).await.problem(403, "forbidden");
        let out = bench.ask(site("same-origin")).await;
        assert_eq!(out.status, 204, "{}", out.body);
        let cleared = out
            .headers
            .get_all("set-cookie")
            .iter()
            .filter(|one| one.to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(cleared.count(), 2);
        let access = text(&bob, "access_token");
        bench.ask(by(access, Method::GET, "/api/v1/auth/me", None)).await.problem(401, "unauthenticated");
    }
}
