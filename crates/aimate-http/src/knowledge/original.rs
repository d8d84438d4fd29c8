//! The original file of a document.

use aimate_core::knowledge::{BlobContent, Document};
use aimate_core::{DocumentId, Error, MediaType};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tower_http::services::ServeFile;

use crate::app::App;
use crate::error::{Failure, Result};
use crate::path::Path;
use crate::scope::Caller;

/// Maximum characters of a file name in a header: its end, with the extension.
const MAX_NAME: usize = 120;
/// The characters that RFC 8187 requires to be encoded, and a few more.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Returns the original file of a document, or the requested range of it.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{id}/content", tag = "knowledge",
    params(("id" = DocumentId, Path), ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`")),
    responses((status = 200, description = "The bytes.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The range.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "Not modified.")))]
pub(crate) async fn content(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<DocumentId>,
    headers: HeaderMap,
) -> Result<Response> {
    let (document, content) = app.engine.knowledge(&scope).content(id).await?;
    let mut response = match content.path() {
        Some(path) => from_file(path, headers, &document).await?,
        None => from_stream(content, &headers, &document),
    };
    describe(&document.media_type, &document.name, response.headers_mut());
    Ok(response)
}

/// A file's bytes, or the range of them that is asked for.
async fn from_file(path: &std::path::Path, mut headers: HeaderMap, document: &Document) -> Result<Response> {
    if headers.contains_key(IF_RANGE) {
        // The whole file is a valid response to any `If-Range`.
        headers.remove(RANGE);
    }
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers;
    let served = ServeFile::new(path).ignore_multi_range_requests(true).try_call(request).await;
    let unreadable = |error| Error::internal("the file of a document cannot be read").with_source(error);
    let response = served.map_err(unreadable)?.map(Body::new).into_response();
    match response.status() {
        StatusCode::NOT_FOUND => Err(Error::missing("document", document.id).into()),
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let message = format!("is not within the {} bytes of the document", document.size);
            Err(Failure::with_status(Error::field("Range", message), StatusCode::RANGE_NOT_SATISFIABLE))
        }
        _ => Ok(response),
    }
}

/// Bytes that are in no file here are given as a whole, which is a right answer
/// to a range too.
fn from_stream(content: BlobContent, headers: &HeaderMap, document: &Document) -> Response {
    let tag = format!("\"{}\"", document.content_hash);
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let size = content.size();
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from_stream(content.into_stream()).into_response(),
    };
    if !is_known {
        response.headers_mut().insert(CONTENT_LENGTH, size.into());
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The types that a browser may show: it takes none of them for a page with
/// scripts, and `nosniff` keeps it from guessing another one.
const SHOWN: [&str; 9] = [
    "application/pdf",
    "application/json",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/csv",
    "text/markdown",
    "text/plain",
];
const PDF: &str = "application/pdf";

/// Sets the headers of a file. The file is untrusted: no script in it may run in
/// this server's origin when a browser shows it.
pub(crate) fn describe(stored: &str, name: &str, headers: &mut HeaderMap) {
    let media_type = media_type(stored);
    let is_pdf = media_type == PDF;
    let value = HeaderValue::try_from(media_type);
    headers.insert(CONTENT_TYPE, value.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    let disposition = HeaderValue::try_from(disposition(stored, name));
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    // Chrome does not display a sandboxed PDF. PDF viewers run scripts of a PDF
    // isolated from the origin anyway.
    let policy = match is_pdf {
        true => "frame-ancestors 'self'",
        false => "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    };
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
}

/// The `Content-Type` of a file, written anew: a row of an older version may hold
/// anything. Text gets a charset: browsers would read UTF-8 as Latin-1.
pub(super) fn media_type(stored: &str) -> String {
    let Some(parsed) = MediaType::parse(stored) else {
        return "application/octet-stream".to_owned();
    };
    let essence = parsed.essence();
    if !essence.starts_with("text/") {
        return essence.to_owned();
    }
    format!("{essence}; charset={}", parsed.charset().unwrap_or("utf-8"))
}

/// The `Content-Disposition` of a file with this stored media type and name: only
/// what is surely no page is shown.
pub(super) fn disposition(media_type: &str, name: &str) -> String {
    let is_shown = MediaType::parse(media_type).is_some_and(|parsed| SHOWN.contains(&parsed.essence()));
    let shown = if is_shown { "inline" } else { "attachment" };
    let plain: Vec<char> =
        name.chars().map(|c| if c.is_control() || "/\\:".contains(c) { '_' } else { c }).collect();
    let end = plain.get(plain.len().saturating_sub(MAX_NAME)..).unwrap_or_default();
    let name: String = end.iter().collect();
    format!("{shown}; filename*=UTF-8''{}", utf8_percent_encode(name.trim_start_matches('.'), ENCODED))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[test]
    fn only_what_is_no_page_is_shown() {
        for essence in [
            "text/html",
            "application/xhtml+xml",
            "image/svg+xml",
            "text/xml",
            "application/xml",
            "text/javascript",
            "application/ecmascript",
            "text/xsl",
            "application/atom+xml",
            "multipart/x-mixed-replace",
            "message/rfc822",
            "text/x-of-tomorrow",
            "application/pdf ;, text/html",
        ] {
            assert!(disposition(essence, "x").starts_with("attachment;"), "{essence}");
        }
        for essence in SHOWN {
            assert!(disposition(essence, "x").starts_with("inline;"), "{essence}");
        }
    }

    #[test]
    fn file_name_is_escaped_in_the_header() {
        let name = |name: &str| disposition("a/b", name).replace("attachment; filename*=UTF-8''", "");
        assert_eq!(name("Manual 2.pdf"), "Manual%202.pdf");
        assert_eq!(name("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(name("a\r\nset-cookie: x=\"1\""), "a__set-cookie_%20x%3D%221%22");
        assert_eq!(name("Übung.md"), "%C3%9Cbung.md");
        let long = name(&format!("{}.pdf", "x".repeat(4_000)));
        assert!(long.len() == MAX_NAME && long.ends_with(".pdf"));
    }

    #[test]
    fn malformed_media_type_is_octet_stream() {
        for malformed in
            ["", "text", "text/html\r\nx: y", "application/pdf ;, text/html", "image/png, text/html"]
        {
            assert_eq!(media_type(malformed), "application/octet-stream", "{malformed}");
        }
        assert_eq!(media_type("text/plain"), "text/plain; charset=utf-8");
        assert_eq!(media_type("Text/Plain; Charset=latin1; x=y"), "text/plain; charset=latin1");
        assert_eq!(media_type("application/pdf; charset=\"text/html\""), "application/pdf");
    }

    fn document() -> Document {
        let id = "01a22452-7636-7755-acd5-3626b93b605b";
        let document = serde_json::json!({
            "id": id, "collection_id": id, "name": "a.txt", "title": "a", "media_type": "text/plain", "size": 6,
            "content_hash": "0f", "status": "ready", "progress": 1.0, "chunk_count": 1, "metadata": {},
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(document).unwrap()
    }

    fn remote() -> BlobContent {
        let pieces = [Ok("one".into()), Ok("two".into())];
        BlobContent::from_stream(futures_util::stream::iter(pieces).boxed(), 6)
    }

    #[tokio::test]
    async fn bytes_that_are_in_no_file_are_streamed() {
        let response = from_stream(remote(), &HeaderMap::new(), &document());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            (&response.headers()[CONTENT_LENGTH], &response.headers()[ETAG]),
            (&"6".parse().unwrap(), &"\"0f\"".parse().unwrap())
        );
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "onetwo");
        let known = HeaderMap::from_iter([(IF_NONE_MATCH, "\"0f\"".parse().unwrap())]);
        let response = from_stream(remote(), &known, &document());
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "");
    }
}
