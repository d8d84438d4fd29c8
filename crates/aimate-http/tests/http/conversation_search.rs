//! `GET /api/v1/conversations/search`.

use aimate_core::testing::answer;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Bench, bench};

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn search(bench: &Bench, query: &str) -> Vec<Value> {
    let found = bench.get(&format!("/api/v1/conversations/search?q={}", encoded(query))).await;
    assert_eq!(found.status, 200, "{query}: {}", found.body);
    let found = found.json();
    assert!(found.get("next_cursor").is_some());
    found["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn search_shows_where_the_words_stand() {
    let bench = bench([answer("The seal of the <b>pump</b> leaks.")]).await;
    let at = bench.post("/api/v1/conversations", json!({"title": "Cellar"})).await.json();
    let path = format!("/api/v1/conversations/{}/messages", at["id"].as_str().unwrap());
    bench.post(&path, json!({"content": "What is wrong?", "stream": false})).await;

    let hits = search(&bench, "leak seals").await;
    assert_eq!(hits.len(), 1);
    let hit = &hits[0];
    assert_eq!((&hit["id"], &hit["title"], &hit["message_count"]), (&at["id"], &json!("Cellar"), &json!(2)));
    assert_eq!(
        (&hit["role"], &hit["snippet"]),
        (&json!("assistant"), &json!("The seal of the <b>pump</b> leaks."))
    );
    assert_eq!(hit["matches"], json!([{"start": 4, "end": 8}, {"start": 28, "end": 33}]));
    assert!(hit["message_id"].is_string() && hit["message_created_at"].is_string(), "{hit}");

    let titled = &search(&bench, "CELL").await[0];
    assert_eq!(
        (&titled["message_id"], &titled["role"], &titled["message_created_at"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&titled["snippet"], &titled["matches"]),
        (&json!("Cellar"), &json!([{"start": 0, "end": 6}]))
    );
    assert!(search(&bench, "cellar valve").await.is_empty());
}

#[tokio::test]
async fn odd_queries_are_answered() {
    let bench = bench([]).await;
    bench.post("/api/v1/conversations", json!({"title": "The \"pump\" 😀 100%"})).await;
    for query in
        ["\"", "*", "NEAR(a, b", "😀", "'; --", "%", "_", "\\", "a\0b", "(", "AND OR NOT", ":", "\u{202e}"]
    {
        search(&bench, query).await;
    }
    for query in ["\"pump\"", "pum*", "pump AND", "100%", "pu\u{ad}mp"] {
        assert_eq!(search(&bench, query).await.len(), 1, "{query}");
    }
    let most = "/api/v1/conversations/search?q=";
    assert_eq!(bench.get(&format!("{most}{}", "x".repeat(500))).await.status, 200);
    for query in ["", "?q=", "?q=%20%0A", "?q=%00", &format!("?q={}", "x".repeat(501))] {
        let problem =
            bench.get(&format!("/api/v1/conversations/search{query}")).await.problem(400, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains("`q`"), "{problem}");
    }
    for query in [
        "?q=a&limit=0",
        "?q=a&limit=201",
        "?q=a&cursor=x",
        "?q=a&archived=x",
        "?q=a&workspace_id=x",
        "?q=a&x=1",
    ] {
        bench.get(&format!("/api/v1/conversations/search{query}")).await.problem(400, "invalid");
    }
}

/// What searches of other products failed at, as reported to them: signs that their query
/// language takes for operators, and words in scripts without spaces.
#[tokio::test]
async fn what_others_do_not_find_is_found() {
    let bench = bench([]).await;
    let title = "Downloads/transcripts on ubuntu 20.04: don't use agents, error-401 status:500 TODO: fix \
        example.com `chat-send` --error-on-warnings grammar::fa 大灯 本田 汉字 告诉我如何写周报";
    bench.post("/api/v1/conversations", json!({"title": title})).await;
    for query in [
        "Downloads/transcripts",
        "don't use agents",
        "don’t",
        "ubuntu 20.04",
        "error-401",
        "status:500",
        "TODO: fix",
        "example.com",
        "chat-send",
        "\"--error-on-warnings\"",
        "grammar::fa",
        "灯",
        "大灯",
        "本田",
        "汉字",
        "如何写周报",
        "周报 ubuntu",
    ] {
        assert_eq!(search(&bench, query).await.len(), 1, "{query}");
    }
    for query in ["本地", "灯大", "error-402", "ubuntu 20.05"] {
        assert_eq!(search(&bench, query).await.len(), 0, "{query}");
    }
}

#[tokio::test]
async fn pages_of_a_search_follow_each_other() {
    let bench = bench([]).await;
    for n in 0..5 {
        bench.post("/api/v1/conversations", json!({"title": format!("pump {n}"), "tags": ["a"]})).await;
    }
    bench.post("/api/v1/conversations", json!({"title": "pump without"})).await;
    let (mut titles, mut path) = (Vec::new(), "/api/v1/conversations/search?q=pump&tag=a&limit=2".to_owned());
    let mut other = String::new();
    loop {
        let list = bench.get(&path).await.json();
        let data = list["data"].as_array().unwrap().clone();
        titles.extend(data.iter().map(|one| one["title"].as_str().unwrap().to_owned()));
        let Some(cursor) = list["next_cursor"].as_str() else { break };
        path = format!("/api/v1/conversations/search?q=pump&tag=a&limit=2&cursor={cursor}");
        other = format!("/api/v1/conversations/search?q=valve&cursor={cursor}");
    }
    assert_eq!(titles, ["pump 4", "pump 3", "pump 2", "pump 1", "pump 0"]);
    bench.get(&other).await.problem(400, "invalid");
}

#[tokio::test]
async fn whatever_is_said_first_or_last_is_found_at_once() {
    let bench = bench([answer("Zinc"), answer("Tin")]).await;
    let turn = json!({"content": "Which metal?", "stream": false});
    let first = bench.post("/api/v1/messages", turn).await.json();
    let id = first["conversation_id"].as_str().unwrap().to_owned();
    assert_eq!(search(&bench, "zinc").await.len(), 1);
    assert_eq!(search(&bench, "which metal").await.len(), 1);
    let next = json!({"content": "And which colour?", "stream": false});
    bench.post(&format!("/api/v1/conversations/{id}/messages"), next).await;
    assert_eq!(search(&bench, "tin").await[0]["id"], json!(id));
    assert_eq!(search(&bench, "colo").await[0]["role"], json!("user"));
    let gone =
        bench.ask(crate::common::request(Method::DELETE, &format!("/api/v1/conversations/{id}"), None)).await;
    assert_eq!(gone.status, 204);
    assert!(search(&bench, "zinc").await.is_empty());
}
