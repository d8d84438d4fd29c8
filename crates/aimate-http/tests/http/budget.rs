//! Budgets and prices, set and met over HTTP.

use aimate_core::model::Prices;
use aimate_core::testing::answer;
use serde_json::json;

use std::sync::Arc;

use aimate_core::{Role, Scope};
use aimate_http::{Options, ScopeResolver};

use crate::common::{Bench, bench, engine, request};

/// Takes the caller's name for a credential.
struct Names([(&'static str, Scope); 3]);

#[aimate_http::async_trait]
impl ScopeResolver for Names {
    async fn resolve(&self, head: &http::request::Parts) -> aimate_core::Result<Option<Scope>> {
        let name = head.headers.get("x-user").and_then(|name| name.to_str().ok());
        Ok(self.0.iter().find(|(known, _)| Some(*known) == name).map(|(_, scope)| *scope))
    }
}

#[tokio::test]
async fn budgets_are_of_one_tenant_and_for_its_admins() {
    let provider = aimate_core::testing::ScriptedProvider::new([]);
    let engine = engine(provider.clone()).await;
    let admin = |tenant: &'static str| engine.scope(tenant, "root").role(Role::Admin);
    let (root, eve) = (admin("acme").ensure().await.unwrap(), admin("other").ensure().await.unwrap());
    let bob = engine.scope("acme", "bob").ensure().await.unwrap();
    let names = Names([("root", root), ("eve", eve), ("bob", bob)]);
    let router = aimate_http::router(engine.clone(), Options::default().resolver(Arc::new(names)));
    let bench = Bench { engine, provider, router };
    let ask = async |user: &str, method: &str, path: &str, body: Option<serde_json::Value>| {
        let mut request = request(method.parse().unwrap(), path, body);
        request.headers_mut().insert("x-user", user.parse().unwrap());
        bench.ask(request).await
    };
    let of_bob = json!({"subject": {"type": "user", "value": bob.user}, "period": "day", "max_tokens": 1});
    let price = json!({"model": "lab/*", "input": 1.0, "output": 2.0});
    for (path, body) in [("/api/v1/budgets", &of_bob), ("/api/v1/prices", &price)] {
        ask("bob", "POST", path, Some(body.clone())).await.problem(403, "forbidden");
        let made = ask("root", "POST", path, Some(body.clone())).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let at = made.header("location");
        for (user, status, code) in [("eve", 404, "not_found"), ("bob", 403, "forbidden")] {
            ask(user, "DELETE", at, None).await.problem(status, code);
            if path.ends_with("budgets") {
                ask(user, "GET", at, None).await.problem(status, code);
                ask(user, "PUT", at, Some(json!({"max_tokens": 9}))).await.problem(status, code);
                ask(user, "POST", path, Some(of_bob.clone())).await.problem(status, code);
            }
        }
        assert_eq!(ask("eve", "GET", path, None).await.json()["data"], json!([]));
        assert_eq!(ask("root", "GET", path, None).await.json()["data"].as_array().unwrap().len(), 1);
    }
    ask("bob", "GET", "/api/v1/budgets", None).await.problem(403, "forbidden");
}

#[tokio::test]
async fn budget_is_set_seen_and_changed() {
    let bench = bench([]).await;
    let new = json!({
        "subject": {"type": "model", "value": "lab/*"}, "period": "month", "max_cost": 12.5, "max_tokens": 1_000_000,
    });
    let created = bench.post("/api/v1/budgets", new.clone()).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let address = created.header("location").to_owned();
    let budget = created.json();
    assert_eq!(budget["subject"], new["subject"]);
    assert_eq!((&budget["max_cost"], &budget["spent"]["tokens"]), (&json!(12.5), &json!(0)));
    assert!(budget["begins_at"].as_str().unwrap().ends_with("-01T00:00:00Z"));
    bench.post("/api/v1/budgets", new).await.problem(409, "conflict");

    let conversation = bench.conversation().await;
    bench.say(&conversation, "hello").await;
    let budget = bench.get(&address).await.json();
    assert_eq!((&budget["spent"]["tokens"], &budget["reserved"]["tokens"]), (&json!(10), &json!(0)));

    let changed = bench.put(&address, json!({"max_tokens": 10})).await.json();
    assert_eq!((&changed["max_tokens"], &changed["max_cost"]), (&json!(10), &json!(null)));
    let listed = bench.get("/api/v1/budgets").await.json();
    assert_eq!(listed["data"][0]["spent"]["tokens"], 10);

    let problem = bench.post(&format!("{conversation}/messages"), json!({"content": "more"})).await;
    assert_eq!((problem.header("retry-after"), problem.header("x-should-retry")), ("", "false"));
    let problem = problem.problem(429, "rate_limited");
    assert_eq!((&problem["reason"], &problem["retry_after"]), (&json!("budget_exceeded"), &json!(null)));
    assert_eq!(bench.branch(&conversation).await.len(), 2);

    let body = json!({"model": "lab/test", "messages": [{"role": "user", "content": "hi"}]});
    let refused = bench.post("/v1/chat/completions", body.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-should-retry")), (429, "false"));
    let error = refused.json();
    assert_eq!(
        (&error["error"]["type"], &error["error"]["code"]),
        (&json!("insufficient_quota"), &json!("insufficient_quota"))
    );

    assert_eq!(bench.delete(&address).await.status, 204);
    bench.get(&address).await.problem(404, "not_found");
    assert_eq!(bench.post("/v1/chat/completions", body).await.status, 200);
    let log = bench.get("/api/v1/audit").await.json();
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert_eq!(actions, ["budget.deleted", "budget.set", "budget.set"]);
    let detail = &log["data"][2]["detail"];
    assert_eq!((&detail["subject"], &detail["max_cost"]), (&json!("model:lab/*"), &json!(12.5)));
}

#[tokio::test]
async fn budget_ends_a_stream_of_openai_as_one_of_its_length() {
    let bench = bench([answer(&"four ".repeat(2_000))]).await;
    let new = json!({"subject": {"type": "tenant"}, "period": "day", "max_tokens": 200});
    assert_eq!(bench.post("/api/v1/budgets", new).await.status, 201);
    let body = json!({"model": "lab/test", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let reply = bench.ask(request(http::Method::POST, "/v1/chat/completions", Some(body))).await;
    assert!(
        reply.body.contains("\"finish_reason\":\"length\",\"native_finish_reason\":\"budget\""),
        "{}",
        reply.body
    );
    assert!(reply.body.trim_end().ends_with("data: [DONE]"));
}

#[tokio::test]
async fn wrong_budgets_say_what_is_wrong() {
    let bench = bench([]).await;
    for (body, path) in [
        (json!({"subject": {"type": "tenant"}, "period": "day"}), "max_cost"),
        (json!({"subject": {"type": "tenant"}, "period": "day", "max_cost": -1}), "max_cost"),
        (
            json!({"subject": {"type": "model", "value": "gpt"}, "period": "day", "max_cost": 1}),
            "subject.value",
        ),
        (json!({"subject": {"type": "tag", "value": " "}, "period": "day", "max_cost": 1}), "subject.value"),
    ] {
        let problem = bench.post("/api/v1/budgets", body.clone()).await.problem(400, "invalid");
        assert_eq!(problem["errors"][0]["path"], path, "{body}");
    }
    for body in [
        json!({"subject": {"type": "planet"}, "period": "day", "max_cost": 1}),
        json!({"subject": {"type": "user", "value": "me"}, "period": "day", "max_cost": 1}),
        json!({"subject": {"type": "tenant"}, "period": "year", "max_cost": 1}),
        json!({"subject": {"type": "tenant"}, "period": "day", "max_tokens": -1}),
        json!({"subject": {"type": "tenant"}, "period": "day", "max_tokens": 1e30}),
        json!({"period": "day", "max_cost": 1}),
    ] {
        bench.post("/api/v1/budgets", body).await.problem(400, "invalid");
    }
    bench.get("/api/v1/budgets?limit=0").await.problem(400, "invalid");
    bench
        .put("/api/v1/budgets/0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f", json!({"max_cost": 1}))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn price_makes_the_cost() {
    let bench = bench([]).await;
    let new = json!({"model": "lab/*", "input": 1.0, "output": 2.0, "cached": 0.5});
    let created = bench.post("/api/v1/prices", new).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let price = created.json();
    assert_eq!((&price["input"], &price["cached"]), (&json!(1.0), &json!(0.5)));
    let conversation = bench.conversation().await;
    let answered = bench.say(&conversation, "hello").await;
    let expected = Prices { input: 1.0, output: 2.0, cached: None };
    let usage = aimate_core::usage::TokenUsage { input_tokens: 7, output_tokens: 3, ..Default::default() };
    assert_eq!(answered["cost"], json!(expected.cost(&usage).dollars()), "{answered}");
    let sums = bench.get("/api/v1/usage?group_by=workspace,model").await.json();
    assert_eq!(sums["data"][0]["cost"], json!(expected.cost(&usage).dollars()));
    assert_eq!(bench.get("/api/v1/prices").await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(bench.delete(created.header("location")).await.status, 204);
    bench.delete(created.header("location")).await.problem(404, "not_found");
    let log = bench.get("/api/v1/audit").await.json();
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert_eq!(actions, ["price.deleted", "price.set"]);
    for group_by in ["day", "model", "user"] {
        let sums = bench.get(&format!("/api/v1/usage?group_by={group_by}")).await.json();
        assert_eq!(sums["data"][0]["cost"], answered["cost"], "{group_by}: {sums}");
    }
    for (body, path) in [
        (json!({"model": "lab/*", "input": -1.0, "output": 2.0}), "input"),
        (json!({"model": "", "input": 1.0, "output": 2.0}), "model"),
        (json!({"model": "m", "input": 1.0, "output": 2e9}), "output"),
    ] {
        let problem = bench.post("/api/v1/prices", body).await.problem(400, "invalid");
        assert_eq!(problem["errors"][0]["path"], path);
    }
}
