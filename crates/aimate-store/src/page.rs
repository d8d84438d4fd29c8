//! Pages of lists, which begin after the key of the last row before them.

use aimate_core::{Cursor, Error, Page, PageRequest, Result, Timestamp};
use uuid::Uuid;

/// How many rows to fetch for a page: one more tells that there is a next page.
pub(crate) fn rows_of(page: PageRequest) -> i64 {
    i64::from(page.limit) + 1
}

/// Ids of an ascending list are greater than this.
pub(crate) fn after(page: PageRequest) -> Uuid {
    page.after.map_or(Uuid::nil(), |cursor| cursor.id)
}

/// Ids of a descending list are less than this.
pub(crate) fn before(page: PageRequest) -> Uuid {
    page.after.map_or(Uuid::max(), |cursor| cursor.id)
}

/// The page out of rows that are listed by id alone.
pub(crate) fn page_by_id<T>(rows: Vec<T>, page: PageRequest, id: impl Fn(&T) -> Uuid) -> Page<T> {
    Page::of(rows, page.limit, |row| Cursor { at: Timestamp(0), id: id(row) })
}

/// The page out of several lists of which each is ordered by id and has as many rows
/// as a page needs.
pub(crate) fn merged_page<T>(
    mut rows: Vec<T>,
    page: PageRequest,
    is_descending: bool,
    id: impl Fn(&T) -> Uuid,
) -> Page<T> {
    rows.sort_by_key(&id);
    if is_descending {
        rows.reverse();
    }
    rows.dedup_by_key(|row| id(row));
    rows.truncate(page.limit as usize + 1);
    page_by_id(rows, page, id)
}

/// Turns "no row" into `missing`.
pub(crate) fn or_not_found<T>(row: Option<T>, missing: impl FnOnce() -> Error) -> Result<T> {
    row.ok_or_else(missing)
}

/// Turns "no row was touched" into `missing`.
pub(crate) fn touched_or_not_found(touched: u64, missing: impl FnOnce() -> Error) -> Result<()> {
    if touched > 0 { Ok(()) } else { Err(missing()) }
}
