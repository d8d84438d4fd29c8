//! Markdown: the headings and the front matter of a text, and the escaping of
//! text that is written into one.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::document::Heading;
use super::line::clean_line;

/// Maximum headings of a document; a text with more is not prose.
const MAX_HEADINGS: usize = 50_000;
/// Bytes that are parsed at once. The parser's tree takes up to 60 bytes for each
/// byte of text, so a document is parsed in windows that end between blocks.
const WINDOW: usize = 256 << 10;
/// Maximum bytes of a window, for a block that fills a smaller one. The lines of a
/// block that is even longer are read as new blocks, a line that is longer not at
/// all.
const MAX_WINDOW: usize = 1 << 20;

/// Returns the headings of a Markdown text, as CommonMark defines them: ATX and
/// setext headings, but none in code, HTML or front matter. Headings inside of
/// quotes and lists are not sections of the document and are left out.
pub(super) fn headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut start = front_matter(text).map_or(0, str::len);
    let mut size = WINDOW;
    while start < text.len() && headings.len() < MAX_HEADINGS {
        let end = window_end(text, start, size);
        let next = match end {
            Some(end) => {
                let last_block = parse(text, start, end, &mut headings);
                if end == text.len() {
                    break;
                }
                // The last block may go on after the window: parse it again.
                headings.truncate(headings.partition_point(|heading| heading.start < last_block));
                last_block
            }
            None => start,
        };
        if next > start {
            (start, size) = (next, WINDOW);
        } else if size < MAX_WINDOW {
            size *= 2;
        } else {
            let line_end = || text.get(start..)?.find('\n').map(|at| start + at + 1);
            (start, size) = (end.or_else(line_end).unwrap_or(text.len()), WINDOW);
        }
    }
    headings.truncate(MAX_HEADINGS);
    headings
}

/// Returns the end of the last whole line within `size` bytes.
fn window_end(text: &str, start: usize, size: usize) -> Option<usize> {
    let end = start.saturating_add(size);
    if end >= text.len() {
        return Some(text.len());
    }
    let window = text.get(start..text.floor_char_boundary(end))?;
    window.rfind('\n').map(|at| start + at + 1)
}

/// Adds the headings of a window. Returns the start of its last top-level block.
fn parse(text: &str, start: usize, end: usize, headings: &mut Vec<Heading>) -> usize {
    let window = text.get(start..end).unwrap_or_default();
    let line_start = |at: usize| window.get(..at).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
    let (mut depth, mut last_block) = (0_usize, start);
    // Of the top-level heading that is open.
    let mut title: Option<String> = None;
    for (event, range) in Parser::new_ext(window, Options::empty()).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    last_block = start + line_start(range.start);
                    title = matches!(tag, Tag::Heading { .. }).then(String::new);
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                if depth == 0
                    && let (TagEnd::Heading(level), Some(title)) = (tag, title.take())
                    && let title = clean_line(&title)
                    && !title.is_empty()
                {
                    headings.push(Heading { start: last_block, level: level as u8, title });
                }
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(title) = &mut title {
                    title.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(title) = &mut title {
                    title.push(' ');
                }
            }
            Event::Rule if depth == 0 => last_block = start + line_start(range.start),
            _ => {}
        }
    }
    last_block
}

/// Returns the `title` of the front matter.
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

/// Returns the front matter: the lines between `---` (or `+++`) at the very top,
/// delimiters included.
fn front_matter(text: &str) -> Option<&str> {
    let mark = ["---\n", "+++\n"].into_iter().find(|mark| text.starts_with(mark))?;
    let end = format!("\n{mark}");
    let body = text.get(3..)?;
    let end = body.find(&end).map(|at| at + end.len() + 3)?;
    text.get(..end)
}

/// Writes a Markdown table, whose first row is the header.
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

/// Escapes the lines of a paragraph that would begin a heading, fenced code or
/// HTML that ends at its end tag: each of them would change the meaning of what
/// follows the paragraph.
pub(super) fn escape(paragraph: &str) -> String {
    let mut text = String::with_capacity(paragraph.len() + 1);
    for (number, line) in paragraph.split('\n').enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let content = line.trim_start();
        let (indent, _) = line.split_at(line.len() - content.len());
        text.push_str(indent);
        if begins_block(content) || (number > 0 && is_underline(content.trim_end())) {
            text.push('\\');
        }
        text.push_str(content);
    }
    text
}

fn begins_block(line: &str) -> bool {
    let after_hashes = line.trim_start_matches('#');
    let is_heading = (1..=6).contains(&(line.len() - after_hashes.len()))
        && (after_hashes.is_empty() || after_hashes.starts_with([' ', '\t']));
    let is_fence = line.starts_with("```") || line.starts_with("~~~");
    let is_html = line.strip_prefix('<').is_some_and(|rest| {
        let begins = |name: &str| {
            let (start, end) = (rest.get(..name.len()), rest.get(name.len()..));
            start.is_some_and(|start| start.eq_ignore_ascii_case(name))
                && end.is_some_and(|end| end.is_empty() || end.starts_with([' ', '\t', '>']))
        };
        rest.starts_with(['!', '?']) || ["script", "pre", "style", "textarea"].into_iter().any(begins)
    });
    is_heading || is_fence || is_html
}

/// Whether a line makes a heading of the line above it.
fn is_underline(line: &str) -> bool {
    ['=', '-'].into_iter().any(|mark| !line.is_empty() && line.chars().all(|character| character == mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(u8, String)> {
        headings(text).into_iter().map(|heading| (heading.level, heading.title)).collect()
    }

    fn one(level: u8, title: &str) -> Vec<(u8, String)> {
        vec![(level, title.to_owned())]
    }

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
    fn title_is_without_markup() {
        assert_eq!(found("## A *b* [c](d) `e` &amp; \\# <b>f</b> ##"), one(2, "A b c e & # f"));
        assert_eq!(found("Two\nlines\n==="), one(1, "Two lines"));
        assert_eq!(found("# ![picture](a.png)"), one(1, "picture"));
        assert_eq!(found("#\n\n## "), []);
    }

    #[test]
    fn start_is_that_of_the_line() {
        assert_eq!(headings("a\n\n   # b")[0].start, 3);
        assert_eq!(headings("x\n\n  a\n---")[0].start, 3);
    }

    #[test]
    fn only_sections_of_the_document_are_headings() {
        for none in [
            "> # quoted",
            "- # in a list",
            "    # indented code",
            "<div>\n# in HTML\n</div>",
            "<!--\n\n# in a comment\n\n-->",
            "<script>\n\n# in a script\n\n</script>",
            "~~~\n# in a fence\n```\n# still in it\n~~~",
            "````\n```\n# in a longer fence\n````",
            "```\n# in a fence without an end",
            "a\n\n---\n\nb",
            "| a |\n| --- |\n| # b |",
            "#tag",
            "####### seven",
        ] {
            assert_eq!(found(none), [], "{none:?}");
        }
        assert_eq!(found("- a\n# b"), one(1, "b"));
        assert_eq!(found("<div>\n\n# b\n\n</div>"), one(1, "b"));
        assert_eq!(found("```\n```\n# b"), one(1, "b"));
    }

    #[test]
    fn headings_of_a_long_text_are_those_of_its_parts() {
        let part = "# One\n\nText *of* it.\n\n```\n# no\n\n# no\n```\n\n- a\n\n  b\n\nTwo\n===\n\n";
        let text = part.repeat(3 * WINDOW / part.len());
        let expected = [part.find("# One").unwrap(), part.find("Two").unwrap()];
        let starts: Vec<_> = headings(&text).iter().map(|heading| heading.start).collect();
        let all = (0..text.len() / part.len()).flat_map(|n| expected.map(|at| n * part.len() + at));
        assert_eq!(starts, all.collect::<Vec<_>>());
    }

    #[test]
    fn block_longer_than_a_window_is_one_block() {
        let code = format!("```\n{}```\n# After\n", "# no\n".repeat(2 * WINDOW / 5));
        assert_eq!(found(&code), one(1, "After"));
    }

    #[test]
    fn hostile_text_takes_little_time() {
        for unit in ["*", "[", "`", "> ", "- ", "# \n", "<", "a\n=\n", "![", "&", "\\", "_a", "\n", "é"] {
            let text = unit.repeat(2 * MAX_WINDOW / unit.len());
            assert!(headings(&text).len() <= MAX_HEADINGS, "{unit:?}");
        }
    }

    #[test]
    fn escaped_paragraph_is_text() {
        for paragraph in [
            "# a", "####", "```", "~~~ b", "<script>", "<!-- a", "<?php", "a\n# b", "a\n---", "a\n==",
            "a\n<PRE>", "a\n  ```", "#",
        ] {
            let text = format!("{}\n\n# After", escape(paragraph));
            assert_eq!(found(&text), one(1, "After"), "{paragraph:?}");
        }
        for paragraph in ["#tag", "a # b", "- a", "a < b", "<b>", "<present>", "---"] {
            assert_eq!(escape(paragraph), paragraph);
        }
    }

    #[test]
    fn table_has_as_many_cells_in_each_row() {
        let rows = [vec!["a".to_owned(), "b|c".to_owned()], vec!["d\ne".to_owned()]];
        assert_eq!(table(&rows), "| a | b\\|c |\n| --- | --- |\n| d e |  |\n");
    }
}
