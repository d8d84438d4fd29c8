//! The words of a search as somebody types it, and where they stand in a text.
//!
//! A question of [`analyze_query`](super::analyze_query) is ranked by as many of its
//! words as there are. Here each word has to occur, and the last one may be only
//! begun: whoever types `run`, `runn` and `running` finds the same text all the while.

use std::ops::Range;

use super::scan::{Token, scan};
use super::{Terms, compose, fold, parts, stop, tokens};

/// The most words of a search that count.
pub const MAX_SEARCH_WORDS: usize = 32;

/// Characters that the beginning of a word has at least: one would fit most texts. In
/// scripts in which a character says more, one is enough.
const MIN_BEGINNING: usize = 2;

/// The terms by which [`SearchWords`] find a text: those of a passage, and besides each
/// stem the word as it was written. Nothing is counted.
pub fn analyze_as_written(text: &str) -> Terms {
    let text = compose(text);
    let mut terms: Vec<(String, u32)> = Vec::new();
    let mut folded = String::new();
    for token in tokens(&text, usize::MAX).into_keys() {
        each_term(token, &mut folded, |term| {
            // Most words are their own stems.
            if terms.last().is_none_or(|(last, _)| last != term) {
                terms.push((term.to_owned(), 1));
            }
        });
    }
    terms.sort_unstable();
    terms.dedup();
    Terms { counts: terms, length: 0 }
}

/// `text` as [`SearchWords::find`] reads it: with letters put together that some systems
/// write apart.
pub fn composed(text: &str) -> std::borrow::Cow<'_, str> {
    compose(text)
}

/// A word that has to occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchWord {
    /// This term.
    Term(String),
    /// A term that begins with `beginning`, or the term `stem`.
    Beginning {
        /// What was typed of the word.
        beginning: String,
        /// Its stem, if it is whole.
        stem: String,
    },
}

impl SearchWord {
    fn is(&self, term: &str) -> bool {
        match self {
            Self::Term(word) => word == term,
            Self::Beginning { beginning, stem } => term.starts_with(beginning.as_str()) || stem == term,
        }
    }
}

/// The words of a search, of which each has to occur.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchWords(Vec<SearchWord>);

/// A place where a word stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundWord {
    /// The bytes of the text.
    pub range: Range<usize>,
    /// Which words of the search they are: a bit each, the first one's the lowest.
    pub words: u64,
}

impl SearchWords {
    /// The words of `text`, the first [`MAX_SEARCH_WORDS`] of them; without stopwords,
    /// unless it has nothing else. The last one is only begun, unless a blank follows it. None of a text without letters and digits.
    pub fn new(text: &str) -> Self {
        let text = compose(text);
        let mut tokens: Vec<Token<'_>> = Vec::new();
        scan(&text, |token| match token {
            Token::Single(_) => {}
            // It says what its parts say, and how they are joined.
            Token::Compound(whole) => {
                let start = position(&text, whole);
                tokens.retain(|before| position(&text, piece(*before)) < start);
                tokens.push(token);
            }
            _ => tokens.push(token),
        });
        let mut folded = String::new();
        let mut words: Vec<(SearchWord, bool)> = Vec::new();
        for token in tokens {
            fold_token(token, &mut folded);
            if folded.is_empty() {
                continue;
            }
            let end = position(&text, piece(token)) + piece(token).len();
            let is_last = text.get(end..).is_some_and(|rest| !rest.contains(char::is_whitespace));
            let is_stopword = matches!(token, Token::Word(_)) && stop::is_stopword(&folded);
            let word = SearchWord::of(token, &folded, is_last);
            if !words.iter().any(|(other, _)| *other == word) {
                words.push((word, is_stopword));
            }
        }
        if words.iter().any(|(_, is_stopword)| !is_stopword) {
            words.retain(|(_, is_stopword)| !is_stopword);
        }
        words.truncate(MAX_SEARCH_WORDS);
        Self(words.into_iter().map(|(word, _)| word).collect())
    }

    /// The words.
    pub fn words(&self) -> &[SearchWord] {
        &self.0
    }

    /// The bits of all words.
    pub fn all(&self) -> u64 {
        (1_u64 << self.0.len()) - 1
    }

    /// Where words stand in a text that is [`composed`], in its order. Places may
    /// overlap, in scripts without spaces.
    pub fn find(&self, text: &str) -> Vec<FoundWord> {
        let mut found = Vec::new();
        let mut folded = String::new();
        scan(text, |token| {
            let mut bits = 0;
            each_term(token, &mut folded, |term| {
                for (n, _) in self.0.iter().enumerate().filter(|(_, word)| word.is(term)) {
                    bits |= 1 << n;
                }
            });
            if bits != 0 {
                let start = position(text, piece(token));
                found.push(FoundWord { range: start..start + piece(token).len(), words: bits });
            }
        });
        found.sort_by_key(|found| found.range.start);
        found
    }

    /// The bits of those words that occur in a text.
    pub fn occurring(&self, text: &str) -> u64 {
        self.find(&compose(text)).into_iter().fold(0, |bits, found| bits | found.words)
    }
}

impl SearchWord {
    fn of(token: Token<'_>, folded: &str, is_last: bool) -> Self {
        let is_word = matches!(token, Token::Word(_) | Token::Compound(_));
        let stem = if is_word { fold::stem(folded).into_owned() } else { folded.to_owned() };
        let is_long = !folded.is_ascii() || folded.len() >= MIN_BEGINNING;
        match is_word && is_last && is_long {
            true => Self::Beginning { beginning: folded.to_owned(), stem },
            false => Self::Term(stem),
        }
    }
}

/// Calls `each` with the terms that a token is found by; some may come twice.
fn each_term(token: Token<'_>, folded: &mut String, mut each: impl FnMut(&str)) {
    fold_token(token, folded);
    if folded.is_empty() {
        return;
    }
    each(folded);
    match token {
        Token::Word(_) => {
            each(&fold::stem(folded));
            for part in parts::parts(folded) {
                each(part);
                each(&fold::stem(part));
            }
        }
        Token::Compound(_) => {
            each(&fold::stem(folded));
            if let Some(number) = parts::number(folded) {
                each(number);
            }
        }
        Token::Pair(_) | Token::Single(_) | Token::Acronym(_) => {}
    }
}

fn fold_token(token: Token<'_>, folded: &mut String) {
    match token {
        Token::Acronym(letters) => fold::fold(&letters.replace('.', ""), folded),
        Token::Compound(whole) => fold::fold_compound(whole, folded),
        Token::Word(piece) | Token::Pair(piece) | Token::Single(piece) => fold::fold(piece, folded),
    }
}

fn piece<'t>(token: Token<'t>) -> &'t str {
    match token {
        Token::Word(piece)
        | Token::Pair(piece)
        | Token::Single(piece)
        | Token::Compound(piece)
        | Token::Acronym(piece) => piece,
    }
}

/// The byte of `text` at which `piece` of it begins.
fn position(text: &str, piece: &str) -> usize {
    piece.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::sign;

    fn finds(query: &str, text: &str) -> bool {
        let words = SearchWords::new(query);
        !words.words().is_empty() && words.occurring(text) == words.all()
    }

    #[test]
    fn word_is_found_while_it_is_typed() {
        for typed in ["ru", "run", "runn", "runni", "running"] {
            assert!(finds(typed, "It was running all night"), "{typed}");
        }
        assert!(finds("runs", "running"), "a whole word is found by its stem");
        assert!(!finds("runx", "running"));
        assert!(finds("r", "an R script") && !finds("r", "running"), "one letter is a word");
    }

    #[test]
    fn every_word_has_to_occur_and_only_the_last_is_begun() {
        assert!(finds("leaky pum", "The pump is leaky"));
        assert!(!finds("leaky valve", "The pump is leaky"));
        assert!(!finds("pum leaky", "The pump is leaky"), "the first word is whole");
        assert!(!finds("pum ", "The pump is leaky"), "a blank ends a word");
        assert!(finds("pum*", "The pump is leaky"));
    }

    #[test]
    fn scripts_without_spaces_case_and_accents_are_found() {
        for (query, text) in [
            ("猫", "一只小猫在睡觉"),
            ("小猫", "一只小猫在睡觉"),
            ("機械学習", "私は機械学習を勉強しています"),
            ("カタカナ", "これはカタカナです"),
            ("ปั๊ม", "ปั๊มน้ำเสีย"),
            ("한국", "한국어를 배운다"),
            ("cafe", "Ein CAFÉ in Köln"),
            ("KÖLN", "ein café in koln"),
            ("strasse", "Lange Straße"),
            ("книга", "Он читал КНИГИ"),
            ("δρόμος", "ΔΡΌΜΟΣ"),
        ] {
            assert!(finds(query, text), "{query} in {text}");
        }
        assert!(!finds("小狗", "一只小猫在睡觉"));
    }

    #[test]
    fn stopwords_count_if_there_is_nothing_else() {
        assert!(finds("the pump", "Pump 7"));
        assert!(finds("to be", "to be or not to be") && !finds("to be", "nothing"));
    }

    #[test]
    fn identifiers_are_found_however_they_are_joined() {
        assert!(finds("E-1042", "error e1042 again"));
        assert!(finds("foo_ba", "call foo_bar()"));
        assert!(finds("1042", "E-1042"));
        assert!(finds("v1.2", "since v1.2.3"));
        assert!(finds("self-hosted", "a self hosted server"));
    }

    #[test]
    fn signs_that_are_no_words_say_nothing() {
        for query in ["", "  ", "?!", "\"*\"", "😀", "\0", "%_\\"] {
            assert!(SearchWords::new(query).words().is_empty(), "{query:?}");
        }
        assert!(finds("\"pump\" NEAR/2 (seal*", "near 2 pump seals"));
    }

    #[test]
    fn places_are_those_of_the_words() {
        let text = "Die Straße: 小猫";
        let places = |query: &str| -> Vec<&str> {
            let found = SearchWords::new(query).find(text);
            found.into_iter().map(|found| &text[found.range]).collect()
        };
        assert_eq!(places("strasse"), ["Straße"]);
        assert_eq!(places("小猫"), ["小猫"]);
        assert_eq!(places("xyz"), [""; 0]);
    }

    #[test]
    fn long_search_is_cut_at_its_most_words() {
        let text: String = (0..500).map(|number| format!("word{number} ")).collect();
        assert_eq!(SearchWords::new(&text).words().len(), MAX_SEARCH_WORDS);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// What the index has of a text, and what is found in it, are the same.
        #[test]
        fn any_text_is_found_by_itself(text in vec(sign(), 0..40).prop_map(String::from_iter)) {
            let (words, terms) = (SearchWords::new(&text), analyze_as_written(&text));
            prop_assert_eq!(words.occurring(&text), words.all());
            for word in words.words() {
                prop_assert!(terms.counts.iter().any(|(term, _)| word.is(term)), "{:?}", word);
            }
        }
    }
}
