#![allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]

use std::sync::{Arc, Mutex};

use aimate_core::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::AddressPolicy;

const HASTY: Timeouts = Timeouts {
    head: Duration::from_millis(300),
    idle: Duration::from_millis(300),
    total: Duration::from_secs(5),
};

/// A server whose n-th connection is answered with the n-th text, all that
/// follow with the last; `HANG` in it leaves the connection open.
struct PageServer {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn server(answers: &[&str]) -> PageServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (log, answers) = (asked.clone(), answers.iter().map(ToString::to_string).collect::<Vec<_>>());
    tokio::spawn(async move {
        for n in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|n| n > 0) {}
            log.lock().unwrap().push(String::from_utf8(head).unwrap());
            let answer = answers.get(n).or(answers.last()).unwrap();
            let (said, hang) =
                answer.split_once("HANG").map_or((answer.as_str(), false), |(said, _)| (said, true));
            let _ = stream.write_all(said.as_bytes()).await;
            if hang {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    drop(stream);
                });
            }
        }
    });
    PageServer { url, asked }
}

fn local() -> Transport {
    Transport::new().untrusted_policy(AddressPolicy::public_only().allow_loopback())
}

fn page(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}")
}

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

async fn whole(fetched: Fetched) -> Result<String> {
    let mut pieces = fetched.bytes;
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        all.extend(piece?);
    }
    Ok(String::from_utf8(all).unwrap())
}

async fn fails(transport: &Transport, url: &str) -> Error {
    match fetch(transport, url, 100, HASTY).await {
        Err(error) => error,
        Ok(fetched) => whole(fetched).await.unwrap_err(),
    }
}

#[tokio::test]
async fn page_comes_with_its_type_and_name() {
    let server = server(&[&page("content-type: text/html; charset=utf-8\r\n", "<p>Hello")]).await;
    let fetched = local().fetch(&format!("{}/a/The%20manual.html?x=1#top", server.url), 100).await.unwrap();
    assert_eq!(fetched.name, "The manual.html");
    assert_eq!(fetched.media_type.as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(whole(fetched).await.unwrap(), "<p>Hello");
    let asked = server.asked.lock().unwrap()[0].to_lowercase();
    assert!(asked.starts_with("get /a/the%20manual.html?x=1 http/1.1"), "{asked}");
    assert!(asked.contains("accept-encoding: identity") && !asked.contains("authorization"), "{asked}");
}

#[test]
fn name_falls_back_to_the_host() {
    for (url, expected) in [
        ("http://h.example/", "h.example"),
        ("http://h.example/a/", "a"),
        ("http://h.example/%00%0a", "h.example"),
    ] {
        assert_eq!(name(&Url::parse(url).unwrap()), expected);
    }
}

#[tokio::test]
async fn redirections_are_followed_five_times() {
    let server = server(&[&to("/1"), &to("2"), &to("?3"), &to("/4"), &to("/5.txt"), &page("", "x")]).await;
    let fetched = fetch(&local(), &server.url, 100, HASTY).await.unwrap();
    assert_eq!(fetched.name, "5.txt");
    assert_eq!(whole(fetched).await.unwrap(), "x");
    let round = self::server(&[&to("/again")]).await;
    let error = fails(&local(), &round.url).await;
    assert_eq!((error.kind(), round.asked.lock().unwrap().len()), (ErrorKind::Invalid, 6));
}

#[tokio::test]
async fn refused_addresses_are_not_asked() {
    let server = server(&[&page("", "secret")]).await;
    let port = server.url.rsplit_once(':').unwrap().1.to_owned();
    let public = Transport::new().untrusted_policy(AddressPolicy::public_only());
    for url in [
        server.url.clone(),
        format!("http://localhost:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://10.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        assert_eq!(fails(&public, &url).await.kind(), ErrorKind::Forbidden, "{url}");
    }
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn redirection_is_judged_like_the_first_address() {
    for location in ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fe80::1]/"] {
        let server = server(&[&to(location)]).await;
        let error = fails(&local(), &server.url).await;
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{location}");
        assert_eq!(server.asked.lock().unwrap().len(), 1);
    }
    for location in ["file:///etc/passwd", "ftp://example.org/", "http://u:p@127.0.0.1/", "data:text/plain,x"]
    {
        let server = server(&[&to(location)]).await;
        assert_eq!(fails(&local(), &server.url).await.kind(), ErrorKind::Invalid, "{location}");
    }
    for location in ["http://", ""] {
        let server = server(&[&to(location)]).await;
        let kind = fails(&local(), &server.url).await.kind();
        assert!(matches!(kind, ErrorKind::Upstream | ErrorKind::Invalid), "{location}");
    }
}

#[tokio::test]
async fn what_is_no_web_address_is_invalid() {
    for url in
        ["", "x", "/etc/passwd", "file:///etc/passwd", "gopher://127.0.0.1/", "http://u:p@example.org/"]
    {
        let error = fails(&local(), url).await;
        assert_eq!((error.kind(), error.fields()[0].path.as_str()), (ErrorKind::Invalid, "url"), "{url}");
        assert!(!error.message().contains("u:p"), "{error}");
    }
}

#[tokio::test]
async fn statuses_say_whose_fault_it_is() {
    for (status, kind) in [
        (404, ErrorKind::Invalid),
        (403, ErrorKind::Invalid),
        (418, ErrorKind::Invalid),
        (429, ErrorKind::Upstream),
        (500, ErrorKind::Upstream),
        (304, ErrorKind::Upstream),
    ] {
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let server = server(&[&answer]).await;
        assert_eq!(fails(&local(), &server.url).await.kind(), kind, "{status}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_cut() {
    let announced = server(&[&page("", &"x".repeat(101))]).await;
    assert_eq!(fails(&local(), &announced.url).await.kind(), ErrorKind::TooLarge);
    let body = "x".repeat(60);
    let chunk = format!("3c\r\n{body}\r\n");
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let flood = server(&[&format!("{head}{chunk}{chunk}HANG")]).await;
    assert_eq!(fails(&local(), &flood.url).await.kind(), ErrorKind::TooLarge);
    let whole_page = server(&[&page("", &"x".repeat(100))]).await;
    let fetched = fetch(&local(), &whole_page.url, 100, HASTY).await.unwrap();
    assert_eq!(whole(fetched).await.unwrap().len(), 100);
}

#[tokio::test]
async fn compressed_answers_are_refused() {
    let server = server(&[&page("content-encoding: gzip\r\n", "x")]).await;
    assert_eq!(fails(&local(), &server.url).await.kind(), ErrorKind::Upstream);
}

#[tokio::test]
async fn slow_and_broken_servers_are_given_up() {
    for (answer, kind) in [
        ("HANG", ErrorKind::Timeout),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxHANG", ErrorKind::Timeout),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", ErrorKind::Upstream),
    ] {
        let server = server(&[answer]).await;
        assert_eq!(fails(&local(), &server.url).await.kind(), kind, "{answer}");
    }
    let error = fails(&local(), "http://no-such-host.invalid/").await;
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
}

#[tokio::test]
async fn public_address_leads_to_no_other_one() {
    let server = server(&[&page("", "x")]).await;
    let by = after(HASTY.total);
    let port = server.url.rsplit(':').next().unwrap();
    for url in [server.url.clone(), format!("http://localhost:{port}/"), format!("http://[::1]:{port}/")] {
        let url = Url::parse(&url).unwrap();
        let refused = send(&local(), &url, Reach::Public, HASTY, by).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Forbidden, "{url}: {refused}");
        assert!(refused.message().contains("leads from a public address"), "{refused}");
    }
    assert_eq!(server.asked.lock().unwrap().len(), 0);
    let url = Url::parse(&server.url).unwrap();
    assert!(send(&local(), &url, Reach::Policy, HASTY, by).await.is_ok());
}

#[tokio::test]
async fn media_type_is_written_anew_or_left_out() {
    for (header, stored) in [
        ("content-type: Text/HTML ;charset=UTF-8; x=y\r\n", Some("text/html; charset=utf-8")),
        ("content-type: application/pdf ;, text/html\r\n", None),
        ("content-type: application/pdf\r\ncontent-type: text/html\r\n", None),
        ("content-type: nonsense\r\n", None),
        ("", None),
    ] {
        let server = server(&[&page(header, "x")]).await;
        let fetched = fetch(&local(), &server.url, 100, HASTY).await.unwrap();
        assert_eq!(fetched.media_type.as_deref(), stored, "{header}");
    }
}
