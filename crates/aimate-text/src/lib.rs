//! What text is to a model: tokens now, documents and chunks later.

pub mod tokens;
