//! Events as they are sent: numbered without a gap, each a frame of its own.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use crate::openai::write::put;

/// Initial capacity of the buffer that frames are cut from, in bytes.
const CAPACITY: usize = 4 * 1024;

/// What carries the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events, with `[DONE]` at the end.
    Sse,
    /// JSON alone, for the messages of a `WebSocket`.
    Json,
    /// Nothing: they are counted for one who waits for the whole response.
    Discard,
}

/// Numbers events from 0 and frames them. Clients lose an event that a read of theirs cuts
/// in two, so that no two of them share a frame.
pub(super) struct Frames {
    framing: Framing,
    /// The number of the last event that the client has.
    after: Option<u64>,
    next: u64,
    buffer: BytesMut,
    ready: VecDeque<Bytes>,
}

impl Frames {
    pub(super) fn new(framing: Framing, after: Option<u64>) -> Self {
        Self { framing, after, next: 0, buffer: BytesMut::with_capacity(CAPACITY), ready: VecDeque::new() }
    }

    /// One event: `fields` writes what follows its type and number, beginning with a comma.
    /// One that the client has is counted alone.
    pub(super) fn event(&mut self, name: &str, fields: impl FnOnce(&mut BytesMut)) {
        let number = self.next;
        self.next += 1;
        if self.framing == Framing::Discard || self.after.is_some_and(|after| number <= after) {
            return;
        }
        let out = &mut self.buffer;
        if self.framing == Framing::Sse {
            out.put_slice(b"event: ");
            out.put_slice(name.as_bytes());
            out.put_slice(b"\ndata: ");
        }
        out.put_slice(b"{\"type\":\"");
        out.put_slice(name.as_bytes());
        out.put_slice(b"\",\"sequence_number\":");
        put(out, &number);
        fields(out);
        out.put_slice(b"}");
        if self.framing == Framing::Sse {
            out.put_slice(b"\n\n");
        }
        self.ready.push_back(out.split().freeze());
    }

    /// Lets the next event be sent whatever the client has: it has events that were lost with
    /// their process, and must learn of the end.
    pub(super) fn go_on(&mut self) {
        self.next = self.after.map_or(self.next, |after| self.next.max(after.saturating_add(1)));
    }

    /// The end of the stream.
    pub(super) fn done(&mut self) {
        if self.framing == Framing::Sse {
            self.ready.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        }
    }

    /// The next frame that is ready.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Whether no frame is ready.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbered_and_those_that_are_known_left_out() {
        let mut frames = Frames::new(Framing::Sse, Some(0));
        frames.event("a", |_| {});
        frames.event("b", |out| out.put_slice(b",\"x\":1"));
        frames.done();
        let first = frames.pop().unwrap();
        assert_eq!(first, "event: b\ndata: {\"type\":\"b\",\"sequence_number\":1,\"x\":1}\n\n");
        assert_eq!(frames.pop().unwrap(), "data: [DONE]\n\n");
        assert!(frames.is_empty());
    }

    #[test]
    fn end_is_told_to_who_has_more_than_there_is() {
        let mut frames = Frames::new(Framing::Json, Some(8));
        frames.event("a", |_| {});
        frames.go_on();
        frames.event("b", |_| {});
        assert_eq!(frames.pop().unwrap(), "{\"type\":\"b\",\"sequence_number\":9}");
    }

    #[test]
    fn messages_of_a_socket_are_json_alone() {
        let mut frames = Frames::new(Framing::Json, None);
        frames.event("a", |_| {});
        frames.done();
        assert_eq!(frames.pop().unwrap(), "{\"type\":\"a\",\"sequence_number\":0}");
        assert!(frames.pop().is_none());
    }
}
