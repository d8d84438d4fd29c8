//! Extraction errors.

use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kinds of extraction errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractErrorKind {
    /// The file is empty.
    Empty,
    /// The file is protected by a password.
    Encrypted,
    /// The file is truncated or violates its format.
    Damaged,
    /// The file, its text or the memory to read it exceeds a limit.
    TooLarge,
    /// The file has no text, such as a scan.
    NoText,
    /// The format is not supported.
    Unsupported,
    /// Reading took too long.
    Timeout,
    /// The reader crashed.
    Crashed,
    /// The file or the worker could not be accessed; a retry may succeed.
    Io,
}

/// Why a document could not be extracted, in words for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ExtractError {
    /// The kind of error.
    pub kind: ExtractErrorKind,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ExtractError {
    pub(super) fn new(kind: ExtractErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// `what` ("PDF") cannot be read as what it claims to be.
pub(super) fn damaged(what: &str, detail: impl Display) -> ExtractError {
    let message = format!(
        "the {what} is damaged or cut off ({detail}); save it again in its program, or upload it again"
    );
    ExtractError::new(ExtractErrorKind::Damaged, message)
}

pub(super) fn encrypted(what: &str) -> ExtractError {
    let message = format!("the {what} is protected by a password; remove the password and upload it again");
    ExtractError::new(ExtractErrorKind::Encrypted, message)
}

pub(super) fn no_text(message: impl Into<String>) -> ExtractError {
    ExtractError::new(ExtractErrorKind::NoText, message)
}

pub(super) fn unsupported(message: impl Into<String>) -> ExtractError {
    ExtractError::new(ExtractErrorKind::Unsupported, message)
}

pub(super) fn too_large(message: impl Into<String>) -> ExtractError {
    ExtractError::new(ExtractErrorKind::TooLarge, message)
}

pub(super) fn too_much_text(max: usize) -> ExtractError {
    too_large(format!(
        "the file holds more than {} of text, the most for one document; split it",
        size(max as u64)
    ))
}

pub(super) fn too_many_pages(max: usize) -> ExtractError {
    too_large(format!("the file has more than {max} pages, the most for one document; split it"))
}

pub(super) fn too_slow(allowed: Duration) -> ExtractError {
    let seconds = allowed.as_secs_f32();
    let message = format!("reading the file took longer than {seconds} s of processor time; split it");
    ExtractError::new(ExtractErrorKind::Timeout, message)
}

pub(super) fn too_deep(what: &str, max: usize) -> ExtractError {
    too_large(format!("the {what} is nested more than {max} levels deep, the most that is read"))
}

pub(super) fn crashed(message: impl Into<String>) -> ExtractError {
    ExtractError::new(ExtractErrorKind::Crashed, message)
}

pub(super) fn io(error: &std::io::Error) -> ExtractError {
    ExtractError::new(ExtractErrorKind::Io, format!("the file could not be read: {error}"))
}

/// Bytes as a person reads them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = bytes / (unit / 10);
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_people() {
        assert_eq!(size(12), "12 bytes");
        assert_eq!(size(20 << 20), "20 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }
}
