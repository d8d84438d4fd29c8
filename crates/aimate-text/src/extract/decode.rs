//! Bytes into characters.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::error::ExtractError;
use super::{error, media};

/// The characters of `bytes`, and a warning where their encoding was guessed.
///
/// A byte order mark decides, then UTF-8 if it fits, then `label` (what the
/// document says of itself), then a guess.
pub(super) fn decode(bytes: &[u8], label: Option<&str>) -> Result<(String, Option<String>), ExtractError> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return Ok(with(encoding, bytes.get(length..).unwrap_or_default()));
    }
    if let Some(encoding) = wide(bytes) {
        return Ok(with(encoding, bytes));
    }
    if media::is_binary(bytes) {
        return Err(error::unsupported(
            "the file is called a text but holds binary data; upload it under the name its program gave it",
        ));
    }
    if let Ok(text) = str::from_utf8(bytes) {
        return Ok((text.to_owned(), None));
    }
    let named = label.and_then(|label| Encoding::for_label(label.as_bytes()));
    if let Some(encoding) = named.filter(|encoding| *encoding != UTF_8) {
        return Ok(with(encoding, bytes));
    }
    let encoding = guess(bytes);
    let (text, unreadable) = with(encoding, bytes);
    let name = encoding.name().to_ascii_lowercase();
    let guessed =
        if encoding == UTF_8 { unreadable } else { Some(format!("the text was not UTF-8; read as {name}")) };
    Ok((text, guessed))
}

fn with(encoding: &'static Encoding, bytes: &[u8]) -> (String, Option<String>) {
    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
    let name = encoding.name();
    let warning = had_errors.then(|| format!("some characters of the text are not {name} and were replaced"));
    (text.into_owned(), warning)
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    // UTF-8 with a few broken bytes (a cut end, a bad byte) stays UTF-8.
    let sample = bytes.get(..64 << 10).unwrap_or(bytes);
    let lossy = String::from_utf8_lossy(sample);
    let broken = lossy.chars().filter(|character| *character == char::REPLACEMENT_CHARACTER).count();
    let wide = lossy.chars().filter(|character| !character.is_ascii()).count() - broken;
    if broken * 10 < wide {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes.get(..1 << 20).unwrap_or(bytes), true);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a byte order mark: Latin text has a zero in every other byte.
fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    let (pairs, _) = bytes.get(..4_096).unwrap_or(bytes).as_chunks::<2>();
    if pairs.len() < 8 {
        return None;
    }
    let zeros = |place: usize| pairs.iter().filter(|pair| pair.get(place) == Some(&0)).count();
    let (first, second) = (zeros(0), zeros(1));
    if second * 10 > pairs.len() * 7 && first * 20 < pairs.len() {
        Some(UTF_16LE)
    } else if first * 10 > pairs.len() * 7 && second * 20 < pairs.len() {
        Some(UTF_16BE)
    } else {
        None
    }
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
