//! Running headers and footers: lines that stand at the same place of many pages.

use std::collections::HashMap;

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
    let mut seen: HashMap<(String, i64), usize> = HashMap::new();
    for page in pages.iter() {
        for key in keys(page).into_iter().flatten() {
            *seen.entry(key).or_default() += 1;
        }
    }
    let enough = FEWEST_PAGES.max(pages.len() / 20);
    seen.retain(|_, count| *count >= enough);
    let mut shown = std::collections::HashSet::new();
    for page in pages.iter_mut() {
        let keys = keys(page);
        let running: Vec<bool> = keys
            .into_iter()
            .map(|key| key.is_some_and(|key| seen.contains_key(&key) && !shown.insert(key)))
            .collect();
        // A page of such lines alone says something with them.
        if running.iter().all(|one| *one) {
            continue;
        }
        let mut running = running.into_iter();
        for paragraph in &mut page.paragraphs {
            paragraph.lines.retain(|_| !running.next().unwrap_or(false));
        }
        page.paragraphs.retain(|paragraph| !paragraph.lines.is_empty());
    }
}

/// For each line of a page what another page shows too, if it stands in a margin.
fn keys(page: &PageText) -> Vec<Option<(String, i64)>> {
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
            (is_straight && is_margin && is_short && line.size > 0.0)
                .then(|| (pattern(&line.text), (line.base / 8.0).round() as i64))
        })
        .collect()
}

/// A line with its numbers left open, as they count the pages.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_ascii_digit() {
            pattern.extend(character.to_lowercase());
        } else if !pattern.ends_with('#') {
            pattern.push('#');
        }
    }
    pattern
}
