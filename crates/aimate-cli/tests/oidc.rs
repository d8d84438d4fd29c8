//! Signing in with a real OpenID provider: `oidc-provider` for Node.js, certified by the OpenID
//! Foundation, beside a server on this machine.
//!
//! It runs where `AIMATE_TEST_OIDC` names a folder in which `npm install oidc-provider` ran; else
//! it says that it is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a test has its own client and environment")]

#[path = "common/command.rs"]
mod command;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::Folder;
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

/// Far more than anything takes: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENT_SECRET: &str = "a secret of forty bytes, for tests alone";

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn client() -> Client {
    // Fails when another client was made before, and then it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().timeout(PATIENCE);
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn until_it_answers(url: &str) {
    let (client, begun) = (client(), Instant::now());
    while client.get(url).send().await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "{url} does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A browser: keeps cookies, by path, and goes where it is sent.
struct Browser {
    client: Client,
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    fn new() -> Self {
        Self { client: client(), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, url: &Url, request: RequestBuilder) -> Response {
        let sent = self.cookies.iter().filter(|((path, _), _)| url.path().starts_with(path.as_str()));
        let sent: Vec<String> = sent.map(|((_, name), value)| format!("{name}={value}")).collect();
        let answer = request.header("cookie", sent.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let path = cookie.split(';').find_map(|part| {
                let (name, value) = part.trim().split_once('=')?;
                name.eq_ignore_ascii_case("path").then(|| value.to_owned())
            });
            let key = (path.unwrap_or_else(|| "/".to_owned()), name.to_owned());
            match value.is_empty() {
                true => self.cookies.remove(&key),
                false => self.cookies.insert(key, value.to_owned()),
            };
        }
        answer
    }

    async fn get(&mut self, url: &Url) -> Response {
        let request = self.client.get(url.clone());
        self.send(url, request).await
    }

    async fn json(&mut self, url: &Url) -> Value {
        serde_json::from_str(&self.get(url).await.text().await.unwrap()).unwrap()
    }

    /// Signs in at the provider as this person, and gives the address that the provider sends the
    /// browser back to.
    async fn signs_in(&mut self, start: &Url, back: &Url, person: &str) -> Url {
        let mut url = start.clone();
        let mut answer = self.get(&url).await;
        for _ in 0..20 {
            if let Some(location) = answer.headers().get(LOCATION) {
                url = url.join(location.to_str().unwrap()).unwrap();
                if url.path() == back.path() {
                    return url;
                }
                answer = self.get(&url).await;
                continue;
            }
            let status = answer.status();
            let page = answer.text().await.unwrap();
            let prompt =
                ["login", "consent"].into_iter().find(|prompt| page.contains(&format!("value=\"{prompt}\"")));
            let prompt = prompt.unwrap_or_else(|| panic!("{url} answers {status}: {page}"));
            let form = format!("prompt={prompt}&login={person}&password=x");
            let request =
                self.client.post(url.clone()).header("content-type", "application/x-www-form-urlencoded");
            answer = self.send(&url, request.body(form)).await;
        }
        panic!("the provider sends the browser nowhere");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_provider_signs_in() {
    let Ok(modules) = std::env::var("AIMATE_TEST_OIDC") else {
        eprintln!("skipped: AIMATE_TEST_OIDC names no folder with the package `oidc-provider` of npm");
        return;
    };
    let (server, provider) = (free_port(), free_port());
    let at = |path: &str| Url::parse(&format!("http://127.0.0.1:{server}{path}")).unwrap();
    let back = at("/api/v1/auth/oidc/acme/callback");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc/provider.mjs");
    let provider_process = Command::new("node")
        .args([script, &provider.to_string(), back.as_str(), CLIENT_SECRET])
        .current_dir(&modules)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _provider = Process(provider_process.unwrap());
    let issuer = format!("http://127.0.0.1:{provider}");
    until_it_answers(&format!("{issuer}/.well-known/openid-configuration")).await;

    let folder = Folder::new("oidc");
    let address = format!("127.0.0.1:{server}");
    let environment = [
        ("JWT_SECRET", "q0Zr5n2J8mYw1Xc7Vb3Kd9Lf6Hs4Tg0Pa5Ue2Ri8="),
        ("ENCRYPTION_KEY", "Yp3Wd8Kx1Rv6Tn0Bq5Lz9Hc4Mf7Gj2SaXe1Uo6Ib3k8="),
        ("AIMATE_PUBLIC_URL", &format!("http://{address}")),
        ("AIMATE_OIDC", "acme"),
        ("AIMATE_OIDC_ACME_ISSUER", &issuer),
        ("AIMATE_OIDC_ACME_CLIENT_ID", "aimate"),
        ("AIMATE_OIDC_ACME_CLIENT_SECRET", CLIENT_SECRET),
        ("AIMATE_OIDC_ACME_REGISTRATION", "open"),
        ("AIMATE_RATE_LIMITS", "off"),
        ("AI_PROVIDER", "builtin"),
    ];
    let mut command = folder.command(&["serve", "--addr", &address], &environment);
    let _server = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until_it_answers(at("/health").as_str()).await;

    let mut ada = Browser::new();
    assert_eq!(ada.json(&at("/api/v1/auth/oidc")).await, json!({"data": [{"name": "acme"}]}));
    let start = at("/api/v1/auth/oidc/acme/start?return_to=/docs");
    let came = ada.signs_in(&start, &back, "ada").await;
    let answer = ada.get(&came).await;
    assert_eq!(
        (answer.status(), &answer.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &"/docs".parse().unwrap())
    );
    let me = ada.json(&at("/api/v1/auth/me")).await;
    assert_eq!((&me["email"], &me["role"]), (&json!("ada@example.org"), &json!("admin")), "{me}");
    assert_eq!(me["name"], "ada of the provider");

    // The same answer once more, in the same browser and in another one.
    assert_eq!(ada.get(&came).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(Browser::new().get(&came).await.status(), StatusCode::UNAUTHORIZED);

    let mut again = Browser::new();
    let came = again.signs_in(&start, &back, "ada").await;
    assert_eq!(again.get(&came).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(again.json(&at("/api/v1/auth/me")).await["id"], me["id"]);

    let mut eve = Browser::new();
    let came = eve.signs_in(&start, &back, "unverified-eve").await;
    assert_eq!(eve.get(&came).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(eve.get(&at("/api/v1/auth/me")).await.status(), StatusCode::UNAUTHORIZED);

    // Somebody who changes their mind at the provider.
    let mut bob = Browser::new();
    let refused = at("/api/v1/auth/oidc/acme/callback?error=access_denied&state=x");
    bob.get(&start).await;
    assert_eq!(bob.get(&refused).await.status(), StatusCode::UNAUTHORIZED);
}
