//! Secrets in memory: wiped when dropped, never printed, never serialised.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// A secret text, such as a provider's API key.
///
/// It has no `Serialize`, `Display` or `PartialEq`, and `Debug` prints a
/// placeholder, so it can neither be logged nor sent by mistake.
///
/// ```compile_fail
/// fn needs_serialize<T: serde::Serialize>(_: T) {}
/// needs_serialize(aimate_core::Secret::new("key"));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the secret over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself: only for the call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, for a person to recognise it by; `None` if it
    /// is so short that they would give it away.
    pub fn hint(&self) -> Option<String> {
        let count = self.0.chars().count();
        (count >= 12).then(|| self.0.chars().skip(count - 4).collect())
    }

    /// `text` without this secret: it, and eight characters or more of it in a row,
    /// are replaced by `[key]`, in either direction and case, in base64, hexadecimal
    /// or percent-encoded. A shorter secret is replaced where all of it stands.
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        if self.0.len() < REVEALING || !self.0.is_ascii() {
            return text.replace(self.0.as_str(), "[key]");
        }
        let text_bytes = text.as_bytes().to_ascii_lowercase();
        let mut hidden = vec![false; text_bytes.len()];
        for (form, run) in self.forms() {
            let form = Zeroizing::new(form.to_ascii_lowercase());
            let runs: HashSet<&[u8]> = form.as_bytes().windows(run).collect();
            for (at, window) in text_bytes.windows(run).enumerate() {
                if runs.contains(window) {
                    hidden.iter_mut().skip(at).take(run).for_each(|hidden| *hidden = true);
                }
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut is_hiding = false;
        for (at, c) in text.char_indices() {
            let hides = hidden.get(at).copied().unwrap_or_default();
            match (hides, is_hiding) {
                (true, false) => out.push_str("[key]"),
                (true, true) => {}
                (false, _) => out.push(c),
            }
            is_hiding = hides;
        }
        out
    }

    /// How this secret may be written, with the characters in a row that give
    /// [`REVEALING`] of its own away.
    fn forms(&self) -> Vec<(Zeroizing<String>, usize)> {
        let key: &str = &self.0;
        let reversed: String = key.chars().rev().collect();
        let hex = |prefix: &str| key.bytes().map(|byte| format!("{prefix}{byte:02x}")).collect::<String>();
        let mut forms = vec![
            (Zeroizing::new(key.to_owned()), REVEALING),
            (Zeroizing::new(reversed), REVEALING),
            (Zeroizing::new(hex("")), 2 * REVEALING),
            (Zeroizing::new(hex("%")), 3 * REVEALING),
            (Zeroizing::new(hex("\\x")), 4 * REVEALING),
        ];
        // Base64 of something that the key is in looks different by where the key
        // begins, in one of three ways.
        for before in ["", "-", "--"] {
            let encoded = STANDARD_NO_PAD.encode([before, key].concat());
            // What neighbours of the key decide is left out.
            let from = [0, 2, 3].get(before.len()).copied().unwrap_or_default();
            let own = encoded.get(from..encoded.len() - 1).unwrap_or_default();
            forms.push((Zeroizing::new(own.replace('+', "-").replace('/', "_")), REVEALING));
            forms.push((Zeroizing::new(own.to_owned()), REVEALING));
        }
        forms.retain(|(form, run)| form.len() >= *run);
        forms
    }
}

/// Characters of a key in a row that are not shown: the first ones of many keys
/// are the same for all, and the last four are shown as a hint.
const REVEALING: usize = 8;

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("sk-canary")), "Secret([redacted])");
    }

    #[test]
    fn hint_is_the_last_four_of_a_long_key() {
        assert_eq!(Secret::new("sk-proj-abcdefgh1234").hint().as_deref(), Some("1234"));
        assert_eq!(Secret::new("short").hint(), None);
    }

    #[test]
    fn redact_removes_every_occurrence() {
        assert_eq!(Secret::new("k3y").redact("k3y and k3y"), "[key] and [key]");
    }

    #[test]
    fn redact_finds_a_key_however_it_is_written() {
        use base64::engine::general_purpose::{STANDARD, URL_SAFE};
        let key = "sk-canary_0123456789?ABCDEFGHIJ>klmn";
        let secret = Secret::new(key);
        let hidden = |text: &str| {
            let shown = secret.redact(text);
            assert!(shown.contains("[key]"), "{text} -> {shown}");
            shown
        };
        assert_eq!(hidden(&format!("é key {key}, no good")), "é key [key], no good");
        assert_eq!(hidden(&format!("{}…", &key[..20])), "[key]…");
        assert_eq!(hidden(&format!("…{}", &key[20..])), "…[key]");
        assert_eq!(hidden(&key[5..13]), "[key]");
        assert_eq!(hidden(&key.to_uppercase()), "[key]");
        assert_eq!(hidden(&key.chars().rev().collect::<String>()), "[key]");
        let hex: String = key.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hidden(&hex), "[key]");
        let percent: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(hidden(&percent), "[key]");
        for before in ["", "a", "ab", "Bearer ", "{\"key\":\""] {
            for engine in [STANDARD, URL_SAFE] {
                let text = engine.encode(format!("{before}{key}\"}}"));
                let shown = hidden(&text);
                assert!(shown.len() < before.len() * 2 + 20, "{text} -> {shown}");
            }
        }
        assert_eq!(secret.redact("sk-cana and lmn are nothing"), "sk-cana and lmn are nothing");
    }
}
