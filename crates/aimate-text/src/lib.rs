//! What text is: documents into text, text into chunks, terms and tokens.

pub mod extract;
pub mod split;
pub mod terms;
pub mod tokens;

#[cfg(test)]
mod testing;
