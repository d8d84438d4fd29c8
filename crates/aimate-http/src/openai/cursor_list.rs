//! Lists as OpenAI pages through them: by the id of the last object that was seen.

use aimate_core::{Error, IdRange, Order, Slice};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::wire_id;
use crate::error::Result;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CursorList<T> {
    /// `list`.
    object: &'static str,
    /// The objects.
    data: Vec<T>,
    /// The id of the first of them; `null` if there is none.
    first_id: Option<String>,
    /// The id of the last of them, which is the `after` of the next page.
    last_id: Option<String>,
    /// Whether there are more.
    has_more: bool,
}

impl<T> CursorList<T> {
    /// The list of `slice`, each of whose objects has the id that `id` says.
    pub(crate) fn new(slice: Slice<T>, id: impl Fn(&T) -> &str) -> Self {
        let of = |object: Option<&T>| object.map(|object| id(object).to_owned());
        Self {
            object: "list",
            first_id: of(slice.data.first()),
            last_id: of(slice.data.last()),
            data: slice.data,
            has_more: slice.has_more,
        }
    }
}

/// How a list is ordered.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListOrder {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

/// The query of a list. Other fields are passed over, as OpenAI does.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CursorQuery {
    /// Maximum objects.
    limit: Option<u32>,
    /// `asc` or `desc`, by time of creation; default `desc`.
    #[param(inline)]
    order: Option<ListOrder>,
    /// The id of an object: what follows it is listed.
    after: Option<String>,
    /// The id of an object: what stands before it is listed.
    before: Option<String>,
}

/// What a list allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CursorRules {
    /// What the ids of its objects begin with.
    pub(crate) prefix: &'static str,
    /// Objects of a page where the caller does not say.
    pub(crate) default_limit: u32,
    /// Objects of a page at most.
    pub(crate) max_limit: u32,
}

impl CursorQuery {
    /// The range that is asked for.
    ///
    /// # Errors
    /// `Invalid`, naming `limit`, `after` or `before`.
    pub(crate) fn range(&self, rules: CursorRules) -> Result<IdRange> {
        let limit = self.limit.unwrap_or(rules.default_limit);
        if limit == 0 || limit > rules.max_limit {
            let most = rules.max_limit;
            return Err(Error::field("limit", format!("is {limit}; it must be 1 to {most}")).into());
        }
        let order = match self.order {
            Some(ListOrder::Asc) => Order::Asc,
            Some(ListOrder::Desc) | None => Order::Desc,
        };
        Ok(IdRange {
            limit,
            order,
            after: id("after", self.after.as_deref(), rules.prefix)?,
            before: id("before", self.before.as_deref(), rules.prefix)?,
        })
    }
}

fn id(field: &str, text: Option<&str>, prefix: &str) -> Result<Option<Uuid>> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || {
        let shown = wire_id::shown(text);
        Error::field(field, format!("`{shown}` is no id of this list; its ids begin with `{prefix}`"))
    };
    Ok(Some(wire_id::read(prefix, text).ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CursorRules = CursorRules { prefix: "vs_", default_limit: 20, max_limit: 100 };

    fn query(text: &str) -> CursorQuery {
        serde_urlencoded::from_str(text).unwrap()
    }

    #[test]
    fn defaults_are_the_newest_twenty() {
        let range = query("filter=completed").range(RULES).unwrap();
        assert_eq!(range, IdRange::first(20, Order::Desc));
    }

    #[test]
    fn cursors_are_ids_of_the_list() {
        let id = Uuid::from_u128(7);
        let text = format!("order=asc&limit=100&before={}", wire_id::write("vs_", id));
        let range = query(&text).range(RULES).unwrap();
        assert_eq!((range.before, range.after, range.order, range.limit), (Some(id), None, Order::Asc, 100));
    }

    #[test]
    fn what_is_out_of_bounds_names_its_field() {
        for (text, field) in
            [("limit=0", "limit"), ("limit=101", "limit"), ("after=x", "after"), ("before=file-1", "before")]
        {
            let error = query(text).range(RULES).unwrap_err().error;
            assert_eq!(error.fields()[0].path, field, "{text}");
        }
        assert!(serde_urlencoded::from_str::<CursorQuery>("order=up").is_err());
    }

    #[test]
    fn list_names_its_first_and_last() {
        let list = |ids: &[&str]| {
            let data: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            serde_json::to_value(CursorList::new(Slice { data, has_more: false }, |id| id)).unwrap()
        };
        let expected = serde_json::json!({
            "object": "list", "data": ["a", "b"], "first_id": "a", "last_id": "b", "has_more": false,
        });
        assert_eq!(list(&["a", "b"]), expected);
        assert_eq!(list(&[])["first_id"], serde_json::Value::Null);
    }
}
