//! Conditions of filters on PostgreSQL: `f.v` is the field's value as `jsonb`.
//! Casts stand in `CASE`, which alone keeps them from other types.

use aimate_core::knowledge::FilterField;
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Dialect, Values, own_column};
use crate::value::text;

impl Dialect for Postgres {
    fn among(query: &mut QueryBuilder<Self>, ids: impl Iterator<Item = Uuid>) {
        query.push("= ANY(").push_bind(ids.collect::<Vec<_>>()).push("::uuid[])");
    }

    fn one_of(query: &mut QueryBuilder<Self>, field: &FilterField<'_>, values: &Values) {
        match field {
            FilterField::Own(name) => {
                query.push("COALESCE(").push(column(name)).push(" = ANY(");
                query.push_bind(values.strings.clone()).push("::text[]), FALSE)");
            }
            FilterField::Metadata(keys) => {
                query.push("(SELECT ");
                equals(query, "f.v", values);
                from(query, keys);
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
                query.push_bind(text(bound).into_owned()).push("::text, FALSE)");
            }
            (FilterField::Metadata(keys), Value::String(bound)) => {
                query.push("(SELECT CASE jsonb_typeof(f.v) WHEN 'string' THEN (f.v #>> '{}') COLLATE \"C\" ");
                query.push(operator).push(" ").push_bind(text(bound).into_owned());
                query.push("::text ELSE FALSE END");
                from(query, keys);
            }
            (FilterField::Metadata(keys), Value::Number(bound)) => {
                query.push("(SELECT CASE jsonb_typeof(f.v) WHEN 'number' THEN f.v::double precision ");
                query.push(operator).push(" ").push_bind(bound.as_f64());
                query.push("::double precision ELSE FALSE END");
                from(query, keys);
            }
            (FilterField::Metadata(keys), Value::Bool(bound)) => {
                query.push("(SELECT CASE jsonb_typeof(f.v) WHEN 'boolean' THEN f.v::boolean ");
                query.push(operator).push(" ").push_bind(*bound).push("::boolean ELSE FALSE END");
                from(query, keys);
            }
            _ => {
                query.push("FALSE");
            }
        }
    }

    fn contains(query: &mut QueryBuilder<Self>, field: &FilterField<'_>, value: &Value) {
        match field {
            FilterField::Own(name) => match value {
                Value::String(part) => {
                    query.push("COALESCE(strpos(").push(column(name)).push(", ");
                    query.push_bind(text(part).into_owned()).push("::text) > 0, FALSE)");
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
                    query.push_bind(text(part).into_owned()).push("::text) > 0");
                }
                query.push(" ELSE FALSE END");
                from(query, keys);
            }
        }
    }

    fn exists(query: &mut QueryBuilder<Self>, field: &FilterField<'_>) {
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
fn column(name: &str) -> String {
    format!("({} COLLATE \"C\")", own_column(name).unwrap_or("d.id::text"))
}

/// Whether `place`, a `jsonb`, is one of `values`.
fn equals(query: &mut QueryBuilder<Postgres>, place: &'static str, values: &Values) {
    query.push("CASE jsonb_typeof(").push(place).push(")");
    if !values.strings.is_empty() {
        query.push(" WHEN 'string' THEN (").push(place).push(" #>> '{}') COLLATE \"C\" = ANY(");
        query.push_bind(values.strings.clone()).push("::text[])");
    }
    if !values.numbers.is_empty() {
        query.push(" WHEN 'number' THEN ").push(place).push("::double precision = ANY(");
        query.push_bind(values.numbers.clone()).push("::double precision[])");
    }
    if !values.flags.is_empty() {
        query.push(" WHEN 'boolean' THEN ").push(place).push("::boolean = ANY(");
        query.push_bind(values.flags.clone()).push("::boolean[])");
    }
    query.push(" WHEN '' THEN FALSE ELSE FALSE END");
}

/// Ends a sub-select with the value at `keys` as `f.v`. Each step takes a key of
/// an object; unlike in a path, a number is no place in a list.
fn from(query: &mut QueryBuilder<Postgres>, keys: &[&str]) {
    query.push(" FROM (SELECT d.metadata");
    for key in keys {
        query.push(" -> ").push_bind((*key).to_owned()).push("::text");
    }
    query.push(" AS v) AS f)");
}
