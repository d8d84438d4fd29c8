//! `/v1/uploads`, as OpenAI's clients use them.

use std::sync::atomic::Ordering;

use http::header::CONTENT_LENGTH;
use serde_json::{Value, json};

use crate::common::{Bench, Reply, bench};
use crate::file::{bench_with_clock, form, id};

const UPLOADS: &str = "/v1/uploads";
const UNKNOWN: &str = "upload_0190a5d27c1e7cc398c4dc0c0c07398f";

fn new(bytes: u64) -> Value {
    json!({"filename": "Übung — 会議.md", "purpose": "user_data", "bytes": bytes, "mime_type": "text/markdown"})
}

async fn begun(bench: &Bench, bytes: u64) -> Value {
    let reply = bench.post(UPLOADS, new(bytes)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn send(bench: &Bench, upload: &str, parts: &[(&str, &[u8])]) -> Reply {
    let mut request = form(parts);
    *request.uri_mut() = format!("{UPLOADS}/{upload}/parts").parse().unwrap();
    bench.ask(request).await
}

async fn part(bench: &Bench, upload: &Value, bytes: &[u8]) -> String {
    let reply = send(bench, id(upload), &[("name=\"data\"; filename=\"blob\"", bytes)]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let part = reply.json();
    let expected = json!({
        "id": id(&part), "object": "upload.part", "created_at": part["created_at"], "upload_id": id(upload),
    });
    assert_eq!(part, expected);
    assert!(id(&part).starts_with("part_") && part["created_at"].is_i64(), "{part}");
    id(&part).to_owned()
}

async fn complete(bench: &Bench, upload: &Value, body: Value) -> Reply {
    bench.post(&format!("{UPLOADS}/{}/complete", id(upload)), body).await
}

#[tokio::test]
async fn parts_become_a_file_in_the_order_that_is_named() {
    let bench = bench([]).await;
    let upload = begun(&bench, 17).await;
    let expected = json!({
        "id": id(&upload), "object": "upload", "bytes": 17, "created_at": upload["created_at"],
        "expires_at": upload["created_at"].as_i64().unwrap() + 3_600, "filename": "Übung — 会議.md",
        "purpose": "user_data", "status": "pending", "file": null,
    });
    assert_eq!(upload, expected);
    assert!(id(&upload).starts_with("upload_"), "{upload}");
    let last = part(&bench, &upload, b"In May.").await;
    // Sent twice, since nobody knew whether it came.
    part(&bench, &upload, b"# Boiler\n\n").await;
    let first = part(&bench, &upload, b"# Boiler\n\n").await;
    assert_eq!(bench.get("/v1/files").await.json()["data"], json!([]));
    // Of `# Boiler\n\nIn May.`
    let md5 = "c6f89d3abc8fa804aad9994dc27a1aef";
    let body = json!({"part_ids": [first, last], "md5": md5});
    let completed = complete(&bench, &upload, body.clone()).await;
    assert_eq!(completed.status, 200, "{}", completed.body);
    let completed = completed.json();
    let file = &completed["file"];
    assert_eq!((&completed["status"], &completed["id"]), (&json!("completed"), &upload["id"]));
    assert_eq!((&file["object"], &file["bytes"]), (&json!("file"), &json!(17)));
    assert_eq!((&file["filename"], &file["purpose"]), (&upload["filename"], &upload["purpose"]));
    assert_eq!(bench.get(&format!("/v1/files/{}", id(file))).await.json(), *file);
    let content = bench.get(&format!("/v1/files/{}/content", id(file))).await;
    assert_eq!(content.body, "# Boiler\n\nIn May.");
    // A client that got no answer asks again.
    assert_eq!(complete(&bench, &upload, body).await.json(), completed);
    assert_eq!(bench.get("/v1/files").await.json()["data"].as_array().unwrap().len(), 1);
    let closed = send(&bench, id(&upload), &[("name=\"data\"", b"x")]).await;
    closed.openai_error(400, "invalid");
    bench.post(&format!("{UPLOADS}/{}/cancel", id(&upload)), json!({})).await.openai_error(400, "invalid");
    // It can be attached like any other.
    let store = bench.post("/v1/vector_stores", json!({"file_ids": [id(file)]})).await.json();
    assert_eq!(store["file_counts"]["completed"], 1, "{store}");
}

#[tokio::test]
async fn wrong_uploads_are_refused() {
    let bench = bench([]).await;
    let with = |field: &str, value: Value| {
        let mut body = new(1);
        body[field] = value;
        body
    };
    for (body, param) in [
        (with("bytes", json!(0)), "bytes"),
        (with("bytes", json!((1_u64 << 30) + 1)), "bytes"),
        (with("bytes", json!(-1)), "bytes"),
        (with("filename", json!(" ")), "filename"),
        (with("filename", json!("x".repeat(4_001))), "filename"),
        (with("purpose", json!("fun")), "purpose"),
        (with("expires_after", json!({"anchor": "created_at", "seconds": 3_599})), "expires_after"),
        (
            with("expires_after", json!({"anchor": "last_active_at", "seconds": 3_600})),
            "expires_after.anchor",
        ),
    ] {
        let error = bench.post(UPLOADS, body.clone()).await.openai_error(400, "invalid");
        assert_eq!(error["param"], param, "{body}: {error}");
    }
    // As the example of a client has it.
    assert_eq!(bench.post(UPLOADS, with("mime_type", json!("pdf"))).await.status, 200);
    for missing in ["filename", "purpose", "bytes"] {
        let mut body = new(1);
        body.as_object_mut().unwrap().remove(missing);
        bench.post(UPLOADS, body).await.openai_error(400, "invalid");
    }
}

#[tokio::test]
async fn wrong_parts_are_refused_and_not_kept() {
    let bench = bench([]).await;
    let upload = begun(&bench, 4).await;
    for parts in [
        vec![],
        vec![("name=\"other\"", &b"x"[..])],
        vec![("name=\"data\"", &b""[..])],
        vec![("name=\"data\"", &b"12345"[..])],
    ] {
        let error = send(&bench, id(&upload), &parts).await.openai_error(400, "invalid");
        assert_eq!(error["param"], "data", "{error}");
    }
    let mut large = form(&[("name=\"data\"", b"x")]);
    *large.uri_mut() = format!("{UPLOADS}/{}/parts", id(&upload)).parse().unwrap();
    large.headers_mut().insert(CONTENT_LENGTH, (66_u64 << 20).into());
    bench.ask(large).await.openai_error(413, "too_large");
    let json = bench.post(&format!("{UPLOADS}/{}/parts", id(&upload)), json!({"data": "x"})).await;
    json.openai_error(400, "invalid");
    // Twice as much as the file is all that parts may have.
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(part(&bench, &upload, b"12").await);
    }
    let error = send(&bench, id(&upload), &[("name=\"data\"", b"1")]).await.openai_error(400, "invalid");
    assert_eq!(error["param"], "data", "{error}");
    let other = begun(&bench, 4).await;
    let foreign = part(&bench, &other, b"1234").await;
    let [a, b] = [&ids[0], &ids[1]];
    for (body, param) in [
        (json!({}), ""),
        (json!({"part_ids": []}), "part_ids"),
        (json!({"part_ids": [a]}), "part_ids"),
        (json!({"part_ids": [a, b, ids[2]]}), "part_ids"),
        (json!({"part_ids": [a, a]}), "part_ids[1]"),
        (json!({"part_ids": [foreign]}), "part_ids[0]"),
        (json!({"part_ids": [a, "part_x"]}), "part_ids[1]"),
        (json!({"part_ids": vec!["part_x"; 1_001]}), "part_ids"),
        (json!({"part_ids": [a, b], "md5": "00112233445566778899aabbccddeeff"}), "md5"),
    ] {
        let error = complete(&bench, &upload, body.clone()).await.openai_error(400, "invalid");
        if !param.is_empty() {
            assert_eq!(error["param"], param, "{body}: {error}");
        }
    }
    assert_eq!(bench.get("/v1/files").await.json()["data"], json!([]));
    // It is as it was.
    assert_eq!(complete(&bench, &upload, json!({"part_ids": [a, b]})).await.status, 200);
}

#[tokio::test]
async fn cancelled_and_expired_uploads_are_over() {
    let (bench, clock) = bench_with_clock().await;
    let upload = begun(&bench, 2).await;
    let first = part(&bench, &upload, b"12").await;
    for _ in 0..2 {
        let cancelled = bench.post(&format!("{UPLOADS}/{}/cancel", id(&upload)), json!({})).await.json();
        assert_eq!((&cancelled["status"], &cancelled["file"]), (&json!("cancelled"), &Value::Null));
    }
    complete(&bench, &upload, json!({"part_ids": [first]})).await.openai_error(400, "invalid");
    send(&bench, id(&upload), &[("name=\"data\"", b"1")]).await.openai_error(400, "invalid");
    let late = begun(&bench, 2).await;
    let part = part(&bench, &late, b"12").await;
    clock.0.store(3_600, Ordering::SeqCst);
    for gone in [id(&late), UNKNOWN, "upload_x", "file-0190a5d27c1e7cc398c4dc0c0c07398f"] {
        for reply in [
            send(&bench, gone, &[("name=\"data\"", b"1")]).await,
            bench.post(&format!("{UPLOADS}/{gone}/complete"), json!({"part_ids": [part]})).await,
            bench.post(&format!("{UPLOADS}/{gone}/cancel"), json!({})).await,
        ] {
            let error = reply.openai_error(404, "not_found");
            assert!(error["message"].as_str().unwrap().contains(gone), "{error}");
        }
    }
}
