//! BERT's WordPiece tokenizer: normalizes, splits at white space and punctuation,
//! then splits each word into the longest pieces of the vocabulary.
//!
//! Own code, because it reads one character after the other and stops at the
//! maximum: a long text that is truncated costs no more than a short one.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use unicode_categories::UnicodeCategories;
use unicode_normalization::char::decompose_canonical;

use super::special_tokens::SpecialTokens;

/// Token ids by text.
pub(super) type Vocabulary = HashMap<Box<str>, u32, RandomState>;

/// A tokenizer of the BERT family, without what is around a text.
pub(super) struct WordPiece {
    pub(super) cleaning: Cleaning,
    /// Pieces that begin a word.
    pub(super) words: Vocabulary,
    /// Pieces that continue a word, without their prefix (`##`).
    pub(super) pieces: Vocabulary,
    /// Bytes of the longest piece.
    pub(super) longest: usize,
    /// The token of a word without pieces (`[UNK]`).
    pub(super) unknown: u32,
    /// Maximum characters of a word; longer ones are `unknown`.
    pub(super) max_word: usize,
}

/// How a text is normalized before it is split.
#[derive(Clone, Copy)]
pub(super) struct Cleaning {
    pub(super) drop_control: bool,
    pub(super) split_chinese: bool,
    pub(super) strip_accents: bool,
    pub(super) lowercase: bool,
}

impl WordPiece {
    /// Emits the tokens of `text`, at most `room`.
    pub(super) fn walk(&self, text: &str, special: &SpecialTokens, room: usize, emit: &mut dyn FnMut(u32)) {
        TokenWalk::new(self, room).text(text, special, emit);
    }

    /// All pieces, without their prefix.
    pub(super) fn vocabulary(&self) -> impl Iterator<Item = String> + '_ {
        self.words.keys().chain(self.pieces.keys()).map(|piece| piece.to_string())
    }

    /// The largest token id.
    pub(super) fn largest(&self) -> u32 {
        self.words.values().chain(self.pieces.values()).copied().max().unwrap_or(0)
    }

    /// The longest entry that `word` begins with, and its bytes.
    fn max_piece(&self, word: &str, begins: bool) -> Option<(usize, u32)> {
        let entries = if begins { &self.words } else { &self.pieces };
        let max = word.len().min(self.longest);
        (1..=max).rev().find_map(|end| Some((end, *entries.get(word.get(..end)?)?)))
    }
}

/// The state of tokenizing one text.
struct TokenWalk<'a> {
    model: &'a WordPiece,
    /// The word so far, at most `max_word` characters of it.
    word: String,
    /// Characters of the word, those included that did not fit.
    characters: usize,
    pieces: Vec<u32>,
    found: usize,
    room: usize,
}

impl<'a> TokenWalk<'a> {
    fn new(model: &'a WordPiece, room: usize) -> Self {
        Self { model, word: String::new(), characters: 0, pieces: Vec::new(), found: 0, room }
    }

    fn text(&mut self, text: &str, special: &SpecialTokens, emit: &mut dyn FnMut(u32)) {
        let mut rest = text.chars();
        while self.found < self.room {
            if let Some(special) = special.at(rest.as_str()) {
                self.end_word(emit);
                self.token(special.id, emit);
                rest = rest.as_str().get(special.text.len()..).unwrap_or_default().chars();
            } else if let Some(character) = rest.next() {
                self.clean(character, emit);
            } else {
                return self.end_word(emit);
            }
        }
    }

    fn clean(&mut self, character: char, emit: &mut dyn FnMut(u32)) {
        let Cleaning { drop_control, split_chinese, strip_accents, .. } = self.model.cleaning;
        if drop_control && is_dropped(character) {
            return;
        }
        let alone = split_chinese && is_chinese(character);
        if alone {
            self.end_word(emit);
        }
        if strip_accents && !character.is_ascii() {
            decompose_canonical(character, |part| {
                if !part.is_mark_nonspacing() {
                    self.lower(part, emit);
                }
            });
        } else {
            self.lower(character, emit);
        }
        if alone {
            self.end_word(emit);
        }
    }

    fn lower(&mut self, character: char, emit: &mut dyn FnMut(u32)) {
        if !self.model.cleaning.lowercase {
            self.split(character, emit);
        } else if character.is_ascii() {
            self.split(character.to_ascii_lowercase(), emit);
        } else {
            character.to_lowercase().for_each(|lower| self.split(lower, emit));
        }
    }

    fn split(&mut self, character: char, emit: &mut dyn FnMut(u32)) {
        if character.is_whitespace() {
            self.end_word(emit);
        } else if is_punctuation(character) {
            self.end_word(emit);
            self.push(character);
            self.end_word(emit);
        } else {
            self.push(character);
        }
    }

    fn push(&mut self, character: char) {
        self.characters += 1;
        if self.characters <= self.model.max_word {
            self.word.push(character);
        }
    }

    /// Emits the tokens of the word that ends here, if there is one.
    fn end_word(&mut self, emit: &mut dyn FnMut(u32)) {
        if self.characters == 0 {
            return;
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        if !self.cut(&mut pieces) {
            pieces.clear();
            pieces.push(self.model.unknown);
        }
        for id in pieces.drain(..) {
            self.token(id, emit);
        }
        self.pieces = pieces;
        self.word.clear();
        self.characters = 0;
    }

    /// Splits the word into pieces; false if the vocabulary has none for it.
    fn cut(&self, pieces: &mut Vec<u32>) -> bool {
        if self.characters > self.model.max_word {
            return false;
        }
        let mut rest = self.word.as_str();
        while !rest.is_empty() {
            let Some((end, id)) = self.model.max_piece(rest, pieces.is_empty()) else { return false };
            pieces.push(id);
            rest = rest.get(end..).unwrap_or_default();
        }
        true
    }

    fn token(&mut self, id: u32, emit: &mut dyn FnMut(u32)) {
        if self.found < self.room {
            self.found += 1;
            emit(id);
        }
    }
}

/// Whether normalization drops a character. The tables are those of the reference
/// implementation, gaps included: another table would make other tokens.
fn is_dropped(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\0'..='\x1f' | '\u{fffd}' => true,
        _ => character.is_other(),
    }
}

fn is_punctuation(character: char) -> bool {
    if character.is_ascii() { character.is_ascii_punctuation() } else { character.is_punctuation() }
}

/// Whether a character is of a CJK block, where each is a word of its own.
fn is_chinese(character: char) -> bool {
    matches!(
        u32::from(character),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}
