//! What a text looks like before it is read.

/// Quotes and lists within each other, at most.
pub(crate) const MAX_DEPTH: usize = 64;
/// Columns before the marker of a list, at most: each list within another takes two.
const MAX_INDENT: usize = 2 * MAX_DEPTH;

/// Whether a line of the text begins more quotes and lists than may be within each other.
/// A parser looks at all of them in each further line, which is work beyond all measure
/// for thousands.
pub(crate) fn is_deep(text: &str) -> bool {
    text.lines().any(|line| {
        let (mut markers, mut indent) = (0, 0);
        let mut bytes = line.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b' ' => indent += 1,
                b'\t' => indent += 4,
                b'>' => markers += 1,
                b'-' | b'*' | b'+' if ends(bytes.peek()) => {
                    if indent > MAX_INDENT {
                        return true;
                    }
                    markers += 1;
                }
                b'0'..=b'9' => {}
                b'.' | b')' if ends(bytes.peek()) => markers += 1,
                _ => break,
            }
        }
        markers > MAX_DEPTH
    })
}

fn ends(next: Option<&u8>) -> bool {
    next.is_none_or(|byte| matches!(byte, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_many_containers_are_deep() {
        for deep in [
            ">".repeat(65),
            "> ".repeat(65),
            "- ".repeat(65),
            "1. ".repeat(65),
            format!("{}- a", " ".repeat(130)),
        ] {
            assert!(is_deep(&format!("a\n\n{deep}")), "{deep}");
        }
        for flat in [
            ">".repeat(64),
            "-".repeat(500),
            "*".repeat(500),
            "+-".repeat(300),
            format!("{}a", " ".repeat(500)),
        ] {
            assert!(!is_deep(&format!("a\n\n{flat}\n")), "{flat}");
        }
    }
}
