//! What a front end asks first, and what it does then with cookies alone.

use aimate_accounts::RegistrationRule;
use aimate_core::Scope;
use aimate_http::Options;
use axum::Extension;
use http::Method;
use http::header::SET_COOKIE;
use serde_json::{Value, json};

use crate::account::{PASSWORD, house_with, with};
use crate::common::{Bench, Reply, bench};

const PATH: &str = "/api/v1/server";

#[tokio::test]
async fn local_mode_needs_no_login() {
    let info = bench([]).await.get(PATH).await;
    assert_eq!(info.header("cache-control"), "no-store");
    let info = info.json();
    assert_eq!((&info["sign_in"], &info["user"]["role"]), (&json!("none"), &json!("admin")));
    assert_eq!((&info["version"], &info["oidc_providers"]), (&json!(env!("CARGO_PKG_VERSION")), &json!([])));
    assert_eq!(info["limits"], json!({"document_bytes": 1 << 30, "body_bytes": 32 << 20}));
    assert_eq!((info.get("registration"), info.get("needs_first_user")), (None, None));
    assert!(info["started_at"].is_string(), "{info}");
}

#[tokio::test]
async fn application_says_who_asks() {
    let local = bench([]).await;
    let scope = local.engine.local_scope().await.unwrap();
    let router = aimate_http::router(local.engine.clone(), Options::default());
    let unknown = Scope { user: local.engine.sources().id(), ..scope };
    for (caller, is_known) in [(None, false), (Some(scope), true), (Some(unknown), false)] {
        let router = match caller {
            Some(caller) => router.clone().layer(Extension(caller)),
            None => router.clone(),
        };
        let app = Bench { engine: local.engine.clone(), provider: local.provider.clone(), router };
        let reply = app.get(PATH).await;
        if caller == Some(unknown) && reply.status != 200 {
            continue;
        }
        let info = reply.json();
        assert_eq!((&info["sign_in"], info["user"].is_object()), (&json!("application"), is_known));
    }
}

#[tokio::test]
async fn front_end_is_told_who_may_register() {
    for (rule, before, after) in [
        (RegistrationRule::Open, "open", "open"),
        (RegistrationRule::First, "open", "invite"),
        (RegistrationRule::Invite, "invite", "invite"),
        (RegistrationRule::Closed, "closed", "closed"),
    ] {
        let (bench, accounts) = house_with([], rule, Options::default()).await;
        let info = bench.get(PATH).await.json();
        assert_eq!((&info["sign_in"], &info["user"]), (&json!("accounts"), &Value::Null));
        assert_eq!((&info["registration"], &info["needs_first_user"]), (&json!(before), &json!(true)));
        assert_eq!(info.get("started_at"), None);
        let address = aimate_core::EmailAddress::parse("email", "ada@example.org").unwrap();
        accounts
            .add_user(address, None, aimate_core::Role::Admin, &aimate_core::Secret::new(PASSWORD))
            .await
            .unwrap();
        let info = bench.get(PATH).await.json();
        assert_eq!((&info["registration"], &info["needs_first_user"]), (&json!(after), &json!(false)));
    }
}

/// Cookies as a browser keeps them.
#[derive(Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn take(&mut self, reply: &Reply) {
        for cookie in reply.headers.get_all(SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(rest.contains("HttpOnly") && rest.contains("SameSite=Lax"), "{rest}");
            self.0.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    async fn ask(&mut self, bench: &Bench, method: Method, path: &str, body: Option<Value>) -> Reply {
        let cookies: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = [("cookie", cookies.join("; ")), ("sec-fetch-site", "same-origin".to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let headers = if cookies.is_empty() { &headers[1..] } else { &headers[..] };
        let reply = bench.ask(with(headers, method, path, body)).await;
        self.take(&reply);
        reply
    }
}

#[tokio::test]
async fn page_signs_in_and_out_and_sees_no_token() {
    let (bench, _) = house_with([], RegistrationRule::First, Options::default()).await;
    let mut jar = Jar::default();
    let ada = json!({"email": "ada@example.org", "password": PASSWORD, "cookie": true});
    let mut seen = String::new();
    let registered = jar.ask(&bench, Method::POST, "/api/v1/auth/register", Some(ada.clone())).await;
    assert_eq!(registered.status, 201, "{}", registered.body);
    seen.push_str(&registered.body);
    let info = jar.ask(&bench, Method::GET, PATH, None).await.json();
    assert_eq!(info["user"]["email"], "ada@example.org");
    // The access token is over, as its cookie is then.
    jar.0.retain(|(name, _)| name != "aimate_access");
    assert_eq!(jar.ask(&bench, Method::GET, PATH, None).await.json()["user"], Value::Null);
    let refreshed = jar.ask(&bench, Method::POST, "/api/v1/auth/refresh", None).await;
    assert_eq!(
        (refreshed.status.as_u16(), &refreshed.json()["user"]["email"]),
        (200, &json!("ada@example.org"))
    );
    seen.push_str(&refreshed.body);
    let changed = jar.ask(&bench, Method::POST, "/api/v1/conversations", Some(json!({}))).await;
    assert_eq!(changed.status, 201);
    let access = jar.0.clone();
    assert_eq!(jar.ask(&bench, Method::POST, "/api/v1/auth/logout", None).await.status, 204);
    assert_eq!(jar.0, []);
    // What was signed in by it is nobody's now, and that is no failure.
    let mut old = Jar(access.clone());
    assert_eq!(old.ask(&bench, Method::GET, PATH, None).await.json()["user"], Value::Null);
    assert_eq!(jar.ask(&bench, Method::POST, "/api/v1/auth/refresh", None).await.status, 400);
    let signed_in = jar.ask(&bench, Method::POST, "/api/v1/auth/login", Some(ada)).await;
    seen.push_str(&signed_in.body);
    for (_, token) in access.iter().chain(&jar.0) {
        assert!(!seen.contains(token.as_str()), "{seen}");
    }
}
