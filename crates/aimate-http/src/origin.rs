//! Allowed hosts and origins: protection against DNS rebinding and against web
//! pages that send requests behind their reader's back.

use std::net::IpAddr;

use aimate_core::{Error, Result};
use http::header::{HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::options::{Options, parse_origin};

/// From where a browser says that a request comes. Pages cannot set it, and it is
/// there where `Origin` is not.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a change that a page of another origin requests and, in local mode, a
/// `Host` that is not loopback (a DNS rebinding attack names the attacker's).
pub(crate) fn check<B>(options: &Options, request: &http::Request<B>) -> Result<()> {
    let host = host(request);
    if options.callers.is_local() && !host.as_ref().is_some_and(is_loopback) {
        return Err(Error::forbidden(
            "this server is in local mode, where the `Host` of a request must be 127.0.0.1, localhost \
             or [::1]",
        ));
    }
    if !options.allowed_hosts.is_empty() && !host.as_ref().is_some_and(|host| is_allowed(host, options)) {
        return Err(Error::forbidden("the `Host` of the request is not one that this server answers to"));
    }
    // Two of them: servers differ in which one counts.
    if request.headers().get_all(ORIGIN).iter().count() > 1 {
        return Err(Error::forbidden("the request has more than one `Origin`"));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !may_change(options, request.headers(), host.as_ref()) {
        return Err(Error::forbidden(
            "web pages of other origins may not make changes; to allow one, add its origin to \
                 `ALLOWED_ORIGINS`",
        ));
    }
    Ok(())
}

/// Refuses a `WebSocket` that a page of another origin opens: browsers ask nobody whether it may.
pub(crate) fn check_socket(options: &Options, headers: &HeaderMap) -> Result<()> {
    let host = in_headers(headers);
    match headers.get(ORIGIN) {
        Some(origin) if !is_listed(origin, options) && !is_own(origin, host.as_ref()) => {
            Err(Error::forbidden(
                "web pages of other origins may not connect; to allow one, add its origin to `ALLOWED_ORIGINS`",
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses a change that came with a cookie, unless a page of this server's own or of a
/// listed origin asks: browsers send cookies whoever asks.
#[cfg(feature = "accounts")]
pub(crate) fn check_cookie(options: &Options, method: &Method, headers: &HeaderMap) -> Result<()> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let site = headers.get_all(&SEC_FETCH_SITE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let mut origins = headers.get_all(ORIGIN).iter();
    let (origin, is_one) = (origins.next(), origins.next().is_none());
    let is_known = match origin {
        Some(origin) if is_listed(origin, options) => true,
        // What the browser says counts before what can be compared: behind a proxy the
        // server does not know its own origin.
        _ if !site.is_empty() => site == [b"same-origin".as_slice()],
        Some(origin) => is_own(origin, in_headers(headers).as_ref()),
        None => false,
    };
    if is_known && is_one {
        return Ok(());
    }
    Err(Error::forbidden(
        "a change with a cookie must come from a page of this server: its `Origin` or `Sec-Fetch-Site` does not say so",
    ))
}

/// Whether a host is one that the operator allows, at the port that they say, if they do.
fn is_allowed(host: &Authority, options: &Options) -> bool {
    options.allowed_hosts.iter().any(|allowed| {
        allowed.eq_ignore_ascii_case(host.host()) || allowed.eq_ignore_ascii_case(host.as_str())
    })
}

/// Whether a request that changes something comes from no page, or from one that
/// may. Without local mode a proxy may have replaced the `Host` that `Origin` could
/// be compared with; then only the browser's own word counts.
fn may_change(options: &Options, headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let origin = headers.get(ORIGIN);
    if origin.is_some_and(|origin| is_listed(origin, options)) {
        return true;
    }
    let is_from_elsewhere = headers
        .get_all(&SEC_FETCH_SITE)
        .iter()
        .any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    !is_from_elsewhere && (!options.callers.is_local() || origin.is_none_or(|origin| is_own(origin, host)))
}

/// The host that the request names. HTTP/1.1 clients send a path and `Host`;
/// proxies may send an absolute URL, whose authority takes precedence. A user
/// before the host (`evil@localhost`) is in no request of a browser.
fn host<B>(request: &http::Request<B>) -> Option<Authority> {
    let named = || in_headers(request.headers());
    let host = request.uri().authority().cloned().or_else(named)?;
    (!host.as_str().contains('@')).then_some(host)
}

/// The `Host` header. Two of them are none: servers differ in which one counts.
fn in_headers(headers: &HeaderMap) -> Option<Authority> {
    let mut values = headers.get_all(HOST).iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    Authority::try_from(only.as_bytes()).ok()
}

pub(crate) fn is_loopback(host: &Authority) -> bool {
    let name = host.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether `origin` is on the list of the operator.
fn is_listed(origin: &HeaderValue, options: &Options) -> bool {
    let listed = |allowed: &String| parse_origin(allowed).is_some_and(|allowed| allowed == origin);
    options.allowed_origins.iter().any(listed)
}

/// Whether `origin` is this server's.
fn is_own(origin: &HeaderValue, host: Option<&Authority>) -> bool {
    let parts = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let authority = parts.filter(|(scheme, _)| matches!(*scheme, "http" | "https")).map(|(_, rest)| rest);
    authority.and_then(|authority| Authority::try_from(authority).ok()).is_some_and(|own| Some(&own) == host)
}

/// The CORS layer for the listed origins; `None` if there are none.
pub(crate) fn cors(options: &Options) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        options.allowed_origins.iter().filter_map(|origin| parse_origin(origin)).collect();
    for origin in &options.allowed_origins {
        if parse_origin(origin).is_none() {
            tracing::warn!(origin, "ignoring an allowed origin that is not like https://app.example.org");
        }
    }
    (!origins.is_empty()).then(|| {
        let headers = [
            "authorization",
            "content-type",
            "accept",
            "idempotency-key",
            "last-event-id",
            "mcp-method",
            "mcp-name",
            "mcp-protocol-version",
            "mcp-session-id",
        ];
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(headers.map(http::HeaderName::from_static))
            .expose_headers(
                ["location", "mcp-session-id", "retry-after", "x-request-id"]
                    .map(http::HeaderName::from_static),
            )
            .max_age(std::time::Duration::from_secs(600))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answered(method: Method, host: &str, origin: Option<&str>) -> bool {
        let mut request = http::Request::builder().method(method).header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let options = Options::local().allowed_origins(vec!["https://app.example.org".to_owned()]);
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
            "evil@localhost",
            "@localhost",
            "a:b@127.0.0.1:3000",
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

    fn may_post(options: &Options, headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::post("/").header(HOST, "127.0.0.1:3000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(options, &request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn null_on_the_list_allows_nothing() {
        let options = Options::local().allowed_origins(["null", "*", "https://*.example.org", "app.example"]);
        for origin in ["null", "*", "https://*.example.org", "app.example", "https://a.example.org"] {
            assert!(!may_post(&options, &[("origin", origin)]), "{origin}");
        }
        assert!(cors(&options).is_none());
    }

    #[test]
    fn one_of_two_origins_does_not_count() {
        let options = Options::local();
        let own = ("origin", "http://127.0.0.1:3000");
        assert!(may_post(&options, &[own]));
        assert!(!may_post(&options, &[own, ("origin", "https://evil.example")]));
        assert!(!may_post(&options, &[own, own]));
    }

    #[test]
    fn browser_says_where_a_request_without_origin_comes_from() {
        let site = |site| ("sec-fetch-site", site);
        for (local, options) in [(true, Options::local()), (false, Options::default())] {
            for known in ["same-origin", "none"] {
                assert!(may_post(&options, &[site(known)]), "{known}");
            }
            for foreign in ["cross-site", "same-site", "anything", ""] {
                assert!(!may_post(&options, &[site(foreign)]), "{foreign}");
                assert!(!may_post(&options, &[site("same-origin"), site(foreign)]), "{foreign}");
            }
            assert!(!may_post(&options, &[("origin", "https://a.example"), site("cross-site")]));
            // Behind a proxy, the server does not know its own origin.
            assert_eq!(may_post(&options, &[("origin", "https://a.example"), site("same-origin")]), !local);
            let listed = options.allowed_origins(["https://a.example"]);
            assert!(may_post(&listed, &[("origin", "https://a.example"), site("cross-site")]));
        }
    }

    #[test]
    fn only_allowed_hosts_are_answered() {
        let options = Options::default().allowed_hosts(["chat.example.org", "10.0.0.1:3000"]);
        let asked = |host: &str| {
            check(&options, &http::Request::get("/").header(HOST, host).body(()).unwrap()).is_ok()
        };
        for host in ["chat.example.org", "CHAT.example.org:443", "10.0.0.1:3000"] {
            assert!(asked(host), "{host}");
        }
        for host in ["example.org", "evil-chat.example.org", "chat.example.org.evil.example", "10.0.0.1", ""]
        {
            assert!(!asked(host), "{host}");
        }
    }

    #[cfg(feature = "accounts")]
    #[test]
    fn sec_t25_cookie_changes_nothing_for_a_foreign_page() {
        let options = Options::default().allowed_origins(["https://app.example.org"]);
        let may = |headers: &[(&str, &str)]| {
            let mut map = HeaderMap::new();
            map.insert(HOST, "chat.example.org".parse().unwrap());
            for (name, value) in headers {
                map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            check_cookie(&options, &Method::POST, &map).is_ok()
        };
        let (origin, site) = ("origin", "sec-fetch-site");
        for own in [
            &[(origin, "https://chat.example.org")][..],
            &[(site, "same-origin")],
            &[(origin, "https://public.example"), (site, "same-origin")],
            &[(origin, "https://app.example.org"), (site, "same-site")],
        ] {
            assert!(may(own), "{own:?}");
        }
        for foreign in [
            &[][..],
            &[(origin, "https://evil.example")],
            &[(origin, "null")],
            &[(site, "cross-site")],
            &[(site, "same-site")],
            &[(site, "none")],
            &[(site, "same-origin"), (site, "cross-site")],
            &[(origin, "https://chat.example.org"), (site, "cross-site")],
            &[(origin, "https://chat.example.org"), (origin, "https://evil.example")],
            &[(origin, "https://chat.example.org.evil.example")],
        ] {
            assert!(!may(foreign), "{foreign:?}");
        }
        assert!(check_cookie(&options, &Method::GET, &HeaderMap::new()).is_ok());
    }
}
