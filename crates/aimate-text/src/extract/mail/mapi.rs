//! What Outlook's two kinds of files have in common: forms of a body, texts.

/// Maximum bytes that text in compressed RTF becomes.
const MAX_RTF: usize = 32 << 20;

/// The body of a message in one of Outlook's forms.
pub(super) enum OutlookBody {
    Text(String),
    Html(Vec<u8>),
    Rtf(Vec<u8>),
}

pub(super) fn wide(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)));
    let text: String = text.map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.trim_end_matches('\0').to_owned()
}

/// What the compressed RTF of a message begins with, as if it had been unpacked before.
const DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// Unpacks compressed RTF (MS-OXRTFCP): a run of bytes or of places in a window of
/// 4 KiB.
pub(super) fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    let kind = packed.get(8..12)?;
    let mut rest = packed.get(16..)?;
    match kind {
        b"MELA" => return Some(rest.to_vec()),
        b"LZFu" => {}
        _ => return None,
    }
    let mut window = [0_u8; 4_096];
    window.get_mut(..DICTIONARY.len())?.copy_from_slice(DICTIONARY);
    let mut at = DICTIONARY.len();
    let mut text = Vec::new();
    while let Some((control, tail)) = rest.split_first() {
        rest = tail;
        for bit in 0..8 {
            if control & (1 << bit) == 0 {
                let Some((byte, tail)) = rest.split_first() else {
                    return Some(text);
                };
                rest = tail;
                text.push(*byte);
                *window.get_mut(at)? = *byte;
                at = (at + 1) % window.len();
                continue;
            }
            let Some((pair, tail)) = rest.split_first_chunk::<2>() else {
                return Some(text);
            };
            rest = tail;
            let reference = usize::from(u16::from_be_bytes(*pair));
            let (from, length) = (reference >> 4, (reference & 15) + 2);
            if from == at || text.len() > MAX_RTF {
                return Some(text);
            }
            for step in 0..length {
                let byte = *window.get((from + step) % window.len())?;
                text.push(byte);
                *window.get_mut(at)? = byte;
                at = (at + 1) % window.len();
            }
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_rtf_is_unpacked() {
        // The example of MS-OXRTFCP, 4.1.
        let packed = b"\x2d\x00\x00\x00\x2b\x00\x00\x00LZFu\xf1\xc5\xc7\xa7\x03\x00\x0a\x00rcpg125\x42\x32\x0a\xf3\x20hel\x09\x00\x20bw\x05\xb0ld}\x0a\x80\x0f\xa0";
        assert_eq!(decompress(packed).unwrap(), b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        for end in 0..packed.len() {
            let _ = decompress(&packed[..end]);
        }
    }
}
