//! aiMate's HTTP faces inside an application of your own.
//!
//! `cargo run --example server`, then
//! `curl -N localhost:3100/api/v1/chat/completions -H 'content-type: application/json'
//!  -d '{"stream":true,"messages":[{"role":"user","content":"Hello"}]}'`

use aimate::{Engine, Error, Result, http};

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite:server.db").await?)
        .connection(aimate::providers::ollama("http://127.0.0.1:11434"))
        .system_prompt("You are the assistant of a plumbing company. Be brief.")
        .build()
        .await?;
    let failed = |error| Error::unavailable("the server failed").with_source(error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3100").await.map_err(failed)?;
    println!("http://127.0.0.1:3100/docs");
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    // `http::router` gives the axum router instead, to nest in one of your own.
    http::serve(listener, engine, http::Options::local(), stop).await.map_err(failed)
}
