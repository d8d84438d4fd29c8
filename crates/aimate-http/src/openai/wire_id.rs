//! Ids as OpenAI writes them: a prefix that says of what they are, and the UUID.

use aimate_core::{Error, ErrorKind};
use uuid::Uuid;

use crate::error::{Failure, Result};

/// Characters of a wrong id that an error repeats.
const MAX_SHOWN: usize = 100;

/// An id as it is sent: `prefix`, with the sign that ends it (`file-`, `vs_`), and 32
/// lower-case hexadecimal digits.
pub(crate) fn write(prefix: &str, id: Uuid) -> String {
    format!("{prefix}{}", id.simple())
}

/// The UUID of an id with this prefix, with or without dashes; `None` if `text` is none.
pub(crate) fn read(prefix: &str, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?;
    // What else the parser knows (braces, `urn:uuid:`) is no id of ours.
    matches!(digits.len(), 32 | 36).then(|| Uuid::try_parse(digits).ok()).flatten()
}

/// [`read`] of an id of a `noun` in a path or a body.
///
/// # Errors
/// `NotFound`, with the id in its text: what is malformed is there as little as what is
/// unknown.
pub(crate) fn of(prefix: &str, noun: &str, text: &str) -> Result<Uuid> {
    read(prefix, text).ok_or_else(|| missing(noun, text).into())
}

/// That there is no `noun` with this id.
pub(crate) fn missing(noun: &str, text: &str) -> Error {
    Error::not_found(format!("there is no {noun} `{}`", shown(text)))
}

/// `error`, which says of what is not there that it is the `noun` with this id, as it was
/// sent.
pub(crate) fn about(error: Error, noun: &str, id: &str) -> Failure {
    if error.kind() == ErrorKind::NotFound {
        missing(noun, id).with_source(error).into()
    } else {
        error.into()
    }
}

/// What is repeated of an id that somebody sent.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_reads_back_with_and_without_dashes() {
        let id = Uuid::from_u128(0x0190_a5d2_7c1e_7cc3_98c4_dc0c_0c07_398f);
        let written = write("vs_", id);
        assert_eq!(written, "vs_0190a5d27c1e7cc398c4dc0c0c07398f");
        assert_eq!(read("vs_", &written), Some(id));
        assert_eq!(read("vs_", "vs_0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f"), Some(id));
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "vs_",
            "0190a5d27c1e7cc398c4dc0c0c07398f",
            "file-0190a5d27c1e7cc398c4dc0c0c07398f",
            "vs_{0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f}",
            "vs_urn:uuid:0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f",
            "vs_0190a5d27c1e7cc398c4dc0c0c07398",
            "vs_0190a5d27c1e7cc398c4dc0c0c07398\u{e4}",
            "vs_vs_0190a5d27c1e7cc398c4dc0c0c07398f",
        ] {
            assert_eq!(read("vs_", text), None, "{text}");
        }
        let long = format!("vs_{}", "\u{e4}".repeat(10_000));
        let error = of("vs_", "vector store", &long).unwrap_err().error;
        assert_eq!(error.kind(), aimate_core::ErrorKind::NotFound);
        assert!(error.message().len() < 300, "{error}");
    }

    #[test]
    fn what_is_not_there_is_named_as_it_was_sent() {
        let gone = about(Error::missing("collection", 1), "vector store", "vs_1").error;
        assert_eq!((gone.kind(), gone.message()), (ErrorKind::NotFound, "there is no vector store `vs_1`"));
        assert_eq!(about(Error::too_large("no"), "vector store", "vs_1").error.kind(), ErrorKind::TooLarge);
    }
}
