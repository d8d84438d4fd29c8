//! Bytes into characters.

mod charset;
mod escapes;
mod guess;
mod johab;

use encoding_rs::{Encoding, UTF_8};

use super::error::ExtractError;
use super::{bytes as raw, error};

use charset::Charset;

/// Up to this share of characters that an encoding does not have, a text is taken to
/// be in the one it names.
const MISLABELLED: usize = 50;

/// The characters of `bytes`, and a warning where their encoding was guessed.
///
/// A byte order mark decides, then UTF-8 if it fits, then `label` (what the
/// document says of itself), then a guess.
pub(super) fn decode(bytes: &[u8], label: Option<&str>) -> Result<(String, Option<String>), ExtractError> {
    if let Some((charset, length)) = by_mark(bytes) {
        return Ok(with(charset, bytes.get(length..).unwrap_or_default()));
    }
    if let Some(charset) = guess::wide(bytes) {
        return Ok(with(charset, bytes));
    }
    if raw::is_binary(bytes) && !is_text_in_disguise(bytes) {
        return Err(error::unsupported(
            "the file is called a text but holds binary data; upload it under the name its program gave it",
        ));
    }
    Ok(decode_text(bytes, label))
}

/// As [`decode`], of bytes that are known to be text, such as a part of a message.
pub(super) fn decode_text(bytes: &[u8], label: Option<&str>) -> (String, Option<String>) {
    if let Some((charset, length)) = by_mark(bytes) {
        return with(charset, bytes.get(length..).unwrap_or_default());
    }
    let label = label.map(str::to_owned).or_else(|| declared(bytes));
    let named = label.as_deref().and_then(Charset::for_label);
    if let Ok(text) = str::from_utf8(bytes) {
        // Of seven bits all, which is UTF-8 too.
        return match guess::by_escapes(bytes) {
            Some(charset) if bytes.is_ascii() => with(charset, bytes),
            _ => match named {
                Some(charset @ (Charset::Hz | Charset::Iso2022Kr | Charset::Iso2022Cn)) => {
                    with(charset, bytes)
                }
                _ => (text.to_owned(), None),
            },
        };
    }
    if let Some(charset) = named.filter(|charset| *charset != Charset::Web(UTF_8)) {
        let (text, warning) = with(charset, bytes);
        if is_mostly_readable(&text) {
            return (text, warning);
        }
    }
    let guess = guess::guess(bytes);
    let (text, unreadable) = with(guess.charset, bytes);
    let name = guess.charset.name();
    let warning = if guess.charset == Charset::Web(UTF_8) {
        unreadable
    } else if guess.is_doubtful {
        Some(format!(
            "the text was not UTF-8 and its encoding is in doubt; read as {name}, so some words may be wrong"
        ))
    } else {
        Some(format!("the text was not UTF-8; read as {name}"))
    };
    (text, warning)
}

/// Whether bytes that look binary are text in UTF-16 or UTF-32, or with shifts
/// between character sets.
pub(super) fn is_text_in_disguise(bytes: &[u8]) -> bool {
    by_mark(bytes).is_some()
        || guess::wide(bytes).is_some()
        || (bytes.is_ascii() && guess::by_escapes(bytes).is_some())
}

/// The encoding that a byte order mark names, and how long the mark is.
fn by_mark(bytes: &[u8]) -> Option<(Charset, usize)> {
    // It begins as that of UTF-16 does.
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) && bytes.len().is_multiple_of(4) {
        return Some((Charset::Utf32 { big: false }, 4));
    }
    if bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Some((Charset::Utf32 { big: true }, 4));
    }
    Encoding::for_bom(bytes).map(|(encoding, length)| (Charset::Web(encoding), length))
}

/// What an XML declaration or a comment in the first two lines, as editors and Python
/// read it (PEP 263), says the encoding is.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..200).unwrap_or(bytes);
    let is_xml = head.trim_ascii_start().starts_with(b"<?xml");
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').take(if is_xml { 4 } else { 2 }).collect();
    lines.into_iter().find_map(|line| {
        let line = String::from_utf8_lossy(line);
        if !is_xml && !line.trim_start().starts_with(['#', '%', ';', '/', '"', '-']) {
            return None;
        }
        let (_, after) = line.split_once("coding")?;
        let after = after.trim_start().strip_prefix(['=', ':'])?;
        let name = after.trim_start().trim_start_matches(['"', '\'']);
        let end =
            name.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c)).unwrap_or(name.len());
        name.get(..end).filter(|name| !name.is_empty()).map(str::to_owned)
    })
}

fn with(charset: Charset, bytes: &[u8]) -> (String, Option<String>) {
    let (text, had_errors) = charset.decode(bytes);
    let warning = had_errors
        .then(|| format!("some characters of the text are not {} and were replaced", charset.name()));
    (text, warning)
}

fn is_mostly_readable(text: &str) -> bool {
    let wide = text.chars().filter(|character| !character.is_ascii()).count();
    let broken = text.chars().filter(|character| *character == char::REPLACEMENT_CHARACTER).count();
    broken * MISLABELLED <= wide
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn utf16_is_read_with_and_without_mark() {
        for (big, mark) in [(false, false), (false, true), (true, false), (true, true)] {
            let (text, warning) = decode(&utf16("Grüße an alle Leser", big, mark), None).unwrap();
            assert_eq!((text.as_str(), warning), ("Grüße an alle Leser", None), "{big} {mark}");
        }
    }

    #[test]
    fn other_encodings_are_guessed_with_a_warning() {
        let (bytes, _, _) =
            encoding_rs::WINDOWS_1252.encode("Die Prüfung läuft über fünf Stunden, größer als üblich.");
        let (text, warning) = decode(&bytes, None).unwrap();
        assert!(text.contains("Prüfung läuft"), "{text}");
        assert_eq!(warning.as_deref(), Some("the text was not UTF-8; read as windows-1252"));
    }

    #[test]
    fn binary_data_is_not_text() {
        let bytes: Vec<u8> = (0..4_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(decode(&bytes, None).unwrap_err().kind, crate::extract::ExtractErrorKind::Unsupported);
    }
}
