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
    match request.uri().path() {
        // The root of a nested router is `/`, and the whole path may be without it.
        "/" => whole.strip_suffix('/').unwrap_or(whole),
        path => whole.strip_suffix(path).unwrap_or_default(),
    }
}

/// Puts the prefix before the address of a new resource. A redirection leads where whoever asked
/// for it said, which may be outside of the prefix.
pub(crate) fn complete_location<B>(prefix: &str, response: &mut Response<B>) {
    if prefix.is_empty() || response.status().is_redirection() {
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

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn prefix_is_for_new_resources_alone() {
        let location = |status: StatusCode, to: &'static str| {
            let mut response = Response::new(());
            *response.status_mut() = status;
            response.headers_mut().insert(LOCATION, HeaderValue::from_static(to));
            complete_location("/ai", &mut response);
            response.headers()[LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(location(StatusCode::CREATED, "/api/v1/prompts/1"), "/ai/api/v1/prompts/1");
        assert_eq!(location(StatusCode::SEE_OTHER, "/dashboard"), "/dashboard");
        let elsewhere = "https://login.example.org/authorize";
        assert_eq!(location(StatusCode::SEE_OTHER, elsewhere), elsewhere);
    }
}
