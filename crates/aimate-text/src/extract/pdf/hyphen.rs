//! Words that are divided between two lines.

use std::collections::HashSet;

/// The most frequent words of English, to tell `price-determining`, two words with a
/// hyphen, from `regula-tion`, one word that the end of the line divides.
static FREQUENT: &str = include_str!("words.txt");

/// The words of a document, and its words with a hyphen, as they stand within lines.
#[derive(Default)]
pub(super) struct Words {
    words: HashSet<String>,
    compounds: HashSet<String>,
}

/// What joins two parts of a divided word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Nothing: the hyphen was the line's.
    Word,
    /// The hyphen, which is the word's.
    Hyphen,
    /// They are two words.
    Space,
}

impl Words {
    /// Learns the words of a line. Its first and last one may be parts.
    pub(super) fn learn(&mut self, line: &str) {
        let count = line.split_whitespace().count();
        for (index, word) in line.split_whitespace().enumerate() {
            let word = trimmed(word);
            if index + 1 == count && line.ends_with(is_hyphen) || word.len() > 64 {
                continue;
            }
            if word.contains('-') {
                self.compounds.insert(word.to_lowercase());
                self.words.extend(word.split('-').map(str::to_lowercase));
            } else if index > 0 || count == 1 {
                self.words.insert(word.to_lowercase());
            }
        }
    }

    /// Decides how a line that ends with a hyphen continues on the next one.
    pub(super) fn join(&self, line: &str, next: &str) -> Join {
        let Some(hyphen) = line.chars().next_back().filter(|one| is_hyphen(*one)) else {
            return Join::Space;
        };
        let head = line.trim_end_matches(is_hyphen);
        let first = head
            .rsplit(|one: char| one.is_whitespace() || matches!(one, '(' | '/' | '“' | '"'))
            .next()
            .unwrap_or_default();
        let second = next.split_whitespace().next().unwrap_or_default();
        let second = second.trim_end_matches(|one: char| !one.is_alphanumeric());
        if !first.ends_with(char::is_alphabetic) || first.is_empty() {
            // "1939-" and "1945", or a dash.
            let is_range =
                first.ends_with(|one: char| one.is_ascii_digit()) && second.starts_with(char::is_numeric);
            return if is_range
                || (second.starts_with(char::is_alphabetic)
                    && first.ends_with(|one: char| one.is_ascii_digit()))
            {
                Join::Hyphen
            } else {
                Join::Space
            };
        }
        if hyphen == '\u{ad}' {
            return Join::Word;
        }
        if matches!(
            second,
            "and" | "or" | "to" | "und" | "oder" | "bis" | "et" | "ou" | "y" | "e" | "en" | "och" | "og"
        ) {
            // "short- and long-term".
            return Join::Space;
        }
        match second.chars().next() {
            Some(one) if one.is_lowercase() => {}
            Some(one) if one.is_alphanumeric() => {
                // All capitals are divided like any word.
                let is_capital =
                    |text: &str| text.chars().filter(|one| one.is_alphabetic()).all(char::is_uppercase);
                if !(is_capital(first) && is_capital(second) && first.len() > 1 && second.chars().count() > 1)
                {
                    return Join::Hyphen;
                }
            }
            _ => return Join::Space,
        }
        let (first, second) = (first.to_lowercase(), second.to_lowercase());
        let second_word = second.split('-').next().unwrap_or(&second);
        if self.compounds.contains(&format!("{first}-{second}")) {
            return Join::Hyphen;
        }
        let whole = format!("{}{second_word}", first.rsplit('-').next().unwrap_or(&first));
        if self.words.contains(&whole) || is_frequent(&whole) {
            return Join::Word;
        }
        let last = first.rsplit('-').next().unwrap_or_default();
        if first.contains('-') && (last.chars().count() <= 3 || self.is_word(second_word)) {
            return Join::Hyphen;
        }
        let are_words = self.is_word(&first) && self.is_word(second_word);
        if are_words { Join::Hyphen } else { Join::Word }
    }

    fn is_word(&self, word: &str) -> bool {
        let letters = word.chars().count();
        letters >= 3 && (is_frequent(word) || (letters >= 4 && self.words.contains(word)))
    }
}

fn is_frequent(word: &str) -> bool {
    static WORDS: std::sync::OnceLock<HashSet<&'static str>> = std::sync::OnceLock::new();
    WORDS.get_or_init(|| FREQUENT.split_whitespace().collect()).contains(word)
}

/// Whether a character divides a word at the end of a line.
pub(super) fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '\u{ad}' | '\u{2010}' | '\u{2011}')
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(|one: char| !one.is_alphanumeric())
}
