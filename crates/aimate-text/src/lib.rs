//! What text is: files into text, text into chunks and tokens.

pub mod extract;
pub mod split;
pub mod tokens;

#[cfg(test)]
mod testing;
