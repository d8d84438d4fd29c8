//! SentencePiece's table of characters to replace before a text is split
//! (`precompiled_charsmap`): a double array of 32-bit units over the bytes of what
//! is replaced, and the replacements one after the other.
//!
//! Own code, because the one crate for it indexes without looking, so that a damaged
//! file is a panic, and brings another base64 and a parser for 60 lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use icu_segmenter::GraphemeClusterSegmenter;

/// Bytes of a grapheme cluster that is looked up as one.
const MAX_CLUSTER: usize = 5;

/// Characters of a replacement at most, since each character of a text may become so many.
/// Unicode's own longest one has 18.
const MAX_REPLACEMENT: usize = 256;

/// What replaces what.
pub(super) struct Charsmap {
    units: Vec<u32>,
    /// Each ends with a zero.
    replacements: String,
}

impl Charsmap {
    /// Reads it as `tokenizer.json` has it, in base64.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text).map_err(|error| format!("it is not base64: {error}"))?;
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or("it is too short")?;
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        let (units, replacements) = rest.split_at_checked(size).ok_or("it is cut off")?;
        let units: Vec<u32> = units.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let replacements =
            String::from_utf8(replacements.to_vec()).map_err(|_| "its replacements are not UTF-8")?;
        if replacements.split('\0').any(|text| text.chars().nth(MAX_REPLACEMENT).is_some()) {
            return Err(format!("one of its replacements has more than {MAX_REPLACEMENT} characters"));
        }
        Ok(Self { units, replacements })
    }

    /// Tells each character of `text` as it is after replacing, until `each` says false.
    ///
    /// A short grapheme cluster is replaced as a whole where its beginning is in the
    /// table, else character by character: so do the tokenizers that models were
    /// trained with.
    pub(super) fn replace(&self, text: &str, mut each: impl FnMut(char) -> bool) {
        let mut start = 0;
        for end in GraphemeClusterSegmenter::new().segment_str(text).skip(1) {
            let cluster = text.get(start..end).unwrap_or_default();
            start = end;
            let whole = if cluster.len() <= MAX_CLUSTER { self.find(cluster) } else { None };
            if let Some(replacement) = whole {
                if !replacement.chars().all(&mut each) {
                    return;
                }
                continue;
            }
            for character in cluster.chars() {
                let go_on = match self.find(character.encode_utf8(&mut [0; 4])) {
                    Some(replacement) => replacement.chars().all(&mut each),
                    None => each(character),
                };
                if !go_on {
                    return;
                }
            }
        }
    }

    /// What replaces the shortest beginning of `text` that is in the table.
    fn find(&self, text: &str) -> Option<&str> {
        let mut at = offset(*self.units.first()?);
        for byte in text.bytes().take_while(|byte| *byte != 0) {
            at ^= u32::from(byte);
            let unit = self.unit(at)?;
            if unit & (1 << 31 | 0xff) != u32::from(byte) {
                return None;
            }
            at ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let start = usize::try_from(self.unit(at)? & 0x7fff_ffff).ok()?;
                return self.replacements.get(start..)?.split('\0').next();
            }
        }
        None
    }

    fn unit(&self, at: u32) -> Option<u32> {
        self.units.get(usize::try_from(at).ok()?).copied()
    }
}

/// How far the children of a unit are from it.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & 1 << 9) >> 6)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A table that replaces single bytes below 0x80, in base64.
    pub(in super::super) fn of_bytes(pairs: &[(u8, &str)]) -> String {
        let (mut units, mut replacements) = (vec![0_u32; 1024], Vec::new());
        // The root's children are at 256 XOR their byte, and their values at 512 XOR it.
        units[0] = 256 << 10;
        for (byte, replacement) in pairs {
            let child = 256 ^ u32::from(*byte);
            let leaf = 512 ^ u32::from(*byte);
            units[child as usize] = (child ^ leaf) << 10 | 1 << 8 | u32::from(*byte);
            units[leaf as usize] = 1 << 31 | u32::try_from(replacements.len()).unwrap();
            replacements.extend(replacement.bytes().chain([0]));
        }
        let units = units.iter().flat_map(|unit| unit.to_le_bytes());
        let bytes: Vec<u8> = 4096_u32.to_le_bytes().into_iter().chain(units).chain(replacements).collect();
        STANDARD.encode(bytes)
    }

    fn replaced(table: &Charsmap, text: &str) -> String {
        let mut found = String::new();
        table.replace(text, |character| {
            found.push(character);
            true
        });
        found
    }

    #[test]
    fn characters_are_replaced_and_the_beginning_of_a_cluster_replaces_it_all() {
        let table = Charsmap::read(&of_bytes(&[(b'\t', " "), (b'\r', " "), (b'A', "a"), (7, "")])).unwrap();
        assert_eq!(replaced(&table, "\tA\u{7}bA"), " aba");
        assert_eq!(replaced(&table, "x\r\ny"), "x y");
        assert_eq!(replaced(&table, "A\u{301}é漢"), "aé漢");
        let mut seen = 0;
        table.replace("abc", |_| {
            seen += 1;
            seen < 2
        });
        assert_eq!(seen, 2);
    }

    #[test]
    fn long_replacement_is_refused() {
        assert!(Charsmap::read(&of_bytes(&[(b'A', "a"), (b'B', &"é".repeat(256))])).is_ok());
        assert!(Charsmap::read(&of_bytes(&[(b'A', "a"), (b'B', &"é".repeat(257))])).is_err());
    }

    #[test]
    fn damaged_tables_are_refused_or_replace_nothing() {
        for text in ["!", "AAAA", "/////w=="] {
            assert!(Charsmap::read(text).is_err(), "{text}");
        }
        assert_eq!(replaced(&Charsmap::read("AAAAAA==").unwrap(), "abc"), "abc");
        let bytes = [&4_u32.to_le_bytes()[..], &u32::MAX.to_le_bytes(), b"x"].concat();
        assert_eq!(replaced(&Charsmap::read(&STANDARD.encode(bytes)).unwrap(), "abc"), "abc");
        let not_text = [&0_u32.to_le_bytes()[..], &[0xff]].concat();
        assert!(Charsmap::read(&STANDARD.encode(not_text)).is_err());
    }
}
