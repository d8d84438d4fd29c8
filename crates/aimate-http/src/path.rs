//! Extractors of the path and the query.

use aimate_core::Error;
use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::{Failure, Result};

/// The parameters of the path. A malformed id is `404`, like an unknown one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<T>(pub(crate) T);

/// The fields of the query. An unknown or malformed field is `400`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match axum::extract::Path::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Error::not_found(format!(
                "there is no {}; ids are UUIDs such as 0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f",
                shorten(parts.uri.path())
            ))
            .into()),
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let what = error.into_inner().to_string();
        if path == "." {
            Error::invalid(format!("the query is invalid: {what}")).into()
        } else {
            Error::field(path, what).into()
        }
    })
}

fn shorten(path: &str) -> &str {
    path.get(..200).unwrap_or(path)
}
