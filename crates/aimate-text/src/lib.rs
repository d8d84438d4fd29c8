//! What text is to a model: tokens now, documents and chunks later.

pub mod extract;
pub mod split;
pub mod terms;
pub mod tokens;

#[cfg(test)]
mod testing;
