//! What text is: files into text, text into chunks and tokens.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod extract;
pub mod split;
pub mod tokens;

#[cfg(test)]
mod testing;
