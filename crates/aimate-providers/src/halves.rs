//! Characters that a server cut in two: half of a surrogate pair in one event and
//! the other half in the next, or the bytes of one character in two events.
//!
//! Neither half is text, so a JSON parser refuses both. They are kept as code
//! points of a private use plane until their other half comes; what stays alone
//! becomes U+FFFD.

use serde_json::Value;

/// Where halves of surrogate pairs are kept: U+D800 becomes this.
const SURROGATES: u32 = 0x10_F000;
/// Where bytes that are no UTF-8 are kept: byte 0 would become this.
const BYTES: u32 = 0x10_F800;

/// A half.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    High(u32),
    Low(u32),
    Byte(u8),
}

impl Half {
    fn of(c: char) -> Option<Self> {
        let at = u32::from(c).checked_sub(SURROGATES)?;
        match at {
            0..0x400 => Some(Self::High(at)),
            0x400..0x800 => Some(Self::Low(at - 0x400)),
            _ => u8::try_from(u32::from(c) - BYTES).ok().map(Self::Byte),
        }
    }
}

/// Returns `data` as JSON that a parser accepts: what is half of a character is
/// kept in its place.
pub(crate) fn keep(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len() + 8);
    for chunk in data.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(BYTES + u32::from(*byte))));
    }
    if text.contains("\\ud") || text.contains("\\uD") { keep_escapes(&text) } else { text }
}

/// Replaces what is half of a character in every text of `value` by U+FFFD.
pub(crate) fn replace_in(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().any(|c| Half::of(c).is_some()) => {
            let mut joiner = Joiner::default();
            *text = joiner.join(std::mem::take(text), true) + &joiner.end();
        }
        Value::Array(items) => items.iter_mut().for_each(replace_in),
        Value::Object(fields) => fields.values_mut().for_each(replace_in),
        _ => {}
    }
}

/// Replaces escapes of single surrogates.
fn keep_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let is_pair = matches!(surrogate(escape), Some(0..0x400))
            && matches!(escape.get(6..).and_then(surrogate), Some(0x400..));
        let length = match surrogate(escape) {
            _ if is_pair => 12,
            Some(half) => {
                out.extend(char::from_u32(SURROGATES + half));
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        out.push_str(escape.get(..length).unwrap_or_default());
        rest = escape.get(length..).unwrap_or_default();
    }
    out + rest
}

/// The surrogate that `text` begins with an escape of, counted from U+D800.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()?.checked_sub(0xD800).filter(|half| *half < 0x800)
}

/// Joins the halves in the pieces of one text.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    /// Halves at the end of the text so far.
    pending: String,
}

impl Joiner {
    /// Returns the next piece of the text; `has_halves` if it was read out of what
    /// [`keep`] made.
    pub(crate) fn join(&mut self, piece: String, has_halves: bool) -> String {
        if piece.is_empty() || (self.pending.is_empty() && !has_halves) {
            return piece;
        }
        let text = std::mem::take(&mut self.pending) + &piece;
        let mut out = String::with_capacity(text.len());
        let mut run = Vec::new();
        for c in text.chars() {
            match Half::of(c) {
                Some(half) => run.push(half),
                None => {
                    flush(&run, &mut out);
                    run.clear();
                    out.push(c);
                }
            }
        }
        let whole = flush_whole(&run, &mut out);
        self.pending =
            text.chars().rev().take(run.len() - whole).collect::<Vec<_>>().into_iter().rev().collect();
        out
    }

    /// Ends the text: U+FFFD for a half without its other.
    pub(crate) fn end(&mut self) -> String {
        if std::mem::take(&mut self.pending).is_empty() {
            String::new()
        } else {
            char::REPLACEMENT_CHARACTER.into()
        }
    }
}

/// Writes a run of halves that nothing follows any more.
fn flush(run: &[Half], out: &mut String) {
    if flush_whole(run, out) < run.len() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
}

/// Writes what is whole or broken for good, and returns how many halves that were;
/// those after them may be the beginning of a character.
fn flush_whole(run: &[Half], out: &mut String) -> usize {
    let mut at = 0;
    while let Some(half) = run.get(at) {
        match (half, run.get(at + 1)) {
            (Half::High(high), Some(Half::Low(low))) => {
                out.extend(char::from_u32(0x1_0000 + (high << 10) + low));
                at += 2;
            }
            (Half::High(_), None) => return at,
            (Half::High(_) | Half::Low(_), _) => {
                out.push(char::REPLACEMENT_CHARACTER);
                at += 1;
            }
            (Half::Byte(_), _) => {
                let rest = run.get(at..).unwrap_or_default().iter();
                let bytes: Vec<u8> = rest
                    .map_while(|half| if let Half::Byte(byte) = half { Some(*byte) } else { None })
                    .collect();
                let (read, is_cut) = decode(&bytes, out);
                at += read;
                if is_cut {
                    let begun = bytes.len() - read;
                    if at + begun == run.len() {
                        return at;
                    }
                    out.push(char::REPLACEMENT_CHARACTER);
                    at += begun;
                }
            }
        }
    }
    at
}

/// Decodes bytes; returns how many were used, and whether the rest begins a
/// character.
fn decode(bytes: &[u8], out: &mut String) -> (usize, bool) {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                out.push_str(text);
                return (bytes.len(), false);
            }
            Err(error) => {
                out.push_str(
                    rest.get(..error.valid_up_to())
                        .and_then(|text| std::str::from_utf8(text).ok())
                        .unwrap_or_default(),
                );
                at += error.valid_up_to();
                let Some(broken) = error.error_len() else { return (at, true) };
                out.push(char::REPLACEMENT_CHARACTER);
                at += broken;
            }
        }
    }
    (at, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text comes to whose pieces are these JSON strings.
    fn joined(pieces: &[&[u8]]) -> String {
        let mut joiner = Joiner::default();
        let mut all = String::new();
        for piece in pieces {
            let kept = keep(piece);
            let text: String = serde_json::from_str(&kept).unwrap();
            all += &joiner.join(text, true);
        }
        all + &joiner.end()
    }

    #[test]
    fn halves_of_a_pair_are_joined() {
        assert_eq!(joined(&[br#""a\ud83d""#, br#""\ude00b""#]), "a😀b");
        assert_eq!(joined(&[br#""\ud83d\ude00\\ud83d""#]), "😀\\ud83d");
        assert_eq!(joined(&[br#""\uD83D""#, br#""""#, br#""\uDE00""#]), "😀");
        assert_eq!(joined(&[br#""\ud83d\ud83d""#, br#""\ude00""#]), "\u{FFFD}😀");
    }

    #[test]
    fn lone_half_is_replaced() {
        assert_eq!(joined(&[br#""a\ud83d""#]), "a\u{FFFD}");
        assert_eq!(joined(&[br#""a\ud83dx\n""#]), "a\u{FFFD}x\n");
        assert_eq!(joined(&[br#""a\ude00""#, br#""b""#]), "a\u{FFFD}b");
        assert_eq!(joined(&[br#""a\ud83d""#, br#""b""#]), "a\u{FFFD}b");
    }

    #[test]
    fn bytes_of_a_character_are_joined() {
        let smile = "😀".as_bytes();
        for at in 1..4 {
            let piece = |bytes: &[u8]| [b"\"", bytes, b"\""].concat();
            assert_eq!(joined(&[&piece(&smile[..at]), &piece(&smile[at..])]), "😀", "{at}");
        }
        assert_eq!(joined(&[b"\"a\xFFb\xF0\x9F\""]), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(joined(&[b"\"\xF0\x9F\"", b"\"x\""]), "\u{FFFD}x");
        assert_eq!(joined(&[b"\"\xF0\x9F\"", br#""\ude00""#]), "\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn text_without_halves_is_not_touched() {
        let mut joiner = Joiner::default();
        let private = char::from_u32(SURROGATES).unwrap().to_string();
        assert_eq!(joiner.join(private.clone(), false), private);
        assert_eq!(joiner.end(), "");
    }
}
