//! OpenAI's filters on the attributes of files.

use aimate_core::Error;
use aimate_core::knowledge::Filter;
use serde_json::Value;

use crate::error::Result;

/// Nesting of a filter at most.
const MAX_DEPTH: usize = 16;
/// Conditions of a filter at most.
const MAX_CONDITIONS: usize = 200;

/// The filter that `written` at `path` means. A file without the attribute passes `ne` and
/// `nin` alone.
///
/// # Errors
/// `Invalid`, naming the place.
pub(crate) fn read(written: &Value, path: &str) -> Result<Filter> {
    let mut conditions = 0;
    read_at(written, path, 0, &mut conditions)
}

fn read_at(written: &Value, path: &str, depth: usize, conditions: &mut usize) -> Result<Filter> {
    *conditions += 1;
    if depth > MAX_DEPTH || *conditions > MAX_CONDITIONS {
        let why = format!("is too large a filter; the most is {MAX_CONDITIONS} conditions, {MAX_DEPTH} deep");
        return Err(Error::field(path, why).into());
    }
    let kind = written.get("type").and_then(Value::as_str);
    let kind = kind.ok_or_else(|| {
        Error::field(path, "is no filter: it needs a `type`, which is a comparison, `and` or `or`")
    })?;
    if matches!(kind, "and" | "or") {
        let inner = written.get("filters").and_then(Value::as_array).filter(|inner| !inner.is_empty());
        let inner = inner.ok_or_else(|| Error::field(path, "is a filter without `filters`"))?;
        let inner: Result<Vec<_>> = inner
            .iter()
            .enumerate()
            .map(|(n, one)| read_at(one, &format!("{path}.filters[{n}]"), depth + 1, conditions))
            .collect();
        return Ok(if kind == "and" { Filter::And(inner?) } else { Filter::Or(inner?) });
    }
    let field = written.get("key").and_then(Value::as_str).filter(|key| !key.is_empty());
    let field = field.ok_or_else(|| Error::field(path, "is a filter without a `key`"))?.to_owned();
    let value = written.get("value").filter(|value| !value.is_null()).cloned();
    let value = value.ok_or_else(|| Error::field(path, "is a filter without a `value`"))?;
    let range = |field| Filter::Range { field, gt: None, gte: None, lt: None, lte: None };
    let filter = match kind {
        "eq" => Filter::Eq { field, value },
        "ne" => Filter::Not(Box::new(Filter::Eq { field, value })),
        "in" => Filter::In { field, values: list(value, path)? },
        "nin" => Filter::Not(Box::new(Filter::In { field, values: list(value, path)? })),
        "gt" | "gte" | "lt" | "lte" => {
            let mut filter = range(field);
            if let Filter::Range { gt, gte, lt, lte, .. } = &mut filter {
                let bound = match kind {
                    "gt" => gt,
                    "gte" => gte,
                    "lt" => lt,
                    _ => lte,
                };
                *bound = Some(value);
            }
            filter
        }
        _ => {
            return Err(Error::field(
                path,
                "is a filter of an unknown `type`; it must be `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `nin`, \
                 `and` or `or`",
            )
            .into());
        }
    };
    checked(filter, path)
}

fn checked(filter: Filter, path: &str) -> Result<Filter> {
    filter.check().map_err(|error| {
        Error::field(path, format!("is a filter that does not hold together: {}", error.message()))
    })?;
    Ok(filter)
}

fn list(value: Value, path: &str) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(Error::field(path, "is a filter whose `value` must be a list").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comparisons_are_those_of_the_knowledge() {
        let written = json!({"type": "and", "filters": [
            {"type": "eq", "key": "a", "value": "x"}, {"type": "ne", "key": "b", "value": 1},
            {"type": "or", "filters": [{"type": "gte", "key": "c", "value": 2}, {"type": "nin", "key": "d", "value": ["y"]}]},
        ]});
        let filter = serde_json::to_value(read(&written, "filters").unwrap()).unwrap();
        assert_eq!(
            filter,
            json!({"and": [
                {"eq": {"field": "a", "value": "x"}}, {"not": {"eq": {"field": "b", "value": 1}}},
                {"or": [{"range": {"field": "c", "gte": 2}}, {"not": {"in": {"field": "d", "values": ["y"]}}}]},
            ]})
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        let mut deep = json!({"type": "eq", "key": "a", "value": 1});
        for _ in 0..20 {
            deep = json!({"type": "and", "filters": [deep]});
        }
        for wrong in [
            json!({}),
            json!("x"),
            json!({"type": "like", "key": "a", "value": "x"}),
            json!({"type": "eq", "value": "x"}),
            json!({"type": "eq", "key": "a"}),
            json!({"type": "in", "key": "a", "value": "x"}),
            json!({"type": "and"}),
            json!({"type": "and", "filters": [{"type": "or", "filters": []}]}),
            deep,
        ] {
            let error = read(&wrong, "filters").unwrap_err().error;
            assert!(error.message().contains("filter"), "{error}");
            assert!(error.fields()[0].path.starts_with("filters"), "{wrong}");
        }
    }
}
