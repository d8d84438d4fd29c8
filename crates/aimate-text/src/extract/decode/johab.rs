//! Johab (KS X 1001 annex 3, code page 1361): Korean, each syllable written as the
//! numbers of its letters.

use encoding_rs::EUC_KR;

/// Syllables by which Korean text is told from other bytes: about a third of it.
const COMMON: &str = "이다는의에을가고하지로한은기사도를서리어대자시수인정라해일나전부상아";

pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, tail)) = rest.split_first() {
        if byte.is_ascii() {
            text.push(char::from(*byte));
            rest = tail;
            continue;
        }
        match tail.first().and_then(|second| pair(*byte, *second)) {
            Some(character) => {
                text.push(character);
                rest = tail.get(1..).unwrap_or_default();
            }
            None => {
                text.push(char::REPLACEMENT_CHARACTER);
                rest = tail;
            }
        }
    }
    text
}

/// Whether `bytes` are hardly anything else: nearly all of it decodes, to
/// syllables that are common.
pub(super) fn is_likely(bytes: &[u8]) -> bool {
    let text = decode(bytes.get(..64 << 10).unwrap_or(bytes));
    // Frames of lines and other signs do not tell.
    let counts = |c: &char| c.is_alphabetic() || *c == char::REPLACEMENT_CHARACTER;
    let wide = text.chars().filter(|c| !c.is_ascii() && counts(c)).count();
    let syllables = text.chars().filter(|c| ('가'..='힣').contains(c)).count();
    let common = text.chars().filter(|c| COMMON.contains(*c)).count();
    syllables >= 4 && syllables * 10 >= wide * 9 && common * 5 >= syllables
}

fn pair(first: u8, second: u8) -> Option<char> {
    let code = u16::from_be_bytes([first, second]);
    match first {
        0x84..=0xd3 => hangul(code),
        0xd9..=0xde => ks(first - 0xd9, 0x21, second),
        0xe0..=0xf9 => ks(first - 0xe0, 0x4a, second),
        _ => None,
    }
}

/// Three numbers of five bits: the letters at the beginning, in the middle and at
/// the end of a syllable.
fn hangul(code: u16) -> Option<char> {
    let part = |shift: u16| u32::from((code >> shift) & 31);
    let initial = part(10).checked_sub(1)?;
    let medial = match part(5) {
        2 => 0,
        n @ 3..=7 => n - 2,
        n @ 10..=15 => n - 4,
        n @ 18..=23 => n - 6,
        n @ 26..=29 => n - 8,
        _ => return None,
    };
    let last = match part(0) {
        n @ 1..=17 => n - 1,
        n @ 19..=29 => n - 2,
        _ => return None,
    };
    // Zero is "none" of each.
    match (initial, medial, last) {
        (1..=19, 1..=21, _) => char::from_u32(0xac00 + ((initial - 1) * 21 + medial - 1) * 28 + last),
        (0, 1..=21, 0) => char::from_u32(0x314f + medial - 1),
        (1..=19, 0, 0) => "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ".chars().nth(initial as usize - 1),
        (0, 0, 1..) => {
            "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ".chars().nth(last as usize - 1)
        }
        _ => None,
    }
}

/// Signs and Chinese characters: two rows of KS X 1001 for each first byte.
fn ks(pair_of_rows: u8, first_row: u8, second: u8) -> Option<char> {
    let at = match second {
        0x31..=0x7e => second - 0x31,
        0x91..=0xfe => second - 0x43,
        _ => return None,
    };
    let bytes = [(first_row + 2 * pair_of_rows + at / 94) | 0x80, (at % 94 + 0x21) | 0x80];
    let (text, had_errors) = EUC_KR.decode_without_bom_handling(&bytes);
    text.chars().next().filter(|_| !had_errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_letters_and_signs_are_decoded() {
        assert_eq!(decode(b"\x88\x61\x90\x61 ok \xd0\x65\x8b\x69"), "가나 ok 한글");
        assert_eq!(decode(b"\xe0\x31\xd9\x31\xff"), "伽\u{3000}\u{fffd}");
    }
}
