//! Conversations, workspaces, prompts and usage.

use aimate_core::testing::answer;
use serde_json::{Value, json};

use crate::common::{bench, request, text};

#[tokio::test]
async fn conversation_is_made_found_changed_and_deleted() {
    let bench = bench([]).await;
    let new = json!({"title": "Boiler", "tags": ["home"], "metadata": {"a": 1}});
    let reply = bench.post("/api/v1/conversations", new).await;
    assert_eq!(reply.status, 201);
    let at = reply.header("location").to_owned();
    let made = reply.json();
    assert_eq!(at, format!("/api/v1/conversations/{}", made["id"].as_str().unwrap()));
    for field in ["workspace_id", "is_pinned", "is_archived", "active_leaf_id", "message_count", "created_at"]
    {
        assert!(made.get(field).is_some(), "{field}");
    }
    assert_eq!(bench.get(&at).await.json(), made);
    let pinned = bench.patch(&at, json!({"is_pinned": true})).await.json();
    assert_eq!((&pinned["is_pinned"], &pinned["title"]), (&json!(true), &json!("Boiler")));
    bench.post("/api/v1/conversations", json!({"title": "Other"})).await;
    for (query, count) in [
        ("", 2),
        ("?q=boil", 1),
        ("?tag=home", 1),
        ("?pinned=true", 1),
        ("?pinned=false", 1),
        ("?archived=true", 0),
        ("?archived=false", 2),
        ("?q=none", 0),
    ] {
        let list = bench.get(&format!("/api/v1/conversations{query}")).await.json();
        assert_eq!(list["data"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(bench.delete(&at).await.status, 204);
    bench.get(&at).await.problem(404, "not_found");
}

#[tokio::test]
async fn body_with_defaults_alone_may_be_left_out() {
    let bench = bench([]).await;
    for body in [None, Some(Value::Null), Some(json!({}))] {
        let made = bench.ask(request(http::Method::POST, "/api/v1/conversations", body)).await;
        assert_eq!((made.status.as_u16(), &made.json()["title"]), (201, &json!("New Conversation")));
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let bench = bench([]).await;
    for n in 0..5 {
        bench.post("/api/v1/conversations", json!({"title": n.to_string()})).await;
    }
    let mut titles = Vec::new();
    let mut path = "/api/v1/conversations?limit=2".to_owned();
    loop {
        let list = bench.get(&path).await.json();
        let data = list["data"].as_array().unwrap().clone();
        titles.extend(data.iter().map(|one| one["title"].as_str().unwrap().to_owned()));
        let Some(cursor) = list["next_cursor"].as_str() else { break };
        path = format!("/api/v1/conversations?limit=2&cursor={cursor}");
    }
    assert_eq!(titles, ["4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn fork_copies_a_branch() {
    let bench = bench([answer("one"), answer("two")]).await;
    let at = bench.conversation().await;
    let first = bench.say(&at, "a").await;
    bench.say(&at, "b").await;
    let reply = bench.post(&format!("{at}/fork"), json!({"message_id": first["id"]})).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let copy = reply.header("location").to_owned();
    assert_ne!(copy, at);
    assert_eq!(bench.branch(&copy).await, ["a", "one"]);
    assert_eq!(bench.branch(&at).await, ["a", "one", "b", "two"]);
}

#[tokio::test]
async fn workspace_prompts_open_the_chat() {
    let bench = bench([]).await;
    let workspace = bench.post("/api/v1/workspaces", json!({"name": "home"})).await;
    assert_eq!(workspace.status, 201);
    let workspace = workspace.json()["id"].clone();
    let prompt = json!({"title": "style", "content": "Be brief.", "workspace_id": workspace});
    let prompt = bench.post("/api/v1/prompts", prompt).await;
    assert_eq!(prompt.status, 201);
    let new = json!({"workspace_id": workspace});
    let at = bench.post("/api/v1/conversations", new).await.header("location").to_owned();
    bench.say(&at, "x").await;
    let asked = &bench.provider.requests()[0].messages[0];
    assert_eq!(aimate_core::message::text_of(&asked.content), "Be brief.");

    let listed =
        bench.get(&format!("/api/v1/prompts?workspace_id={}", workspace.as_str().unwrap())).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let at = prompt.header("location").to_owned();
    assert_eq!(bench.put(&at, json!({"is_active": false})).await.json()["is_active"], false);
    assert_eq!(bench.delete(&at).await.status, 204);
    let at = format!("/api/v1/workspaces/{}", workspace.as_str().unwrap());
    assert_eq!(bench.patch(&at, json!({"name": "house"})).await.json()["name"], "house");
    assert_eq!(bench.get("/api/v1/workspaces").await.json()["data"][0]["conversation_count"], 1);
    assert_eq!(bench.delete(&at).await.status, 204);
}

#[tokio::test]
async fn usage_is_summed() {
    let bench = bench([answer("one"), answer("two")]).await;
    let at = bench.conversation().await;
    bench.say(&at, "a").await;
    let passing = json!({"messages": [{"role": "user", "content": "b"}]});
    bench.post("/v1/chat/completions", passing).await;
    let sums = bench.get("/api/v1/usage").await.json();
    assert_eq!(sums["data"][0]["key"], "lab/test");
    assert_eq!((&sums["data"][0]["calls"], &sums["data"][0]["input_tokens"]), (&json!(2), &json!(14)));
    let by_day = bench.get("/api/v1/usage?group_by=day&from=2020-01-01T00:00:00Z").await.json();
    assert_eq!(by_day["data"].as_array().unwrap().len(), 1);
    bench.get("/api/v1/usage?group_by=week").await.problem(400, "invalid");
    bench.get("/api/v1/usage?from=yesterday").await.problem(400, "invalid");
    bench
        .get("/api/v1/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z")
        .await
        .problem(400, "invalid");
}

#[tokio::test]
async fn usage_is_summed_by_several_and_listed_one_by_one() {
    let bench = bench([answer("one"), answer("two")]).await;
    let at = bench.conversation().await;
    let body = json!({"content": "a", "stream": false, "tags": ["ticket:42", "b"]});
    assert_eq!(bench.post(&format!("{at}/messages"), body).await.status, 200);
    bench.say(&at, "b").await;
    let sums = bench.get("/api/v1/usage?group_by=tag,model").await.json();
    let rows: Vec<_> =
        sums["data"].as_array().unwrap().iter().map(|row| (&row["tag"], &row["calls"])).collect();
    let (one, none) = (json!(1), Value::Null);
    assert_eq!(rows, [(&none, &one), (&json!("b"), &one), (&json!("ticket:42"), &one)]);
    assert_eq!(sums["data"][1]["model"], "lab/test");
    let tagged = bench.get("/api/v1/usage/records?tag=ticket:42").await.json();
    assert_eq!(tagged["data"][0]["tags"], json!(["ticket:42", "b"]));
    assert!(tagged["data"][0]["user_id"].is_string() && tagged["data"][0]["usage"].is_object());
    let first = bench.get("/api/v1/usage/records?limit=1").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = bench.get(&format!("/api/v1/usage/records?limit=1&cursor={cursor}")).await.json();
    assert_eq!((&next["data"][0], &next["next_cursor"]), (&tagged["data"][0], &none));
    let passing = json!({"messages": [{"role": "user", "content": "b"}], "tags": ["plain"]});
    assert_eq!(bench.post("/v1/chat/completions", passing).await.status, 200);
    let plain = bench.get("/api/v1/usage/records?tag=plain").await.json();
    assert_eq!(plain["data"].as_array().unwrap().len(), 1);
    bench.get("/api/v1/usage?group_by=tenant").await.problem(400, "invalid");
    bench.get("/api/v1/usage?group_by=tag,").await.problem(400, "invalid");
    bench.get("/api/v1/usage/records?cursor=x").await.problem(400, "invalid");
    let body = json!({"content": "a", "tags": ["x".repeat(101)]});
    bench.post(&format!("{at}/messages"), body).await.problem(400, "invalid");
}

#[tokio::test]
async fn long_branch_is_paged_from_its_end() {
    let bench = bench([answer("1"), answer("2"), answer("3")]).await;
    let at = bench.conversation().await;
    for question in ["a", "b", "c"] {
        bench.say(&at, question).await;
    }
    let list = bench.get(&format!("{at}/messages?limit=2")).await.json();
    let texts = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|message| text(message).to_owned()).collect()
    };
    assert_eq!(texts(&list), ["c", "3"]);
    let cursor = list["next_cursor"].as_str().unwrap();
    let list = bench.get(&format!("{at}/messages?limit=2&cursor={cursor}")).await.json();
    assert_eq!(texts(&list), ["b", "2"]);
}
