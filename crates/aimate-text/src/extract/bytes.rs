//! What bytes tell before anything is known of them.

/// How many of a file's first bytes [`media_type`](super::media::media_type) can use.
pub(super) const HEAD: usize = 64 << 10;

/// Whether bytes are not text in any encoding but UTF-16 and UTF-32.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    let sample = bytes.get(..HEAD).unwrap_or(bytes);
    let zeros = sample.iter().filter(|byte| **byte == 0).count();
    // Escape, backspace and form feed are in logs of terminals and in old texts.
    let odd = |byte: &u8| matches!(byte, 1..=7 | 14..=26 | 28..=31 | 127);
    let control = sample.iter().filter(|byte| odd(byte)).count();
    zeros * 100 > sample.len() || (zeros + control) * 20 > sample.len()
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
