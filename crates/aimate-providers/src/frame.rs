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
    /// Returns the last frame of a body that ends without terminating it.
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

/// One JSON object per line; blank lines are skipped.
#[derive(Default)]
pub(crate) struct JsonLines(Lines);

impl Frames for JsonLines {
    fn push(&mut self, piece: Bytes) {
        self.0.push(piece);
    }

    fn next(&mut self) -> Result<Option<Frame>, TooLong> {
        while let Some(line) = self.0.next()? {
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Frame { event: Bytes::new(), data: line }));
            }
        }
        Ok(None)
    }

    fn rest(&mut self) -> Option<Frame> {
        let data = self.0.rest();
        (!data.trim_ascii().is_empty()).then(|| Frame { event: Bytes::new(), data })
    }
}

/// Server-sent events as the HTML standard defines them, with two exceptions: an
/// event that lacks its blank line at the end of the body is still dispatched,
/// and a line that begins with `{` is data, since some proxies write their errors
/// that way.
pub(crate) struct Events {
    lines: Lines,
    is_first_line: bool,
    event: Bytes,
    /// The first line of data.
    data: Option<Bytes>,
    /// All lines of data once there are several.
    joined: BytesMut,
}

impl Default for Events {
    fn default() -> Self {
        Self {
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
        self.lines.push(piece);
    }

    fn next(&mut self) -> Result<Option<Frame>, TooLong> {
        while let Some(line) = self.lines.next()? {
            if let Some(frame) = self.line(line)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn rest(&mut self) -> Option<Frame> {
        let line = self.lines.rest();
        if !line.is_empty() {
            self.line(line).ok()?;
        }
        self.dispatch()
    }
}

impl Events {
    fn line(&mut self, mut line: Bytes) -> Result<Option<Frame>, TooLong> {
        if std::mem::take(&mut self.is_first_line) && line.starts_with(b"\xEF\xBB\xBF") {
            line.advance(3);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        if line.starts_with(b"data:") {
            self.add(value(line, 5))?;
        } else if line.starts_with(b"event:") {
            self.event = value(line, 6);
        } else if line.starts_with(b"{") {
            self.add(line)?;
        } else if &line[..] == b"data" {
            self.add(Bytes::new())?;
        } else if &line[..] == b"event" {
            self.event = Bytes::new();
        }
        Ok(None)
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
        frames.rest().map(&mut keep);
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
