//! Conditions of filters on SQLite, by a bound path into the metadata. Numbers
//! are parsed by SQLite on both sides, so that equal ones are equal.

use aimate_core::knowledge::FilterField;
use serde_json::Value;
use uuid::Uuid;

use super::dialect::{Dialect, Values};
use crate::database::Builder;
use crate::value::text;

/// The document's id as text.
const ID: &str = "lower(substr(hex(d.id), 1, 8) || '-' || substr(hex(d.id), 9, 4) || '-' || \
    substr(hex(d.id), 13, 4) || '-' || substr(hex(d.id), 17, 4) || '-' || substr(hex(d.id), 21))";

/// SQLite.
pub(super) enum SqliteDialect {}

impl Dialect for SqliteDialect {
    fn among(query: &mut Builder, ids: Vec<Uuid>) {
        query.push("IN (SELECT unhex(value) FROM json_each(").bind(ids).push("))");
    }

    fn one_of(query: &mut Builder, field: &FilterField<'_>, values: &Values) {
        match field {
            FilterField::Own(name) => {
                query.push("COALESCE(").push(column(name)).push(" IN (SELECT value FROM json_each(");
                query.bind(Value::from(values.strings.clone()).to_string()).push(")), FALSE)");
            }
            FilterField::Metadata(keys) => {
                let path = path(keys);
                let place = |query: &mut Builder, function: &'static str| {
                    query.push(function).push("(d.metadata, ").bind(path.clone()).push(")");
                };
                query.push("COALESCE(CASE ");
                place(query, "json_type");
                equals(query, |query| place(query, "json_extract"), values);
                query.push(", FALSE)");
            }
        }
    }

    fn compare(query: &mut Builder, field: &FilterField<'_>, operator: &'static str, bound: &Value) {
        match (field, bound) {
            (FilterField::Own(name), Value::String(bound)) => {
                query.push("COALESCE(").push(column(name)).push(" ").push(operator).push(" ");
                query.bind(text(bound)).push(", FALSE)");
            }
            (FilterField::Metadata(keys), Value::String(bound)) => {
                if_type(query, keys, "= 'text'");
                query.push("json_extract(d.metadata, ").bind(path(keys)).push(") ").push(operator);
                query.push(" ").bind(text(bound)).push(", FALSE)");
            }
            (FilterField::Metadata(keys), Value::Number(bound)) => {
                if_type(query, keys, "IN ('integer', 'real')");
                query.push("CAST(json_extract(d.metadata, ").bind(path(keys)).push(") AS REAL) ");
                query.push(operator).push(" CAST(json_extract(").bind(bound.to_string());
                query.push(", '$') AS REAL), FALSE)");
            }
            (FilterField::Metadata(keys), Value::Bool(bound)) => {
                if_type(query, keys, "IN ('true', 'false')");
                query.push("json_extract(d.metadata, ").bind(path(keys)).push(") ").push(operator);
                query.push(" ").bind(*bound).push(", FALSE)");
            }
            _ => {
                query.push("FALSE");
            }
        }
    }

    fn contains(query: &mut Builder, field: &FilterField<'_>, value: &Value) {
        match (field, value) {
            (FilterField::Own(name), Value::String(part)) => {
                query.push("COALESCE(instr(").push(column(name)).push(", ");
                query.bind(text(part)).push(") > 0, FALSE)");
            }
            (FilterField::Own(_), _) => {
                query.push("FALSE");
            }
            (FilterField::Metadata(keys), _) => {
                query.push("COALESCE(CASE json_type(d.metadata, ").bind(path(keys));
                query.push(") WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(d.metadata, ");
                query.bind(path(keys)).push(") AS e WHERE CASE e.type");
                let item = |query: &mut Builder| {
                    query.push("e.value");
                };
                equals(query, item, &Values::of(std::slice::from_ref(value)));
                query.push(")");
                if let Value::String(part) = value {
                    query.push(" WHEN 'text' THEN instr(json_extract(d.metadata, ").bind(path(keys));
                    query.push("), ").bind(text(part)).push(") > 0");
                }
                query.push(" ELSE FALSE END, FALSE)");
            }
        }
    }

    fn exists(query: &mut Builder, field: &FilterField<'_>) {
        match field {
            FilterField::Own(name) => {
                query.push(column(name)).push(" IS NOT NULL");
            }
            FilterField::Metadata(keys) => {
                query.push("COALESCE(json_type(d.metadata, ").bind(path(keys));
                query.push(") <> 'null', FALSE)");
            }
        }
    }
}

/// A field of the document itself, as text.
fn column(name: &str) -> &'static str {
    match name {
        "name" => "d.name",
        "title" => "d.title",
        "source" => "d.source",
        "media_type" => "d.media_type",
        _ => ID,
    }
}

/// Begins a condition that is false unless the field's type is as `types` says.
fn if_type(query: &mut Builder, keys: &[&str], types: &'static str) {
    query.push("COALESCE(json_type(d.metadata, ").bind(path(keys)).push(") ").push(types).push(" AND ");
}

/// Ends `CASE type` with whether `place`, of that type, is one of `values`.
fn equals(query: &mut Builder, place: impl Fn(&mut Builder), values: &Values) {
    if !values.strings.is_empty() {
        query.push(" WHEN 'text' THEN ");
        place(query);
        query.push(" IN (SELECT value FROM json_each(");
        query.bind(Value::from(values.strings.clone()).to_string()).push("))");
    }
    if !values.numbers.is_empty() {
        let numbers = Value::from(values.numbers.clone()).to_string();
        for kind in ["integer", "real"] {
            query.push(" WHEN '").push(kind).push("' THEN CAST(");
            place(query);
            query.push(" AS REAL) IN (SELECT CAST(value AS REAL) FROM json_each(");
            query.bind(numbers.clone()).push("))");
        }
    }
    for flag in &values.flags {
        query.push(if *flag { " WHEN 'true' THEN TRUE" } else { " WHEN 'false' THEN TRUE" });
    }
    query.push(" WHEN '' THEN FALSE ELSE FALSE END");
}

/// The path to the value at `keys`, which hold no `"` and no control character.
fn path(keys: &[&str]) -> String {
    let mut path = String::from("$");
    for key in keys {
        path.push_str(".\"");
        path.push_str(&key.replace('\\', "\\\\"));
        path.push('"');
    }
    path
}
