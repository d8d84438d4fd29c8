//! See [`crate::fuzzing`].

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};

use super::original;
use crate::form::multipart::{self, Multipart};

/// A part of a form, with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name of its field.
    pub name: String,
    /// The name of its file.
    pub file_name: Option<String>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The parts of a form whose body arrives in these pieces; `None` if it is none.
pub async fn parts(boundary: &str, pieces: &[&[u8]]) -> Option<Vec<Part>> {
    let pieces: Vec<_> =
        pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    let mut body = Body::from_stream(stream::iter(pieces));
    let mut multipart =
        Multipart::new(&mut body, boundary, multipart::Pace { piece: Duration::from_secs(60), rate: 0 });
    let mut all = Vec::new();
    while let Some(part) = multipart.next().await.ok()? {
        let mut content = Vec::new();
        while let Some(piece) = multipart.piece().await.ok()? {
            content.extend_from_slice(&piece);
        }
        all.push(with(part, content));
    }
    Some(all)
}

/// What the head of a part says; `None` if it is none.
pub fn part_head(head: &[u8]) -> Option<Part> {
    multipart::PartHead::new(head).ok().map(|part| with(part, Vec::new()))
}

fn with(part: multipart::PartHead, content: Vec<u8>) -> Part {
    let multipart::PartHead { name, file_name, media_type } = part;
    Part { name, file_name, media_type, content }
}

/// The boundary that a `Content-Type` names.
pub fn boundary(content_type: &[u8]) -> Option<String> {
    let value = HeaderValue::from_bytes(content_type).ok()?;
    multipart::boundary(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)])).ok().flatten()
}

/// The `Content-Type` and `Content-Disposition` of a file with this stored media
/// type and name.
pub fn file_headers(media_type: &str, name: &str) -> (String, String) {
    (original::media_type(media_type), original::disposition(media_type, name))
}
