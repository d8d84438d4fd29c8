//! Pages of lists.

use aimate_core::{Page, PageRequest};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::Result;
use crate::json::Json;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// The `cursor` of the next page; `null` on the last page.
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that always fits into one page.
    pub(crate) fn single_page(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }
}

impl<T> From<Page<T>> for List<T> {
    fn from(page: Page<T>) -> Self {
        Self { data: page.data, next_cursor: page.next.map(aimate_core::Cursor::encode) }
    }
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// The query of a list without filters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl PageQuery {
    pub(crate) fn page(&self) -> Result<PageRequest> {
        page(self.limit, self.cursor.as_deref())
    }
}

/// The page that a query requests.
pub(crate) fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<PageRequest> {
    Ok(PageRequest::new(limit, cursor)?)
}
