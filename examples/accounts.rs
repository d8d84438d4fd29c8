//! Accounts: an application that has no login of its own takes aiMate's. People register,
//! sign in and make API tokens under `/ai`; a route of the application asks who it is.
//!
//! `cargo run --example accounts --features accounts,http`, then
//! `curl localhost:3300/ai/api/v1/auth/register -H 'content-type: application/json'
//!  -d '{"email":"ada@example.org","password":"correct horse battery"}'` (the first becomes an admin) and
//! `curl -N localhost:3300/ask -H 'authorization: Bearer ACCESS_TOKEN' -d 'Hello'`.

use aimate::accounts::{AccountSettings, Accounts, RegistrationRule, SigningSecret};
use aimate::{Engine, Error, Result, Turn, http};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;

#[derive(Clone)]
struct App {
    engine: Engine,
    accounts: Accounts,
}

/// A route of the application: whoever asks is known by their token.
async fn ask(State(app): State<App>, headers: HeaderMap, text: String) -> Response {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let answer = match app.accounts.authenticate(token).await {
        Ok(me) => app.engine.chat(&me.scope, Turn::new(text)).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => http::sse(answer),
        Err(error) => http::problem(error),
    }
}

async fn application(database: &str, secret: SigningSecret) -> Result<Router> {
    let store = aimate::store::connect(database).await?;
    let engine =
        Engine::builder().store(store.clone()).connection(aimate::providers::builtin()).build().await?;
    let settings = AccountSettings::new(secret).registration(RegistrationRule::Open);
    let accounts = Accounts::new(engine.clone(), store, settings);
    let options = http::Options::default().callers(http::Callers::Accounts(accounts.clone()));
    let router = Router::new().route("/ask", post(ask)).nest("/ai", http::router(engine.clone(), options));
    Ok(router.with_state(App { engine, accounts }))
}

#[tokio::main]
async fn main() -> Result<()> {
    // A product keeps its secret (`SigningSecret::parse`): with a new one, access tokens are good no more.
    let secret = SigningSecret::generate()?;
    let router = application("sqlite:accounts.db", secret).await?;
    let failed = |error| Error::unavailable("cannot listen on 127.0.0.1:3300").with_source(error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3300").await.map_err(failed)?;
    axum::serve(listener, router.into_make_service_with_connect_info::<std::net::SocketAddr>())
        .await
        .map_err(failed)
}

#[cfg(test)]
#[path = "../crates/aimate/tests/accounts/mod.rs"]
mod tests;
