#![allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]

use aimate_core::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::AddressPolicy;

/// A server that answers every request with `answer`, and keeps the connection open then if it
/// `hangs`.
async fn server(answer: impl Into<Vec<u8>>, hangs: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&answer).await;
            if hangs {
                tokio::time::sleep(Duration::from_secs(600)).await;
            }
        }
    });
    url
}

fn strict() -> Transport {
    Transport::new().untrusted_policy(AddressPolicy::public_only())
}

fn request(url: &str) -> ::http::Request<Vec<u8>> {
    ::http::Request::post(url).header("x-what", "code").body(b"code=1".to_vec()).unwrap()
}

async fn kind(transport: &Transport, url: &str, source: AddressSource) -> ErrorKind {
    transport.exchange(request(url), source).await.map(drop).unwrap_err().kind()
}

#[tokio::test]
async fn answer_of_any_status_comes_whole() {
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    let url = server(format!("{head}{{\"a\": 12}}"), false).await;
    let answer = strict().exchange(request(&url), AddressSource::Operator).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (400, b"{\"a\": 12}".as_slice()));
    assert_eq!(answer.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn sec_t01_redirection_of_a_login_is_not_followed() {
    let inside = server("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret", false).await;
    let answer = format!("HTTP/1.1 307 X\r\nlocation: {inside}\r\ncontent-length: 0\r\n\r\n");
    let answer = strict().exchange(request(&server(answer, false).await), AddressSource::Operator).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().len()), (307, 0));
}

#[tokio::test]
async fn sec_t38_address_that_a_provider_names_is_guarded() {
    let url = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false).await;
    assert_eq!(kind(&strict(), &url, AddressSource::Untrusted).await, ErrorKind::Forbidden);
    for url in ["http://169.254.169.254/x", "http://[::ffff:a9fe:a9fe]/x", "http://localhost/x"] {
        assert_eq!(kind(&strict(), url, AddressSource::Untrusted).await, ErrorKind::Forbidden, "{url}");
    }
    let metadata = "http://169.254.169.254/x";
    assert_eq!(kind(&strict(), metadata, AddressSource::Operator).await, ErrorKind::Forbidden);
    // Through a proxy too, which would resolve it.
    let proxied = strict().proxy(&url);
    assert_eq!(kind(&proxied, "http://db.internal/x", AddressSource::Untrusted).await, ErrorKind::Forbidden);
    for url in ["ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "/x"] {
        assert_eq!(kind(&strict(), url, AddressSource::Operator).await, ErrorKind::Invalid, "{url}");
    }
    strict().exchange(request(&url), AddressSource::Operator).await.unwrap();
}

#[tokio::test]
async fn answer_has_an_end() {
    let mut long = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    long.resize(long.len() + MAX_ANSWER, b'x');
    let fits = server(long.clone(), false).await;
    let answer = strict().exchange(request(&fits), AddressSource::Operator).await.unwrap();
    assert_eq!(answer.body().len(), MAX_ANSWER);
    long.push(b'x');
    let url = server(long, true).await;
    assert_eq!(kind(&strict(), &url, AddressSource::Operator).await, ErrorKind::TooLarge);
}

#[tokio::test]
async fn silent_server_is_given_up() {
    let url = server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", true).await;
    let hasty = Duration::from_millis(200);
    let outcome = strict().exchanged_within(request(&url), AddressSource::Operator, hasty).await;
    assert_eq!(outcome.map(drop).unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn server_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(kind(&strict(), &url, AddressSource::Operator).await, ErrorKind::Unavailable);
}
