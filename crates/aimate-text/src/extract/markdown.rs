//! What Markdown says about itself: its headings, its front matter.

use super::Heading;
use super::output::clean_line;

/// The most headings that are marked; what has more is not prose.
const MAX_HEADINGS: usize = 50_000;

/// The headings of a Markdown text, `#` and underlined ones, outside of fenced
/// code and front matter.
pub(super) fn headings(text: &str) -> Vec<Heading> {
    let mut found = Vec::new();
    let mut start = front_matter(text).map_or(0, str::len);
    let mut fence: Option<&str> = None;
    let mut above: Option<(usize, &str)> = None;
    for line in text.get(start..).unwrap_or_default().split_inclusive('\n') {
        let at = start;
        start += line.len();
        let line = line.trim_end();
        let trimmed = line.trim_start();
        if let Some(open) = fence {
            if trimmed.starts_with(open) && trimmed.trim_start_matches(['`', '~']).is_empty() {
                fence = None;
            }
            continue;
        }
        if let Some(open) = fence_of(trimmed) {
            (fence, above) = (Some(open), None);
            continue;
        }
        if let Some((level, title)) = hash_heading(line) {
            found.push(Heading { start: at, level, title: clean_line(title) });
            above = None;
        } else if let (Some((at, title)), Some(level)) = (above, underline(line)) {
            found.push(Heading { start: at, level, title: clean_line(title) });
            above = None;
        } else {
            let is_text = !trimmed.is_empty() && !trimmed.starts_with(['-', '>', '|', '+', '*', '=']);
            above = (is_text && above.is_none()).then_some((at, line));
        }
        if found.len() >= MAX_HEADINGS {
            break;
        }
    }
    found
}

/// `title:` of the front matter.
pub(super) fn front_matter_title(text: &str) -> Option<&str> {
    let lines = front_matter(text)?.lines();
    let title =
        lines.filter_map(|line| line.strip_prefix("title").map(str::trim_start)).find_map(|rest| {
            // YAML writes a colon, TOML an equals sign.
            rest.strip_prefix([':', '='])
        })?;
    let title = title.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| title.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(quoted.unwrap_or(title)).filter(|title| !title.is_empty())
}

/// The lines between `---` (or `+++`) at the very top, with both of them.
fn front_matter(text: &str) -> Option<&str> {
    let mark = ["---\n", "+++\n"].into_iter().find(|mark| text.starts_with(mark))?;
    let end = format!("\n{mark}");
    let body = text.get(3..)?;
    let end = body.find(&end).map(|at| at + end.len() + 3)?;
    text.get(..end)
}

fn fence_of(line: &str) -> Option<&str> {
    let mark = line.chars().next().filter(|mark| ['`', '~'].contains(mark))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    if length < 3 { None } else { line.get(..length) }
}

fn hash_heading(line: &str) -> Option<(u8, &str)> {
    let rest = line.trim_start_matches('#');
    let level = u8::try_from(line.len() - rest.len()).ok().filter(|level| (1..=6).contains(level))?;
    let title = rest.strip_prefix([' ', '\t'])?.trim();
    let closed = title.trim_end_matches('#');
    let title = if closed.is_empty() || closed.ends_with(' ') { closed.trim_end() } else { title };
    (!title.is_empty()).then_some((level, title))
}

/// `===` or `---` of two characters or more, which makes the line above a heading.
fn underline(line: &str) -> Option<u8> {
    let is = |mark: char| line.len() > 1 && line.chars().all(|character| character == mark);
    if is('=') {
        Some(1)
    } else if is('-') {
        Some(2)
    } else {
        None
    }
}

/// A Markdown table; the first row is its header.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text.push('|');
        for column in 0..columns {
            text.push(' ');
            let cell = row.get(column).map(String::as_str).unwrap_or_default();
            text.push_str(&one_cell(cell));
            text.push_str(" |");
        }
        text.push('\n');
        if number == 0 {
            text.push('|');
            text.push_str(&" --- |".repeat(columns));
            text.push('\n');
        }
    }
    text
}

fn one_cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !cell.is_empty() {
            cell.push(' ');
        }
        cell.push_str(word);
    }
    if cell.contains('|') { cell.replace('|', "\\|") } else { cell }
}

/// Keeps a paragraph that begins with `#` or a fence from being read as Markdown.
pub(super) fn escape(paragraph: &str) -> String {
    let is_markup =
        hash_heading(paragraph.lines().next().unwrap_or_default()).is_some() || fence_of(paragraph).is_some();
    if is_markup { format!("\\{paragraph}") } else { paragraph.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_found_outside_of_code_and_front_matter() {
        let text = "---\ntitle: \"A b\"\n# no\n---\n# One #\n\n```sh\n# no\n```\nTwo\n---\n- a\n---\n#tag\n### Three\n";
        let found: Vec<_> = headings(text).into_iter().map(|h| (h.level, h.title, h.start)).collect();
        let place = |what: &str| text.find(what).unwrap();
        assert_eq!(
            found,
            [
                (1, "One".to_owned(), place("# One")),
                (2, "Two".to_owned(), place("Two")),
                (3, "Three".to_owned(), place("### Three")),
            ]
        );
        assert_eq!(front_matter_title(text), Some("A b"));
    }

    #[test]
    fn table_has_as_many_cells_in_each_row() {
        let rows = [vec!["a".to_owned(), "b|c".to_owned()], vec!["d\ne".to_owned()]];
        assert_eq!(table(&rows), "| a | b\\|c |\n| --- | --- |\n| d e |  |\n");
    }
}
