//! OpenAI's Responses: `/v1/responses`. A response is a run and its answer; what follows it is
//! answered under that answer.

mod approval;
mod ask;
mod body;
mod citation;
pub(crate) mod compaction;
mod echo;
mod events;
mod format;
mod frame;
mod hosted;
mod input;
mod input_file;
mod item_kind;
mod mcp;
mod object;
mod output;
mod prompt;
mod query;
mod reference;
mod request;
pub(crate) mod routes;
mod schema;
mod sealed;
mod search;
pub(crate) mod socket;
mod tool;
mod tool_choice;
mod unstored;
mod web_search;
mod word;
