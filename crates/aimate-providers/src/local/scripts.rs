//! Which scripts a vocabulary reads.
//!
//! A vocabulary has the letters of many scripts, but words of those alone that
//! its model was trained on: all-MiniLM-L6-v2 has 26,534 pieces of two Latin
//! letters or more, and eight of Cyrillic, which is next.

use std::collections::{BTreeSet, HashMap};

use aimate_core::knowledge::{Script, Scripts};

/// Pieces of words from which a script is read. Models that read a script have
/// several hundred (multilingual BERT's Thai); others a handful.
const MIN_PIECES: usize = 100;
/// Characters from which Han is read: each is a word. BERT's English vocabulary
/// has 488, its Chinese one thousands.
const MIN_HAN: usize = 1_500;
/// A script that has so large a part of a vocabulary is read however small that
/// is: one in this many.
const SHARE: usize = 10;

/// The scripts of which `pieces` has words; all if it has words of none.
pub(super) fn scripts(pieces: impl Iterator<Item = impl AsRef<str>>) -> Scripts {
    let mut counts: HashMap<Script, usize> = HashMap::new();
    for piece in pieces {
        if let Some(script) = word_script(piece.as_ref()) {
            *counts.entry(script).or_default() += 1;
        }
    }
    let all: usize = counts.values().sum();
    let is_read = |(script, count): (&Script, &usize)| {
        let min = if *script == Script::HAN { MIN_HAN } else { MIN_PIECES };
        (*count >= min || count * SHARE >= all).then_some(*script)
    };
    let read: BTreeSet<Script> = counts.iter().filter_map(is_read).collect();
    if read.is_empty() { Scripts::All } else { Scripts::Only(read) }
}

/// The script of a piece that is more than one letter, or a Han character.
fn word_script(piece: &str) -> Option<Script> {
    let mut letters = 0;
    let mut script = None;
    for letter in piece.chars() {
        match Script::of(letter) {
            Some(this) if script.is_none_or(|script| script == this) => {
                script = Some(this);
                letters += 1;
            }
            // Marks, and letters that several scripts share.
            None if !letter.is_ascii() => {}
            _ => return None,
        }
    }
    script.filter(|script| letters > 1 || *script == Script::HAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[(&str, usize)]) -> String {
        let pieces = pieces.iter().flat_map(|(piece, count)| std::iter::repeat_n(*piece, *count));
        scripts(pieces).to_string()
    }

    #[test]
    fn letters_alone_are_not_read() {
        let english = [("word", 26_534), ("ж", 86), ("об", 8), ("字", 488), ("の", 92), ("[unused1]", 990)];
        assert_eq!(read(&english), "Latn");
        let many = [("word", 60_000), ("слово", 13_000), ("ไทย", 370), ("字", 9_000), ("です", 1_200)];
        assert_eq!(read(&many), "Cyrl,Hani,Hira,Latn,Thai");
        assert_eq!(read(&[("字", 7_300), ("word", 3_500), ("の", 180)]), "Hani,Latn");
    }

    #[test]
    fn small_vocabulary_reads_what_it_is_made_of() {
        assert_eq!(read(&[("word", 20), ("字", 1)]), "Latn");
        assert_eq!(read(&[("字", 20)]), "Hani");
        assert_eq!(read(&[("a", 20), ("1", 10)]), "all");
        assert_eq!(read(&[]), "all");
    }
}
