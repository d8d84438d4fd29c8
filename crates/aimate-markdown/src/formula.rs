//! Finds formulas, before Markdown is read: their lines may look like lists and headings,
//! and `\(` is a mere bracket to Markdown.
//!
//! A mark stands for each formula in the text that the parser reads. Where it turns out to
//! be in code or an address, the mark becomes the formula's source again, so that a
//! mistake here costs a formula and nothing else.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

/// Begins and ends a mark: noncharacters, which no text is made of.
const OPEN: char = '\u{FDD0}';
const CLOSE: char = '\u{FDD1}';
/// Bytes that a formula may have.
const MAX_FORMULA: usize = 8 * 1024;
/// Formulas that a text may have; what follows is text.
const MAX_FORMULAS: usize = 5_000;
/// The longest run of backticks that begins code.
const MAX_TICKS: usize = 32;

/// A formula of a text.
pub(crate) struct Formula {
    /// Without its delimiters, in one line.
    pub(crate) tex: String,
    pub(crate) is_display: bool,
    /// Where it stands, with its delimiters.
    source: Range<usize>,
}

/// A text whose formulas are marks.
pub(crate) struct Marked<'t> {
    source: &'t str,
    pub(crate) text: String,
    formulas: Vec<Formula>,
    /// Where the mark of each formula stands in `text`.
    marks: Vec<Range<usize>>,
}

/// A piece of a text.
pub(crate) enum Piece<'m> {
    Text(&'m str),
    Formula(&'m Formula),
}

/// A text without what marks are made of.
pub(crate) fn without_marks(text: &str) -> Cow<'_, str> {
    if !text.contains([OPEN, CLOSE]) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace([OPEN, CLOSE], "\u{FFFD}"))
}

impl<'t> Marked<'t> {
    /// Marks the formulas of a text.
    pub(crate) fn whole(source: &'t str) -> Self {
        Self::new(source, false)
    }

    /// Of a text that is still being written: a formula in lines of its own that has no end
    /// yet reaches to the end of the text.
    pub(crate) fn begun(source: &'t str) -> Self {
        Self::new(source, true)
    }

    fn new(source: &'t str, is_begun: bool) -> Self {
        let formulas = Scanner::new(source, is_begun).formulas();
        let (mut text, mut marks, mut done) = (String::with_capacity(source.len()), Vec::new(), 0);
        for (n, formula) in formulas.iter().enumerate() {
            text.push_str(source.get(done..formula.source.start).unwrap_or_default());
            let start = text.len();
            text.push(OPEN);
            text.push_str(&n.to_string());
            text.push(CLOSE);
            marks.push(start..text.len());
            done = formula.source.end;
        }
        text.push_str(source.get(done..).unwrap_or_default());
        Self { source, text, formulas, marks }
    }

    /// The pieces of a part of the text.
    pub(crate) fn pieces<'m>(&'m self, text: &'m str) -> impl Iterator<Item = Piece<'m>> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if let Some(marked) = rest.strip_prefix(OPEN) {
                let (number, after) = marked.split_once(CLOSE)?;
                rest = after;
                return Some(Piece::Formula(self.formulas.get(number.parse::<usize>().ok()?)?));
            }
            let (piece, after) = rest.split_at(rest.find(OPEN).unwrap_or(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(Piece::Text(piece))
        })
    }

    /// A part of the text with the sources of its formulas.
    pub(crate) fn restored<'m>(&'m self, text: &'m str) -> Cow<'m, str> {
        if !text.contains(OPEN) {
            return Cow::Borrowed(text);
        }
        self.pieces(text)
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Formula(formula) => self.source(formula),
            })
            .collect()
    }

    /// A formula with its delimiters, as it stands.
    pub(crate) fn source(&self, formula: &Formula) -> &'t str {
        self.source.get(formula.source.clone()).unwrap_or_default()
    }

    /// Where something of `text` stands in the source.
    pub(crate) fn source_offset(&self, offset: usize) -> usize {
        let before = self.marks.partition_point(|mark| mark.end <= offset);
        let Some(last) = before.checked_sub(1) else { return offset };
        match (self.marks.get(last), self.formulas.get(last)) {
            (Some(mark), Some(formula)) => formula.source.end + (offset - mark.end),
            _ => offset,
        }
    }
}

#[derive(Clone, Copy)]
enum Delimiter {
    Dollar,
    Dollars,
    Paren,
    Bracket,
}

impl Delimiter {
    fn close(self) -> &'static str {
        match self {
            Self::Dollar => "$",
            Self::Dollars => "$$",
            Self::Paren => "\\)",
            Self::Bracket => "\\]",
        }
    }

    fn is_display(self) -> bool {
        matches!(self, Self::Dollars | Self::Bracket)
    }
}

/// Each search remembers how far it found nothing, so that the whole stays linear.
struct Scanner<'t> {
    text: &'t str,
    is_begun: bool,
    at: usize,
    formulas: Vec<Formula>,
    /// By delimiter: the next end of a formula, for all that begin before it.
    next_close: [usize; 4],
    /// By length: no run of backticks ends code before here.
    ticks_searched: [usize; MAX_TICKS + 1],
    paragraph_end: usize,
    next_fence: usize,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, is_begun: bool) -> Self {
        Self {
            text,
            is_begun,
            at: 0,
            formulas: Vec::new(),
            next_close: [0; 4],
            ticks_searched: [0; MAX_TICKS + 1],
            paragraph_end: 0,
            next_fence: 0,
        }
    }

    fn formulas(mut self) -> Vec<Formula> {
        while let Some(byte) = self.byte(self.at)
            && self.formulas.len() < MAX_FORMULAS
        {
            if self.is_line_start()
                && let Some(end) = self.fenced_end()
            {
                self.at = end;
                continue;
            }
            match byte {
                b'`' => self.code(),
                b'\\' => match self.byte(self.at + 1) {
                    Some(b'(') => self.formula(Delimiter::Paren, 2),
                    Some(b'[') => self.formula(Delimiter::Bracket, 2),
                    Some(next) if next.is_ascii_punctuation() => self.at += 2,
                    _ => self.at += 1,
                },
                b'$' if self.byte(self.at + 1) == Some(b'$') => self.formula(Delimiter::Dollars, 2),
                b'$' if self.opens_inline() => self.formula(Delimiter::Dollar, 1),
                _ => self.at += 1,
            }
        }
        self.formulas
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).and_then(|before| self.byte(before))
    }

    fn is_line_start(&self) -> bool {
        self.before(self.at).is_none_or(|byte| byte == b'\n')
    }

    fn lines_from(&self, start: usize) -> impl Iterator<Item = (usize, &'t str)> + use<'t> {
        let rest = self.text.get(start..).unwrap_or_default();
        rest.split_inclusive('\n').scan(start, |at, line| {
            let begins = *at;
            *at += line.len();
            Some((begins, line))
        })
    }

    /// Where fenced code that begins in this line ends.
    fn fenced_end(&self) -> Option<usize> {
        let mut lines = self.lines_from(self.at);
        let (_, first) = lines.next()?;
        let (fence, length) = fence(first)?;
        let is_quoted = is_in_quote(first);
        for (begins, line) in lines {
            if is_quoted && !is_in_quote(line) {
                return Some(begins);
            }
            let line_of_fence = line.trim_matches([' ', '\t', '>', '\r', '\n']);
            if line_of_fence.len() >= length && line_of_fence.bytes().all(|byte| byte == fence) {
                return Some(begins + line.len());
            }
        }
        Some(self.text.len())
    }

    /// Where the paragraph that is here ends.
    fn paragraph_end(&mut self) -> usize {
        if self.paragraph_end <= self.at {
            let next = self.lines_from(self.at).skip(1).find(|(_, line)| ends_paragraph(line));
            self.paragraph_end = next.map_or(self.text.len(), |(begins, _)| begins);
        }
        self.paragraph_end
    }

    /// Where the next fenced code begins.
    fn next_fence(&mut self) -> usize {
        if self.next_fence <= self.at {
            let next = self.lines_from(self.at).skip(1).find(|(_, line)| fence(line).is_some());
            self.next_fence = next.map_or(self.text.len(), |(begins, _)| begins);
        }
        self.next_fence
    }

    /// Goes over code in backticks.
    fn code(&mut self) {
        let end = self.paragraph_end();
        let start = self.at;
        let rest = self.text.as_bytes().get(start..end).unwrap_or_default();
        let length = run(rest);
        self.at += length.max(1);
        let Some(searched) = self.ticks_searched.get_mut(length) else { return };
        if *searched >= end {
            return;
        }
        let mut at = length;
        while let Some(next) = rest.get(at..).and_then(|rest| memchr::memchr(b'`', rest)) {
            at += next;
            let found = run(rest.get(at..).unwrap_or_default());
            at += found;
            if found == length {
                self.at = start + at;
                return;
            }
        }
        *searched = end;
    }

    /// Whether the dollar here may begin a formula: `$5` and `US$` do not, `$x$` does.
    fn opens_inline(&self) -> bool {
        self.byte(self.at + 1).is_some_and(|next| !next.is_ascii_whitespace())
            && self.before(self.at).is_none_or(|before| !before.is_ascii_alphanumeric() && before != b'$')
    }

    /// Takes the formula that may begin here, or goes over its delimiter.
    fn formula(&mut self, delimiter: Delimiter, length: usize) {
        let (start, inner) = (self.at, self.at + length);
        // In lines of its own it may have blank ones, as models write it.
        let is_block = delimiter.is_display() && self.is_first_in_line();
        let bound = if is_block { self.next_fence() } else { self.paragraph_end() };
        let limit = bound.min(inner + MAX_FORMULA);
        self.at = inner;
        match self.close(delimiter, inner, limit) {
            Some(close) => self.take(delimiter, start, inner..close),
            None if is_block && self.is_begun && limit == self.text.len() => {
                let rest = self.text.len();
                self.formulas.push(Formula { tex: String::new(), is_display: true, source: start..rest });
                self.at = rest;
            }
            None => {}
        }
    }

    fn take(&mut self, delimiter: Delimiter, start: usize, inner: Range<usize>) {
        let end = inner.end + delimiter.close().len();
        let tex = self.text.get(inner).unwrap_or_default();
        // `\[a\](b)` is how a link is written that is none.
        let is_link = matches!(delimiter, Delimiter::Bracket) && self.byte(end) == Some(b'(');
        if tex.trim().is_empty() || is_link {
            return;
        }
        let tex = if tex.contains('\n') {
            let before = self.text.get(..start).unwrap_or_default();
            let line = before.rfind('\n').map_or(before, |at| before.get(at + 1..).unwrap_or_default());
            one_line(tex, is_in_quote(line))
        } else {
            one_line(tex, false)
        };
        self.formulas.push(Formula { tex, is_display: delimiter.is_display(), source: start..end });
        self.at = end;
    }

    fn is_first_in_line(&self) -> bool {
        let before = self.text.get(..self.at).unwrap_or_default();
        // A prefix is short; a long line has no other formula in lines of its own.
        let prefix = before.as_bytes().iter().rev().take(MAX_PREFIX).position(|byte| *byte == b'\n');
        let length = prefix.unwrap_or(if before.len() < MAX_PREFIX { before.len() } else { return false });
        let line = before.get(before.len() - length..).unwrap_or_default();
        content(line).is_empty()
    }

    /// Where a formula ends that may end before `limit`.
    fn close(&mut self, delimiter: Delimiter, inner: usize, limit: usize) -> Option<usize> {
        let next = self.next_close.get_mut(delimiter as usize)?;
        let bytes = self.text.as_bytes();
        if *next <= inner {
            let ends = memmem::find_iter(bytes.get(inner + 1..).unwrap_or_default(), delimiter.close());
            let found = ends.map(|at| inner + 1 + at).find(|at| !is_escaped(bytes, *at));
            *next = found.unwrap_or(usize::MAX);
        }
        let is_end =
            *next < limit && (!matches!(delimiter, Delimiter::Dollar) || closes_inline(bytes, *next));
        is_end.then_some(*next)
    }
}

/// Bytes before a formula in lines of its own.
const MAX_PREFIX: usize = 256;

fn is_escaped(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    let backslashes = before.iter().rev().take(MAX_PREFIX).take_while(|byte| **byte == b'\\').count();
    backslashes % 2 == 1
}

/// Whether a dollar may end a formula: `x$` does, ` $5` and `$HOME` do not.
fn closes_inline(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_some_and(|byte| !byte.is_ascii_whitespace())
        && bytes.get(at + 1).is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'$')
}

/// A formula in one line, without comments, and without the marks of the quote it is in.
fn one_line(tex: &str, is_quoted: bool) -> String {
    let lines = tex.trim().split('\n').map(|line| {
        let line = if is_quoted { line.trim_start_matches([' ', '\t', '>']) } else { line };
        let is_comment = |at: &usize| line.get(..*at).is_some_and(|before| !before.ends_with('\\'));
        let comment = line.match_indices('%').map(|(at, _)| at).find(is_comment);
        line.get(..comment.unwrap_or(line.len())).unwrap_or_default().trim()
    });
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn run(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b'`').count()
}

/// Whether a line is none of a paragraph before it, or may be none.
fn ends_paragraph(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || line.starts_with(['#', '>', '|', '<'])
        || ["---", "***", "___", "===", "```", "~~~"].iter().any(|begins| line.starts_with(begins))
        || content(line).len() < line.len()
}

fn is_in_quote(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// A line without the marks of quotes and of one list before it.
fn content(line: &str) -> &str {
    let line = line.trim_start_matches([' ', '\t', '>']);
    let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let marks: &[char] = if after_number.len() < line.len() { &['.', ')'] } else { &['-', '*', '+'] };
    let rest = after_number.strip_prefix(marks);
    // An item may have nothing in it.
    let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
    rest.unwrap_or(line).trim_start_matches([' ', '\t', '>'])
}

/// The character of the fence that a line opens, and how many there are.
fn fence(line: &str) -> Option<(u8, usize)> {
    let line = content(line);
    let fence = line.bytes().next().filter(|byte| matches!(byte, b'`' | b'~'))?;
    let length = line.bytes().take_while(|byte| *byte == fence).count();
    let is_code = fence == b'`' && line.get(length..).unwrap_or_default().contains('`');
    (length >= 3 && !is_code).then_some((fence, length))
}
