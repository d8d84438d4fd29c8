//! A turn of a conversation: from the question to the stored answer.

pub(crate) mod accounting;
pub(crate) mod answer_limits;
mod approval;
pub(crate) mod call_trace;
pub(crate) mod channel;
pub(crate) mod context;
pub(crate) mod driver;
pub(crate) mod end;
pub mod event;
pub(crate) mod finish;
mod input;
pub(crate) mod log;
pub(crate) mod model_call;
pub(crate) mod prompt_messages;
pub(crate) mod prompt_tools;
pub(crate) mod tool_calls;
pub(crate) mod tool_loop;
pub(crate) mod tool_pairs;
pub(crate) mod tool_step;
pub(crate) mod transcript;
mod turn;
mod turn_hash;

pub use answer_limits::AnswerLimits;
pub use approval::{AskedCall, CallDecision, DecidedCall, OnApproval};
pub use input::{InputMessage, OnDisconnect, Truncation, TurnInput};
pub use turn::Turn;
