//! `POST /v1/responses/compact`: a long context as a short one. What users said stays as it
//! was; the rest is summed up by the model, sealed for its user, and goes back as an item.

use std::collections::HashSet;

use aimate_core::Error;
use aimate_core::message::{Message, MessageRole, Part};
use aimate_core::provider::{ChatMessage, FinishReason, ProviderEvent};
use axum::extract::State;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ask::Asked;
use super::input::SUMMARY;
use super::object::usage_object;
use super::request::ResponseBody;
use super::schema::CompactionSchema;
use super::sealed::seal;
use super::unstored;
use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::openai::item::items;
use crate::openai::wire_id;
use crate::scope::Caller;

/// What the text of a compaction begins with.
const BEGINNING: &str = "Summary of the conversation so far:\n";
const INSTRUCTION: &str = "Sum up this conversation for the one who goes on with it: what was asked, found, decided and \
    promised, with names, numbers and exact words where they matter. Write nothing else.";

/// A context that is to be made shorter.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct CompactBody {
    /// The model that sums it up, as `CONNECTION/MODEL` or a bare name. Required.
    model: Option<String>,
    /// A text, or a list of items; or:
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    /// the response whose context it is.
    previous_response_id: Option<String>,
    /// What the model is told first.
    instructions: Option<String>,
}

/// Makes a context shorter: what users said, and the rest as one sealed item. The output goes
/// back as `input` as it is. Nothing is stored.
#[utoipa::path(post, path = "/v1/responses/compact", tag = "responses", request_body = CompactBody,
    responses((status = 200, body = CompactionSchema)))]
pub(crate) async fn compact(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<CompactBody>,
) -> Result<Json<Value>> {
    let is_given = |input: &Option<Value>| input.as_ref().is_some_and(|input| !input.is_null());
    if !is_given(&body.input) && body.previous_response_id.is_none() {
        return Err(Error::field("input", "is missing; send it, or `previous_response_id`").into());
    }
    let _seat = app.seat(&scope)?;
    let asked =
        ResponseBody::to_compact(body.model, body.input, body.previous_response_id, body.instructions);
    let asked = Asked::read(&app, &scope, asked).await?;
    let follows = asked.follows;
    let before = match follows {
        Some(followed) => unstored::path(&app, &scope, followed, &asked.parsed).await?,
        None => Vec::new(),
    };
    let mut kept: Vec<Value> = before.iter().filter(|one| is_said(one)).map(said).collect();
    // Before a model is paid for what cannot be sealed.
    seal(&app, &scope, BEGINNING).await?;
    kept.extend(asked.parsed.items.iter().filter_map(|item| kept_item(&app, item)));
    let (mut completion, _) = unstored::call_after(before, asked)?;
    completion.request.tools = Vec::new();
    completion.request.tool_choice = None;
    drop_open_calls(&mut completion.request.messages);
    let question = ChatMessage::new(MessageRole::User, vec![Part::text(INSTRUCTION)]);
    completion.request.messages.push(question);
    let mut stream =
        app.engine.complete(&scope, completion).await.map_err(|error| super::ask::refused(error, follows))?;
    let (mut summary, mut reason) = (BEGINNING.to_owned(), None);
    while let Some(event) = stream.next().await {
        match event? {
            ProviderEvent::Text(text) => summary.push_str(&text),
            ProviderEvent::Finish(found) => reason = Some(found),
            _ => {}
        }
    }
    if reason != Some(FinishReason::Stop) || summary.len() == BEGINNING.len() {
        return Err(Error::upstream(
            "the model did not finish the summary; ask again, or name another model",
        )
        .into());
    }
    let id: Uuid = app.engine.sources().id();
    let sealed = seal(&app, &scope, &summary).await?;
    kept.push(json!({"id": wire_id::write("cmp_", id), "type": "compaction", "encrypted_content": sealed}));
    Ok(Json(json!({
        "id": wire_id::write("resp_", app.engine.sources().id()),
        "object": "response.compaction",
        "created_at": app.engine.sources().now().unix_seconds(),
        "output": kept,
        "usage": usage_object(&stream.usage()),
    })))
}

/// Leaves out calls that nothing came back of: models' servers refuse what follows them.
fn drop_open_calls(messages: &mut Vec<ChatMessage>) {
    let result = |part: &Part| match part {
        Part::ToolResult(result) => Some(result.id.clone()),
        _ => None,
    };
    let answered: HashSet<String> =
        messages.iter().flat_map(|message| &message.content).filter_map(result).collect();
    for message in &mut *messages {
        message.content.retain(|part| !matches!(part, Part::ToolCall(call) if !answered.contains(&call.id)));
    }
    messages.retain(|message| !message.content.is_empty());
}

/// Whether a stored message is what a user said: one that a compaction became is summed up with
/// the rest.
fn is_said(message: &Message) -> bool {
    message.role == MessageRole::User && !message.metadata.contains_key(SUMMARY)
}

/// A user's message as it was stored.
fn said(message: &Message) -> Value {
    // Of the passages that were found for it, the model has made what it said.
    let content = message.content.iter().filter(|part| !matches!(part, Part::Citation(_)));
    let message = Message { content: content.cloned().collect(), ..message.clone() };
    items(&message).first().map_or(Value::Null, |item| json!(item))
}

/// A user's message as it was, with an id.
fn kept_item(app: &App, item: &Value) -> Option<Value> {
    if item.get("role").and_then(Value::as_str) != Some("user") {
        return None;
    }
    let content = match item.get("content")? {
        Value::String(text) => json!([{"type": "input_text", "text": text}]),
        parts => parts.clone(),
    };
    let id = item.get("id").and_then(Value::as_str).map(str::to_owned);
    let id = id.unwrap_or_else(|| wire_id::write("msg_", app.engine.sources().id()));
    Some(json!({"id": id, "type": "message", "role": "user", "status": "completed", "content": content}))
}
