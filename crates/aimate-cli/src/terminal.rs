//! Writing for people: lines that a closed pipe does not break, numbers, marks.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{IsTerminal, Write};

use aimate::index::analysis::analyze;

/// Writes a line to standard output. A closed pipe is no reason to stop: what
/// the command does is worth more than what it says.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes text to standard output: as it is, or on a terminal without what would
/// command it.
///
/// # Errors
/// Where it cannot be written, such as to a pipe that was closed.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let shown = if out.is_terminal() { printable(text) } else { Cow::Borrowed(text) };
    out.write_all(shown.as_bytes())?;
    out.flush()
}

/// Writes a line about what went wrong to standard error. There is nowhere to tell
/// of what cannot be written there.
pub(crate) fn complain(what: &impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "aimate: {}", printable(&what.to_string()));
}

/// `text` without the characters that command a terminal: all controls but line
/// breaks and tabs. Without its escape character a sequence is plain text, so
/// nothing that could be read is lost, even if a sequence never ends.
fn printable(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(commands) { Cow::Owned(text.replace(commands, "")) } else { Cow::Borrowed(text) }
}

/// Whether standard output takes bold letters.
pub(crate) fn takes_marks() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `text` on one line, without the characters that command a terminal: names
/// and titles come from strangers.
pub(crate) fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A number with its thousands apart.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things: `1 chunk`, `2 chunks`.
pub(crate) fn counted(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", number(n), if n == 1 { "" } else { "s" })
}

/// A word of a text with its bytes, and whether it is one of those looked for.
struct Word {
    start: usize,
    end: usize,
    hit: bool,
}

/// The words of `text`. Where a script has no spaces, a word is a character,
/// and it is a hit with its neighbour.
fn words(text: &str, wanted: &HashSet<&str>) -> Vec<Word> {
    let is_hit = |piece: &str| analyze(piece).counts.iter().any(|(term, _)| wanted.contains(term.as_str()));
    let mut words = Vec::new();
    for (start, run) in runs(text) {
        let places: Vec<_> = run.char_indices().map(|(at, c)| (at, at + c.len_utf8())).collect();
        if !run.chars().any(without_spaces) {
            words.push(Word { start, end: start + run.len(), hit: is_hit(run) });
            continue;
        }
        let first = words.len();
        words.extend(places.iter().map(|(at, end)| Word { start: start + at, end: start + end, hit: false }));
        for (n, pair) in places.windows(2).enumerate() {
            let piece =
                pair.first().zip(pair.last()).and_then(|(a, b)| run.get(a.0..b.1)).unwrap_or_default();
            if is_hit(piece) {
                words.iter_mut().skip(first + n).take(2).for_each(|word| word.hit = true);
            }
        }
        if let [(_, _)] = places.as_slice()
            && is_hit(run)
        {
            words.iter_mut().skip(first).for_each(|word| word.hit = true);
        }
    }
    words
}

/// The runs of letters and digits of `text`.
fn runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let pieces = text.split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty());
    pieces.map(move |piece| (piece.as_ptr() as usize - text.as_ptr() as usize, piece))
}

fn without_spaces(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// The stretch of `text`, of about `max` characters, that says most of the
/// `wanted` terms, with those words between `marks`.
pub(crate) fn snippet(text: &str, wanted: &[String], max: usize, marks: Option<(&str, &str)>) -> String {
    let text = plain(text);
    let wanted: HashSet<&str> = wanted.iter().map(String::as_str).collect();
    let words = words(&text, &wanted);
    let (start, end) = best_window(&text, &words, max);
    let (open, close) = marks.unwrap_or_default();
    let mut out = String::from(if start > 0 { "… " } else { "" });
    let mut from = start;
    for word in words.iter().filter(|word| word.hit && word.start >= start && word.end <= end) {
        out.push_str(text.get(from..word.start).unwrap_or_default());
        out.push_str(open);
        out.push_str(text.get(word.start..word.end).unwrap_or_default());
        out.push_str(close);
        from = word.end;
    }
    out.push_str(text.get(from..end).unwrap_or_default());
    if end < text.len() {
        out.push_str(" …");
    }
    // Neighbours that are both marked are one mark.
    if open.is_empty() { out } else { out.replace(&format!("{close}{open}"), "") }
}

/// The bytes of the window that holds most hits: it begins a little before the
/// first of them.
fn best_window(text: &str, words: &[Word], max: usize) -> (usize, usize) {
    let whole = (0, text.len());
    if text.chars().count() <= max {
        return whole;
    }
    let length = |from: usize, to: usize| text.get(from..to).map_or(0, |part| part.chars().count());
    let fits = |first: &Word| {
        words
            .iter()
            .filter(|word| word.hit && word.start >= first.start)
            .take_while(|word| length(first.start, word.end) < max)
            .count()
    };
    let hits: Vec<_> = words.iter().enumerate().filter(|(_, word)| word.hit).collect();
    // The first of the best: `max_by_key` would take the last.
    let best = hits.iter().rev().max_by_key(|(_, word)| fits(word));
    let first = best.map_or(0, |(n, _)| n.saturating_sub(4));
    let Some(start) = words.get(first).map(|word| if first == 0 { 0 } else { word.start }) else {
        return whole;
    };
    let inside = words.iter().skip(first).take_while(|word| length(start, word.end) <= max);
    let end = inside.last().map_or(text.len(), |word| word.end);
    // With the punctuation that follows the last word.
    let rest = text.get(end..).unwrap_or_default();
    let tail = rest.find(|c: char| c.is_alphanumeric() || c.is_whitespace()).unwrap_or(rest.len());
    (start, end + tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, question: &str, max: usize) -> String {
        let wanted: Vec<_> = aimate::index::analysis::analyze_query(question)
            .counts
            .into_iter()
            .map(|(term, _)| term)
            .collect();
        snippet(text, &wanted, max, Some(("<", ">")))
    }

    #[test]
    fn words_of_the_same_stem_are_marked() {
        assert_eq!(
            marked("The boilers are\nserviced in May.", "When is the boiler serviced?", 200),
            "The <boilers> are <serviced> in May."
        );
    }

    #[test]
    fn window_is_where_most_is_said() {
        let text = format!("{} the boiler is serviced, in May. {}", "blah ".repeat(50), "foo ".repeat(50));
        let cut = marked(&text, "boiler service", 60);
        assert!(cut.contains("<boiler> is <serviced>"), "{cut}");
        assert!(cut.starts_with("… ") && cut.ends_with(" …") && cut.chars().count() < 90, "{cut}");
        assert!(marked(&text, "nothing of it", 60).starts_with("blah"));
    }

    #[test]
    fn scripts_without_spaces_are_marked_in_part() {
        assert_eq!(marked("黑豹队的防守", "防守", 50), "黑豹队的<防守>");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[31m\u{7}b\nc"), "a [31m b c");
        assert_eq!(marked("", "x", 10), "");
    }

    #[test]
    fn what_commands_a_terminal_is_not_shown() {
        for (text, shown) in [
            ("\u{1b}]52;c;bHM=\u{7}a", "]52;c;bHM=a"),
            ("\u{1b}]0;title\u{1b}\\b", "]0;title\\b"),
            ("\u{1b}[6n\u{1b}[2J", "[6n[2J"),
            ("\u{9b}31mred\u{9d}0;x\u{9c}", "31mred0;x"),
            ("over\rwritten\u{8}\u{7f}", "overwritten"),
            ("a\tb\r\nc é 漢 👍🏽\n", "a\tb\nc é 漢 👍🏽\n"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 2].map(|n| counted(n, "chunk")), ["0 chunks", "1 chunk", "2 chunks"]);
    }
}
