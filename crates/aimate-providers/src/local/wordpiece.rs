//! BERT's tokens: clean, split at spaces and punctuation, then cut each word
//! into the longest pieces of the vocabulary.
//!
//! Reads one character after the other and stops as soon as enough tokens are
//! there, so that the head of a long text costs no more than a short text.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use unicode_categories::UnicodeCategories;
use unicode_normalization::char::decompose_canonical;

/// Ids by text.
pub(super) type Vocabulary = HashMap<Box<str>, u32, RandomState>;

/// A tokenizer of the BERT family.
pub(super) struct Tokenizer {
    pub(super) cleaning: Cleaning,
    /// What a word may begin with.
    pub(super) words: Vocabulary,
    /// What a word may go on with, without the prefix (`##`) that says so.
    pub(super) pieces: Vocabulary,
    /// Bytes of the longest of either.
    pub(super) longest: usize,
    /// What stands for a word that has no pieces.
    pub(super) unknown: u32,
    /// Characters of a word that is cut at all.
    pub(super) max_word: usize,
    /// Tokens that stand for themselves wherever the text has them, such as `[SEP]`.
    pub(super) special: Vec<(Box<str>, u32)>,
    /// The bytes that these begin with.
    pub(super) special_begins: Vec<u8>,
    /// What goes before every text.
    pub(super) before: Vec<u32>,
    /// What goes behind every text.
    pub(super) behind: Vec<u32>,
}

/// What is done to a text before it is split.
#[derive(Clone, Copy)]
pub(super) struct Cleaning {
    pub(super) drop_control: bool,
    pub(super) split_chinese: bool,
    pub(super) strip_accents: bool,
    pub(super) lowercase: bool,
}

impl Tokenizer {
    /// The tokens of `text`, at most `max` with what goes before and behind.
    pub(super) fn encode(&self, text: &str, max: usize) -> Vec<u32> {
        let room = max.saturating_sub(self.before.len() + self.behind.len());
        let mut ids = self.before.clone();
        let mut walk = Walk::new(self, room);
        walk.text(text, &mut |id| ids.push(id));
        ids.extend(&self.behind);
        ids
    }

    /// How many tokens `text` has, with what goes before and behind.
    pub(super) fn count(&self, text: &str) -> usize {
        let mut walk = Walk::new(self, usize::MAX);
        walk.text(text, &mut |_| {});
        walk.found + self.before.len() + self.behind.len()
    }

    /// The largest id there is.
    pub(super) fn largest(&self) -> u32 {
        let special = self.special.iter().map(|(_, id)| id);
        let all = self.words.values().chain(self.pieces.values()).chain(special);
        all.chain(&self.before).chain(&self.behind).copied().max().unwrap_or(0).max(self.unknown)
    }

    /// The special token that `rest` begins with.
    fn special(&self, rest: &str) -> Option<(&str, u32)> {
        if !self.special_begins.contains(rest.as_bytes().first()?) {
            return None;
        }
        let found = self.special.iter().find(|(text, _)| rest.starts_with(&**text));
        found.map(|(text, id)| (&**text, *id))
    }

    /// The longest entry that `word` begins with, and its bytes.
    fn max_piece(&self, word: &str, begins: bool) -> Option<(usize, u32)> {
        let entries = if begins { &self.words } else { &self.pieces };
        let max = word.len().min(self.longest);
        (1..=max).rev().find_map(|end| Some((end, *entries.get(word.get(..end)?)?)))
    }
}

/// A walk through one text.
struct Walk<'a> {
    tokenizer: &'a Tokenizer,
    /// The word so far, no longer than a word that is cut.
    word: String,
    /// Characters of the word, those included that did not fit.
    characters: usize,
    pieces: Vec<u32>,
    found: usize,
    room: usize,
}

impl<'a> Walk<'a> {
    fn new(tokenizer: &'a Tokenizer, room: usize) -> Self {
        Self { tokenizer, word: String::new(), characters: 0, pieces: Vec::new(), found: 0, room }
    }

    fn text(&mut self, text: &str, emit: &mut impl FnMut(u32)) {
        let tokenizer = self.tokenizer;
        let mut rest = text.chars();
        while self.found < self.room {
            if let Some((special, id)) = tokenizer.special(rest.as_str()) {
                self.end_word(emit);
                self.token(id, emit);
                rest = rest.as_str().get(special.len()..).unwrap_or_default().chars();
            } else if let Some(character) = rest.next() {
                self.clean(character, emit);
            } else {
                return self.end_word(emit);
            }
        }
    }

    fn clean(&mut self, character: char, emit: &mut impl FnMut(u32)) {
        let Cleaning { drop_control, split_chinese, strip_accents, .. } = self.tokenizer.cleaning;
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

    fn lower(&mut self, character: char, emit: &mut impl FnMut(u32)) {
        if !self.tokenizer.cleaning.lowercase {
            self.split(character, emit);
        } else if character.is_ascii() {
            self.split(character.to_ascii_lowercase(), emit);
        } else {
            character.to_lowercase().for_each(|lower| self.split(lower, emit));
        }
    }

    fn split(&mut self, character: char, emit: &mut impl FnMut(u32)) {
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
        if self.characters <= self.tokenizer.max_word {
            self.word.push(character);
        }
    }

    /// Gives the tokens of the word that ends here, if there is one.
    fn end_word(&mut self, emit: &mut impl FnMut(u32)) {
        if self.characters == 0 {
            return;
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        if !self.cut(&mut pieces) {
            pieces.clear();
            pieces.push(self.tokenizer.unknown);
        }
        for id in pieces.drain(..) {
            self.token(id, emit);
        }
        self.pieces = pieces;
        self.word.clear();
        self.characters = 0;
    }

    /// Cuts the word into pieces; false where the vocabulary has none for it.
    fn cut(&self, pieces: &mut Vec<u32>) -> bool {
        if self.characters > self.tokenizer.max_word {
            return false;
        }
        let mut rest = self.word.as_str();
        while !rest.is_empty() {
            let Some((end, id)) = self.tokenizer.max_piece(rest, pieces.is_empty()) else { return false };
            pieces.push(id);
            rest = rest.get(end..).unwrap_or_default();
        }
        true
    }

    fn token(&mut self, id: u32, emit: &mut impl FnMut(u32)) {
        if self.found < self.room {
            self.found += 1;
            emit(id);
        }
    }
}

/// What cleaning takes out of a text. The tables are those of the reference
/// implementation, gaps included: another table makes other tokens.
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

/// The blocks of Chinese characters, each a word of its own.
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
