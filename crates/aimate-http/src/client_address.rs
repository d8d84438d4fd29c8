//! The address of a client's machine.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName};

use crate::options::Options;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request comes from: the peer of its connection, as [`serve`](crate::serve) or
/// axum's `into_make_service_with_connect_info` has it, or, behind
/// [`Options::proxies`] of the operator's own, what they say. What a client writes there
/// itself is to the left of that and does not count.
pub(crate) fn of(options: &Options, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let Some(back) = options.proxies.checked_sub(1) else { return peer };
    // By bytes: what a client writes may be no text, and must not hide what the proxies say.
    let values = headers.get_all(&FORWARDED_FOR).iter().rev();
    let mut named = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let client = named.nth(back).and_then(|name| std::str::from_utf8(name).ok());
    client.and_then(|name| address(name.trim())).or(peer)
}

/// An address, which some proxies write with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(proxies: usize, forwarded: &[&str]) -> String {
        let forwarded: Vec<_> = forwarded.iter().map(|value| value.as_bytes()).collect();
        client_of_bytes(proxies, &forwarded)
    }

    fn client_of_bytes(proxies: usize, forwarded: &[&[u8]]) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 9))));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        let options = Options::default().proxies(proxies);
        of(&options, &extensions, &headers).unwrap().to_string()
    }

    #[test]
    fn clients_do_not_choose_their_address() {
        assert_eq!(client(0, &["192.0.2.1"]), "10.0.0.1");
        assert_eq!(client(1, &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(1, &["forged, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(1, &["forged", "203.0.113.9,192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(2, &["forged, 192.0.2.1, 10.0.0.2"]), "192.0.2.1");
        // What is no text hides nothing to the right of it.
        assert_eq!(client_of_bytes(1, &[b"\xff\xfe, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(client_of_bytes(1, &[b"\xff", b"203.0.113.9,192.0.2.1"]), "192.0.2.1");
        assert_eq!(client_of_bytes(2, &[b"\xff, 192.0.2.1, 10.0.0.2"]), "192.0.2.1");
        assert_eq!(client_of_bytes(1, &[b"192.0.2.1, \xff"]), "10.0.0.1");
        for nothing in [&[][..], &["nonsense"], &[""]] {
            assert_eq!(client(1, nothing), "10.0.0.1");
        }
        assert_eq!(client(1, &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client(1, &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(client(1, &["192.0.2.1:443"]), "192.0.2.1");
    }
}
