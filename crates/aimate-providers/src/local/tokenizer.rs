//! A tokenizer: text to token ids, by one of two models.

use super::special_tokens::SpecialTokens;
use super::unigram::Unigram;
use super::wordpiece::WordPiece;

/// A tokenizer with what is added around a text.
pub(super) struct Tokenizer {
    pub(super) model: Pieces,
    pub(super) special: SpecialTokens,
    /// Tokens added before every text.
    pub(super) before: Vec<u32>,
    /// Tokens added after every text.
    pub(super) behind: Vec<u32>,
}

/// How words become tokens.
pub(super) enum Pieces {
    /// BERT's: the longest pieces.
    WordPiece(WordPiece),
    /// SentencePiece's: the likeliest pieces.
    Unigram(Unigram),
}

impl Tokenizer {
    /// Returns the tokens of `text`, at most `max` with the added ones.
    pub(super) fn encode(&self, text: &str, max: usize) -> Vec<u32> {
        let room = max.saturating_sub(self.before.len() + self.behind.len());
        let mut ids = self.before.clone();
        self.walk(text, room, &mut |id| ids.push(id));
        ids.extend(&self.behind);
        ids
    }

    /// Returns the tokens of `text` alone, at most `max`.
    pub(super) fn bare(&self, text: &str, max: usize) -> Vec<u32> {
        let mut ids = Vec::new();
        self.walk(text, max, &mut |id| ids.push(id));
        ids
    }

    /// Returns the number of tokens of `text`, with the added ones.
    pub(super) fn count(&self, text: &str) -> usize {
        let mut found = self.before.len() + self.behind.len();
        self.walk(text, usize::MAX, &mut |_| found += 1);
        found
    }

    fn walk(&self, text: &str, room: usize, emit: &mut dyn FnMut(u32)) {
        match &self.model {
            Pieces::WordPiece(model) => model.walk(text, &self.special, room, emit),
            Pieces::Unigram(model) => model.walk(text, &self.special, room, emit),
        }
    }

    /// Returns all pieces as they stand in a word.
    pub(super) fn vocabulary(&self) -> Box<dyn Iterator<Item = String> + '_> {
        match &self.model {
            Pieces::WordPiece(model) => Box::new(model.vocabulary()),
            Pieces::Unigram(model) => Box::new(model.vocabulary()),
        }
    }

    /// Returns the token of what has no other.
    pub(super) fn unknown(&self) -> u32 {
        match &self.model {
            Pieces::WordPiece(model) => model.unknown,
            Pieces::Unigram(model) => model.unknown,
        }
    }

    /// Returns the largest token id.
    pub(super) fn largest(&self) -> u32 {
        let special = self.special.ids();
        let added = special.chain(self.before.iter().copied()).chain(self.behind.iter().copied());
        let model = match &self.model {
            Pieces::WordPiece(model) => model.largest(),
            Pieces::Unigram(model) => model.largest(),
        };
        added.max().unwrap_or(0).max(model).max(self.unknown())
    }
}
