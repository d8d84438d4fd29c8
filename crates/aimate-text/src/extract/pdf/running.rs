//! Running headers and footers: lines that stand at the same place of many pages.

use std::collections::{HashMap, HashSet};

use super::page::PageText;

/// The fewest pages that show a line for it to be a running one.
const FEWEST_PAGES: usize = 3;
/// How much of the height of a page its margins take.
const MARGIN: f64 = 0.1;
/// How many lines at either end of a page may be running ones.
const MOST_LINES: usize = 3;
/// The longest running line, in characters.
const LONGEST: usize = 160;

/// Removes running headers and footers from all pages but the first that shows them:
/// what they say is kept once, and text that goes on over pages is not interrupted.
pub(super) fn remove(pages: &mut [PageText]) {
    let enough = FEWEST_PAGES.max(pages.len() / 20);
    let mut seen: HashMap<RunningPlace, Vec<(u32, Vec<u64>)>> = HashMap::new();
    for page in pages.iter() {
        for place in places(page).into_iter().flatten() {
            let (place, numbers) = place;
            seen.entry(place).or_default().push((page.number, numbers));
        }
    }
    seen.retain(|_, shown| shown.len() >= enough);
    let running: HashMap<RunningPlace, RunningLine> =
        seen.into_iter().map(|(place, shown)| (place, RunningLine::of(shown, enough))).collect();
    let mut shown = HashSet::new();
    for page in pages.iter_mut() {
        let is_running: Vec<bool> = places(page)
            .into_iter()
            .map(|place| {
                let Some((place, numbers)) = place else { return false };
                let said = match running.get(&place) {
                    None => return false,
                    Some(RunningLine::Counting) => Vec::new(),
                    Some(RunningLine::Same(often)) if often.contains(&numbers) => numbers,
                    Some(RunningLine::Same(_)) => return false,
                };
                !shown.insert((place, said))
            })
            .collect();
        // A page of such lines alone says something with them.
        if is_running.iter().all(|one| *one) {
            continue;
        }
        let mut is_running = is_running.into_iter();
        for paragraph in &mut page.paragraphs {
            paragraph.lines.retain(|_| !is_running.next().unwrap_or(false));
        }
        page.paragraphs.retain(|paragraph| !paragraph.lines.is_empty());
    }
}

/// What a line says but for its numbers, and how high it stands.
type RunningPlace = (String, i64);

/// What differs between the lines at one place.
enum RunningLine {
    /// Nothing, or numbers that count the pages.
    Counting,
    /// Other numbers: only lines that are the same on many pages are running ones.
    Same(HashSet<Vec<u64>>),
}

impl RunningLine {
    /// From the pages that show a line, each with its numbers.
    fn of(shown: Vec<(u32, Vec<u64>)>, enough: usize) -> Self {
        let count = shown.first().map_or(0, |(_, numbers)| numbers.len());
        let steps = || shown.iter().zip(shown.iter().skip(1)).filter(|((page, _), (next, _))| page != next);
        let counts = |at: usize| {
            let (mut all, mut good) = (0, 0);
            for ((page, numbers), (next, others)) in steps() {
                let (Some(one), Some(other)) = (numbers.get(at), others.get(at)) else { return false };
                let pages = u64::from(next.saturating_sub(*page));
                all += 1;
                // Each part of a book may begin with its own first page.
                good += usize::from(
                    one == other
                        || *other <= 1
                        || one.checked_add(1) == Some(*other)
                        || one.checked_add(pages) == Some(*other),
                );
            }
            good * 5 >= all * 4
        };
        if (0..count).all(counts) {
            return Self::Counting;
        }
        let mut often: HashMap<Vec<u64>, usize> = HashMap::new();
        for (_, numbers) in shown {
            *often.entry(numbers).or_default() += 1;
        }
        Self::Same(
            often.into_iter().filter(|(_, count)| *count >= enough).map(|(numbers, _)| numbers).collect(),
        )
    }
}

/// For each line of a page what another page shows too, if it stands in a margin, and
/// its numbers.
fn places(page: &PageText) -> Vec<Option<(RunningPlace, Vec<u64>)>> {
    let (low, high) = (page.bottom, page.top);
    let margin = (high - low) * MARGIN;
    let lines = || {
        page.paragraphs
            .iter()
            .flat_map(|paragraph| paragraph.lines.iter().map(move |line| (paragraph.is_straight, line)))
    };
    let mut bases: Vec<f64> = lines().map(|(_, line)| line.base).collect();
    bases.sort_by(f64::total_cmp);
    bases.dedup_by(|a, b| (*a - *b).abs() < 1.0);
    let lowest = bases.get(MOST_LINES - 1).copied().unwrap_or(f64::MAX);
    let highest = bases.iter().rev().nth(MOST_LINES - 1).copied().unwrap_or(f64::MIN);
    lines()
        .map(|(is_straight, line)| {
            let is_margin = (line.base < low + margin && line.base < lowest + 1.0)
                || (line.base > high - margin && line.base > highest - 1.0);
            let is_short = line.text.len() <= LONGEST;
            (is_straight && is_margin && is_short && line.size > 0.0).then(|| {
                let (pattern, numbers) = pattern(&line.text);
                ((pattern, (line.base / 8.0).round() as i64), numbers)
            })
        })
        .collect()
}

/// A line with its numbers left open, as they may count the pages, and those.
fn pattern(text: &str) -> (String, Vec<u64>) {
    let mut pattern = String::with_capacity(text.len());
    let mut numbers: Vec<u64> = Vec::new();
    for character in text.chars() {
        let Some(digit) = character.to_digit(10).map(u64::from) else {
            pattern.extend(character.to_lowercase());
            continue;
        };
        match numbers.last_mut().filter(|_| pattern.ends_with('\0')) {
            Some(number) => *number = number.saturating_mul(10).saturating_add(digit),
            None => {
                pattern.push('\0');
                numbers.push(digit);
            }
        }
    }
    (pattern, numbers)
}
