//! The server that the protocol's conformance suite tests: the suite's own tools, resources
//! and prompts, behind the checks, the sessions and the transport of aiMate's `/mcp`.
//!
//! ```text
//! cargo run -p aimate-mcp --all-features --example conformance_server -- 127.0.0.1:8001
//! npx @modelcontextprotocol/conformance@0.2.0-alpha.12 server --url http://127.0.0.1:8001/mcp \
//!     --requirements 2026-07-28
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    deprecated,
    reason = "a fixture of tests: the suite also asks for what the protocol deprecates"
)]

mod input;
mod prompts;
mod resources;
mod server;
mod tools;

use std::convert::Infallible;

use aimate_core::{Role, Scope, TenantId, UserId};
use aimate_mcp::server::{HttpServer, HttpServerOptions, McpCaller, WebPolicy};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use server::SuiteServer;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let suite = SuiteServer::default();
    let server = HttpServer::of_handler(move || suite.clone(), HttpServerOptions::new(WebPolicy::loopback()));
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let server = server.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(server.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new();
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection failed: {error}");
            }
        });
    }
}

async fn answer(
    server: HttpServer,
    request: Request<Incoming>,
) -> Result<Response<aimate_mcp::server::ResponseBody>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
    let (true, Ok(body)) = (head.uri.path() == "/mcp", body) else {
        let mut missing = Response::new(Empty::new().boxed());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return Ok(missing);
    };
    // The suite signs nobody in: all it sends is of one user.
    let scope = Scope { tenant: TenantId::LOCAL, user: UserId::LOCAL, role: Role::User };
    Ok(server.handle(McpCaller::new(scope), Request::from_parts(head, body)).await)
}
