//! OpenAI's tools and response format.

use aimate_core::Error;
use aimate_core::provider::{ResponseFormat, ToolChoice, ToolSpec};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Failure, Result};

/// A tool that the model may call.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct WireTool {
    /// `function`.
    #[serde(rename = "type")]
    kind: String,
    /// The function.
    function: Option<ToolSpecBody>,
    /// More fields, handed on to OpenAI-compatible servers.
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Map<String, Value>,
}

/// A function that the model may call.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ToolSpecBody {
    /// Its name.
    name: String,
    /// What it does, written for the model.
    description: Option<String>,
    /// JSON Schema of the arguments.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// Whether the arguments must follow the schema exactly.
    strict: Option<bool>,
    /// More fields, handed on to OpenAI-compatible servers.
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Map<String, Value>,
}

/// The format of the answer.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct WireFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    kind: String,
    /// The schema.
    json_schema: Option<WireSchema>,
}

/// A JSON Schema for the answer.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct WireSchema {
    /// Its name.
    name: Option<String>,
    /// The schema.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// Whether it must be followed exactly.
    strict: Option<bool>,
}

/// A tool of the server, by name, or one of the client's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum RequestTool {
    /// One that the server calls itself within the answer: `NAME`, `SERVER` or `SERVER/TOOL`.
    Named(String),
    /// One whose calls come back.
    Own(WireTool),
}

impl WireTool {
    /// Converts the tool at position `n`.
    pub(super) fn into_tool(self, n: usize) -> Result<ToolSpec> {
        if self.kind != "function" {
            return Err(Failure::unsupported(format!("tools[{n}].type"), "must be `function`"));
        }
        let function =
            self.function.ok_or_else(|| Error::field(format!("tools[{n}].function"), "is missing"))?;
        let mut extra = self.extra;
        if !function.extra.is_empty() {
            extra.insert("function".to_owned(), function.extra.into());
        }
        Ok(ToolSpec {
            name: function.name,
            description: function.description.unwrap_or_default(),
            parameters: function.parameters.unwrap_or_default(),
            strict: function.strict,
            extra,
        })
    }
}

/// Converts `tool_choice`.
pub(super) fn tool_choice(choice: &Value) -> Result<ToolChoice> {
    let named = || choice.get("function")?.get("name")?.as_str();
    match (choice.as_str(), named()) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        // Mistral's word for it is `any`.
        (Some("required" | "any"), _) => Ok(ToolChoice::Required),
        (_, Some(name)) => Ok(ToolChoice::Tool(name.to_owned())),
        _ => Err(Error::field(
            "tool_choice",
            "must be `none`, `auto`, `required` or {\"type\":\"function\",\"function\":{\"name\":…}}",
        )
        .into()),
    }
}

impl WireFormat {
    /// Converts the format; `None` is plain text.
    pub(super) fn into_format(self) -> Result<Option<ResponseFormat>> {
        match (self.kind.as_str(), self.json_schema) {
            ("text", _) => Ok(None),
            ("json_object", _) => Ok(Some(ResponseFormat::JsonObject)),
            ("json_schema", Some(WireSchema { name, schema: Some(schema), strict })) => {
                Ok(Some(ResponseFormat::JsonSchema {
                    name: name.unwrap_or_else(|| "answer".to_owned()),
                    schema,
                    strict,
                }))
            }
            ("json_schema", _) => Err(Error::field("response_format.json_schema", "needs a `schema`").into()),
            _ => Err(Failure::unsupported(
                "response_format.type",
                "must be `text`, `json_object` or `json_schema`",
            )),
        }
    }
}
