//! Keyset paging: a page is "up to `limit` rows after this row".

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// Which page of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows at most, 1 to [`PageRequest::MAX_LIMIT`].
    pub limit: u32,
    /// The last row of the page before; `None` for the first page.
    pub after: Option<Cursor>,
}

impl PageRequest {
    /// Rows of a page where the caller does not say.
    pub const DEFAULT: u32 = 50;
    /// Rows of a page at most.
    pub const MAX_LIMIT: u32 = 200;

    /// A checked request.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if `limit` is not 1
    /// to 200 or `cursor` was not made by a page of this product.
    pub fn new(limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        let limit = limit.unwrap_or(Self::DEFAULT);
        if limit == 0 || limit > Self::MAX_LIMIT {
            return Err(Error::field("limit", format!("is {limit}; it must be 1 to {}", Self::MAX_LIMIT)));
        }
        Ok(Self { limit, after: cursor.map(Cursor::decode).transpose()? })
    }

    /// The first page of `limit` rows.
    pub fn first(limit: u32) -> Self {
        Self { limit: limit.clamp(1, Self::MAX_LIMIT), after: None }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(Self::DEFAULT)
    }
}

/// The sort key of one row: a time and an id. Lists that sort by id alone keep
/// the time at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The time the list sorts by.
    pub at: Timestamp,
    /// The row's id, which breaks ties.
    pub id: Uuid,
}

impl Cursor {
    /// The opaque text a client sends back.
    pub fn encode(self) -> String {
        let mut bytes = [0; 24];
        let (at, id) = bytes.split_at_mut(8);
        at.copy_from_slice(&self.at.0.to_be_bytes());
        id.copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Cursor::encode`] made.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other text.
    pub fn decode(text: &str) -> Result<Self> {
        let wrong = || Error::field("cursor", "is not a `next_cursor` of an earlier page");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let (at, id) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        Ok(Self { at: Timestamp(i64::from_be_bytes(*at)), id: Uuid::from_slice(id).map_err(|_| wrong())? })
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page out of up to `limit + 1` rows: the extra row only tells that
    /// there is a next page.
    pub fn of(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { data: rows, next }
    }

    /// The same page of other things.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(each).collect(), next: self.next }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { data: Vec::new(), next: None }
    }
}

/// The direction of a list that is ordered by id, that is by time of creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

crate::text::names! {
    Order { Asc = "asc", Desc = "desc" }
}

/// Which rows of a list that is ordered by id are wanted: the first ones, those that
/// follow a row, or those that stand right before one. A row that was deleted meanwhile
/// still marks its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// How many rows at most, 1 to [`IdRange::MAX_LIMIT`].
    pub limit: u32,
    /// The direction.
    pub order: Order,
    /// Only rows that follow this one in this order.
    pub after: Option<Uuid>,
    /// Only rows that this one follows. Without `after`, they are those next to it.
    pub before: Option<Uuid>,
}

impl IdRange {
    /// Rows at most.
    pub const MAX_LIMIT: u32 = 10_000;

    /// The first `limit` rows, at most [`IdRange::MAX_LIMIT`].
    pub fn first(limit: u32, order: Order) -> Self {
        Self { limit: limit.clamp(1, Self::MAX_LIMIT), order, after: None, before: None }
    }

    /// Whether the rows are looked for from the end of the range backwards.
    fn is_backwards(&self) -> bool {
        self.after.is_none() && self.before.is_some()
    }

    /// For an adapter: whether it reads ids downwards.
    pub fn reads_descending(&self) -> bool {
        (self.order == Order::Desc) != self.is_backwards()
    }

    /// For an adapter: ids are greater than the first and less than the second.
    pub fn bounds(&self) -> (Uuid, Uuid) {
        let (low, high) = match self.order {
            Order::Asc => (self.after, self.before),
            Order::Desc => (self.before, self.after),
        };
        (low.unwrap_or(Uuid::nil()), high.unwrap_or(Uuid::max()))
    }

    /// The rows in their order, out of up to `limit + 1` that were read in the direction
    /// of [`IdRange::reads_descending`]: the extra row only tells that there are more.
    pub fn slice<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let limit = self.limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if self.is_backwards() {
            rows.reverse();
        }
        Slice { data: rows, has_more }
    }
}

/// Rows of a list that an [`IdRange`] asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Whether there are more, in the direction in which it was asked.
    pub has_more: bool,
}

impl<T> Slice<T> {
    /// The same rows as other things.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Slice<U> {
        Slice { data: self.data.into_iter().map(each).collect(), has_more: self.has_more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_reads_back() {
        let cursor = Cursor { at: Timestamp(1_700_000_000_123_456), id: Uuid::from_u128(7) };
        assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
    }

    #[test]
    fn foreign_cursor_is_invalid() {
        for text in ["", "x", "AAAA", "not base64 at all!", &"A".repeat(400)] {
            assert_eq!(Cursor::decode(text).unwrap_err().kind(), crate::ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn limit_is_bounded() {
        assert!(PageRequest::new(Some(0), None).is_err());
        assert!(PageRequest::new(Some(201), None).is_err());
        assert_eq!(PageRequest::new(None, None).unwrap().limit, 50);
    }

    #[test]
    fn extra_row_only_marks_a_next_page() {
        let key = |n: &u128| Cursor { at: Timestamp(0), id: Uuid::from_u128(*n) };
        let page = Page::of(vec![1, 2, 3], 2, key);
        assert_eq!(page.data, [1, 2]);
        assert_eq!(page.next.unwrap().id, Uuid::from_u128(2));
        assert!(Page::of(vec![1, 2], 2, key).next.is_none());
    }

    #[test]
    fn range_of_ids_reads_towards_its_row() {
        let row = |n: u128| Some(Uuid::from_u128(n));
        let (none, all) = (None, Uuid::max());
        for (order, after, before, descending, low, high) in [
            (Order::Asc, none, none, false, Uuid::nil(), all),
            (Order::Desc, none, none, true, Uuid::nil(), all),
            (Order::Asc, row(3), none, false, Uuid::from_u128(3), all),
            (Order::Desc, row(3), none, true, Uuid::nil(), Uuid::from_u128(3)),
            (Order::Asc, none, row(3), true, Uuid::nil(), Uuid::from_u128(3)),
            (Order::Desc, none, row(3), false, Uuid::from_u128(3), all),
            (Order::Desc, row(9), row(3), true, Uuid::from_u128(3), Uuid::from_u128(9)),
        ] {
            let range = IdRange { limit: 2, order, after, before };
            assert_eq!(range.reads_descending(), descending, "{range:?}");
            assert_eq!(range.bounds(), (low, high), "{range:?}");
        }
        let range = IdRange { limit: 2, order: Order::Asc, after: none, before: row(4) };
        assert_eq!(range.slice(vec![3, 2, 1]), Slice { data: vec![2, 3], has_more: true });
        assert_eq!(
            IdRange::first(2, Order::Asc).slice(vec![1, 2]),
            Slice { data: vec![1, 2], has_more: false }
        );
    }
}
