//! Signing in with an OpenID provider, as a browser does.

use std::sync::Arc;

use aimate_accounts::{AccountSettings, Accounts, Oidc, OidcSettings, RegistrationRule, SigningSecret};
use aimate_core::testing::{FixedClock, ScriptedProvider};
use aimate_core::{Clock as _, KeyRing, Secret, SystemClock};
use aimate_http::{Callers, Options};
use http::{Method, Request};
use serde_json::json;
use url::Url;

use crate::account::with;
use crate::common::{Bench, Reply, builder};
use crate::oidc_provider::Provider;

const START: &str = "/api/v1/auth/oidc/acme/start?return_to=/chat";
const CALLBACK: &str = "/api/v1/auth/oidc/acme/callback";

async fn house() -> (Bench, Arc<Provider>) {
    house_below("").await
}

/// With the routes below a prefix, as within another application.
async fn house_below(prefix: &str) -> (Bench, Arc<Provider>) {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let scripted = ScriptedProvider::new([]);
    let engine = builder(store.clone(), scripted.clone()).build().await.unwrap();
    let settings =
        AccountSettings::new(SigningSecret::generate().unwrap()).registration(RegistrationRule::Open);
    let accounts = Accounts::new(engine.clone(), store, settings);
    let clock = Arc::new(FixedClock::at(SystemClock.now().0));
    let provider = Provider::new("https://login.example.org", clock);
    let acme = OidcSettings::new(
        "acme",
        "https://login.example.org",
        "aimate",
        format!("https://chat.example.org{prefix}{CALLBACK}"),
    );
    let acme = acme.client_secret(Some(Secret::new("cs-Hd7KxQz2")));
    let keys = KeyRing::parse(KeyRing::generate().unwrap().expose()).unwrap();
    let oidc = Oidc::new(accounts.clone(), keys, provider.clone(), [acme]).unwrap();
    let options = Options::default().secure_cookies(true).callers(Callers::Accounts(accounts)).oidc(oidc);
    let router = aimate_http::router(engine.clone(), options);
    let router = if prefix.is_empty() { router } else { axum::Router::new().nest(prefix, router) };
    (Bench { engine, provider: scripted, router }, provider)
}

/// A `GET` with these cookies, as a browser sends it that another site sent here.
fn sent_here(path: &str, cookies: &str) -> Request<axum::body::Body> {
    let headers = [("cookie", cookies), ("sec-fetch-site", "cross-site")];
    with(&headers, Method::GET, path, None)
}

/// The cookies that an answer sets: name and value, and the rest of each.
fn cookies(reply: &Reply) -> Vec<(String, String)> {
    let all = reply.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    all.map(|cookie| cookie.split_once("; ").unwrap())
        .map(|(pair, rest)| (pair.into(), rest.into()))
        .collect()
}

#[tokio::test]
async fn browser_comes_back_signed_in() {
    let (bench, provider) = house().await;
    assert_eq!(bench.get("/api/v1/auth/oidc").await.json(), json!({"data": [{"name": "acme"}]}));
    let started = bench.ask(sent_here(START, "")).await;
    assert_eq!((started.status.as_u16(), started.header("cache-control")), (303, "no-store"));
    let page = Url::parse(started.header("location")).unwrap();
    assert!(page.as_str().starts_with("https://login.example.org/authorize?"), "{page}");
    let [(attempt, rest)] = cookies(&started).try_into().unwrap();
    assert!(attempt.starts_with("aimate_oidc="));
    assert_eq!(rest, "Path=/api/v1/auth/oidc/acme; Max-Age=600; HttpOnly; SameSite=Lax; Secure");

    let answer = provider.signed_in(&page, "ada", "ada@example.org");
    let code = answer.code.as_ref().unwrap().expose();
    // Providers add fields of their own.
    let back = format!(
        "{CALLBACK}?state={}&code={code}&session_state=x&iss=https%3A%2F%2Flogin.example.org",
        answer.state
    );
    for (path, cookie) in
        [(back.as_str(), ""), (back.as_str(), "aimate_oidc=x"), (CALLBACK, attempt.as_str())]
    {
        let refused = bench.ask(sent_here(path, cookie)).await;
        refused.problem(401, "unauthenticated");
        assert!(cookies(&refused).is_empty());
    }
    let come = bench.ask(sent_here(&back, &attempt)).await;
    assert_eq!((come.status.as_u16(), come.header("location")), (303, "/chat"), "{}", come.body);
    assert_eq!(come.header("cache-control"), "no-store");
    let set = cookies(&come);
    let names: Vec<_> = set.iter().map(|(pair, _)| pair.split('=').next().unwrap()).collect();
    assert_eq!(names, ["aimate_access", "aimate_refresh", "aimate_oidc"]);
    assert!(set.iter().all(|(_, rest)| rest.contains("HttpOnly; SameSite=Lax; Secure")), "{set:?}");
    assert!(set[2].0.ends_with('=') && set[2].1.contains("Max-Age=0"), "{set:?}");
    let me = bench.ask(sent_here("/api/v1/auth/me", &set[0].0)).await.json();
    assert_eq!((&me["email"], &me["role"]), (&json!("ada@example.org"), &json!("admin")));
    // The address stays in the browser's history: it is worth nothing now.
    bench.ask(sent_here(&back, &attempt)).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn sec_t38_browser_is_sent_nowhere_else() {
    let (bench, provider) = house().await;
    for elsewhere in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "/%0d%0aset-cookie:%20x=1", ""]
    {
        let at = format!("/api/v1/auth/oidc/acme/start?return_to={elsewhere}");
        let started = bench.ask(sent_here(&at, "")).await;
        let page = Url::parse(started.header("location")).unwrap();
        let answer = provider.signed_in(&page, "ada", "ada@example.org");
        let code = answer.code.as_ref().unwrap().expose();
        let back = format!("{CALLBACK}?state={}&code={code}", answer.state);
        let come = bench.ask(sent_here(&back, &cookies(&started)[0].0)).await;
        assert_eq!((come.status.as_u16(), come.header("location")), (303, "/"), "{elsewhere:?}");
        assert!(come.header("x").is_empty());
    }
    bench.ask(sent_here("/api/v1/auth/oidc/acme/start?to=/", "")).await.problem(400, "invalid");
    bench.ask(sent_here("/api/v1/auth/oidc/nobody/start", "")).await.problem(404, "not_found");
    bench.ask(sent_here("/api/v1/auth/oidc/nobody/callback", "")).await.problem(404, "not_found");
    // Two of a field: nobody says which one counts.
    let twice = format!("{CALLBACK}?state=a&state=b&code=c");
    bench.ask(sent_here(&twice, "")).await.problem(400, "invalid");
}

#[tokio::test]
async fn server_without_providers_has_none() {
    let (bench, _) = crate::account::house([]).await;
    assert_eq!(bench.get("/api/v1/auth/oidc").await.json(), json!({"data": []}));
    bench.get(START).await.problem(404, "not_found");
    bench.get(CALLBACK).await.problem(404, "not_found");
}

#[tokio::test]
async fn browser_comes_back_below_a_prefix() {
    let (bench, provider) = house_below("/ai").await;
    let started = bench.ask(sent_here(&format!("/ai{START}"), "")).await;
    let page = Url::parse(started.header("location")).unwrap();
    let back_to = page.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    assert_eq!(back_to, format!("https://chat.example.org/ai{CALLBACK}"));
    let [(attempt, rest)] = cookies(&started).try_into().unwrap();
    assert!(rest.starts_with("Path=/ai/api/v1/auth/oidc/acme;"), "{rest}");
    let answer = provider.signed_in(&page, "ada", "ada@example.org");
    let code = answer.code.as_ref().unwrap().expose();
    let back = format!("/ai{CALLBACK}?state={}&code={code}", answer.state);
    let come = bench.ask(sent_here(&back, &attempt)).await;
    // The page to come back to is the whole server's, below the prefix or not.
    assert_eq!((come.status.as_u16(), come.header("location")), (303, "/chat"), "{}", come.body);
    let paths: Vec<_> =
        cookies(&come).into_iter().map(|(_, rest)| rest.split(';').next().unwrap().to_owned()).collect();
    assert_eq!(paths, ["Path=/ai/", "Path=/ai/api/v1/auth", "Path=/ai/api/v1/auth/oidc/acme"]);
    let access = &cookies(&come)[0].0;
    let me = bench.ask(sent_here("/ai/api/v1/auth/me", access)).await.json();
    assert_eq!(me["email"], "ada@example.org");
}
