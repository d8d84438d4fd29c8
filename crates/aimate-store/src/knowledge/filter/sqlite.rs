//! Conditions of filters on SQLite, by a bound path into the metadata. Numbers
//! are parsed by SQLite on both sides, so that equal ones are equal.

use aimate_core::knowledge::FilterField;
use serde_json::Value;
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use super::{Dialect, Values, own_column};
use crate::message::hex_list;
use crate::value::text;

/// The document's id as text.
const ID: &str = "lower(substr(hex(d.id), 1, 8) || '-' || substr(hex(d.id), 9, 4) || '-' || \
    substr(hex(d.id), 13, 4) || '-' || substr(hex(d.id), 17, 4) || '-' || substr(hex(d.id), 21))";

impl Dialect for Sqlite {
    fn among(query: &mut QueryBuilder<Self>, ids: impl Iterator<Item = Uuid>) {
        query.push("IN (SELECT unhex(value) FROM json_each(").push_bind(hex_list(ids)).push("))");
    }

    fn one_of(query: &mut QueryBuilder<Self>, field: &FilterField<'_>, values: &Values) {
        match field {
            FilterField::Own(name) => {
                query.push("COALESCE(").push(column(name)).push(" IN (SELECT value FROM json_each(");
                query.push_bind(Value::from(values.strings.clone()).to_string()).push(")), FALSE)");
            }
            FilterField::Metadata(keys) => {
                let path = path(keys);
                let place = |query: &mut QueryBuilder<Self>, function: &str| {
                    query.push(function).push("(d.metadata, ").push_bind(path.clone()).push(")");
                };
                query.push("COALESCE(CASE ");
                place(query, "json_type");
                equals(query, |query| place(query, "json_extract"), values);
                query.push(", FALSE)");
            }
        }
    }

    fn compare(
        query: &mut QueryBuilder<Self>,
        field: &FilterField<'_>,
        operator: &'static str,
        bound: &Value,
    ) {
        match (field, bound) {
            (FilterField::Own(name), Value::String(bound)) => {
                query.push("COALESCE(").push(column(name)).push(" ").push(operator).push(" ");
                query.push_bind(text(bound).into_owned()).push(", FALSE)");
            }
            (FilterField::Metadata(keys), Value::String(bound)) => {
                if_type(query, keys, "= 'text'");
                query.push("json_extract(d.metadata, ").push_bind(path(keys)).push(") ").push(operator);
                query.push(" ").push_bind(text(bound).into_owned()).push(", FALSE)");
            }
            (FilterField::Metadata(keys), Value::Number(bound)) => {
                if_type(query, keys, "IN ('integer', 'real')");
                query.push("CAST(json_extract(d.metadata, ").push_bind(path(keys)).push(") AS REAL) ");
                query.push(operator).push(" CAST(json_extract(").push_bind(bound.to_string());
                query.push(", '$') AS REAL), FALSE)");
            }
            (FilterField::Metadata(keys), Value::Bool(bound)) => {
                if_type(query, keys, "IN ('true', 'false')");
                query.push("json_extract(d.metadata, ").push_bind(path(keys)).push(") ").push(operator);
                query.push(" ").push_bind(*bound).push(", FALSE)");
            }
            _ => {
                query.push("FALSE");
            }
        }
    }

    fn contains(query: &mut QueryBuilder<Self>, field: &FilterField<'_>, value: &Value) {
        match (field, value) {
            (FilterField::Own(name), Value::String(part)) => {
                query.push("COALESCE(instr(").push(column(name)).push(", ");
                query.push_bind(text(part).into_owned()).push(") > 0, FALSE)");
            }
            (FilterField::Own(_), _) => {
                query.push("FALSE");
            }
            (FilterField::Metadata(keys), _) => {
                query.push("COALESCE(CASE json_type(d.metadata, ").push_bind(path(keys));
                query.push(") WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(d.metadata, ");
                query.push_bind(path(keys)).push(") AS e WHERE CASE e.type");
                let item = |query: &mut QueryBuilder<Self>| {
                    query.push("e.value");
                };
                equals(query, item, &Values::of(std::slice::from_ref(value)));
                query.push(")");
                if let Value::String(part) = value {
                    query.push(" WHEN 'text' THEN instr(json_extract(d.metadata, ").push_bind(path(keys));
                    query.push("), ").push_bind(text(part).into_owned()).push(") > 0");
                }
                query.push(" ELSE FALSE END, FALSE)");
            }
        }
    }

    fn exists(query: &mut QueryBuilder<Self>, field: &FilterField<'_>) {
        match field {
            FilterField::Own(name) => {
                query.push(column(name)).push(" IS NOT NULL");
            }
            FilterField::Metadata(keys) => {
                query.push("COALESCE(json_type(d.metadata, ").push_bind(path(keys));
                query.push(") <> 'null', FALSE)");
            }
        }
    }
}

/// A field of the document itself, as text.
fn column(name: &str) -> &'static str {
    own_column(name).unwrap_or(ID)
}

/// Begins a condition that is false unless the field's type is as `types` says.
fn if_type(query: &mut QueryBuilder<Sqlite>, keys: &[&str], types: &'static str) {
    query.push("COALESCE(json_type(d.metadata, ").push_bind(path(keys)).push(") ").push(types).push(" AND ");
}

/// Ends `CASE type` with whether `place`, of that type, is one of `values`.
fn equals(query: &mut QueryBuilder<Sqlite>, place: impl Fn(&mut QueryBuilder<Sqlite>), values: &Values) {
    if !values.strings.is_empty() {
        query.push(" WHEN 'text' THEN ");
        place(query);
        query.push(" IN (SELECT value FROM json_each(");
        query.push_bind(Value::from(values.strings.clone()).to_string()).push("))");
    }
    if !values.numbers.is_empty() {
        let numbers = Value::from(values.numbers.clone()).to_string();
        for kind in ["integer", "real"] {
            query.push(" WHEN '").push(kind).push("' THEN CAST(");
            place(query);
            query.push(" AS REAL) IN (SELECT CAST(value AS REAL) FROM json_each(");
            query.push_bind(numbers.clone()).push("))");
        }
    }
    for flag in &values.flags {
        query.push(" WHEN '").push(flag).push("' THEN TRUE");
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
