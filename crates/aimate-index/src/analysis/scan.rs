//! Where the words of a text are: one pass, without a copy.

use unicode_normalization::char::is_combining_mark;

/// The longest identifier that is a term as a whole too.
const MAX_COMPOUND: usize = 64;

/// A piece of a text that becomes a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token<'t> {
    /// A word or number.
    Word(&'t str),
    /// Two characters next to each other in a script without spaces, or one
    /// that stands alone.
    Pair(&'t str),
    /// One character of a longer run, so that questions of one character find it.
    Single(&'t str),
    /// What is joined as an identifier or number is (`foo_bar`, `v1.2.3`,
    /// `E-1042`); its parts are words besides.
    Compound(&'t str),
    /// Single letters with dots between, as in `U.S.`; its parts are no words.
    Acronym(&'t str),
}

/// What a character is to the scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Between words.
    Gap,
    /// Of a script that writes words apart.
    Word,
    /// Han and Kana, cut into pairs; each character counts too.
    Han,
    /// Korean, cut into pairs because its particles grow on to the words.
    Hangul,
    /// Thai, Lao, Khmer and Myanmar, cut into pairs.
    Pairs,
    /// Invisible inside a word: soft hyphen and joiners.
    Joiner,
}

/// Calls `each` with the tokens of `text` in order.
pub(super) fn scan<'t>(text: &'t str, mut each: impl FnMut(Token<'t>)) {
    let scanner = Scanner { text };
    let mut at = 0;
    while at < text.len() {
        let (class, length) = scanner.peek(at);
        at = match class {
            Class::Gap | Class::Joiner => at + length,
            Class::Word => scanner.words(at, &mut each),
            Class::Han | Class::Hangul | Class::Pairs => scanner.pairs(at, class, &mut each),
        };
    }
}

struct Scanner<'t> {
    text: &'t str,
}

impl<'t> Scanner<'t> {
    /// The class and length of the character at `at`.
    #[inline]
    fn peek(&self, at: usize) -> (Class, usize) {
        match self.text.as_bytes().get(at) {
            Some(byte) if byte.is_ascii_alphanumeric() => (Class::Word, 1),
            Some(byte) if !byte.is_ascii() => self.peek_wide(at),
            _ => (Class::Gap, 1),
        }
    }

    fn peek_wide(&self, at: usize) -> (Class, usize) {
        let Some(character) = self.slice(at, self.text.len()).chars().next() else {
            return (Class::Gap, 1);
        };
        (class(character), character.len_utf8())
    }

    fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }

    #[inline]
    fn word_end(&self, mut at: usize) -> usize {
        while let (Class::Word | Class::Joiner, length) = self.peek(at) {
            at += length;
        }
        at
    }

    /// Where the next part of a compound starts, if one is joined on at `at`.
    #[inline]
    fn joined(&self, at: usize) -> Option<usize> {
        let next = match self.text.as_bytes().get(at)? {
            b'_' | b'-' | b'.' | b'\'' => at + 1,
            0xE2 if self.slice(at, at + 3) == "’" => at + 3,
            _ => return None,
        };
        (self.peek(next).0 == Class::Word).then_some(next)
    }

    /// Emits the word at `start` and those joined to it; returns where they end.
    fn words(&self, start: usize, each: &mut impl FnMut(Token<'t>)) -> usize {
        let first = self.word_end(start);
        let mut end = first;
        while let Some(next) = self.joined(end) {
            end = self.word_end(next);
        }
        let whole = self.slice(start, end);
        if end == first {
            each(Token::Word(whole));
        } else if is_acronym(whole) {
            each(Token::Acronym(whole));
        } else {
            self.parts(start, end, each);
            if is_identifier(whole) {
                each(Token::Compound(whole));
            }
        }
        end
    }

    fn parts(&self, start: usize, end: usize, each: &mut impl FnMut(Token<'t>)) {
        let mut at = start;
        let mut after_apostrophe = false;
        loop {
            let word_end = self.word_end(at);
            let word = self.slice(at, word_end);
            if !(after_apostrophe && is_ending(word)) {
                each(Token::Word(word));
            }
            match self.joined(word_end) {
                Some(next) if word_end < end => {
                    after_apostrophe = self.slice(word_end, next).ends_with(['\'', '’']);
                    at = next;
                }
                _ => return,
            }
        }
    }

    /// Emits the run of `kind` at `start` as overlapping pairs; returns where it ends.
    fn pairs(&self, start: usize, kind: Class, each: &mut impl FnMut(Token<'t>)) -> usize {
        let (_, length) = self.peek(start);
        let (mut before, mut at) = (start, start + length);
        let mut lone = true;
        loop {
            let (class, length) = self.peek(at);
            let more = class == kind;
            if kind == Class::Han && (more || !lone) && is_ideograph(self.slice(before, at)) {
                each(Token::Single(self.slice(before, at)));
            }
            if !more {
                break;
            }
            each(Token::Pair(self.slice(before, at + length)));
            (before, at, lone) = (at, at + length, false);
        }
        if lone {
            each(Token::Pair(self.slice(start, at)));
        }
        at
    }
}

fn is_acronym(whole: &str) -> bool {
    let mut parts = whole.split('.');
    parts.all(|part| {
        let mut characters = part.chars();
        characters.next().is_some_and(char::is_alphabetic) && characters.next().is_none()
    })
}

fn is_identifier(whole: &str) -> bool {
    whole.len() <= MAX_COMPOUND
        && (whole.bytes().any(|byte| byte == b'_' || byte.is_ascii_digit())
            || !whole.is_ascii() && whole.chars().any(char::is_numeric))
        && !whole.contains(['\'', '’'])
}

/// What follows an apostrophe in English without being a word.
fn is_ending(word: &str) -> bool {
    let is = |ending: &&str| word.eq_ignore_ascii_case(ending);
    ["s", "t", "d", "m", "ll", "re", "ve"].iter().any(is)
}

fn is_ideograph(character: &str) -> bool {
    // Kana start with E3 81 to E3 83 in UTF-8; alone they mean nothing.
    !matches!(character.as_bytes(), [0xE3, 0x81..=0x83, _] | [0xEF, ..])
}

fn class(character: char) -> Class {
    match character {
        '\u{AD}' | '\u{200C}' | '\u{200D}' | '\u{2060}' => Class::Joiner,
        // Digits that are set apart, such as the number of a footnote.
        '\u{B2}'..='\u{BE}' if character != '\u{B5}' && character != '\u{BA}' => Class::Gap,
        '\u{2070}'..='\u{207E}' | '\u{2150}'..='\u{215F}' | '\u{2460}'..='\u{249B}' => Class::Gap,
        '\u{3005}' | '\u{3007}' | '\u{3021}'..='\u{3029}' => Class::Han,
        '\u{3041}'..='\u{3096}' | '\u{3099}' | '\u{309A}' | '\u{309D}'..='\u{309F}' => Class::Han,
        '\u{30A1}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' => Class::Han,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' => Class::Han,
        '\u{FF66}'..='\u{FF9F}' | '\u{1B000}'..='\u{1B16F}' | '\u{20000}'..='\u{323AF}' => Class::Han,
        '\u{AC00}'..='\u{D7A3}' | '\u{1100}'..='\u{11FF}' | '\u{3131}'..='\u{318E}' => Class::Hangul,
        '\u{A960}'..='\u{A97C}' | '\u{D7B0}'..='\u{D7FB}' | '\u{FFA1}'..='\u{FFDC}' => Class::Hangul,
        _ if !(character.is_alphanumeric() || is_combining_mark(character)) => Class::Gap,
        // Digits stand in a number, whatever the script is.
        '\u{E50}'..='\u{E59}' | '\u{ED0}'..='\u{ED9}' | '\u{1040}'..='\u{1049}' => Class::Word,
        '\u{1090}'..='\u{1099}' | '\u{17E0}'..='\u{17E9}' | '\u{A9F0}'..='\u{A9F9}' => Class::Word,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Class::Pairs,
        '\u{A9E0}'..='\u{A9FE}' | '\u{AA60}'..='\u{AA7F}' => Class::Pairs,
        _ => Class::Word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut all = Vec::new();
        scan(text, |token| all.push(token));
        all
    }

    #[test]
    fn identifiers_are_emitted_in_parts_and_whole() {
        use Token::{Acronym, Compound, Word};
        assert_eq!(tokens("foo_bar()"), [Word("foo"), Word("bar"), Compound("foo_bar")]);
        assert_eq!(tokens("E-1042."), [Word("E"), Word("1042"), Compound("E-1042")]);
        assert_eq!(tokens("two-way"), [Word("two"), Word("way")]);
        assert_eq!(tokens("U.S.A. x"), [Acronym("U.S.A"), Word("x")]);
        assert_eq!(tokens("l’homme's"), [Word("l"), Word("homme")]);
    }

    #[test]
    fn scripts_without_spaces_are_emitted_in_pairs() {
        use Token::{Pair, Single, Word};
        let expected = [Single("東"), Pair("東京"), Single("京"), Pair("京タ"), Pair("タワ")];
        assert_eq!(tokens("東京タワ"), expected);
        assert_eq!(tokens("猫 cat"), [Pair("猫"), Word("cat")]);
        assert_eq!(tokens("한국어"), [Pair("한국"), Pair("국어")]);
        assert_eq!(tokens("ไทย"), [Pair("ไท"), Pair("ทย")]);
    }

    #[test]
    fn ascii_words_end_where_unicode_says() {
        assert_eq!(tokens("a1, b;c"), [Token::Word("a1"), Token::Word("b"), Token::Word("c")]);
        assert_eq!(tokens("m²½ 😀"), [Token::Word("m")]);
    }
}
