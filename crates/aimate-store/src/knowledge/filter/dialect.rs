//! What differs between the databases in a condition on one field.

use aimate_core::knowledge::FilterField;
use serde_json::Value;
use uuid::Uuid;

use crate::database::Builder;
use crate::value::text;

/// How a database expresses the conditions on one field, each true or false, never
/// NULL.
pub(super) trait Dialect {
    /// `IN` these ids.
    fn among(query: &mut Builder, ids: Vec<Uuid>);
    /// The field is one of `values`.
    fn one_of(query: &mut Builder, field: &FilterField<'_>, values: &Values);
    /// The field is of the type of `bound` and on this side of it.
    fn compare(query: &mut Builder, field: &FilterField<'_>, operator: &'static str, bound: &Value);
    /// The field is a list that has `value`, or a string with it inside.
    fn contains(query: &mut Builder, field: &FilterField<'_>, value: &Value);
    /// The field is there and not null.
    fn exists(query: &mut Builder, field: &FilterField<'_>);
}

/// The values of a condition by type; others equal nothing.
#[derive(Default)]
pub(super) struct Values {
    pub(super) strings: Vec<String>,
    pub(super) numbers: Vec<f64>,
    pub(super) flags: Vec<bool>,
}

impl Values {
    pub(super) fn of(values: &[Value]) -> Self {
        let mut all = Self::default();
        for value in values {
            match value {
                Value::String(string) => all.strings.push(text(string).into_owned()),
                Value::Number(number) => all.numbers.extend(number.as_f64()),
                Value::Bool(flag) => all.flags.push(*flag),
                Value::Null | Value::Array(_) | Value::Object(_) => {}
            }
        }
        all
    }
}
