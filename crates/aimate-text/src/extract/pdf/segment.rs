//! Glyphs into segments: stretches of one line of text without a wide gap.

use std::collections::HashMap;

use hayro_font::kurbo::Vec2;
use unicode_normalization::char::is_combining_mark;

use super::font::Text;
use super::glyph::Glyph;
use super::stopwatch::Stopwatch;

/// The widest gap within a segment, in ems. Columns stand farther apart, and
/// justified text seldom has wider spaces.
const WIDEST_GAP: f64 = 0.8;
/// What begins in the rest of a stretch follows it, although the stretch reaches
/// farther by the widths that its font declares.
const LEAST_OF_STRETCH: f64 = 0.7;
/// Maximum letters among which a gap is looked for.
const MAX_BESIDE: usize = 64;

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
    /// Where the last stretch that was appended starts and ends.
    last: (f64, f64),
    /// What stands among its letters, by where it starts, until it is put there.
    among: Vec<Segment>,
}

impl Segment {
    fn new(letter: Letter, base: f64) -> Self {
        let (start, end, size) = (letter.start, letter.end, letter.size);
        Self {
            letters: vec![letter],
            start,
            end,
            base,
            size,
            has_space_after: false,
            last: (start, end),
            among: Vec::new(),
        }
    }

    fn push(&mut self, letter: Letter) {
        self.start = self.start.min(letter.start);
        self.end = self.end.max(letter.end);
        self.size = self.size.max(letter.size);
        self.letters.push(letter);
    }

    fn append(&mut self, other: Self) {
        let gap = other.start - self.end;
        let (is_next, reaches_end) = (self.is_next(&other), other.end >= self.end);
        self.end = self.end.max(other.end);
        self.size = self.size.max(other.size);
        // Only a letter or an accent that is drawn apart stands among others.
        if gap < 0.0 && other.letters.len() < 3 && !is_next {
            if reaches_end {
                self.has_space_after = other.has_space_after;
            }
            self.among.push(other);
            return;
        }
        // Words that overlap by their widths are words all the same.
        let overlap = self.last.1 - other.start;
        let is_word = overlap > if self.has_space_after { 0.1 } else { 0.5 } * other.size;
        if (is_word || (self.has_space_after && gap > 0.02 * self.size))
            && let Some(last) = self.letters.last()
        {
            self.letters.push(Letter {
                text: Text::One(' '),
                start: other.start - gap.max(0.0),
                end: other.start,
                is_space: true,
                ..last.clone()
            });
        }
        self.has_space_after = other.has_space_after;
        self.last = (other.start, other.end);
        self.letters.extend(other.letters);
    }

    /// Whether another one, which starts after it, follows its last stretch on the line,
    /// although that reaches over it: the font declares wider letters than it draws.
    fn is_next(&self, other: &Self) -> bool {
        let (start, end) = self.last;
        if other.start < start + LEAST_OF_STRETCH * (end - start) {
            return false;
        }
        let is_letter = |letter: &Letter| match letter.text {
            Text::One(one) => one.is_alphanumeric() && !is_combining_mark(one),
            _ => false,
        };
        let Some(first) = other.letters.first().filter(|_| other.letters.iter().all(is_letter)) else {
            return other.letters.len() >= 3;
        };
        // A letter that was left out has a gap to stand in.
        let middle = f64::midpoint(first.start, first.end);
        let over = |letter: &Letter| letter.start < middle && middle < letter.end;
        other.letters.len() >= 3 || self.letters.iter().rev().take(MAX_BESIDE).any(over)
    }

    /// Puts what stands among its letters there, all at once.
    fn settle(&mut self) {
        let mut among = std::mem::take(&mut self.among).into_iter().peekable();
        if among.peek().is_none() {
            return;
        }
        for letter in std::mem::take(&mut self.letters) {
            while let Some(before) = among.next_if(|before| letter.start > before.start) {
                self.letters.extend(before.letters);
            }
            self.letters.push(letter);
        }
        self.letters.extend(among.flat_map(|after| after.letters));
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

/// Divides glyphs by the direction of their lines, the most frequent first; none when
/// the time is over.
pub(super) fn groups(glyphs: Vec<Glyph>, clock: &Stopwatch) -> Option<Vec<DirectedText>> {
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
            let segments = segments(glyphs, direction, clock)?;
            Some((key, DirectedText { direction, glyphs: count, segments }))
        })
        .collect::<Option<_>>()?;
    groups.sort_by_key(|(key, group)| (std::cmp::Reverse(group.glyphs), *key));
    Some(groups.into_iter().map(|(_, group)| group).collect())
}

fn segments(glyphs: Vec<Glyph>, direction: Vec2, clock: &Stopwatch) -> Option<Vec<Segment>> {
    let upwards = Vec2::new(-direction.y, direction.x);
    let mut twins = Twins::default();
    let mut segments: Vec<Segment> = Vec::new();
    for (at, glyph) in glyphs.into_iter().enumerate() {
        if at % 1_024 == 0 && clock.is_over() {
            return None;
        }
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
    Some(join(segments))
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
        segment.last = (segment.start, segment.end);
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
                        gap < WIDEST_GAP * size
                            && (gap > -0.5 * size || segment.letters.len() < 3 || last.is_next(&segment))
                    } =>
                {
                    last.append(segment);
                }
                _ => joined.push(segment),
            }
        }
    }
    joined.iter_mut().for_each(Segment::settle);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hayro_font::kurbo::Point;

    use super::super::line;
    use super::*;

    fn clock(seconds: u64) -> Stopwatch {
        Stopwatch::new(Duration::from_secs(seconds), Duration::from_secs(seconds))
    }

    #[test]
    fn no_lines_are_made_when_the_time_is_over() {
        let glyph = |at: u32| Glyph {
            text: Text::One('a'),
            origin: Point::new(30.0 * f64::from(at), 0.0),
            advance: Vec2::new(5.0, 0.0),
            direction: Vec2::new(1.0, 0.0),
            size: 10.0,
            is_bold: false,
        };
        let glyphs: Vec<Glyph> = (0..300).map(glyph).collect();
        assert!(groups(glyphs.clone(), &clock(0)).is_none());
        let segments = groups(glyphs, &clock(10_000)).unwrap().remove(0).segments;
        assert_eq!(segments.len(), 300);
        assert!(line::lines(segments.clone(), &clock(0)).is_none());
        assert_eq!(line::lines(segments, &clock(10_000)).map(|lines| lines.len()), Some(1));
    }
}
