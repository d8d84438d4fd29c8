//! `/api/v1/knowledge`: collections, their documents, and search.

pub(crate) mod collection;
pub(crate) mod document;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod original;
pub(crate) mod search;
mod upload;
