//! aiMate's own tools.

mod read_output;

pub(crate) use read_output::{READ_OUTPUT, read_output};
