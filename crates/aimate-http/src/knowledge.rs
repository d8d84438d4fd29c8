//! `/api/v1/knowledge`: collections, their documents, and search.

pub(crate) mod collection;
pub(crate) mod document;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod multipart;
pub(crate) mod original;
pub(crate) mod search;
mod upload;

/// Whether `text` is a media type such as `text/plain; charset=utf-8`.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(plain)
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_printable
        && text.len() <= 200
        && essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}
