//! Which hosts and which web pages are answered: the protection against DNS rebinding and
//! against pages that send requests behind their reader's back.

use std::net::IpAddr;

use ::http::header::{HOST, HeaderName, ORIGIN};
use ::http::uri::Authority;
use ::http::{HeaderMap, Uri};

/// From where a browser says that a request comes. Pages cannot set it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which `Host` a request may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// This machine's own: `localhost`, `127.0.0.0/8`, `[::1]`. For a server that asks for no
    /// credential.
    Loopback,
    /// These, with or without a port.
    Listed(Vec<String>),
    /// Any. For a server that asks for a credential which browsers do not send by themselves.
    Any,
}

/// Which hosts and origins are answered; every other gets `403`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebPolicy {
    /// The hosts.
    pub hosts: AllowedHosts,
    /// The origins of web pages, such as `https://app.example.org`, compared exactly. Beside
    /// them, pages of the host that the request names are answered.
    pub origins: Vec<String>,
}

impl WebPolicy {
    /// For a server that only this machine reaches, and its own pages.
    pub fn loopback() -> Self {
        Self { hosts: AllowedHosts::Loopback, origins: Vec::new() }
    }

    /// Why a request is refused, in a sentence.
    pub(super) fn refuses(&self, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
        let host = host(uri, headers);
        if !self.takes_host(host.as_ref()) {
            return Some("the `Host` of the request is not one that this server answers to");
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (_, Some(_)) => Some("the request has more than one `Origin`"),
            (Some(origin), None) => {
                let origin = origin.to_str().unwrap_or_default();
                let is_known = self.origins.iter().any(|listed| listed == origin);
                (!is_known && !is_own(origin, host.as_ref()))
                    .then_some("web pages of this `Origin` may not use this server")
            }
            (None, None) => {
                let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
                sites
                    .any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
                    .then_some("web pages of other origins may not use this server")
            }
        }
    }

    fn takes_host(&self, host: Option<&Authority>) -> bool {
        let Some(host) = host else { return false };
        match &self.hosts {
            AllowedHosts::Any => true,
            AllowedHosts::Loopback => is_loopback(host),
            AllowedHosts::Listed(hosts) => hosts.iter().any(|listed| {
                listed.eq_ignore_ascii_case(host.host()) || listed.eq_ignore_ascii_case(host.as_str())
            }),
        }
    }
}

/// The only host that a request names; `None` for none, two, or one with a user before it.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut values = headers.get_all(HOST).iter();
    let host = match (values.next(), values.next()) {
        (Some(only), None) => Authority::try_from(only.as_bytes()).ok()?,
        (None, None) => uri.authority()?.clone(),
        _ => return None,
    };
    // Servers differ in which of two counts.
    let is_one = uri.authority().is_none_or(|authority| *authority == host);
    (is_one && !host.as_str().contains('@')).then_some(host)
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a page of `origin` is one of the host that the request names.
fn is_own(origin: &str, host: Option<&Authority>) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.and_then(|rest| Authority::try_from(rest).ok()).is_some_and(|own| Some(&own) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(policy: &WebPolicy, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        policy.refuses(&Uri::from_static("/mcp"), &map).is_none()
    }

    #[test]
    fn sec_t36_foreign_host_is_refused() {
        let local = WebPolicy::loopback();
        for host in ["127.0.0.1:3000", "localhost", "LOCALHOST:1", "[::1]:3000", "127.9.9.9"] {
            assert!(answers(&local, &[("host", host)]), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "evil@localhost", "192.168.1.2", "0.0.0.0"] {
            assert!(!answers(&local, &[("host", host)]), "{host}");
        }
        assert!(!answers(&local, &[]));
        assert!(!answers(&local, &[("host", "localhost"), ("host", "evil.example")]));
        let listed = WebPolicy { hosts: AllowedHosts::Listed(vec!["chat.example.org".into()]), ..local };
        assert!(answers(&listed, &[("host", "Chat.Example.org:443")]));
        assert!(!answers(&listed, &[("host", "localhost")]));
    }

    #[test]
    fn sec_t36_foreign_origin_is_refused() {
        let host = ("host", "127.0.0.1:3000");
        let local = WebPolicy::loopback();
        assert!(answers(&local, &[host, ("origin", "http://127.0.0.1:3000")]));
        for origin in ["https://evil.example", "null", "", "http://127.0.0.1:3001", "http://localhost:3000"] {
            assert!(!answers(&local, &[host, ("origin", origin)]), "{origin}");
        }
        let own = ("origin", "http://127.0.0.1:3000");
        assert!(!answers(&local, &[host, own, own]));
        assert!(!answers(&local, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(answers(&local, &[host, ("sec-fetch-site", "none")]));
        let listed = WebPolicy { origins: vec!["https://app.example.org".into()], ..local };
        assert!(answers(&listed, &[host, ("origin", "https://app.example.org")]));
        assert!(!answers(&listed, &[host, ("origin", "https://app.example.org.evil.example")]));
    }

    #[test]
    fn host_of_the_line_and_of_the_header_are_one() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        let local = WebPolicy::loopback();
        assert!(local.refuses(&Uri::from_static("http://localhost/mcp"), &headers).is_none());
        assert!(local.refuses(&Uri::from_static("http://evil.example/mcp"), &headers).is_some());
    }
}
