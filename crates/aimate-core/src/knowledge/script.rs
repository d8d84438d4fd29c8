//! Scripts, and which of them an embedder reads.
//!
//! A model makes a vector of any text, also of one that it cannot read: its
//! tokenizer falls back to single letters or to "unknown", and the vector says
//! nothing. So an embedder says which scripts it reads, and questions in others
//! are searched for by words alone.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use icu_properties::props::Script as Property;
use icu_properties::{CodePointMapData, PropertyNamesShort, PropertyParser};

use crate::error::Error;

/// A script as Unicode has them, written as its code in ISO 15924: `Latn`,
/// `Cyrl`, `Hani`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Script(Property);

impl Script {
    /// Han characters.
    pub const HAN: Self = Self(Property::Han);
    /// Latin letters.
    pub const LATIN: Self = Self(Property::Latin);

    /// The script of a letter; `None` for what is no letter, or one of all
    /// scripts.
    pub fn of(letter: char) -> Option<Self> {
        if letter.is_ascii() {
            return letter.is_ascii_alphabetic().then_some(Self::LATIN);
        }
        if !letter.is_alphabetic() {
            return None;
        }
        match CodePointMapData::<Property>::new().get(letter) {
            Property::Common | Property::Inherited | Property::Unknown => None,
            script => Some(Self(script)),
        }
    }

    /// Whether words are written without spaces between them.
    fn joins_words(self) -> bool {
        const JOINED: [Property; 8] = [
            Property::Han,
            Property::Hiragana,
            Property::Katakana,
            Property::Bopomofo,
            Property::Thai,
            Property::Lao,
            Property::Khmer,
            Property::Myanmar,
        ];
        JOINED.contains(&self.0)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PropertyNamesShort::<Property>::new().get(self.0).unwrap_or("Zzzz"))
    }
}

impl FromStr for Script {
    type Err = Error;

    /// Reads a code of ISO 15924 or the script's name in Unicode, in any case:
    /// `Latn` or `latin`.
    fn from_str(name: &str) -> Result<Self, Error> {
        let script = PropertyParser::<Property>::new().get_loose(name.trim());
        script.map(Self).ok_or_else(|| {
            let name = crate::text::shorten(name.trim(), 32);
            Error::invalid(format!(
                "there is no script `{name}`; known are codes of ISO 15924, such as `Latn`"
            ))
        })
    }
}

/// The scripts that an embedder reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scripts {
    /// Every one, as far as is known.
    #[default]
    All,
    /// These alone.
    Only(BTreeSet<Script>),
}

impl Scripts {
    /// Whether more of the words of `text` are in these scripts than in others.
    /// A text without letters is read.
    ///
    /// In scripts that write words together, two letters count as a word.
    pub fn read(&self, text: &str) -> bool {
        let Self::Only(scripts) = self else { return true };
        let mut halves: HashMap<Script, u64> = HashMap::new();
        let mut before = None;
        for script in text.chars().map(Script::of) {
            if let Some(script) = script {
                let is_same_word = before == Some(script) && !script.joins_words();
                *halves.entry(script).or_default() += match (is_same_word, script.joins_words()) {
                    (true, _) => 0,
                    (false, true) => 1,
                    (false, false) => 2,
                };
            }
            before = script;
        }
        let all: u64 = halves.values().sum();
        let read: u64 = halves.iter().filter(|(script, _)| scripts.contains(script)).map(|(_, n)| n).sum();
        all == 0 || read * 2 > all
    }
}

impl fmt::Display for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(scripts) => {
                let names: Vec<_> = scripts.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl FromStr for Scripts {
    type Err = Error;

    /// Reads `all`, or scripts with commas between.
    fn from_str(names: &str) -> Result<Self, Error> {
        if names.trim().eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        names.split(',').map(str::parse).collect::<Result<_, _>>().map(Self::Only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latin() -> Scripts {
        "Latn".parse().unwrap()
    }

    #[test]
    fn most_words_decide() {
        for read in ["", "2018 §12", "Überstraße", "What does λόγος mean?", "iPhone Preis 価格", "naïve"]
        {
            assert!(latin().read(read), "{read}");
        }
        for unread in
            ["Что это?", "ما هو", "価格 iPhone", "FY2018 売上高", "MacBook Proのバッテリー", "배터리"]
        {
            assert!(!latin().read(unread), "{unread}");
            assert!(Scripts::All.read(unread));
        }
        assert!("latin, cyrillic".parse::<Scripts>().unwrap().read("Что это?"));
    }

    #[test]
    fn accents_do_not_part_words() {
        assert_eq!(Script::of('\u{301}'), None);
        assert!(latin().read("cafe\u{301} cafe\u{301} ελληνικά"));
    }

    #[test]
    fn names_are_codes() {
        assert_eq!("Cyrillic , Latn".parse::<Scripts>().unwrap().to_string(), "Cyrl,Latn");
        assert_eq!("ALL".parse::<Scripts>().unwrap(), Scripts::All);
        for wrong in ["", "Latn,", "english"] {
            assert!(wrong.parse::<Scripts>().unwrap_err().message().contains("ISO 15924"), "{wrong}");
        }
    }
}
