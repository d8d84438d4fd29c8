//! Glyphs into segments: stretches of one line of text without a wide gap.

use std::collections::HashMap;

use hayro_font::kurbo::Vec2;

use super::font::Text;
use super::glyph::Glyph;

/// The widest gap within a segment, in ems. Columns stand farther apart, and
/// justified text seldom has wider spaces.
const WIDEST_GAP: f64 = 0.8;

/// A glyph on its line: `start` to `end` along it, `base` upwards.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) text: Text,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) size: f64,
    pub(super) is_bold: bool,
    pub(super) is_space: bool,
}

/// A stretch of a line.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) letters: Vec<Letter>,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) base: f64,
    pub(super) size: f64,
    /// A space was drawn after it.
    has_space_after: bool,
}

impl Segment {
    fn new(letter: Letter, base: f64) -> Self {
        let (start, end, size) = (letter.start, letter.end, letter.size);
        Self { letters: vec![letter], start, end, base, size, has_space_after: false }
    }

    fn push(&mut self, letter: Letter) {
        self.start = self.start.min(letter.start);
        self.end = self.end.max(letter.end);
        self.size = self.size.max(letter.size);
        self.letters.push(letter);
    }

    fn append(&mut self, other: Self) {
        let gap = other.start - self.end;
        // Only a letter or an accent that is drawn apart stands among others.
        let is_among = gap < 0.0 && other.letters.len() < 3;
        let among = self.letters.iter().position(|letter| is_among && letter.start > other.start);
        if self.has_space_after
            && gap > 0.02 * self.size
            && let Some(last) = self.letters.last()
        {
            self.letters.push(Letter {
                text: Text::One(' '),
                start: self.end,
                end: other.start,
                is_space: true,
                ..last.clone()
            });
        }
        let at = among.unwrap_or(self.letters.len());
        self.has_space_after = other.has_space_after;
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.size = self.size.max(other.size);
        self.letters.splice(at..at, other.letters);
    }

    /// The number of letters that are not spaces; those of Chinese, Japanese and
    /// Korean count as two, as they are twice as wide.
    pub(super) fn width_in_letters(&self) -> usize {
        self.letters
            .iter()
            .filter(|letter| !letter.is_space)
            .map(|letter| match letter.text {
                Text::One(character) if u32::from(character) >= 0x2e80 => 2,
                _ => 1,
            })
            .sum()
    }

    /// The number of digits.
    pub(super) fn digits(&self) -> usize {
        let is_digit = |letter: &&Letter| matches!(letter.text, Text::One(one) if one.is_ascii_digit());
        self.letters.iter().filter(is_digit).count()
    }
}

/// The text of a page that runs in one direction.
pub(super) struct DirectedText {
    pub(super) direction: Vec2,
    pub(super) segments: Vec<Segment>,
    pub(super) glyphs: usize,
}

impl DirectedText {
    /// Whether its lines run along an edge of the page, unlike those of a stamp.
    pub(super) fn is_straight(&self) -> bool {
        self.direction.x.abs() < 0.03 || self.direction.y.abs() < 0.03
    }
}

/// Divides glyphs by the direction of their lines, the most frequent first.
pub(super) fn groups(glyphs: Vec<Glyph>) -> Vec<DirectedText> {
    let mut directions: HashMap<i32, (Vec2, Vec<Glyph>)> = HashMap::new();
    for glyph in glyphs {
        let angle = glyph.direction.atan2().to_degrees();
        // Within two degrees of the edges of a page: scans are set a little askew.
        let right = (angle / 90.0).round() * 90.0;
        let angle = if (angle - right).abs() <= 2.0 { right } else { (angle / 3.0).round() * 3.0 };
        let key = (angle.rem_euclid(360.0)) as i32;
        let direction = Vec2::from_angle(angle.to_radians());
        directions.entry(key).or_insert_with(|| (direction, Vec::new())).1.push(glyph);
    }
    let mut groups: Vec<(i32, DirectedText)> = directions
        .into_iter()
        .map(|(key, (direction, glyphs))| {
            let count = glyphs.iter().filter(|glyph| !glyph.is_space()).count();
            (key, DirectedText { direction, glyphs: count, segments: segments(glyphs, direction) })
        })
        .collect();
    groups.sort_by_key(|(key, group)| (std::cmp::Reverse(group.glyphs), *key));
    groups.into_iter().map(|(_, group)| group).collect()
}

fn segments(glyphs: Vec<Glyph>, direction: Vec2) -> Vec<Segment> {
    let upwards = Vec2::new(-direction.y, direction.x);
    let mut twins = Twins::default();
    let mut segments: Vec<Segment> = Vec::new();
    for glyph in glyphs {
        let origin = glyph.origin.to_vec2();
        let (start, base) = (origin.dot(direction), origin.dot(upwards));
        let is_space = glyph.is_space();
        let reach = glyph.advance.dot(direction);
        if !is_space && twins.has(&glyph.text, start, base, glyph.size, reach.abs()) {
            continue;
        }
        let (start, end) = (start.min(start + reach), start.max(start + reach));
        let letter =
            Letter { text: glyph.text, start, end, size: glyph.size, is_bold: glyph.is_bold, is_space };
        match segments.last_mut() {
            Some(last) if continues(last, &letter, base) => last.push(letter),
            _ if is_space => {}
            _ => segments.push(Segment::new(letter, base)),
        }
    }
    join(segments)
}

/// Whether a letter follows what was drawn before it.
fn continues(last: &Segment, letter: &Letter, base: f64) -> bool {
    let size = last.size.max(letter.size);
    let end = last.letters.last().map_or(last.end, |letter| letter.end);
    let gap = letter.start - end;
    let widest = if letter.is_space { 2.0 } else { WIDEST_GAP };
    let blank: f64 =
        last.letters.iter().rev().take_while(|one| one.is_space).map(|one| one.end - one.start).sum();
    (last.base - base).abs() < size * 0.1
        && gap > -0.4 * size
        && gap < widest * size
        // Several spaces stand between columns.
        && (letter.is_space || blank + gap < 1.6 * size)
}

/// Joins what stands beside each other on a line, however it was drawn.
fn join(mut segments: Vec<Segment>) -> Vec<Segment> {
    for segment in &mut segments {
        while segment.letters.last().is_some_and(|letter| letter.is_space) && segment.letters.len() > 1 {
            segment.letters.pop();
            segment.has_space_after = true;
        }
        segment.end = segment.letters.iter().map(|letter| letter.end).fold(f64::MIN, f64::max);
    }
    // By lines, within them from left to right.
    segments.sort_by(|a, b| b.base.total_cmp(&a.base));
    let mut lines: Vec<Vec<Segment>> = Vec::new();
    for segment in segments {
        match lines.last_mut() {
            Some(line)
                if line.last().is_some_and(|last| {
                    (last.base - segment.base).abs() < last.size.min(segment.size) * 0.15
                }) =>
            {
                line.push(segment);
            }
            _ => lines.push(vec![segment]),
        }
    }
    let mut joined: Vec<Segment> = Vec::new();
    for mut line in lines {
        line.sort_by(|a, b| a.start.total_cmp(&b.start));
        let first = joined.len();
        for segment in line {
            let last = joined.get_mut(first..).and_then(|line| line.last_mut());
            match last {
                Some(last)
                    if {
                        let size = last.size.max(segment.size);
                        let gap = segment.start - last.end;
                        gap < WIDEST_GAP * size && (gap > -0.5 * size || segment.letters.len() < 3)
                    } =>
                {
                    last.append(segment);
                }
                _ => joined.push(segment),
            }
        }
    }
    joined
}

/// Finds letters that are drawn a second time at their place, to look bold.
#[derive(Default)]
struct Twins {
    places: HashMap<(u64, i64, i64), Vec<(f64, f64)>>,
    /// How far the last one was from its twin.
    last: Option<(f64, f64)>,
}

impl Twins {
    fn has(&mut self, text: &Text, start: f64, base: f64, size: f64, width: f64) -> bool {
        let key = match text {
            Text::None => return false,
            Text::One(character) => u64::from(u32::from(*character)),
            Text::Many(text) => text
                .bytes()
                .fold(1 << 32, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))),
        };
        let column_width = (size * 0.25).max(0.1);
        let cell = |value: f64| (value / column_width).floor() as i64;
        let far = size * 0.1;
        // A narrow letter that follows itself is none, unless it is as far from the first
        // as the letter before it is from its own.
        let near = far.min(width * 0.4);
        let last = self.last;
        let is_twin = |x: f64, y: f64| {
            let (right, up) = (start - x, base - y);
            let is_same = last.is_some_and(|(last_right, last_up)| {
                (right - last_right).abs() < 0.01 * size && (up - last_up).abs() < 0.01 * size
            });
            (right.abs() <= near || (is_same && right.abs() <= far)) && up.abs() < far
        };
        for column in cell(start - far)..=cell(start + far) {
            for row in cell(base - far)..=cell(base + far) {
                let places = self.places.get(&(key, column, row));
                if let Some((x, y)) = places.and_then(|places| places.iter().find(|(x, y)| is_twin(*x, *y))) {
                    self.last = Some((start - x, base - y));
                    return true;
                }
            }
        }
        let (column, row) = (cell(start), cell(base));
        self.places.entry((key, column, row)).or_default().push((start, base));
        false
    }
}
