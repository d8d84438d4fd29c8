//! The same in server mode: passwords, and the tokens that the server itself gives out.

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Finder, Folder, Secrets, Server, bytes_in, command, http, tables, upstream::Upstream};

const EMAIL: &str = "ada@example.org";
const FIRST_PASSWORD: &str = "Nz5XrKq8 TvWm2 LcHg9Pd";
const NEXT_PASSWORD: &str = "Fw7RtXz3 QnKv6 McYg1Ls";
const WRONG_PASSWORD: &str = "Bh4GkTq9 XwRz2 VnLc8Jm";
const SIGNING_SECRET: &str = "Zt6LwKq2RnXv9GcMh4Yp8DfJs1VbTk5W";
const OIDC_SECRET: &str = "cs-Pg3WxTq7KzRn5VmLc9Hd";
const OIDC_CODE: &str = "Dk8VqXr4TnWz6LcGm2Yh";

/// Asks, and keeps what comes back.
struct Visitor {
    client: reqwest::Client,
    url: String,
    said: Vec<(String, String)>,
}

impl Visitor {
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, head) = (answer.status(), format!("{} {:?}", answer.status(), answer.headers()));
        let text = answer.text().await.unwrap_or_default();
        self.said.push((format!("{method} {path}"), format!("{head}\n{text}")));
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Asks for what the server gives out, which is its answer's alone.
    async fn given(&mut self, path: &str, token: &str, body: Value, fields: &[&str]) -> Vec<String> {
        let (status, answer) = self.ask(Method::POST, path, token, Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
        self.said.pop();
        fields
            .iter()
            .map(|field| answer[*field].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
            .collect()
    }
}

/// The part of a token that is a secret: ids stand before it.
fn secret_of(token: &str) -> String {
    let end = token.rsplit('.').next().unwrap();
    end[end.len().saturating_sub(30)..].to_owned()
}

pub(crate) async fn no_credential_comes_out(database: &str, folder: &Folder) {
    let (secrets, upstream) = (Secrets::new(), Upstream::start());
    let environment = [
        ("DATABASE_URL", database),
        ("ENCRYPTION_KEY", &secrets.encryption_key),
        ("JWT_SECRET", SIGNING_SECRET),
        ("AIMATE_REGISTRATION", "open"),
        ("AIMATE_RATE_LIMITS", "off"),
        ("AIMATE_PUBLIC_URL", "https://chat.example.org"),
        ("AIMATE_OIDC", "acme"),
        ("AIMATE_OIDC_ACME_ISSUER", &upstream.url),
        ("AIMATE_OIDC_ACME_CLIENT_ID", "aimate"),
        ("AIMATE_OIDC_ACME_CLIENT_SECRET", OIDC_SECRET),
        ("AIMATE_LOG", "trace"),
        ("RUST_LOG", "trace"),
        ("NO_COLOR", "1"),
    ];
    let mut server = Server::start(folder, &environment).await;
    let mut visitor = Visitor { client: http(), url: server.url.clone(), said: Vec::new() };
    let v = &mut visitor;
    let both = ["access_token", "refresh_token"];
    let login = |password: &str| json!({"email": EMAIL, "password": password});
    let mut given = v.given("/api/v1/auth/register", "", login(FIRST_PASSWORD), &both).await;
    given.extend(v.given("/api/v1/auth/login", "", login(FIRST_PASSWORD), &both).await);
    let renew = json!({"refresh_token": given[3]});
    given.extend(v.given("/api/v1/auth/refresh", "", renew.clone(), &both).await);
    let access = given[4].clone();
    let api_token = json!({"name": "ci", "scopes": ["read", "write", "admin"]});
    let text = v.ask(Method::POST, "/api/v1/auth/tokens", &access, Some(api_token)).await.1;
    v.said.pop();
    let invite = v.ask(Method::POST, "/api/v1/invites", &access, Some(json!({}))).await.1;
    v.said.pop();
    for answer in [&text, &invite] {
        let values = answer.as_object().unwrap().values().filter_map(Value::as_str);
        let made = values.filter(|value| value.starts_with("aim_") || value.starts_with("aii_"));
        given.extend(made.filter(|value| value.len() > 40).map(str::to_owned));
    }
    assert_eq!(given.len(), 8, "{text} {invite}");
    // What is wrong is told without it.
    v.ask(Method::POST, "/api/v1/auth/login", "", Some(login(WRONG_PASSWORD))).await;
    v.ask(Method::POST, "/api/v1/auth/register", "", Some(login(FIRST_PASSWORD))).await;
    v.ask(Method::POST, "/api/v1/auth/login", "", Some(json!({"email": 1, "password": WRONG_PASSWORD})))
        .await;
    let change = json!({"current_password": FIRST_PASSWORD, "new_password": NEXT_PASSWORD});
    assert_eq!(v.ask(Method::POST, "/api/v1/auth/password", &access, Some(change)).await.0, 204);
    v.ask(Method::GET, "/api/v1/auth/oidc/acme/start", "", None).await;
    let callback = format!("/api/v1/auth/oidc/acme/callback?state=x&code={OIDC_CODE}");
    assert_eq!(v.ask(Method::GET, &callback, "", None).await.0, 401);
    let document = v.ask(Method::GET, "/openapi.json", "", None).await.1;
    let paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let good = given.iter().find(|token| token.starts_with("aim_")).unwrap().clone();
    for path in &paths {
        let at = path.replace(['{', '}'], "");
        let forged = format!("{}x", &access[..access.len() - 1]);
        for token in [access.as_str(), &good, &forged, "aim_abcdefgh_x", ""] {
            v.ask(Method::GET, &at, token, None).await;
        }
    }
    // Good once: within seconds it is a race that was lost, afterwards a theft.
    let again = v.ask(Method::POST, "/api/v1/auth/refresh", "", Some(renew)).await.0;
    assert!(matches!(again.as_u16(), 401 | 409), "{again}");
    server.stop();

    let mut places = visitor.said;
    places.push(("the log".into(), fs::read_to_string(folder.0.join("log")).unwrap()));
    for arguments in
        [&["doctor", "--audit"][..], &["user", "list"], &["token", "list", EMAIL], &["keys", "status"]]
    {
        let told = folder.aimate(arguments, &environment);
        places.push((arguments.join(" "), command::out(&told) + &command::err(&told)));
    }
    let mut files = Vec::new();
    bytes_in(&folder.0, &mut files);
    places.extend(files);
    if database.starts_with("postgres") {
        places.push(("the tables".into(), tables(database).await));
    }
    let given: Vec<String> = given.iter().map(|token| secret_of(token)).collect();
    let mut all = vec![
        ("ENCRYPTION_KEY", secrets.encryption_key.as_str()),
        ("JWT_SECRET", SIGNING_SECRET),
        ("the first password", FIRST_PASSWORD),
        ("the next password", NEXT_PASSWORD),
        ("a wrong password", WRONG_PASSWORD),
        ("a client's secret", OIDC_SECRET),
        ("a code of a login", OIDC_CODE),
    ];
    let names =
        ["access", "refresh", "access 2", "refresh 2", "access 3", "refresh 3", "API token", "invite"];
    all.extend(names.into_iter().zip(given.iter().map(String::as_str)));
    let finder = Finder::new(&all);
    let mut found = Vec::new();
    for (place, text) in &places {
        found.extend(finder.find(text.as_bytes()).into_iter().map(|hit| format!("{hit} in {place}")));
    }
    println!("{} secrets, {} paths, {} places", all.len(), paths.len(), places.len());
    assert!(paths.len() > 50, "{}", paths.len());
    assert!(found.is_empty(), "{}", found.join("\n"));
}
