//! The breaks between the lines of a document, found in one pass.

use crate::extract::{Extracted, TextKind};

/// How clear a break is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Between lines of a paragraph.
    Line,
    /// Before a list item or a table row; between blocks of code.
    Item,
    /// Between paragraphs, or pages.
    Block,
    /// Before a heading; 7 minus its level.
    Heading(u8),
}

/// The start of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) start: usize,
    pub(super) rank: Rank,
}

/// Returns the lines with text, in order, except those after a heading: a heading
/// stays with the beginning of its section.
pub(super) fn marks(document: &Extracted) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut reader = MarkReader { document, fence: None, next_heading: 0, next_page: 0 };
    let (mut start, mut blank_before, mut after_heading) = (0, true, false);
    for line in document.text.split_inclusive('\n') {
        let end = start + line.len();
        if line.trim_ascii().is_empty() {
            blank_before = true;
        } else {
            let rank = reader.rank(line, start, end, blank_before);
            let is_heading = matches!(rank, Rank::Heading(_));
            if is_heading || !after_heading {
                marks.push(Mark { start, rank });
            }
            (blank_before, after_heading) = (false, is_heading);
        }
        start = end;
    }
    marks
}

struct MarkReader<'d> {
    document: &'d Extracted,
    /// The fence character of the code block that the line is in.
    fence: Option<u8>,
    next_heading: usize,
    next_page: usize,
}

impl MarkReader<'_> {
    fn rank(&mut self, line: &str, start: usize, end: usize, blank_before: bool) -> Rank {
        let in_fence = self.fence.is_some();
        let opens = self.document.kind == TextKind::Markdown && self.turn_fence(line) && !in_fence;
        if let Some(level) = self.heading(end) {
            return Rank::Heading(7 - level.clamp(1, 6));
        }
        if self.page(start, end) {
            return Rank::Block;
        }
        let indented = line.starts_with([' ', '\t']);
        match self.document.kind {
            TextKind::Code if blank_before && !indented => Rank::Block,
            TextKind::Markdown if blank_before && !in_fence => Rank::Block,
            TextKind::Markdown if opens || (!in_fence && is_item(line)) => Rank::Item,
            TextKind::Plain if blank_before => Rank::Block,
            TextKind::Plain if is_item(line) => Rank::Item,
            _ if blank_before => Rank::Item,
            _ => Rank::Line,
        }
    }

    /// Whether the line opens or closes fenced code.
    fn turn_fence(&mut self, line: &str) -> bool {
        let line = line.trim_ascii_start();
        let sign = match line.as_bytes() {
            [b'`', b'`', b'`', ..] => b'`',
            [b'~', b'~', b'~', ..] => b'~',
            _ => return false,
        };
        match self.fence {
            None => self.fence = Some(sign),
            Some(open) if open == sign => self.fence = None,
            Some(_) => return false,
        }
        true
    }

    /// The outermost level of the headings that start before `end`.
    fn heading(&mut self, end: usize) -> Option<u8> {
        let mut outermost = None;
        while let Some(heading) = self.document.headings.get(self.next_heading).filter(|one| one.start < end)
        {
            outermost = outermost.into_iter().chain([heading.level]).min();
            self.next_heading += 1;
        }
        outermost
    }

    fn page(&mut self, start: usize, end: usize) -> bool {
        let mut begins = false;
        while let Some(page) = self.document.pages.get(self.next_page).filter(|page| page.start < end) {
            begins |= page.start <= start;
            self.next_page += 1;
        }
        begins
    }
}

/// Whether a line starts a list item, a table row or a quote.
fn is_item(line: &str) -> bool {
    let line = line.trim_ascii_start();
    match line.as_bytes() {
        [b'-' | b'*' | b'+', b' ', ..] | [b'|' | b'>', ..] => true,
        _ => {
            let rest = line.trim_start_matches(|character: char| character.is_ascii_digit());
            rest.len() < line.len() && rest.starts_with([')', '.']) && rest.get(1..2) == Some(" ")
        }
    }
}
