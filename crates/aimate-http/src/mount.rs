//! Where the router hangs: an application may nest it under a prefix, which the
//! addresses that it gives out begin with.

use axum::extract::{OriginalUri, Request};
use http::HeaderValue;
use http::header::LOCATION;
use http::response::Response;

/// The prefix that the router is nested under, such as `/ai`; empty at the root.
/// axum takes it off the path that the routes see and keeps the whole one.
pub(crate) fn prefix(request: &Request) -> &str {
    let original = request.extensions().get::<OriginalUri>();
    let whole = original.map_or("", |original| original.0.path());
    // The root of a nested router is `/`, and the whole path may be without it.
    whole.strip_suffix(request.uri().path()).or_else(|| whole.strip_suffix('/')).unwrap_or_default()
}

/// Puts the prefix before the address of a new resource.
pub(crate) fn complete_location<B>(prefix: &str, response: &mut Response<B>) {
    if prefix.is_empty() {
        return;
    }
    let Some(path) = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()) else {
        return;
    };
    if path.starts_with('/')
        && let Ok(whole) = HeaderValue::from_str(&format!("{prefix}{path}"))
    {
        response.headers_mut().insert(LOCATION, whole);
    }
}
