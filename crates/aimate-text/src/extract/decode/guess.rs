//! Which encoding a text is in that does not say.
//!
//! `chardetng` knows the encodings of the web. Where what comes of its guess looks
//! like no text (signs within words, capitals after small letters), the ones it
//! does not know are tried: those of DOS and of old Macs, and Johab.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    EUC_KR, Encoding, GB18030, GBK, IBM866, ISO_2022_JP, ISO_8859_5, KOI8_U, MACINTOSH, UTF_8, UTF_16BE,
    UTF_16LE, WINDOWS_1251, X_MAC_CYRILLIC,
};

use super::super::bytes::find;
use super::charset::Charset;
use super::johab;

const ESC: u8 = 0x1b;
/// Bytes that a guess is made of.
const SAMPLE: usize = 64 << 10;
/// Up to this share of characters that look wrong, a guess is kept.
const TOLERATED: f64 = 0.04;

/// A guess, and whether it is a doubtful one.
pub(super) struct Guess {
    pub(super) charset: Charset,
    pub(super) is_doubtful: bool,
}

pub(super) fn guess(bytes: &[u8]) -> Guess {
    // UTF-8 with a few broken bytes (a cut end, a bad byte) stays UTF-8.
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let lossy = String::from_utf8_lossy(sample);
    let broken = lossy.chars().filter(|character| *character == char::REPLACEMENT_CHARACTER).count();
    let wide = lossy.chars().filter(|character| !character.is_ascii()).count() - broken;
    if broken * 10 < wide {
        return Guess { charset: Charset::Web(UTF_8), is_doubtful: false };
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes.get(..1 << 20).unwrap_or(bytes), true);
    let first = detector.guess(None, Utf8Detection::Deny);
    // The older standard is a part of the newer one.
    let first = if first == GBK { GB18030 } else { first };
    let sample = dense(bytes);
    if !first.is_single_byte() {
        let (text, had_errors) = first.decode_without_bom_handling(&sample);
        let had_errors = had_errors || text.contains(|c| ('\u{e000}'..='\u{f8ff}').contains(&c));
        if (had_errors || first != EUC_KR) && johab::is_likely(&sample) {
            return Guess { charset: Charset::Johab, is_doubtful: false };
        }
        return Guess { charset: Charset::Web(first), is_doubtful: had_errors };
    }
    among_single_bytes(first, &sample)
}

fn among_single_bytes(first: &'static Encoding, sample: &[u8]) -> Guess {
    let first = Charset::Web(first);
    let look = Look::of(first, sample);
    if look.wrong <= TOLERATED {
        return Guess { charset: first, is_doubtful: false };
    }
    if johab::is_likely(sample) {
        return Guess { charset: Charset::Johab, is_doubtful: false };
    }
    let web =
        [WINDOWS_1251, KOI8_U, ISO_8859_5, IBM866, X_MAC_CYRILLIC, MACINTOSH].map(Charset::Web).into_iter();
    let dos = [855, 850, 852, 437, 737, 857, 775, 862].map(Charset::Dos).into_iter();
    let rivals = web.chain(dos).chain([Charset::Viscii]).filter(|rival| *rival != first);
    let mut best = (first, look);
    for rival in rivals {
        let look = Look::of(rival, sample);
        if look.score() > best.1.score() {
            best = (rival, look);
        }
    }
    Guess { charset: best.0, is_doubtful: best.1.wrong > TOLERATED }
}

/// The stretches around bytes above 127, as much as a guess is made of: a text may
/// begin with pages of markup.
fn dense(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() <= SAMPLE {
        return bytes.to_vec();
    }
    let mut sample = Vec::with_capacity(SAMPLE);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.iter().any(|byte| !byte.is_ascii()) {
            let room = SAMPLE.saturating_sub(sample.len());
            sample.extend_from_slice(line.get(..room).unwrap_or(line));
        }
        if sample.len() >= SAMPLE {
            break;
        }
    }
    sample
}

/// How much what an encoding makes of a text looks like one.
#[derive(Clone, Copy)]
struct Look {
    /// The share of characters beyond ASCII that stand where such do not stand.
    wrong: f64,
    /// How frequent the letters beyond ASCII are, on average, from 0 to 1.
    usual: f64,
}

impl Look {
    fn of(charset: Charset, sample: &[u8]) -> Self {
        let (text, _) = charset.decode(sample);
        let (mut all, mut wrong, mut usual) = (0_u32, 0_u32, 0.0);
        let (mut before, mut characters) = (' ', text.chars().peekable());
        while let Some(character) = characters.next() {
            if !character.is_ascii() {
                let after = characters.peek().copied().unwrap_or(' ');
                all += 1;
                wrong += u32::from(is_wrong(before, character, after));
                usual += frequency(character);
            } else if character.is_ascii_uppercase() && before.is_lowercase() && !before.is_ascii() {
                // As in the middle of a name in camel case, which has none beyond ASCII.
                wrong += 1;
            }
            before = character;
        }
        let all = f64::from(all.max(1));
        Self { wrong: f64::from(wrong) / all, usual: usual / all }
    }

    fn score(&self) -> f64 {
        self.usual - 3.0 * self.wrong
    }
}

fn is_wrong(before: char, character: char, after: char) -> bool {
    if character.is_control() || character == char::REPLACEMENT_CHARACTER {
        return true;
    }
    if !character.is_alphabetic() {
        // Signs within a word; marks that combine and apostrophes are none.
        let may_join = matches!(
            character,
            '’' | '‘' | '·' | '\u{ad}' | '–' | '—' | '-' | '°' | '\u{a0}' | '…'
        ) || matches!(character, '\u{0300}'..='\u{036f}' | '\u{0590}'..='\u{05c7}' | '\u{0610}'..='\u{065f}' | '\u{0e30}'..='\u{0e4f}');
        return !may_join && before.is_alphabetic() && after.is_alphabetic();
    }
    if character.is_uppercase() {
        // After a small letter of the word, or alone among small ones at its end.
        return before.is_lowercase();
    }
    // Two scripts in one word.
    let script = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => 1,
        '\u{370}'..='\u{3ff}' => 2,
        '\u{400}'..='\u{52f}' => 3,
        '\u{590}'..='\u{5ff}' => 4,
        '\u{600}'..='\u{6ff}' => 5,
        _ => 0,
    };
    let (this, other) = (script(character), script(before));
    this != 0 && other != 0 && this != other
}

/// How frequent a letter is where its script is written, from 0 to 1.
fn frequency(character: char) -> f64 {
    let lower = character.to_lowercase().next().unwrap_or(character);
    let frequent = match lower {
        'о' | 'е' | 'а' | 'и' | 'н' | 'т' | 'с' | 'р' | 'в' | 'л' => 1.0,
        'к' | 'м' | 'д' | 'п' | 'у' | 'я' | 'ы' | 'ь' | 'г' | 'з' | 'б' | 'ч' | 'й' => 0.6,
        'а'..='я' | 'ё' | 'і' | 'ї' | 'є' => 0.3,
        'é' | 'è' | 'à' | 'ü' | 'ö' | 'ä' | 'ß' | 'ç' | 'á' | 'í' | 'ó' | 'ñ' | 'ã' | 'å' | 'ø' => {
            1.0
        }
        'ê' | 'ô' | 'â' | 'î' | 'ú' | 'õ' | 'æ' | 'ë' | 'ï' | 'û' | 'ù' | 'ò' | 'ì' => 0.6,
        'č' | 'š' | 'ž' | 'ř' | 'ě' | 'ý' | 'ů' | 'ą' | 'ę' | 'ł' | 'ś' | 'ż' | 'ő' | 'ű' | 'ğ' | 'ş'
        | 'ı' => 0.8,
        'α'..='ω' | 'ά' | 'έ' | 'ή' | 'ί' | 'ό' | 'ύ' | 'ώ' => 0.8,
        'א'..='ת' => 0.8,
        'ạ'..='ỹ' | 'đ' | 'ư' | 'ơ' | 'ă' => 0.5,
        _ => 0.1,
    };
    if character.is_uppercase() { frequent * 0.5 } else { frequent }
}

/// UTF-16 or UTF-32 without a byte order mark.
pub(super) fn wide(bytes: &[u8]) -> Option<Charset> {
    let sample = bytes.get(..4_096).unwrap_or(bytes);
    if let (units, []) = sample.as_chunks::<4>()
        && units.len() >= 4
        && bytes.len().is_multiple_of(4)
    {
        let fits = |big: bool| {
            let value =
                |unit: &[u8; 4]| if big { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) };
            let characters = || units.iter().map(|unit| char::from_u32(value(unit)));
            let words = characters().flatten().filter(|c| c.is_alphanumeric() || c.is_whitespace()).count();
            characters().all(|c| c.is_some_and(|c| ('\t'..'\u{20000}').contains(&c)))
                && words * 4 >= units.len() * 3
        };
        if let Some(big) = [false, true].into_iter().find(|big| fits(*big)) {
            return Some(Charset::Utf32 { big });
        }
    }
    let (pairs, _) = sample.as_chunks::<2>();
    if pairs.len() < 8 {
        return None;
    }
    let zeros = |place: usize| pairs.iter().filter(|pair| pair.get(place) == Some(&0)).count();
    let (first, second) = (zeros(0), zeros(1));
    // Latin text has a zero in every other byte.
    if second * 10 > pairs.len() * 7 && first * 20 < pairs.len() {
        return Some(Charset::Web(UTF_16LE));
    }
    if first * 10 > pairs.len() * 7 && second * 20 < pairs.len() {
        return Some(Charset::Web(UTF_16BE));
    }
    // Of other scripts the spaces, digits and line ends are all that has zeros.
    if first + second == 0 || (first > 0 && second > 0 && first.abs_diff(second) * 2 < first + second) {
        return None;
    }
    let (encoding, big) = if second > first { (UTF_16LE, false) } else { (UTF_16BE, true) };
    is_utf16(pairs, big).then_some(Charset::Web(encoding))
}

/// Whether nearly all are characters of scripts in use, most of them of one block,
/// with white space between them.
fn is_utf16(pairs: &[[u8; 2]], big: bool) -> bool {
    let units =
        || pairs.iter().map(|pair| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
    let mut written = 0;
    let mut spaces = 0;
    for character in char::decode_utf16(units()) {
        match character {
            Ok('\t' | '\n' | '\r' | ' ' | '\u{3000}' | '、' | '。' | '，') => spaces += 1,
            Ok(' '..='~' | '\u{a0}'..='\u{2ff}' | '\u{370}'..='\u{6ff}' | '\u{900}'..='\u{e7f}') => {
                written += 1;
            }
            Ok('\u{2010}'..='\u{2030}' | '\u{3001}'..='\u{9fff}' | '가'..='힣' | '！'..='～') => {
                written += 1;
            }
            _ => {}
        }
    }
    spaces > 0 && (written + spaces) * 50 >= pairs.len() * 49
}

/// Which of these encodings a text is in that has no byte above 127.
pub(super) fn by_escapes(bytes: &[u8]) -> Option<Charset> {
    let sample = bytes.get(..256 << 10).unwrap_or(bytes);
    if sample.contains(&ESC) {
        for (at, _) in sample.iter().enumerate().filter(|(_, byte)| **byte == ESC) {
            match sample.get(at + 1..).unwrap_or_default() {
                [b'$', b')', b'C', ..] => return Some(Charset::Iso2022Kr),
                [b'$', b')', b'A' | b'G' | b'E', ..] | [b'$', b'*', b'H', ..] => {
                    return Some(Charset::Iso2022Cn);
                }
                [b'$', b'@' | b'B', ..] | [b'$', b'(', b'D' | b'B' | b'@', ..] | [b'(', b'J' | b'I', ..] => {
                    return Some(Charset::Web(ISO_2022_JP));
                }
                _ => {}
            }
        }
    }
    is_hz(sample).then_some(Charset::Hz)
}

/// `~{` and `~}` stand around pairs of bytes, nearly all of them of the common
/// Chinese characters.
fn is_hz(sample: &[u8]) -> bool {
    let (mut pairs, mut common) = (0, 0);
    let mut rest = sample;
    while let Some(at) = find(rest, b"~{") {
        let inside = rest.get(at + 2..).unwrap_or_default();
        let Some(end) = find(inside, b"~}") else {
            break;
        };
        let (run, odd) = inside.get(..end).unwrap_or_default().as_chunks::<2>();
        if !odd.is_empty() || run.is_empty() {
            return false;
        }
        for [first, second] in run {
            pairs += 1;
            // Punctuation and the characters that are sorted by their sound.
            let is_common = matches!(first, 0x21..=0x23 | 0x30..=0x57) && (0x21..=0x7e).contains(second);
            common += usize::from(is_common);
        }
        rest = inside.get(end..).unwrap_or_default();
    }
    pairs >= 2 && common * 10 >= pairs * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_tell_the_encoding() {
        let of = |bytes: &[u8]| by_escapes(bytes).map(Charset::name);
        assert_eq!(of(b"\x1b$B7@Ls\x1b(B"), Some("iso-2022-jp".to_owned()));
        assert_eq!(of(b"\x1b$)C\nhello"), Some("iso-2022-kr".to_owned()));
        assert_eq!(of(b"\x1b$)A\x0e<:\x0f"), Some("iso-2022-cn".to_owned()));
        assert_eq!(of(b"a ~{<:Ky2;S{#,NpJ)l6HK!#~} b"), Some("hz-gb-2312".to_owned()));
        assert_eq!(of(b"\x1b[31mred\x1b[0m, a{b~c} ~{x}"), None);
    }
}
