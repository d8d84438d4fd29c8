//! The page: a front end of this server in the browser, packed by `build.rs`.
//!
//! It is the same for everybody and needs no credential to load; what it shows, it asks for as
//! any other client does. Its files are named by their hash, so that browsers keep them.

use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use aimate_core::Error;

use crate::error::Failure;
use crate::mount;

/// A file of the page.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    identity: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/web_page.rs"));

/// Every address at which the page is shown; it knows itself which screen that is.
const PATHS: [&str; 12] = [
    "/",
    "/c/{*rest}",
    "/knowledge",
    "/knowledge/{*rest}",
    "/new",
    "/search",
    "/settings",
    "/settings/{*rest}",
    "/shared/{*rest}",
    "/sign-in",
    "/workspaces",
    "/workspaces/{*rest}",
];

/// The page runs its own scripts alone, asks this server alone, makes HTML in one place alone
/// (trusted types), and is shown in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types aimate";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const NO_DEVICES: &str = "camera=(), geolocation=(), microphone=()";
/// A year: what has this name never changes.
const KEPT: &str = "public, max-age=31536000, immutable";

/// The routes of the page.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let router = Router::new().route("/assets/{hash}/{file}", get(asset));
    PATHS.iter().fold(router, |router, path| router.route(path, get(index)))
}

async fn index(request: Request) -> Response {
    let tag = HeaderValue::from_static(TAG);
    let policy = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (OPENER_POLICY, HeaderValue::from_static("same-origin")),
        (PERMISSIONS, HeaderValue::from_static(NO_DEVICES)),
        (ETAG, tag.clone()),
    ];
    if is_known(request.headers(), &tag) {
        return (StatusCode::NOT_MODIFIED, policy).into_response();
    }
    let prefix = escaped(mount::prefix(&request));
    let page = INDEX.replace("{{assets}}", &format!("{prefix}/assets/{HASH}"));
    (policy, axum::response::Html(page)).into_response()
}

async fn asset(Path((hash, file)): Path<(String, String)>, headers: HeaderMap) -> Result<Response, Failure> {
    let found = ASSETS.iter().find(|asset| asset.name == file && hash == HASH);
    let missing = || Error::not_found("the page has no such file; one of another version is gone");
    let asset = found.ok_or_else(missing)?;
    let (encoding, bytes) = if accepts(&headers, "br") {
        (Some("br"), asset.brotli)
    } else if accepts(&headers, "gzip") {
        (Some("gzip"), asset.gzip)
    } else {
        (None, asset.identity)
    };
    let kept = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (CACHE_CONTROL, HeaderValue::from_static(KEPT)),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let mut response = (kept, bytes).into_response();
    if let Some(encoding) = encoding {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Ok(response)
}

/// Whether a client takes an encoding: it names it, and not with a weight of 0.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let all = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let is_refused = parts
            .filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .any(|weight| weight.parse().is_ok_and(|weight: f32| weight <= 0.0));
        is_named && !is_refused
    })
}

/// Whether a client has what this tag names. A proxy that compresses makes a weak tag of it.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let all = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = all.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    let tag = tag.to_str().unwrap_or_default();
    known.into_iter().any(|known| known == tag || known == "*")
}

/// A prefix as the value of an attribute: it is of the address that somebody asked for.
fn escaped(prefix: &str) -> String {
    prefix.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_taken_that_is_named() {
        let accepts = |value: &str, encoding: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap())]);
            accepts(&headers, encoding)
        };
        for value in ["br", "gzip, deflate, br", "gzip;q=0.5,BR;q=1.0", "gzip, br;q=0.1"] {
            assert!(accepts(value, "br"), "{value}");
        }
        for value in ["", "gzip", "br;q=0", "br; q=0.0", "brotli", "*"] {
            assert!(!accepts(value, "br"), "{value}");
        }
    }

    #[test]
    fn page_fits_into_what_a_slow_line_loads() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.brotli.len()).sum();
        assert!(bytes <= 120 * 1024, "{bytes}");
    }
}
