//! Requests that somebody sends to break something.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aimate_core::testing::{ScriptedProvider, Step};
use aimate_core::{Role, Scope};
use aimate_http::{Options, ScopeResolver};
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::common::{Bench, bench, end, request, say, text};
use crate::knowledge::{DOCUMENTS, UNKNOWN, files, id, library};

/// Takes the user's name for a credential.
struct Names(BTreeMap<&'static str, Scope>);

#[aimate_http::async_trait]
impl ScopeResolver for Names {
    async fn resolve(&self, head: &http::request::Parts) -> aimate_core::Result<Option<Scope>> {
        let name = head.headers.get("x-user").and_then(|name| name.to_str().ok());
        Ok(name.and_then(|name| self.0.get(name).copied()))
    }
}

async fn house(scripts: impl IntoIterator<Item = Vec<Step>>) -> Bench {
    let provider = ScriptedProvider::new(scripts);
    let engine = crate::common::engine(provider.clone()).await;
    let mut names = BTreeMap::new();
    for (name, tenant, role) in [
        ("ann", "acme", Role::User),
        ("bob", "acme", Role::User),
        ("root", "acme", Role::Admin),
        ("eve", "other", Role::Admin),
    ] {
        names.insert(name, engine.scope(tenant, name).role(role).ensure().await.unwrap());
    }
    let router =
        aimate_http::router(engine.clone(), Options::default().resolver(std::sync::Arc::new(Names(names))));
    Bench { engine, provider, router }
}

fn by(user: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("x-user", user.parse().unwrap());
    request
}

#[tokio::test]
async fn sec_t15_running_answer_of_another_is_neither_heard_nor_stopped() {
    let pause = || Step::Wait(Duration::from_millis(200));
    let bench = house([vec![say("a "), pause(), say("b "), pause(), say("c"), end()]]).await;
    let turn = json!({"content": "x"});
    let asked = bench.send(by("ann", request(Method::POST, "/api/v1/messages", Some(turn)))).await;
    let mut body = asked.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let started: Value = {
        let frame = std::str::from_utf8(&first).unwrap();
        let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        serde_json::from_str(data).unwrap()
    };
    let at = format!("/api/v1/runs/{}", started["run_id"].as_str().unwrap());
    for other in ["bob", "root", "eve"] {
        let mut resumed = request(Method::GET, &format!("{at}/events"), None);
        resumed.headers_mut().insert("last-event-id", "1".parse().unwrap());
        bench.ask(by(other, resumed)).await.problem(404, "not_found");
        for (method, path) in [
            (Method::GET, at.clone()),
            (Method::GET, format!("{at}/events?after=0")),
            (Method::POST, format!("{at}/cancel")),
        ] {
            bench.ask(by(other, request(method, &path, None))).await.problem(404, "not_found");
        }
    }
    let rest = body.collect().await.unwrap().to_bytes();
    let rest = String::from_utf8(rest.to_vec()).unwrap();
    let finished = rest.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let finished: Value = serde_json::from_str(finished).unwrap();
    assert_eq!((&finished["type"], text(&finished["message"])), (&json!("finished"), "a b c"), "{rest}");
}

/// Names that lead elsewhere for somebody who takes them for paths.
fn names() -> BTreeSet<String> {
    let up = [
        "../",
        "..\\",
        "..%2f",
        "..%5c",
        "%2e%2e/",
        "%252e%252e%252f",
        "..%c0%af",
        "..%ef%bc%8f",
        "....//",
        "..;/",
        "..\u{ff0f}",
        "..\u{2215}",
        ".\u{2024}/",
        "..\0/",
        "./.././",
        "/",
        "//",
        "\\\\host\\share\\",
        "file:///",
        "C:\\",
        "C:",
        "~/",
        "$HOME/",
        "%APPDATA%\\",
        "`id`/",
        "$(id)/",
        "/proc/self/cwd/",
        "/dev/fd/../",
        "\u{202e}../",
    ];
    let to =
        ["etc/passwd", "boot.ini", "aimate.db", "encryption.key", ".ssh/authorized_keys", ".", "x\n/../y"];
    let odd = [
        "..",
        ".",
        "...",
        " ",
        "\t",
        "CON",
        "NUL.txt",
        "aux.md",
        "COM1",
        "a:stream",
        "a::$DATA",
        "a.",
        "a ",
        "-rf",
        "--help",
        "a\0b.md",
        "a\r\nSet-Cookie: x=1",
        "a\u{7f}",
        "\u{feff}",
        "\u{200b}",
        "a;b",
        "a|b",
        "a>b",
        "a\"b",
        "a'b",
        "*",
        "?",
        "[a]",
        "{a}",
        "<svg onload=x>.md",
        "\u{1f4a9}",
    ];
    let climbing = up.iter().flat_map(|up| to.iter().map(move |to| format!("{up}{to}")));
    let far = (1..12).map(|n| format!("{}etc/passwd", "../".repeat(n)));
    climbing.chain(far).chain(odd.map(String::from)).collect()
}

#[tokio::test]
async fn sec_t31_no_name_is_a_path() {
    let library = library().await;
    let at = library.collection("manuals").await;
    let names = names();
    assert!(names.len() >= 200, "{} names", names.len());
    let mut stored = 0;
    for name in &names {
        let body = json!({"name": name, "text": "x"});
        let reply = library.bench.post(&format!("{at}/documents"), body).await;
        if reply.status == 400 {
            continue;
        }
        assert_eq!(reply.status, 202, "{name:?}: {}", reply.body);
        stored += 1;
        let document = reply.json();
        assert_eq!(document["name"], name.replace('\0', "").as_str());
        let content = library.bench.get(&format!("{DOCUMENTS}/{}/content", id(&document))).await;
        assert_eq!((content.status.as_u16(), content.body.as_str()), (200, "x"), "{name:?}");
        let disposition = content.header("content-disposition");
        let shown = disposition.split_once("''").unwrap().1;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%-._~!$&'()*+,;=@".contains(&byte);
        assert!(
            shown.bytes().all(is_plain) && !shown.contains("%2F") && !shown.contains("%5C"),
            "{disposition}"
        );
        assert!(!shown.starts_with('.') && content.header("set-cookie").is_empty(), "{disposition}");
    }
    assert!(stored >= 190, "{stored}");
    // Bytes are kept under names of the store's own.
    for file in files(&library.folder) {
        let own = file.strip_prefix(&library.folder).unwrap().to_string_lossy().into_owned();
        let is_own = |c: char| c.is_ascii_hexdigit() || "-/._".contains(c) || c.is_ascii_lowercase();
        assert!(own.chars().all(is_own) && !own.contains(".."), "{own}");
        assert!(!own.contains("passwd") && !own.contains("authorized"), "{own}");
    }
    let beside = library.folder.parent().unwrap();
    for elsewhere in ["etc", "boot.ini", "aimate.db", "encryption.key", ".ssh"] {
        assert!(!beside.join(elsewhere).exists(), "{elsewhere}");
    }
}

/// Bodies that no route can use.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let json = "application/json";
    let nested = |open: &str, n: usize| open.repeat(n).into_bytes();
    let multipart = "multipart/form-data; boundary=b";
    let mut all: Vec<(&str, Vec<u8>)> = [
        "",
        " ",
        "null",
        "true",
        "0",
        "-",
        "1e999",
        "\"x\"",
        "[]",
        "[{}]",
        "{}",
        "{",
        "}",
        "{}{}",
        "{\"\":0}",
        "\u{feff}{}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"\\u0000\"}",
        "{\"name\":1e400}",
        "{\"name\":{\"name\":{}}}",
        "{\"content\":[{\"type\":\"text\",\"text\":null}]}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "NaN",
        "// x",
        "<x/>",
        "{\"limit\":-1}",
        "{\"limit\":99999999999999999999}",
    ]
    .into_iter()
    .map(|body| (json, body.as_bytes().to_vec()))
    .collect();
    all.extend([
        (json, b"{\"name\":\"\xff\xfe\"}".to_vec()),
        (json, vec![0; 1_000]),
        (json, vec![0xff; 1_000]),
        (json, nested("[", 100_000)),
        (json, nested("{\"a\":", 100_000)),
        (json, format!("{{\"{}\":1}}", "k".repeat(100_000)).into_bytes()),
        (json, format!("{{\"name\":{}}}", "9".repeat(100_000)).into_bytes()),
        ("application/json; charset=utf-16", b"{\0}\0".to_vec()),
        ("application/x-www-form-urlencoded", b"name=x".to_vec()),
        ("multipart/form-data", b"--b\r\n\r\nx\r\n--b--".to_vec()),
        ("multipart/form-data; boundary=", b"--\r\n\r\nx\r\n----".to_vec()),
        (multipart, b"".to_vec()),
        (multipart, b"--b".to_vec()),
        (multipart, b"--b\r\ncontent-disposition: form-data; name=\"file\"\r\n".to_vec()),
        (multipart, b"--b\r\n: x\r\n\r\n\r\n--b--".to_vec()),
        (multipart, b"--b\r\n".repeat(10_000)),
        (multipart, [b"--b\r\nx-".as_slice(), &[b'a'; 100_000], b": y\r\n\r\n\r\n--b--"].concat()),
        ("", b"{}".to_vec()),
        (";", b"{}".to_vec()),
    ]);
    all
}

/// A missing or malformed body ended the process of one peer, and a boundary that of another
/// before it had asked who sends it.
#[tokio::test]
async fn sec_t32_no_body_breaks_a_route() {
    let bench = bench([]).await;
    let document = bench.get("/openapi.json").await.json();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut at = path.clone();
        while let Some((before, after)) = at.split_once('{') {
            at = format!("{before}{UNKNOWN}{}", after.split_once('}').unwrap().1);
        }
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let method: Method = method.to_uppercase().parse().unwrap();
            for (media_type, body) in bodies() {
                let shown = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
                let mut request = request(method.clone(), &at, None);
                request.headers_mut().insert("content-type", media_type.parse().unwrap());
                *request.body_mut() = Body::from(body);
                let reply = bench.ask(request).await;
                let what = format!("{method} {at} {media_type} {shown:?}: {} {}", reply.status, reply.body);
                assert!(!reply.status.is_server_error() || at == "/ready", "{what}");
                tried += 1;
            }
        }
    }
    assert!(tried > 3_000, "{tried}");
    assert_eq!(bench.get("/health").await.status, 200);
}
