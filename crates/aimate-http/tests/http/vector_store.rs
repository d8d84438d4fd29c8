//! `/v1/vector_stores`, as OpenAI's clients use them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aimate_core::testing::{HashEmbedder, ScriptedProvider};
use aimate_http::Options;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Bench, Reply, bench, builder, request, until};
use crate::file::{bench_with_clock, form, id, upload};

const STORES: &str = "/v1/vector_stores";
const UNKNOWN: &str = "0190a5d27c1e7cc398c4dc0c0c07398f";

async fn store(bench: &Bench, body: Value) -> Value {
    let reply = bench.post(STORES, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

fn at(store: &Value) -> String {
    format!("{STORES}/{}", id(store))
}

async fn attach(bench: &Bench, store: &Value, body: Value) -> Value {
    let reply = bench.post(&format!("{}/files", at(store)), body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn search(bench: &Bench, store: &Value, body: Value) -> Vec<Value> {
    let reply = bench.post(&format!("{}/search", at(store)), body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"].as_array().unwrap().clone()
}

fn names(hits: &[Value]) -> Vec<&str> {
    hits.iter().map(|hit| hit["filename"].as_str().unwrap()).collect()
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(id).collect()
}

/// That there is none, with its id in the text.
fn missing(reply: &Reply, id: &str) {
    let error = reply.openai_error(404, "not_found");
    assert!(error["message"].as_str().unwrap().contains(id), "{error}");
}

#[tokio::test]
async fn store_is_a_collection() {
    let bench = bench([]).await;
    let made =
        store(&bench, json!({"name": "Manuals", "description": "Of boilers.", "metadata": {"a": "b"}})).await;
    let seconds = made["created_at"].as_i64().unwrap();
    let counts = json!({"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0});
    let expected = json!({
        "id": id(&made), "object": "vector_store", "created_at": seconds, "name": "Manuals",
        "description": "Of boilers.", "usage_bytes": 0, "file_counts": counts, "status": "completed",
        "last_active_at": seconds, "metadata": {"a": "b"},
    });
    assert_eq!(made, expected);
    assert!(id(&made).starts_with("vs_"));
    assert_eq!(bench.get(&at(&made)).await.json(), made);
    let collection = bench.get("/api/v1/knowledge/collections").await.json()["data"][0].take();
    assert_eq!(collection["name"], "Manuals");
    // And the other way round.
    let new = json!({"name": "plain", "metadata": {"n": 1, "t": "x"}});
    assert_eq!(bench.post("/api/v1/knowledge/collections", new).await.status, 201);
    let listed = bench.get(STORES).await.json();
    assert_eq!(
        (&listed["data"][0]["name"], &listed["data"][0]["metadata"]),
        (&json!("plain"), &json!({"t": "x"}))
    );
    // A name that was given there stays, whatever it is called here.
    let plain = listed["data"][0].clone();
    assert_eq!(bench.post(&at(&plain), json!({"name": "Manuals"})).await.json()["name"], "Manuals");
    let collection = bench.get("/api/v1/knowledge/collections").await.json()["data"][0].take();
    assert_eq!((&collection["name"], &collection["label"]), (&json!("plain"), &json!("Manuals")));
    let deleted = bench.delete(&at(&made)).await.json();
    assert_eq!(deleted, json!({"id": id(&made), "object": "vector_store.deleted", "deleted": true}));
    for reply in [bench.get(&at(&made)).await, bench.delete(&at(&made)).await] {
        missing(&reply, id(&made));
    }
}

#[tokio::test]
async fn names_may_be_missing_and_repeat() {
    let bench = bench([]).await;
    let empty = bench.ask(request(Method::POST, STORES, None)).await.json();
    assert_eq!(empty["name"], "");
    let mut stores = vec![empty];
    for body in [json!({}), json!({"name": ""}), json!({"name": "same"}), json!({"name": "same"})] {
        stores.push(store(&bench, body).await);
    }
    assert_eq!(stores[4]["name"], "same");
    let changed = bench.post(&at(&stores[0]), json!({"name": "same"})).await.json();
    assert_eq!((changed["name"].as_str(), id(&changed)), (Some("same"), id(&stores[0])));
    let collections = bench.get("/api/v1/knowledge/collections").await.json();
    let mut plain: Vec<_> =
        collections["data"].as_array().unwrap().iter().map(|found| found["name"].to_string()).collect();
    plain.sort();
    plain.dedup();
    assert_eq!(plain.len(), 5, "{plain:?}");
}

#[tokio::test]
async fn stores_are_listed_both_ways() {
    let bench = bench([]).await;
    let mut stores = Vec::new();
    for name in ["a", "b", "c"] {
        stores.push(store(&bench, json!({"name": name})).await);
    }
    let [a, b, c] = [id(&stores[0]), id(&stores[1]), id(&stores[2])];
    let list = async |query: String| bench.get(&format!("{STORES}{query}")).await.json();
    assert_eq!(ids(&list(String::new()).await), [c, b, a]);
    let page = list("?limit=2".into()).await;
    assert_eq!((ids(&page), &page["has_more"], &page["last_id"]), (vec![c, b], &json!(true), &json!(b)));
    assert_eq!(ids(&list(format!("?after={b}")).await), [a]);
    assert_eq!(ids(&list(format!("?before={a}&limit=1")).await), [b]);
    assert_eq!(ids(&list(format!("?order=asc&after={a}&limit=1")).await), [b]);
    // A place stays one when its store is gone.
    bench.delete(&at(&stores[1])).await;
    assert_eq!(ids(&list(format!("?after={b}")).await), [a]);
    for wrong in ["?limit=0", "?limit=101", "?after=file-1", "?order=down"] {
        bench.get(&format!("{STORES}{wrong}")).await.openai_error(400, "invalid");
    }
}

#[tokio::test]
async fn bad_bodies_are_400() {
    let bench = bench([]).await;
    let made = store(&bench, json!({})).await;
    for (path, body, param) in [
        (STORES.to_owned(), json!({"name": "x".repeat(257)}), "name"),
        (STORES.to_owned(), json!({"name": 7}), "name"),
        (STORES.to_owned(), json!({"metadata": {"a": 1}}), "metadata.a"),
        (
            STORES.to_owned(),
            json!({"expires_after": {"anchor": "last_active_at", "days": 0}}),
            "expires_after.days",
        ),
        (
            STORES.to_owned(),
            json!({"expires_after": {"anchor": "last_active_at", "days": 366}}),
            "expires_after.days",
        ),
        (
            STORES.to_owned(),
            json!({"expires_after": {"anchor": "created_at", "days": 1}}),
            "expires_after.anchor",
        ),
        (format!("{}/files", at(&made)), json!({}), ""),
        (format!("{}/file_batches", at(&made)), json!({}), "file_ids"),
        (format!("{}/file_batches", at(&made)), json!({"file_ids": []}), "file_ids"),
        (format!("{}/file_batches", at(&made)), json!({"file_ids": [], "files": []}), "files"),
        (format!("{}/search", at(&made)), json!({}), ""),
        (format!("{}/search", at(&made)), json!({"query": ""}), "query"),
        (format!("{}/search", at(&made)), json!({"query": []}), "query"),
        (format!("{}/search", at(&made)), json!({"query": "x", "max_num_results": 0}), "max_num_results"),
        (format!("{}/search", at(&made)), json!({"query": "x", "max_num_results": 51}), "max_num_results"),
        (
            format!("{}/search", at(&made)),
            json!({"query": "x", "ranking_options": {"score_threshold": 1.5}}),
            "ranking_options.score_threshold",
        ),
        (
            format!("{}/search", at(&made)),
            json!({"query": "x", "ranking_options": {"ranker": "mine"}}),
            "ranking_options.ranker",
        ),
    ] {
        let reply = bench.post(&path, body.clone()).await;
        let error = reply.openai_error(400, "invalid");
        if !param.is_empty() {
            assert_eq!(error["param"], param, "{path} {body}: {error}");
        }
    }
    for (kind, body) in [("application/json", "{"), ("application/json", "[]"), ("text/plain", "{}")] {
        let mut malformed = request(Method::POST, STORES, None);
        malformed.headers_mut().insert("content-type", kind.parse().unwrap());
        *malformed.body_mut() = body.into();
        bench.ask(malformed).await.openai_error(400, "invalid");
    }
    // What OpenAI does not know is passed over.
    store(&bench, json!({"embedding_model": "x", "provider_id": "y"})).await;
    assert_eq!(bench.get(STORES).await.json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn attached_file_is_completed_at_once_and_found() {
    let bench = bench([]).await;
    let made = store(&bench, json!({"name": "manuals"})).await;
    let text = format!(
        "# Boiler\n\nThe boiler in the cellar is serviced in May.\n\n{}",
        "Nothing else. ".repeat(700)
    );
    let file = upload(&bench, "boiler.md", &text).await;
    let attached = attach(&bench, &made, json!({"file_id": id(&file), "attributes": {"year": 2026}})).await;
    let expected = json!({
        "id": id(&file), "object": "vector_store.file", "created_at": attached["created_at"],
        "vector_store_id": id(&made), "usage_bytes": text.len(), "status": "completed", "last_error": null,
        "chunking_strategy":
            {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}},
        "attributes": {"year": 2026},
    });
    assert_eq!(attached, expected);
    let one = format!("{}/files/{}", at(&made), id(&file));
    assert_eq!(bench.get(&one).await.json(), attached);
    let content = bench.get(&format!("{one}/content")).await.json();
    let page = json!({
        "object": "vector_store.file_content.page", "data": [{"type": "text", "text": text}],
        "has_more": false, "next_page": null,
    });
    assert_eq!(content, page);
    let now = bench.get(&at(&made)).await.json();
    assert_eq!((&now["usage_bytes"], &now["file_counts"]["completed"]), (&json!(text.len()), &json!(1)));
    let body = json!({"query": "When is the boiler serviced?", "rewrite_query": true, "max_num_results": 1});
    let page = bench.post(&format!("{}/search", at(&made)), body).await.json();
    assert_eq!(page["object"], "vector_store.search_results.page");
    assert_eq!(page["search_query"], json!(["When is the boiler serviced?"]));
    assert_eq!((&page["has_more"], &page["next_page"]), (&json!(false), &Value::Null));
    let hit = &page["data"][0];
    assert_eq!((&hit["file_id"], &hit["filename"]), (&json!(id(&file)), &json!("boiler.md")));
    assert_eq!((&hit["attributes"], &hit["content"][0]["type"]), (&json!({"year": 2026}), &json!("text")));
    assert!(hit["content"][0]["text"].as_str().unwrap().contains("serviced in May"));
    assert!((0.0..=1.0).contains(&hit["score"].as_f64().unwrap()));
    // It is a document, too.
    let documents = bench.get("/api/v1/knowledge/documents").await.json();
    let own = id(&file).trim_start_matches("file-");
    assert_eq!(documents["data"][0]["file_id"].as_str().unwrap().replace('-', ""), own);
    // Detached, it stays a file.
    let detached = bench.delete(&one).await.json();
    assert_eq!(detached, json!({"id": id(&file), "object": "vector_store.file.deleted", "deleted": true}));
    missing(&bench.get(&one).await, id(&file));
    assert_eq!(search(&bench, &made, json!({"query": "boiler"})).await, [Value::Null; 0]);
    let bytes = bench.get(&format!("/v1/files/{}/content", id(&file))).await;
    assert_eq!(bytes.body, text);
    // Deleted, it is in no store.
    attach(&bench, &made, json!({"file_id": id(&file)})).await;
    bench.delete(&format!("/v1/files/{}", id(&file))).await;
    missing(&bench.get(&one).await, id(&file));
    assert_eq!(search(&bench, &made, json!({"query": "boiler"})).await, [Value::Null; 0]);
    assert_eq!(bench.get(&at(&made)).await.json()["file_counts"]["total"], 0);
}

#[tokio::test]
async fn chunking_is_in_tokens() {
    let bench = bench([]).await;
    let made = store(&bench, json!({})).await;
    let file = upload(&bench, "a.txt", &"The boiler is warm. ".repeat(200)).await;
    let strategy =
        json!({"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}});
    let attached = attach(&bench, &made, json!({"file_id": id(&file), "chunking_strategy": strategy})).await;
    assert_eq!(attached["chunking_strategy"], strategy);
    let hits = search(&bench, &made, json!({"query": "boiler", "max_num_results": 50})).await;
    // 4000 characters are 1000 tokens, as they are estimated.
    assert!((10..=12).contains(&hits.len()), "{}", hits.len());
    // Attached again, it is read again.
    let whole = attach(&bench, &made, json!({"file_id": id(&file)})).await;
    assert_eq!((id(&whole), &whole["status"]), (id(&file), &json!("completed")));
    let hits = search(&bench, &made, json!({"query": "boiler", "max_num_results": 50})).await;
    assert!((2..=3).contains(&hits.len()), "{}", hits.len());
    for (size, overlap, param) in [
        (99, 0, "max_chunk_size_tokens"),
        (4_097, 0, "max_chunk_size_tokens"),
        (100, 51, "chunk_overlap_tokens"),
    ] {
        let strategy = json!({"type": "static",
            "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}});
        let body = json!({"file_id": id(&file), "chunking_strategy": strategy});
        let error = bench.post(&format!("{}/files", at(&made)), body).await.openai_error(400, "invalid");
        assert_eq!(error["param"], param);
    }
    let odd = json!({"file_id": id(&file), "chunking_strategy": {"type": "odd"}});
    bench.post(&format!("{}/files", at(&made)), odd).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn filters_go_by_attributes_which_change_at_once() {
    let bench = bench([]).await;
    let made = store(&bench, json!({})).await;
    let mut files = Vec::new();
    for (name, attributes) in [
        ("old", json!({"year": 2020, "author": "Ada", "draft": false})),
        ("new", json!({"year": 2026, "author": "Bob", "draft": true})),
        ("bare", json!({})),
    ] {
        let file = upload(&bench, name, &format!("The boiler of {name}.")).await;
        attach(&bench, &made, json!({"file_id": id(&file), "attributes": attributes})).await;
        files.push(file);
    }
    let found = async |filters: Value| {
        let hits = search(&bench, &made, json!({"query": "boiler", "filters": filters})).await;
        let mut names: Vec<String> = names(&hits).into_iter().map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    let one = |kind: &str, key: &str, value: Value| json!({"type": kind, "key": key, "value": value});
    assert_eq!(found(Value::Null).await, "bare new old");
    assert_eq!(found(one("eq", "author", json!("Ada"))).await, "old");
    assert_eq!(found(one("eq", "draft", json!(true))).await, "new");
    assert_eq!(found(one("ne", "author", json!("Ada"))).await, "bare new");
    assert_eq!(found(one("gte", "year", json!(2021))).await, "new");
    assert_eq!(found(one("lt", "year", json!(2021.5))).await, "old");
    assert_eq!(found(one("in", "author", json!(["Ada", "Bob"]))).await, "new old");
    assert_eq!(found(one("nin", "author", json!(["Ada"]))).await, "bare new");
    let both =
        json!({"type": "and", "filters": [one("gt", "year", json!(1)), one("ne", "draft", json!(true))]});
    assert_eq!(found(both).await, "old");
    for nonsense in [
        json!({"type": "like", "key": "a", "value": 1}),
        json!({"type": "eq", "value": 1}),
        json!({"type": "and"}),
        json!("all"),
        json!({"type": "or", "filters": [{"type": "eq", "key": "a"}]}),
    ] {
        let body = json!({"query": "boiler", "filters": nonsense});
        let error = bench.post(&format!("{}/search", at(&made)), body).await.openai_error(400, "invalid");
        assert!(error["message"].as_str().unwrap().contains("filter"), "{error}");
    }
    let one_file = format!("{}/files/{}", at(&made), id(&files[2]));
    let changed = bench.post(&one_file, json!({"attributes": {"author": "Ada"}})).await.json();
    assert_eq!(
        (&changed["attributes"], &changed["status"]),
        (&json!({"author": "Ada"}), &json!("completed"))
    );
    assert_eq!(found(one("eq", "author", json!("Ada"))).await, "bare old");
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), json!(n))).collect();
    for wrong in [json!(many), json!({"a": [1]}), json!({"a": null}), json!({"a": "x".repeat(513)})] {
        bench.post(&one_file, json!({"attributes": wrong})).await.openai_error(400, "invalid");
    }
    assert_eq!(bench.get(&one_file).await.json(), changed);
}

#[tokio::test]
async fn several_questions_are_one_search_with_scores_within_bounds() {
    let provider = ScriptedProvider::new([]);
    let memory = aimate_store::connect("sqlite::memory:").await.unwrap();
    let embedder = Arc::new(HashEmbedder::new("hash", 64));
    let engine = builder(memory, provider.clone()).embedder(embedder).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    let bench = Bench { engine, provider, router };
    let made = store(&bench, json!({})).await;
    for (name, text) in
        [("boiler", "The boiler is warm."), ("pear", "Pears are ripe."), ("road", "Roads are long.")]
    {
        let file = upload(&bench, name, text).await;
        attach(&bench, &made, json!({"file_id": id(&file)})).await;
    }
    let both = search(&bench, &made, json!({"query": ["warm boiler", "ripe pears"]})).await;
    assert_eq!(
        {
            let mut first = names(&both[..2]);
            first.sort_unstable();
            first
        },
        ["boiler", "pear"]
    );
    let scores: Vec<f64> = both.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)) && scores.is_sorted_by(|a, b| a >= b));
    let above = scores[1];
    let options = json!({"score_threshold": above - 0.01, "ranker": "auto"});
    let few =
        search(&bench, &made, json!({"query": ["warm boiler", "ripe pears"], "ranking_options": options}))
            .await;
    assert!(few.len() < both.len() || scores.iter().all(|score| *score >= above - 0.01));
    assert!(few.iter().all(|hit| hit["score"].as_f64().unwrap() >= above - 0.02));
    let questions: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let body = json!({"query": questions});
    bench.post(&format!("{}/search", at(&made)), body).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn store_comes_with_files_or_not_at_all() {
    let bench = bench([]).await;
    let file = upload(&bench, "a.txt", "The boiler is warm.").await;
    let made = store(&bench, json!({"file_ids": [id(&file)]})).await;
    assert_eq!((&made["status"], &made["file_counts"]["completed"]), (&json!("completed"), &json!(1)));
    let wrong = format!("file-{UNKNOWN}");
    let reply = bench.post(STORES, json!({"file_ids": [id(&file), wrong]})).await;
    missing(&reply, &wrong);
    assert_eq!(bench.get(STORES).await.json()["data"].as_array().unwrap().len(), 1);
    let many = vec![id(&file); 501];
    bench.post(STORES, json!({"file_ids": many})).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn batch_tells_what_came_of_its_files() {
    let bench = bench([]).await;
    let made = store(&bench, json!({})).await;
    let good = upload(&bench, "good.txt", "The boiler is warm.").await;
    let own = upload(&bench, "own.txt", "The boiler is cold.").await;
    let bad = upload(&bench, "bad.pdf", "%PDF-1.4 broken").await;
    let empty = upload(&bench, "empty.txt", "").await;
    let files = json!([
        {"file_id": id(&good)},
        {"file_id": id(&own), "attributes": {"own": true}},
        {"file_id": id(&bad)},
        {"file_id": id(&empty)},
    ]);
    let batches = format!("{}/file_batches", at(&made));
    let made_batch = bench.post(&batches, json!({"files": files, "attributes": {"of": "batch"}})).await;
    let batch = made_batch.json();
    assert!(id(&batch).starts_with("vsfb_"), "{batch}");
    let one = format!("{batches}/{}", id(&batch));
    until(async || bench.get(&one).await.json()["status"] != "in_progress").await;
    let over = bench.get(&one).await.json();
    let expected = json!({
        "id": id(&batch), "object": "vector_store.files_batch", "created_at": batch["created_at"],
        "vector_store_id": id(&made), "status": "completed",
        "file_counts": {"in_progress": 0, "completed": 2, "failed": 2, "cancelled": 0, "total": 4},
    });
    assert_eq!(over, expected);
    let listed = bench.get(&format!("{one}/files?order=asc")).await.json();
    assert_eq!(ids(&listed), [id(&good), id(&own), id(&bad), id(&empty)]);
    assert_eq!(listed["data"][0]["attributes"], json!({"of": "batch"}));
    assert_eq!(listed["data"][1]["attributes"], json!({"own": true}));
    let error = &listed["data"][2]["last_error"];
    assert!(["invalid_file", "unsupported_file"].contains(&error["code"].as_str().unwrap()), "{error}");
    assert!(error["message"].as_str().unwrap().len() > 10);
    assert_eq!(listed["data"][3]["last_error"]["code"], "invalid_file");
    let failed = bench.get(&format!("{one}/files?filter=failed")).await.json();
    assert_eq!(ids(&failed).len(), 2);
    assert_eq!(ids(&bench.get(&format!("{}/files?filter=completed", at(&made))).await.json()).len(), 2);
    bench.get(&format!("{}/files?filter=odd", at(&made))).await.openai_error(400, "invalid");
    let counts = bench.get(&at(&made)).await.json()["file_counts"].take();
    assert_eq!(counts, expected["file_counts"]);
    // What is over is not cancelled.
    let after = bench.post(&format!("{one}/cancel"), json!({})).await.json();
    assert_eq!((&after["status"], &after["file_counts"]["completed"]), (&json!("completed"), &json!(2)));
}

#[tokio::test]
async fn cancelled_batch_reads_nothing_more() {
    let provider = ScriptedProvider::new([]);
    let memory = aimate_store::connect("sqlite::memory:").await.unwrap();
    // Nobody reads here, so all of it waits.
    let engine = builder(memory, provider.clone()).readers(0).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    let bench = Bench { engine, provider, router };
    let made = store(&bench, json!({})).await;
    let file = upload(&bench, "a.txt", "The boiler is warm.").await;
    let reply = bench.post(&format!("{}/file_batches", at(&made)), json!({"file_ids": [id(&file)]})).await;
    assert!(!reply.header("openai-poll-after-ms").is_empty());
    let batch = reply.json();
    assert_eq!((&batch["status"], &batch["file_counts"]["in_progress"]), (&json!("in_progress"), &json!(1)));
    assert_eq!(bench.get(&at(&made)).await.json()["status"], "in_progress");
    let one = format!("{}/file_batches/{}", at(&made), id(&batch));
    for _ in 0..2 {
        let cancelled = bench.post(&format!("{one}/cancel"), json!({})).await.json();
        assert_eq!(
            (&cancelled["status"], &cancelled["file_counts"]["cancelled"]),
            (&json!("cancelled"), &json!(1))
        );
    }
    let listed = bench.get(&format!("{one}/files")).await.json();
    assert_eq!(
        (&listed["data"][0]["status"], &listed["data"][0]["last_error"]),
        (&json!("cancelled"), &Value::Null)
    );
}

#[tokio::test]
async fn expired_store_is_used_no_more_until_it_is_changed() {
    let (bench, clock) = bench_with_clock().await;
    let made = store(&bench, json!({"expires_after": {"anchor": "last_active_at", "days": 2}})).await;
    let day = 86_400;
    assert_eq!(made["expires_at"].as_i64().unwrap() - made["last_active_at"].as_i64().unwrap(), 2 * day);
    let file = upload(&bench, "a.txt", "The boiler is warm.").await;
    attach(&bench, &made, json!({"file_id": id(&file)})).await;
    clock.0.store(day, Ordering::SeqCst);
    assert_eq!(search(&bench, &made, json!({"query": "boiler"})).await.len(), 1);
    // That was a use.
    clock.0.store(2 * day + 60, Ordering::SeqCst);
    assert_eq!(bench.get(&at(&made)).await.json()["status"], "completed");
    clock.0.store(3 * day + 120, Ordering::SeqCst);
    assert_eq!(bench.get(&at(&made)).await.json()["status"], "expired");
    missing(&bench.post(&format!("{}/search", at(&made)), json!({"query": "boiler"})).await, id(&made));
    missing(&bench.post(&format!("{}/files", at(&made)), json!({"file_id": id(&file)})).await, id(&made));
    let changed = bench.post(&at(&made), json!({"expires_after": null})).await.json();
    assert_eq!((&changed["status"], changed.get("expires_at")), (&json!("completed"), None));
    assert_eq!(search(&bench, &made, json!({"query": "boiler"})).await.len(), 1);
}

#[tokio::test]
async fn file_that_expires_is_found_no_more() {
    let (bench, clock) = bench_with_clock().await;
    let made = store(&bench, json!({})).await;
    let parts: [(&str, &[u8]); 4] = [
        ("name=\"file\"; filename=\"a.txt\"", b"The boiler is warm."),
        ("name=\"purpose\"", b"user_data"),
        ("name=\"expires_after[anchor]\"", b"created_at"),
        ("name=\"expires_after[seconds]\"", b"3600"),
    ];
    let file = bench.ask(form(&parts)).await.json();
    let stays = upload(&bench, "b.txt", "The boiler is cold.").await;
    for file in [&file, &stays] {
        attach(&bench, &made, json!({"file_id": id(file)})).await;
    }
    assert_eq!(search(&bench, &made, json!({"query": "boiler"})).await.len(), 2);
    clock.0.store(3_600, Ordering::SeqCst);
    assert_eq!(names(&search(&bench, &made, json!({"query": "boiler"})).await), ["b.txt"]);
    let one = format!("{}/files/{}", at(&made), id(&file));
    for reply in [
        bench.get(&one).await,
        bench.get(&format!("{one}/content")).await,
        bench.post(&one, json!({"attributes": {}})).await,
        bench.delete(&one).await,
        bench.post(&format!("{}/files", at(&made)), json!({"file_id": id(&file)})).await,
        bench.post(&format!("{}/file_batches", at(&made)), json!({"file_ids": [id(&file)]})).await,
    ] {
        missing(&reply, id(&file));
    }
    assert_eq!(ids(&bench.get(&format!("{}/files", at(&made))).await.json()), [id(&stays)]);
}

#[tokio::test]
async fn unknown_and_malformed_ids_are_named() {
    let bench = bench([]).await;
    let made = store(&bench, json!({})).await;
    let file = upload(&bench, "a.txt", "x").await;
    for wrong in [format!("vs_{UNKNOWN}"), "vs_x".to_owned(), id(&file).to_owned(), UNKNOWN.to_owned()] {
        let at = format!("{STORES}/{wrong}");
        for reply in [
            bench.get(&at).await,
            bench.post(&at, json!({})).await,
            bench.delete(&at).await,
            bench.post(&format!("{at}/search"), json!({"query": "x"})).await,
            bench.get(&format!("{at}/files")).await,
            bench.post(&format!("{at}/files"), json!({"file_id": id(&file)})).await,
            bench.get(&format!("{at}/files/{}", id(&file))).await,
            bench.post(&format!("{at}/file_batches"), json!({"file_ids": [id(&file)]})).await,
        ] {
            missing(&reply, &wrong);
        }
    }
    for wrong in [format!("file-{UNKNOWN}"), "file-x".to_owned(), id(&made).to_owned()] {
        for reply in [
            bench.get(&format!("{}/files/{wrong}", at(&made))).await,
            bench.get(&format!("{}/files/{wrong}/content", at(&made))).await,
            bench.post(&format!("{}/files/{wrong}", at(&made)), json!({"attributes": {}})).await,
            bench.delete(&format!("{}/files/{wrong}", at(&made))).await,
            bench.post(&format!("{}/files", at(&made)), json!({"file_id": wrong})).await,
            bench.post(&format!("{}/file_batches", at(&made)), json!({"file_ids": [id(&file), wrong]})).await,
        ] {
            missing(&reply, &wrong);
        }
    }
    for wrong in [format!("vsfb_{UNKNOWN}"), "vsfb_x".to_owned()] {
        let at = format!("{}/file_batches/{wrong}", at(&made));
        for reply in [
            bench.get(&at).await,
            bench.post(&format!("{at}/cancel"), json!({})).await,
            bench.get(&format!("{at}/files")).await,
        ] {
            missing(&reply, &wrong);
        }
    }
    // Nothing was attached.
    assert_eq!(bench.get(&format!("{}/files", at(&made))).await.json()["data"], json!([]));
}

#[tokio::test]
async fn use_on_the_other_face_keeps_a_store() {
    let (bench, clock) = bench_with_clock().await;
    let made = store(&bench, json!({"expires_after": {"anchor": "last_active_at", "days": 2}})).await;
    let day = 86_400;
    let status = async || bench.get(&at(&made)).await.json()["status"].as_str().unwrap().to_owned();
    let collection = uuid::Uuid::try_parse(id(&made).trim_start_matches("vs_")).unwrap();
    let search = json!({"query": "boiler", "collections": [collection]});
    clock.0.store(day, Ordering::SeqCst);
    assert_eq!(bench.post("/api/v1/knowledge/search", search.clone()).await.status, 200);
    clock.0.store(2 * day + 60, Ordering::SeqCst);
    assert_eq!(status().await, "completed");
    let documents = format!("/api/v1/knowledge/collections/{collection}/documents");
    let new = json!({"name": "a.md", "text": "The boiler is warm."});
    assert!(bench.post(&documents, new.clone()).await.status.is_success());
    clock.0.store(4 * day, Ordering::SeqCst);
    // Its document may still be read.
    assert_ne!(status().await, "expired");
    clock.0.store(4 * day + 120, Ordering::SeqCst);
    assert_eq!(status().await, "expired");
    // It is a collection all the same, and stays expired.
    assert_eq!(bench.post("/api/v1/knowledge/search", search).await.status, 200);
    assert!(bench.post(&documents, new).await.status.is_success());
    assert_eq!(status().await, "expired");
    missing(&bench.post(&format!("{}/search", at(&made)), json!({"query": "boiler"})).await, id(&made));
}

#[tokio::test]
async fn keys_with_dots_are_filtered_by() {
    let bench = bench([]).await;
    let made = store(&bench, json!({})).await;
    let file = upload(&bench, "a.txt", "The boiler is warm.").await;
    let attributes = json!({"a.b": "x", "$id": 1, "c d": true});
    attach(&bench, &made, json!({"file_id": id(&file), "attributes": attributes})).await;
    for (key, value) in [("a.b", json!("x")), ("$id", json!(1)), ("c d", json!(true))] {
        for (kind, found) in [("eq", 1), ("ne", 0)] {
            let filters = json!({"type": kind, "key": key, "value": value});
            let hits = search(&bench, &made, json!({"query": "boiler", "filters": filters})).await;
            assert_eq!(hits.len(), found, "{key} {kind}");
        }
    }
    let quoted = json!({"file_id": id(&file), "attributes": {"a\"b": 1}});
    bench.post(&format!("{}/files", at(&made)), quoted).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn finished_batch_is_not_cancelled() {
    let bench = bench([]).await;
    let made = store(&bench, json!({})).await;
    let file = upload(&bench, "a.txt", "The boiler is warm.").await;
    let batches = format!("{}/file_batches", at(&made));
    let batch = bench.post(&batches, json!({"file_ids": [id(&file)]})).await.json();
    assert_eq!(batch["status"], "completed");
    let after = bench.post(&format!("{batches}/{}/cancel", id(&batch)), json!({})).await.json();
    assert_eq!(after, batch);
}
