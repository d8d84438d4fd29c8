//! Attributes of files, and metadata of what OpenAI's clients keep: small maps, within OpenAI's
//! bounds.

use aimate_core::{Error, Result};
use serde_json::{Map, Value};

use super::wire_id;

/// Keys at most.
const MAX_KEYS: usize = 16;
/// Characters of a key.
const MAX_KEY: usize = 64;
/// Characters of a value that is a text.
const MAX_TEXT: usize = 512;

/// Checks attributes: strings, numbers and booleans.
///
/// # Errors
/// `Invalid`, naming the key.
pub(crate) fn attributes(map: Map<String, Value>) -> Result<Map<String, Value>> {
    // No filter could name it.
    if let Some(key) = map.keys().find(|key| key.contains('"') || key.contains(char::is_control)) {
        let message = "is a key with a quotation mark or a control character; filters take none";
        return Err(Error::field(format!("attributes.{}", wire_id::shown(key)), message));
    }
    check("attributes", map, "a string, number or boolean", |value| {
        value.is_string() || value.is_number() || value.is_boolean()
    })
}

/// Checks metadata: strings.
///
/// # Errors
/// `Invalid`, naming the key.
pub(crate) fn metadata(map: Map<String, Value>) -> Result<Map<String, Value>> {
    check("metadata", map, "a string", Value::is_string)
}

fn check(
    field: &str,
    map: Map<String, Value>,
    kinds: &str,
    is_allowed: impl Fn(&Value) -> bool,
) -> Result<Map<String, Value>> {
    if map.len() > MAX_KEYS {
        return Err(Error::field(field, format!("has {} keys; the most is {MAX_KEYS}", map.len())));
    }
    for (key, value) in &map {
        let wrong = |message: String| Err(Error::field(format!("{field}.{}", wire_id::shown(key)), message));
        let length = key.chars().count();
        if length == 0 || length > MAX_KEY {
            return wrong(format!("is a key of {length} characters; it needs 1 to {MAX_KEY}"));
        }
        if !is_allowed(value) {
            return wrong(format!("must be {kinds}"));
        }
        let length = value.as_str().map_or(0, |text| text.chars().count());
        if length > MAX_TEXT {
            return wrong(format!("has {length} characters; the most is {MAX_TEXT}"));
        }
    }
    Ok(map)
}

/// What of a document's metadata is an attribute: `/api/v1` takes more.
pub(crate) fn of_document(metadata: &Map<String, Value>) -> Map<String, Value> {
    shown(metadata, |value| value.is_string() || value.is_number() || value.is_boolean())
}

/// What of a collection's metadata is a text.
pub(crate) fn texts(metadata: &Map<String, Value>) -> Map<String, Value> {
    shown(metadata, Value::is_string)
}

fn shown(metadata: &Map<String, Value>, is_allowed: impl Fn(&Value) -> bool) -> Map<String, Value> {
    let fits = |value: &Value| value.as_str().is_none_or(|text| text.chars().count() <= MAX_TEXT);
    let own = metadata.iter().filter(|(key, value)| {
        (1..=MAX_KEY).contains(&key.chars().count()) && is_allowed(value) && fits(value)
    });
    own.take(MAX_KEYS).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        if let Value::Object(fields) = value { fields } else { Map::new() }
    }

    #[test]
    fn bounds_are_those_of_openai() {
        attributes(map(json!({"a": "x", "b": 1.5, "c": true}))).unwrap();
        metadata(map(json!({"a": "x".repeat(512)}))).unwrap();
        let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!(1))).collect();
        for (wrong, field) in [
            (json!(many), "attributes"),
            (json!({"a": null}), "attributes.a"),
            (json!({"a": [1]}), "attributes.a"),
            (json!({"": 1}), "attributes."),
            (json!({"a\"b": 1}), "attributes.a\"b"),
            (json!({"a": "x".repeat(513)}), "attributes.a"),
        ] {
            assert_eq!(attributes(map(wrong)).unwrap_err().fields()[0].path, field);
        }
        assert!(attributes(Map::from_iter([("k".repeat(65), json!(1))])).is_err());
        assert!(metadata(map(json!({"a": 1}))).is_err());
    }

    #[test]
    fn what_is_no_attribute_is_not_shown() {
        let metadata = map(json!({"a": 1, "b": {"c": 1}, "d": "x".repeat(513), "e": "y", "f": null}));
        assert_eq!(Value::Object(of_document(&metadata)), json!({"a": 1, "e": "y"}));
        assert_eq!(Value::Object(texts(&metadata)), json!({"e": "y"}));
    }
}
