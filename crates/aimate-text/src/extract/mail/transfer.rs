//! The bytes of a message's parts, read as leniently as mail programs do: a damaged
//! sequence stays as it is, the rest is decoded.

pub(super) fn decode(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "base64" => base64(body),
        "quoted-printable" => quoted_printable(body, false),
        "uuencode" | "x-uuencode" | "x-uue" | "uue" => uuencode(body),
        _ => body.to_vec(),
    }
}

/// What is none of its 64 characters is passed over, a missing end too.
pub(super) fn base64(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in body {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                // The end of one run; some programs write several.
                count = 0;
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// In the words of headers an underline is a space.
pub(super) fn quoted_printable(body: &[u8], is_word: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'=' => {
                let digits = tail.get(..2).and_then(|two| str::from_utf8(two).ok());
                let value = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
                if let Some(value) = value.and_then(|two| u8::from_str_radix(two, 16).ok()) {
                    bytes.push(value);
                    rest = tail.get(2..).unwrap_or_default();
                } else if let Some(at) = soft_break(tail) {
                    rest = tail.get(at..).unwrap_or_default();
                } else {
                    bytes.push(b'=');
                }
            }
            b'_' if is_word => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    bytes
}

/// Where the next line begins, if nothing but blanks stands before it.
fn soft_break(tail: &[u8]) -> Option<usize> {
    let end = tail.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).unwrap_or(tail.len());
    match tail.get(end) {
        Some(b'\n') => Some(end + 1),
        None => Some(end),
        Some(_) => None,
    }
}

fn uuencode(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3);
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        let Some((first, data)) = line.split_first().filter(|_| !line.starts_with(b"begin ")) else {
            continue;
        };
        if line == b"end" {
            break;
        }
        let length = usize::from(first.wrapping_sub(32) & 63);
        let mut decoded = Vec::with_capacity(length + 3);
        for group in data.chunks(4) {
            let value = |at: usize| u32::from(group.get(at).map_or(0, |byte| byte.wrapping_sub(32) & 63));
            let bits = value(0) << 18 | value(1) << 12 | value(2) << 6 | value(3);
            decoded.extend([(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
        }
        decoded.truncate(length);
        bytes.extend(decoded);
    }
    bytes
}

/// Text of the format "flowed" (RFC 3676): lines that end in a space go on in the
/// next one of the same depth of quotation.
pub(super) fn unflow(text: &str, delete_space: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // The depth of the paragraph that goes on.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let quoted = line.trim_start_matches('>');
        let depth = line.len() - quoted.len();
        let content = quoted.strip_prefix(' ').unwrap_or(quoted);
        let is_signature = content == "-- ";
        if open.take().is_some_and(|before| before == depth && !is_signature) {
            out.push_str(content);
        } else {
            if !out.is_empty() {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n('>', depth));
            if depth > 0 && !content.is_empty() {
                out.push(' ');
            }
            out.push_str(content);
        }
        if content.ends_with(' ') && !is_signature {
            open = Some(depth);
            if delete_space {
                out.pop();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_stays_where_it_is() {
        assert_eq!(
            quoted_printable(b"caf=C3=A9 =\r\nau=ZZ lait 5=3 =", false),
            "café au=ZZ lait 5=3 ".as_bytes()
        );
        assert_eq!(base64(b"QXR0\r\nYWNo ZWQ*gdGV4dA"), b"Attached text");
        assert_eq!(base64(b"YQ==Yg=="), b"ab");
        assert_eq!(uuencode(b"begin 644 a\n#0V%T\n`\nend\n"), b"Cat");
    }

    #[test]
    fn flowed_lines_are_joined() {
        let text = "One long \nline.\nNext.\n> quoted \n> text\n>> other \n> end\n-- \nAda";
        assert_eq!(unflow(text, false), "One long line.\nNext.\n> quoted text\n>> other \n> end\n-- \nAda");
        assert_eq!(unflow("日本 \n語", true), "日本語");
        assert_eq!(unflow(" From here\n", false), "From here");
    }
}
