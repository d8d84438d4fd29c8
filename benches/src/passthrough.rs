//! The limit: what axum and reqwest alone cost. It forwards bytes and does nothing
//! else, so no gateway on the same libraries can be faster.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use reqwest::Client;
use tokio::net::TcpListener;

use crate::Result;

/// No request of the suite is near it.
const LARGEST: usize = 64 * 1024 * 1024;

/// Serves until the process is ended.
pub(crate) async fn serve(address: SocketAddr, upstream: SocketAddr) -> Result {
    // reqwest wants to know how TLS would be made, though none is.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is there already")?;
    let client = Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let router = Router::new().fallback(forward).with_state((client, format!("http://{upstream}")));
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

async fn forward(State((client, upstream)): State<(Client, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = client.request(parts.method, upstream + path);
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    match request.body::<Bytes>(body).send().await {
        Ok(response) => {
            let response: axum::http::Response<reqwest::Body> = response.into();
            let (mut parts, body) = response.into_parts();
            drop_hop_headers(&mut parts.headers);
            Response::from_parts(parts, Body::new(body))
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// These are about one connection, not about the answer.
fn drop_hop_headers(headers: &mut HeaderMap) {
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
}
