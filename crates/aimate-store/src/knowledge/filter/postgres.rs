//! Conditions of filters on PostgreSQL: `f.v` is the field's value as `jsonb`.
//! Casts stand in `CASE`, which alone keeps them from other types.

use aimate_core::knowledge::FilterField;
use serde_json::Value;
use uuid::Uuid;

use super::dialect::{Dialect, Values};
use crate::database::{Array, Builder};
use crate::value::text;

/// PostgreSQL.
pub(super) enum PostgresDialect {}

impl Dialect for PostgresDialect {
    fn among(query: &mut Builder, ids: Vec<Uuid>) {
        query.push("= ANY(").bind(ids).push("::uuid[])");
    }

    fn one_of(query: &mut Builder, field: &FilterField<'_>, values: &Values) {
        match field {
            FilterField::Own(name) => {
                query.push("COALESCE(").push(column(name)).push(" = ANY(");
                query.bind(Array::texts(values.strings.iter().cloned())).push("::text[]), FALSE)");
            }
            FilterField::Metadata(keys) => {
                query.push("(SELECT ");
                equals(query, "f.v", values);
                from(query, keys);
            }
        }
    }

    fn compare(query: &mut Builder, field: &FilterField<'_>, operator: &'static str, bound: &Value) {
        match (field, bound) {
            (FilterField::Own(name), Value::String(bound)) => {
                query.push("COALESCE(").push(column(name)).push(" ").push(operator).push(" ");
                query.bind(text(bound)).push("::text, FALSE)");
            }
            (FilterField::Metadata(keys), Value::String(bound)) => {
                query.push("(SELECT CASE jsonb_typeof(f.v) WHEN 'string' THEN (f.v #>> '{}') COLLATE \"C\" ");
                query.push(operator).push(" ").bind(text(bound));
                query.push("::text ELSE FALSE END");
                from(query, keys);
            }
            (FilterField::Metadata(keys), Value::Number(bound)) => {
                query.push("(SELECT CASE jsonb_typeof(f.v) WHEN 'number' THEN f.v::double precision ");
                query.push(operator).push(" ").bind(bound.as_f64());
                query.push("::double precision ELSE FALSE END");
                from(query, keys);
            }
            (FilterField::Metadata(keys), Value::Bool(bound)) => {
                query.push("(SELECT CASE jsonb_typeof(f.v) WHEN 'boolean' THEN f.v::boolean ");
                query.push(operator).push(" ").bind(*bound).push("::boolean ELSE FALSE END");
                from(query, keys);
            }
            _ => {
                query.push("FALSE");
            }
        }
    }

    fn contains(query: &mut Builder, field: &FilterField<'_>, value: &Value) {
        match field {
            FilterField::Own(name) => match value {
                Value::String(part) => {
                    query.push("COALESCE(strpos(").push(column(name)).push(", ");
                    query.bind(text(part)).push("::text) > 0, FALSE)");
                }
                _ => {
                    query.push("FALSE");
                }
            },
            FilterField::Metadata(keys) => {
                query.push(
                    "(SELECT CASE jsonb_typeof(f.v) WHEN 'array' \
                     THEN EXISTS (SELECT 1 FROM jsonb_array_elements(f.v) AS e (v) WHERE ",
                );
                equals(query, "e.v", &Values::of(std::slice::from_ref(value)));
                query.push(")");
                if let Value::String(part) = value {
                    query.push(" WHEN 'string' THEN strpos((f.v #>> '{}') COLLATE \"C\", ");
                    query.bind(text(part)).push("::text) > 0");
                }
                query.push(" ELSE FALSE END");
                from(query, keys);
            }
        }
    }

    fn exists(query: &mut Builder, field: &FilterField<'_>) {
        match field {
            FilterField::Own(name) => {
                query.push(column(name)).push(" IS NOT NULL");
            }
            FilterField::Metadata(keys) => {
                query.push("(SELECT COALESCE(jsonb_typeof(f.v) <> 'null', FALSE)");
                from(query, keys);
            }
        }
    }
}

/// A field of the document itself, as text that compares by its bytes.
fn column(name: &str) -> &'static str {
    match name {
        "name" => "(d.name COLLATE \"C\")",
        "title" => "(d.title COLLATE \"C\")",
        "source" => "(d.source COLLATE \"C\")",
        "media_type" => "(d.media_type COLLATE \"C\")",
        _ => "(d.id::text COLLATE \"C\")",
    }
}

/// Whether `place`, a `jsonb`, is one of `values`.
fn equals(query: &mut Builder, place: &'static str, values: &Values) {
    query.push("CASE jsonb_typeof(").push(place).push(")");
    if !values.strings.is_empty() {
        query.push(" WHEN 'string' THEN (").push(place).push(" #>> '{}') COLLATE \"C\" = ANY(");
        query.bind(Array::texts(values.strings.iter().cloned())).push("::text[])");
    }
    if !values.numbers.is_empty() {
        query.push(" WHEN 'number' THEN ").push(place).push("::double precision = ANY(");
        query.bind(Array::Doubles(values.numbers.clone())).push("::double precision[])");
    }
    if !values.flags.is_empty() {
        query.push(" WHEN 'boolean' THEN ").push(place).push("::boolean = ANY(");
        query.bind(Array::Bools(values.flags.clone())).push("::boolean[])");
    }
    query.push(" WHEN '' THEN FALSE ELSE FALSE END");
}

/// Ends a sub-select with the value at `keys` as `f.v`. Each step takes a key of
/// an object; unlike in a path, a number is no place in a list.
fn from(query: &mut Builder, keys: &[&str]) {
    query.push(" FROM (SELECT d.metadata");
    for key in keys {
        query.push(" -> ").bind(*key).push("::text");
    }
    query.push(" AS v) AS f)");
}
