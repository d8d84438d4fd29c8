//! JSON written straight into a buffer.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

/// Writes `value` as JSON at the end of `out`.
pub(super) fn put<T: Serialize + ?Sized>(out: &mut BytesMut, value: &T) {
    // Invariant: texts, numbers and JSON values always serialize, and a buffer
    // in memory takes every byte.
    if let Err(error) = serde_json::to_writer(out.writer(), value) {
        tracing::error!(%error, "failed to serialize a value");
    }
}
