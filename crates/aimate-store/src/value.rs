//! Values on their way into a statement.

use std::borrow::Cow;

use aimate_core::limit::without_nul;
use aimate_core::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::types::Json;

/// A JSON column's value.
pub(crate) type JsonText = Json<Box<RawValue>>;

/// `text` as it is stored; see [`without_nul`].
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    without_nul(text)
}

/// [`text`] of a value that may be absent.
pub(crate) fn maybe_text(value: Option<&String>) -> Option<Cow<'_, str>> {
    value.map(|value| text(value))
}

/// `value` as JSON, its texts without NUL.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<JsonText> {
    let failed = |error| Error::internal("a value could not be written as JSON").with_source(error);
    let raw = serde_json::value::to_raw_value(value).map_err(failed)?;
    // The escape may also be an escaped backslash before `u0000`; looking
    // closer is for the rare text that has either.
    if !raw.get().contains("\\u0000") {
        return Ok(Json(raw));
    }
    let mut value: Value = serde_json::from_str(raw.get()).map_err(failed)?;
    strip(&mut value);
    serde_json::value::to_raw_value(&value).map(Json).map_err(failed)
}

/// [`json`] of a value that may be absent.
pub(crate) fn maybe_json<T: Serialize>(value: Option<&T>) -> Result<Option<JsonText>> {
    value.map(json).transpose()
}

fn strip(value: &mut Value) {
    match value {
        Value::String(string) => string.retain(|c| c != '\0'),
        Value::Array(values) => values.iter_mut().for_each(strip),
        Value::Object(map) => {
            map.values_mut().for_each(strip);
            if map.keys().any(|key| key.contains('\0')) {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, value)| (key.replace('\0', ""), value))
                    .collect();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A count for a column: both databases count in 64 bits with a sign.
pub(crate) fn count(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// The pattern of `LIKE … ESCAPE '\'` for titles that contain `query`.
pub(crate) fn contains(query: &str) -> String {
    let mut pattern = String::from("%");
    for c in text(query).to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_removed_everywhere() {
        let dirty = serde_json::json!({"a\0": ["b\0c", {"d": "\0"}], "e": "\\u0000"});
        let clean = json(&dirty).unwrap();
        let clean: Value = serde_json::from_str(clean.0.get()).unwrap();
        assert_eq!(clean, serde_json::json!({"a": ["bc", {"d": ""}], "e": "\\u0000"}));
        assert_eq!(text("a\0b"), "ab");
    }

    #[test]
    fn wildcards_of_a_query_are_plain_characters() {
        assert_eq!(contains("50%_A\\"), "%50\\%\\_a\\\\%");
    }
}
