//! Reading server-sent events out of the pieces of a body.

use bytes::{Buf, Bytes, BytesMut};

/// One event.
#[derive(Debug, PartialEq)]
pub(crate) struct SseEvent {
    /// Its sequence number, if it has one.
    pub(crate) id: Option<u64>,
    /// Its type, `message` where none is given.
    pub(crate) name: Bytes,
    /// What it says.
    pub(crate) data: Bytes,
}

/// Collects pieces until there are whole events.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    buffer: BytesMut,
    /// Where the search for an event's end goes on.
    searched: usize,
}

impl SseReader {
    /// Adds a piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole event. Comments are left out.
    pub(crate) fn next(&mut self) -> Option<SseEvent> {
        loop {
            let Some(found) = self.buffer.get(self.searched..)?.windows(2).position(|two| two == b"\n\n")
            else {
                self.searched = self.buffer.len().saturating_sub(1);
                return None;
            };
            let block = self.buffer.split_to(self.searched + found).freeze();
            self.buffer.advance(2);
            self.searched = 0;
            if let Some(event) = event(&block) {
                return Some(event);
            }
        }
    }
}

fn event(block: &Bytes) -> Option<SseEvent> {
    let (mut id, mut name, mut data) = (None, Bytes::from_static(b"message"), None::<Bytes>);
    for line in block.split(|byte| *byte == b'\n') {
        if let Some(text) = field(line, b"id:") {
            id = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        } else if let Some(text) = field(line, b"event:") {
            name = block.slice_ref(text);
        } else if let Some(text) = field(line, b"data:") {
            data = Some(match data {
                None => block.slice_ref(text),
                // Several lines are one text.
                Some(before) => [&before, b"\n".as_slice(), text].concat().into(),
            });
        }
    }
    data.map(|data| SseEvent { id, name, data })
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let text = line.strip_prefix(name)?;
    Some(text.strip_prefix(b" ").unwrap_or(text))
}
