//! Searching.

use serde_json::{Value, json};

use crate::common::Reply;
use crate::knowledge::{DOCUMENTS, Library, UNKNOWN, field, id, library};

const SEARCH: &str = "/api/v1/knowledge/search";

async fn search(library: &Library, body: Value) -> Reply {
    let reply = library.bench.post(SEARCH, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply
}

/// The titles of the hits, best first.
async fn titles(library: &Library, body: Value) -> Vec<String> {
    let found = search(library, body).await.json();
    let hits = found["data"].as_array().unwrap();
    hits.iter().map(|hit| hit["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_mode_finds_it() {
    let library = library().await;
    let at = library.manuals().await;
    for mode in [None, Some("hybrid"), Some("vector"), Some("text")] {
        let body = json!({"query": "When is the boiler serviced?", "mode": mode, "limit": 1});
        let found = search(&library, body).await.json();
        assert_eq!(found["warnings"], json!([]));
        assert!(found.get("explain").is_none());
        let hit = &found["data"][0];
        assert_eq!(
            (&hit["title"], found["data"].as_array().unwrap().len()),
            (&json!("Boiler"), 1),
            "{mode:?}"
        );
        assert!(hit["text"].as_str().unwrap().contains("serviced in May"));
        for field in ["document_id", "chunk_id", "collection_id", "start", "end", "score"] {
            assert!(!hit[field].is_null(), "{field}");
        }
        assert!(hit.get("explain").is_none() && hit.get("page").is_none());
        assert!(at.ends_with(hit["collection_id"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn collections_are_named_by_id_or_name() {
    let library = library().await;
    let at = library.manuals().await;
    let other = library.collection("other").await;
    library.add(&other, "c.md", "# Third\n\nA boiler too.", json!({})).await;
    let query = "boiler";
    for (collections, count) in [
        (json!([]), 2),
        (json!(["manuals"]), 1),
        (json!([at.rsplit_once('/').unwrap().1]), 1),
        (json!(["manuals", "other"]), 2),
    ] {
        let found =
            titles(&library, json!({"query": query, "collections": collections, "mode": "text"})).await;
        assert_eq!(found.len(), count, "{collections}");
    }
}

#[tokio::test]
async fn filters_leave_documents_out() {
    let library = library().await;
    library.manuals().await;
    for (filter, expected) in [
        (json!({"eq": {"field": "year", "value": 2020}}), vec!["Pump"]),
        (json!({"range": {"field": "year", "gte": 2021}}), vec!["Boiler"]),
        (json!({"exists": {"field": "room"}}), vec!["Boiler"]),
        (json!({"not": {"exists": {"field": "room"}}}), vec!["Pump"]),
        (json!({"in": {"field": "$name", "values": ["pump.md"]}}), vec!["Pump"]),
        (
            json!({"and": [{"exists": {"field": "year"}}, {"contains": {"field": "room", "value": "cell"}}]}),
            vec!["Boiler"],
        ),
        (json!({"eq": {"field": "year", "value": "2020' OR 1=1 --"}}), vec![]),
    ] {
        let body = json!({"query": "the boiler and the pump", "filter": filter});
        assert_eq!(titles(&library, body).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn explanation_accounts_for_every_candidate() {
    let library = library().await;
    library.manuals().await;
    let body = json!({"query": "boiler service", "explain": true, "min_score": 0.3,
        "filter": {"eq": {"field": "year", "value": 2026}}});
    let found = search(&library, body).await.json();
    let explain = &found["explain"];
    assert_eq!(explain["models"], json!(["local/hash"]));
    assert_eq!((&explain["chunks"], &explain["filtered"]), (&json!(2), &json!(1)));
    assert_eq!((&explain["text_candidates"], &explain["vector_candidates"]), (&json!(1), &json!(1)));
    assert_eq!(explain["below_min_score"], 0);
    assert_eq!(explain["terms"].as_array().unwrap().len(), 2);
    assert!(explain["timings"]["total_ms"].as_f64().unwrap() > 0.0);
    let hit = &found["data"][0]["explain"];
    assert_eq!((&hit["text_rank"], &hit["vector_rank"]), (&json!(1), &json!(1)));
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let (weight, score) = (number(&explain["cosine_weight"]), number(&found["data"][0]["score"]));
    let words = number(&hit["bm25"]) / number(&explain["max_bm25"]);
    assert!((weight * number(&hit["cosine"]) + (1.0 - weight) * words - score).abs() < 1e-5, "{found}");
    let none = search(&library, json!({"query": "boiler", "explain": true, "min_score": 1.0})).await.json();
    assert_eq!((&none["data"], &none["explain"]["below_min_score"]), (&json!([]), &json!(2)));
}

#[tokio::test]
async fn what_cannot_be_done_is_told() {
    let library = library().await;
    library.manuals().await;
    let found = search(&library, json!({"query": "boiler", "rerank": true, "diversity": 0.5})).await.json();
    assert!(found["warnings"][0].as_str().unwrap().contains("reranker"), "{found}");
    let plain = json!({"name": "plain", "embedder": "none"});
    let at = library.bench.post(crate::knowledge::COLLECTIONS, plain).await.header("location").to_owned();
    library.add(&at, "c.md", "A boiler too.", json!({})).await;
    let vector = json!({"query": "boiler", "collections": ["plain"], "mode": "vector"});
    library.bench.post(SEARCH, vector).await.problem(422, "unsupported");
    let found = search(&library, json!({"query": "boiler", "collections": ["plain"]})).await.json();
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert!(found["warnings"][0].as_str().unwrap().contains("words alone"), "{found}");
}

#[tokio::test]
async fn operators_and_quotes_are_plain_words() {
    let library = library().await;
    library.manuals().await;
    for query in [
        "boiler\"",
        "\"boiler",
        "'boiler'",
        "boiler'; DROP TABLE documents; --",
        "boiler AND",
        "NOT boiler",
        "boiler OR",
        "boiler*",
        "^boiler",
        "title:boiler",
        "NEAR(boiler pump)",
        "boiler & pump | !x <-> y",
        "(boiler",
        "boiler\\",
        "boiler \0 x",
        "boiler %_",
        "{boiler} +boiler -pump",
        "boiler 😀 ﷽",
    ] {
        let found = titles(&library, json!({"query": query, "mode": "text"})).await;
        assert_eq!(found.first().map(String::as_str), Some("Boiler"), "{query}");
    }
    for query in ["\"", "*", "AND OR NOT", "'';--", "\u{0}", "()", "😀"] {
        let reply = library.bench.post(SEARCH, json!({"query": query})).await;
        assert!(reply.status == 200 || reply.status == 400, "{query}: {}", reply.body);
    }
    assert_eq!(library.documents().await.len(), 2);
}

#[tokio::test]
async fn wrong_searches_are_refused_by_field() {
    let library = library().await;
    library.manuals().await;
    let deep = (0..20).fold(json!({"and": []}), |inner, _| json!({"not": inner}));
    for (body, wrong) in [
        (json!({}), "query"),
        (json!({"query": ""}), "query"),
        (json!({"query": " \n"}), "query"),
        (json!({"query": "word ".repeat(20_000)}), "query"),
        (json!({"query": ["x"]}), "query"),
        (json!({"query": "x", "limit": 0}), "limit"),
        (json!({"query": "x", "limit": 201}), "limit"),
        (json!({"query": "x", "limit": -1}), "limit"),
        (json!({"query": "x", "mode": "magic"}), "mode"),
        (json!({"query": "x", "diversity": 1.5}), "diversity"),
        (json!({"query": "x", "collections": vec!["a"; 101]}), "collections"),
        (json!({"query": "x", "collections": "a"}), "collections"),
        (json!({"query": "x", "top_k": 3}), "top_k"),
        (json!({"query": "x", "filter": {"eq": {"field": "$password", "value": 1}}}), "filter"),
        (json!({"query": "x", "filter": {"eq": {"field": "a\"b", "value": 1}}}), "filter"),
        (json!({"query": "x", "filter": {"eq": {"field": "a", "value": {}}}}), "filter"),
        (json!({"query": "x", "filter": {"range": {"field": "a"}}}), "filter.range"),
        (json!({"query": "x", "filter": {"like": {"field": "a"}}}), "filter"),
        (json!({"query": "x", "filter": deep}), "filter"),
    ] {
        let problem = library.bench.post(SEARCH, body).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
    }
    library
        .bench
        .post(SEARCH, json!({"query": "x", "collections": [UNKNOWN]}))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn deleted_document_is_not_found_any_more() {
    let library = library().await;
    library.manuals().await;
    let documents = library.documents().await;
    let boiler = documents.iter().find(|document| document["name"] == "boiler.md").unwrap();
    assert_eq!(library.bench.delete(&format!("{DOCUMENTS}/{}", id(boiler))).await.status, 204);
    for mode in ["hybrid", "vector", "text"] {
        let found = titles(&library, json!({"query": "boiler serviced May", "mode": mode})).await;
        assert!(!found.contains(&"Boiler".to_owned()), "{mode}");
    }
}
