//! The text of headers, with their encoded words (RFC 2047).

use std::borrow::Cow;

use super::super::decode::decode_text;
use super::transfer;

/// The value of a header. Encoded words that follow each other are put together
/// before they are decoded: some programs cut them within a character. Bytes above
/// 127, which should not be there, are decoded as a text would be.
pub(super) fn header_text(value: &[u8]) -> String {
    let (raw, _) = decode_text(value, None);
    let mut out = String::with_capacity(raw.len());
    // The encoded bytes that wait for the next word of their character set.
    let mut run: Option<(String, Vec<u8>)> = None;
    let mut rest = raw.as_str();
    while let Some(at) = rest.find("=?") {
        let (before, tail) = rest.split_at(at);
        let Some((word, after)) = encoded_word(tail) else {
            flush(&mut out, run.take());
            out.push_str(before);
            out.push_str("=?");
            rest = tail.get(2..).unwrap_or_default();
            continue;
        };
        // White space between two encoded words is none of the text.
        if run.is_none() || !before.trim().is_empty() {
            flush(&mut out, run.take());
            out.push_str(before);
        }
        run = Some(match run.take() {
            Some((charset, mut bytes)) if charset == word.0 => {
                bytes.extend(word.1);
                (charset, bytes)
            }
            other => {
                flush(&mut out, other);
                word
            }
        });
        rest = after;
    }
    flush(&mut out, run);
    out.push_str(rest);
    out
}

fn flush(out: &mut String, run: Option<(String, Vec<u8>)>) {
    if let Some((charset, bytes)) = run {
        out.push_str(&decode_text(&bytes, Some(&charset)).0);
    }
}

/// The character set and the bytes of the encoded word that `text` begins with, and
/// what follows it.
fn encoded_word(text: &str) -> Option<((String, Vec<u8>), &str)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, after) = rest.split_once("?=")?;
    // The language that RFC 2231 lets follow the name.
    let charset = charset.split('*').next().unwrap_or_default();
    let is_name = !charset.is_empty() && charset.bytes().all(|byte| byte.is_ascii_graphic());
    let content = content.as_bytes();
    let bytes = match encoding {
        "B" | "b" => transfer::base64(content),
        "Q" | "q" => transfer::quoted_printable(content, true),
        _ => return None,
    };
    is_name.then(|| ((charset.to_ascii_lowercase(), bytes), after))
}

/// `parsed`, unless the parser could not decode all of it.
pub(super) fn repaired<'a>(parsed: &'a str, raw: impl FnOnce() -> &'a [u8]) -> Cow<'a, str> {
    let is_whole = !parsed.contains(char::REPLACEMENT_CHARACTER) && !parsed.contains("=?");
    if is_whole { Cow::Borrowed(parsed) } else { Cow::Owned(header_text(raw())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded_together() {
        let of = |value: &str| header_text(value.as_bytes());
        assert_eq!(of("=?utf-8?q?Gr=C3=BC=C3=9Fe_an?= alle"), "Grüße an alle");
        assert_eq!(of("=?UTF-8?B?w6k=?=\r\n =?utf-8?Q?t=C3=A9?= x"), "été x");
        // Cut within a character.
        assert_eq!(of("=?utf-8?B?4oI=?= =?utf-8?B?rA==?="), "€");
        assert_eq!(of("=?iso-2022-jp?B?GyRCN0BMcxsoQg==?="), "契約");
        assert_eq!(of("=?x-unknown?Q?caf=C3=A9?= a=?b"), "café a=?b");
        assert_eq!(header_text(b"caf\xe9 d\xe9j\xe0 vu"), "café déjà vu");
    }
}
