//! From the order in which letters stand to the order in which they are read.

/// How a piece of a line runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// From right to left: Hebrew, Arabic and others.
    Right,
    Left,
    Digit,
    /// Stands between the digits of a number.
    Separator,
    Other,
}

fn class(piece: &str) -> Class {
    match piece.chars().next() {
        Some(one) if is_right_to_left(one) => Class::Right,
        Some('0'..='9' | '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}') => Class::Digit,
        Some('.' | ',' | ':' | '/' | '-' | '%' | '+' | '\u{66a}'..='\u{66c}') => Class::Separator,
        Some(one) if one.is_alphabetic() => Class::Left,
        _ => Class::Other,
    }
}

pub(super) fn is_right_to_left(character: char) -> bool {
    matches!(
        character,
        '\u{590}'..='\u{65f}' | '\u{66d}'..='\u{6ef}' | '\u{6fa}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}'
    )
}

/// Puts the pieces of a line, which stand from left to right, into the order of
/// reading. Letters within a piece are in that order already.
pub(super) fn to_reading_order(pieces: &mut Vec<String>) {
    let classes: Vec<Class> = pieces.iter().map(|piece| class(piece)).collect();
    let count = |class| classes.iter().filter(|one| **one == class).count();
    if count(Class::Right) == 0 {
        return;
    }
    if count(Class::Right) >= count(Class::Left) {
        reverse(pieces, &classes);
        part_scripts(pieces);
        return;
    }
    // A line that runs from left to right: only its stretches of the other kind turn.
    let mut start = 0;
    while let Some(first) = classes.iter().skip(start).position(|one| *one == Class::Right) {
        let first = start + first;
        let rest = classes.get(first..).unwrap_or_default();
        let length = rest.iter().position(|one| *one == Class::Left).unwrap_or(rest.len());
        let last = rest.get(..length).unwrap_or_default().iter().rposition(|one| *one == Class::Right);
        let end = first + last.unwrap_or(0) + 1;
        if let (Some(pieces), Some(classes)) = (pieces.get_mut(first..end), classes.get(first..end)) {
            let mut turned = pieces.to_vec();
            reverse(&mut turned, classes);
            pieces.clone_from_slice(&turned);
        }
        start = end;
    }
}

/// Puts a space between a word of Latin letters and one that runs from right to left
/// after it: programs put the one that was typed there on the word's other side. Before
/// it there may be none, as a conjunction is written with its word.
fn part_scripts(pieces: &mut Vec<String>) {
    let mut last = Class::Other;
    let mut parted = Vec::with_capacity(pieces.len());
    for piece in pieces.drain(..) {
        let this = class(&piece);
        if last == Class::Left && this == Class::Right {
            parted.push(" ".to_owned());
        }
        last = this;
        parted.push(piece);
    }
    *pieces = parted;
}

/// Reverses a stretch, but for what runs from left to right in it.
fn reverse(pieces: &mut Vec<String>, classes: &[Class]) {
    let mut turned = Vec::with_capacity(pieces.len());
    let mut end = classes.len();
    while end > 0 {
        let start = run_start(classes, end);
        if end - start == 1
            && classes.get(start).is_some_and(|one| matches!(one, Class::Other | Class::Right))
        {
            turned.push(mirrored(pieces.get(start).map_or("", String::as_str)));
        } else {
            turned.extend(pieces.get(start..end).unwrap_or_default().iter().cloned());
        }
        end = start;
    }
    *pieces = turned;
}

/// Where the stretch that ends before `end` and keeps its order starts.
fn run_start(classes: &[Class], end: usize) -> usize {
    let at = |index: usize| classes.get(index).copied().unwrap_or(Class::Other);
    let mut start = end - 1;
    if matches!(at(start), Class::Right | Class::Other | Class::Separator) {
        return start;
    }
    loop {
        // The next letter or digit to the left, and what lies between.
        let mut next = start;
        let mut is_number = true;
        while next > 0 && matches!(at(next - 1), Class::Other | Class::Separator) {
            next -= 1;
            is_number &= at(next) == Class::Separator;
        }
        if next == 0 {
            return start;
        }
        match at(next - 1) {
            Class::Left => start = next - 1,
            Class::Digit if is_number => start = next - 1,
            _ => return start,
        }
    }
}

fn mirrored(piece: &str) -> String {
    let mirror = |one: char| match one {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '{' => '}',
        '}' => '{',
        '<' => '>',
        '>' => '<',
        '«' => '»',
        '»' => '«',
        other => other,
    };
    let mut characters = piece.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => mirror(one).to_string(),
        _ => piece.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> String {
        let mut pieces: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        to_reading_order(&mut pieces);
        pieces.concat()
    }

    fn letters(text: &str) -> String {
        let pieces: Vec<String> = text.chars().map(String::from).collect();
        read(&pieces.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn lines_are_read_from_right_to_left() {
        assert_eq!(letters("םולש"), "שלום");
        assert_eq!(letters("12/05 םולש"), "שלום 12/05");
        assert_eq!(letters("34 12 םולש"), "שלום 12 34");
        assert_eq!(letters("םולש abc def םולש"), "שלום abc def שלום");
        assert_eq!(letters("(בא) םולש"), "שלום (אב)");
        assert_eq!(letters("plain text"), "plain text");
        // The space that was typed after a foreign word stands before it.
        assert_eq!(letters("םולשPython  טוב"), "בוט  Python שלום");
    }

    #[test]
    fn words_within_a_line_from_left_to_right_turn_alone() {
        assert_eq!(letters("The word םולש בוט means peace."), "The word טוב שלום means peace.");
    }

    #[test]
    fn ligatures_keep_their_order() {
        assert_eq!(read(&["ة", "ي", "ج", "ا", "ت", "ن", "لإ", "ا"]), "الإنتاجية");
    }
}
