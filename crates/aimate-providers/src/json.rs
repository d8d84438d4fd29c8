//! Lenient JSON types, for servers that deviate from their own specification: a
//! field of the wrong type must not cost the whole answer. Strings are borrowed
//! where possible.

use std::borrow::Cow;
use std::fmt;

use aimate_core::message::ToolCall;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

/// A string, borrowed where possible. `null` and unexpected types are empty, a
/// number is its digits, a list of parts is the concatenation of their `text`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text without NUL characters, which PostgreSQL cannot store.
    pub(crate) fn clean(self) -> String {
        clean(self.0)
    }
}

/// Returns `text` without NUL characters.
pub(crate) fn clean(text: Cow<'_, str>) -> String {
    if memchr::memchr(0, text.as_bytes()).is_some() { text.replace('\0', "") } else { text.into_owned() }
}

/// Removes NUL characters from every text of `value`.
pub(crate) fn clean_value(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', ""),
        Value::Array(items) => items.iter_mut().for_each(clean_value),
        Value::Object(map) => {
            if map.keys().any(|key| key.contains('\0')) {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, value)| (key.replace('\0', ""), value))
                    .collect();
            }
            map.values_mut().for_each(clean_value);
        }
        _ => {}
    }
}

/// Parses the arguments that a model wrote, without NUL characters.
pub(crate) fn arguments(text: &str) -> Value {
    let text = text.trim();
    let mut value = match parse_lone(text) {
        Value::Null => Value::Object(serde_json::Map::new()),
        // Some servers encode the object as a string twice.
        Value::String(inner) if inner.trim_start().starts_with('{') => parse_lone(&inner),
        value @ (Value::Object(_) | Value::String(_)) => value,
        other => Value::String(other.to_string()),
    };
    clean_value(&mut value);
    value
}

/// Parses `data`, and says whether its texts may have halves of characters (see
/// [`halves`](crate::halves)). What is JSON of another shape is given the one that
/// `T` has by `shape`, which leaves out what does not fit; its text is kept in
/// `mended`.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    data: &'a [u8],
    mended: &'a mut String,
    shape: fn(&mut Value),
) -> serde_json::Result<(T, bool)> {
    let error = match serde_json::from_slice(data) {
        Ok(parsed) => return Ok((parsed, false)),
        Err(error) => error,
    };
    let kept = crate::halves::keep(data);
    let has_halves = kept.as_bytes() != data;
    let Ok(mut value) = serde_json::from_str::<Value>(&kept) else { return Err(error) };
    shape(&mut value);
    *mended = value.to_string();
    serde_json::from_str(mended).map(|parsed| (parsed, has_halves))
}

/// Makes the field a list of objects: one object becomes a list, what is no object
/// goes.
pub(crate) fn shape_list(map: &mut Map<String, Value>, name: &str, shape: fn(&mut Map<String, Value>)) {
    let items = match map.remove(name) {
        Some(Value::Array(items)) => items,
        Some(item @ Value::Object(_)) => vec![item],
        _ => return,
    };
    let objects = items.into_iter().filter_map(|item| match item {
        Value::Object(mut item) => {
            shape(&mut item);
            Some(Value::Object(item))
        }
        _ => None,
    });
    let objects = objects.collect();
    map.insert(name.to_owned(), Value::Array(objects));
}

/// Removes the field unless it is an object, and gives that its shape.
pub(crate) fn shape_object(map: &mut Map<String, Value>, name: &str, shape: fn(&mut Map<String, Value>)) {
    match map.get_mut(name) {
        Some(Value::Object(inner)) => shape(inner),
        _ => drop(map.remove(name)),
    }
}

/// Whether a field says something: not `null`, `false`, `""`, `{}` or `[]`.
pub(crate) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// The text in a value of whatever shape: itself, its parts one after the other, or
/// what its field of text says.
pub(crate) fn text_in(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(parts) => parts.iter().map(text_in).collect(),
        Value::Object(fields) => {
            let names = ["text", "content", "thinking", "reasoning", "summary", "value"];
            names.into_iter().find_map(|name| fields.get(name)).map(text_in).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Parses arguments; a half of a character in a text becomes U+FFFD.
fn parse_lone(text: &str) -> Value {
    match ToolCall::parse_arguments(text) {
        Value::String(raw) if raw == text && (text.contains("\\ud") || text.contains("\\uD")) => {
            let mut value = ToolCall::parse_arguments(&crate::halves::keep(text.as_bytes()));
            match &mut value {
                Value::String(_) => Value::String(raw),
                _ => {
                    crate::halves::replace_in(&mut value);
                    value
                }
            }
        }
        value => value,
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text::default())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut all = String::new();
        while let Some(part) = parts.next_element::<Value>()? {
            all.push_str(&text_in(&part));
        }
        Ok(Text(Cow::Owned(all)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, value)) = map.next_entry()? {
            fields.insert(name, value);
        }
        Ok(Text(Cow::Owned(text_in(&Value::Object(fields)))))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A number, or a string of one; `None` for any other type.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Number(pub(crate) Option<f64>);

impl Number {
    /// The number as a count; `None` if it is negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked, and `as` saturates")]
    pub(crate) fn count(self) -> Option<u64> {
        self.0.filter(|number| *number >= 0.0).map(|number| number as u64)
    }

    /// The number as a context window; `None` unless positive and within 32 bits.
    pub(crate) fn tokens(self) -> Option<u32> {
        self.count().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        Ok(Self(number.filter(|number: &f64| number.is_finite())))
    }
}

/// A list; empty for `null`.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct ListVisitor<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(item) = items.next_element()? {
                all.push(item);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(ListVisitor(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        serde_json::from_str::<Text<'_>>(json).unwrap().clean()
    }

    #[test]
    fn text_is_borrowed_where_it_can_be() {
        let text: Text<'_> = serde_json::from_str("\"plain\"").unwrap();
        assert!(matches!(text.0, Cow::Borrowed("plain")));
    }

    #[test]
    fn unexpected_types_become_text_or_nothing() {
        assert_eq!(text("null"), "");
        assert_eq!(text("7"), "7");
        assert_eq!(text("{\"a\":[1]}"), "");
        assert_eq!(text("{\"text\":[\"a\",{\"text\":\"b\"}]}"), "ab");
        assert_eq!(text("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\"},{\"text\":\"b\"}]"), "ab");
        assert_eq!(text("\"a\\u0000b\""), "ab");
    }

    #[test]
    fn numbers_are_read_from_texts_too() {
        let number = |json| serde_json::from_str::<Number>(json).unwrap();
        assert_eq!(number("\"0.5\"").0, Some(0.5));
        assert_eq!(number("-1").count(), None);
        assert_eq!(number("null").count(), None);
        assert_eq!(number("131072").tokens(), Some(131_072));
        assert_eq!(number("0").tokens(), None);
    }

    #[test]
    fn arguments_are_an_object_or_what_was_written() {
        assert_eq!(arguments(" "), serde_json::json!({}));
        assert_eq!(arguments("null"), serde_json::json!({}));
        assert_eq!(arguments("\"{\\\"a\\\":1}\""), serde_json::json!({"a": 1}));
        assert_eq!(arguments("[1]"), serde_json::json!("[1]"));
        assert_eq!(arguments("{\"a\":\"x\\u0000y\"}"), serde_json::json!({"a": "xy"}));
        assert_eq!(arguments("{oops"), serde_json::json!("{oops"));
        assert_eq!(arguments(r#"{"a":"x\ud83d"}"#), serde_json::json!({"a": "x\u{FFFD}"}));
        assert_eq!(arguments(r#"{"a":"\ud83d\ude00"}"#), serde_json::json!({"a": "😀"}));
    }

    #[test]
    fn invalid_utf8_is_repaired() {
        let mut mended = String::new();
        let (text, has_halves): (Text<'_>, _) = parse(b"\"a\xFFb\"", &mut mended, |_| {}).unwrap();
        assert_eq!(crate::halves::Joiner::default().join(text.clean(), has_halves), "a\u{FFFD}b");
    }
}
