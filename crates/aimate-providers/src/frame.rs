//! Splits a body into frames: server-sent events, or lines of JSON.
//!
//! A body arrives in pieces that end anywhere, even within a character. Frames
//! are bounded, and one that lies within one piece is not copied.

use bytes::{Buf, Bytes, BytesMut};

/// Maximum bytes of a line or an event.
pub(crate) const LIMIT: usize = 8 * 1024 * 1024;

/// A line or event is longer than [`LIMIT`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// One event or line of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The name of an SSE event; empty for most.
    pub(crate) event: Bytes,
    /// Its data.
    pub(crate) data: Bytes,
}

/// Splits bytes into frames.
pub(crate) trait Frames: Send + 'static {
    /// Adds the next piece of the body.
    fn push(&mut self, piece: Bytes);
    /// Returns the next complete frame; `None` until more is pushed.
    fn next(&mut self) -> Result<Option<Frame>, TooLong>;
    /// Returns the next of the last frames of a body that ends without terminating
    /// them; `None` when there are no more.
    fn rest(&mut self) -> Option<Frame>;
}

/// The lines of a growing text.
#[derive(Default)]
struct Lines {
    piece: Bytes,
    /// The beginning of a line whose end has not arrived.
    partial: BytesMut,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_return: bool,
    /// Whether a CR alone ends a line.
    return_ends: bool,
}

impl Lines {
    fn push(&mut self, piece: Bytes) {
        if self.piece.is_empty() {
            self.piece = piece;
        } else {
            self.piece = [&self.piece[..], &piece[..]].concat().into();
        }
    }

    fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        if self.after_return && !self.piece.is_empty() {
            self.after_return = false;
            if self.piece.first() == Some(&b'\n') {
                self.piece.advance(1);
            }
        }
        let end = if self.return_ends {
            memchr::memchr2(b'\n', b'\r', &self.piece)
        } else {
            memchr::memchr(b'\n', &self.piece)
        };
        if self.partial.len() + end.unwrap_or(self.piece.len()) > LIMIT {
            return Err(TooLong);
        }
        let Some(end) = end else {
            self.partial.extend_from_slice(&self.piece);
            self.piece = Bytes::new();
            return Ok(None);
        };
        let line = self.piece.split_to(end);
        self.after_return = self.piece.get_u8() == b'\r';
        if self.partial.is_empty() {
            return Ok(Some(line));
        }
        self.partial.extend_from_slice(&line);
        Ok(Some(self.partial.split().freeze()))
    }

    fn rest(&mut self) -> Bytes {
        self.partial.split().freeze()
    }
}

/// One JSON object per line; blank lines are skipped, and so is what some proxies
/// put around each to make it an event.
#[derive(Default)]
pub(crate) struct JsonLines(Lines);

impl Frames for JsonLines {
    fn push(&mut self, piece: Bytes) {
        self.0.push(piece);
    }

    fn next(&mut self) -> Result<Option<Frame>, TooLong> {
        while let Some(line) = self.0.next()? {
            if let Some(data) = json_of_line(&line) {
                return Ok(Some(Frame { event: Bytes::new(), data }));
            }
        }
        Ok(None)
    }

    fn rest(&mut self) -> Option<Frame> {
        json_of_line(&self.0.rest()).map(|data| Frame { event: Bytes::new(), data })
    }
}

/// What a line has of JSON; `None` for one that has nothing to say.
fn json_of_line(line: &Bytes) -> Option<Bytes> {
    let text = line.trim_ascii();
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let text = text.strip_prefix(b"data:").unwrap_or(text).trim_ascii();
    let is_note =
        [&b":"[..], b"event:", b"id:", b"retry:", b"[DONE]"].into_iter().any(|name| text.starts_with(name));
    (!text.is_empty() && !is_note).then(|| line.slice_ref(text))
}

/// Maximum bytes of a body that is JSON instead of events.
const JSON_LIMIT: usize = 64 * 1024 * 1024;

/// Server-sent events as the HTML standard defines them, with these exceptions: an
/// event that lacks its blank line at the end of the body is still dispatched; a
/// line that begins with `{` is data, since some proxies write their errors that
/// way; events may be parted by single line ends; `[DONE]` needs no blank line; and
/// a body that begins with JSON is JSON, whatever its media type says.
pub(crate) struct Events {
    body: BodyForm,
    lines: Lines,
    is_first_line: bool,
    event: Bytes,
    /// The first line of data.
    data: Option<Bytes>,
    /// All lines of data once there are several.
    joined: BytesMut,
}

/// What a body turned out to be.
enum BodyForm {
    /// Nothing but white space so far.
    Blank,
    Lines,
    /// JSON so far, all of it; the end of its first line is not before this place.
    Json(BytesMut, usize),
}

impl Default for Events {
    fn default() -> Self {
        Self {
            body: BodyForm::Blank,
            lines: Lines { return_ends: true, ..Lines::default() },
            is_first_line: true,
            event: Bytes::new(),
            data: None,
            joined: BytesMut::new(),
        }
    }
}

impl Frames for Events {
    fn push(&mut self, piece: Bytes) {
        match &mut self.body {
            BodyForm::Lines => self.lines.push(piece),
            BodyForm::Json(body, _) => {
                body.extend_from_slice(&piece);
                self.json_lines();
            }
            BodyForm::Blank => {
                let begin = begin_of_text(&piece).unwrap_or(piece.len());
                match piece.get(begin..) {
                    Some(json @ [b'{' | b'[', ..]) => {
                        // Part of a byte order mark may be there.
                        self.lines = Lines { return_ends: true, ..Lines::default() };
                        self.body = BodyForm::Json(BytesMut::from(json), 0);
                        self.json_lines();
                        return;
                    }
                    Some([_, ..]) => self.body = BodyForm::Lines,
                    _ => {}
                }
                self.lines.push(piece);
            }
        }
    }

    fn next(&mut self) -> Result<Option<Frame>, TooLong> {
        if matches!(&self.body, BodyForm::Json(body, _) if body.len() > JSON_LIMIT) {
            return Err(TooLong);
        }
        while let Some(line) = self.lines.next()? {
            if let Some(frame) = self.line(line)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn rest(&mut self) -> Option<Frame> {
        if let BodyForm::Json(body, _) = &mut self.body {
            return json_frame(body);
        }
        let line = self.lines.rest();
        if !line.is_empty()
            && let Some(frame) = self.line(line).ok()?
        {
            return Some(frame);
        }
        self.dispatch()
    }
}

/// Where a body says something, after white space and byte order marks, whole or
/// in part.
pub(crate) fn begin_of_text(body: &[u8]) -> Option<usize> {
    body.iter().position(|byte| !byte.is_ascii_whitespace() && !b"\xEF\xBB\xBF".contains(byte))
}

/// Takes the next JSON value out of a body; what is no JSON is one frame.
fn json_frame(body: &mut BytesMut) -> Option<Frame> {
    body.advance(begin_of_text(body)?);
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<serde::de::IgnoredAny>();
    let end = match values.next() {
        Some(Ok(_)) => values.byte_offset(),
        _ => body.len(),
    };
    Some(Frame { event: Bytes::new(), data: body.split_to(end).freeze() })
}

impl Events {
    /// Reads a body line by line that is a JSON value in its first line, and more
    /// after it: the answers of some servers are lines of JSON.
    fn json_lines(&mut self) {
        let BodyForm::Json(body, from) = &mut self.body else { return };
        let Some(end) = body.get(*from..).and_then(|rest| memchr::memchr(b'\n', rest)) else {
            *from = body.len();
            return;
        };
        *from += end;
        let (line, rest) = body.split_at(*from);
        if !rest.trim_ascii().is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok() {
            self.lines.push(std::mem::take(body).freeze());
            self.body = BodyForm::Lines;
        }
    }

    fn line(&mut self, mut line: Bytes) -> Result<Option<Frame>, TooLong> {
        if std::mem::take(&mut self.is_first_line) && line.starts_with(b"\xEF\xBB\xBF") {
            line.advance(3);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        if line.starts_with(b"data:") {
            return self.data(value(line, 5));
        } else if line.starts_with(b"event:") {
            self.event = value(line, 6);
        } else if line.starts_with(b"{") {
            return self.data(line);
        } else if line.starts_with(b"error:") {
            // llama.cpp's own field.
            self.event = Bytes::from_static(b"error");
            return self.data(value(line, 6));
        } else if &line[..] == b"data" {
            self.add(Bytes::new())?;
        } else if &line[..] == b"event" {
            self.event = Bytes::new();
        }
        Ok(None)
    }

    /// Adds a line of data. It begins another event if what came before is whole.
    fn data(&mut self, value: Bytes) -> Result<Option<Frame>, TooLong> {
        let begins = value.starts_with(b"{") || value.starts_with(b"[DONE]");
        let before = if begins && self.joined.is_empty() && self.data.as_deref().is_some_and(is_whole) {
            self.dispatch()
        } else {
            None
        };
        self.add(value)?;
        if before.is_none() && self.joined.is_empty() && self.data.as_deref() == Some(b"[DONE]") {
            return Ok(self.dispatch());
        }
        Ok(before)
    }

    fn add(&mut self, value: Bytes) -> Result<(), TooLong> {
        let Some(first) = &self.data else {
            self.data = Some(value);
            return Ok(());
        };
        if first.len().max(self.joined.len()) + value.len() >= LIMIT {
            return Err(TooLong);
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(first);
        }
        self.joined.extend_from_slice(b"\n");
        self.joined.extend_from_slice(&value);
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Frame> {
        let event = std::mem::take(&mut self.event);
        let joined = self.joined.split().freeze();
        let data = self.data.take()?;
        Some(Frame { event, data: if joined.is_empty() { data } else { joined } })
    }
}

/// Whether an event's data needs no further line.
fn is_whole(data: &[u8]) -> bool {
    data.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
}

/// What follows a field's name of `length` bytes, without one space.
fn value(mut line: Bytes, length: usize) -> Bytes {
    line.advance(length);
    if line.first() == Some(&b' ') {
        line.advance(1);
    }
    line
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn split<F: Frames + Default>(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut frames = F::default();
        let mut all = Vec::new();
        let mut keep = |frame: Frame| {
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            all.push((text(&frame.event), text(&frame.data)));
        };
        for piece in pieces {
            frames.push(Bytes::copy_from_slice(piece));
            while let Some(frame) = frames.next().unwrap() {
                keep(frame);
            }
        }
        while let Some(frame) = frames.rest() {
            keep(frame);
        }
        all
    }

    fn data<F: Frames + Default>(text: &str) -> Vec<String> {
        split::<F>(&[text.as_bytes()]).into_iter().map(|(_, data)| data).collect()
    }

    const TRANSCRIPT: &str = "\u{FEFF}: hello\n\ndata: {\"a\":\"ä€😀\"}\n\nevent: error\r\ndata: one\r\ndata:two\r\n\r\n\
        id: 7\rdata: three\r\r:\n\n{\"error\":\"x\"}\n\ndata\n\ndata: [DONE]";

    #[test]
    fn events_follow_the_standard() {
        assert_eq!(
            data::<Events>(TRANSCRIPT),
            ["{\"a\":\"ä€😀\"}", "one\ntwo", "three", "{\"error\":\"x\"}", "", "[DONE]"]
        );
        assert_eq!(split::<Events>(&[TRANSCRIPT.as_bytes()])[1].0, "error");
    }

    #[test]
    fn events_may_be_parted_by_single_line_ends() {
        let body = "data: {\"a\":1}\ndata: {\"a\":\ndata: 2}\ndata: [DONE]\n";
        assert_eq!(data::<Events>(body), ["{\"a\":1}", "{\"a\":\n2}\n[DONE]"]);
        let body = "data: {\"a\":1}\nevent: x\ndata: {\"a\":2}\ndata: [DONE]\n";
        assert_eq!(data::<Events>(body), ["{\"a\":1}", "{\"a\":2}", "[DONE]"]);
    }

    #[test]
    fn body_of_json_is_one_frame_or_one_for_each_value() {
        let pretty = " \n{\n  \"a\": [\n1]\n}\n";
        assert_eq!(data::<Events>(pretty), [pretty.trim()]);
        assert_eq!(data::<Events>("{\"a\":1}\n{\"a\":2}\n"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(data::<Events>("{\"a\":1}{\"a\":2}"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(data::<Events>("{\"a\":1}\n\ndata: [DONE]\n"), ["{\"a\":1}", "[DONE]"]);
        assert_eq!(data::<Events>("[{\"a\""), ["[{\"a\""]);
        let single: Vec<&[u8]> = pretty.as_bytes().chunks(1).collect();
        assert_eq!(split::<Events>(&single), split::<Events>(&[pretty.as_bytes()]));
    }

    #[test]
    fn only_one_space_is_dropped() {
        assert_eq!(data::<Events>("data:  a \n\n"), [" a "]);
    }

    #[test]
    fn every_split_in_two_gives_the_same_events() {
        let whole = split::<Events>(&[TRANSCRIPT.as_bytes()]);
        for at in 0..=TRANSCRIPT.len() {
            let (one, two) = TRANSCRIPT.as_bytes().split_at(at);
            assert_eq!(split::<Events>(&[one, two]), whole, "split at {at}");
        }
    }

    #[test]
    fn single_bytes_give_the_same_events() {
        let bytes: Vec<&[u8]> = TRANSCRIPT.as_bytes().chunks(1).collect();
        assert_eq!(split::<Events>(&bytes), split::<Events>(&[TRANSCRIPT.as_bytes()]));
    }

    #[test]
    fn lines_without_an_end_are_read_at_the_end() {
        assert_eq!(data::<JsonLines>("{\"a\":1}\n\n{\"b\":2}"), ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn whole_event_is_not_copied() {
        let body = Bytes::from_static(b"data: abc\n\n");
        let mut frames = Events::default();
        frames.push(body.clone());
        let frame = frames.next().unwrap().unwrap();
        assert_eq!(frame.data.as_ptr(), body[6..].as_ptr());
    }

    #[test]
    fn endless_line_is_refused_early() {
        let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
        let mut frames = Events::default();
        let pushed = (1..=100).find(|_| {
            frames.push(piece.clone());
            frames.next() == Err(TooLong)
        });
        assert_eq!(pushed, Some(9));
    }

    #[test]
    fn endless_event_is_refused_early() {
        let line = Bytes::from([&b"data: "[..], &vec![b'x'; 1024 * 1024], b"\n"].concat());
        let mut frames = Events::default();
        let pushed = (1..=100).find(|_| {
            frames.push(line.clone());
            frames.next() == Err(TooLong)
        });
        assert_eq!(pushed, Some(8));
    }
}
