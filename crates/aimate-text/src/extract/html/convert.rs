//! Converts the tags of a page to blocks, in one pass and without a tree, so that
//! hostile nesting costs neither time nor stack.

use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::super::grid::{self, GridCell};
use super::super::limits::Limits;
use super::super::line::clean_line;
use super::super::markdown;
use super::super::picture;
use super::block::{Block, Kind};
use super::tag::{Marks, Tag, ended_by, is_void, tag};

/// Maximum bytes of a cell; a table with a longer one is for layout.
const MAX_CELL: usize = 1_000;
/// Maximum rows that a cell spans, as in web browsers.
const MAX_ROWS: usize = 65_534;

/// The blocks of a page, its title, and whether it was too deep.
pub(super) fn convert(
    text: &str,
    is_xml: bool,
    has_pictures: bool,
    limits: &Limits,
) -> (Vec<Block>, Option<String>, bool) {
    let mut converter = Converter::new(is_xml, limits.depth);
    converter.has_pictures = has_pictures;
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
        converter.take(&event);
        None
    });
    // In XML, `<script/>` and `<title/>` have no content that hides tags.
    emitter.naively_switch_states(!is_xml);
    let Ok(()) = Tokenizer::new_with_emitter(text, emitter).finish();
    converter.finish()
}

/// An element that is open.
struct Open {
    name: Vec<u8>,
    tag: Tag,
    marks: Marks,
}

#[derive(Default)]
struct List {
    is_numbered: bool,
    count: u32,
}

struct HtmlCell {
    blocks: Vec<Block>,
    columns: usize,
    rows: usize,
}

/// A table that is open, and the blocks that were there before it.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<HtmlCell>>,
    /// How many columns and rows the open cell spans.
    span: (usize, usize),
    before: Vec<Block>,
    in_cell: bool,
}

struct Converter {
    is_xml: bool,
    /// What pictures show is told.
    has_pictures: bool,
    max_depth: usize,
    is_flat: bool,
    /// The number of open elements beyond the maximum depth, which are flattened.
    beyond: usize,
    open: Vec<Open>,
    lists: Vec<List>,
    tables: Vec<Table>,
    quotes: usize,
    /// The element whose content is skipped, and how often it is in itself.
    skipped: Option<(Vec<u8>, usize)>,
    /// The tag whose attributes are being read.
    start: (Vec<u8>, Marks),
    /// How many columns and rows it spans.
    span: (usize, usize),
    /// The number that a list begins with, or that an item has.
    number: Option<u32>,
    /// The description of a picture.
    alt: Option<String>,
    key: Vec<u8>,
    title: Option<String>,
    is_title: bool,
    blocks: Vec<Block>,
    line: String,
    marks: Marks,
    heading: Option<u8>,
    item: Option<String>,
    pre: usize,
}

impl Converter {
    fn new(is_xml: bool, max_depth: usize) -> Self {
        Self {
            is_xml,
            has_pictures: false,
            max_depth,
            is_flat: false,
            beyond: 0,
            open: Vec::new(),
            lists: Vec::new(),
            tables: Vec::new(),
            quotes: 0,
            skipped: None,
            start: (Vec::new(), Marks::default()),
            span: (1, 1),
            number: None,
            alt: None,
            key: Vec::new(),
            title: None,
            is_title: false,
            blocks: Vec::new(),
            line: String::new(),
            marks: Marks::default(),
            heading: None,
            item: None,
            pre: 0,
        }
    }

    fn take(&mut self, event: &CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.start = (name.to_vec(), Marks::of_name(name));
                self.span = (1, 1);
                self.number = None;
                self.alt = None;
            }
            CallbackEvent::AttributeName { name } => {
                self.key = name.to_vec();
                if *name == b"hidden" {
                    self.start.1.is_hidden = true;
                }
            }
            CallbackEvent::AttributeValue { value } => {
                let (name, marks) = &mut self.start;
                marks.attribute(name, &self.key, value);
                match self.key.as_slice() {
                    b"colspan" => self.span.0 = span(value).max(1),
                    // None is to the end of the table.
                    b"rowspan" => self.span.1 = if span(value) == 0 { MAX_ROWS } else { span(value) },
                    b"start" | b"value" => {
                        self.number =
                            str::from_utf8(value).ok().and_then(|number| number.trim().parse().ok());
                    }
                    b"alt" if name.as_slice() == b"img" => {
                        self.alt = picture::described(&String::from_utf8_lossy(value));
                    }
                    _ => {}
                }
            }
            CallbackEvent::CloseStartTag { self_closing } => {
                let (name, marks) = std::mem::take(&mut self.start);
                self.start_of(&name, marks);
                if self.is_xml && *self_closing && !is_void(&name) {
                    self.end_of(&name);
                }
            }
            CallbackEvent::EndTag { name } => {
                self.end_of(name);
            }
            CallbackEvent::String { value } => {
                if self.skipped.is_none() {
                    self.text(&String::from_utf8_lossy(value));
                }
            }
            CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => {}
        }
    }

    fn start_of(&mut self, name: &[u8], mut marks: Marks) {
        if let Some((skipped, depth)) = &mut self.skipped {
            *depth += usize::from(skipped == name);
            return;
        }
        let tag = tag(name);
        if tag == Tag::Skipped {
            self.skipped = Some((name.to_vec(), 1));
            return;
        }
        if let Some(ends) = ended_by(name) {
            self.close_first(ends.names, ends.stop);
        }
        match tag {
            Tag::Break => return self.new_line(),
            Tag::Paragraph if is_void(name) => return self.flush(),
            _ if is_void(name) => {
                if let Some(alt) = self.alt.take().filter(|_| self.has_pictures && !marks.is_hidden) {
                    self.text(&alt);
                }
                return;
            }
            _ => {}
        }
        if self.open.len() >= self.max_depth {
            self.is_flat = true;
            self.beyond += 1;
            if tag != Tag::Inline && tag != Tag::Link && tag != Tag::Code {
                self.flush();
            }
            return;
        }
        // Between tags and around them: what is in a frame is frame.
        let (above, is_article) =
            self.open.last().map_or((Marks::default(), false), |open| (open.marks, open.marks.is_main));
        marks.is_frame |= above.is_frame || (name == b"header" && !is_article);
        marks.is_hidden |= above.is_hidden;
        marks.is_main |= above.is_main;
        self.begin(tag);
        self.open.push(Open { name: name.to_vec(), tag, marks });
        self.marks = marks;
    }

    fn begin(&mut self, tag: Tag) {
        match tag {
            Tag::Heading(level) => {
                self.flush();
                self.heading = Some(level);
            }
            Tag::Paragraph => self.flush(),
            Tag::List { is_numbered } => {
                self.flush();
                let count = self.number.map_or(0, |start| start.saturating_sub(1));
                self.lists.push(List { is_numbered, count });
            }
            Tag::Item => {
                self.flush();
                let number = self.number;
                let mark = self.lists.last_mut().map(|list| {
                    list.count = number.unwrap_or_else(|| list.count.saturating_add(1));
                    if list.is_numbered { format!("{}.", list.count) } else { "-".to_owned() }
                });
                self.item = Some(mark.unwrap_or_else(|| "-".to_owned()));
            }
            Tag::Quote => {
                self.flush();
                self.quotes += 1;
            }
            Tag::Pre => {
                self.flush();
                self.pre += 1;
            }
            Tag::Code if self.pre == 0 && !self.marks.is_hidden => self.line.push('`'),
            Tag::Table => {
                self.flush();
                self.tables.push(Table { before: std::mem::take(&mut self.blocks), ..Table::default() });
            }
            Tag::Row => {
                self.flush();
                if let Some(table) = self.tables.last_mut() {
                    table.rows.push(Vec::new());
                }
            }
            Tag::Cell => {
                self.flush();
                let blocks = std::mem::take(&mut self.blocks);
                if let Some(table) = self.tables.last_mut() {
                    // A caption precedes its table.
                    table.before.extend(blocks);
                    table.in_cell = true;
                    table.span = self.span;
                } else {
                    self.blocks = blocks;
                }
            }
            Tag::Title => self.is_title = self.title.is_none(),
            Tag::Break | Tag::Link | Tag::Skipped | Tag::Inline | Tag::Code => {}
        }
    }

    fn end_of(&mut self, name: &[u8]) {
        if let Some((skipped, depth)) = &mut self.skipped {
            if skipped == name {
                *depth -= 1;
                if *depth == 0 {
                    self.skipped = None;
                }
            }
            return;
        }
        if self.beyond > 0 && !is_void(name) {
            self.beyond -= 1;
            return;
        }
        let is_table = matches!(tag(name), Tag::Table | Tag::Row | Tag::Cell);
        let stop: &[&[u8]] = if is_table { &[] } else { &[b"td", b"th"] };
        self.close_first(&[name], stop);
    }

    /// Closes the innermost open element with one of the names, and all in it.
    fn close_first(&mut self, names: &[&[u8]], stop: &[&[u8]]) {
        let is = |open: &Open, names: &[&[u8]]| names.contains(&open.name.as_slice());
        let found = self.open.iter().rposition(|open| is(open, names) || is(open, stop));
        let Some(found) = found.filter(|at| self.open.get(*at).is_some_and(|open| is(open, names))) else {
            return;
        };
        while self.open.len() > found {
            self.close_last();
        }
    }

    fn close_last(&mut self) {
        let Some(open) = self.open.pop() else { return };
        match open.tag {
            Tag::Code if self.pre == 0 && !open.marks.is_hidden => self.end_code(),
            Tag::Inline | Tag::Link | Tag::Code | Tag::Break | Tag::Skipped => {}
            Tag::Title => self.is_title = false,
            Tag::Table => self.end_table(),
            Tag::Cell => self.end_cell(),
            _ => self.flush(),
        }
        match open.tag {
            Tag::List { .. } => {
                self.lists.pop();
            }
            Tag::Item => self.item = None,
            Tag::Quote => self.quotes = self.quotes.saturating_sub(1),
            Tag::Pre => self.pre = self.pre.saturating_sub(1),
            Tag::Heading(_) => self.heading = None,
            _ => {}
        }
        self.marks = self.open.last().map_or(Marks::default(), |open| open.marks);
    }

    fn end_code(&mut self) {
        // Code without text leaves no marks.
        if self.line.ends_with('`') && !self.line.ends_with("``") {
            self.line.pop();
        } else {
            self.line.push('`');
        }
    }

    fn end_cell(&mut self) {
        self.flush();
        let blocks = std::mem::take(&mut self.blocks);
        match self.tables.last_mut() {
            Some(table) => {
                table.in_cell = false;
                let (columns, rows) = table.span;
                let cell = HtmlCell { blocks, columns, rows };
                match table.rows.last_mut() {
                    Some(row) => row.push(cell),
                    None => table.rows.push(vec![cell]),
                }
            }
            None => self.blocks = blocks,
        }
    }

    fn end_table(&mut self) {
        self.flush();
        let Some(table) = self.tables.pop() else { return };
        let rest = std::mem::replace(&mut self.blocks, table.before);
        let rows = table.rows;
        let is_simple = |cell: &HtmlCell| {
            cell.blocks.iter().map(|block| block.text.len()).sum::<usize>() <= MAX_CELL
                && cell
                    .blocks
                    .iter()
                    .all(|block| !matches!(block.kind, Kind::Table | Kind::Code | Kind::Heading(_)))
        };
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut blocks = rows.iter().flatten().flat_map(|cell| &cell.blocks);
        let marks = blocks.next().map(|block| block.marks);
        if let Some(marks) = marks.filter(|_| columns > 1 && rows.iter().flatten().all(is_simple)) {
            let cells = |row: Vec<HtmlCell>| {
                let cells = row.into_iter().map(|cell| GridCell {
                    text: joined(&cell.blocks),
                    columns: cell.columns,
                    rows: cell.rows,
                });
                cells.collect::<Vec<_>>()
            };
            let text = markdown::table(&grid::lay_out(rows.into_iter().map(cells).collect()));
            self.blocks.push(Block { kind: Kind::Table, text, marks, quotes: self.quotes });
        } else {
            self.blocks.extend(rows.into_iter().flatten().flat_map(|cell| cell.blocks));
        }
        self.blocks.extend(rest);
    }

    fn text(&mut self, text: &str) {
        if self.is_title {
            self.title.get_or_insert_default().push_str(text);
            return;
        }
        if self.marks.is_hidden {
            return;
        }
        if self.pre > 0 {
            self.line.push_str(text);
            return;
        }
        for (number, word) in text.split(|character: char| character.is_whitespace()).enumerate() {
            if number > 0 && !self.line.is_empty() && !self.line.ends_with([' ', '\n']) {
                self.line.push(' ');
            }
            self.line.push_str(word);
        }
    }

    fn new_line(&mut self) {
        if self.marks.is_hidden {
            return;
        }
        if self.pre == 0 {
            self.line.truncate(self.line.trim_end_matches(' ').len());
        }
        if !self.line.is_empty() {
            self.line.push('\n');
        }
    }

    /// Ends the block that is being gathered.
    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = if self.pre > 0 { line.trim_end().trim_start_matches('\n') } else { line.trim() };
        if text.trim().is_empty() || text == "`" {
            return;
        }
        let kind = match (self.heading, self.pre, self.item.take()) {
            (Some(level), ..) => Kind::Heading(level),
            (None, 1.., _) => Kind::Code,
            (None, 0, Some(mark)) => {
                // The item's later blocks belong to it, without a mark.
                Kind::Item(self.lists.len().max(1), mark)
            }
            (None, 0, None) if !self.lists.is_empty() && self.is_in_item() => {
                Kind::Item(self.lists.len(), String::new())
            }
            (None, 0, None) => Kind::Paragraph,
        };
        self.blocks.push(Block { kind, text: text.to_owned(), marks: self.marks, quotes: self.quotes });
    }

    fn is_in_item(&self) -> bool {
        let inner = |open: &&Open| matches!(open.tag, Tag::Item | Tag::List { .. } | Tag::Cell);
        self.open.iter().rev().find(inner).is_some_and(|open| open.tag == Tag::Item)
    }

    fn finish(mut self) -> (Vec<Block>, Option<String>, bool) {
        while !self.open.is_empty() {
            self.close_last();
        }
        self.flush();
        let title = self.title.map(|title| clean_line(&title)).filter(|title| !title.is_empty());
        (self.blocks, title, self.is_flat)
    }
}

/// The number of an attribute such as `colspan`.
fn span(value: &[u8]) -> usize {
    let text = String::from_utf8_lossy(value.get(..20).unwrap_or(value));
    text.trim().parse::<usize>().unwrap_or(1).min(MAX_ROWS)
}

fn joined(blocks: &[Block]) -> String {
    blocks.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join(" ")
}
