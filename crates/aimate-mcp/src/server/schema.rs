//! JSON Schemas of what tools take and return.

use std::sync::Arc;

use aimate_core::{Error, Result};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The schema of arguments.
pub(super) fn input<T: JsonSchema>() -> Arc<JsonObject> {
    of::<T>(Contract::Deserialize)
}

/// The schema of a result.
pub(super) fn output<T: JsonSchema>() -> Arc<JsonObject> {
    of::<T>(Contract::Serialize)
}

/// Without references, which some clients do not follow.
fn of<T: JsonSchema>(contract: Contract) -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.contract = contract;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The name of the Rust type says nothing to a model, and the tool has a description.
    schema.remove("title");
    schema.remove("description");
    let mut schema = schema.to_value();
    drop_formats(&mut schema);
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

/// Takes away the formats of Rust's numbers, which are not JSON Schema's: validators of
/// clients complain of each.
fn drop_formats(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("format");
            fields.values_mut().for_each(drop_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_formats),
        _ => {}
    }
}

/// Arguments as a tool takes them.
///
/// # Errors
/// `Invalid`, with what is wrong.
pub(super) fn arguments<T: DeserializeOwned>(given: Option<JsonObject>) -> Result<T> {
    serde_json::from_value(Value::Object(given.unwrap_or_default()))
        .map_err(|error| Error::invalid(format!("the arguments do not fit: {error}")))
}
