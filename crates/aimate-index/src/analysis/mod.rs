//! Text analysis: the terms of a text as BM25 counts them.
//!
//! One analysis serves every language and needs no setting: the script of a
//! word decides how it is cut and which stemmer takes off its ending. English
//! words such as `the` are kept in passages, where they do not count towards
//! the length, and left out of questions that say anything else besides.
//!
//! A word of letters and digits is found by itself and by its parts: `FY2018` also by
//! `fy` and by `2018`, `v2.1.0` also by `2.1.0`. Digits of every script are the same
//! ten.

mod fold;
mod parts;
mod scan;
mod search_words;
mod stop;

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use scan::{Token, scan};

pub use search_words::{FoundWord, MAX_SEARCH_WORDS, SearchWord, SearchWords, analyze_as_written, composed};

/// Version of the analysis, which is stored with each segment. It changes with
/// every change of the terms that [`analyze`] makes.
pub const VERSION: u32 = 2;

/// The most different words of a question that count. It bounds what a long text
/// pasted as a question costs. A word of letters and digits brings at most eight
/// parts with it.
pub const MAX_QUERY_WORDS: usize = 1_000;

/// Terms of a text with how often each occurs, and the number of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Each term once, in byte order, with its number of occurrences.
    pub counts: Vec<(String, u32)>,
    /// How many terms the text has, repeated ones included; stopwords, and what
    /// is a term of its own besides its parts, are not counted.
    pub length: u32,
}

/// The terms of a passage, for the index.
pub fn analyze(text: &str) -> Terms {
    let text = compose(text);
    let tokens = tokens(&text, usize::MAX);
    let mut builder = Builder::default();
    builder.terms.counts.reserve(tokens.len());
    for (token, count) in tokens {
        builder.add(token, count, Side::Passage);
    }
    builder.finish()
}

/// The terms of a question, for a search: without stopwords, unless it has nothing
/// else. A word said twice counts twice, which long questions need: on CISI it is
/// worth .08 nDCG.
pub fn analyze_query(text: &str) -> Terms {
    let text = compose(text);
    let tokens = tokens(&text, MAX_QUERY_WORDS);
    let of = |side| {
        let mut builder = Builder::default();
        for (token, count) in &tokens {
            builder.add(*token, *count, side);
        }
        builder.finish()
    };
    let terms = of(Side::Question);
    if terms.counts.is_empty() { of(Side::Stopwords) } else { terms }
}

/// `text` with the letters put together that pairs would cut apart: Korean and
/// Japanese as some systems write their file names.
fn compose(text: &str) -> Cow<'_, str> {
    let is_part = |character| matches!(character, '\u{1100}'..='\u{11FF}' | '\u{3099}' | '\u{309A}');
    if !text.is_ascii() && text.chars().any(is_part) && !is_nfc(text) {
        return text.nfc().collect();
    }
    text.into()
}

/// Each token once with its count, the first `max` of them.
fn tokens(text: &str, max: usize) -> HashMap<Token<'_>, u32, RandomState> {
    // A passage has a different word about every ten bytes.
    let capacity = (text.len() / 8).min(4_096);
    let mut counts = HashMap::<Token<'_>, u32, _>::with_capacity_and_hasher(capacity, RandomState::default());
    scan(text, |token| {
        if counts.len() < max {
            *counts.entry(token).or_default() += 1;
        } else if let Some(count) = counts.get_mut(&token) {
            *count += 1;
        }
    });
    counts
}

/// What the terms are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Passage,
    Question,
    /// A question that has nothing but stopwords.
    Stopwords,
}

#[derive(Default)]
struct Builder {
    terms: Terms,
    folded: String,
}

impl Builder {
    fn add(&mut self, token: Token<'_>, count: u32, side: Side) {
        let counts = match token {
            Token::Word(word) => {
                fold::fold(word, &mut self.folded);
                let stopword = stop::is_stopword(&self.folded);
                if stopword && side == Side::Question {
                    return;
                }
                !stopword
            }
            Token::Pair(pair) => {
                fold::fold(pair, &mut self.folded);
                true
            }
            Token::Single(_) if side != Side::Passage => return,
            Token::Single(single) => {
                fold::fold(single, &mut self.folded);
                false
            }
            Token::Acronym(letters) => {
                fold::fold(&letters.replace('.', ""), &mut self.folded);
                true
            }
            Token::Compound(whole) => {
                fold::fold_compound(whole, &mut self.folded);
                false
            }
        };
        if self.folded.is_empty() {
            return;
        }
        if counts {
            self.terms.length = self.terms.length.saturating_add(count);
        }
        let term = match token {
            Token::Word(_) | Token::Compound(_) => fold::stem(&self.folded).into_owned(),
            _ => self.folded.clone(),
        };
        self.terms.counts.push((term, count));
        match token {
            Token::Word(_) => {
                let parts = parts::parts(&self.folded);
                let parts = parts.filter(|part| side == Side::Passage || !stop::is_stopword(part));
                self.terms.counts.extend(parts.map(|part| (fold::stem(part).into_owned(), count)));
            }
            Token::Compound(_) => {
                self.terms
                    .counts
                    .extend(parts::number(&self.folded).map(|number| (number.to_owned(), count)));
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Terms {
        self.terms.counts.sort_unstable();
        self.terms.counts.dedup_by(|again, first| {
            let same = again.0 == first.0;
            if same {
                first.1 = first.1.saturating_add(again.1);
            }
            same
        });
        self.terms
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::sign;

    fn words(terms: &Terms) -> Vec<&str> {
        terms.counts.iter().map(|(term, _)| term.as_str()).collect()
    }

    #[test]
    fn words_of_one_stem_are_counted_together() {
        let terms = analyze("Run, running: runs!");
        assert_eq!(terms, Terms { counts: vec![("run".to_owned(), 3)], length: 3 });
    }

    #[test]
    fn stopwords_stay_in_passages_without_length() {
        let terms = analyze("the cat and the hat");
        assert_eq!(words(&terms), ["and", "cat", "hat", "the"]);
        assert_eq!(terms.length, 2);
    }

    #[test]
    fn question_drops_stopwords_unless_it_has_nothing_else() {
        assert_eq!(words(&analyze_query("What is the cat?")), ["cat"]);
        assert_eq!(words(&analyze_query("To be or not to be")), ["be", "not", "or", "to"]);
        assert!(analyze_query("?! 😀").counts.is_empty());
    }

    #[test]
    fn question_finds_identifiers_however_they_are_joined() {
        assert_eq!(words(&analyze_query("E-1042")), ["1042", "e", "e1042"]);
        assert!(words(&analyze("error e1042")).contains(&"e1042"));
        assert!(words(&analyze("call foo_bar()")).contains(&"foobar"));
        assert_eq!(words(&analyze_query("v1.2.3")), ["1.2.3", "2", "3", "v1", "v1.2.3"]);
        assert_eq!(words(&analyze("U.S. USA")), ["us", "usa"]);
    }

    #[test]
    fn one_character_of_a_longer_run_is_found() {
        assert!(words(&analyze("一只小猫在")).contains(&"猫"));
        assert_eq!(words(&analyze_query("猫")), ["猫"]);
        assert_eq!(words(&analyze_query("小猫")), ["小猫"]);
    }

    #[test]
    fn decomposed_letters_are_composed() {
        let text = "한국어 ガギ";
        assert_eq!(analyze(&text.nfd().collect::<String>()), analyze(text));
    }

    #[test]
    fn no_term_is_longer_than_the_most() {
        for text in ["x".repeat(1_000), "ﷺ".repeat(100), "é1_".repeat(99), "字".repeat(500), "a.".repeat(99)]
        {
            for (term, _) in analyze(&text).counts {
                assert!(term.len() <= fold::MAX_TERM, "{term}");
            }
        }
    }

    #[test]
    fn long_question_is_cut_at_its_most_words() {
        let text: String = (0..5_000).map(|number| format!("word{number} ")).collect();
        let terms = analyze_query(&text);
        let whole = words(&terms).into_iter().filter(|term| term.len() > 4);
        assert_eq!(whole.count(), MAX_QUERY_WORDS);
        assert!(words(&terms).contains(&"word999"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_text_is_analysed(text in vec(sign(), 0..40).prop_map(String::from_iter)) {
            let terms = analyze(&text);
            prop_assert!(terms.counts.is_sorted_by(|one, other| one.0 < other.0));
            for (term, _) in analyze_query(&text).counts {
                let found = terms.counts.binary_search_by(|(other, _)| other.cmp(&term));
                prop_assert!(found.is_ok(), "{term:?}");
            }
        }
    }
}
