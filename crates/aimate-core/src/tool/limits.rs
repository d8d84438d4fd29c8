//! What the tool calls of one answer may take.

use std::time::Duration;

use crate::setters::setters;
use crate::usage::Cost;

/// What the tool calls of one answer may take. A run that reaches a limit asks its model
/// once more, without tools, so that it answers from what it has; a warning (`tool_limit`)
/// says which limit it was.
///
/// ```
/// use aimate_core::tool::ToolLimits;
/// let limits = ToolLimits::default().steps(5_u32).call_time(std::time::Duration::from_secs(20));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolLimits {
    /// Times that the model may call tools, several at once each. Default: 20.
    pub steps: u32,
    /// Calls of one step that run at the same time. Default: 16; more wait their turn.
    pub at_once: usize,
    /// How long one call may take, a person's thinking not counted. Default: 60 s.
    pub call_time: Duration,
    /// How long a tool waits for a person whom it asks something. Default: 5 minutes.
    pub answer_time: Duration,
    /// From the beginning of the answer until no more tools are called, waiting for
    /// approvals not counted. Default: 30 minutes.
    pub time: Duration,
    /// Tokens that the run's model calls may read and write together before no more tools
    /// are called. Default: no limit.
    pub tokens: Option<u64>,
    /// What they may cost together. Default: no limit but the budgets.
    pub cost: Option<Cost>,
    /// Bytes of a result that the model is shown. Default: 32 KiB.
    pub shown: usize,
    /// Bytes of a result that are kept, to be paged through. Default: 4 MiB.
    pub kept: usize,
    /// How often the same call, arguments included, may be made in one answer. Default: 3.
    pub repeats: u32,
}

impl Default for ToolLimits {
    fn default() -> Self {
        Self {
            steps: 20,
            at_once: 16,
            call_time: Duration::from_secs(60),
            answer_time: Duration::from_secs(300),
            time: Duration::from_secs(1_800),
            tokens: None,
            cost: None,
            shown: 32 << 10,
            kept: 4 << 20,
            repeats: 3,
        }
    }
}

impl ToolLimits {
    setters! {
        /// With so many steps.
        plain steps: u32;
        /// With so many calls at the same time.
        plain at_once: usize;
        /// With so much time for one call.
        plain call_time: Duration;
        /// With so much time for a person's answer.
        plain answer_time: Duration;
        /// With so much time for all.
        plain time: Duration;
        /// With so many tokens for all.
        optional tokens: u64;
        /// With so much money for all.
        optional cost: Cost;
        /// With so many bytes of a result for the model.
        plain shown: usize;
        /// With so many bytes of a result kept.
        plain kept: usize;
        /// With so many equal calls.
        plain repeats: u32;
    }
}
