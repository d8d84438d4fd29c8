//! The one error of this crate.

use std::fmt;

/// Stored bytes that this version did not write: damaged, cut short, or of
/// another format or model.
///
/// Everything that decodes checks what it reads, so such bytes are refused and
/// never cause a panic, an endless loop or a large allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataCorruption {
    detail: &'static str,
}

/// The result of whatever decodes stored bytes.
pub type Result<T> = std::result::Result<T, DataCorruption>;

impl DataCorruption {
    pub(crate) const fn new(detail: &'static str) -> Self {
        Self { detail }
    }
}

impl fmt::Display for DataCorruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a part of the search index is damaged: {}", self.detail)
    }
}

impl std::error::Error for DataCorruption {}
