//! Streams and answers end with the sign-in of who listens.

use std::time::Duration;

use aimate_accounts::{AccountSettings, Accounts, RegistrationRule, SigningSecret};
use aimate_core::knowledge::{NewCollection, NewDocument};
use aimate_core::testing::{ScriptedProvider, Step};
use aimate_http::{Callers, Options};
use axum::body::Body;
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::account::{PASSWORD, api_token, by, house, register, text, with};
use crate::common::{Bench, builder, end, say, until};

/// The rest of a stream, which has to end within five seconds.
async fn rest(body: Body) -> String {
    let collected = timeout(Duration::from_secs(5), body.collect()).await;
    let Ok(bytes) = collected else { panic!("the stream does not end within five seconds") };
    let bytes = bytes.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn open_stream(bench: &Bench, headers: &[(&str, &str)], path: &str, body: Value) -> Body {
    let response = bench.send(with(headers, Method::POST, path, Some(body))).await;
    assert_eq!(response.status(), 200);
    response.into_body()
}

#[tokio::test]
async fn sec_t20_logout_ends_open_streams_and_not_the_run() {
    let (bench, _) =
        house([vec![say("half"), Step::Wait(Duration::from_secs(3)), say(" more"), end()]]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let login = json!({"email": "ada@example.org", "password": PASSWORD});
    let other = bench.post("/api/v1/auth/login", login).await.json();
    let bearer = format!("Bearer {access}");
    let stream =
        open_stream(&bench, &[("authorization", &bearer)], "/api/v1/messages", json!({"content": "x"})).await;
    until(async || bench.engine.running() == 1).await;
    assert_eq!(bench.ask(by(&access, Method::POST, "/api/v1/auth/logout", None)).await.status, 204);
    let told = rest(stream).await;
    let last = told.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.contains("event: error") && last.contains("\"code\":\"unauthenticated\""), "{told}");
    assert!(!told.contains(" more"));
    until(async || bench.engine.running() == 0).await;
    let other = text(&other, "access_token");
    let list = bench.ask(by(other, Method::GET, "/api/v1/conversations", None)).await.json();
    let at = format!("/api/v1/conversations/{}/messages", text(&list["data"][0], "id"));
    let messages = bench.ask(by(other, Method::GET, &at, None)).await.json();
    assert_eq!(messages["data"][1]["content"][0]["text"], "half more", "the run went on: {messages}");
}

#[tokio::test]
async fn sec_t19_streams_end_with_the_standing_of_who_listens() {
    for what in ["disabled", "deleted", "token", "demoted"] {
        let (bench, _) = house([vec![say("half"), Step::Hang]]).await;
        let ada = register(&bench, "ada@example.org").await;
        let bob = register(&bench, "bob@example.org").await;
        let (ada, access) = (text(&ada, "access_token"), text(&bob, "access_token").to_owned());
        let user = format!("/api/v1/users/{}", text(&bob["user"], "id"));
        let mut scopes = vec!["write"];
        if what == "demoted" {
            let promoted = bench.ask(by(ada, Method::PATCH, &user, Some(json!({"role": "admin"})))).await;
            assert_eq!(promoted.status, 200);
            // Without this one, the token never was an admin's.
            scopes.push("admin");
        }
        let token = api_token(&bench, &access, &scopes).await;
        let by_token = format!("Bearer {}", text(&token, "token"));
        let chat =
            json!({"model": "lab/test", "messages": [{"role": "user", "content": "x"}], "stream": true});
        let stream = open_stream(&bench, &[("authorization", &by_token)], "/v1/chat/completions", chat).await;
        let changed = match what {
            "demoted" => bench.ask(by(ada, Method::PATCH, &user, Some(json!({"role": "user"})))).await,
            "disabled" => bench.ask(by(ada, Method::PATCH, &user, Some(json!({"is_active": false})))).await,
            "deleted" => bench.ask(by(ada, Method::DELETE, &user, None)).await,
            _ => {
                let at = format!("/api/v1/auth/tokens/{}", text(&token, "id"));
                bench.ask(by(&access, Method::DELETE, &at, None)).await
            }
        };
        assert!(changed.status.is_success(), "{what}: {}", changed.body);
        let told = rest(stream).await;
        assert!(told.contains("\"error\""), "{what}: {told}");
    }
}

#[tokio::test]
async fn sec_t15_stream_of_another_user_is_not_found() {
    let (bench, _) = house([vec![say("half"), Step::Hang]]).await;
    let (ada, bob) = (register(&bench, "ada@example.org").await, register(&bench, "bob@example.org").await);
    let (ada, bob) = (text(&ada, "access_token"), text(&bob, "access_token"));
    let bearer = format!("Bearer {ada}");
    let mut stream =
        open_stream(&bench, &[("authorization", &bearer)], "/api/v1/messages", json!({"content": "x"})).await;
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    let run = &first.split_once("\"run_id\":\"").unwrap().1[..36];
    for (method, path) in [
        (Method::GET, format!("/api/v1/runs/{run}/events")),
        (Method::GET, format!("/api/v1/runs/{run}")),
        (Method::POST, format!("/api/v1/runs/{run}/cancel")),
    ] {
        bench.ask(by(bob, method, &path, None)).await.problem(404, "not_found");
    }
    assert_eq!(bench.engine.running(), 1);
    let cancel = format!("/api/v1/runs/{run}/cancel");
    assert_eq!(bench.ask(by(ada, Method::POST, &cancel, None)).await.status, 200);
}

#[tokio::test]
async fn sec_t19_sessions_end_one_by_one_with_their_streams() {
    for what in ["session", "sessions", "password"] {
        let (bench, _) = house([vec![say("half"), Step::Hang]]).await;
        let ada = register(&bench, "ada@example.org").await;
        let bearer = format!("Bearer {}", text(&ada, "access_token"));
        let login = json!({"email": "ada@example.org", "password": PASSWORD});
        let other = bench.post("/api/v1/auth/login", login).await.json();
        let other = text(&other, "access_token");
        let sessions = bench.ask(by(other, Method::GET, "/api/v1/auth/sessions", None)).await.json();
        let old = sessions["data"].as_array().unwrap().iter().find(|one| one["is_current"] == false).unwrap();
        let stream =
            open_stream(&bench, &[("authorization", &bearer)], "/api/v1/messages", json!({"content": "x"}))
                .await;
        let (method, path, body) = match what {
            "session" => (Method::DELETE, format!("/api/v1/auth/sessions/{}", text(old, "id")), None),
            "sessions" => (Method::DELETE, "/api/v1/auth/sessions".to_owned(), None),
            _ => {
                let body = json!({"current_password": PASSWORD, "new_password": "another horse battery"});
                (Method::POST, "/api/v1/auth/password".to_owned(), Some(body))
            }
        };
        let ended = bench.ask(by(other, method, &path, body)).await;
        assert_eq!(ended.status, 204, "{what}: {}", ended.body);
        assert!(rest(stream).await.contains("\"unauthenticated\""), "{what}");
        assert_eq!(bench.ask(by(other, Method::GET, "/api/v1/auth/me", None)).await.status, 200, "{what}");
    }
}

#[tokio::test]
async fn sec_t20_answer_that_took_long_is_not_given_to_who_signed_out() {
    let (bench, _) = house([vec![Step::Wait(Duration::from_secs(2)), say("secret"), end()]]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let turn = json!({"content": "x", "stream": false});
    let waiting = bench.ask(by(&access, Method::POST, "/api/v1/messages", Some(turn)));
    let out = async {
        until(async || bench.engine.running() == 1).await;
        bench.ask(by(&access, Method::POST, "/api/v1/auth/logout", None)).await
    };
    let (answer, out) = tokio::join!(waiting, out);
    assert_eq!(out.status, 204);
    answer.problem(401, "unauthenticated");
    assert!(!answer.body.contains("secret"));
}

#[tokio::test]
async fn sec_t19_what_another_process_ended_is_known_within_five_seconds() {
    let folder = std::env::temp_dir().join(format!("aimate-two-processes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite:{}", folder.join("aimate.db").display());
    let secret = SigningSecret::generate().unwrap();
    let served = async |scripts: Vec<Vec<Step>>| {
        let store = aimate_store::connect(&url).await.unwrap();
        let provider = ScriptedProvider::new(scripts);
        let engine = builder(store.clone(), provider.clone()).build().await.unwrap();
        let settings = AccountSettings::new(secret.clone()).registration(RegistrationRule::Open);
        let accounts = Accounts::new(engine.clone(), store, settings);
        let options = Options::default().callers(Callers::Accounts(accounts));
        let router = aimate_http::router(engine.clone(), options);
        Bench { engine, provider, router }
    };
    let (here, there) = (served(vec![vec![say("half"), Step::Hang]]).await, served(Vec::new()).await);
    let ada = register(&there, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let bearer = format!("Bearer {access}");
    let stream =
        open_stream(&here, &[("authorization", &bearer)], "/api/v1/messages", json!({"content": "x"})).await;
    assert_eq!(here.ask(by(&access, Method::GET, "/api/v1/auth/me", None)).await.status, 200);
    let out = there.ask(by(&access, Method::POST, "/api/v1/auth/logout", None)).await;
    assert_eq!(out.status, 204, "{}", out.body);
    assert!(rest(stream).await.contains("\"unauthenticated\""));
    here.ask(by(&access, Method::GET, "/api/v1/auth/me", None)).await.problem(401, "unauthenticated");
    std::fs::remove_dir_all(folder).unwrap();
}

/// What comes of a download that is read a piece at a time, and whether it ends before its end.
async fn read_slowly(mut body: Body) -> (usize, bool) {
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => length += frame.into_data().unwrap().len(),
            Err(_) => return (length, true),
        }
        pace.tick().await;
    }
    (length, false)
}

#[tokio::test]
async fn sec_t20_logout_cuts_a_download_under_way() {
    const LENGTH: usize = 2 * 1024 * 1024;
    let (bench, accounts) = house([]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let login = json!({"email": "ada@example.org", "password": PASSWORD});
    let other = bench.post("/api/v1/auth/login", login).await.json();
    let other = text(&other, "access_token");
    let scope = accounts.authenticate(&access).await.unwrap().scope;
    let knowledge = bench.engine.knowledge(&scope);
    let collection = knowledge.create_collection(NewCollection::new("manuals")).await.unwrap();
    let manual = "It is serviced.\n".repeat(LENGTH / 16);
    let document = knowledge.add_text_to(collection.id, NewDocument::new("manual"), manual).await.unwrap();
    let at = format!("/api/v1/knowledge/documents/{}/content", document.id);
    let mut bodies = Vec::new();
    for token in [access.as_str(), other] {
        let response = bench.send(by(token, Method::GET, &at, None)).await;
        assert_eq!(response.headers()["content-length"], LENGTH.to_string().as_str());
        bodies.push(response.into_body());
    }
    assert_eq!(bench.ask(by(&access, Method::POST, "/api/v1/auth/logout", None)).await.status, 204);
    let [cut, whole] = bodies.try_into().unwrap();
    let (cut, whole) = tokio::join!(timeout(Duration::from_secs(5), read_slowly(cut)), read_slowly(whole));
    let (length, is_cut) = cut.unwrap();
    assert!(is_cut && length < LENGTH, "{length} bytes of {LENGTH}");
    assert_eq!(whole, (LENGTH, false));
}
