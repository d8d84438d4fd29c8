//! Titles and headings.

use std::collections::HashMap;

use super::page::PageText;
use super::paragraph::PageParagraph;

/// The longest heading, in characters.
const LONGEST: usize = 200;
/// The most lines of a heading.
const MOST_LINES: usize = 3;

/// The sizes of a document's text.
pub(super) struct Sizes {
    /// That of most of it.
    body: f64,
    /// Those of headings, the largest first.
    headings: Vec<i64>,
    /// Most of the text is bold, so that this marks no heading.
    is_bold: bool,
}

fn rounded(size: f64) -> i64 {
    (size * 2.0).round() as i64
}

impl Sizes {
    pub(super) fn new(pages: &[PageText]) -> Self {
        let mut letters: HashMap<i64, usize> = HashMap::new();
        let (mut all, mut bold) = (0, 0);
        let paragraphs = || pages.iter().flat_map(|page| &page.paragraphs);
        for line in paragraphs().flat_map(|paragraph| &paragraph.lines) {
            let count = line.text.chars().count();
            *letters.entry(rounded(line.size)).or_default() += count;
            all += count;
            bold += if line.is_bold { count } else { 0 };
        }
        let body =
            letters.into_iter().max_by_key(|(size, count)| (*count, *size)).map_or(0, |(size, _)| size);
        let mut sizes = Self { body: body as f64 / 2.0, headings: Vec::new(), is_bold: bold * 2 > all };
        let mut headings: Vec<i64> = paragraphs()
            .filter(|paragraph| sizes.is_large(paragraph) && is_heading(paragraph))
            .map(|paragraph| rounded(paragraph.size()))
            .collect();
        headings.sort_unstable_by(|a, b| b.cmp(a));
        headings.dedup_by(|a, b| *b - *a <= 1);
        sizes.headings = headings;
        sizes
    }

    fn is_large(&self, paragraph: &PageParagraph) -> bool {
        paragraph.size() >= self.body * 1.15
    }

    /// The level of a heading; `None` for other paragraphs.
    pub(super) fn heading(&self, paragraph: &PageParagraph) -> Option<u8> {
        if !is_heading(paragraph) {
            return None;
        }
        let level = if self.is_large(paragraph) {
            let size = rounded(paragraph.size());
            self.headings.iter().position(|heading| *heading - size <= 1).unwrap_or(0)
        } else if !self.is_bold
            && paragraph.is_bold()
            && paragraph.lines.len() == 1
            && is_title_line(paragraph)
        {
            self.headings.len()
        } else {
            return None;
        };
        Some(u8::try_from(level + 1).unwrap_or(6).min(6))
    }
}

fn is_heading(paragraph: &PageParagraph) -> bool {
    let words =
        paragraph.lines.iter().any(|line| line.text.chars().filter(|one| one.is_alphabetic()).count() > 1);
    paragraph.is_straight
        && words
        && paragraph.lines.len() <= MOST_LINES
        && paragraph.letters() <= LONGEST
        && paragraph.lines.iter().all(|line| !line.is_row())
}

/// Whether a bold line is a heading rather than a sentence.
fn is_title_line(paragraph: &PageParagraph) -> bool {
    paragraph.lines.first().is_some_and(|line| {
        let text = line.text.as_str();
        text.chars().count() <= 100
            && !text.ends_with(['.', ',', ';', ':', '-'])
            && text.chars().next().is_some_and(|one| !one.is_lowercase())
    })
}

/// Whether a title was given by a person, not by a program.
pub(super) fn is_title(title: &str) -> bool {
    const FILES: [&str; 28] = [
        ".doc", ".docx", ".docm", ".rtf", ".odt", ".tex", ".dvi", ".indd", ".qxd", ".qxp", ".pdf", ".ps",
        ".eps", ".ai", ".pptx", ".ppt", ".xls", ".xlsx", ".htm", ".html", ".txt", ".wpd", ".pub", ".vsd",
        ".tif", ".tiff", ".jpg", ".png",
    ];
    const MADE: [&str; 12] = [
        "untitled",
        "(anonymous)",
        "microsoft word - ",
        "microsoft powerpoint - ",
        "powerpoint presentation",
        "(unspecified)",
        "slide 1",
        "document1",
        "scanned document",
        "no title",
        "about:blank",
        "print job",
    ];
    let title = title.trim();
    let lower = title.to_ascii_lowercase();
    let is_path = lower.contains(":\\") || lower.starts_with('/') || lower.contains("://");
    // A name such as `rpt_2024_final` is that of a file.
    let is_name = !title.contains(char::is_whitespace)
        && (title.contains('_') || title.chars().filter(char::is_ascii_digit).count() > 3);
    title.chars().any(char::is_alphanumeric)
        && !is_path
        && !is_name
        && !FILES.iter().any(|end| lower.ends_with(end))
        && !MADE.iter().any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_no_titles() {
        for (title, is) in [
            ("Tide tables", true),
            ("Budget 2031", true),
            ("Übersicht", true),
            ("report.docx", false),
            ("Microsoft Word - report", false),
            ("C:\\Users\\Ada\\report", false),
            ("rpt_2024_final", false),
            ("20310412103355", false),
            ("untitled", false),
            (" - ", false),
        ] {
            assert_eq!(is_title(title), is, "{title}");
        }
    }
}
