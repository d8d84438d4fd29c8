//! The events of runs as they are sent.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use aimate_core::chat::event::ChatEvent;
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes from which on the last event of an answer is shared by its listeners.
const LARGE: usize = 16 * 1024;

/// Writes an event as it is sent.
pub(crate) fn write_event(out: &mut BytesMut, id: u64, event: &ChatEvent) {
    let before = out.len();
    if try_write_event(out, id, event).is_err() {
        // Invariant: events are plain data, which always serializes.
        tracing::error!(id, event = event.name(), "failed to serialize an event");
        out.truncate(before);
    }
}

fn try_write_event(out: &mut BytesMut, id: u64, event: &ChatEvent) -> std::io::Result<()> {
    use std::io::Write;
    let mut writer = out.writer();
    write!(writer, "id: {id}\nevent: {}\ndata: ", event.name())?;
    serde_json::to_writer(&mut writer, event)?;
    writer.write_all(b"\n\n")
}

/// The last events of answers as they are sent. They hold a whole answer, so
/// many listeners of one must not each have a copy.
#[derive(Default)]
pub(crate) struct LargeEvents(Mutex<Vec<(Weak<ChatEvent>, u64, Bytes)>>);

impl LargeEvents {
    /// The event as it is sent, which `write` writes if nobody has it yet.
    pub(crate) fn frame(
        &self,
        id: u64,
        event: &Arc<ChatEvent>,
        write: impl FnOnce(&mut BytesMut, u64, &ChatEvent),
    ) -> Bytes {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An event that nobody holds is not asked for again.
        known.retain(|(event, ..)| event.strong_count() > 0);
        let same =
            known.iter().find(|(known, n, _)| *n == id && std::ptr::eq(known.as_ptr(), Arc::as_ptr(event)));
        if let Some((.., frame)) = same {
            return frame.clone();
        }
        let mut frame = BytesMut::new();
        write(&mut frame, id, event);
        let frame = frame.freeze();
        if frame.len() > LARGE {
            known.push((Arc::downgrade(event), id, frame.clone()));
        }
        frame
    }
}
