use aimate_core::{Cursor, ErrorKind, PageRequest, Timestamp};
use uuid::Uuid;

use crate::Target;

pub(super) const CURSOR: Target = Target {
    name: "cursor",
    run: cursor,
    seeds: || {
        let cursor = Cursor { at: Timestamp(1_700_000_000_123_456), id: Uuid::from_u128(7) };
        vec![cursor.encode().into_bytes(), Vec::new(), b"AAAA".to_vec()]
    },
    words: &["=", "_", "-", "+", "/", "A", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
};

/// A cursor that is read is the one that was written.
pub fn cursor(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match PageRequest::new(Some(1), Some(&text)) {
        Ok(page) => assert_eq!(page.after.unwrap().encode(), text),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
    }
}
