//! The form of an answer: `text`.

use aimate_core::Error;
use aimate_core::provider::ResponseFormat;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::word::one_of;
use crate::error::Result;

const VERBOSITY: [&str; 3] = ["low", "medium", "high"];
/// Characters of a schema's name at most.
const MAX_NAME: usize = 64;

/// The form of an answer's text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TextFormat {
    format: Option<FormatBody>,
    verbosity: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FormatBody {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    schema: Option<Value>,
    strict: Option<bool>,
}

/// The format, and `text` as the response repeats it.
pub(super) fn read(given: Option<TextFormat>) -> Result<(Option<ResponseFormat>, Value)> {
    let TextFormat { format, verbosity } = given.unwrap_or_default();
    one_of("text.verbosity", verbosity.as_deref(), &VERBOSITY)?;
    let (read, written) = match format {
        None => (None, json!({"type": "text"})),
        Some(format) => read_format(format)?,
    };
    let mut text = Map::from_iter([("format".to_owned(), written)]);
    if let Some(verbosity) = verbosity {
        text.insert("verbosity".to_owned(), verbosity.into());
    }
    Ok((read, text.into()))
}

fn read_format(format: FormatBody) -> Result<(Option<ResponseFormat>, Value)> {
    let FormatBody { kind, name, description, schema, strict } = format;
    match kind.as_str() {
        "text" => Ok((None, json!({"type": "text"}))),
        "json_object" => Ok((Some(ResponseFormat::JsonObject), json!({"type": "json_object"}))),
        "json_schema" => {
            let name = name.filter(|name| !name.is_empty() && name.chars().count() <= MAX_NAME);
            let name = name.ok_or_else(|| {
                Error::field("text.format.name", format!("is missing; it needs 1 to {MAX_NAME} characters"))
            })?;
            let schema = schema.filter(Value::is_object);
            let schema = schema
                .ok_or_else(|| Error::field("text.format.schema", "is missing; it needs a JSON Schema"))?;
            let mut written =
                json!({"type": "json_schema", "name": name, "schema": schema, "strict": strict});
            if let (Some(description), Some(fields)) = (description, written.as_object_mut()) {
                fields.insert("description".to_owned(), description.into());
            }
            Ok((Some(ResponseFormat::JsonSchema { name, schema, strict }), written))
        }
        _ => Err(Error::field("text.format.type", "must be `text`, `json_object` or `json_schema`").into()),
    }
}
