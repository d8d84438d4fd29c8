//! See [`crate::fuzzing`].

use super::tokenizer_file::Around;
use super::{tokenizer, tokenizer_file};

/// A tokenizer.
pub struct Tokenizer(tokenizer::Tokenizer);

impl Tokenizer {
    /// Out of the text of a `tokenizer.json`; `None` if it is of no known kind.
    pub fn read(json: &str) -> Option<Self> {
        tokenizer_file::read(json, Around::Added).ok().map(Self)
    }

    /// The tokens of `text`, at most `max` with those around it.
    pub fn encode(&self, text: &str, max: usize) -> Vec<u32> {
        self.0.encode(text, max)
    }

    /// How many tokens `text` has, those around it included.
    pub fn count(&self, text: &str) -> usize {
        self.0.count(text)
    }

    /// The largest token there is.
    pub fn largest(&self) -> u32 {
        self.0.largest()
    }
}
