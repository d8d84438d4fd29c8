//! What the parser read, as HTML.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use pulldown_cmark::{
    Alignment, BlockQuoteKind, CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd,
};

use crate::clean::NOTE;
use crate::code::{self, HighlightRoom};
use crate::formula::{Marked, Piece};
use crate::shape::MAX_DEPTH;
use crate::text::escape;
use crate::{link, mathml};

/// The Markdown that is read. Formulas are found before.
pub(crate) const SYNTAX: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_GFM);
/// Bytes of HTML that a text may become.
const MAX_HTML: usize = 4 * 1024 * 1024;
/// Cells of tables that a text may have: those that a row lacks are made.
const MAX_CELLS: usize = 20_000;

/// The text is nested too deep, or would become far larger than it is.
#[derive(Debug)]
pub(crate) struct TooComplex;

/// A text as it stands.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::from("<pre class=\"plain\">");
    // HTML drops a line break that comes first.
    out.push('\n');
    escape(&mut out, text);
    out.push_str("</pre>");
    out
}

/// Writes a text whose formulas are marked.
pub(crate) fn write(marked: &Marked<'_>, highlight_time: Duration) -> Result<String, TooComplex> {
    let mut writer = Writer::new(marked, HighlightRoom::new(highlight_time));
    for event in Parser::new_ext(&marked.text, SYNTAX) {
        writer.event(event)?;
    }
    writer.finish()
}

/// An image whose description is being read.
struct Image {
    address: String,
    description: String,
    /// Images within it.
    depth: usize,
}

struct Writer<'m> {
    marked: &'m Marked<'m>,
    out: String,
    /// Text that is not written yet: the parser cuts it where it looked for marks, which may
    /// be within an address.
    text: String,
    highlight_room: HighlightRoom,
    depth: usize,
    code: Option<(String, String)>,
    image: Option<Image>,
    /// Whether each link that is open is one; links have no others within them.
    links: Vec<bool>,
    alignments: Vec<Alignment>,
    column: usize,
    is_head: bool,
    has_body: bool,
    cells: usize,
    notes: Notes,
    /// What is written around the notes that are open.
    outer: Vec<(String, String)>,
}

/// Footnotes, numbered as they are named first.
struct Notes {
    /// Makes their ids other ones than those of another text on the same page.
    text_hash: u64,
    numbers: HashMap<String, usize>,
    bodies: Vec<(usize, String)>,
}

impl Notes {
    fn number(&mut self, name: &str) -> usize {
        let next = self.numbers.len() + 1;
        *self.numbers.entry(name.to_lowercase()).or_insert(next)
    }
}

impl<'m> Writer<'m> {
    fn new(marked: &'m Marked<'m>, highlight_room: HighlightRoom) -> Self {
        Self {
            out: String::with_capacity(marked.text.len() * 3 / 2),
            text: String::new(),
            highlight_room,
            depth: 0,
            code: None,
            image: None,
            links: Vec::new(),
            alignments: Vec::new(),
            column: 0,
            is_head: false,
            has_body: false,
            cells: 0,
            notes: Notes { text_hash: hash(&marked.text), numbers: HashMap::new(), bodies: Vec::new() },
            outer: Vec::new(),
            marked,
        }
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), TooComplex> {
        if self.out.len() > MAX_HTML {
            return Err(TooComplex);
        }
        match &event {
            Event::Start(_) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(TooComplex);
                }
            }
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.image.is_some() {
            self.describe(&event);
            return Ok(());
        }
        if let Event::Text(text) = &event {
            match &mut self.code {
                Some((_, code)) => code.push_str(&self.marked.restored(text)),
                None => self.text.push_str(text),
            }
            return Ok(());
        }
        self.flush();
        match event {
            Event::Start(tag) => self.start(tag)?,
            Event::End(tag) => self.end(tag),
            Event::Code(code) => {
                self.out.push_str("<code>");
                escape(&mut self.out, &self.marked.restored(&code));
                self.out.push_str("</code>");
            }
            // The only way to begin a line within a cell.
            Event::InlineHtml(html) if self.column > 0 && is_break(&html) => self.out.push_str("<br>"),
            Event::Html(text) | Event::InlineHtml(text) => {
                escape(&mut self.out, &self.marked.restored(&text));
            }
            Event::FootnoteReference(name) => {
                let number = self.notes.number(&name);
                let id = self.note_id(number);
                let _ = write!(self.out, "<sup class=\"footnote\"><a href=\"#{id}\">{number}</a></sup>");
            }
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br>\n"),
            Event::Rule => self.out.push_str("<hr>\n"),
            Event::TaskListMarker(is_done) => self.task(is_done),
            // Not read, or taken above.
            Event::Text(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<(), TooComplex> {
        match tag {
            Tag::Paragraph => self.out.push_str("<p>"),
            Tag::Heading { level, .. } => {
                let _ = write!(self.out, "<{level}>");
            }
            Tag::BlockQuote(kind) => match kind.map(alert) {
                Some(class) => {
                    let _ = writeln!(self.out, "<blockquote class=\"{class}\">");
                }
                None => self.out.push_str("<blockquote>\n"),
            },
            Tag::CodeBlock(kind) => self.code = Some((language(&kind), String::new())),
            Tag::HtmlBlock => self.out.push_str("<pre class=\"plain\">\n"),
            Tag::List(None) => self.out.push_str("<ul>\n"),
            Tag::List(Some(1)) => self.out.push_str("<ol>\n"),
            Tag::List(Some(start)) => {
                let _ = writeln!(self.out, "<ol start=\"{start}\">");
            }
            Tag::Item => self.out.push_str("<li>"),
            Tag::FootnoteDefinition(name) => {
                self.outer.push((name.into_string(), std::mem::take(&mut self.out)));
            }
            Tag::Table(alignments) => {
                self.alignments = alignments;
                self.has_body = false;
                self.out.push_str("<div class=\"table\"><table>\n");
            }
            Tag::TableHead => {
                self.is_head = true;
                self.column = 0;
                self.out.push_str("<thead><tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.out.push_str(if self.has_body { "<tr>" } else { "<tbody>\n<tr>" });
                self.has_body = true;
            }
            Tag::TableCell => self.start_cell()?,
            Tag::Emphasis => self.out.push_str("<em>"),
            Tag::Strong => self.out.push_str("<strong>"),
            Tag::Strikethrough => self.out.push_str("<del>"),
            Tag::Link { link_type, dest_url, .. } => self.start_link(link_type, &dest_url),
            Tag::Image { dest_url, .. } => {
                let address = self.marked.restored(&dest_url).into_owned();
                self.image = Some(Image { address, description: String::new(), depth: 0 });
            }
            // Not read.
            Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.out.push_str("</p>\n"),
            TagEnd::Heading(level) => {
                let _ = writeln!(self.out, "</{level}>");
            }
            TagEnd::BlockQuote(_) => self.out.push_str("</blockquote>\n"),
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => self.out.push_str("</pre>\n"),
            TagEnd::List(true) => self.out.push_str("</ol>\n"),
            TagEnd::List(false) => self.out.push_str("</ul>\n"),
            TagEnd::Item => self.out.push_str("</li>\n"),
            TagEnd::FootnoteDefinition => {
                if let Some((name, outer)) = self.outer.pop() {
                    let number = self.notes.number(&name);
                    let body = std::mem::replace(&mut self.out, outer);
                    self.notes.bodies.push((number, body));
                }
            }
            TagEnd::Table => {
                self.column = 0;
                self.out.push_str(if self.has_body {
                    "</tbody></table></div>\n"
                } else {
                    "</table></div>\n"
                });
            }
            TagEnd::TableHead => {
                self.is_head = false;
                self.out.push_str("</tr></thead>\n");
            }
            TagEnd::TableRow => self.out.push_str("</tr>\n"),
            TagEnd::TableCell => self.out.push_str(if self.is_head { "</th>" } else { "</td>" }),
            TagEnd::Emphasis => self.out.push_str("</em>"),
            TagEnd::Strong => self.out.push_str("</strong>"),
            TagEnd::Strikethrough => self.out.push_str("</del>"),
            TagEnd::Link => {
                if self.links.pop() == Some(true) {
                    self.out.push_str("</a>");
                }
            }
            // Images end where they are described.
            TagEnd::Image
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    /// Writes the text so far, with the formulas and addresses in it.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        for piece in self.marked.pieces(&text) {
            match piece {
                Piece::Text(text) if self.links.is_empty() => addresses(&mut self.out, text),
                Piece::Text(text) => escape(&mut self.out, text),
                Piece::Formula(formula) => match mathml::convert(formula) {
                    Some(mathml) => self.out.push_str(&mathml),
                    None => {
                        self.out.push_str("<code class=\"math\">");
                        escape(&mut self.out, self.marked.source(formula));
                        self.out.push_str("</code>");
                    }
                },
            }
        }
        // Its room serves the next one.
        self.text = text;
        self.text.clear();
    }

    fn start_cell(&mut self) -> Result<(), TooComplex> {
        self.cells += 1;
        if self.cells > MAX_CELLS {
            return Err(TooComplex);
        }
        let element = if self.is_head { "th" } else { "td" };
        let class = match self.alignments.get(self.column) {
            Some(Alignment::Left) => " class=\"left\"",
            Some(Alignment::Center) => " class=\"center\"",
            Some(Alignment::Right) => " class=\"right\"",
            Some(Alignment::None) | None => "",
        };
        self.column += 1;
        let _ = write!(self.out, "<{element}{class}>");
        Ok(())
    }

    fn start_link(&mut self, link_type: LinkType, address: &str) {
        let address = self.marked.restored(address);
        let foreign = match link_type {
            LinkType::Email => link::foreign(&format!("mailto:{address}")),
            _ => link::foreign(&address),
        };
        self.links.push(foreign.is_some());
        if let Some(foreign) = foreign {
            start_foreign(&mut self.out, "foreign", &foreign);
        }
    }

    fn end_code(&mut self) {
        let Some((language, code)) = self.code.take() else { return };
        self.out.push_str("<pre class=\"code\"");
        if !language.is_empty() {
            let _ = write!(self.out, " data-language=\"{language}\"");
        }
        self.out.push_str("><code>");
        code::write(&mut self.out, &code, &language, &mut self.highlight_room);
        self.out.push_str("</code></pre>\n");
    }

    fn task(&mut self, is_done: bool) {
        for begins in ["<li>", "<li><p>"] {
            if self.out.ends_with(begins) {
                let item = self.out.len() - begins.len() + "<li".len();
                self.out.insert_str(item, " class=\"task\"");
                break;
            }
        }
        let checked = if is_done { " checked" } else { "" };
        let _ = write!(self.out, "<input type=\"checkbox\" disabled{checked}> ");
    }

    /// Takes what stands within an image as the text that describes it.
    fn describe(&mut self, event: &Event<'_>) {
        let Some(image) = &mut self.image else { return };
        match event {
            Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) => {
                image.description.push_str(&self.marked.restored(text));
            }
            Event::SoftBreak | Event::HardBreak => image.description.push(' '),
            Event::Start(Tag::Image { .. }) => image.depth += 1,
            Event::End(TagEnd::Image) if image.depth > 0 => image.depth -= 1,
            Event::End(TagEnd::Image) => self.end_image(),
            _ => {}
        }
    }

    /// Writes a link to the image, which nobody loads unasked.
    fn end_image(&mut self) {
        self.flush();
        let Some(image) = self.image.take() else { return };
        let foreign = if self.links.is_empty() { link::foreign(&image.address) } else { None };
        let description = match image.description.trim() {
            "" => "image",
            description => description,
        };
        match foreign.filter(|foreign| foreign.href.starts_with("http")) {
            Some(foreign) => {
                start_foreign(&mut self.out, "foreign image", &foreign);
                escape(&mut self.out, description);
                self.out.push_str("</a>");
            }
            None => {
                self.out.push_str("<span class=\"image\">");
                escape(&mut self.out, description);
                self.out.push_str("</span>");
            }
        }
    }

    fn note_id(&self, number: usize) -> String {
        format!("{NOTE}{:x}-{number}", self.notes.text_hash)
    }

    fn finish(mut self) -> Result<String, TooComplex> {
        self.flush();
        let mut bodies = std::mem::take(&mut self.notes.bodies);
        bodies.sort_by_key(|(number, _)| *number);
        if !bodies.is_empty() {
            self.out.push_str("<section class=\"footnotes\">\n");
            for (number, body) in bodies {
                let id = self.note_id(number);
                let _ = writeln!(
                    self.out,
                    "<div class=\"footnote\" id=\"{id}\"><sup>{number}</sup> {body}</div>"
                );
            }
            self.out.push_str("</section>\n");
        }
        if self.out.len() > MAX_HTML { Err(TooComplex) } else { Ok(self.out) }
    }
}

fn start_foreign(out: &mut String, class: &str, foreign: &link::Foreign) {
    let _ = write!(out, "<a class=\"{class}\" target=\"_blank\" href=\"");
    escape(out, &foreign.href);
    out.push_str("\" data-host=\"");
    escape(out, &foreign.host);
    out.push_str("\">");
}

/// Writes text with links to the addresses in it.
fn addresses(out: &mut String, text: &str) {
    let mut done = 0;
    while let Some(found) = link::next_address(text, done) {
        let address = text.get(found.clone()).unwrap_or_default();
        escape(out, text.get(done..found.start).unwrap_or_default());
        match link::foreign(&link::whole(address)) {
            Some(foreign) => {
                start_foreign(out, "foreign", &foreign);
                escape(out, address);
                out.push_str("</a>");
            }
            None => escape(out, address),
        }
        done = found.end;
    }
    escape(out, text.get(done..).unwrap_or_default());
}

fn is_break(html: &CowStr<'_>) -> bool {
    matches!(html.to_ascii_lowercase().replace(' ', "").as_str(), "<br>" | "<br/>")
}

fn alert(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "note",
        BlockQuoteKind::Tip => "tip",
        BlockQuoteKind::Important => "important",
        BlockQuoteKind::Warning => "warning",
        BlockQuoteKind::Caution => "caution",
    }
}

/// The language that a block of code names.
fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(info) = kind else { return String::new() };
    let name = info.split([' ', '\t', ',', '{']).next().unwrap_or_default();
    let is_name =
        name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+#._-".contains(&byte));
    if is_name { name.to_owned() } else { String::new() }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
