//! What somebody tries who has no account, or too little of one.

use aimate_accounts::{AccountSettings, Accounts, RegistrationRule, SigningSecret};
use aimate_core::testing::ScriptedProvider;
use aimate_http::{Callers, Options};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::account::{
    OPEN, PASSWORD, api_token, by, house, house_with, operations, register, set_cookies, text, with,
};
use crate::common::{Bench, builder, request};

#[tokio::test]
async fn sec_t23_fifty_first_registrations_make_one_admin() {
    for (rule, made_at_least) in [(RegistrationRule::Open, 50), (RegistrationRule::First, 1)] {
        let (bench, _) = house_with([], rule, Options::default()).await;
        let bench = &bench;
        let tries = join_all((0..50).map(|n| async move {
            let body = json!({"email": format!("u{n}@example.org"), "password": PASSWORD});
            bench.post("/api/v1/auth/register", body).await
        }))
        .await;
        let made: Vec<Value> =
            tries.iter().filter(|reply| reply.status == 201).map(|reply| reply.json()).collect();
        for refused in tries.iter().filter(|reply| reply.status != 201) {
            refused.problem(403, "forbidden");
        }
        assert_eq!(made.len(), made_at_least);
        assert_eq!(made.iter().filter(|one| one["user"]["role"] == "admin").count(), 1);
    }
}

#[tokio::test]
async fn sec_t24_empty_credentials_are_nobodys() {
    let (bench, _) = house([]).await;
    register(&bench, "ada@example.org").await;
    for password in ["", " ", "\t\n", "\u{0}", "\u{a0}"] {
        let body = json!({"email": "ada@example.org", "password": password});
        bench.post("/api/v1/auth/login", body).await.problem(401, "unauthenticated");
        let body = json!({"email": "eve@example.org", "password": password});
        bench.post("/api/v1/auth/register", body).await.problem(400, "invalid");
    }
    for password in [json!(null), json!([]), json!({}), json!(0), json!(true)] {
        let body = json!({"email": "ada@example.org", "password": password});
        let problem = bench.post("/api/v1/auth/login", body).await.problem(400, "invalid");
        assert_eq!(problem["errors"][0]["path"], "password", "{problem}");
    }
    for (token, status) in [(json!(""), 401), (json!(" "), 401), (json!("air_"), 401), (json!(null), 400)] {
        let reply = bench.post("/api/v1/auth/refresh", json!({"refresh_token": token})).await;
        assert_eq!(reply.status, status, "{token}: {}", reply.body);
    }
    let reply = bench.post("/api/v1/auth/refresh", json!({})).await;
    assert_eq!(reply.problem(400, "invalid")["errors"][0]["path"], "refresh_token");
}

/// A token whose header and claims are changed, with the signature that it had.
fn changed(token: &str, header: impl Fn(&mut Value), claims: impl Fn(&mut Value)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let part = |text: &str, change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
        change(&mut value);
        URL_SAFE_NO_PAD.encode(value.to_string())
    };
    format!("{}.{}.{}", part(parts[0], &header), part(parts[1], &claims), parts[2])
}

#[tokio::test]
async fn sec_t20_tokens_that_were_made_up_are_all_refused_alike() {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let provider = ScriptedProvider::new([]);
    let engine = builder(store.clone(), provider.clone()).build().await.unwrap();
    let secret = SigningSecret::generate().unwrap();
    let served_by = |settings: AccountSettings| {
        let accounts =
            Accounts::new(engine.clone(), store.clone(), settings.registration(RegistrationRule::Open));
        let router =
            aimate_http::router(engine.clone(), Options::default().callers(Callers::Accounts(accounts)));
        Bench { engine: engine.clone(), provider: provider.clone(), router }
    };
    let bench = served_by(AccountSettings::new(secret.clone()));
    let ada = register(&bench, "ada@example.org").await;
    let bob = register(&bench, "bob@example.org").await;
    let good = text(&ada, "access_token");
    let (parts, nothing) = (good.split('.').collect::<Vec<_>>(), |_: &mut Value| {});
    let login = json!({"email": "ada@example.org", "password": PASSWORD});
    let mut foreign = Vec::new();
    for settings in [
        AccountSettings::new(secret.clone()).issuer("aimate", "another-service"),
        AccountSettings::new(secret).issuer("another-service", "aimate"),
        AccountSettings::new(SigningSecret::generate().unwrap()),
    ] {
        let elsewhere = served_by(settings).post("/api/v1/auth/login", login.clone()).await.json();
        foreign.push(text(&elsewhere, "access_token").to_owned());
    }
    let made_up = [
        changed(good, |header| header["alg"] = json!("none"), nothing),
        changed(good, |header| header["alg"] = json!("RS256"), nothing),
        changed(good, |header| header["alg"] = json!("HS384"), nothing),
        changed(good, nothing, |claims| claims["sub"] = bob["user"]["id"].clone()),
        changed(good, nothing, |claims| claims["exp"] = json!(4_000_000_000_u32)),
        changed(good, nothing, |claims| claims["role"] = json!("admin")),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}."),
        format!("{good}x"),
        good.to_uppercase(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "null".to_owned(),
        "aim_".to_owned(),
        "aim_abcdefgh_".to_owned(),
        "aim_' OR 1=1 --_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        text(&ada, "refresh_token").to_owned(),
        "A".repeat(10_000),
    ];
    let mut told = std::collections::BTreeSet::new();
    for token in made_up.iter().chain(&foreign) {
        let reply = bench.ask(by(token, Method::GET, "/api/v1/auth/me", None)).await;
        assert_eq!(reply.status, 401, "{token}: {}", reply.body);
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        told.insert(reply.body);
        let openai = bench.ask(by(token, Method::GET, "/v1/models", None)).await;
        openai.openai_error(401, "unauthenticated");
    }
    assert_eq!(told.len(), 1, "nobody learns why: {told:?}");
    assert_eq!(bench.ask(by(good, Method::GET, "/api/v1/auth/me", None)).await.status, 200);
}

#[tokio::test]
async fn addresses_that_look_alike_are_one_or_none() {
    let (bench, _) = house([]).await;
    register(&bench, "ada@example.org").await;
    for same in ["ADA@example.org", "Ada@EXAMPLE.ORG", " ada@example.org ", "ａda@example.org"] {
        let body = json!({"email": same, "password": "another horse battery"});
        bench.post("/api/v1/auth/register", body).await.problem(409, "conflict");
        let login = json!({"email": same, "password": PASSWORD});
        assert_eq!(bench.post("/api/v1/auth/login", login).await.status, 200, "{same}");
    }
    for alike in [
        "\u{430}da@example.org",
        "ada@ex\u{430}mple.org",
        "ada\u{200d}@example.org",
        "a\u{301}da@\u{202e}gro",
    ] {
        let body = json!({"email": alike, "password": "another horse battery"});
        let problem = bench.post("/api/v1/auth/register", body).await.problem(400, "invalid");
        assert_eq!(problem["errors"][0]["path"], "email", "{problem}");
    }
}

/// What a route needs of a token, by a rule of the test's own: whoever adds a route is
/// made to think about it.
fn needed(method: &Method, path: &str) -> &'static str {
    let is_of = |root: &str| path == root || path.starts_with(&format!("{root}/"));
    let for_admins = ["users", "invites", "audit", "budgets"].map(|noun| format!("/api/v1/{noun}"));
    let changes_for_admins = ["groups", "prices"].map(|noun| format!("/api/v1/{noun}"));
    match *method {
        _ if for_admins.iter().any(|root| is_of(root)) => "admin",
        // What is asked on these `WebSocket`s is stored.
        Method::GET if path == "/v1/responses" || path == "/api/v1/ws" => "write",
        Method::GET => "read",
        _ if path == "/v1/responses/input_tokens" => "read",
        _ if changes_for_admins.iter().any(|root| is_of(root)) => "admin",
        _ if path.starts_with("/v1/vector_stores/") && path.ends_with("/search") => "read",
        _ if path == "/api/v1/knowledge/search" || path == "/api/v1/markdown" => "read",
        _ if path.starts_with("/api/v1/tools/servers/") && path.ends_with("/prompts") => "read",
        _ => "write",
    }
}

#[tokio::test]
async fn sec_t18_every_route_takes_tokens_of_its_scope_alone() {
    let (bench, _) = house([]).await;
    let ada = register(&bench, "ada@example.org").await;
    let operations = operations(&bench).await;
    let mut asked = 0;
    let mut tokens = Vec::new();
    // First of all: one of the routes ends the session.
    for scope in ["read", "write", "admin"] {
        let token = api_token(&bench, text(&ada, "access_token"), &[scope]).await;
        tokens.push((scope, text(&token, "token").to_owned()));
    }
    for (scope, token) in tokens {
        for (method, path) in operations.iter().filter(|(_, path)| !OPEN.contains(&path.as_str())) {
            // Whoever is let in is told that this is no body.
            let body = (method != Method::GET && method != Method::DELETE).then(|| json!("no object"));
            for carrier in ["authorization", "x-api-key", "cookie"] {
                let value = match carrier {
                    "authorization" => format!("Bearer {token}"),
                    "cookie" => format!("aimate_access={token}"),
                    _ => token.clone(),
                };
                let headers = [(carrier, value.as_str()), ("sec-fetch-site", "same-origin")];
                let reply = bench.ask(with(&headers, method.clone(), path, body.clone())).await;
                let is_in = !matches!(reply.status.as_u16(), 401 | 403);
                assert_eq!(
                    is_in,
                    needed(method, path) == scope,
                    "{scope}: {method} {path} by {carrier}: {}",
                    reply.body
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 600, "{asked}");
}

#[tokio::test]
async fn sec_t25_no_page_of_another_origin_reads_or_changes() {
    let options = Options::default()
        .allowed_origins(["https://app.example.org"])
        .allowed_hosts(["chat.example.org", "127.0.0.1:3000"]);
    let (bench, _) = house_with([], RegistrationRule::Open, options).await;
    register(&bench, "ada@example.org").await;
    let origins = [
        ("https://app.example.org", true),
        ("https://evil.example", false),
        ("https://app.example.org.evil.example", false),
        ("http://app.example.org", false),
        ("null", false),
    ];
    for (origin, is_listed) in origins {
        let preflight = Request::builder()
            .method(Method::OPTIONS)
            .uri("/api/v1/conversations")
            .header("host", "chat.example.org")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .body(Body::empty())
            .unwrap();
        let reply = bench.ask(preflight).await;
        assert_eq!(reply.header("access-control-allow-origin") == origin, is_listed, "{origin}");
        // A page with a listed origin sends a token that it has; cookies stay at home.
        assert_eq!(reply.header("access-control-allow-credentials"), "", "{origin}");
        let login = json!({"email": "ada@example.org", "password": PASSWORD, "cookie": true});
        let from = [("origin", origin), ("sec-fetch-site", "cross-site")];
        let reply = bench.ask(with(&from, Method::POST, "/api/v1/auth/login", Some(login))).await;
        assert_eq!(reply.status == 200, is_listed, "{origin}: {}", reply.body);
        assert_eq!(set_cookies(&reply).is_empty(), !is_listed);
    }
    for host in ["evil.example", "chat.example.org.evil.example", "localhost:3000", ""] {
        let mut request = request(Method::GET, "/api/v1/auth/me", None);
        request.headers_mut().insert("host", host.parse().unwrap());
        bench.ask(request).await.problem(403, "forbidden");
    }
}

/// Guesses count for the machine that they come from, as logins do; nobody else pays for them.
#[tokio::test]
async fn machine_has_so_many_guesses() {
    let limits = Options::default().rate_limits("auth=1/3".parse().unwrap());
    let (bench, _) = house_with([], RegistrationRule::Open, limits).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let login = json!({"email": "ada@example.org", "password": PASSWORD});
    let over = bench.post("/api/v1/auth/login", login.clone()).await.json();
    let over = text(&over, "access_token").to_owned();
    assert_eq!(bench.ask(by(&over, Method::POST, "/api/v1/auth/logout", None)).await.status, 204);
    let from = async |address: &str, mut request: Request<Body>| {
        let peer = std::net::SocketAddr::new(address.parse().unwrap(), 9);
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        bench.ask(request).await
    };
    let me = |token: &str| by(token, Method::GET, "/api/v1/auth/me", None);
    let guess = format!("aim_abcdefgh_{}", "A".repeat(43));
    for guess in [guess.as_str(), "a.b.c", "x"] {
        from("192.0.2.1", me(guess)).await.problem(401, "unauthenticated");
    }
    for guess in [guess.as_str(), "a.b.c", "x"] {
        from("192.0.2.1", me(guess)).await.problem(429, "rate_limited");
    }
    let sign_in = request(Method::POST, "/api/v1/auth/login", Some(login));
    from("192.0.2.1", sign_in).await.problem(429, "rate_limited");
    // Who is known is let in from there too, and whose session is over is no guesser.
    for _ in 0..5 {
        assert_eq!(from("192.0.2.1", me(&access)).await.status, 200);
        from("192.0.2.1", me(&over)).await.problem(401, "unauthenticated");
        let nobody = request(Method::GET, "/api/v1/auth/me", None);
        from("192.0.2.1", nobody).await.problem(401, "unauthenticated");
    }
    from("192.0.2.2", me(&guess)).await.problem(401, "unauthenticated");
}
