//! Warnings: what a caller should know of an answer that goes on nonetheless.

use crate::text::open_names;

open_names! {
    /// What a warning is about.
    pub enum WarningCode {
        /// The model server read only a part of the prompt.
        ContextTruncated = "context_truncated",
        /// The provider has no way to make the model call a tool.
        ToolChoiceIgnored = "tool_choice_ignored",
        /// The model reached its limit of tokens within a tool call.
        ToolCallTruncated = "tool_call_truncated",
        /// The answer reached a limit of this server and was cut there.
        AnswerCut = "answer_cut",
        /// A budget is used up, and the answer was stopped there.
        BudgetExceeded = "budget_exceeded",
        /// A piece of the answer could not be read.
        AnswerIncomplete = "answer_incomplete",
        /// A picture that the model server refused is left out of the prompt.
        ImageLeftOut = "image_left_out",
        /// The provider takes no such field, so it was left out of the request.
        FieldIgnored = "field_ignored",
        /// Passages could not be looked for everywhere, or not in every way.
        Retrieval = "retrieval",
        /// A tool that the turn named is not offered to the model, or not as it is now.
        Tool = "tool",
        /// No more tools are called in this answer: it reached a limit of them.
        ToolLimit = "tool_limit",
        /// The answer may cite a passage that there is not.
        CitationUnknown = "citation_unknown",
        /// The answer quotes what its passage does not say.
        QuoteNotFound = "quote_not_found",
    }
}
