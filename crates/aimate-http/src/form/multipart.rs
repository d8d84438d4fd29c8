//! `multipart/form-data` (RFC 7578), read part by part as it arrives.
//!
//! Own code, because documents of up to 1 GiB pass through: it holds one piece
//! of content or one part head whatever is sent, and gives up on slow bodies
//! piece by piece.

use std::time::Duration;

use aimate_core::{Error, MediaType, Result};
use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use memchr::memmem::Finder;
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout_at};

/// Maximum bytes taken from the body at once.
const MAX_PIECE: usize = 64 * 1024;
/// Maximum bytes of a part head, and of what precedes the first part.
const MAX_HEAD: usize = 16 * 1024;
/// How long a body may be slower than its rate, from its beginning and at any time.
const GRACE: Duration = Duration::from_secs(20);
/// Maximum characters of a boundary, by RFC 2046.
const MAX_BOUNDARY: usize = 70;

/// Returns the boundary of a `multipart/form-data` body; `None` for other bodies.
///
/// # Errors
/// `Invalid` if the boundary is missing or too long.
pub(crate) fn boundary(headers: &HeaderMap) -> Result<Option<String>> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let boundary =
        parameter(parameters, "boundary").filter(|found| (1..=MAX_BOUNDARY).contains(&found.len()));
    boundary.map(Some).ok_or_else(|| {
        Error::field("Content-Type", format!("needs a `boundary` of 1 to {MAX_BOUNDARY} characters"))
    })
}

/// The head of a part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartHead {
    /// The field name.
    pub(crate) name: String,
    /// The file name.
    pub(crate) file_name: Option<String>,
    /// The media type.
    pub(crate) media_type: Option<String>,
}

impl PartHead {
    /// The media type that says something: `application/octet-stream` is what clients send for an
    /// unknown one.
    pub(crate) fn stated_type(&self) -> Option<String> {
        let stated = self.media_type.as_deref().and_then(MediaType::parse);
        stated.filter(|kind| kind.essence() != "application/octet-stream").map(|kind| kind.to_string())
    }
}

/// How slowly a body may arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long the next piece may take.
    pub(crate) piece: Duration,
    /// Bytes a second, once it was slower for [`GRACE`]; 0 for any.
    pub(crate) rate: u32,
}

/// A reader of a multipart body.
pub(crate) struct Multipart<'a> {
    body: &'a mut Body,
    pace: Pace,
    /// By when more must have arrived to keep the rate.
    due: Instant,
    /// Received, but not yet in `buffer`.
    pending: Bytes,
    buffer: BytesMut,
    /// The end of each part: a line break, two hyphens and the boundary.
    delimiter: Finder<'static>,
    has_timed_out: bool,
}

impl<'a> Multipart<'a> {
    pub(crate) fn new(body: &'a mut Body, boundary: &str, pace: Pace) -> Self {
        let delimiter = Finder::new(&["\r\n--", boundary].concat()).into_owned();
        // The first boundary has no line before it: add its line break.
        let buffer = BytesMut::from("\r\n");
        Self {
            body,
            pace,
            due: Instant::now() + GRACE,
            pending: Bytes::new(),
            buffer,
            delimiter,
            has_timed_out: false,
        }
    }

    /// Whether reading failed because the body arrived too slowly.
    pub(crate) fn has_timed_out(&self) -> bool {
        self.has_timed_out
    }

    /// Returns the head of the next part, skipping what is left of the current
    /// one; `None` after the last part.
    pub(crate) async fn next(&mut self) -> Result<Option<PartHead>> {
        let mut skipped = 0;
        while let Some(piece) = self.piece().await? {
            skipped += piece.len();
            if skipped > MAX_HEAD {
                return Err(invalid("there is no boundary where one should be"));
            }
        }
        self.buffer.advance(self.delimiter.needle().len());
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        let head = loop {
            // The line break after the boundary may belong to the blank line:
            // a head may be empty.
            let end = memchr::memmem::find(&self.buffer, b"\r\n\r\n").map(|at| at + 4);
            if end.unwrap_or(self.buffer.len()) > MAX_HEAD {
                return Err(invalid(format!("the head of a part has more than {MAX_HEAD} bytes")));
            }
            if let Some(end) = end {
                break self.buffer.split_to(end);
            }
            self.fill().await?;
        };
        PartHead::new(&head).map(Some)
    }

    /// Returns the next piece of the part's content; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(at) = self.delimiter.find(&self.buffer) {
                return Ok((at > 0).then(|| self.buffer.split_to(at).freeze()));
            }
            // The last bytes may be the beginning of a delimiter.
            let content = (self.buffer.len() + 1).saturating_sub(self.delimiter.needle().len());
            if content > 0 {
                return Ok(Some(self.buffer.split_to(content).freeze()));
            }
            self.fill().await?;
        }
    }

    /// Returns the content of the part `name` as text of at most `max` bytes.
    pub(crate) async fn text(&mut self, name: &str, max: usize) -> Result<String> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > max {
                return Err(Error::field(name, format!("has more than {max} bytes")));
            }
            all.extend_from_slice(&piece);
        }
        String::from_utf8(all).map_err(|_| Error::field(name, "is not UTF-8"))
    }

    /// Notes that `bytes` arrived: they earn time, but no more than [`GRACE`].
    fn note(&mut self, bytes: usize) {
        let nanoseconds = (bytes as u64).saturating_mul(1_000_000_000) / u64::from(self.pace.rate.max(1));
        let earned = self.due.checked_add(Duration::from_nanos(nanoseconds));
        let most = Instant::now() + GRACE;
        self.due = earned.map_or(most, |earned| earned.min(most));
    }

    /// Waits for more of the body.
    async fn fill(&mut self) -> Result<()> {
        while self.pending.is_empty() {
            let piece = Instant::now() + self.pace.piece;
            let by = if self.pace.rate > 0 { piece.min(self.due) } else { piece };
            let frame = timeout_at(by, self.body.frame()).await.map_err(|_| {
                self.has_timed_out = true;
                let rate = self.pace.rate;
                Error::invalid(format!(
                    "the body arrives too slowly; it needs {rate} bytes a second at least"
                ))
            })?;
            let ended = "the body ended before its last boundary";
            let frame = frame.ok_or_else(|| Error::invalid(ended))?;
            let frame = frame.map_err(|error| Error::invalid(ended).with_source(error))?;
            self.pending = frame.into_data().unwrap_or_default();
            self.note(self.pending.len());
        }
        let piece = self.pending.split_to(self.pending.len().min(MAX_PIECE));
        self.buffer.extend_from_slice(&piece);
        Ok(())
    }
}

impl PartHead {
    /// Parses a head: the rest of the boundary's line, then one header per line.
    pub(crate) fn new(head: &[u8]) -> Result<Self> {
        let head = std::str::from_utf8(head).map_err(|_| invalid("the head of a part is not UTF-8"))?;
        let mut lines = head.split("\r\n");
        if lines.next().is_some_and(|rest| !rest.trim_matches([' ', '\t']).is_empty()) {
            return Err(invalid("a line continues after the boundary"));
        }
        let (mut disposition, mut media_type) = (None, None);
        for line in lines.filter(|line| !line.is_empty()) {
            let header = line.split_once(':');
            let (name, value) =
                header.ok_or_else(|| invalid("the head of a part has a line without a colon"))?;
            if name.trim().eq_ignore_ascii_case("content-disposition") {
                disposition = Some(value.trim());
            } else if name.trim().eq_ignore_ascii_case("content-type") {
                media_type = Some(value.trim().to_owned());
            }
        }
        let disposition = disposition.and_then(|found| found.split_once(';'));
        let (kind, parameters) = disposition.unwrap_or_default();
        let name = parameter(parameters, "name").filter(|_| kind.trim().eq_ignore_ascii_case("form-data"));
        let name = name.ok_or_else(|| {
            invalid("a part has no name; it needs `Content-Disposition: form-data; name=\"…\"`")
        })?;
        let encoded = parameter(parameters, "filename*");
        let encoded = encoded.as_deref().and_then(|value| value.splitn(3, '\'').nth(2));
        let decoded = encoded.map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned());
        Ok(Self { name, file_name: decoded.or_else(|| parameter(parameters, "filename")), media_type })
    }
}

/// Returns the value of the parameter `name`, such as `2` for `b` in
/// `a=1; b="2"`.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (found, value) = rest.split_once('=')?;
        let found = found.trim_start_matches([' ', '\t', ';']).trim_end();
        let (value, after) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_text(quoted)?,
            None => {
                let end = value.find(';').unwrap_or(value.len());
                let (plain, after) = value.split_at(end);
                (plain.trim().to_owned(), after)
            }
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// Returns the text before the closing quote, and the rest after it. Browsers
/// write `%22` for a quote, other clients `\"`; a backslash before any other
/// character is itself, as in the paths that some old clients send.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => return Some((value.replace("%22", "\""), text.get(at + 1..)?)),
            ('\\', Some((_, escaped @ ('"' | '\\')))) => {
                value.push(*escaped);
                chars.next();
            }
            _ => value.push(c),
        }
    }
    None
}

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("the body is not multipart/form-data: {why}"))
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const SIMPLE: &str = "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nA manual\r\n\
        --b  \r\ncontent-type: text/plain\r\ncontent-disposition: form-data; name=file; filename=\"a.txt\"\r\n\r\n\
        one\r\n--two\r\n-\r\n--c\r\r\n--b--\r\nrest";

    /// Reads all parts of a body that arrives in these pieces.
    async fn parts(pieces: Vec<Bytes>, boundary: &str) -> Result<Vec<(PartHead, Vec<u8>)>> {
        let stream = stream::iter(pieces.into_iter().map(Ok::<_, std::convert::Infallible>));
        let mut body = Body::from_stream(stream);
        let mut multipart = Multipart::new(&mut body, boundary, pace(1_000));
        let mut all = Vec::new();
        while let Some(part) = multipart.next().await? {
            let mut content = Vec::new();
            while let Some(piece) = multipart.piece().await? {
                assert!(!piece.is_empty() && piece.len() <= MAX_PIECE + MAX_HEAD);
                content.extend_from_slice(&piece);
            }
            all.push((part, content));
        }
        Ok(all)
    }

    fn pace(milliseconds: u64) -> Pace {
        Pace { piece: Duration::from_millis(milliseconds), rate: 0 }
    }

    /// How many bytes, one each second after the first `burst`, are read at this rate.
    async fn trickle(burst: usize, rate: u32) -> usize {
        let start = Bytes::from(
            ["--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n", &"x".repeat(burst)].concat(),
        );
        let byte = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Bytes::from_static(b"x"), ()))
        });
        let all = futures_util::StreamExt::chain(stream::iter([start]), byte);
        let all = futures_util::StreamExt::map(all, Ok::<_, std::convert::Infallible>);
        let mut body = Body::from_stream(futures_util::StreamExt::take(all, 1_000));
        let mut form = Multipart::new(&mut body, "b", Pace { piece: Duration::from_secs(60), rate });
        form.next().await.unwrap();
        let mut read = 0;
        while let Ok(Some(piece)) = form.piece().await {
            read += piece.len();
        }
        read.saturating_sub(burst)
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_trickles_is_cut_off() {
        assert!(trickle(0, 1_000).await <= 20);
        // What came fast earns no right to trickle for hours.
        assert!(trickle(1_000_000, 1_000).await <= 21);
        assert!(trickle(0, 1).await > 900);
    }

    async fn whole(text: &str) -> Result<Vec<(PartHead, Vec<u8>)>> {
        parts(vec![Bytes::copy_from_slice(text.as_bytes())], "b").await
    }

    fn file(disposition: &str) -> Result<PartHead> {
        PartHead::new(format!("\r\ncontent-disposition: form-data; {disposition}\r\n\r\n").as_bytes())
    }

    #[tokio::test]
    async fn result_does_not_depend_on_how_the_body_is_split() {
        let expected = whole(SIMPLE).await.unwrap();
        assert_eq!(expected[0].0.name, "name");
        assert_eq!(expected[0].1, b"A manual");
        assert_eq!(expected[1].0.file_name.as_deref(), Some("a.txt"));
        assert_eq!(expected[1].0.media_type.as_deref(), Some("text/plain"));
        assert_eq!(expected[1].1, b"one\r\n--two\r\n-\r\n--c\r");
        let all = Bytes::from_static(SIMPLE.as_bytes());
        for at in 0..all.len() {
            let pieces = vec![all.slice(..at), all.slice(at..)];
            assert_eq!(parts(pieces, "b").await.unwrap(), expected, "split at {at}");
        }
        let bytes = (0..all.len()).map(|at| all.slice(at..=at)).collect();
        assert_eq!(parts(bytes, "b").await.unwrap(), expected);
    }

    #[tokio::test]
    async fn head_beyond_the_limit_is_refused_however_it_is_split() {
        let long = "x".repeat(MAX_HEAD);
        let body = format!("--b\r\nX-Long: {long}\r\n{}", &SIMPLE[SIMPLE.find("--b\r\n").unwrap() + 5..]);
        let all = Bytes::from(body);
        for size in [all.len(), 1_000] {
            let pieces = (0..all.len()).step_by(size).map(|at| all.slice(at..all.len().min(at + size)));
            let error = parts(pieces.collect(), "b").await.unwrap_err();
            assert!(error.message().contains("the head of a part"), "{size}: {error}");
        }
    }

    #[tokio::test]
    async fn truncated_body_is_an_error() {
        let all = Bytes::from_static(SIMPLE.as_bytes());
        let end = SIMPLE.rfind("--\r\nrest").unwrap() + 2;
        for at in 0..end {
            assert!(parts(vec![all.slice(..at)], "b").await.is_err(), "truncated at {at}");
        }
        assert!(parts(vec![all.slice(..end)], "b").await.is_ok());
    }

    #[tokio::test]
    async fn malformed_bodies_are_refused() {
        for body in [
            "",
            "x",
            "--c\r\n\r\n--c--",
            "--b\r\n\r\nx\r\n--b--",
            "--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b--",
            "--b\r\ncontent-disposition: attachment; name=\"a\"\r\n\r\nx\r\n--b--",
            "--b\r\ncontent-disposition: form-data; name=\"a\r\n\r\nx\r\n--b--",
            "--b\r\nx\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--",
            "--bc\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--",
        ] {
            assert!(whole(body).await.is_err(), "{body:?}");
        }
        assert_eq!(whole("--b--").await.unwrap(), []);
        assert_eq!(whole("preamble\r\n--b--").await.unwrap(), []);
    }

    #[tokio::test]
    async fn endless_part_is_not_buffered() {
        let endless = |start: &'static str, piece: &'static str| async move {
            let pieces = stream::iter([Bytes::from(start)]).chain(stream::repeat(Bytes::from(piece)));
            let mut body = Body::from_stream(pieces.map(Ok::<_, std::convert::Infallible>));
            let mut multipart = Multipart::new(&mut body, "b", pace(1_000));
            let error = loop {
                match multipart.next().await {
                    Ok(part) => drop(part.unwrap()),
                    Err(error) => break error,
                }
            };
            assert!(multipart.buffer.capacity() < 4 * MAX_PIECE, "{}", multipart.buffer.capacity());
            error
        };
        use futures_util::StreamExt;
        assert!(endless("", "x").await.message().contains("no boundary"));
        assert!(endless("--b\r\n", "x: y\r\n").await.message().contains("head of a part"));
        let part = "--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n";
        assert!(endless(part, "xxxxxxx").await.message().contains("no boundary"));
    }

    #[tokio::test]
    async fn slow_body_times_out() {
        let mut body = Body::from_stream(stream::pending::<Result<Bytes, std::convert::Infallible>>());
        let mut multipart = Multipart::new(&mut body, "b", pace(10));
        assert!(multipart.next().await.is_err() && multipart.has_timed_out());
    }

    #[test]
    fn file_name_is_read_in_the_forms_that_clients_write() {
        for (disposition, name) in [
            ("name=\"file\"; filename=\"a b.txt\"", "a b.txt"),
            ("filename=\"a.txt\"; name=\"file\"", "a.txt"),
            ("name=\"file\"; filename=a.txt", "a.txt"),
            ("name=\"file\"; filename=\"a;b=c.txt\"", "a;b=c.txt"),
            ("name=\"file\"; filename=\"a\\\"b.txt\"", "a\"b.txt"),
            ("name=\"file\"; filename=\"a%22b.txt\"", "a\"b.txt"),
            ("name=\"file\"; filename=\"C:\\temp\\a.txt\"", "C:\\temp\\a.txt"),
            ("name=\"file\"; filename=\"é.txt\"", "é.txt"),
            ("name=\"file\"; filename=\"x\"; filename*=UTF-8''%C3%A9.txt", "é.txt"),
        ] {
            let part = file(disposition).unwrap();
            assert_eq!(
                (part.name.as_str(), part.file_name.as_deref()),
                ("file", Some(name)),
                "{disposition}"
            );
        }
        assert_eq!(file("name=\"x\"").unwrap().file_name, None);
    }

    #[test]
    fn boundary_comes_from_the_header() {
        let of = |kind: &str| {
            boundary(&HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_str(kind).unwrap())]))
        };
        assert_eq!(of("multipart/form-data; boundary=abc").unwrap().as_deref(), Some("abc"));
        assert_eq!(of("Multipart/Form-Data;charset=x; Boundary=\"a b\"").unwrap().as_deref(), Some("a b"));
        assert_eq!(of("application/json").unwrap(), None);
        assert!(of("multipart/form-data").is_err() && of("multipart/form-data; boundary=").is_err());
        assert!(of(&format!("multipart/form-data; boundary={}", "x".repeat(71))).is_err());
    }
}
