//! Where links lead, and addresses in running text.

use std::ops::Range;

use url::Url;

/// Bytes that an address may have.
const MAX_ADDRESS: usize = 2_000;

/// An address outside of the page that shows it.
pub(crate) struct Foreign {
    pub(crate) href: String,
    pub(crate) host: String,
}

/// Where an address leads; `None` for what is no whole address of the web or of e-mail.
pub(crate) fn foreign(address: &str) -> Option<Foreign> {
    if address.len() > MAX_ADDRESS {
        return None;
    }
    let url = Url::parse(address).ok()?;
    let host = match url.scheme() {
        "http" | "https" => url.host_str()?.to_owned(),
        "mailto" => url.path().rsplit_once('@')?.1.to_owned(),
        _ => return None,
    };
    Some(Foreign { host, href: url.into() }).filter(|foreign| !foreign.host.is_empty())
}

/// The next address of running text, from a place on.
pub(crate) fn next_address(text: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(start) = text.get(at..)?.find(['h', 'H', 'w', 'W']).map(|found| at + found) {
        let rest = text.get(start..)?;
        let prefix = ["https://", "http://", "www."].into_iter().find(|prefix| {
            rest.get(..prefix.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(prefix))
        });
        let before = text.get(..start)?.chars().next_back();
        let is_free = before.is_none_or(|before| !before.is_alphanumeric());
        at = start + 1;
        let Some(prefix) = prefix.filter(|_| is_free) else { continue };
        let length = length(rest);
        if length > prefix.len() && foreign(&whole(rest.get(..length)?)).is_some() {
            return Some(start..start + length);
        }
        // Nothing within it is another address.
        at = start + length.max(1);
    }
    None
}

/// An address of running text as a whole one.
pub(crate) fn whole(address: &str) -> String {
    let has_scheme = !address.get(..4).is_some_and(|begins| begins.eq_ignore_ascii_case("www."));
    if has_scheme { address.to_owned() } else { format!("https://{address}") }
}

/// How far an address reaches: not over the marks that end a sentence, nor over a bracket
/// that was opened before it.
fn length(text: &str) -> usize {
    let ends = |c: char| {
        c.is_whitespace()
            || matches!(c, '<' | '>' | '"' | '`' | '\u{3000}'..='\u{303F}' | '\u{FDD0}'..='\u{FDEF}' | '\u{FF00}'..='\u{FF65}')
    };
    let address = text.get(..text.find(ends).unwrap_or(text.len())).unwrap_or_default();
    let count = |bracket: u8| address.bytes().filter(|byte| *byte == bracket).count();
    let mut unopened = count(b')').saturating_sub(count(b'('));
    let mut length = address.len();
    for byte in address.bytes().rev() {
        match byte {
            b'?' | b'!' | b'.' | b',' | b':' | b';' | b'*' | b'_' | b'~' | b'\'' | b']' | b'}' => {}
            b')' if unopened > 0 => unopened -= 1,
            _ => break,
        }
        length -= 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_end_before_what_ends_a_sentence() {
        for (text, expected) in [
            ("see https://example.org/a_b?c=d&e=f.", "https://example.org/a_b?c=d&e=f"),
            ("(https://example.org/a_(b))", "https://example.org/a_(b)"),
            ("(see www.example.org)", "www.example.org"),
            ("HTTPS://EXAMPLE.ORG, or", "HTTPS://EXAMPLE.ORG"),
            ("参见https://example.org/路径。后", ""),
            ("参见 https://example.org/路径。后", "https://example.org/路径"),
            ("xhttp://example.org", ""),
            ("http:// www. https://", ""),
            ("https:///a https://example.org", "https:///a"),
        ] {
            let found = next_address(text, 0).map(|range| &text[range]).unwrap_or_default();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn host_is_the_one_that_is_asked() {
        for (address, host) in [
            ("https://example.org/a", "example.org"),
            ("https://google.com@evil.example/", "evil.example"),
            ("https://google.com\\@evil.example/", "google.com"),
            ("HTTPS://EXAMPLE.org:8443/", "example.org"),
            ("https://аpple.com/", "xn--pple-43d.com"),
            ("mailto:me@example.org?subject=a", "example.org"),
        ] {
            assert_eq!(foreign(address).unwrap().host, host, "{address}");
        }
        for address in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,a",
            "vbscript:a",
            "//evil.example/a",
            "/a",
            "a/b",
            "#a",
            "file:///etc/passwd",
            "mailto:",
            "mailto:me@",
            "https://",
            "blob:https://example.org/1",
        ] {
            assert!(foreign(address).is_none(), "{address}");
        }
    }
}
