use aimate_core::{Cursor, ErrorKind, PageRequest, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

proptest! {
    #[test]
    fn cursor_reads_back(at in any::<i64>(), id in any::<u128>()) {
        let cursor = Cursor { at: Timestamp(at), id: Uuid::from_u128(id) };
        let text = cursor.encode();
        prop_assert_eq!(Cursor::decode(&text).unwrap(), cursor);
        // It goes into a URL as it is.
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }

    #[test]
    fn what_is_read_is_what_would_be_written(text in "[A-Za-z0-9_=-]{28,36}") {
        if let Ok(cursor) = Cursor::decode(&text) {
            prop_assert_eq!(cursor.encode(), text);
        }
    }

    #[test]
    fn any_other_text_is_invalid(text in any::<String>()) {
        match PageRequest::new(None, Some(&text)) {
            Ok(page) => prop_assert_eq!(page.after.unwrap().encode(), text),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Invalid),
        }
    }
}
