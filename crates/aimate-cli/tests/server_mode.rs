//! A server with accounts, as its users and its operator have it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and these are processes of their own"
)]

#[path = "common/command.rs"]
mod command;
#[path = "canary/finder.rs"]
mod finder;
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::time::{Duration, Instant};

use command::Folder;
use finder::Finder;
use reqwest::Method;
use serde_json::{Value, json};
use server::{Server, http};

const JWT_SECRET: &str = "Xh7GvRz3KqTw9LmNc5Yp2DfJs8VbQk4W";
const OTHER_SECRET: &str = "Pq4TzLm8WvKc2RnXg6Hy9JdBs3FtVk7Q";
const ENCRYPTION_KEY: &str = "q0Zr5n2J8mYw1Xc7Vb3Kd9Lf6Hs4Tg0Pa5Ue2Ri8Odk=";
const PASSWORD: &str = "Kr9XvQt2LmWz5NcHg7Yd";
const WRONG_PASSWORD: &str = "Bf6GvXz1QwRt8MkLc3Pj";

async fn ask(server: &Server, method: Method, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = http().request(method, format!("{}{path}", server.url)).bearer_auth(token);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

async fn post(server: &Server, path: &str, token: &str, body: Value) -> Value {
    let (status, body) = ask(server, Method::POST, path, token, Some(body)).await;
    assert!((200..300).contains(&status), "{path}: {status} {body}");
    body
}

async fn me(server: &Server, token: &str) -> u16 {
    ask(server, Method::GET, "/api/v1/auth/me", token, None).await.0
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

#[tokio::test]
async fn token_is_good_as_long_as_its_secret_and_its_user_are() {
    let folder = Folder::new("server-mode");
    let with = |secret: &'static str, previous: &'static str| {
        [
            ("JWT_SECRET", secret),
            ("JWT_SECRET_PREVIOUS", previous),
            ("ENCRYPTION_KEY", ENCRYPTION_KEY),
            ("AI_PROVIDER", "builtin"),
        ]
    };
    let mut server = Server::start(&folder, &with(JWT_SECRET, "")).await;
    let register = |name: &str| json!({"email": format!("{name}@example.org"), "password": PASSWORD});
    let ada = post(&server, "/api/v1/auth/register", "", register("ada")).await;
    let bob = post(&server, "/api/v1/auth/register", "", register("bob")).await;
    assert_eq!((text(&ada["user"], "role"), text(&bob["user"], "role")), ("admin".into(), "user".into()));
    let (ada, bob) = (text(&ada, "access_token"), text(&bob, "access_token"));
    server.stop();
    for (environment, status) in
        [(with(JWT_SECRET, ""), 200), (with(OTHER_SECRET, JWT_SECRET), 200), (with(OTHER_SECRET, ""), 401)]
    {
        let mut server = Server::start(&folder, &environment).await;
        assert_eq!(me(&server, &ada).await, status);
        server.stop();
    }
    // What the operator does beside the server holds in it within five seconds.
    let mut server = Server::start(&folder, &with(JWT_SECRET, "")).await;
    assert_eq!(me(&server, &bob).await, 200);
    let done = folder.aimate(&["user", "disable", "bob@example.org"], &[]);
    assert!(done.status.success(), "{}", command::err(&done));
    let disabled = Instant::now();
    while me(&server, &bob).await != 401 {
        assert!(disabled.elapsed() < Duration::from_secs(5), "bob is still let in");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(me(&server, &ada).await, 200);
    server.stop();
}

#[tokio::test]
async fn sec_t29_t30_no_credential_of_an_account_is_kept_or_logged() {
    let folder = Folder::new("canary-accounts");
    let environment = [
        ("JWT_SECRET", JWT_SECRET),
        ("ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("AI_PROVIDER", "builtin"),
        ("AIMATE_LOG", "trace"),
        ("RUST_LOG", "trace"),
    ];
    let mut server = Server::start(&folder, &environment).await;
    let of_ada = |password: &str| json!({"email": "ada@example.org", "password": password});
    let registered = post(&server, "/api/v1/auth/register", "", of_ada(PASSWORD)).await;
    let signed_in = post(&server, "/api/v1/auth/login", "", of_ada(PASSWORD)).await;
    let wrong = ask(&server, Method::POST, "/api/v1/auth/login", "", Some(of_ada(WRONG_PASSWORD))).await;
    assert_eq!(wrong.0, 401);
    let refresh = json!({"refresh_token": signed_in["refresh_token"]});
    let renewed = post(&server, "/api/v1/auth/refresh", "", refresh).await;
    let access = text(&renewed, "access_token");
    let scopes = json!({"name": "ci", "scopes": ["read", "write", "admin"]});
    let api_token = text(&post(&server, "/api/v1/auth/tokens", &access, scopes).await, "token");
    let invite = text(&post(&server, "/api/v1/invites", &access, json!({})).await, "token");
    let passwords = json!({"current_password": WRONG_PASSWORD, "new_password": PASSWORD});
    assert_eq!(ask(&server, Method::POST, "/api/v1/auth/password", &access, Some(passwords)).await.0, 400);

    // The random part of each: a signature, or what a hash is kept of.
    let random = |token: &str| token[token.len() - 40..].to_owned();
    let mut secrets = vec![random(&api_token), random(&invite)];
    for session in [&registered, &signed_in, &renewed] {
        secrets.extend(["access_token", "refresh_token"].map(|name| random(&text(session, name))));
    }
    let mut named = vec![
        ("JWT_SECRET", JWT_SECRET),
        ("the encryption key", ENCRYPTION_KEY),
        ("a password", PASSWORD),
        ("a wrong password", WRONG_PASSWORD),
    ];
    named.extend(secrets.iter().map(|secret| ("a token", secret.as_str())));
    let finder = Finder::new(&named);
    let document = ask(&server, Method::GET, "/openapi.json", &access, None).await.1;
    let mut asked = 0;
    for token in [&access, &api_token] {
        for path in document["paths"].as_object().unwrap().keys() {
            let (_, told) = ask(&server, Method::GET, path, token, None).await;
            assert_eq!(finder.find(told.to_string().as_bytes()), Vec::<String>::new(), "{path}");
            asked += 1;
        }
    }
    assert!(asked > 80, "{asked}");
    server.stop();
    for file in ["log", "aimate-data/aimate.db"] {
        let bytes = fs::read(folder.0.join(file)).unwrap();
        assert!(bytes.len() > 10_000, "{file} has {} bytes", bytes.len());
        assert_eq!(finder.find(&bytes), Vec::<String>::new(), "in {file}");
    }
}
