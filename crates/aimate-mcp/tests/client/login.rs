//! OAuth logins at servers that want one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aimate_core::provider::AddressSource;
use aimate_core::tool::{OAuthClient, TokenKeeper, ToolAccess, ToolEndpoint, ToolOutput, ToolServerClient};
use aimate_core::{ErrorKind, ErrorReason, Result, Secret};
use aimate_mcp::client::McpClient;
use aimate_providers::{AddressPolicy, Transport};
use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use url::Url;

use crate::person::Person;
use crate::server::{Asked, Reply, Server, answer, modern, tool};
use crate::{client, endpoint};

const REDIRECT: &str = "https://app.example.org/tools/callback";

/// Keeps tokens in memory.
#[derive(Default)]
struct Keeper(Mutex<HashMap<String, Secret>>);

#[async_trait]
impl TokenKeeper for Keeper {
    async fn load(&self, issuer: &str) -> Result<Option<Secret>> {
        Ok(self.0.lock().unwrap().get(issuer).cloned())
    }

    async fn save(&self, issuer: &str, tokens: Option<Secret>) -> Result<()> {
        let mut kept = self.0.lock().unwrap();
        match tokens {
            Some(tokens) => drop(kept.insert(issuer.to_owned(), tokens)),
            None => drop(kept.remove(issuer)),
        }
        Ok(())
    }
}

impl Keeper {
    fn issuers(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
}

/// A tool server and its authorization server at one address.
#[derive(Default)]
struct Protected {
    /// The access token that is taken is `token-N`.
    valid: AtomicUsize,
    /// Whether refresh tokens are refused.
    refuses_refresh: std::sync::atomic::AtomicBool,
    /// What its metadata says instead.
    metadata: Map<String, Value>,
}

impl Protected {
    async fn start(self) -> (Server, Arc<Self>) {
        let state = Arc::new(self);
        let inner = state.clone();
        let server = Server::start(move |asked| inner.answer(asked)).await;
        (server, state)
    }

    fn answer(&self, asked: &Asked) -> Reply {
        let base = format!("http://{}", asked.header("host"));
        match asked.path.as_str() {
            "/mcp" => {
                let valid = format!("Bearer token-{}", self.valid.load(Ordering::SeqCst));
                if asked.header("authorization") != valid {
                    let wanted = format!(
                        "Bearer error=\"invalid_token\", resource_metadata=\"{base}/.well-known/oauth-protected-resource/mcp\", scope=\"read\""
                    );
                    return Reply::Status(401, vec![("www-authenticate", wanted)], String::new());
                }
                modern(asked).unwrap_or_else(|| match asked.method() {
                    "tools/list" => answer(asked, json!({"tools": [tool("a")]})),
                    _ => answer(
                        asked,
                        json!({"content": [{"type": "text", "text": asked.header("authorization")}]}),
                    ),
                })
            }
            "/.well-known/oauth-protected-resource/mcp" => Reply::Json(json!({
                "resource": format!("{base}/mcp"), "authorization_servers": [base], "scopes_supported": ["read"],
            })),
            "/.well-known/oauth-authorization-server" => {
                let mut metadata = json!({
                    "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
                    "token_endpoint": format!("{base}/token"), "registration_endpoint": format!("{base}/register"),
                    "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": true,
                });
                metadata.as_object_mut().unwrap().extend(self.metadata.clone());
                Reply::Json(metadata)
            }
            "/register" => Reply::Status(
                201,
                vec![("content-type", "application/json".into())],
                json!({"client_id": "registered", "client_secret": "s3cret", "redirect_uris": [REDIRECT]})
                    .to_string(),
            ),
            "/token" => self.token(&asked.text),
            _ => Reply::Status(404, vec![], String::new()),
        }
    }

    fn token(&self, form: &str) -> Reply {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        if form["grant_type"] == "refresh_token" && self.refuses_refresh.load(Ordering::SeqCst) {
            let body = json!({"error": "invalid_grant"}).to_string();
            return Reply::Status(400, vec![("content-type", "application/json".into())], body);
        }
        let number = self.valid.load(Ordering::SeqCst);
        Reply::Json(json!({
            "access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": format!("refresh-{number}"),
        }))
    }
}

fn protected(url: &str, keeper: &Arc<Keeper>) -> ToolEndpoint {
    let mut endpoint = endpoint(url);
    endpoint.access = ToolAccess::Http {
        url: url.to_owned(),
        source: AddressSource::Untrusted,
        headers: BTreeMap::new(),
        tokens: Some(keeper.clone()),
    };
    endpoint
}

fn parameters(address: &str) -> HashMap<String, String> {
    Url::parse(address).unwrap().query_pairs().into_owned().collect()
}

/// Where the browser comes back to.
fn callback(address: &str, issuer: &str) -> String {
    let mut url = Url::parse(REDIRECT).unwrap();
    let state = &parameters(address)["state"];
    url.query_pairs_mut().append_pair("code", "abc").append_pair("state", state).append_pair("iss", issuer);
    url.into()
}

fn base(server: &Server) -> String {
    server.url.trim_end_matches("/mcp").to_owned()
}

async fn log_in(client: &McpClient, endpoint: &ToolEndpoint, server: &Server) {
    let (address, attempt) = client.begin_login(endpoint, REDIRECT).await.unwrap();
    client.end_login(endpoint, &attempt, &callback(&address, &base(server))).await.unwrap();
}

#[tokio::test]
async fn login_lets_the_user_in_and_is_kept_by_issuer() {
    let (server, _) = Protected::default().start().await;
    let (client, keeper) = (client(), Arc::new(Keeper::default()));
    let endpoint = protected(&server.url, &keeper);
    let refused = client.list(&endpoint).await.unwrap_err();
    assert_eq!(refused.reason(), Some(ErrorReason::KeyRefused), "{refused}");
    assert!(refused.message().contains("sign in"), "{refused}");

    let (address, attempt) = client.begin_login(&endpoint, REDIRECT).await.unwrap();
    let parameters = parameters(&address);
    assert_eq!(parameters["code_challenge_method"], "S256");
    assert_eq!((parameters["client_id"].as_str(), parameters["scope"].as_str()), ("registered", "read"));
    assert_eq!(
        (parameters["resource"].as_str(), parameters["redirect_uri"].as_str()),
        (server.url.as_str(), REDIRECT)
    );
    let registration = server.asked().into_iter().find(|asked| asked.path == "/register").unwrap();
    assert_eq!(registration.body["application_type"], "web");

    client.end_login(&endpoint, &attempt, &callback(&address, &base(&server))).await.unwrap();
    assert_eq!(client.list(&endpoint).await.unwrap().tools.len(), 1);
    assert_eq!(keeper.issuers(), BTreeSet::from([base(&server)]));
    let exchange = server.asked().into_iter().find(|asked| asked.path == "/token").unwrap();
    let form: HashMap<String, String> =
        url::form_urlencoded::parse(exchange.text.as_bytes()).into_owned().collect();
    assert_eq!((form["resource"].as_str(), form["code"].as_str()), (server.url.as_str(), "abc"));
    assert!(form["code_verifier"].len() >= 43);

    // Another process has the tokens from the keeper.
    let other = crate::client();
    assert_eq!(other.list(&endpoint).await.unwrap().tools.len(), 1);
    let logins = server.asked().into_iter().filter(|asked| asked.path == "/token").count();
    assert_eq!(logins, 1);
    // Tokens go to the tool server alone.
    let with_tokens: BTreeSet<_> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.header("authorization").starts_with("Bearer"))
        .map(|asked| asked.path)
        .collect();
    assert_eq!(with_tokens, BTreeSet::from(["/mcp".to_owned()]));
}

#[tokio::test]
async fn many_calls_make_one_refresh() {
    let (server, state) = Protected::default().start().await;
    let (client, keeper) = (client(), Arc::new(Keeper::default()));
    let endpoint = protected(&server.url, &keeper);
    log_in(&client, &endpoint, &server).await;
    client.list(&endpoint).await.unwrap();
    state.valid.store(1, Ordering::SeqCst);
    let empty = Map::new();
    let calls = (0..20).map(|_| client.call(&endpoint, "a", &empty, "k", Person::away()));
    for output in join_all(calls).await {
        assert_eq!(output.unwrap(), ToolOutput::text("Bearer token-1"));
    }
    let refreshes = |asked: &Asked| asked.path == "/token" && asked.text.contains("grant_type=refresh_token");
    assert_eq!(server.asked().into_iter().filter(refreshes).count(), 1);
}

#[tokio::test]
async fn refused_refresh_wants_a_login_by_the_same_application() {
    let (server, state) = Protected::default().start().await;
    let (client, keeper) = (client(), Arc::new(Keeper::default()));
    let endpoint = protected(&server.url, &keeper);
    log_in(&client, &endpoint, &server).await;
    state.valid.store(1, Ordering::SeqCst);
    state.refuses_refresh.store(true, Ordering::SeqCst);
    let refused = client.list(&endpoint).await.unwrap_err();
    assert_eq!(refused.reason(), Some(ErrorReason::KeyRefused), "{refused}");
    log_in(&client, &endpoint, &server).await;
    client.list(&endpoint).await.unwrap();
    assert_eq!(server.asked().into_iter().filter(|asked| asked.path == "/register").count(), 1);
}

#[tokio::test]
async fn callback_of_another_login_is_refused() {
    let (server, _) = Protected::default().start().await;
    let (client, keeper) = (client(), Arc::new(Keeper::default()));
    let endpoint = protected(&server.url, &keeper);
    let (address, attempt) = client.begin_login(&endpoint, REDIRECT).await.unwrap();
    let (other, _) = client.begin_login(&endpoint, REDIRECT).await.unwrap();
    let good = callback(&address, &base(&server));
    for (callback, kind) in [
        (callback(&other, &base(&server)), ErrorKind::Invalid),
        (callback(&address, "https://attacker.example.org"), ErrorKind::Upstream),
        (good.replace("iss=", "no="), ErrorKind::Upstream),
        (good.replace("code=abc", "error=access_denied"), ErrorKind::Invalid),
        (good.replace("code=abc", "x=y"), ErrorKind::Invalid),
        ("nothing".to_owned(), ErrorKind::Invalid),
    ] {
        let refused = client.end_login(&endpoint, &attempt, &callback).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{callback}: {refused}");
    }
    assert!(!server.asked().iter().any(|asked| asked.path == "/token"));
    let forged = client.end_login(&endpoint, &Secret::new("{}"), &good).await.unwrap_err();
    assert_eq!(forged.kind(), ErrorKind::Invalid);
    // The right one still works.
    client.end_login(&endpoint, &attempt, &good).await.unwrap();
}

#[tokio::test]
async fn hostile_metadata_is_refused() {
    for (field, value) in [
        ("authorization_endpoint", "javascript:alert(1)"),
        ("authorization_endpoint", "http://as.example.org/authorize"),
        ("authorization_endpoint", "data:text/html,<script>"),
        ("token_endpoint", "http://169.254.169.254/token"),
        ("token_endpoint", "https://169.254.169.254/token"),
        ("token_endpoint", "file:///etc/passwd"),
        ("registration_endpoint", "https://user:key@as.example.org/"),
        ("issuer", "https://someone-else.example.org"),
    ] {
        let metadata = Map::from_iter([(field.to_owned(), value.into())]);
        let (server, _) = Protected { metadata, ..Protected::default() }.start().await;
        let endpoint = protected(&server.url, &Arc::new(Keeper::default()));
        let refused = client().begin_login(&endpoint, REDIRECT).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Upstream, "{field} {value}: {refused}");
        let paths: Vec<_> = server.asked().into_iter().map(|asked| asked.path).collect();
        assert!(!paths.iter().any(|path| path == "/register" || path == "/token"), "{paths:?}");
    }
    let metadata = Map::from_iter([("code_challenge_methods_supported".to_owned(), json!(["plain"]))]);
    let (server, _) = Protected { metadata, ..Protected::default() }.start().await;
    let endpoint = protected(&server.url, &Arc::new(Keeper::default()));
    let refused = client().begin_login(&endpoint, REDIRECT).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Upstream, "{refused}");
}

#[tokio::test]
async fn metadata_is_read_by_the_policy() {
    let (server, _) = Protected::default().start().await;
    let mut endpoint = protected(&server.url, &Arc::new(Keeper::default()));
    let strict = McpClient::new(Transport::new().untrusted_policy(AddressPolicy::public_only()));
    let refused = strict.begin_login(&endpoint, REDIRECT).await.unwrap_err();
    assert_eq!((refused.kind(), server.asked().len()), (ErrorKind::Forbidden, 0), "{refused}");
    // The operator vouches for their own server, and its own address.
    if let ToolAccess::Http { source, .. } = &mut endpoint.access {
        *source = AddressSource::Operator;
    }
    strict.begin_login(&endpoint, REDIRECT).await.unwrap();
}

#[tokio::test]
async fn application_is_the_one_that_is_set_or_describes_itself() {
    let (server, _) = Protected::default().start().await;
    let mut endpoint = protected(&server.url, &Arc::new(Keeper::default()));
    endpoint.oauth_client = Some(OAuthClient { id: "by-hand".into(), secret: Some(Secret::new("s")) });
    let (address, _) = client().begin_login(&endpoint, REDIRECT).await.unwrap();
    assert_eq!(parameters(&address)["client_id"], "by-hand");

    let metadata = Map::from_iter([("client_id_metadata_document_supported".to_owned(), json!(true))]);
    let (server, _) = Protected { metadata, ..Protected::default() }.start().await;
    let endpoint = protected(&server.url, &Arc::new(Keeper::default()));
    let document = "https://app.example.org/client.json";
    let (address, _) = client().client_metadata_url(document).begin_login(&endpoint, REDIRECT).await.unwrap();
    assert_eq!(parameters(&address)["client_id"], document);
    assert!(!server.asked().iter().any(|asked| asked.path == "/register"));
}

#[tokio::test]
async fn server_without_a_login_has_none() {
    let server = Server::modern(|asked| answer(asked, json!({"tools": []}))).await;
    let endpoint = protected(&server.url, &Arc::new(Keeper::default()));
    let refused = client().begin_login(&endpoint, REDIRECT).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    client().list(&endpoint).await.unwrap();
}
