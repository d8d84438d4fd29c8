//! One call of a tool, with the questions that the server asks before it answers.

use std::sync::Arc;

use aimate_core::Result;
use aimate_core::tool::{ToolCaller, ToolEndpoint, ToolOutput};
use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, ErrorData, InputResponses, RequestMetaObject,
    ServerResult,
};
use serde_json::{Map, Value, json};

use super::errors::Errors;
use super::session::ServerSession;
use super::{content, elicit};

/// Times that a server may ask before it answers.
const MAX_ROUNDS: usize = 8;
/// Questions that it may ask at once.
const MAX_QUESTIONS: usize = 16;
/// The error of a server that sends the person to an address first (revision 2025-11-25).
const URL_ELICITATION_REQUIRED: i32 = -32042;
/// Under which a call carries its idempotency key.
const KEY: &str = "aimate/idempotency-key";

/// One call.
pub(super) struct Call<'a> {
    pub(super) endpoint: &'a ToolEndpoint,
    pub(super) tool: &'a str,
    pub(super) arguments: &'a Map<String, Value>,
    pub(super) idempotency_key: &'a str,
    pub(super) caller: Arc<dyn ToolCaller>,
}

/// What is to be asked before the call goes on.
struct Questions {
    by_name: Vec<(String, Value)>,
    /// What the server wants to be told again.
    state: Option<String>,
}

impl Call<'_> {
    /// Makes the call. The request is sent once for each round that the server itself asks for,
    /// never again because no answer came.
    pub(super) async fn make(&self, session: &ServerSession) -> Result<ToolOutput> {
        let errors = Errors(self.endpoint);
        let mut params =
            CallToolRequestParams::new(self.tool.to_owned()).with_arguments(self.arguments.clone());
        let mut meta = RequestMetaObject::new();
        meta.insert(KEY.to_owned(), self.idempotency_key.into());
        params.meta = Some(meta);
        for _ in 0..=MAX_ROUNDS {
            let request = ClientRequest::CallToolRequest(CallToolRequest::new(params.clone()));
            let answer = session.request(request, Some(self.caller.clone())).await;
            let questions = match answer {
                Ok(result) => match self.questions(result)? {
                    Step::Ask(questions) => questions,
                    Step::Done(result) => return Ok(content::output(*result)),
                },
                Err(ServiceError::McpError(error)) if error.code.0 == URL_ELICITATION_REQUIRED => {
                    self.visit(&error).await?;
                    continue;
                }
                Err(error) => return Err(session.ended(errors.request(error), self.endpoint)),
            };
            params.input_responses = self.answers(questions.by_name).await?;
            params.request_state = questions.state;
        }
        Err(errors.nonsense("asked again and again before it answered the call"))
    }

    /// What the server asks with `result`, if it does.
    fn questions(&self, result: ServerResult) -> Result<Step> {
        let mut asked = match result {
            ServerResult::InputRequiredResult(asked) => serde_json::to_value(asked).unwrap_or_default(),
            ServerResult::CustomResult(custom)
                if custom.0.get("resultType").and_then(Value::as_str) == Some("input_required") =>
            {
                custom.0
            }
            ServerResult::CreateTaskResult(_) => {
                return Err(Errors(self.endpoint)
                    .nonsense("answered the call with a task, which it was not asked for"));
            }
            result => return Ok(Step::Done(Box::new(result))),
        };
        let state = asked.get("requestState").and_then(Value::as_str).map(str::to_owned);
        let by_name = match asked.get_mut("inputRequests").map(Value::take) {
            Some(Value::Object(requests)) => requests.into_iter().collect(),
            _ => Vec::new(),
        };
        if by_name.is_empty() && state.is_none() || by_name.len() > MAX_QUESTIONS {
            return Err(Errors(self.endpoint)
                .nonsense("asked for nothing, or for too much, before it answered the call"));
        }
        Ok(Step::Ask(Questions { by_name, state }))
    }

    /// Asks the person one question after the other.
    async fn answers(&self, questions: Vec<(String, Value)>) -> Result<Option<InputResponses>> {
        let mut answers = InputResponses::new();
        for (name, question) in questions {
            if question.get("method").and_then(Value::as_str) != Some("elicitation/create") {
                return Err(Errors(self.endpoint).nonsense(
                    "asked for something that aiMate said it does not do (a model's answer, or folders)",
                ));
            }
            let params = question.get("params").unwrap_or(&Value::Null);
            let answer = elicit::ask(params, self.caller.as_ref()).await;
            answers.insert(name, serde_json::to_value(answer).unwrap_or_default());
        }
        Ok((!answers.is_empty()).then_some(answers))
    }

    /// Sends the person to the addresses that the server named instead of making the call.
    async fn visit(&self, error: &ErrorData) -> Result<()> {
        let errors = Errors(self.endpoint);
        let named = error.data.as_ref().and_then(|data| data.get("elicitations")).and_then(Value::as_array);
        let named = named.filter(|named| (1..=MAX_QUESTIONS).contains(&named.len()));
        let named = named
            .ok_or_else(|| errors.nonsense("wants the person to go somewhere, but does not say where"))?;
        for question in named {
            let answer = elicit::ask(question, self.caller.as_ref()).await;
            let answer = serde_json::to_value(answer).unwrap_or_default();
            if answer != json!({"action": "accept"}) {
                return Err(errors.request(ServiceError::McpError(error.clone())));
            }
        }
        Ok(())
    }
}

enum Step {
    Ask(Questions),
    Done(Box<ServerResult>),
}
