//! Resources and prompts of a server.

use std::collections::BTreeMap;

use aimate_core::tool::{ToolContent, ToolEndpoint};
use aimate_core::{Error, ErrorKind, Result};
use rmcp::model::{
    ClientRequest, GetPromptRequest, GetPromptRequestParams, ReadResourceRequest, ReadResourceRequestParams,
    ServerResult,
};
use serde_json::Value;

use super::content;
use super::errors::Errors;
use super::session::ServerSession;

/// The content of a resource.
pub(super) async fn resource(
    session: &ServerSession,
    endpoint: &ToolEndpoint,
    uri: &str,
) -> Result<Vec<ToolContent>> {
    let errors = Errors(endpoint);
    let request =
        ClientRequest::ReadResourceRequest(ReadResourceRequest::new(ReadResourceRequestParams::new(uri)));
    // The current revision has no code of its own for a resource that is not there.
    let result =
        session.read(endpoint, request).await.map_err(|error| absent(error, endpoint, "resource"))?;
    let contents = match result {
        ServerResult::ReadResourceResult(result) => {
            return Ok(result.contents.into_iter().map(content::resource).collect());
        }
        ServerResult::InputRequiredResult(_) => {
            return Err(errors.nonsense("asks before it gives a resource"));
        }
        other => serde_json::to_value(other).unwrap_or_default(),
    };
    let Some(Value::Array(contents)) = contents.get("contents") else {
        return Err(errors.nonsense("answered with something else than the content of a resource"));
    };
    Ok(contents
        .iter()
        .map(|one| content::any_resource(one).unwrap_or_else(|| content::any_block(one)))
        .collect())
}

/// A prompt filled in.
pub(super) async fn prompt(
    session: &ServerSession,
    endpoint: &ToolEndpoint,
    name: &str,
    arguments: &BTreeMap<String, String>,
) -> Result<Vec<(String, ToolContent)>> {
    let errors = Errors(endpoint);
    let arguments = arguments.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let params = GetPromptRequestParams::new(name).with_arguments(arguments);
    let request = ClientRequest::GetPromptRequest(GetPromptRequest::new(params));
    let messages = match session.read(endpoint, request).await? {
        ServerResult::InputRequiredResult(_) => return Err(errors.nonsense("asks before it gives a prompt")),
        other => serde_json::to_value(other).unwrap_or_default(),
    };
    let Some(Value::Array(messages)) = messages.get("messages") else {
        return Err(errors.nonsense("answered with something else than a prompt"));
    };
    let message = |message: &Value| {
        let is_assistant = message.get("role").and_then(Value::as_str) == Some("assistant");
        let role = if is_assistant { "assistant" } else { "user" };
        let block = message.get("content").cloned().unwrap_or_default();
        (role.to_owned(), content::any_block(&block))
    };
    Ok(messages.iter().map(message).collect())
}

/// `error` as that of something that is not there, if the server refused the request.
fn absent(error: Error, endpoint: &ToolEndpoint, what: &str) -> Error {
    if error.kind() != ErrorKind::Invalid {
        return error;
    }
    Error::not_found(format!("tool server `{}` has no such {what}", endpoint.name)).with_source(error)
}
