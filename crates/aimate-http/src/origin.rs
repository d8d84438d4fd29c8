//! Allowed hosts and origins: protection against DNS rebinding and against web
//! pages that send requests behind their reader's back.

use std::net::IpAddr;

use aimate_core::{Error, Result};
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::options::Options;

/// Refuses, in local mode, a `Host` that is not loopback (a DNS rebinding attack
/// names the attacker's) and a change that a page of another origin requests.
pub(crate) fn check<B>(options: &Options, request: &http::Request<B>) -> Result<()> {
    if !options.local {
        return Ok(());
    }
    let host = host(request);
    if !host.as_ref().is_some_and(is_loopback) {
        return Err(Error::forbidden(
            "this server is in local mode, where the `Host` of a request must be 127.0.0.1, localhost \
             or [::1]",
        ));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match request.headers().get(ORIGIN) {
        Some(origin) if changes && !is_allowed(origin, host.as_ref(), options) => Err(Error::forbidden(
            "web pages of other origins may not make changes; to allow one, add its origin to \
                 `ALLOWED_ORIGINS`",
        )),
        _ => Ok(()),
    }
}

/// The host that the request names. HTTP/1.1 clients send a path and `Host`;
/// proxies may send an absolute URL, whose authority takes precedence.
fn host<B>(request: &http::Request<B>) -> Option<Authority> {
    let named = || in_headers(request.headers());
    request.uri().authority().cloned().or_else(named)
}

/// The `Host` header. Two of them are none: servers differ in which one counts.
fn in_headers(headers: &HeaderMap) -> Option<Authority> {
    let mut values = headers.get_all(HOST).iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    Authority::try_from(only.as_bytes()).ok()
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether `origin` is this server's or on the list.
fn is_allowed(origin: &HeaderValue, host: Option<&Authority>, options: &Options) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let same = origin
        .split_once("://")
        .and_then(|(_, authority)| Authority::try_from(authority).ok())
        .is_some_and(|authority| Some(&authority) == host);
    same || options.allowed_origins.iter().any(|allowed| allowed == origin)
}

/// The CORS layer for the listed origins; `None` if there are none.
pub(crate) fn cors(options: &Options) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        options.allowed_origins.iter().filter_map(|origin| parse_origin(origin)).collect();
    (!origins.is_empty()).then(|| {
        let headers = ["authorization", "content-type", "accept", "idempotency-key", "last-event-id"];
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(headers.map(http::HeaderName::from_static))
            .expose_headers(["location", "retry-after", "x-request-id"].map(http::HeaderName::from_static))
            .max_age(std::time::Duration::from_secs(600))
    })
}

fn parse_origin(origin: &str) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(origin).ok();
    let value = value.filter(|_| origin.contains("://") && !origin.contains('*'));
    if value.is_none() {
        tracing::warn!(origin, "ignoring an allowed origin that is not like https://app.example.org");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answered(method: Method, host: &str, origin: Option<&str>) -> bool {
        let mut request = http::Request::builder().method(method).header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let options = Options::default().allowed_origins(vec!["https://app.example.org".to_owned()]);
        check(&options, &request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn only_loopback_hosts_are_answered() {
        for host in ["127.0.0.1", "127.0.0.1:3000", "localhost", "LOCALHOST:1", "[::1]", "[::1]:80"] {
            assert!(is_answered(Method::GET, host, None), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "0.0.0.0",
            "",
            "localhost@example.org",
            "[::2]",
        ] {
            assert!(!is_answered(Method::GET, host, None), "{host}");
        }
    }

    #[test]
    fn foreign_page_changes_nothing() {
        let host = "127.0.0.1:3000";
        assert!(is_answered(Method::POST, host, None));
        assert!(is_answered(Method::POST, host, Some("http://127.0.0.1:3000")));
        assert!(is_answered(Method::POST, host, Some("https://app.example.org")));
        assert!(is_answered(Method::GET, host, Some("https://evil.example")));
        for origin in
            ["null", "https://evil.example", "http://localhost:3000", "https://app.example.org.evil.example"]
        {
            assert!(!is_answered(Method::POST, host, Some(origin)), "{origin}");
        }
    }
}
