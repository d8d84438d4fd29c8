//! How answers end.

use std::time::Duration;

use super::transcript::Transcript;
use crate::error::{Error, ErrorKind, ErrorReason};
use crate::message::ToolCall;
use crate::provider::FinishReason;
use crate::run::{RunError, RunStatus};
use crate::usage::TokenUsage;

/// How long an answer waits for a database that stores nothing, once as much is
/// unlogged as may be.
pub(super) const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

/// How an answer ended.
pub(super) struct End {
    pub(super) status: RunStatus,
    pub(super) reason: Option<FinishReason>,
    pub(super) error: Option<RunError>,
    /// Later prompts leave the pictures of the question out.
    pub(super) is_image_refused: bool,
}

impl End {
    pub(super) fn completed(reason: FinishReason) -> Self {
        Self { reason: Some(reason), ..Self::of(RunStatus::Completed) }
    }

    fn of(status: RunStatus) -> Self {
        Self { status, reason: None, error: None, is_image_refused: false }
    }

    pub(super) fn cancelled() -> Self {
        let reason = Some(FinishReason::cancelled());
        Self { reason, ..Self::of(RunStatus::Cancelled) }
    }

    pub(super) fn interrupted(error: &Error) -> Self {
        Self { error: Some(error.into()), ..Self::of(RunStatus::Interrupted) }
    }
}

/// What the model has produced so far.
pub(crate) struct PartialAnswer {
    pub(super) transcript: Transcript,
    /// Of the model's answers that are over: one, or one for each step of its tools.
    pub(super) used: TokenUsage,
    /// What the provider says of the last one.
    pub(super) usage: Option<TokenUsage>,
    pub(super) reason: Option<FinishReason>,
}

impl PartialAnswer {
    /// One that begins, or goes on.
    pub(crate) fn new(transcript: Transcript, used: TokenUsage) -> Self {
        Self { transcript, used, usage: None, reason: None }
    }
}

/// What comes after a step of the model's tools.
pub(super) enum NextStep {
    /// The model is asked again.
    Ask,
    /// The answer has ended.
    End(End),
    /// These calls wait for a person.
    Wait(Vec<ToolCall>),
}

pub(super) fn database_away() -> Error {
    Error::unavailable("the database was away for too long to keep this answer; what came before is stored")
}

pub(super) fn shutting_down() -> Error {
    Error::unavailable("the server was stopped before the answer was whole; ask again")
}

/// The end of a stream without an error.
pub(super) fn ended(answer: &PartialAnswer) -> End {
    let Some(reason) = answer.reason.clone() else {
        let error = Error::upstream("the model server broke off before the answer was whole");
        return failed(&error, !answer.transcript.is_empty());
    };
    let reason = if answer.transcript.has_open_calls() && reason == FinishReason::Stop {
        FinishReason::ToolCalls
    } else if reason == FinishReason::ToolCalls && !answer.transcript.has_open_calls() {
        // Those that nobody offered were left out.
        FinishReason::Stop
    } else {
        reason
    };
    End { status: RunStatus::Completed, reason: Some(reason), error: None, is_image_refused: false }
}

/// The end by an error: what had begun is interrupted, what had not has failed.
pub(super) fn failed(error: &Error, began: bool) -> End {
    let broke_off = matches!(error.kind(), ErrorKind::Upstream | ErrorKind::Timeout | ErrorKind::Unavailable);
    let status = if began && broke_off { RunStatus::Interrupted } else { RunStatus::Failed };
    tracing::warn!(code = error.kind().as_str(), cause = ?error, "a run did not succeed");
    let is_image_refused = error.reason() == Some(ErrorReason::ImageRefused);
    End { status, reason: None, error: Some(error.into()), is_image_refused }
}
