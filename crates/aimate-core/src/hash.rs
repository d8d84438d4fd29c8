//! SHA-256 over lists of parts, and its form as text.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a list of parts, each with its length before it: no two lists have the
/// same bytes.
pub(crate) struct PartsHash(Sha256);

impl PartsHash {
    /// One for a purpose, which is told apart from all others.
    pub(crate) fn new(purpose: impl AsRef<[u8]>) -> Self {
        Self(Sha256::new_with_prefix(purpose))
    }

    /// Adds a part.
    pub(crate) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// With one more part.
    pub(crate) fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        self.add(part);
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Bytes in hexadecimal, in small letters.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let of = |parts: &[&str]| parts.iter().fold(PartsHash::new("test"), PartsHash::part).finish();
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    }

    #[test]
    fn hexadecimal_has_two_digits_for_a_byte() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
