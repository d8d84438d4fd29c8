//! The lines of a region, with their words.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::bidi::{is_right_to_left, to_reading_order};
use super::font::Text;
use super::segment::{Letter, Segment};
use super::stopwatch::Stopwatch;

/// A gap of this many ems separates words.
const WORD_GAP: f64 = 0.13;
/// A gap of this many ems separates the cells of a table.
const CELL_GAP: f64 = 1.5;

/// Maximum rows that an index is looked for beside.
const MAX_NEAR: usize = 12;

/// A line of text, or a row of a table, whose cells are separated by tabs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) base: f64,
    pub(super) size: f64,
    pub(super) is_bold: bool,
}

impl Line {
    pub(super) fn is_row(&self) -> bool {
        self.text.contains('\t')
    }
}

/// The lines of a region, from top to bottom; none when the time is over.
pub(super) fn lines(mut segments: Vec<Segment>, clock: &Stopwatch) -> Option<Vec<Line>> {
    segments.sort_by(|a, b| b.base.total_cmp(&a.base).then(a.start.total_cmp(&b.start)));
    let usual = usual_size(&segments);
    // Indices and exponents come last: they belong to what they stand beside.
    let is_index = |segment: &Segment| segment.letters.len() <= 3 && segment.size < 0.8 * usual;
    let (indices, segments): (Vec<Segment>, Vec<Segment>) = segments.into_iter().partition(is_index);
    let mut rows: Vec<Vec<Segment>> = Vec::new();
    gather(segments, &mut rows, clock)?;
    let mut bases: Vec<(f64, usize)> = rows.iter().map(|row| main_base(row)).zip(0..).collect();
    bases.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut alone = Vec::new();
    for (nth, index) in indices.into_iter().enumerate() {
        if nth % 256 == 255 && clock.is_over() {
            return None;
        }
        let (top, bottom) = (index.base + 2.0 * usual, index.base - 2.0 * usual);
        let from = bases.partition_point(|(base, _)| *base > top);
        let near = bases.iter().skip(from).take_while(|(base, _)| *base > bottom).take(MAX_NEAR);
        let beside = near
            .filter_map(|(_, at)| rows.get(*at).filter(|row| is_on(row, &index)).map(|row| (*at, row)))
            .map(|(at, row)| (at, distance(row, &index)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other));
        match beside.and_then(|(at, _)| rows.get_mut(at)) {
            Some(row) => row.push(index),
            None => alone.push(index),
        }
    }
    let mut small = Vec::new();
    gather(alone, &mut small, clock)?;
    rows.append(&mut small);
    let mut rows: Vec<(f64, Vec<Segment>)> = rows.into_iter().map(|row| (main_base(&row), row)).collect();
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    Some(rows.into_iter().map(|(_, row)| line(row)).filter(|line| !line.text.is_empty()).collect())
}

/// Puts segments, sorted downwards, into rows, unless the time is over.
fn gather(segments: Vec<Segment>, rows: &mut Vec<Vec<Segment>>, clock: &Stopwatch) -> Option<()> {
    for (nth, segment) in segments.into_iter().enumerate() {
        // A segment is compared with all of its row.
        if nth % 256 == 255 && clock.is_over() {
            return None;
        }
        // The line before the last may be the one that a small raised letter is on.
        let row = rows.iter_mut().rev().take(3).find(|row| is_on(row, &segment));
        match row {
            Some(row) => row.push(segment),
            None => rows.push(vec![segment]),
        }
    }
    Some(())
}

/// The size of most letters.
fn usual_size(segments: &[Segment]) -> f64 {
    let mut sizes: Vec<(f64, usize)> =
        segments.iter().map(|segment| (segment.size, segment.letters.len())).collect();
    sizes.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let half = sizes.iter().map(|(_, letters)| letters).sum::<usize>() / 2;
    let mut count = 0;
    let usual = sizes.iter().find(|(_, letters)| {
        count += letters;
        count > half
    });
    usual.map_or(0.0, |(size, _)| *size)
}

/// The base of the largest letters of a row.
fn main_base(row: &[Segment]) -> f64 {
    row.iter().max_by(|a, b| a.size.total_cmp(&b.size)).map_or(0.0, |main| main.base)
}

/// How far a segment is from the nearest of a row, along the line.
fn distance(row: &[Segment], segment: &Segment) -> f64 {
    let gap = |other: &Segment| (segment.start - other.end).max(other.start - segment.end).max(0.0);
    row.iter().map(gap).fold(f64::MAX, f64::min)
}

/// Whether a segment is on the line of others.
fn is_on(row: &[Segment], segment: &Segment) -> bool {
    let Some(main) = row.iter().max_by(|a, b| a.size.total_cmp(&b.size)) else {
        return false;
    };
    let (large, small) = if main.size >= segment.size { (main, segment) } else { (segment, main) };
    let shift = (main.base - segment.base).abs();
    if large.size > small.size * 1.8 {
        return shift < 0.3 * small.size;
    }
    let extent = |one: &Segment| (one.base - 0.2 * one.size, one.base + 0.7 * one.size);
    let ((low, high), (bottom, top)) = (extent(large), extent(small));
    let shared = high.min(top) - low.max(bottom);
    // Letters of an index are smaller and reach down.
    let is_index = small.size < 0.8 * large.size && small.base < large.base;
    let least = if is_index { 0.35 } else { 0.45 };
    shared > least * small.size
        // Accents are drawn over their letters; words over others are another line.
        && ((shift < 0.1 * large.size && segment.letters.len() < 3)
            || !row.iter().any(|other| collides(other, segment)))
}

/// Whether two segments would print over each other, if they were on one line; a
/// small raised letter stands between letters.
fn collides(one: &Segment, other: &Segment) -> bool {
    if one.end < other.start || other.end < one.start {
        return false;
    }
    let (few, many) = if one.letters.len() < other.letters.len() { (one, other) } else { (other, one) };
    let hidden = few.letters.iter().filter(|letter| {
        let middle = f64::midpoint(letter.start, letter.end);
        !letter.is_space
            && many.letters.iter().any(|over| !over.is_space && over.start < middle && middle < over.end)
    });
    hidden.count() * 2 > few.letters.len()
}

fn line(mut row: Vec<Segment>) -> Line {
    row.sort_by(|a, b| a.start.total_cmp(&b.start));
    let size = row.iter().map(|one| one.size).fold(0.0, f64::max);
    let main = row.iter().filter(|one| one.size >= size * 0.9).map(|one| one.base).fold(f64::MIN, f64::max);
    let start = row.iter().map(|one| one.start).fold(f64::MAX, f64::min);
    let end = row.iter().map(|one| one.end).fold(f64::MIN, f64::max);
    let letters = merged(row);
    let inked = letters.iter().filter(|letter| !letter.is_space);
    let (all, bold) = inked.fold((0, 0), |(all, bold), one| (all + 1, bold + usize::from(one.is_bold)));
    Line { text: words(letters), start, end, base: main, size, is_bold: bold * 10 > all * 9 }
}

/// The letters of segments from left to right: small ones stand between those of
/// another segment.
fn merged(row: Vec<Segment>) -> Vec<Letter> {
    let mut letters: Vec<Letter> = Vec::new();
    let mut end = f64::MIN;
    for segment in row {
        let at = if segment.start >= end {
            letters.len()
        } else {
            let from = segment.start + 0.3 * segment.size.min(segment.end - segment.start);
            letters.iter().position(|letter| letter.start >= from).unwrap_or(letters.len())
        };
        end = end.max(segment.end);
        letters.splice(at..at, segment.letters);
    }
    letters
}

/// The text of letters that stand on one line, with spaces where there are gaps.
fn words(letters: Vec<Letter>) -> String {
    let word_gap = WORD_GAP + tracking(&letters);
    let mut pieces: Vec<LinePiece> = Vec::with_capacity(letters.len());
    let mut blank: Option<f64> = None;
    // A mark over a letter of Arabic or Hebrew that comes after it, and its middle.
    let mut mark: Option<(String, f64)> = None;
    for letter in letters {
        if letter.is_space {
            blank = blank.or(pieces.last().map(|last| last.end));
            continue;
        }
        let mut text = plain(&letter.text);
        if is_mark_of_right(&text) && !pieces.last().is_some_and(|last| last.is_under(&letter)) {
            let middle = f64::midpoint(letter.start, letter.end);
            mark.get_or_insert_with(|| (String::new(), middle)).0.push_str(&text);
            continue;
        }
        if let Some((marks, middle)) = mark.take() {
            let tolerance = 0.1 * letter.size;
            match pieces.last_mut() {
                Some(last) if !(letter.start - tolerance..letter.end).contains(&middle) => {
                    last.text.push_str(&marks);
                }
                _ => text.push_str(&marks),
            }
        }
        let Some(last) = pieces.last_mut() else {
            pieces.push(LinePiece { text, start: letter.start, end: letter.end });
            continue;
        };
        if blank.is_none() && attach(last, &text, &letter) {
            continue;
        }
        let gap = letter.start - last.end;
        if blank.is_some() || gap > word_gap * letter.size {
            let space = if gap > CELL_GAP * letter.size { "\t" } else { " " };
            let end = last.end;
            pieces.push(LinePiece { text: space.to_owned(), start: end, end: letter.start });
        }
        blank = None;
        pieces.push(LinePiece { text, start: letter.start, end: letter.end });
    }
    if let (Some((marks, _)), Some(last)) = (mark, pieces.last_mut()) {
        last.text.push_str(&marks);
    }
    part_figures(&mut pieces);
    let mut texts: Vec<String> = pieces.into_iter().map(|piece| piece.text).collect();
    to_reading_order(&mut texts);
    texts.concat().trim().to_owned()
}

/// Parts two figures that touch, such as labels of a chart: `73.3` and `72.6`.
fn part_figures(pieces: &mut Vec<LinePiece>) {
    let mut parts = Vec::new();
    let mut from = 0;
    for run in pieces.chunk_by(|one, next| one.is_of_figure() && next.is_of_figure()) {
        parts.extend(part(run).map(|at| from + at));
        from += run.len();
    }
    for at in parts.into_iter().rev() {
        if let Some((start, end)) = at
            .checked_sub(1)
            .and_then(|last| pieces.get(last))
            .zip(pieces.get(at))
            .map(|(last, next)| (last.end, next.start))
        {
            pieces.insert(at, LinePiece { text: " ".to_owned(), start, end });
        }
    }
}

/// Where a figure with two points is parted: at the one place between its points where
/// digits do not follow each other as the others do.
fn part(run: &[LinePiece]) -> Option<usize> {
    let points: Vec<usize> =
        (0..).zip(run).filter(|(_, piece)| piece.text == ".").map(|(at, _)| at).collect();
    let [first, second] = points.as_slice() else { return None };
    if *first == 0 || second + 1 >= run.len() {
        return None;
    }
    let width = run.first().map(|digit| digit.end - digit.start)?;
    let gaps = (1..).zip(run.windows(2)).filter_map(|(at, pair)| match pair {
        [one, next] => Some((at, (next.start - one.end).abs())),
        _ => None,
    });
    let mut wide = gaps.filter(|(_, gap)| *gap > 0.04 * width);
    let (at, _) = wide.next()?;
    (wide.next().is_none() && first + 1 < at && at < *second).then_some(at)
}

struct LinePiece {
    text: String,
    start: f64,
    end: f64,
}

impl LinePiece {
    fn is_of_figure(&self) -> bool {
        self.text == "." || (self.text.len() == 1 && self.text.as_bytes().iter().all(u8::is_ascii_digit))
    }

    /// Whether a mark stands over it, rather than at its end.
    fn is_under(&self, mark: &Letter) -> bool {
        let middle = f64::midpoint(mark.start, mark.end);
        (self.start..self.end - 0.02 * mark.size).contains(&middle)
    }
}

/// Whether a text is marks of a script that runs from right to left alone.
fn is_mark_of_right(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|one| is_combining_mark(one) && is_right_to_left(one))
}

/// Adds an accent that is drawn over a letter to it; returns whether it is one.
fn attach(last: &mut LinePiece, text: &str, letter: &Letter) -> bool {
    let mut characters = text.chars();
    let (Some(one), None) = (characters.next(), characters.next()) else {
        return false;
    };
    if is_combining_mark(one) {
        last.text.push(one);
        return true;
    }
    let middle = f64::midpoint(letter.start, letter.end);
    let base = last.text.chars().next();
    if let Some(mark) = accent(one)
        && (last.start..last.end).contains(&middle)
        && base.is_some_and(char::is_alphabetic)
    {
        last.text.push(mark);
        return true;
    }
    if let Some(mark) = base.and_then(accent)
        && last.text.chars().count() == 1
        && one.is_alphabetic()
        && (letter.start..letter.end).contains(&f64::midpoint(last.start, last.end))
    {
        last.text = format!("{one}{mark}");
        (last.start, last.end) = (last.start.min(letter.start), last.end.max(letter.end));
        return true;
    }
    false
}

/// The mark that is drawn over a letter by an accent of its own.
fn accent(character: char) -> Option<char> {
    Some(match character {
        '`' => '\u{300}',
        '´' => '\u{301}',
        'ˆ' => '\u{302}',
        '˜' => '\u{303}',
        '¯' => '\u{304}',
        '˘' => '\u{306}',
        '˙' => '\u{307}',
        '¨' => '\u{308}',
        '˚' => '\u{30a}',
        '˝' => '\u{30b}',
        'ˇ' => '\u{30c}',
        '¸' => '\u{327}',
        '˛' => '\u{328}',
        _ => return None,
    })
}

/// The room between the letters of a line that is set with wide letter spacing, in
/// ems; 0 for other lines.
fn tracking(letters: &[Letter]) -> f64 {
    let mut gaps: Vec<f64> = letters
        .iter()
        .zip(letters.iter().skip(1))
        .filter(|(one, next)| !one.is_space && !next.is_space)
        .map(|(one, next)| (next.start - one.end) / next.size.max(0.1))
        .collect();
    if gaps.len() < 6 {
        return 0.0;
    }
    gaps.sort_by(f64::total_cmp);
    // Nearly all of the letters stand apart, else the gaps are those of words.
    let least = gaps.get(gaps.len() / 8).copied().unwrap_or_default();
    if (0.08..0.3).contains(&least) { least } else { 0.0 }
}

/// Text without the forms that letters take beside each other: `ﬁ`, `ﻻ`.
fn plain(text: &Text) -> String {
    let is_form = |one: char| matches!(one, '\u{fb00}'..='\u{fb06}' | '\u{fb13}'..='\u{fb17}' | '\u{fb50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdfb}' | '\u{fe70}'..='\u{fefc}');
    match text {
        Text::None => String::new(),
        Text::One(one) if is_form(*one) => one.nfkc().filter(|one| *one != ' ').collect(),
        Text::One(one) => one.to_string(),
        Text::Many(many) if many.contains(is_form) => many.nfkc().collect(),
        Text::Many(many) => many.to_string(),
    }
}

/// Whether a line is mostly of a script that runs from right to left.
pub(super) fn runs_left(text: &str) -> bool {
    let right = text.chars().filter(|one| is_right_to_left(*one)).count();
    right * 2 > text.chars().filter(|one| one.is_alphabetic()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(text: char, start: f64, end: f64) -> Letter {
        Letter { text: Text::One(text), start, end, size: 10.0, is_bold: false, is_space: text == ' ' }
    }

    #[test]
    fn marks_of_arabic_are_over_their_letters() {
        // Drawn from left to right: the mark before its letter, without a width.
        let before = vec![letter('د', 0.0, 5.0), letter('\u{651}', 5.0, 5.0), letter('س', 5.0, 15.0)];
        assert_eq!(words(before), "س\u{651}د");
        let over = vec![letter('د', 0.0, 5.0), letter('س', 5.0, 15.0), letter('\u{651}', 9.0, 11.0)];
        assert_eq!(words(over), "س\u{651}د");
        let last = vec![letter('س', 0.0, 10.0), letter('\u{651}', 10.5, 10.5)];
        assert_eq!(words(last), "س\u{651}");
    }
}
