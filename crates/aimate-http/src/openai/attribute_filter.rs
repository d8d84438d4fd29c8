//! OpenAI's filters on the attributes of files, as the engine's.

use aimate_core::knowledge::Filter;
use aimate_core::{Error, Result};
use serde_json::Value;

/// Nesting at most.
const MAX_DEPTH: usize = 16;

/// The filter that `value` at `path` is. A file without the key passes `ne` and `nin` alone.
///
/// # Errors
/// `Invalid`, naming the place, which begins with `path`.
pub(crate) fn read(value: &Value, path: &str) -> Result<Filter> {
    let filter = at(value, path, 0)?;
    // It counts the conditions, and looks whether bounds hold together.
    filter.check().map_err(|error| {
        Error::field(path, format!("is no filter that can be searched by: {}", error.message()))
    })?;
    Ok(filter)
}

fn at(value: &Value, path: &str, depth: usize) -> Result<Filter> {
    if depth > MAX_DEPTH {
        return Err(Error::field(path, format!("is a filter nested deeper than {MAX_DEPTH}")));
    }
    let kind = value.get("type").and_then(Value::as_str);
    match kind {
        Some(joined @ ("and" | "or")) => {
            let parts = value.get("filters").and_then(Value::as_array);
            let parts = parts.filter(|parts| !parts.is_empty());
            let parts = parts.ok_or_else(|| {
                Error::field(format!("{path}.filters"), "is missing; it must be a list of filters")
            })?;
            let each = parts
                .iter()
                .enumerate()
                .map(|(n, part)| at(part, &format!("{path}.filters[{n}]"), depth + 1));
            let each = each.collect::<Result<Vec<_>>>()?;
            Ok(if joined == "and" { Filter::And(each) } else { Filter::Or(each) })
        }
        Some(kind) => comparison(kind, value, path),
        None => Err(Error::field(format!("{path}.type"), "is missing: a filter needs a type")),
    }
}

fn comparison(kind: &str, value: &Value, path: &str) -> Result<Filter> {
    if !["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"].contains(&kind) {
        let shown: String = kind.chars().take(64).collect();
        let message = format!("is `{shown}`; a filter is one of eq, ne, gt, gte, lt, lte, in, nin, and, or");
        return Err(Error::field(format!("{path}.type"), message));
    }
    let field = field(value, path)?;
    let place = format!("{path}.value");
    let given = value.get("value").filter(|given| !given.is_null());
    let given = given.ok_or_else(|| Error::field(&place, "is missing: a filter compares with a value"))?;
    let one = || match given {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(given.clone()),
        _ => Err(Error::field(&place, "of this filter must be a string, number or boolean")),
    };
    let bound = || match given {
        Value::String(_) | Value::Number(_) => Ok(given.clone()),
        _ => Err(Error::field(&place, "of this filter must be a number or a string")),
    };
    let several = || {
        let values = given.as_array().filter(|values| !values.is_empty());
        values.cloned().ok_or_else(|| Error::field(&place, "of this filter must be a list of values"))
    };
    let range = |gt, gte, lt, lte| Filter::Range { field: field.clone(), gt, gte, lt, lte };
    Ok(match kind {
        "eq" => Filter::Eq { field, value: one()? },
        "ne" => Filter::Not(Box::new(Filter::Eq { field, value: one()? })),
        "gt" => range(Some(bound()?), None, None, None),
        "gte" => range(None, Some(bound()?), None, None),
        "lt" => range(None, None, Some(bound()?), None),
        "lte" => range(None, None, None, Some(bound()?)),
        "in" => Filter::In { field, values: several()? },
        _ => Filter::Not(Box::new(Filter::In { field, values: several()? })),
    })
}

/// The metadata's field that a key names.
fn field(value: &Value, path: &str) -> Result<String> {
    let place = format!("{path}.key");
    let key = value.get("key").and_then(Value::as_str).filter(|key| !key.is_empty());
    let key =
        key.ok_or_else(|| Error::field(&place, "is missing: a filter needs the key of an attribute"))?;
    if key.contains('"') || key.contains(char::is_control) {
        let message = "of a filter has no quotation mark and no control character";
        return Err(Error::field(&place, message));
    }
    // Plain, a dot leads into what is nested, and `$` to the document itself.
    Ok(format!("\"{key}\""))
}

#[cfg(test)]
mod tests {
    use aimate_core::knowledge::FilterSubject;
    use serde_json::json;

    use super::*;

    fn passes(filter: impl Into<Value>) -> bool {
        let metadata = json!({"year": 2026, "author": "Ada", "is_draft": false, "a.b": 1, "$id": 2});
        let subject = FilterSubject {
            metadata: metadata.as_object().unwrap(),
            id: "1",
            name: "n",
            title: "t",
            source: None,
            media_type: "text/plain",
        };
        let filter = read(&filter.into(), "filters").unwrap();
        filter.matches(&subject)
    }

    #[test]
    fn comparisons_mean_what_they_say() {
        let one =
            |kind: &str, key: &str, value: Value| passes(json!({"type": kind, "key": key, "value": value}));
        assert!(one("eq", "author", json!("Ada")) && !one("eq", "author", json!("Bob")));
        assert!(one("eq", "is_draft", json!(false)));
        assert!(one("ne", "author", json!("Bob")) && !one("ne", "author", json!("Ada")));
        assert!(one("gt", "year", json!(2025)) && !one("gt", "year", json!(2026)));
        assert!(one("gte", "year", json!(2026)) && one("lte", "year", json!(2026)));
        assert!(one("lt", "year", json!(2027)) && !one("lt", "year", json!(2026)));
        assert!(one("in", "author", json!(["Ada", "Bob"])) && !one("nin", "author", json!(["Ada"])));
        assert!(one("eq", "a.b", json!(1)) && one("eq", "$id", json!(2)));
        for kind in ["eq", "gt", "gte", "lt", "lte"] {
            assert!(!one(kind, "absent", json!(1)), "{kind}");
        }
        assert!(one("ne", "absent", json!(1)) && one("nin", "absent", json!([1])));
        assert!(!one("in", "absent", json!([1])));
    }

    #[test]
    fn filters_are_joined_and_nested() {
        let year = json!({"type": "eq", "key": "year", "value": 2026});
        let bob = json!({"type": "eq", "key": "author", "value": "Bob"});
        assert!(!passes(json!({"type": "and", "filters": [year, bob]})));
        assert!(passes(json!({"type": "or", "filters": [bob, {"type": "and", "filters": [year]}]})));
    }

    #[test]
    fn nonsense_is_named_with_its_place() {
        let deep = (0..20).fold(
            json!({"type": "eq", "key": "a", "value": 1}),
            |inner, _| json!({"type": "and", "filters": [inner]}),
        );
        let deepest = format!("filters{}", ".filters[0]".repeat(17));
        let one = json!({"type": "eq", "key": "a", "value": 1});
        for (wrong, place) in [
            (json!({}), "filters.type"),
            (json!([]), "filters.type"),
            (json!({"type": "like", "key": "a", "value": 1}), "filters.type"),
            (json!({"type": "eq", "value": 1}), "filters.key"),
            (json!({"type": "eq", "key": "a\"b", "value": 1}), "filters.key"),
            (json!({"type": "eq", "key": "a\nb", "value": 1}), "filters.key"),
            (json!({"type": "eq", "key": "a"}), "filters.value"),
            (json!({"type": "eq", "key": "a", "value": [1]}), "filters.value"),
            (json!({"type": "gt", "key": "a", "value": true}), "filters.value"),
            (json!({"type": "in", "key": "a", "value": 1}), "filters.value"),
            (json!({"type": "and"}), "filters.filters"),
            (json!({"type": "or", "filters": [{"type": "x"}]}), "filters.filters[0].type"),
            (deep, deepest.as_str()),
            (json!({"type": "or", "filters": vec![one; 1_000]}), "filters"),
        ] {
            let error = read(&wrong, "filters").unwrap_err();
            assert_eq!(error.fields()[0].path, place, "{wrong}");
            assert!(error.message().contains("filter"), "{error}");
        }
    }
}
