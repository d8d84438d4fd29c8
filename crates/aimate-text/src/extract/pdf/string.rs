//! Strings outside of content: titles, values of forms, comments.

/// PDFDocEncoding where it is not Latin-1: 0x18 to 0x1f and 0x80 to 0xa0.
const LOW: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
const HIGH: [char; 33] = [
    '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ', 'ﬂ',
    'Ł', 'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', '\u{fffd}', '€',
];

/// Decodes a text string: UTF-16 or UTF-8 by its mark, else `PDFDocEncoding`.
pub(super) fn text_string(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xfe, 0xff, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xff, 0xfe, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => bytes.iter().map(|byte| document_character(*byte)).collect(),
    };
    // The language of what follows stands between escapes.
    let mut plain = String::with_capacity(text.len());
    for (index, part) in text.split('\u{1b}').enumerate() {
        if index.is_multiple_of(2) {
            plain.push_str(part);
        }
    }
    plain
}

fn document_character(byte: u8) -> char {
    let from = |table: &[char], first: u8| table.get(usize::from(byte - first)).copied();
    match byte {
        0x18..=0x1f => from(&LOW, 0x18),
        0x80..=0xa0 => from(&HIGH, 0x80),
        _ => None,
    }
    .unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_strings_are_decoded_by_their_mark() {
        for (bytes, text) in [
            (b"Caf\xe9 \x84 \xa0".as_slice(), "Café — €"),
            (b"\xfe\xff\x00O\x01\x51", "Oő"),
            (b"\xff\xfeO\x00", "O"),
            (b"\xef\xbb\xbfO\xc5\x91", "Oő"),
            (b"\xfe\xff\x00\x1b\x00e\x00n\x00\x1b\x00A", "A"),
        ] {
            assert_eq!(text_string(bytes), text);
        }
    }
}
