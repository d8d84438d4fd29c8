//! Single lines of text: titles, names, headers.

/// Maximum bytes of a line.
const MAX_LINE: usize = 500;

/// Returns `text` as one line without control characters and repeated spaces, cut
/// at 500 bytes.
pub(super) fn clean_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|character: char| character.is_whitespace() || is_control(character)) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MAX_LINE {
            line.truncate(line.floor_char_boundary(MAX_LINE));
            break;
        }
    }
    line
}

/// Whether a character is dropped from text: controls, byte order marks and
/// noncharacters, but not the line feed and the tab.
pub(super) fn is_control(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_line_is_cut_at_a_character() {
        assert_eq!(clean_line(&"é".repeat(1_000)).len(), MAX_LINE);
    }
}
