//! Filters: conditions on documents' metadata, as data.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Conditions of a filter at most.
const MAX_CONDITIONS: usize = 200;
/// Nesting of a filter at most.
const MAX_DEPTH: usize = 16;
/// Values of one `in` at most.
const MAX_VALUES: usize = 1_000;
/// Bytes of a field's name at most.
const FIELD: usize = 300;

/// A condition on a document.
///
/// A field is a key of the document's metadata, or several joined by dots for
/// nested objects. Fields of the document itself begin with `$`: `$id`,
/// `$name`, `$title`, `$source`, `$media_type`. A key in quotation marks (`"a.b"`, `"$id"`) is one key of
/// the metadata, whatever it has but quotation marks.
///
/// In JSON: `{"and":[{"eq":{"field":"year","value":2026}},{"exists":{"field":"author"}}]}`.
///
/// Exhaustive on purpose: an adapter translates every condition, and one that it
/// does not know must fail to compile rather than find too much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(no_recursion))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// All of these hold; an empty list holds.
    And(Vec<Filter>),
    /// One of these holds; an empty list does not.
    Or(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
    /// The field is this string, number or boolean. Numbers compare by value.
    Eq {
        /// The field.
        field: String,
        /// A string, number or boolean.
        value: Value,
    },
    /// The field is one of these.
    In {
        /// The field.
        field: String,
        /// Strings, numbers or booleans, at most 1,000.
        values: Vec<Value>,
    },
    /// The field is a number (or a string) within these bounds, which are all
    /// numbers (or all strings). Strings compare by their UTF-8 bytes, so times
    /// in RFC 3339 do by time.
    Range {
        /// The field.
        field: String,
        /// Greater than.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gt: Option<Value>,
        /// Greater than or equal to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gte: Option<Value>,
        /// Less than.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lt: Option<Value>,
        /// Less than or equal to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lte: Option<Value>,
    },
    /// The field is a list that holds this value, or a string that holds this
    /// string (case counts).
    Contains {
        /// The field.
        field: String,
        /// A string, number or boolean.
        value: Value,
    },
    /// The field is there and not null.
    Exists {
        /// The field.
        field: String,
    },
}

/// What a filter looks at in one document.
#[derive(Clone, Copy, Debug)]
pub struct FilterSubject<'a> {
    /// The metadata.
    pub metadata: &'a Map<String, Value>,
    /// `$id`.
    pub id: &'a str,
    /// `$name`.
    pub name: &'a str,
    /// `$title`.
    pub title: &'a str,
    /// `$source`.
    pub source: Option<&'a str>,
    /// `$media_type`.
    pub media_type: &'a str,
}

/// What a field names, for adapters that translate filters; exhaustive for the
/// same reason as [`Filter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterField<'a> {
    /// A column of the document: `id`, `name`, `title`, `source`, `media_type`.
    Own(&'static str),
    /// Keys into the metadata, outermost first.
    Metadata(Vec<&'a str>),
}

impl Filter {
    /// Checks names, values and size.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the place.
    pub fn check(&self) -> Result<()> {
        let mut conditions = 0;
        self.check_at("filter", 0, &mut conditions)
    }

    fn check_at(&self, path: &str, depth: usize, conditions: &mut usize) -> Result<()> {
        *conditions += 1;
        if *conditions > MAX_CONDITIONS {
            return Err(Error::field("filter", format!("has more than {MAX_CONDITIONS} conditions")));
        }
        if depth > MAX_DEPTH {
            return Err(Error::field("filter", format!("is nested deeper than {MAX_DEPTH}")));
        }
        match self {
            Self::And(all) | Self::Or(all) => {
                let name = if matches!(self, Self::And(_)) { "and" } else { "or" };
                all.iter().enumerate().try_for_each(|(n, one)| {
                    one.check_at(&format!("{path}.{name}[{n}]"), depth + 1, conditions)
                })
            }
            Self::Not(one) => one.check_at(&format!("{path}.not"), depth + 1, conditions),
            Self::Eq { field, value } | Self::Contains { field, value } => {
                Self::field(field)?;
                check_value(path, value)
            }
            Self::In { field, values } => {
                Self::field(field)?;
                if values.len() > MAX_VALUES {
                    let message = format!("has {} values; the most is {MAX_VALUES}", values.len());
                    return Err(Error::field(format!("{path}.in"), message));
                }
                values.iter().try_for_each(|value| check_value(path, value))
            }
            Self::Range { field, gt, gte, lt, lte } => {
                Self::field(field)?;
                let bounds: Vec<_> = [gt, gte, lt, lte].into_iter().flatten().collect();
                let alike = bounds.iter().all(|bound| bound.is_number())
                    || bounds.iter().all(|bound| bound.is_string());
                if bounds.is_empty() || !alike {
                    let message = "needs one or more of `gt`, `gte`, `lt`, `lte`, all numbers or all strings";
                    return Err(Error::field(format!("{path}.range"), message));
                }
                Ok(())
            }
            Self::Exists { field } => Self::field(field).map(drop),
        }
    }

    /// What `field` names.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name that cannot
    /// be one.
    pub fn field(field: &str) -> Result<FilterField<'_>> {
        let wrong = |why: &str| {
            Error::field("filter", format!("has the field `{}`, {why}", crate::text::shorten(field, 64)))
        };
        if let Some(own) = field.strip_prefix('$') {
            return ["id", "name", "title", "source", "media_type"]
                .into_iter()
                .find(|name| *name == own)
                .map(FilterField::Own)
                .ok_or_else(|| wrong("but only $id, $name, $title, $source and $media_type begin with `$`"));
        }
        let quoted = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
        let keys: Vec<_> = quoted.map_or_else(|| field.split('.').collect(), |key| vec![key]);
        let is_plain = |key: &&str| !key.is_empty() && !key.contains(|c: char| c.is_control() || c == '"');
        if field.len() > FIELD || !keys.iter().all(is_plain) {
            return Err(wrong("but a field is keys joined by dots, none empty, at most 300 bytes in all"));
        }
        Ok(FilterField::Metadata(keys))
    }

    /// Whether `subject` passes: the meaning that every store's translation
    /// must have. A condition on a field that is absent, null or of another
    /// type does not hold.
    pub fn matches(&self, subject: &FilterSubject<'_>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.matches(subject)),
            Self::Or(any) => any.iter().any(|one| one.matches(subject)),
            Self::Not(one) => !one.matches(subject),
            Self::Eq { field, value } => value_of(field, subject).is_some_and(|found| equal(&found, value)),
            Self::In { field, values } => {
                value_of(field, subject).is_some_and(|found| values.iter().any(|value| equal(&found, value)))
            }
            Self::Range { field, gt, gte, lt, lte } => value_of(field, subject).is_some_and(|found| {
                use std::cmp::Ordering::{Equal, Greater, Less};
                let holds = |bound: &Option<Value>, allowed: &[std::cmp::Ordering]| {
                    bound.as_ref().is_none_or(|bound| {
                        compare(&found, bound).is_some_and(|order| allowed.contains(&order))
                    })
                };
                holds(gt, &[Greater])
                    && holds(gte, &[Greater, Equal])
                    && holds(lt, &[Less])
                    && holds(lte, &[Less, Equal])
            }),
            Self::Contains { field, value } => value_of(field, subject).is_some_and(|found| match &found {
                Value::Array(items) => items.iter().any(|item| equal(item, value)),
                Value::String(text) => value.as_str().is_some_and(|part| text.contains(part)),
                _ => false,
            }),
            Self::Exists { field } => value_of(field, subject).is_some(),
        }
    }
}

fn check_value(path: &str, value: &Value) -> Result<()> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(()),
        _ => Err(Error::field(path, "has a value that is not a string, number or boolean")),
    }
}

fn value_of(field: &str, subject: &FilterSubject<'_>) -> Option<Value> {
    let found = match Filter::field(field).ok()? {
        FilterField::Own("id") => Value::from(subject.id),
        FilterField::Own("name") => Value::from(subject.name),
        FilterField::Own("title") => Value::from(subject.title),
        FilterField::Own("source") => subject.source.map(Value::from)?,
        FilterField::Own(_) => Value::from(subject.media_type),
        FilterField::Metadata(keys) => {
            let (first, rest) = keys.split_first()?;
            rest.iter().try_fold(subject.metadata.get(*first)?, |value, key| value.get(*key))?.clone()
        }
    };
    (!found.is_null()).then_some(found)
}

fn equal(found: &Value, value: &Value) -> bool {
    compare(found, value) == Some(std::cmp::Ordering::Equal)
}

fn compare(found: &Value, value: &Value) -> Option<std::cmp::Ordering> {
    match (found, value) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn passes(filter: Value) -> bool {
        let metadata = json!({"year": 2026, "author": {"name": "Ada"}, "tags": ["a", "b"], "none": null});
        let subject = FilterSubject {
            metadata: metadata.as_object().unwrap(),
            id: "1",
            name: "manual.pdf",
            title: "Manual",
            source: None,
            media_type: "application/pdf",
        };
        let filter: Filter = serde_json::from_value(filter).unwrap();
        filter.check().unwrap();
        filter.matches(&subject)
    }

    #[test]
    fn conditions_mean_what_they_say() {
        assert!(passes(json!({"eq": {"field": "year", "value": 2026.0}})));
        assert!(!passes(json!({"eq": {"field": "year", "value": "2026"}})));
        assert!(passes(json!({"eq": {"field": "author.name", "value": "Ada"}})));
        assert!(passes(json!({"in": {"field": "$media_type", "values": ["text/plain", "application/pdf"]}})));
        assert!(passes(json!({"range": {"field": "year", "gt": 2025, "lte": 2026}})));
        assert!(!passes(json!({"range": {"field": "year", "lt": 2026}})));
        assert!(passes(json!({"contains": {"field": "tags", "value": "b"}})));
        assert!(passes(json!({"contains": {"field": "$name", "value": ".pdf"}})));
        assert!(!passes(json!({"exists": {"field": "none"}})));
        assert!(passes(json!({"not": {"exists": {"field": "$source"}}})));
        assert!(passes(json!({"and": []})) && !passes(json!({"or": []})));
    }

    #[test]
    fn quoted_key_is_one() {
        let metadata = json!({"a.b": 1, "$id": "x", "a": {"b": 2}});
        let subject = FilterSubject {
            metadata: metadata.as_object().unwrap(),
            id: "1",
            name: "n",
            title: "t",
            source: None,
            media_type: "text/plain",
        };
        let is = |field: &str, value: Value| Filter::Eq { field: field.into(), value }.matches(&subject);
        assert!(is("\"a.b\"", json!(1)) && is("a.b", json!(2)));
        assert!(is("\"$id\"", json!("x")) && is("$id", json!("1")));
        for wrong in ["\"", "\"\"", "\"a", "\"a\"b\""] {
            assert!(Filter::field(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn strange_filters_are_refused() {
        for wrong in [
            json!({"eq": {"field": "a\"b", "value": 1}}),
            json!({"eq": {"field": "$password", "value": 1}}),
            json!({"eq": {"field": "a", "value": {"x": 1}}}),
            json!({"range": {"field": "a"}}),
            json!({"range": {"field": "a", "gt": 1, "lt": "b"}}),
        ] {
            assert!(serde_json::from_value::<Filter>(wrong).unwrap().check().is_err());
        }
        let deep = (0..20).fold(json!({"and": []}), |inner, _| json!({"not": inner}));
        assert!(serde_json::from_value::<Filter>(deep).unwrap().check().is_err());
    }
}
