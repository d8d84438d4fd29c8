//! aiMate's own tools.

mod current_time;
mod read_output;
mod web_search;

pub(crate) use current_time::current_time;
pub(crate) use read_output::{READ_OUTPUT, read_output};
pub(crate) use web_search::web_search;
pub use web_search::{WEB_SEARCH, web_sources};
