//! The suite's tools that answer at once.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::*;
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use crate::input;
use crate::resources::{PNG, WAV};
use crate::server::SuiteServer;

/// Tools without arguments.
const PLAIN: [&str; 24] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_error_handling",
    "test_tool_with_progress",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_reconnection",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_logging_tool",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_capabilities",
];

/// Between two pieces of news of a tool.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn all() -> Vec<Tool> {
    let of = |name: &'static str, schema: Value| {
        let Value::Object(schema) = schema else { unreachable!("a schema is an object") };
        Tool::new(name, "A tool of the conformance suite", Arc::new(schema))
    };
    let text = |name: &'static str, field: &str| {
        of(name, json!({"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}))
    };
    let mut all: Vec<_> =
        PLAIN.iter().map(|name| of(name, json!({"type": "object", "properties": {}}))).collect();
    all.push(text("test_sampling", "prompt"));
    all.push(text("test_elicitation", "message"));
    all.push(of(
        "test_custom_header",
        json!({"type": "object", "properties": {"value": {"type": "string", "x-mcp-header": "Value"}},
            "required": ["value"]}),
    ));
    all.push(of(
        "json_schema_2020_12_tool",
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {"$anchor": "address", "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
            "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
            "allOf": [{"anyOf": [{"required": ["name"]}, {"required": ["address"]}]}],
            "if": {"required": ["address"]},
            "then": {"properties": {"address": {"required": ["street"]}}},
            "else": {"required": ["name"]},
            "additionalProperties": false
        }),
    ));
    all
}

pub(crate) async fn call(
    server: &SuiteServer,
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let argument = |name: &str| {
        let given = request.arguments.as_ref().and_then(|given| given.get(name));
        given.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let said = |text: &str| vec![ContentBlock::text(text)];
    let content = match request.name.as_ref() {
        "test_simple_text" => said("This is a simple text response for testing."),
        "test_image_content" => vec![ContentBlock::image(PNG, "image/png")],
        "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
        "test_embedded_resource" => vec![embedded("test://embedded-resource", "text/plain", "Embedded.")],
        "test_multiple_content_types" => vec![
            ContentBlock::text("Multiple content types test:"),
            ContentBlock::image(PNG, "image/png"),
            embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ],
        "test_error_handling" => {
            let failure = said("This tool intentionally returns an error for testing");
            return Ok(CallToolResult::error(failure).into());
        }
        "test_tool_with_logging" => {
            for news in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                log(context, LoggingLevel::Info, news).await?;
                tokio::time::sleep(PAUSE).await;
            }
            said("The log was written.")
        }
        "test_logging_tool" => {
            if let Some(level) = context.meta.log_level() {
                log(context, level, "The level was asked for.").await?;
            }
            said("Done.")
        }
        "test_tool_with_progress" => {
            progress(context).await?;
            said("Done.")
        }
        "test_sampling" => said(&sampled(context, &argument("prompt")).await?),
        "test_elicitation" => {
            let field = json!({"type": "string"});
            let fields = json!({"username": field, "email": field});
            said(&elicited(context, &argument("message"), fields, &["username", "email"]).await?)
        }
        "test_elicitation_sep1034_defaults" => {
            said(&elicited(context, "All of it has a default.", defaults(), &[]).await?)
        }
        "test_elicitation_sep1330_enums" => said(&elicited(context, "Choose.", enums(), &[]).await?),
        "test_reconnection" => {
            tokio::time::sleep(PAUSE * 2).await;
            said("Reconnection test completed.")
        }
        "test_trigger_tool_change" => {
            for subscription in server.subscriptions() {
                let _ = subscription.notify_tool_list_changed().await;
            }
            said("Told.")
        }
        "test_trigger_prompt_change" => {
            for subscription in server.subscriptions() {
                let _ = subscription.notify_prompt_list_changed().await;
            }
            said("Told.")
        }
        "test_missing_capability" => {
            if context.client_capabilities().is_none_or(|can| can.sampling.is_none()) {
                let needed = ClientCapabilities::builder().enable_sampling().build();
                return Err(ErrorData::missing_required_client_capability(needed));
            }
            said("The client can.")
        }
        "test_streaming_elicitation" => {
            let wanted = input::elicitation("A value?", json!({"value": {"type": "string"}}), &["value"]);
            return Ok(input::required([("value", wanted)], None).into());
        }
        "test_custom_header" => said(&argument("value")),
        "json_schema_2020_12_tool" => said(&format!("Hello, {}!", argument("name"))),
        name => return Err(ErrorData::invalid_params(format!("there is no tool {name}"), None)),
    };
    Ok(CallToolResult::success(content).into())
}

fn embedded(uri: &str, media_type: &str, text: &str) -> ContentBlock {
    ContentBlock::resource(ResourceContents::text(text, uri).with_mime_type(media_type))
}

async fn log(context: &RequestContext<RoleServer>, level: LoggingLevel, news: &str) -> Result<(), ErrorData> {
    let news = LoggingMessageNotificationParam::new(level, json!(news));
    context.peer.notify_logging_message(news).await.map_err(failed)
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else { return Ok(()) };
    for done in [0.0, 50.0, 100.0] {
        let news = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
        context.peer.notify_progress(news.with_message("Still there.")).await.map_err(failed)?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn sampled(context: &RequestContext<RoleServer>, prompt: &str) -> Result<String, ErrorData> {
    let messages = vec![SamplingMessage::user_text(prompt)];
    let request = CreateMessageRequestParams::new(messages, 100);
    let result = context.peer.create_message(request).await.map_err(failed)?;
    let text = result.message.content.first().and_then(SamplingMessageContentBlock::as_text);
    Ok(format!("LLM response: {}", text.map(|text| text.text.as_str()).unwrap_or_default()))
}

async fn elicited(
    context: &RequestContext<RoleServer>,
    message: &str,
    properties: Value,
    required: &[&str],
) -> Result<String, ErrorData> {
    let InputRequest::Elicitation(question) = input::elicitation(message, properties, required) else {
        unreachable!("it is an elicitation")
    };
    let answer = context.peer.create_elicitation(question.params).await.map_err(failed)?;
    let action = json!(answer.action);
    Ok(format!(
        "User response: action={}, content={}",
        action.as_str().unwrap_or_default(),
        json!(answer.content)
    ))
}

#[allow(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
fn failed(error: rmcp::ServiceError) -> ErrorData {
    ErrorData::internal_error(format!("the client did not answer: {error}"), None)
}

fn defaults() -> Value {
    json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true}
    })
}

fn enums() -> Value {
    let titled = |word: &str| {
        json!([{"const": "value1", "title": format!("First {word}")}, {"const": "value2", "title": format!("Second {word}")},
            {"const": "value3", "title": format!("Third {word}")}])
    };
    json!({
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}}
    })
}
