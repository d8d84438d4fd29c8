//! Secrets in memory: wiped when dropped, never printed, never serialised.

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

    /// `text` with every occurrence of this secret replaced by `[key]`.
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(self.0.as_str(), "[key]") }
    }
}

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
}
