//! Media types: one parser at the door. Whatever names one (a request, a form, a
//! web server, a program) has it parsed here, and what is stored and served is
//! written anew out of its parts, so that nobody later reads it differently.

use std::fmt;

/// Characters of a type's name, of its subtype's and of a charset's at most
/// (RFC 6838, 4.2).
const MAX_TOKEN: usize = 127;

/// A media type such as `text/plain; charset=utf-8`, in lower case. Of parameters
/// only `charset` is kept, since no other one changes how bytes are read.
///
/// ```
/// use aimate_core::MediaType;
/// let found = MediaType::parse("Text/HTML ;Charset=\"ISO-8859-1\"; x=1").unwrap();
/// assert_eq!(found.to_string(), "text/html; charset=iso-8859-1");
/// assert_eq!(MediaType::parse("application/pdf ;, text/html"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaType {
    essence: String,
    charset: Option<String>,
}

impl MediaType {
    /// Parses a whole `Content-Type`; `None` for anything that its grammar (RFC
    /// 9110, 8.3.1) does not allow, such as two types in one value.
    pub fn parse(text: &str) -> Option<Self> {
        let (essence, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (kind, subtype) = essence.trim_matches(BLANK).split_once('/')?;
        if !is_name(kind) || !is_name(subtype) {
            return None;
        }
        let mut charset = None;
        while let Some(after) = rest.strip_prefix(';') {
            let after = after.trim_start_matches(BLANK);
            if after.is_empty() || after.starts_with(';') {
                rest = after;
                continue;
            }
            let (name, value) = after.split_once('=')?;
            let (value, after) = parameter_value(value)?;
            if !is_token(name) {
                return None;
            }
            if name.eq_ignore_ascii_case("charset") && charset.is_none() && is_name(&value) {
                charset = Some(value.to_ascii_lowercase());
            }
            rest = after.trim_start_matches(BLANK);
        }
        if !rest.is_empty() {
            return None;
        }
        Some(Self { essence: format!("{kind}/{subtype}").to_ascii_lowercase(), charset })
    }

    /// The type and subtype, without parameters.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// The charset, where one was named.
    pub fn charset(&self) -> Option<&str> {
        self.charset.as_deref()
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.charset {
            Some(charset) => write!(f, "{}; charset={charset}", self.essence),
            None => f.write_str(&self.essence),
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// The value of a parameter, a token or a quoted string, and what follows it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ';' || BLANK.contains(&c)).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return is_token(value).then(|| (value.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            '\t' | ' '..='~' => value.push(c),
            _ => return None,
        }
    }
    None
}

/// A token of RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

/// A restricted name of RFC 6838, 4.2, which leaves out what other grammars give a
/// meaning.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        MediaType::parse(text).map(|media_type| media_type.to_string())
    }

    #[test]
    fn types_are_written_anew() {
        for (text, written) in [
            ("text/plain", "text/plain"),
            (" Text/Plain ", "text/plain"),
            ("text/plain;charset=UTF-8", "text/plain; charset=utf-8"),
            ("text/plain ; charset=\"utf-8\" ", "text/plain; charset=utf-8"),
            ("text/plain;;", "text/plain"),
            ("text/plain; format=flowed; charset=latin1", "text/plain; charset=latin1"),
            ("multipart/related; boundary=\"a;b, c\"; type=\"text/html\"", "multipart/related"),
            ("image/svg+xml", "image/svg+xml"),
            ("text/plain; charset=a; charset=b", "text/plain; charset=a"),
            ("text/plain; charset=\"a,b\"", "text/plain"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(written), "{text}");
        }
    }

    #[test]
    fn what_another_parser_could_read_differently_is_none() {
        for text in [
            "",
            "text",
            "text/",
            "/html",
            "te xt/html",
            "text/html\r\nx: y",
            "text/h\u{e4}",
            "application/pdf ;, text/html",
            "application/pdf, text/html",
            "application/pdf;x=1, text/html",
            "application/pdf;,text/html",
            "application/pdf;x,text/html=1",
            "application/pdf;\ttext/html",
            "application/pdf; charset=\"",
            "application/pdf; charset=\"\\",
            "application/pdf; a=\"b\" c",
            "application/pdf; a = b",
            "application/pdf/text/html",
            "application/pdf text/html",
            "application/pdf\u{0}text/html",
            "*/*",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
        assert_eq!(parsed(&format!("text/{}", "x".repeat(128))), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["text/x-c; charset=\"iso-8859-1\"; a=\"\\\"\"", "a/b", "A/B;CHARSET=Q"] {
            let once = parsed(text).unwrap();
            assert_eq!(parsed(&once).as_deref(), Some(once.as_str()));
        }
    }
}
