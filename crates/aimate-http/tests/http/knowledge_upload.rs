//! Files that are sent as forms.

use std::convert::Infallible;
use std::time::Duration;

use aimate_http::Options;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::common::{Reply, until};
use crate::knowledge::{
    BOILER, COLLECTIONS, DOCUMENTS, Library, UNKNOWN, field, files, id, library, library_with,
};

const BOUNDARY: &str = "----aimate";

fn post(path: &str, body: Body) -> Request<Body> {
    Request::post(path)
        .header("host", "127.0.0.1:3000")
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(body)
        .unwrap()
}

/// A part: what names it, and its content.
fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body: Vec<u8> =
        parts.iter().flat_map(|(disposition, content)| part(disposition, content)).collect();
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

async fn send(library: &Library, parts: &[(&str, &[u8])]) -> Reply {
    let at = library.bench.get(COLLECTIONS).await.json()["data"][0]["id"].as_str().unwrap().to_owned();
    library.bench.ask(post(&format!("{COLLECTIONS}/{at}/documents"), Body::from(form(parts)))).await
}

#[tokio::test]
async fn file_becomes_a_document() {
    let library = library().await;
    library.collection("manuals").await;
    let reply = send(&library, &[("name=\"file\"; filename=\"boiler.md\"", BOILER.as_bytes())]).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let added = reply.json();
    assert_eq!(reply.header("location"), format!("{DOCUMENTS}/{}", id(&added)));
    assert_eq!((&added["name"], &added["size"]), (&json!("boiler.md"), &json!(BOILER.len())));
    let ready = library.ready(&added).await;
    assert_eq!((&ready["status"], &ready["media_type"]), (&json!("ready"), &json!("text/markdown")));
    let content = library.bench.get(&format!("{DOCUMENTS}/{}/content", id(&added))).await;
    assert_eq!(content.body, BOILER);
}

#[tokio::test]
async fn parts_before_the_file_describe_it() {
    let library = library().await;
    library.collection("manuals").await;
    let reply = send(
        &library,
        &[
            ("name=\"metadata\"", br#"{"year": 2026}"#),
            ("name=\"source\"", b"shelf:1"),
            ("name=\"media_type\"", b"text/plain"),
            ("name=\"name\"", "Übung.txt".as_bytes()),
            ("name=\"file\"; filename=\"x.bin\"", BOILER.as_bytes()),
        ],
    )
    .await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let added = reply.json();
    assert_eq!((&added["name"], &added["source"]), (&json!("Übung.txt"), &json!("shelf:1")));
    assert_eq!((&added["metadata"], &added["media_type"]), (&json!({"year": 2026}), &json!("text/plain")));
}

#[tokio::test]
async fn wrong_forms_are_refused_and_nothing_is_kept() {
    let library = library().await;
    library.collection("manuals").await;
    let file: (&str, &[u8]) = ("name=\"file\"; filename=\"a.md\"", b"text");
    let long = format!("name=\"file\"; filename=\"{}\"", "x".repeat(4_001));
    let huge = vec![b'x'; 200_000];
    for (parts, wrong) in [
        (vec![], "file"),
        (vec![("name=\"name\"", &b"x"[..])], "file"),
        (vec![("name=\"document\"; filename=\"a.md\"", &b"x"[..])], "document"),
        (vec![("name=\"file\"", &b"x"[..])], "name"),
        (vec![("name=\"file\"; filename=\"\"", &b""[..])], "name"),
        (vec![(&long, &b"x"[..])], "name"),
        (vec![("name=\"name\"", &b"\0"[..]), file], "name"),
        (vec![("name=\"name\"", &b"\xff"[..]), file], "name"),
        (vec![("name=\"name\"", &b"a"[..]), ("name=\"name\"", &b"b"[..]), file], "name"),
        (vec![("name=\"metadata\"", &b"{"[..]), file], "metadata"),
        (vec![("name=\"metadata\"", &b"[1]"[..]), file], "metadata"),
        (vec![("name=\"metadata\"", &huge[..]), file], "metadata"),
        (vec![("name=\"media_type\"", &b"x"[..]), file], "media_type"),
        (vec![file, ("name=\"metadata\"", &b"{}"[..])], "file"),
        (vec![file, file], "file"),
    ] {
        let problem = send(&library, &parts).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
    }
    library.nothing_stored().await;
}

#[tokio::test]
async fn sec_t32_broken_boundaries_are_refused() {
    let library = library().await;
    let path = format!("{}/documents", library.collection("manuals").await);
    let whole = form(&[("name=\"file\"; filename=\"a.md\"", BOILER.as_bytes())]);
    let with = |kind: &str, body: Vec<u8>| {
        let mut request = post(&path, Body::from(body));
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        request
    };
    for (kind, body) in [
        ("multipart/form-data", whole.clone()),
        ("multipart/form-data; boundary=", whole.clone()),
        ("multipart/form-data; boundary=other", whole.clone()),
        (&format!("multipart/form-data; boundary={}", "x".repeat(100)), whole.clone()),
        (&format!("multipart/form-data; boundary={BOUNDARY}"), Vec::new()),
        (&format!("multipart/form-data; boundary={BOUNDARY}"), b"nonsense".to_vec()),
        (&format!("multipart/form-data; boundary={BOUNDARY}"), whole[..whole.len() - 6].to_vec()),
        (&format!("multipart/form-data; boundary={BOUNDARY}"), vec![b'x'; 1 << 20]),
    ] {
        library.bench.ask(with(kind, body)).await.problem(400, "invalid");
    }
    for kind in ["text/plain", "multipart/mixed; boundary=x", "application/pdf"] {
        let problem = library.bench.ask(with(kind, whole.clone())).await.problem(415, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains("multipart/form-data"), "{problem}");
    }
    library.nothing_stored().await;
}

#[tokio::test]
async fn unknown_collection_takes_no_bytes() {
    let library = library().await;
    let path = format!("{COLLECTIONS}/{UNKNOWN}/documents");
    let body = form(&[("name=\"file\"; filename=\"a.md\"", BOILER.as_bytes())]);
    library.bench.ask(post(&path, Body::from(body))).await.problem(404, "not_found");
    library.nothing_stored().await;
}

#[tokio::test]
async fn file_may_be_larger_than_other_bodies() {
    let options = Options::local().body_limit(1_000);
    let library = library_with([], options, |builder| builder.readers(0)).await;
    let path = format!("{}/documents", library.collection("manuals").await);
    let large = json!({"name": "a", "text": "x".repeat(2_000)});
    library.bench.post(&path, large).await.problem(413, "too_large");
    let head = part("name=\"file\"; filename=\"a.txt\"", b"");
    let head = Bytes::from(head[..head.len() - 2].to_vec());
    let pieces = stream::iter([head])
        .chain(stream::repeat(Bytes::from(vec![b'x'; 1 << 20])).take(40))
        .chain(stream::iter([Bytes::from(format!("\r\n--{BOUNDARY}--"))]));
    let body = Body::from_stream(pieces.map(Ok::<_, Infallible>));
    let reply = library.bench.ask(post(&path, body)).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    assert_eq!(reply.json()["size"], 40 << 20);
    let mut announced = post(&path, Body::empty());
    announced.headers_mut().insert("content-length", (2_u64 << 30).to_string().parse().unwrap());
    library.bench.ask(announced).await.problem(413, "too_large");
}

/// The beginning of a form, and nothing more for now.
fn begun() -> Vec<u8> {
    part("name=\"file\"; filename=\"a.txt\"", &vec![b'x'; 300_000])
}

#[tokio::test]
async fn sender_that_breaks_off_leaves_nothing() {
    let library = library().await;
    let path = format!("{}/documents", library.collection("manuals").await);
    let broken = stream::iter([Ok(Bytes::from(begun())), Err(std::io::Error::other("gone"))]);
    library.bench.ask(post(&path, Body::from_stream(broken))).await.problem(400, "invalid");
    library.nothing_stored().await;
    let hanging = stream::iter([Ok::<_, Infallible>(Bytes::from(begun()))]).chain(stream::pending());
    let request = library.bench.send(post(&path, Body::from_stream(hanging)));
    let dropped = tokio::time::timeout(Duration::from_millis(300), request).await;
    assert!(dropped.is_err());
    until(async || files(&library.folder).is_empty()).await;
    library.nothing_stored().await;
}

#[tokio::test]
async fn slow_sender_is_given_up() {
    let options = Options::local().body_timeout(Duration::from_millis(100));
    let library = library_with([], options, |builder| builder).await;
    let path = format!("{}/documents", library.collection("manuals").await);
    let hanging = stream::iter([Ok::<_, Infallible>(Bytes::from(begun()))]).chain(stream::pending());
    library.bench.ask(post(&path, Body::from_stream(hanging))).await.problem(408, "invalid");
    library.nothing_stored().await;
}

#[tokio::test]
async fn foreign_page_uploads_nothing() {
    let library = library().await;
    let path = format!("{}/documents", library.collection("manuals").await);
    let body = form(&[("name=\"file\"; filename=\"a.md\"", BOILER.as_bytes())]);
    let mut request = post(&path, Body::from(body));
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    library.bench.ask(request).await.problem(403, "forbidden");
    library.nothing_stored().await;
}

#[tokio::test]
async fn document_describes_the_form() {
    let library = library().await;
    let document: Value = library.bench.get("/openapi.json").await.json();
    let upload = &document["paths"]["/api/v1/knowledge/collections/{id}/documents"]["post"];
    let content = &upload["requestBody"]["content"];
    assert!(content["multipart/form-data"].is_object() && content["application/json"].is_object());
    assert!(upload["responses"]["202"].is_object());
    let schemas = &document["components"]["schemas"];
    for name in
        ["Document", "Collection", "SearchHit", "SearchBody", "Chunk", "Citation", "UploadForm", "Filter"]
    {
        assert!(schemas[name].is_object(), "{name}");
    }
    assert_eq!(library.bench.ask(crate::common::request(Method::DELETE, DOCUMENTS, None)).await.status, 405);
}

#[tokio::test]
async fn client_that_goes_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let library = library().await;
    let path = format!("{}/documents", library.collection("manuals").await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = library.bench.engine.clone();
    #[expect(clippy::disallowed_methods, reason = "the test is the process here")]
    tokio::spawn(aimate_http::serve(listener, engine, Options::local(), std::future::pending()));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000000\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    );
    stream.write_all(&[head.into_bytes(), begun()].concat()).await.unwrap();
    until(async || !files(&library.folder).is_empty()).await;
    drop(stream);
    until(async || files(&library.folder).is_empty()).await;
    library.nothing_stored().await;
}
