//! Secrets that are planted wherever one can be, looked for wherever one could come out:
//! what the server answers, its log at its loudest, its metrics, its files and its tables,
//! plain, reversed and encoded, eight characters in a row.
//!
//! Who adds a place for secrets adds a row to [`Secrets`] and puts it there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and this one is a process of its own"
)]

#[path = "canary/accounts.rs"]
mod accounts;
#[path = "common/command.rs"]
mod command;
#[path = "canary/finder.rs"]
mod finder;
#[path = "common/server.rs"]
mod server;
#[path = "canary/upstream.rs"]
mod upstream;

use std::fs;
use std::path::Path;

use aimate::{KeyRing, Secret};
use command::Folder;
use finder::Finder;
use reqwest::Method;
use serde_json::{Value, json};
use server::{Server, http};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use upstream::Upstream;

/// What is planted, each in the one place that its name says.
struct Secrets {
    encryption_key: String,
    old_encryption_key: String,
}

const OPERATOR_KEY: &str = "sk-Zq7vXw2KpLmT9hRb4Nd8";
const OPENROUTER_KEY: &str = "sk-or-Jf3GyC6uVkWe1XsPz5Qa";
const RERANKER_KEY: &str = "rr-Mn8BtHr4DcYx7LqWs2Kv";
const RERANKER_PASSWORD: &str = "Gk5RzPq9WvTn3XcJm7Ld";
const PROXY_PASSWORD: &str = "Wb6HtYx1QmNr8KfVz4Cs";
const DATABASE_PASSWORD: &str = "Ux9LdKw3TgPq6ZnRc5Jm";
const CONNECTION_KEY: &str = "sk-user-Rv4XmQz8TkWc2NpHg7Yb";
const SECOND_KEY: &str = "sk-user-Lc7WnYf3GxKq9RtVs5Dz";
const REFUSED_KEY: &str = "Hm2KxVr6 ZtQw9Lc4 Gn8Yp";
const URL_PASSWORD: &str = "Tn5QwXz2HvKc8RmLg3Jy";
const SETTINGS_PROXY_PASSWORD: &str = "Yk8ZcMt4RwXq1VnGh6Pf";
const BEARER: &str = "aim_Px6RtGk9WmQz3LvNc8Hd5Yf2";
const COOKIE: &str = "session=Qd4VnXk7TzWm1RcHg9Lp";
const QUERY_KEY: &str = "Vg3LpTw8XkRz6QnMc1Yh";
const PASSWORD: &str = "Kr9XvQt2LmWz5NcHg7Yd";
const REFRESH_TOKEN: &str = "Jw4TnRk8XqVz1McLg6Ph";
const JWT_SECRET: &str = "Xh7GvRz3KqTw9LmNc5Yp2DfJs8VbQk4W";

impl Secrets {
    fn new() -> Self {
        let key = || KeyRing::generate().unwrap().expose().to_owned();
        Self { encryption_key: key(), old_encryption_key: key() }
    }

    fn all(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("AIMATE_KEYS", &self.encryption_key),
            ("AIMATE_KEYS, the old one", &self.old_encryption_key),
            ("OPENAI_API_KEY", OPERATOR_KEY),
            ("OPENROUTER_API_KEY", OPENROUTER_KEY),
            ("AIMATE_RERANKER_KEY", RERANKER_KEY),
            ("AIMATE_RERANKER_URL's password", RERANKER_PASSWORD),
            ("AIMATE_PROXY's password", PROXY_PASSWORD),
            ("DATABASE_URL's password", DATABASE_PASSWORD),
            ("a connection's key", CONNECTION_KEY),
            ("a connection's next key", SECOND_KEY),
            ("a connection's refused key", REFUSED_KEY),
            ("a password in an address", URL_PASSWORD),
            ("a password in a connection's proxy", SETTINGS_PROXY_PASSWORD),
            ("the header Authorization", BEARER),
            ("a cookie", COOKIE.trim_start_matches("session=")),
            ("a key in a query", QUERY_KEY),
            ("a password", PASSWORD),
            ("a refresh token", REFRESH_TOKEN),
            ("JWT_SECRET", JWT_SECRET),
        ]
    }
}

/// Asks, with credentials in every place where a client may put some, and keeps all that
/// comes back.
struct Asker {
    client: reqwest::Client,
    url: String,
    said: Vec<(String, String)>,
}

impl Asker {
    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mark = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}{path}{mark}api_key={QUERY_KEY}", self.url);
        let mut request = self.client.request(method.clone(), url).bearer_auth(BEARER);
        request = request.header("cookie", COOKIE).header("x-api-key", BEARER);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let Ok(answer) = request.send().await else { return Value::Null };
        let head = format!("{} {:?}", answer.status(), answer.headers());
        let text = answer.text().await.unwrap_or_default();
        self.said.push((format!("{method} {path}"), format!("{head}\n{text}")));
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, Some(body)).await
    }
}

/// Puts the secrets of users where they can be, and uses them.
async fn plant(asker: &mut Asker, upstream: &Upstream) -> Vec<String> {
    let mut ids = Vec::new();
    for (name, mode) in [("good", "good"), ("echo", "echo"), ("broken", "broken")] {
        let url = format!("{}/{mode}/v1", upstream.url);
        // Straight there, not by the operator's proxy.
        let new = json!({"name": name, "provider": "openai", "url": url, "api_key": CONNECTION_KEY,
            "settings": {"proxy": "", "retries": 0}});
        let made = asker.post("/api/v1/connections", new).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let at = format!("/api/v1/connections/{}", ids[1]);
    asker.ask(Method::PATCH, &at, Some(json!({"api_key": SECOND_KEY}))).await;
    asker.ask(Method::PUT, &at, Some(json!({"api_key": REFUSED_KEY}))).await;
    for new in [
        json!({"name": "u", "provider": "openai", "url": format!("http://me:{URL_PASSWORD}@127.0.0.1/v1")}),
        json!({"name": "p", "provider": "openai", "url": "http://127.0.0.1:9/v1",
            "settings": {"proxy": format!("http://me:{SETTINGS_PROXY_PASSWORD}@127.0.0.1:9")}}),
        json!({"name": "k", "provider": "openai", "api_key": REFUSED_KEY}),
        json!({"name": "k", "provider": "openai", "api_key": [CONNECTION_KEY]}),
        json!({"name": "k", "provider": "openai", "api_key": {"is": CONNECTION_KEY}}),
    ] {
        let refused = asker.post("/api/v1/connections", new).await;
        assert!(refused["code"] == "invalid", "{refused}");
    }
    for model in ["good/m", "echo/m", "broken/m", "openai/m", "openrouter/m"] {
        let content = format!("to {model}");
        let messages = json!([{"role": "user", "content": content}]);
        for stream in [true, false] {
            let turn = json!({"model": model, "messages": messages, "stream": stream});
            asker.post("/v1/chat/completions", turn.clone()).await;
            asker.post("/api/v1/chat/completions", turn).await;
        }
        asker.post("/v1/embeddings", json!({"model": model, "input": "x"})).await;
    }
    let talk = asker.post("/api/v1/conversations", json!({})).await;
    let talk = talk["id"].as_str().unwrap().to_owned();
    for model in ["good/m", "echo/m", "broken/m"] {
        let turn = json!({"content": "hello", "model": model, "stream": false});
        asker.post(&format!("/api/v1/conversations/{talk}/messages"), turn).await;
    }
    ids.push(talk);
    let shelf = asker.post("/api/v1/knowledge/collections", json!({"name": "shelf"})).await;
    let shelf = shelf["id"].as_str().unwrap().to_owned();
    for url in
        [format!("http://me:{URL_PASSWORD}@127.0.0.1:9/x"), format!("http://127.0.0.1:9/x?key={QUERY_KEY}")]
    {
        asker.post(&format!("/api/v1/knowledge/collections/{shelf}/documents"), json!({"url": url})).await;
    }
    ids.push(shelf);
    ids
}

/// Every route of the document, with ids that are there and one that is none; with a body of
/// secrets where a body is taken, and with one that is none.
async fn every_route(asker: &mut Asker, ids: &[String]) -> usize {
    let document = asker.ask(Method::GET, "/openapi.json", None).await;
    let secrets = json!({"name": "n", "email": "a@example.org", "password": PASSWORD, "new_password": PASSWORD,
        "current_password": PASSWORD, "api_key": CONNECTION_KEY, "refresh_token": REFRESH_TOKEN,
        "token": REFRESH_TOKEN, "secret": PASSWORD});
    let mut routes = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            // What would delete what the others need comes to nothing that is there.
            let known = if method == "delete" { &[] } else { ids };
            let none = "0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f".to_owned();
            let method: Method = method.to_uppercase().parse().unwrap();
            routes += 1;
            for id in known.iter().chain([&none]) {
                let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
                let at = parts.collect::<Vec<_>>().join("/");
                if method == Method::GET || method == Method::DELETE {
                    asker.ask(method.clone(), &at, None).await;
                } else {
                    asker.ask(method.clone(), &at, Some(secrets.clone())).await;
                    asker.ask(method.clone(), &at, Some(json!([PASSWORD]))).await;
                }
                if !path.contains('{') {
                    break;
                }
            }
        }
    }
    routes
}

async fn no_secret_comes_out(database: &str, folder: &Folder) {
    let (secrets, upstream) = (Secrets::new(), Upstream::start());
    let keys = format!("2:{},1:{}", secrets.encryption_key, secrets.old_encryption_key);
    let proxy = upstream.url.replace("http://", &format!("http://me:{PROXY_PASSWORD}@"));
    let reranker = upstream.url.replace("http://", &format!("http://me:{RERANKER_PASSWORD}@"));
    let environment = [
        ("DATABASE_URL", database),
        ("AIMATE_KEYS", &keys),
        ("AIMATE_LOG", "trace"),
        ("RUST_LOG", "trace"),
        ("OPENAI_API_KEY", OPERATOR_KEY),
        ("OPENAI_BASE_URL", "http://models.example.org/echo/v1"),
        ("OPENROUTER_API_KEY", OPENROUTER_KEY),
        ("AIMATE_PROXY", &proxy),
        ("AIMATE_RERANKER_URL", &reranker),
        ("AIMATE_RERANKER_KEY", RERANKER_KEY),
        ("NO_COLOR", "1"),
    ];
    let mut server = Server::start(folder, &environment).await;
    let mut asker = Asker { client: http(), url: server.url.clone(), said: Vec::new() };
    let ids = plant(&mut asker, &upstream).await;
    let routes = every_route(&mut asker, &ids).await;
    asker.ask(Method::GET, "/metrics", None).await;
    // The secrets were used, or nothing was tried.
    let sent = upstream.asked();
    for used in [CONNECTION_KEY, SECOND_KEY, OPERATOR_KEY] {
        assert!(sent.contains(used), "{used} was never sent");
    }
    server.stop();

    let mut places = asker.said;
    places.push(("the log".into(), fs::read_to_string(folder.0.join("log")).unwrap()));
    for arguments in
        [&["doctor"][..], &["keys", "status"], &["keys", "rotate"], &["chat", "hi", "--model", "echo/m"]]
    {
        let told = folder.aimate(arguments, &environment);
        places.push((arguments.join(" "), command::out(&told) + &command::err(&told)));
    }
    for url in [
        format!("postgres://me:{DATABASE_PASSWORD}@127.0.0.1:9/x"),
        format!("mysql://me:{DATABASE_PASSWORD}@h/x"),
    ] {
        let told = folder.aimate(&["doctor"], &[("DATABASE_URL", &url), ("AIMATE_LOG", "trace")]);
        places.push((format!("doctor on {}", &url[..8]), command::out(&told) + &command::err(&told)));
    }
    for jwt in [JWT_SECRET, &JWT_SECRET[..9]] {
        let told = folder
            .aimate(&["serve", "--addr", "192.0.2.1:0"], &[("JWT_SECRET", jwt), ("AIMATE_LOG", "trace")]);
        places.push(("serve with JWT_SECRET".into(), command::out(&told) + &command::err(&told)));
    }
    let mut files = Vec::new();
    bytes_in(&folder.0, &mut files);
    places.extend(files);
    if database.starts_with("postgres") {
        places.push(("the tables".into(), tables(database).await));
    }

    let all = secrets.all();
    let finder = Finder::new(&all);
    let mut found = Vec::new();
    let (mut bytes, of) = (0, places.len());
    for (place, text) in &places {
        bytes += text.len();
        found.extend(finder.find(text.as_bytes()).into_iter().map(|hit| format!("{hit} in {place}")));
    }
    println!("{} secrets, {routes} routes, {of} places, {bytes} bytes", all.len());
    assert!(routes > 40, "{routes} routes");
    assert!(bytes > 100_000, "{bytes} bytes were looked through");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Every file below a folder, as text of one character a byte.
fn bytes_in(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            bytes_in(&entry, files);
        } else {
            let text = fs::read(&entry).unwrap().into_iter().map(char::from).collect();
            files.push((entry.file_name().unwrap().to_string_lossy().into_owned(), text));
        }
    }
}

/// Every row of every table, as PostgreSQL writes it.
async fn tables(database: &str) -> String {
    let mut session = PgConnection::connect(database).await.unwrap();
    let names =
        session.fetch_all("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").await.unwrap();
    let mut text = String::new();
    for name in names {
        let name: String = name.get(0);
        let rows = AssertSqlSafe(format!("SELECT t::text FROM {name} t"));
        for row in session.fetch_all(rows).await.unwrap() {
            text.push_str(row.get::<&str, _>(0));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_t29_t30_no_secret_comes_out_on_sqlite() {
    let folder = Folder::new("canary-sqlite");
    let database = format!("sqlite:{}", folder.0.join("a.db").display());
    no_secret_comes_out(&database, &folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_t29_t30_no_credential_comes_out_on_sqlite() {
    let folder = Folder::new("canary-accounts-sqlite");
    let database = format!("sqlite:{}", folder.0.join("a.db").display());
    accounts::no_credential_comes_out(&database, &folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_t29_t30_no_secret_comes_out_on_postgres() {
    let folder = Folder::new("canary-postgres");
    on_postgres("secrets", async |database| no_secret_comes_out(database, &folder).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_t29_t30_no_credential_comes_out_on_postgres() {
    let folder = Folder::new("canary-accounts-postgres");
    on_postgres("accounts", async |database| accounts::no_credential_comes_out(database, &folder).await)
        .await;
}

/// Runs `test` on a database of its own, if there is a server.
async fn on_postgres(name: &str, test: impl AsyncFnOnce(&str)) {
    let urls = std::env::var("AIMATE_TEST_POSTGRES").unwrap_or_default();
    let Some(url) = urls.split(',').find(|url| !url.is_empty()) else { return };
    let name = format!("aimate_canary_{name}_{}", std::process::id());
    let (server, _) = url.rsplit_once('/').unwrap();
    let mut admin = PgConnection::connect(url).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    // The test's server asks for no password, so that any is right.
    let database = format!("{server}/{name}").replace("postgres@", &format!("postgres:{DATABASE_PASSWORD}@"));
    test(&database).await;
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
}

#[test]
fn sec_t30_nothing_that_holds_a_secret_prints_it() {
    let secrets = Secrets::new();
    let ring = KeyRing::parse(&secrets.encryption_key).unwrap();
    let new = aimate::connection::NewConnection::new("n", "openai").api_key(Secret::new(CONNECTION_KEY));
    let change =
        aimate::connection::ConnectionChange { api_key: Some(Secret::new(SECOND_KEY)), ..Default::default() };
    let data_key = ring.subkey(1, aimate::sealing::Purpose::TOKEN_PEPPER).unwrap().unwrap();
    let printed = [
        format!("{ring:?} {data_key:?} {new:?} {change:?} {:?}", Secret::new(PASSWORD)),
        format!("{:?}", aimate::Engine::builder().connection(new)),
        format!("{:?}", aimate::sealing::Sealer::from(ring)),
    ];
    let all = secrets.all();
    let finder = Finder::new(&all);
    for text in printed {
        assert_eq!(finder.find(text.as_bytes()), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn finder_finds_every_form() {
    use finder::base64;
    let finder = Finder::new(&[("it", CONNECTION_KEY)]);
    let hex =
        |prefix: &str| CONNECTION_KEY.bytes().map(|byte| format!("{prefix}{byte:02X}")).collect::<String>();
    let reversed: String = CONNECTION_KEY.chars().rev().collect();
    let forms = [
        CONNECTION_KEY[9..18].to_owned(),
        CONNECTION_KEY.to_lowercase(),
        reversed,
        hex(""),
        hex("%"),
        hex("\\x"),
    ];
    let encoded = ["", "a", "ab"].map(|before| base64(&format!("{before}{CONNECTION_KEY}, and more")));
    for form in forms.iter().chain(&encoded) {
        assert!(!finder.find(format!("some {form} text").as_bytes()).is_empty(), "{form}");
    }
    assert_eq!(finder.find(b"nothing of the kind, and sk-user- alone"), Vec::<String>::new());
}
