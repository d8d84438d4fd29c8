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
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use aimate_core::{ConversationId, Error};

#[cfg(feature = "accounts")]
use crate::cookie;
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

/// The routes of the page, where everybody is signed in or only who has a cookie that says so.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(is_local: bool) -> Router<S> {
    let router = Router::new().route("/assets/{hash}/{file}", get(asset));
    let index = get(async move |request: Request| index(&request, is_local));
    PATHS.iter().fold(router, |router, path| router.route(path, index.clone()))
}

fn index(request: &Request, is_local: bool) -> Response {
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
    let prefix = escaped(mount::prefix(request));
    let is_signed_in = is_local || has_session(request.headers());
    let page = INDEX
        .replace("{{assets}}", &format!("{prefix}/assets/{HASH}"))
        .replace("{{requests}}", &first_requests(&prefix, request.uri(), is_signed_in));
    (policy, axum::response::Html(page)).into_response()
}

fn has_session(headers: &HeaderMap) -> bool {
    #[cfg(feature = "accounts")]
    return cookie::read(headers, cookie::ACCESS).is_some();
    #[cfg(not(feature = "accounts"))]
    {
        let _ = headers;
        false
    }
}

/// What the page asks for before it paints, for the browser to fetch while it reads the script:
/// the same addresses, to the letter (web/js/session.js, web/js/chat/thread.js).
fn first_requests(prefix: &str, page: &Uri, is_signed_in: bool) -> String {
    let id = page.path().strip_prefix("/c/").filter(|_| is_signed_in && page.query().is_none());
    let id = id.and_then(|id| id.parse::<ConversationId>().ok());
    let messages = id.map(|id| format!("/conversations/{id}/messages?limit=50&amp;html=true"));
    let link = |path: String| {
        format!("<link rel=\"preload\" as=\"fetch\" crossorigin href=\"{prefix}/api/v1{path}\">")
    };
    ["/server".to_owned()].into_iter().chain(messages).map(link).collect::<Vec<_>>().join("\n")
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
    fn first_requests_are_those_of_the_screen() {
        let id = "01a22e73-701b-7655-94a1-e50a4bb1eea4";
        let requests = |path: &str, is_signed_in| {
            let page = first_requests("/ai", &path.parse().unwrap(), is_signed_in);
            page.split('"').filter(|text| text.starts_with("/ai")).map(str::to_owned).collect::<Vec<_>>()
        };
        let server = "/ai/api/v1/server".to_owned();
        let messages = format!("/ai/api/v1/conversations/{id}/messages?limit=50&amp;html=true");
        assert_eq!(requests(&format!("/c/{id}"), true), [server.clone(), messages]);
        for (path, is_signed_in) in [
            ("/", true),
            (&*format!("/c/{id}"), false),
            (&*format!("/c/{id}?message={id}"), true),
            ("/c/%22%3E%3Cscript%3E", true),
            (&*format!("/knowledge/c/{id}"), true),
        ] {
            assert_eq!(requests(path, is_signed_in), std::slice::from_ref(&server), "{path}");
        }
    }

    #[test]
    fn page_fits_into_what_a_slow_line_loads() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.brotli.len()).sum();
        assert!(bytes <= 120 * 1024, "{bytes}");
    }
}
