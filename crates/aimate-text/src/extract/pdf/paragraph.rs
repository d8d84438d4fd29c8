//! Lines into paragraphs, and which of them are headings.

use super::hyphen::{Join, Words, is_hyphen};
use super::line::{Line, runs_left};

/// A paragraph, a heading, or the rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PageParagraph {
    pub(super) lines: Vec<Line>,
    /// Whether it may be a heading: it stands along an edge of the page.
    pub(super) is_straight: bool,
    /// The right end of the lines of its column; where text runs leftwards, the left.
    edge: f64,
}

impl PageParagraph {
    pub(super) fn letters(&self) -> usize {
        self.lines.iter().map(|line| line.text.chars().count()).sum()
    }

    pub(super) fn size(&self) -> f64 {
        self.lines.iter().map(|line| line.size).fold(0.0, f64::max)
    }

    pub(super) fn is_bold(&self) -> bool {
        self.lines.iter().all(|line| line.is_bold)
    }

    /// The text: lines that were broken to fit the page are joined, others stay.
    pub(super) fn text(&self, words: &Words) -> String {
        let mut text = String::new();
        let mut last: Option<&Line> = None;
        for line in &self.lines {
            if let Some(last) = last {
                if self.is_broken(last, line) {
                    append(&mut text, &line.text, words);
                } else {
                    text.push('\n');
                    text.push_str(&line.text);
                }
            } else {
                text.push_str(&line.text);
            }
            last = Some(line);
        }
        text
    }

    /// Whether a line ends where it does because the page does.
    fn is_broken(&self, line: &Line, next: &Line) -> bool {
        if line.is_row() || next.is_row() || begins_item(&next.text) {
            return false;
        }
        if line.text.ends_with(is_hyphen) {
            return true;
        }
        let word = next.text.split_whitespace().next().unwrap_or_default();
        let letter = (next.end - next.start) / next.text.chars().count().max(1) as f64;
        // A word of several letters is often all that another script has in a line.
        let needed = (word.chars().count().min(30) + 1) as f64 * letter;
        let room = if runs_left(&line.text) { line.start - self.edge } else { self.edge - line.end };
        room < needed + 0.5 * line.size
    }
}

/// Appends a line to the one it continues.
pub(super) fn append(text: &mut String, line: &str, words: &Words) {
    match words.join(last_line(text), line) {
        Join::Word => {
            let end = text.trim_end_matches(is_hyphen).len();
            text.truncate(end);
        }
        Join::Hyphen => {}
        Join::Space => {
            let is_wide = |one: Option<char>| one.is_some_and(is_without_spaces);
            if !(is_wide(text.chars().next_back()) && is_wide(line.chars().next())) {
                text.push(' ');
            }
        }
    }
    text.push_str(line);
}

fn last_line(text: &str) -> &str {
    text.rsplit('\n').next().unwrap_or_default()
}

/// Whether a character is of a script without spaces between words.
fn is_without_spaces(character: char) -> bool {
    matches!(
        character,
        '\u{2e80}'..='\u{30ff}' | '\u{31f0}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}'
            | '\u{20000}'..='\u{3ffff}' | '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
    )
}

/// Divides the lines of a region into paragraphs.
pub(super) fn paragraphs(lines: Vec<Line>, is_straight: bool) -> Vec<PageParagraph> {
    let pitch = pitch(&lines);
    let start = lines.iter().map(|line| line.start).fold(f64::MAX, f64::min);
    let end = lines.iter().map(|line| line.end).fold(f64::MIN, f64::max);
    let leftwards = lines.iter().filter(|line| runs_left(&line.text)).count() * 2 > lines.len();
    let edge = if leftwards { start } else { end };
    let mut paragraphs: Vec<PageParagraph> = Vec::new();
    for line in lines {
        match paragraphs.last_mut() {
            Some(last) if last.lines.last().is_some_and(|above| !begins(above, &line, pitch, start)) => {
                last.lines.push(line);
            }
            _ => paragraphs.push(PageParagraph { lines: vec![line], is_straight, edge }),
        }
    }
    paragraphs
}

/// The usual distance between lines, in ems.
fn pitch(lines: &[Line]) -> f64 {
    let mut pitches: Vec<f64> = lines
        .iter()
        .zip(lines.iter().skip(1))
        .map(|(line, next)| (line.base - next.base) / line.size.max(next.size).max(0.1))
        .filter(|pitch| (0.5..2.5).contains(pitch))
        .collect();
    pitches.sort_by(f64::total_cmp);
    pitches.get(pitches.len() / 3).copied().unwrap_or(1.2)
}

/// Whether a line begins a paragraph.
fn begins(above: &Line, line: &Line, pitch: f64, start: f64) -> bool {
    let size = above.size.max(line.size).max(0.1);
    let gap = (above.base - line.base) / size;
    let is_far = gap > pitch * 1.3 + 0.05 || gap < 0.0;
    let is_other_size = (above.size - line.size).abs() > 0.12 * size;
    let is_other_weight = above.is_bold != line.is_bold && !above.text.ends_with(is_hyphen);
    let is_row = above.is_row() != line.is_row();
    let is_indented = line.start - start > 0.9 * size
        && line.start - start < 4.0 * size
        && above.start - start < 0.3 * size
        && !runs_left(&line.text)
        && above.text.ends_with(['.', '!', '?', ':', '”', '"', '。']);
    is_far || is_other_size || is_other_weight || is_row || is_indented
}

/// Whether a line begins with a bullet or a number.
fn begins_item(text: &str) -> bool {
    let mut characters = text.chars();
    match characters.next() {
        Some('•' | '‣' | '◦' | '▪' | '■' | '●' | '○' | '–' | '—' | '-' | '*' | '·' | '→' | '✓') => {
            characters.next().is_some_and(char::is_whitespace)
        }
        Some('(') => {
            let rest: String = characters.by_ref().take_while(|one| one.is_alphanumeric()).collect();
            (1..=3).contains(&rest.chars().count()) && characters.next() == Some(' ')
        }
        Some(one) if one.is_ascii_digit() => {
            let rest = text.trim_start_matches(|one: char| one.is_ascii_digit() || one == '.');
            let number = text.len() - rest.len();
            let follows = rest.strip_prefix(')').unwrap_or(rest);
            let is_marked =
                text.get(..number).is_some_and(|number| number.contains('.')) || rest.starts_with(')');
            number <= 8 && is_marked && follows.starts_with(' ')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(texts: &[&str]) -> Vec<Line> {
        texts
            .iter()
            .enumerate()
            .map(|(index, text)| Line {
                text: (*text).to_owned(),
                start: 0.0,
                end: text.chars().count() as f64 * 5.0,
                base: 700.0 - 12.0 * index as f64,
                size: 10.0,
                is_bold: false,
            })
            .collect()
    }

    fn text(texts: &[&str]) -> String {
        let paragraphs = paragraphs(column(texts), true);
        let mut words = Words::default();
        for text in texts {
            words.learn(text);
        }
        paragraphs.iter().map(|paragraph| paragraph.text(&words)).collect::<Vec<_>>().join("\n\n")
    }

    #[test]
    fn lines_that_the_page_breaks_are_joined() {
        assert_eq!(
            text(&["The lighthouse at the point", "was built in the year when"]),
            "The lighthouse at the point was built in the year when"
        );
        assert_eq!(
            text(&["Dear Ada,", "thank you for the long letter"]),
            "Dear Ada,\nthank you for the long letter"
        );
        assert_eq!(
            text(&["東京都庁は新宿区にあ", "ります。隣の建物は大"]),
            "東京都庁は新宿区にあります。隣の建物は大"
        );
    }

    #[test]
    fn divided_words_are_joined_and_compounds_keep_their_hyphen() {
        for (head, tail, whole) in [
            ("the new regula-", "tion is", "the new regulation is"),
            ("by 1 Septem-", "ber at", "by 1 September at"),
            ("many price-", "determining parts", "many price-determining parts"),
            ("in the long-", "term view", "in the long-term view"),
            ("a state-of-the-", "art house", "a state-of-the-art house"),
            ("with Jean-", "Paul and", "with Jean-Paul and"),
            ("we under-", "stand it", "we understand it"),
            ("short-", "and long-term", "short- and long-term"),
            ("the soft\u{ad}", "ware is", "the software is"),
            ("THE REGULA-", "TION IS", "THE REGULATION IS"),
            ("from 1939-", "1945 it", "from 1939-1945 it"),
            ("Donaudampf-", "schifffahrt", "Donaudampfschifffahrt"),
        ] {
            assert_eq!(text(&[head, tail]), whole);
        }
    }
}
