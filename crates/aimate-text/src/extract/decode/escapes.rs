//! Encodings of seven bits that switch between character sets by marks in the
//! text. `encoding_rs` decodes the Japanese one alone: on the web the others can
//! hide markup, which does not matter where text is stored.

use encoding_rs::{EUC_KR, Encoding, GBK};

const ESC: u8 = 0x1b;
/// Into the second character set, and back.
const SHIFT_OUT: u8 = 0x0e;
const SHIFT_IN: u8 = 0x0f;

/// RFC 1557.
pub(super) fn iso2022_kr(bytes: &[u8]) -> String {
    shifted(bytes, |_| Some(EUC_KR))
}

/// RFC 1922, of it the simplified characters. The traditional ones (CNS 11643)
/// become replacement characters.
pub(super) fn iso2022_cn(bytes: &[u8]) -> String {
    shifted(bytes, |set| (set == b'A').then_some(GBK))
}

/// Decodes what stands between shifts as if its bytes had the upper bit.
fn shifted(bytes: &[u8], encoding_of: impl Fn(u8) -> Option<&'static Encoding>) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut run = Vec::new();
    let (mut is_out, mut set) = (false, b'A');
    let mut rest = bytes;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            &ESC => {
                flush(&mut text, &mut run, encoding_of(set));
                // A designation: intermediate bytes and a final one.
                let length = tail.iter().take(4).position(|byte| !(0x20..=0x2f).contains(byte));
                let length = length.map_or(0, |at| at + 1);
                if let Some([b'$', b')', named]) = tail.get(..length) {
                    set = *named;
                }
                rest = tail.get(length..).unwrap_or_default();
            }
            &SHIFT_OUT => is_out = true,
            &SHIFT_IN => {
                flush(&mut text, &mut run, encoding_of(set));
                is_out = false;
            }
            b'\n' | b'\r' => {
                flush(&mut text, &mut run, encoding_of(set));
                is_out = false;
                text.push(char::from(*byte));
            }
            0x21..=0x7e if is_out => run.push(byte | 0x80),
            0..=0x7f => {
                flush(&mut text, &mut run, encoding_of(set));
                text.push(char::from(*byte));
            }
            // Not of seven bits, though called so: it is what the set means anyway.
            _ => run.push(*byte),
        }
    }
    flush(&mut text, &mut run, encoding_of(set));
    text
}

fn flush(text: &mut String, run: &mut Vec<u8>, encoding: Option<&'static Encoding>) {
    if let Some(encoding) = encoding {
        text.push_str(&encoding.decode_without_bom_handling(run).0);
    } else {
        text.extend(run.chunks(2).map(|_| char::REPLACEMENT_CHARACTER));
    }
    run.clear();
}

/// RFC 1843.
pub(super) fn hz(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut run = Vec::new();
    let mut is_out = false;
    let mut rest = bytes;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'~', Some(b'{')) if !is_out => {
                is_out = true;
                rest = tail.get(1..).unwrap_or_default();
            }
            (b'~', Some(b'}')) if is_out => {
                flush(&mut text, &mut run, Some(GBK));
                is_out = false;
                rest = tail.get(1..).unwrap_or_default();
            }
            (b'~', Some(b'~')) if !is_out => {
                text.push('~');
                rest = tail.get(1..).unwrap_or_default();
            }
            (b'~', Some(b'\n')) if !is_out => rest = tail.get(1..).unwrap_or_default(),
            (0x21..=0x7e, _) if is_out => run.push(byte | 0x80),
            _ => {
                flush(&mut text, &mut run, Some(GBK));
                is_out = false;
                text.push(if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER });
            }
        }
    }
    flush(&mut text, &mut run, Some(GBK));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_followed() {
        assert_eq!(iso2022_kr(b"\x1b$)C\nA \x0e0!3*\x0f B\n"), "\nA 가나 B\n");
        assert_eq!(iso2022_cn(b"\x1b$)A\x0eVPND\x0f ok"), "中文 ok");
        assert_eq!(hz(b"This ~{<:Ky2;S{#,NpJ)l6HK!#~}~~ end~\n."), "This 己所不欲，勿施於人。~ end.");
    }

    #[test]
    fn cut_off_texts_end() {
        assert_eq!(iso2022_kr(b"\x1b$"), "$");
        assert_eq!(iso2022_kr(b"\x0e0"), "\u{fffd}");
        assert_eq!(hz(b"~"), "~");
        assert_eq!(hz(b"~{<"), "\u{fffd}");
    }
}
