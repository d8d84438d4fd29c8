//! The order in which the parts of a page are read: columns one after the other,
//! tables row by row.

use super::segment::Segment;

/// Maximum depth of columns within columns.
const MAX_DEPTH: usize = 12;
/// Maximum gaps that are tried as the one between two columns.
const MAX_GAPS: usize = 256;

/// Divides the segments of a page into regions of one column each, in the order of
/// reading.
pub(super) fn regions(mut segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    segments.sort_by(|a, b| b.base.total_cmp(&a.base).then(a.start.total_cmp(&b.start)));
    let mut regions = Vec::new();
    let (mut head, mut foot) = margins(&segments);
    if let Some(gutter) = segments.get(head..foot).and_then(gutter) {
        let start = segments.get(head..foot).map_or(f64::MAX, |body| right_start(body, gutter.at));
        let belongs =
            |part: Option<&[Segment]>| part.is_some_and(|part| is_of_columns(part, gutter.at, start));
        if belongs(segments.get(..head)) {
            head = 0;
        }
        if belongs(segments.get(foot..)) {
            foot = segments.len();
        }
    }
    let last = segments.split_off(foot);
    let body = segments.split_off(head);
    for part in [segments, body, last] {
        divide(part, 0, &mut regions);
    }
    regions
}

/// Where the first lines of a page end and its last ones begin, if a gap sets them
/// off: a page number under two columns must not stand in the way of their order.
fn margins(segments: &[Segment]) -> (usize, usize) {
    let lines = lines(segments);
    let gap = |at: usize| -> f64 {
        let (Some(above), Some(below)) = (lines.get(at), lines.get(at + 1)) else {
            return 0.0;
        };
        (above.base - below.base) / above.size.max(below.size)
    };
    if lines.len() < 6 {
        return (0, segments.len());
    }
    let mut gaps: Vec<f64> = (0..lines.len() - 1).map(gap).collect();
    gaps.sort_by(f64::total_cmp);
    let wide = 1.8_f64.max(1.4 * gaps.get(gaps.len() / 2).copied().unwrap_or_default());
    let head = (0..2).find(|at| gap(*at) > wide).and_then(|at| lines.get(at)).map_or(0, |line| line.end);
    let last = lines.len() - 2;
    let foot = (last.saturating_sub(1)..=last)
        .find(|at| gap(*at) > wide)
        .and_then(|at| lines.get(at))
        .map_or(segments.len(), |line| line.end);
    (head.min(foot), foot)
}

/// Where what stands to the right of a gap starts.
fn right_start(segments: &[Segment], at: f64) -> f64 {
    let right = segments.iter().filter(|segment| middle(segment) > at);
    right.map(|segment| segment.start).fold(f64::MAX, f64::min)
}

/// Whether the first or last lines of a page are those of its columns: both have some,
/// and those of the right one start where it does, unlike a number at the edge.
fn is_of_columns(part: &[Segment], at: f64, start: f64) -> bool {
    let crosses = |segment: &Segment| segment.start < at - 1.0 && segment.end > at + 1.0;
    let size = part.iter().map(|segment| segment.size).fold(0.0, f64::max);
    part.iter().any(|segment| segment.end <= at + 1.0)
        && !part.iter().any(crosses)
        && (right_start(part, at) - start).abs() < 0.5 * size
}

/// The segments that share a baseline.
struct Baseline {
    base: f64,
    size: f64,
    /// One past its last segment.
    end: usize,
    /// How wide its segments are.
    width: f64,
    letters: usize,
}

/// Groups segments, sorted downwards, by their baseline.
fn lines(segments: &[Segment]) -> Vec<Baseline> {
    let mut lines: Vec<Baseline> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let width = segment.end - segment.start;
        let letters = segment.width_in_letters();
        match lines.last_mut() {
            Some(line) if (line.base - segment.base).abs() < 0.4 * line.size.min(segment.size) => {
                line.end = index + 1;
                line.width += width;
                line.letters += letters;
            }
            _ => lines.push(Baseline {
                base: segment.base,
                size: segment.size,
                end: index + 1,
                width,
                letters,
            }),
        }
    }
    lines
}

/// A gap between two columns, and the segments beside it.
struct Gutter {
    start: usize,
    end: usize,
    at: f64,
    score: usize,
}

fn divide(mut segments: Vec<Segment>, depth: usize, regions: &mut Vec<Vec<Segment>>) {
    if segments.is_empty() {
        return;
    }
    let gutter = if segments.len() < 4 || depth > MAX_DEPTH { None } else { gutter(&segments) };
    let Some(gutter) = gutter else {
        regions.push(segments);
        return;
    };
    let below = segments.split_off(gutter.end);
    let beside = segments.split_off(gutter.start);
    let (left, right) = beside.into_iter().partition(|segment| middle(segment) < gutter.at);
    for part in [segments, left, right, below] {
        divide(part, depth + 1, regions);
    }
}

fn middle(segment: &Segment) -> f64 {
    f64::midpoint(segment.start, segment.end)
}

/// The gap between two columns that the most lines stand beside.
fn gutter(segments: &[Segment]) -> Option<Gutter> {
    let mut edges: Vec<f64> = segments.iter().map(|segment| segment.end).collect();
    // The largest of those that differ by little: the others would cross it.
    edges.sort_by(|a, b| b.total_cmp(a));
    edges.dedup_by(|a, b| (*a - *b).abs() < 2.0);
    let step = edges.len().div_ceil(MAX_GAPS).max(1);
    let mut found: Vec<Gutter> = Vec::new();
    for edge in edges.into_iter().step_by(step) {
        let at = edge + 0.5;
        let mut start = 0;
        for (index, segment) in segments.iter().enumerate() {
            if segment.start < at - 1.0 && segment.end > at + 1.0 {
                found.extend(band(segments, start, index, at));
                start = index + 1;
            }
        }
        found.extend(band(segments, start, segments.len(), at));
    }
    found.sort_by(|a, b| b.score.cmp(&a.score).then(a.at.total_cmp(&b.at)));
    found.into_iter().take(12).find(|gutter| are_columns(segments, gutter))
}

/// The segments from `start` to `end`, which do not cross `at`, if some stand on
/// either side.
fn band(segments: &[Segment], start: usize, end: usize, at: f64) -> Option<Gutter> {
    let band = segments.get(start..end)?;
    let (mut left, mut right) = (0, 0);
    let (mut left_edge, mut right_edge) = (f64::MIN, f64::MAX);
    let mut size = f64::MAX;
    for segment in band {
        if middle(segment) < at {
            left += 1;
            left_edge = left_edge.max(segment.end);
        } else {
            right += 1;
            right_edge = right_edge.min(segment.start);
        }
        size = size.min(segment.size);
    }
    let is_wide = right_edge - left_edge >= 0.5 * size;
    let score = left.min(right);
    (score >= 2 && is_wide).then_some(Gutter { start, end, at: f64::midpoint(left_edge, right_edge), score })
}

/// Whether what stands beside a gap is read one column after the other, rather than
/// as the rows of a table.
fn are_columns(segments: &[Segment], gutter: &Gutter) -> bool {
    let Some(band) = segments.get(gutter.start..gutter.end) else {
        return false;
    };
    let (left, right): (Vec<Segment>, Vec<Segment>) =
        band.iter().cloned().partition(|segment| middle(segment) < gutter.at);
    let (left, right) = (Side::new(&left), Side::new(&right));
    let (fewer, more) = if left.lines.len() <= right.lines.len() { (&left, &right) } else { (&right, &left) };
    // Few lines are beside each other by chance less often than by intent, such as a
    // label and the field of a form.
    let tolerance = if fewer.lines.len() < 5 { 0.5 } else { 0.15 };
    let mut bases: Vec<f64> = more.lines.iter().map(|line| line.base).collect();
    bases.sort_unstable_by(f64::total_cmp);
    let aligned = fewer.lines.iter().filter(|line| {
        let next = bases.partition_point(|base| *base < line.base);
        let nearest = bases.get(next.saturating_sub(1)..bases.len().min(next + 1)).unwrap_or_default();
        nearest.iter().any(|base| (base - line.base).abs() < tolerance * line.size)
    });
    let aligned = aligned.count() as f64 / fewer.lines.len().max(1) as f64;
    if aligned < 0.5 {
        return fewer.lines.len() >= 3;
    }
    // Labels beside longer text.
    let is_sparse = fewer.lines.len() * 3 < more.lines.len();
    let is_figures = left.digits > 0.4 || right.digits > 0.4;
    !is_sparse && !is_figures && left.is_prose() && right.is_prose()
}

/// What stands on one side of a gap.
struct Side {
    lines: Vec<Baseline>,
    /// How much of the width the lines fill, in the middle of all.
    fill: f64,
    letters: usize,
    /// The share of digits.
    digits: f64,
}

impl Side {
    fn new(segments: &[Segment]) -> Self {
        let lines = lines(segments);
        let start = segments.iter().map(|segment| segment.start).fold(f64::MAX, f64::min);
        let end = segments.iter().map(|segment| segment.end).fold(f64::MIN, f64::max);
        let width = (end - start).max(1.0);
        let mut fills: Vec<f64> = lines.iter().map(|line| line.width / width).collect();
        fills.sort_by(f64::total_cmp);
        let mut letters: Vec<usize> = lines.iter().map(|line| line.letters).collect();
        letters.sort_unstable();
        let all: usize = letters.iter().sum();
        let digits: usize = segments.iter().map(Segment::digits).sum();
        Self {
            fill: fills.get(fills.len() / 2).copied().unwrap_or_default(),
            letters: letters.get(letters.len() / 2).copied().unwrap_or_default(),
            digits: digits as f64 / all.max(1) as f64,
            lines,
        }
    }

    /// Lines that fill their column, as those of running text do.
    fn is_prose(&self) -> bool {
        self.lines.len() >= 3 && self.fill > 0.55 && self.letters >= 16
    }
}
