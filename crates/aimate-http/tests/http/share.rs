//! Conversations that are shared by a link.

use std::time::Duration;

use aimate_core::testing::{Step, answer};
use aimate_http::Options;
use futures_util::FutureExt as _;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Bench, Reply, bench, request, say};
use crate::knowledge::{UNKNOWN, library_with};

/// Shares a conversation; the link and its token.
async fn share(bench: &Bench, conversation: &str, new: Value) -> (Value, String) {
    let reply = bench.post(&format!("{conversation}/shares"), new).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), "no-store");
    let mut made = reply.json();
    let token = made["token"].take().as_str().unwrap().to_owned();
    assert_eq!((token.len(), &token[..4]), (47, "ais_"));
    made.as_object_mut().unwrap().remove("token");
    (made, token)
}

/// Opens a link as somebody without any credential, on a router that knows nobody.
async fn open(bench: &Bench, token: &str) -> Reply {
    let router = aimate_http::router(bench.engine.clone(), Options::default());
    let anybody = Bench { engine: bench.engine.clone(), provider: bench.provider.clone(), router };
    let reply = anybody.ask(request(Method::GET, &format!("/api/v1/shared/{token}"), None)).await;
    for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(reply.header(name), value, "{name}");
    }
    reply
}

#[tokio::test]
async fn link_shows_a_snapshot_to_anybody() {
    let bench = bench([answer("In May."), answer("By the owner.")]).await;
    let new = json!({"title": "Boiler", "system_prompt": "Be brief.", "tags": ["private-tag"]});
    let at = bench.post("/api/v1/conversations", new).await.header("location").to_owned();
    bench.say(&at, "When?").await;
    let (made, token) = share(&bench, &at, json!({})).await;
    assert_eq!((&made["message_count"], &made["has_system_prompt"]), (&json!(2), &json!(false)));
    // What comes later is not in it.
    bench.say(&at, "By whom?").await;
    bench.patch(&at, json!({"title": "Renamed"})).await;
    let reply = open(&bench, &token).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("x-robots-tag"), "noindex, nofollow, noarchive");
    let shown = reply.json();
    assert_eq!((&shown["title"], shown.get("system_prompt")), (&json!("Boiler"), None));
    let said = |shown: &Value| -> Vec<(String, String)> {
        let text = |message: &Value| message["content"][0]["text"].as_str().unwrap().to_owned();
        let all = shown["messages"].as_array().unwrap().iter();
        all.map(|message| (message["role"].as_str().unwrap().to_owned(), text(message))).collect()
    };
    let pair = |role: &str, text: &str| (role.to_owned(), text.to_owned());
    assert_eq!(said(&shown), [pair("user", "When?"), pair("assistant", "In May.")]);
    assert_eq!(shown["messages"][1]["model"], "test");
    let conversation = bench.get(&at).await.json();
    for secret in [conversation["id"].as_str().unwrap(), "private-tag", "Be brief.", "lab/"] {
        assert!(!reply.body.contains(secret), "{secret}: {}", reply.body);
    }
    // The secret is shown once.
    let list = bench.get(&format!("{at}/shares")).await;
    assert_eq!(list.json()["data"], json!([made]));
    assert!(!list.body.contains(&token[4..]));
    let (_, whole) = share(&bench, &at, json!({"include_system_prompt": true})).await;
    let shown = open(&bench, &whole).await.json();
    assert_eq!((&shown["system_prompt"], said(&shown).len()), (&json!("Be brief."), 4));
    let revoked = format!("/api/v1/shares/{}", made["id"].as_str().unwrap());
    assert_eq!(bench.delete(&revoked).await.status, 204);
    open(&bench, &token).await.problem(404, "not_found");
    bench.delete(&revoked).await.problem(404, "not_found");
    bench.delete(&at).await;
    open(&bench, &whole).await.problem(404, "not_found");
}

#[tokio::test]
async fn branch_that_is_shared_may_be_chosen() {
    let bench = bench([answer("one"), answer("two")]).await;
    let at = bench.conversation().await;
    let first = bench.say(&at, "a").await;
    bench.say(&at, "b").await;
    let (made, token) = share(&bench, &at, json!({"message_id": first["id"]})).await;
    assert_eq!((&made["message_id"], &made["message_count"]), (&first["id"], &json!(2)));
    assert_eq!(open(&bench, &token).await.json()["messages"].as_array().unwrap().len(), 2);
    let other = bench.conversation().await;
    for wrong in [&first["id"], &json!(UNKNOWN)] {
        let reply = bench.post(&format!("{other}/shares"), json!({"message_id": wrong})).await;
        reply.problem(404, "not_found");
    }
    assert_eq!(bench.get(&format!("{other}/shares")).await.json()["data"], json!([]));
}

#[tokio::test]
async fn sources_are_named_and_quoted_and_not_opened() {
    let answers = [answer("It is “serviced in May by the owner” [1].")];
    let library = library_with(answers, Options::local(), |builder| builder).await;
    library.manuals().await;
    let bench = &library.bench;
    let at = bench.conversation().await;
    let body = json!({"content": "When is the boiler in the cellar serviced?", "knowledge": ["manuals"], "stream": false});
    let told = bench.post(&format!("{at}/messages"), body).await.json();
    let cited = told["content"].as_array().unwrap().iter().find(|part| part["type"] == "citation").unwrap();
    let (_, token) = share(bench, &at, json!({})).await;
    let reply = open(bench, &token).await;
    let parts = reply.json()["messages"][1]["content"].clone();
    let expected =
        json!({"type": "citation", "n": 1, "title": "Boiler", "quotes": ["serviced in May by the owner"]});
    assert_eq!(parts[1], expected);
    // Nothing else of the passages that the question was answered from.
    assert_eq!(reply.json()["messages"][0]["content"].as_array().unwrap().len(), 1);
    for id in ["document_id", "chunk_id"] {
        assert!(!reply.body.contains(cited[id].as_str().unwrap()), "{id}: {}", reply.body);
    }
    assert!(!reply.body.contains("in the cellar is"), "{}", reply.body);
}

#[tokio::test]
async fn wrong_links_and_bad_input_are_told() {
    let bench = bench([vec![say("half"), Step::Hang]]).await;
    for wrong in ["x", "ais_", UNKNOWN, &format!("ais_{}", "A".repeat(43)), &"a".repeat(5_000)] {
        open(&bench, wrong).await.problem(404, "not_found");
    }
    let at = bench.conversation().await;
    let shares = format!("{at}/shares");
    let nothing = bench.post(&shares, json!({})).await.problem(400, "invalid");
    assert!(nothing["detail"].as_str().unwrap().contains("nothing was said"), "{nothing}");
    for (end, path) in [("2001-01-01T00:00:00Z", "expires_at"), ("2999-01-01T00:00:00Z", "expires_at")] {
        let problem = bench.post(&shares, json!({"expires_at": end})).await.problem(400, "invalid");
        assert_eq!(problem["errors"][0]["path"], path);
    }
    bench.post(&shares, json!({"expires": "2030-01-01T00:00:00Z"})).await.problem(400, "invalid");
    bench.post(&format!("/api/v1/conversations/{UNKNOWN}/shares"), json!({})).await.problem(404, "not_found");
    bench.get(&format!("/api/v1/conversations/{UNKNOWN}/shares")).await.problem(404, "not_found");
    bench.delete(&format!("/api/v1/shares/{UNKNOWN}")).await.problem(404, "not_found");
    // Not while the answer is being written.
    let body = json!({"content": "When?"});
    let stream = bench.send(request(Method::POST, &format!("{at}/messages"), Some(body))).await;
    bench.post(&shares, json!({})).await.problem(409, "conflict");
    drop(stream);
}

#[tokio::test]
async fn who_shared_and_revoked_is_in_the_audit_log() {
    let bench = bench([answer("In May.")]).await;
    let at = bench.conversation().await;
    bench.say(&at, "When?").await;
    let (made, token) = share(&bench, &at, json!({})).await;
    bench.delete(&format!("/api/v1/shares/{}", made["id"].as_str().unwrap())).await;
    let log = bench.get("/api/v1/audit").await;
    assert!(!log.body.contains(&token[4..]));
    let log = log.json();
    let of =
        |action: &str| log["data"].as_array().unwrap().iter().filter(|one| one["action"] == action).count();
    assert_eq!((of("share.created"), of("share.revoked")), (1, 1), "{log}");
}

#[tokio::test]
async fn change_whose_client_goes_away_is_in_the_audit_log() {
    let bench = bench([answer("In May.")]).await;
    let at = bench.conversation().await;
    bench.say(&at, "When?").await;
    let (made, token) = share(&bench, &at, json!({})).await;
    let path = format!("/api/v1/shares/{}", made["id"].as_str().unwrap());
    // The client is gone after the first moment.
    let asked = bench.ask(request(Method::DELETE, &path, None));
    assert!(asked.now_or_never().is_none());
    let is_revoked = async {
        while !bench.get("/api/v1/audit").await.body.contains("share.revoked") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_revoked).await.unwrap();
    assert_eq!(open(&bench, &token).await.status, 404);
}
