//! E-mail addresses as accounts are named by them: one spelling for each, and none
//! that only looks like another.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::error::{Error, Result};
use crate::knowledge::Script;

/// Bytes of an address at most (RFC 5321, 4.5.3.1.3, without the brackets).
const MAX_BYTES: usize = 254;
/// Bytes before the `@` at most.
const MAX_LOCAL: usize = 64;
/// Scripts that are written together, and with Latin letters (UTS 39, "highly
/// restrictive").
const TOGETHER: [&[&str]; 3] =
    [&["Hani", "Hira", "Kana", "Latn"], &["Hani", "Bopo", "Latn"], &["Hang", "Hani", "Latn"]];

/// An e-mail address in its one spelling: without spaces around it, in Unicode's
/// form NFKC, lower case.
///
/// ```
/// use aimate_core::EmailAddress;
/// let ada: EmailAddress = " Ada@Example.ORG".parse()?;
/// assert_eq!(ada.as_str(), "ada@example.org");
/// # Ok::<(), aimate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = "email"))]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address: at most 254 bytes, one `@`, a host after it, no control or
    /// invisible characters. A word that mixes scripts, such as Latin and Cyrillic
    /// letters, is refused: it looks like another one.
    ///
    /// # Errors
    /// `Invalid` on the field `path`.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        // Before any work on it.
        if text.len() > 4 * MAX_BYTES {
            return Err(too_long(path, text.len()));
        }
        let folded: String = text.trim().nfkc().collect::<String>().to_lowercase();
        let address: String = folded.nfkc().collect();
        match wrong(&address) {
            None if address.len() > MAX_BYTES => Err(too_long(path, address.len())),
            None => Ok(Self(address)),
            Some(why) => Err(Error::field(path, why)),
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn too_long(path: &str, bytes: usize) -> Error {
    Error::field(path, format!("has {bytes} bytes; the most is {MAX_BYTES}"))
}

/// What is wrong with an address that is folded already.
fn wrong(address: &str) -> Option<String> {
    const RIGHT: &str = "it should be like ada@example.org";
    if let Some(c) = address.chars().find(|c| is_invisible(*c)) {
        return Some(format!("has the character U+{:04X}, which cannot be seen; {RIGHT}", u32::from(c)));
    }
    if address.contains(|c: char| c.is_whitespace() || "\"(),:;<>[\\]".contains(c)) {
        return Some(format!("has a space or one of \"(),:;<>[\\]; {RIGHT}"));
    }
    let Some((local, domain)) = address.split_once('@') else {
        return Some(format!("has no `@`; {RIGHT}"));
    };
    if domain.contains('@') {
        return Some(format!("has more than one `@`; {RIGHT}"));
    }
    if local.is_empty() || local.len() > MAX_LOCAL || has_odd_dots(local) {
        return Some(format!("needs 1 to {MAX_LOCAL} bytes before the `@`, without `..`; {RIGHT}"));
    }
    let is_label = |label: &str| {
        !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || is_mark(c))
    };
    if domain.is_empty() || has_odd_dots(domain) || !domain.split('.').all(is_label) {
        return Some(format!("has no host name after the `@`; {RIGHT}"));
    }
    let mixed = address.split(['@', '.']).find(|word| mixes_scripts(word))?;
    Some(format!(
        "mixes letters of several scripts in `{mixed}`, which looks like another word; use one script"
    ))
}

fn has_odd_dots(text: &str) -> bool {
    text.starts_with('.') || text.ends_with('.') || text.contains("..")
}

/// Characters that change how others look, or nothing that can be seen.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// Marks over and under letters, which some scripts cannot be written without.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

fn mixes_scripts(word: &str) -> bool {
    let scripts: BTreeSet<String> =
        word.chars().filter_map(Script::of).map(|script| script.to_string()).collect();
    let is_within = |set: &&[&str]| scripts.iter().all(|script| set.contains(&script.as_str()));
    scripts.len() > 1 && !TOGETHER.iter().any(is_within)
}

impl std::str::FromStr for EmailAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse("email", text)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let parsed = Self::parse("email", &text);
        // The field is named by whoever deserializes.
        parsed.map_err(|error| {
            let message = error.fields().first().map_or(error.message(), |field| field.message.as_str());
            serde::de::Error::custom(message)
        })
    }
}

impl std::fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_address_has_one_spelling() {
        for spelling in [
            "ada@example.org",
            "ADA@Example.Org",
            "  ada@example.org\n",
            "ａｄａ@example.org",
            "ada＠example．org",
        ] {
            assert_eq!(spelling.parse::<EmailAddress>().unwrap().as_str(), "ada@example.org", "{spelling:?}");
        }
        for other in
            ["ada.l+x@mail.example.org", "иван@почта.рф", "用户@例え.jp", "jürgen@müller.de", "o'hara@a-b.ie"]
        {
            assert_eq!(other.parse::<EmailAddress>().unwrap().as_str(), other);
        }
    }

    #[test]
    fn what_is_none_or_looks_like_another_is_refused() {
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}org", "example.".repeat(40));
        for wrong in [
            "",
            "ada",
            "@",
            "ada@",
            "@example.org",
            "a@b@c",
            "a b@c.d",
            "ada@exa mple.org",
            "ada@.org",
            "ada@org.",
            "ada@a..b",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "ada@-a.org",
            "ada@a_b.org",
            "<ada@a.org>",
            "ada@[127.0.0.1]",
            "a\0@b.c",
            "ada\u{200B}@example.org",
            "\u{202E}ada@example.org",
            "ada@exam\u{AD}ple.org",
            // A Cyrillic `а` in each.
            "\u{430}da@example.org",
            "ada@ex\u{430}mple.org",
            &long,
            &longer,
            &"x".repeat(1_000_000),
        ] {
            let error = wrong.parse::<EmailAddress>().unwrap_err();
            assert_eq!(error.fields()[0].path, "email", "{}", crate::text::shorten(wrong, 60));
            assert!(error.message().len() < 400);
        }
    }

    proptest! {
        #[test]
        fn spelling_of_a_spelling_is_itself(text in "\\PC{0,20}@\\PC{0,20}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert_eq!(address.as_str().parse::<EmailAddress>().unwrap(), address.clone());
                prop_assert_eq!(address.as_str().to_uppercase().to_lowercase().parse::<EmailAddress>().is_ok(), true);
            }
        }
    }
}
