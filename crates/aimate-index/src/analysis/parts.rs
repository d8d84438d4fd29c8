//! The parts of a word of letters and digits: `fy2018` is `fy` and `2018`.
//!
//! Filings, standards and catalogues join what questions say apart ("revenue in
//! 2018"), and the other way round. Lucene's word delimiter filter splits for the
//! same reason.

/// The most parts of a word. What changes more often between letters and digits
/// was made by a machine, such as a hash, and nobody asks for a part of it.
pub(super) const MAX_PARTS: usize = 8;
/// Characters of a part at least: a single one says nothing.
const MIN_PART: usize = 2;

/// The runs of letters and of digits of a folded word, without those of one
/// character; none if the word is of one kind.
pub(super) fn parts(word: &str) -> impl Iterator<Item = &str> {
    let is_split = word.bytes().any(|byte| byte.is_ascii_digit())
        && !word.bytes().all(|byte| byte.is_ascii_digit())
        && runs(word).nth(MAX_PARTS).is_none();
    let runs = is_split.then(|| runs(word)).into_iter().flatten();
    runs.filter(|run| run.chars().nth(MIN_PART - 1).is_some())
}

/// The number with dots that ends a folded identifier: `2.1.0` of `v2.1.0`.
pub(super) fn number(identifier: &str) -> Option<&str> {
    let start = identifier.rfind(|next: char| !next.is_ascii_digit() && next != '.')?;
    let (_, number) = identifier.split_at_checked(identifier.ceil_char_boundary(start + 1))?;
    let number = number.trim_start_matches('.');
    (number.contains('.')).then_some(number)
}

fn runs(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|next: char| next.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(word: &str) -> Vec<&str> {
        parts(word).collect()
    }

    #[test]
    fn letters_and_digits_are_parted() {
        assert_eq!(of("fy2018"), ["fy", "2018"]);
        assert_eq!(of("covid19"), ["covid", "19"]);
        assert_eq!(of("1920x1080"), ["1920", "1080"]);
        assert_eq!(of("т34м"), ["34"]);
        assert_eq!(of("عام2018"), ["عام", "2018"]);
    }

    #[test]
    fn single_characters_are_no_parts() {
        assert_eq!(of("3gpp"), ["gpp"]);
        assert_eq!(of("12a"), ["12"]);
        assert_eq!(of("h2o"), [""; 0]);
    }

    #[test]
    fn numbers_of_versions_stand_alone_too() {
        assert_eq!(number("v2.1.0"), Some("2.1.0"));
        assert_eq!(number("python3.11"), Some("3.11"));
        assert_eq!(number("версия.2.1"), Some("2.1"));
        for none in ["2.1.0", "v2", "e1042", "a.b", "2.1.0b", ""] {
            assert_eq!(number(none), None, "{none}");
        }
    }

    #[test]
    fn words_of_one_kind_and_hashes_have_none() {
        for word in ["", "word", "2018", "слово", "9f8e7d6c5b4a39281706"] {
            assert_eq!(of(word), [""; 0], "{word}");
        }
        assert_eq!(of("aa11bb22cc33dd44").len(), MAX_PARTS);
        assert_eq!(of("aa11bb22cc33dd44ee"), [""; 0]);
    }
}
