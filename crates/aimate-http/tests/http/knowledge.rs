//! Collections and documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aimate_core::engine::EngineBuilder;
use aimate_core::knowledge::{NewCollection, NewDocument};
use aimate_core::testing::{HashEmbedder, ScriptedProvider, Step};
use aimate_core::user::User;
use aimate_core::{DocumentId, Role, Scope, UserId};
use aimate_http::Options;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::common::{Bench, Reply, builder, events, request};

pub(crate) const UNKNOWN: &str = "0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f";
pub(crate) const COLLECTIONS: &str = "/api/v1/knowledge/collections";
pub(crate) const DOCUMENTS: &str = "/api/v1/knowledge/documents";

pub(crate) const BOILER: &str = "# Boiler\n\nThe boiler in the cellar is serviced in May by the owner.\n";
pub(crate) const PUMP: &str = "# Pump\n\nThe pump runs at night, when electricity is cheap.\n";

/// A bench whose collections have vectors, with a folder for the bytes of
/// documents that goes with it.
pub(crate) struct Library {
    pub(crate) bench: Bench,
    pub(crate) folder: PathBuf,
    store: aimate_store::Store,
}

pub(crate) async fn library() -> Library {
    library_with([], Options::local(), |builder| builder).await
}

pub(crate) async fn library_with(
    scripts: impl IntoIterator<Item = Vec<Step>>,
    options: Options,
    more: impl FnOnce(EngineBuilder) -> EngineBuilder,
) -> Library {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("aimate-http-{}-{n}", std::process::id()));
    let blobs = aimate_store::Options { blobs: Some(folder.clone()), ..aimate_store::Options::default() };
    let store = aimate_store::connect_with("sqlite::memory:", blobs).await.unwrap();
    let provider = ScriptedProvider::new(scripts);
    let builder = builder(store.clone(), provider.clone())
        .provider_named(aimate_providers::BUILTIN, Arc::new(aimate_providers::Builtin))
        .embedder(Arc::new(HashEmbedder::new("hash", 256)));
    let engine = more(builder).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), options);
    Library { bench: Bench { engine, provider, router }, folder, store }
}

impl Library {
    /// A new collection's address.
    pub(crate) async fn collection(&self, name: &str) -> String {
        let reply = self.bench.post(COLLECTIONS, json!({"name": name})).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.header("location").to_owned()
    }

    /// Adds a text and waits until it can be found.
    pub(crate) async fn add(&self, collection: &str, name: &str, text: &str, metadata: Value) -> Value {
        let body = json!({"name": name, "text": text, "metadata": metadata});
        let reply = self.bench.post(&format!("{collection}/documents"), body).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        self.ready(&reply.json()).await
    }

    /// The document once it is `ready`.
    pub(crate) async fn ready(&self, document: &Value) -> Value {
        let scope = self.bench.engine.local_scope().await.unwrap();
        let id = id(document).parse::<DocumentId>().unwrap();
        self.bench.engine.knowledge(&scope).wait(id).await.unwrap();
        self.bench.get(&format!("{DOCUMENTS}/{id}")).await.json()
    }

    /// Two documents in a collection named `manuals`; its address.
    pub(crate) async fn manuals(&self) -> String {
        let at = self.collection("manuals").await;
        self.add(&at, "boiler.md", BOILER, json!({"year": 2026, "room": "cellar"})).await;
        self.add(&at, "pump.md", PUMP, json!({"year": 2020})).await;
        at
    }

    /// Another user of the tenant, with a collection and a document in it.
    pub(crate) async fn neighbour(&self) -> (Scope, String, String) {
        let mine = self.bench.engine.local_scope().await.unwrap();
        let sources = self.bench.engine.sources();
        let (user, now) = (sources.id::<UserId>(), sources.now());
        let scope = Scope { tenant: mine.tenant, user, role: Role::User };
        let row = User {
            id: user,
            key: None,
            email: Some("neighbour@example.org".to_owned()),
            name: "Neighbour".to_owned(),
            role: Role::User,
            is_active: true,
            settings: json!({}),
            created_at: now,
            updated_at: now,
        };
        self.store.stores().users.create(&scope, &row).await.unwrap();
        let theirs = self.bench.engine.knowledge(&scope);
        let collection = theirs.create_collection(NewCollection::new("theirs")).await.unwrap();
        let new = NewDocument::new("secret.md");
        let document = theirs.add_text_to(collection.id, new, "The secret boiler.".to_owned()).await.unwrap();
        theirs.wait(document.id).await.unwrap();
        (scope, collection.id.to_string(), document.id.to_string())
    }

    pub(crate) async fn documents(&self) -> Vec<Value> {
        let list = self.bench.get(DOCUMENTS).await.json();
        list["data"].as_array().unwrap().clone()
    }

    /// Asserts that no document is listed and no byte of one is kept.
    pub(crate) async fn nothing_stored(&self) {
        assert_eq!(self.documents().await, Vec::<Value>::new());
        assert_eq!(files(&self.folder), Vec::<PathBuf>::new());
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// All files at or below `folder`.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

pub(crate) fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

/// The path of the first wrong field.
pub(crate) fn field(problem: &Value) -> &str {
    problem["errors"][0]["path"].as_str().unwrap_or_default()
}

/// A GET with a header.
fn get_with(path: &str, name: &str, value: &str) -> Request<Body> {
    let mut request = request(Method::GET, path, None);
    request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    request
}

fn names(reply: &Reply) -> Vec<String> {
    let list = reply.json();
    let data = list["data"].as_array().unwrap_or_else(|| panic!("{list}"));
    data.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn collection_is_made_changed_and_deleted() {
    let library = library().await;
    let bench = &library.bench;
    let new = json!({"name": "manuals", "description": "Of the house", "chunking": {"size": 500},
        "metadata": {"a": 1}});
    let reply = bench.post(COLLECTIONS, new).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let at = reply.header("location").to_owned();
    let made = reply.json();
    assert_eq!(at, format!("{COLLECTIONS}/{}", id(&made)));
    assert_eq!(made["chunking"], json!({"size": 500, "overlap": 200}));
    assert_eq!((&made["space"]["name"], &made["space"]["dimensions"]), (&json!("local/hash"), &json!(256)));
    assert_eq!(bench.get(&at).await.json(), made);
    assert_eq!(names(&bench.get(COLLECTIONS).await), ["manuals"]);
    let spaces = bench.get(&format!("{at}/spaces")).await.json();
    assert_eq!((&spaces["data"][0]["status"], &spaces["next_cursor"]), (&json!("active"), &Value::Null));
    let changed = bench.patch(&at, json!({"name": "papers", "embedder": "none"})).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!((&changed.json()["name"], &changed.json()["space"]), (&json!("papers"), &Value::Null));
    library.add(&at, "a.md", BOILER, json!({})).await;
    assert_eq!(bench.get(&at).await.json()["document_count"], 1);
    assert_eq!(bench.delete(&at).await.status, 204);
    bench.get(&at).await.problem(404, "not_found");
    library.nothing_stored().await;
}

#[tokio::test]
async fn wrong_collections_are_refused() {
    let library = library().await;
    let bench = &library.bench;
    let at = library.collection("taken").await;
    for (body, wrong) in [
        (json!({}), ""),
        (json!({"name": " "}), "name"),
        (json!({"name": "x".repeat(201)}), "name"),
        (json!({"name": "x", "chunking": {"size": 5}}), "chunking.size"),
        (json!({"name": "x", "chunking": {"overlap": 900}}), "chunking.overlap"),
        (json!({"name": "x", "chunking": {"sise": 900}}), "chunking.sise"),
        (json!({"name": "x", "metadata": {"a": "x".repeat(70_000)}}), "metadata"),
        (json!({"name": "x", "colour": 1}), "colour"),
    ] {
        let problem = bench.post(COLLECTIONS, body).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
    }
    bench.post(COLLECTIONS, json!({"name": "taken"})).await.problem(409, "conflict");
    bench.post(COLLECTIONS, json!({"name": "x", "embedder": "local/none"})).await.problem(404, "not_found");
    bench.patch(&at, json!({"chunking": {"size": 1}})).await.problem(400, "invalid");
    assert_eq!(names(&bench.get(COLLECTIONS).await), ["taken"]);
}

#[tokio::test]
async fn text_becomes_a_document() {
    let library = library().await;
    let bench = &library.bench;
    let at = library.collection("manuals").await;
    let body = json!({"name": "boiler.md", "text": BOILER, "source": "shelf:1", "metadata": {"year": 2026}});
    let reply = bench.post(&format!("{at}/documents"), body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let added = reply.json();
    assert_eq!(reply.header("location"), format!("{DOCUMENTS}/{}", id(&added)));
    assert!(["pending", "processing", "ready"].contains(&added["status"].as_str().unwrap()));
    assert_eq!((&added["size"], &added["media_type"]), (&json!(BOILER.len()), &json!("text/markdown")));
    let ready = library.ready(&added).await;
    assert_eq!((&ready["status"], &ready["progress"]), (&json!("ready"), &json!(1.0)));
    assert_eq!((&ready["title"], &ready["name"]), (&json!("Boiler"), &json!("boiler.md")));
    assert_eq!((&ready["source"], &ready["metadata"]), (&json!("shelf:1"), &json!({"year": 2026})));
    assert_eq!((&ready["chunk_count"], ready.get("error")), (&json!(1), None));
    assert_eq!(ready["content_hash"].as_str().unwrap().len(), 64);
    let again = json!({"name": "boiler.md", "text": PUMP, "source": "shelf:1"});
    let again = bench.post(&format!("{at}/documents"), again).await.json();
    assert_eq!(id(&again), id(&added), "the same source is the same document");
    library.ready(&again).await;
    assert_eq!(library.documents().await.len(), 1);
}

#[tokio::test]
async fn wrong_texts_are_refused_and_nothing_is_stored() {
    let library = library().await;
    let bench = &library.bench;
    let at = format!("{}/documents", library.collection("manuals").await);
    let long = "x".repeat(4_001);
    for (body, wrong) in [
        (json!({}), "text"),
        (json!({"name": "x"}), "text"),
        (json!({"text": "x"}), "name"),
        (json!({"name": "x", "text": " \n"}), "text"),
        (json!({"name": "", "text": "x"}), "name"),
        (json!({"name": "\0", "text": "x"}), "name"),
        (json!({"name": long, "text": "x"}), "name"),
        (json!({"name": "x", "text": "x", "source": long}), "source"),
        (json!({"name": "x", "text": "x", "source": ""}), "source"),
        (json!({"name": "x", "text": "x", "url": "http://example.org/"}), "url"),
        (json!({"name": "x", "text": "x", "metadata": [1]}), "metadata"),
        (json!({"name": "x", "text": "x", "metadata": {"a": "x".repeat(70_000)}}), "metadata"),
        (json!({"name": "x", "text": "x", "media_type": "text/html\r\nx: y"}), "media_type"),
        (json!({"name": "x", "text": "x", "titel": 1}), "titel"),
        (json!({"name": "x", "text": 7}), "text"),
    ] {
        let problem = bench.post(&at, body).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
    }
    let problem = bench.post(&at, json!({"name": long, "text": "x"})).await.problem(400, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("4000"), "{problem}");
    let mut broken = request(Method::POST, &at, Some(json!({})));
    *broken.body_mut() = Body::from("{\"name\":");
    bench.ask(broken).await.problem(400, "invalid");
    bench
        .post(&format!("{COLLECTIONS}/{UNKNOWN}/documents"), json!({"name": "x", "text": "x"}))
        .await
        .problem(404, "not_found");
    library.nothing_stored().await;
}

#[tokio::test]
async fn sec_t31_names_are_never_paths() {
    let library = library().await;
    let at = library.collection("manuals").await;
    for name in
        ["../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x", ".", "..", "a\r\nb", "😀.md"]
    {
        let document = library.add(&at, name, BOILER, json!({})).await;
        assert_eq!(document["name"], name);
        let content = library.bench.get(&format!("{DOCUMENTS}/{}/content", id(&document))).await;
        assert_eq!(content.status, 200);
        let disposition = content.header("content-disposition");
        assert!(!disposition.contains("/") && !disposition.contains("%2F"), "{disposition}");
    }
    for file in files(&library.folder) {
        assert!(!file.display().to_string().contains("passwd"), "{}", file.display());
    }
}

#[tokio::test]
async fn documents_are_listed_by_collection_and_status() {
    let library = library().await;
    let bench = &library.bench;
    let (one, other) = (library.manuals().await, library.collection("other").await);
    library.add(&other, "c.md", "Something else.", json!({})).await;
    let empty = json!({"name": "empty.pdf", "text": "no pdf", "media_type": "application/pdf"});
    let failed = bench.post(&format!("{other}/documents"), empty).await.json();
    let one = one.rsplit_once('/').unwrap().1.to_owned();
    let events = bench.get(&format!("{DOCUMENTS}/{}/events", id(&failed))).await;
    let last = crate::common::events(&events.body).pop().unwrap().data;
    for (query, expected) in [
        ("", 4),
        (&format!("?collection_id={one}"), 2),
        (&format!("?collection_id={one}&status=ready"), 2),
        (&format!("?collection_id={one}&status=failed"), 0),
        (&format!("?collection_id={UNKNOWN}"), 0),
        ("?status=pending", 0),
    ] {
        let list = bench.get(&format!("{DOCUMENTS}{query}")).await;
        assert_eq!(names(&list).len(), expected, "{query} {last}");
    }
    let first = bench.get(&format!("{DOCUMENTS}?limit=3")).await;
    assert_eq!(names(&first), ["empty.pdf", "c.md", "pump.md"]);
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = bench.get(&format!("{DOCUMENTS}?limit=3&cursor={cursor}")).await;
    assert_eq!((names(&rest), &rest.json()["next_cursor"]), (vec!["boiler.md".to_owned()], &Value::Null));
    for (query, wrong) in [
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("status=done", "status"),
        ("collection_id=x", "collection_id"),
        ("colection_id=x", "colection_id"),
    ] {
        let problem = bench.get(&format!("{DOCUMENTS}?{query}")).await.problem(400, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains(wrong), "{problem}");
    }
}

#[tokio::test]
async fn chunks_are_paged_by_their_place() {
    let library = library().await;
    let bench = &library.bench;
    let at =
        library.bench.post(COLLECTIONS, json!({"name": "a", "chunking": {"size": 100, "overlap": 0}})).await;
    let text: String =
        (0..40).map(|n| format!("Sentence number {n} of the long manual stands here.\n\n")).collect();
    let document = library.add(at.header("location"), "long.md", &text, json!({})).await;
    let count = document["chunk_count"].as_u64().unwrap();
    assert!(count > 10, "{document}");
    let path = format!("{DOCUMENTS}/{}/chunks", id(&document));
    let (mut all, mut next) = (Vec::new(), format!("{path}?limit=7"));
    loop {
        let page = bench.get(&next).await.json();
        all.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{path}?limit=7&cursor={cursor}");
    }
    assert_eq!(all.len() as u64, count);
    for (n, chunk) in all.iter().enumerate() {
        assert_eq!(chunk["index"], n);
        let (start, end) = (chunk["start"].as_u64().unwrap(), chunk["end"].as_u64().unwrap());
        let stretch: String = text.chars().skip(start as usize).take((end - start) as usize).collect();
        assert_eq!(chunk["text"], stretch);
    }
    let some = bench.get(&format!("{path}?from=3&limit=2")).await.json();
    assert_eq!((&some["data"][0]["index"], &some["next_cursor"]), (&json!(3), &json!("5")));
    let none = bench.get(&format!("{path}?from=4000000000")).await.json();
    assert_eq!(none, json!({"data": [], "next_cursor": null}));
    for query in ["limit=0", "limit=201", "from=-1", "cursor=x", "from=1&cursor=2", "to=3"] {
        bench.get(&format!("{path}?{query}")).await.problem(400, "invalid");
    }
}

#[tokio::test]
async fn original_comes_back_as_it_was() {
    let library = library().await;
    let bench = &library.bench;
    let at = library.collection("manuals").await;
    let document = library.add(&at, "Übung \"1\".md", BOILER, json!({})).await;
    let path = format!("{DOCUMENTS}/{}/content", id(&document));
    let content = bench.get(&path).await;
    assert_eq!((content.status.as_u16(), content.body.as_str()), (200, BOILER));
    assert_eq!(content.header("content-type"), "text/markdown; charset=utf-8");
    assert_eq!(content.header("content-disposition"), "inline; filename*=UTF-8''%C3%9Cbung%20%221%22.md");
    assert_eq!(content.header("x-content-type-options"), "nosniff");
    assert!(content.header("content-security-policy").starts_with("sandbox"));
    assert_eq!(content.header("content-length"), BOILER.len().to_string());
    let part = bench.ask(get_with(&path, "range", "bytes=2-7")).await;
    assert_eq!((part.status.as_u16(), part.body.as_str()), (206, &BOILER[2..8]));
    assert_eq!(part.header("content-range"), format!("bytes 2-7/{}", BOILER.len()));
    bench.ask(get_with(&path, "range", "bytes=900-")).await.problem(416, "invalid");
    let mut newer = get_with(&path, "range", "bytes=2-7");
    newer.headers_mut().insert("if-range", "\"x\"".parse().unwrap());
    assert_eq!(bench.ask(newer).await.status, 200);
    let known = get_with(&path, "if-none-match", content.header("etag"));
    assert_eq!(bench.ask(known).await.status, 304);
    let head = bench.ask(request(Method::HEAD, &path, None)).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), BOILER.len().to_string());
}

#[tokio::test]
async fn sec_t26_pages_that_could_run_scripts_are_saved() {
    let library = library().await;
    let at = library.collection("manuals").await;
    for (name, media_type) in [("a.html", "text/html"), ("a.svg", "image/svg+xml"), ("a.xml", "text/xml")] {
        let text = "<html><body><script>alert(1)</script>Boiler</body></html>";
        let body = json!({"name": name, "text": text, "media_type": media_type});
        let document = library.bench.post(&format!("{at}/documents"), body).await.json();
        let content = library.bench.get(&format!("{DOCUMENTS}/{}/content", id(&document))).await;
        assert!(content.header("content-disposition").starts_with("attachment;"), "{media_type}");
        assert!(content.header("content-security-policy").starts_with("sandbox"));
        assert_eq!(content.header("x-content-type-options"), "nosniff");
    }
    let pdf = json!({"name": "a.pdf", "text": "%PDF-1.4", "media_type": "application/pdf"});
    let document = library.bench.post(&format!("{at}/documents"), pdf).await.json();
    let content = library.bench.get(&format!("{DOCUMENTS}/{}/content", id(&document))).await;
    assert!(content.header("content-disposition").starts_with("inline;"));
    assert_eq!(content.header("content-security-policy"), "frame-ancestors 'self'");
}

/// A browser splits a `Content-Type` at its comma and takes the last type, where
/// a parser that looks for the first semicolon sees a PDF.
#[tokio::test]
async fn sec_t26_media_type_that_is_read_in_two_ways_is_neither_stored_nor_served() {
    let library = library().await;
    let at = format!("{}/documents", library.collection("manuals").await);
    let page = "<script>alert(document.domain)</script>";
    for media_type in [
        "application/pdf ;, text/html",
        "application/pdf, text/html",
        "text/plain;,text/html",
        "image/png\ttext/html",
        "application/pdf; x",
        "text",
    ] {
        let body = json!({"name": "a", "text": page, "media_type": media_type});
        let problem = library.bench.post(&at, body).await.problem(400, "invalid");
        assert_eq!(problem["errors"][0]["path"], "media_type", "{media_type}");
    }
    let body = json!({"name": "a", "text": page, "media_type": "Application/PDF ;x=\"text/html\""});
    let document = library.bench.post(&at, body).await.json();
    assert_eq!(document["media_type"], "application/pdf");
    let content = library.bench.get(&format!("{DOCUMENTS}/{}/content", id(&document))).await;
    assert_eq!(content.header("content-type"), "application/pdf");
}

#[tokio::test]
async fn events_tell_until_it_is_ready() {
    let library = library().await;
    let bench = &library.bench;
    let at = library.collection("manuals").await;
    let body = json!({"name": "boiler.md", "text": BOILER.repeat(50)});
    let document = bench.post(&format!("{at}/documents"), body).await.json();
    let path = format!("{DOCUMENTS}/{}/events", id(&document));
    let stream = bench.get(&path).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    let told = events(&stream.body);
    assert!(told.iter().all(|event| event.name == "document" && id(&event.data) == id(&document)));
    let last = told.last().unwrap();
    assert_eq!(last.data["status"], "ready");
    assert_eq!(last.data, bench.get(&format!("{DOCUMENTS}/{}", id(&document))).await.json());
    let known = last.id.to_string();
    assert_eq!(bench.ask(get_with(&path, "last-event-id", &known)).await.status, 204);
    assert_eq!(events(&bench.ask(get_with(&path, "last-event-id", "1")).await.body).len(), 1);
    bench.ask(get_with(&path, "last-event-id", "x")).await.problem(400, "invalid");
}

#[tokio::test]
async fn unreadable_document_fails_with_a_reason() {
    let library = library().await;
    let at = library.collection("manuals").await;
    let body = json!({"name": "a.docx", "text": "PK\u{3}\u{4} is how an archive begins, but this is none"});
    let reply = library.bench.post(&format!("{at}/documents"), body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let stream = library.bench.get(&format!("{DOCUMENTS}/{}/events", id(&reply.json()))).await;
    let last = events(&stream.body).pop().unwrap().data;
    assert_eq!(last["status"], "failed", "{last}");
    assert!(!last["error"]["code"].as_str().unwrap().is_empty());
    assert!(last["error"]["detail"].as_str().unwrap().len() > 10, "{last}");
}

#[tokio::test]
async fn failed_document_is_read_again() {
    let library = library().await;
    let bench = &library.bench;
    let at = library.collection("manuals").await;
    let body = json!({"name": "a.docx", "text": "PK\u{3}\u{4} is how an archive begins, but this is none"});
    let document = bench.post(&format!("{at}/documents"), body).await.json();
    let path = format!("{DOCUMENTS}/{}", id(&document));
    bench.get(&format!("{path}/events")).await;
    let failed = bench.get(&path).await.json();
    assert_eq!(failed["status"], "failed", "{failed}");
    let retried = bench.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!(
        (retried.status.as_u16(), retried.header("location")),
        (202, path.as_str()),
        "{}",
        retried.body
    );
    assert_eq!((&retried.json()["status"], &retried.json()["error"]), (&json!("pending"), &Value::Null));
    // The bytes are what they were, and so is what comes of them.
    bench.get(&format!("{path}/events")).await;
    let again = bench.get(&path).await.json();
    assert_eq!((&again["status"], &again["error"]), (&failed["status"], &failed["error"]));
    bench.post(&format!("{DOCUMENTS}/{UNKNOWN}/retry"), json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn cancel_and_delete() {
    let library = library_with([], Options::local(), |builder| builder.readers(0)).await;
    let bench = &library.bench;
    let at = library.collection("manuals").await;
    let body = json!({"name": "boiler.md", "text": BOILER});
    let document = bench.post(&format!("{at}/documents"), body).await.json();
    let path = format!("{DOCUMENTS}/{}", id(&document));
    assert_eq!(bench.get(&path).await.json()["status"], "pending");
    for _ in 0..2 {
        let cancelled = bench.post(&format!("{path}/cancel"), json!({})).await;
        assert_eq!(cancelled.status, 200, "{}", cancelled.body);
        assert_eq!(cancelled.json()["status"], "failed");
        assert_eq!(cancelled.json()["error"]["code"], "cancelled");
    }
    assert_eq!(files(&library.folder).len(), 1);
    assert_eq!(bench.delete(&path).await.status, 204);
    bench.delete(&path).await.problem(404, "not_found");
    library.nothing_stored().await;
}

#[tokio::test]
async fn what_is_anothers_is_not_found() {
    let library = library().await;
    let bench = &library.bench;
    let (scope, collection, document) = library.neighbour().await;
    for (collection, document) in
        [(&collection[..], &document[..]), (UNKNOWN, UNKNOWN), ("x", ".."), ("1", "1")]
    {
        for path in [
            format!("{COLLECTIONS}/{collection}"),
            format!("{COLLECTIONS}/{collection}/spaces"),
            format!("{DOCUMENTS}/{document}"),
            format!("{DOCUMENTS}/{document}/chunks"),
            format!("{DOCUMENTS}/{document}/content"),
            format!("{DOCUMENTS}/{document}/events"),
        ] {
            bench.get(&path).await.problem(404, "not_found");
        }
        let at = format!("{COLLECTIONS}/{collection}");
        bench.patch(&at, json!({"name": "mine"})).await.problem(404, "not_found");
        bench.delete(&at).await.problem(404, "not_found");
        let new = json!({"name": "x", "text": "x"});
        bench.post(&format!("{at}/documents"), new).await.problem(404, "not_found");
        bench.delete(&format!("{DOCUMENTS}/{document}")).await.problem(404, "not_found");
        bench.post(&format!("{DOCUMENTS}/{document}/cancel"), json!({})).await.problem(404, "not_found");
    }
    for name in [&collection[..], "theirs", UNKNOWN, "none"] {
        let search = json!({"query": "boiler", "collections": [name]});
        bench.post("/api/v1/knowledge/search", search).await.problem(404, "not_found");
    }
    let list = bench.get(&format!("{DOCUMENTS}?collection_id={collection}")).await.json();
    assert_eq!(list["data"], json!([]));
    assert_eq!(bench.get(COLLECTIONS).await.json()["data"], json!([]));
    let found = bench.post("/api/v1/knowledge/search", json!({"query": "boiler"})).await.json();
    assert_eq!(found["data"], json!([]));
    let theirs = bench.engine.knowledge(&scope).document(document.parse().unwrap()).await.unwrap();
    assert_eq!(theirs.name, "secret.md");
}
