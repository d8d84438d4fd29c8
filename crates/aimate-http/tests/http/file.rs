//! `/v1/files`, as OpenAI's clients use them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aimate_core::knowledge::{StorageQuota, StorageQuotas};
use aimate_core::testing::ScriptedProvider;
use aimate_core::{Clock, ClockAndIds, RandomIds, SystemClock, Timestamp};
use aimate_http::Options;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::common::{Bench, Reply, bench, builder};

/// The machine's clock, and how many seconds it goes fast.
#[derive(Default)]
pub(crate) struct FastClock(pub(crate) AtomicI64);

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst) * 1_000_000)
    }
}

/// A bench whose clock can be put on.
pub(crate) async fn bench_with_clock() -> (Bench, Arc<FastClock>) {
    let clock = Arc::new(FastClock::default());
    let provider = ScriptedProvider::new([]);
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let sources = ClockAndIds { clock: clock.clone(), ids: Arc::new(RandomIds) };
    let engine = builder(store, provider.clone()).sources(sources).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    (Bench { engine, provider, router }, clock)
}

/// The form of an upload: parts as (what names them, content).
pub(crate) fn form(parts: &[(&str, &[u8])]) -> Request<Body> {
    let mut body = Vec::new();
    for (disposition, content) in parts {
        body.extend(format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    Request::post("/v1/files")
        .header("host", "127.0.0.1:3000")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(Body::from(body))
        .unwrap()
}

const PURPOSE: (&str, &[u8]) = ("name=\"purpose\"", b"assistants");

pub(crate) async fn upload(bench: &Bench, name: &str, content: &str) -> Value {
    let file = format!("name=\"file\"; filename=\"{name}\"");
    let reply = bench.ask(form(&[(&file, content.as_bytes()), PURPOSE])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

pub(crate) fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn file_is_kept_until_it_is_deleted() {
    let bench = bench([]).await;
    let file = upload(&bench, "Übung — 会議.md", "# Boiler\n\nIn May.").await;
    let seconds = file["created_at"].as_i64().unwrap();
    let expected = json!({
        "id": id(&file), "object": "file", "bytes": 17, "created_at": seconds, "filename": "Übung — 会議.md",
        "purpose": "assistants", "status": "processed",
    });
    assert_eq!(file, expected);
    assert!(id(&file).starts_with("file-") && id(&file).len() == 37, "{file}");
    let at = format!("/v1/files/{}", id(&file));
    assert_eq!(bench.get(&at).await.json(), file);
    let content = bench.get(&format!("{at}/content")).await;
    assert_eq!((content.body.as_str(), content.header("content-length")), ("# Boiler\n\nIn May.", "17"));
    assert!(!content.header("content-type").contains("json"));
    // With dashes it is the same id.
    let plain = id(&file).trim_start_matches("file-");
    let dashed = uuid::Uuid::try_parse(plain).unwrap().hyphenated();
    assert_eq!(bench.get(&format!("/v1/files/file-{dashed}")).await.json(), file);
    let deleted = bench.delete(&at).await.json();
    assert_eq!(deleted, json!({"id": id(&file), "object": "file", "deleted": true}));
    for reply in [bench.get(&at).await, bench.get(&format!("{at}/content")).await, bench.delete(&at).await] {
        let error = reply.openai_error(404, "not_found");
        assert!(error["message"].as_str().unwrap().contains(id(&file)), "{error}");
    }
}

#[tokio::test]
async fn malformed_ids_are_not_found() {
    let bench = bench([]).await;
    for id in
        ["x", "file-", "file_0190a5d27c1e7cc398c4dc0c0c07398f", "0190a5d27c1e7cc398c4dc0c0c07398f", "vs_1"]
    {
        for at in [format!("/v1/files/{id}"), format!("/v1/files/{id}/content")] {
            let error = bench.get(&at).await.openai_error(404, "not_found");
            assert!(error["message"].as_str().unwrap().contains(id), "{error}");
        }
    }
}

#[tokio::test]
async fn files_are_listed_by_page_and_purpose() {
    let bench = bench([]).await;
    let mut files = Vec::new();
    for name in ["a", "b", "c"] {
        files.push(upload(&bench, name, name).await);
    }
    let vision =
        bench.ask(form(&[("name=\"purpose\"", b"vision"), ("name=\"file\"; filename=\"v\"", b"v")])).await;
    let vision = vision.json();
    let [a, b, c, v] = [id(&files[0]), id(&files[1]), id(&files[2]), id(&vision)];
    let list = async |query: &str| bench.get(&format!("/v1/files{query}")).await.json();
    let all = list("").await;
    assert_eq!(
        (ids(&all), &all["has_more"], &all["object"]),
        (vec![v, c, b, a], &json!(false), &json!("list"))
    );
    assert_eq!((&all["first_id"], &all["last_id"]), (&json!(v), &json!(a)));
    let page = list("?order=asc&limit=2").await;
    assert_eq!((ids(&page), &page["has_more"]), (vec![a, b], &json!(true)));
    let page = list(&format!("?order=asc&limit=2&after={b}")).await;
    assert_eq!((ids(&page), &page["has_more"]), (vec![c, v], &json!(false)));
    assert_eq!(ids(&list(&format!("?limit=1&after={c}")).await), [b]);
    assert_eq!(ids(&list("?purpose=vision").await), [v]);
    assert_eq!(ids(&list("?purpose=batch").await), [""; 0]);
    for wrong in ["?limit=0", "?limit=10001", "?order=up", "?after=x", "?purpose=fun", "?limit=many"] {
        bench.get(&format!("/v1/files{wrong}")).await.openai_error(400, "invalid");
    }
}

#[tokio::test]
async fn wrong_uploads_are_refused_and_nothing_is_kept() {
    let bench = bench([]).await;
    let file: (&str, &[u8]) = ("name=\"file\"; filename=\"a.md\"", b"text");
    let anchor: (&str, &[u8]) = ("name=\"expires_after[anchor]\"", b"created_at");
    let long = format!("name=\"file\"; filename=\"{}\"", "x".repeat(4_001));
    let huge = vec![b'x'; 2_000];
    for (parts, wrong) in [
        (vec![], "purpose"),
        (vec![PURPOSE], "file"),
        (vec![file], "purpose"),
        (vec![file, ("name=\"purpose\"", b"fun")], "purpose"),
        (vec![file, ("name=\"purpose\"", &huge[..])], "purpose"),
        (vec![file, file, PURPOSE], "file"),
        (vec![(long.as_str(), b"x"), PURPOSE], "name"),
        (vec![file, PURPOSE, anchor], "expires_after[seconds]"),
        (vec![file, PURPOSE, anchor, ("name=\"expires_after[seconds]\"", b"3599")], "expires_after"),
        (vec![file, PURPOSE, anchor, ("name=\"expires_after[seconds]\"", b"2592001")], "expires_after"),
        (vec![file, PURPOSE, anchor, ("name=\"expires_after[seconds]\"", b"soon")], "expires_after[seconds]"),
        (vec![file, PURPOSE, ("name=\"expires_after[seconds]\"", b"3600")], "expires_after[anchor]"),
    ] {
        let error = bench.ask(form(&parts)).await.openai_error(400, "invalid");
        assert_eq!(error["param"], wrong, "{error}");
    }
    let json = bench.post("/v1/files", json!({"purpose": "assistants"})).await;
    json.openai_error(400, "invalid");
    assert_eq!(bench.get("/v1/files").await.json()["data"], json!([]));
}

#[tokio::test]
async fn quota_counts_files() {
    let quota = StorageQuota { documents: None, bytes: Some(10) };
    let quotas = StorageQuotas { user: quota, ..StorageQuotas::default() };
    let provider = ScriptedProvider::new([]);
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let engine = builder(store, provider.clone()).storage_quotas(quotas).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    let bench = Bench { engine, provider, router };
    upload(&bench, "a", "12345678").await;
    let over = bench.ask(form(&[("name=\"file\"; filename=\"b\"", b"123"), PURPOSE])).await;
    over.openai_error(413, "too_large");
    upload(&bench, "c", "12").await;
}

#[tokio::test]
async fn expired_file_is_not_there() {
    let (bench, clock) = bench_with_clock().await;
    let anchor: (&str, &[u8]) = ("name=\"expires_after[anchor]\"", b"created_at");
    let seconds: (&str, &[u8]) = ("name=\"expires_after[seconds]\"", b"3600");
    let parts = [anchor, seconds, PURPOSE, ("name=\"file\"; filename=\"a.txt\"", b"soon gone")];
    let file = bench.ask(form(&parts)).await.json();
    let life = file["expires_at"].as_i64().unwrap() - file["created_at"].as_i64().unwrap();
    assert_eq!(life, 3_600);
    let at = format!("/v1/files/{}", id(&file));
    assert_eq!(bench.get(&at).await.status, 200);
    clock.0.store(3_601, Ordering::SeqCst);
    let gone = |reply: Reply| reply.openai_error(404, "not_found");
    gone(bench.get(&at).await);
    gone(bench.get(&format!("{at}/content")).await);
    gone(bench.delete(&at).await);
    assert_eq!(bench.get("/v1/files").await.json()["data"], json!([]));
}
