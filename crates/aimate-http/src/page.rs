//! Pages of lists.

use aimate_core::{Error, Page, PageRequest};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

impl<T> List<T> {
    /// A page of `list`; see [`page`].
    pub(crate) fn of(list: &str, page: Page<T>) -> Self {
        let cursor = page.next.map(|next| [tag(list), next.encode()].concat());
        Self { data: page.data, next_cursor: cursor }
    }
}

/// What a cursor of `list` begins with: the rows of one list are no places in
/// another one.
fn tag(list: &str) -> String {
    // FNV-1a: it keeps mistakes apart, not attackers, who see nothing by a cursor
    // that they would not see without it.
    let hash =
        list.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    URL_SAFE_NO_PAD.encode(hash.to_be_bytes())
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
    pub(crate) fn page(&self, list: &str) -> Result<PageRequest> {
        page(list, self.limit, self.cursor.as_deref())
    }
}

/// The page of `list` that a query requests. A list is named by its noun and,
/// where there is one, what it is a list of.
pub(crate) fn page(list: &str, limit: Option<u32>, cursor: Option<&str>) -> Result<PageRequest> {
    let cursor = match cursor {
        None => None,
        Some(text) => {
            let foreign = || Error::field("cursor", "is not a `next_cursor` of an earlier page of this list");
            Some(text.strip_prefix(&tag(list)).ok_or_else(foreign)?)
        }
    };
    Ok(PageRequest::new(limit, cursor)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_one_of_its_list_alone() {
        let next = aimate_core::Cursor { at: aimate_core::Timestamp(7), id: uuid::Uuid::from_u128(1) };
        let list = List::of("messages/1", Page { data: vec![()], next: Some(next) });
        let cursor = list.next_cursor.unwrap();
        assert_eq!(page("messages/1", None, Some(&cursor)).unwrap().after, Some(next));
        for (other, cursor) in [
            ("messages/2", cursor.as_str()),
            ("prompts", &cursor),
            ("messages/1", ""),
            ("messages/1", &next.encode()),
        ] {
            assert!(page(other, None, Some(cursor)).is_err(), "{other} {cursor}");
        }
    }
}
