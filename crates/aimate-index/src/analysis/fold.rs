//! A word in the form it is compared in: case, accents and endings taken off.

use std::sync::LazyLock;

use snowball_stemmers_rs::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The longest term in bytes; of longer words the beginning is compared.
pub(super) const MAX_TERM: usize = 64;

/// Stemmers, chosen by script alone: a question is too short to tell its
/// language, and both sides must agree.
struct Stemmers {
    english: Stemmer,
    russian: Stemmer,
    greek: Stemmer,
    arabic: Stemmer,
    hindi: Stemmer,
    tamil: Stemmer,
}

static STEMMERS: LazyLock<Stemmers> = LazyLock::new(|| Stemmers {
    english: Stemmer::create(Algorithm::English),
    russian: Stemmer::create(Algorithm::Russian),
    greek: Stemmer::create(Algorithm::Greek),
    arabic: Stemmer::create(Algorithm::Arabic),
    hindi: Stemmer::create(Algorithm::Hindi),
    tamil: Stemmer::create(Algorithm::Tamil),
});

/// Puts `raw` in lower case, without accents, into `folded`, which is cleared.
pub(super) fn fold(raw: &str, folded: &mut String) {
    folded.clear();
    append(raw, folded);
}

/// As [`fold`], of an identifier: whether its parts are joined by `_`, by `-`
/// or by nothing makes no difference, but a dot does (`1.23` is not `12.3`).
pub(super) fn fold_compound(raw: &str, folded: &mut String) {
    folded.clear();
    for piece in raw.split_inclusive(['_', '-', '.']) {
        append(piece.trim_end_matches(['_', '-', '.']), folded);
        if piece.ends_with('.') {
            folded.push('.');
        }
    }
    folded.truncate(folded.floor_char_boundary(MAX_TERM));
}

fn append(raw: &str, folded: &mut String) {
    let raw = cut(raw);
    if raw.is_ascii() {
        folded.extend(raw.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
    } else if raw.chars().all(is_plain) {
        folded.push_str(raw);
    } else {
        fold_wide(raw, folded);
        // Some characters stand for a whole phrase.
        folded.truncate(folded.floor_char_boundary(MAX_TERM));
    }
}

/// `folded` without its grammatical ending.
pub(super) fn stem(folded: &str) -> std::borrow::Cow<'_, str> {
    let stemmers = &*STEMMERS;
    let stemmer = match folded.chars().next() {
        _ if folded.bytes().any(|byte| byte.is_ascii_digit()) => return folded.into(),
        Some('a'..='z') if folded.is_ascii() => &stemmers.english,
        Some('\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}') => &stemmers.greek,
        Some('\u{400}'..='\u{52F}') => &stemmers.russian,
        Some('\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}') => &stemmers.arabic,
        Some('\u{900}'..='\u{97F}') => &stemmers.hindi,
        Some('\u{B80}'..='\u{BFF}') => &stemmers.tamil,
        _ => return folded.into(),
    };
    stemmer.stem(folded)
}

/// Whether the character has one form only: most of Han, Kana, Hangul and Thai.
fn is_plain(character: char) -> bool {
    matches!(character, '\u{4E00}'..='\u{9FFF}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FE}')
        || matches!(character, '\u{AC00}'..='\u{D7A3}' | '\u{E01}'..='\u{E32}' | '\u{E34}'..='\u{E4E}')
}

fn cut(raw: &str) -> &str {
    raw.get(..raw.floor_char_boundary(MAX_TERM)).unwrap_or(raw)
}

fn fold_wide(raw: &str, folded: &mut String) {
    let plain = raw.nfkc().flat_map(char::to_lowercase);
    for character in plain.filter(|character| character.is_alphanumeric() || is_combining_mark(*character)) {
        match character {
            '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => latin(character, folded),
            // After a Latin letter with an accent there is no letter of its own for.
            '\u{300}'..='\u{36F}' if folded.ends_with(|last: char| last.is_ascii()) => {}
            'ё' => folded.push('е'),
            _ => folded.push(digit(character).unwrap_or(character)),
        }
    }
}

/// The first of each script's ten digits, but for those that are put into ASCII by
/// their compatibility forms: general category Nd of Unicode 14.
const ZEROS: [char; 58] = [
    '\u{660}',
    '\u{6F0}',
    '\u{7C0}',
    '\u{966}',
    '\u{9E6}',
    '\u{A66}',
    '\u{AE6}',
    '\u{B66}',
    '\u{BE6}',
    '\u{C66}',
    '\u{CE6}',
    '\u{D66}',
    '\u{DE6}',
    '\u{E50}',
    '\u{ED0}',
    '\u{F20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17E0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19D0}',
    '\u{1A80}',
    '\u{1A90}',
    '\u{1B50}',
    '\u{1BB0}',
    '\u{1C40}',
    '\u{1C50}',
    '\u{A620}',
    '\u{A8D0}',
    '\u{A900}',
    '\u{A9D0}',
    '\u{A9F0}',
    '\u{AA50}',
    '\u{ABF0}',
    '\u{104A0}',
    '\u{10D30}',
    '\u{11066}',
    '\u{110F0}',
    '\u{11136}',
    '\u{111D0}',
    '\u{112F0}',
    '\u{11450}',
    '\u{114D0}',
    '\u{11650}',
    '\u{116C0}',
    '\u{11730}',
    '\u{118E0}',
    '\u{11950}',
    '\u{11C50}',
    '\u{11D50}',
    '\u{11DA0}',
    '\u{16A60}',
    '\u{16AC0}',
    '\u{16B50}',
    '\u{1E140}',
    '\u{1E2F0}',
    '\u{1E950}',
];

/// The ASCII digit of the same value as a digit of another script.
fn digit(character: char) -> Option<char> {
    let zero = ZEROS.get(ZEROS.partition_point(|zero| *zero <= character).checked_sub(1)?)?;
    let value = u32::from(character) - u32::from(*zero);
    char::from_digit(value, 10)
}

fn latin(character: char, folded: &mut String) {
    match character {
        'ß' => folded.push_str("ss"),
        'æ' => folded.push_str("ae"),
        'œ' => folded.push_str("oe"),
        'ø' => folded.push('o'),
        'ł' => folded.push('l'),
        'đ' | 'ð' => folded.push('d'),
        'ı' => folded.push('i'),
        'þ' => folded.push_str("th"),
        _ => folded.extend(std::iter::once(character).nfd().filter(|part| !is_combining_mark(*part))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(raw: &str) -> String {
        let mut folded = String::new();
        fold(raw, &mut folded);
        stem(&folded).into_owned()
    }

    #[test]
    fn case_accents_and_endings_make_no_difference() {
        assert_eq!(term("Running"), "run");
        assert_eq!(term("CAFÉS"), term("cafe"));
        assert_eq!(term("Cafe\u{301}"), term("cafe"));
        assert_eq!(term("STRASSE"), term("Straße"));
        assert_eq!(term("ﬁnding"), "find");
        assert_eq!(term("книгами"), term("КНИГА"));
        assert_eq!(term("ёлка"), term("елка"));
        assert_eq!(term("ΔΡΌΜΟΣ"), term("δρόμος"));
    }

    #[test]
    fn long_words_are_cut_at_a_character() {
        assert_eq!(term(&"é".repeat(100)).len(), 32);
        assert_eq!(term(&"7".repeat(100)).len(), 64);
    }
}
