//! The response object.

use aimate_core::message::{Citation, Part};
use aimate_core::provider::FinishReason;
use aimate_core::run::{Run, RunError, RunStatus};
use aimate_core::usage::TokenUsage;
use aimate_core::{Error, ErrorKind, RunId};
use serde_json::{Map, Value, json};

use super::echo::Echo;
use super::output::output;
use crate::openai::wire_id;

/// What ids of responses begin with.
pub(super) const PREFIX: &str = "resp_";

/// What stays the same of a response while it is made.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: RunId,
    /// The model that answers, as `CONNECTION/MODEL`.
    pub(super) model: String,
    pub(super) echo: Echo,
}

/// How far a response has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Queued,
    InProgress,
    Completed,
    /// It was cut off, for this reason.
    Incomplete(&'static str),
    /// It failed, with this code and sentence.
    Failed(&'static str, String),
    Cancelled,
}

/// What changes of a response.
pub(super) struct Outcome {
    pub(super) state: State,
    pub(super) output: Vec<Value>,
    pub(super) usage: Option<TokenUsage>,
    /// When it ended, in seconds since 1970.
    pub(super) ended_at: Option<i64>,
}

impl State {
    /// That of a run.
    pub(super) fn of_run(run: &Run) -> Self {
        match run.status {
            RunStatus::Queued => Self::Queued,
            RunStatus::Running => Self::InProgress,
            RunStatus::Waiting => Self::Completed,
            RunStatus::Completed => Self::of_reason(run.finish_reason.as_ref()),
            RunStatus::Failed | RunStatus::Interrupted => Self::of_error(run.error.as_ref()),
            RunStatus::Cancelled => Self::Cancelled,
        }
    }

    /// That of an answer whose model stopped for this reason.
    pub(super) fn of_reason(reason: Option<&FinishReason>) -> Self {
        match reason {
            Some(FinishReason::Length) => Self::Incomplete("max_output_tokens"),
            Some(FinishReason::ContentFilter) => Self::Incomplete("content_filter"),
            // What the money was enough for is as cut off as what the tokens were.
            Some(reason) if reason.is_budget() => Self::Incomplete("max_output_tokens"),
            _ => Self::Completed,
        }
    }

    fn of_error(error: Option<&RunError>) -> Self {
        match error {
            Some(error) => Self::failed(error.code, error.detail.clone()),
            None => Self::failed(ErrorKind::Internal, "the answer was interrupted".to_owned()),
        }
    }

    /// That of an answer that failed.
    pub(super) fn failed(kind: ErrorKind, detail: String) -> Self {
        let code = if kind == ErrorKind::RateLimited { "rate_limit_exceeded" } else { "server_error" };
        Self::Failed(code, detail)
    }

    /// That of an answer that failed with `error`.
    pub(super) fn of(error: &Error) -> Self {
        Self::failed(error.kind(), error.message().to_owned())
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(..) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The event with which a stream ends in this state. The official clients know no event
    /// of a cancelled response, and end with an error at one that they do not know.
    pub(super) fn event(&self) -> &'static str {
        match self {
            Self::Failed(..) => "response.failed",
            Self::Incomplete(_) | Self::Cancelled => "response.incomplete",
            _ => "response.completed",
        }
    }

    /// Whether all was said.
    pub(super) fn is_whole(&self) -> bool {
        *self == Self::Completed
    }
}

impl Outcome {
    /// That of a response of which nothing is there yet.
    pub(super) fn begun(state: State) -> Self {
        Self { state, output: Vec::new(), usage: None, ended_at: None }
    }

    /// That of a stored run with its answer. `found` are the passages of its search.
    pub(super) fn of_run(echo: &Echo, run: &Run, answer: &[Part], found: &[Citation]) -> Self {
        let state = State::of_run(run);
        Self {
            output: match state {
                State::Queued | State::InProgress => Vec::new(),
                _ => output(echo, run.message_id, answer, found, state.is_whole()),
            },
            usage: run.usage.filter(|_| run.status.is_final()),
            ended_at: run.finished_at.map(aimate_core::Timestamp::unix_seconds),
            state,
        }
    }
}

impl Head {
    /// That of a stored run.
    pub(super) fn of_run(run: &Run, echo: Echo) -> Self {
        Self { id: run.id, model: run.model.clone(), echo }
    }

    /// Its id.
    pub(super) fn wire_id(&self) -> String {
        wire_id::write(PREFIX, self.id.0)
    }

    /// When it was made, in seconds since 1970: as its id says, so that it needs no look at
    /// the run.
    pub(super) fn created_at(&self) -> u64 {
        self.id.0.get_timestamp().map_or(0, |at| at.to_unix().0)
    }

    /// The whole object.
    pub(super) fn response(&self, outcome: &Outcome) -> Value {
        let Outcome { state, output, usage, ended_at } = outcome;
        let mut all: Map<String, Value> = self.echo.fields.clone();
        let mut set = |name: &str, value: Value| {
            all.insert(name.to_owned(), value);
        };
        set("id", self.wire_id().into());
        set("object", "response".into());
        set("created_at", self.created_at().into());
        set("completed_at", json!(ended_at.filter(|_| state.is_whole())));
        set("status", state.name().into());
        set("model", self.model.clone().into());
        set("output", json!(output));
        set("usage", usage.as_ref().map_or(Value::Null, usage_object));
        set(
            "incomplete_details",
            match state {
                State::Incomplete(reason) => json!({"reason": reason}),
                _ => Value::Null,
            },
        );
        set(
            "error",
            match state {
                State::Failed(code, message) => json!({"code": code, "message": message}),
                _ => Value::Null,
            },
        );
        Value::Object(all)
    }
}

/// Tokens in the form of a response.
pub(super) fn usage_object(usage: &TokenUsage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
    })
}
