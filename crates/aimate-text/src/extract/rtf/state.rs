//! Goes through the groups and words of RTF.

use std::collections::HashMap;

use encoding_rs::{Encoding, WINDOWS_1252};

use super::super::error::{self, ExtractError};
use super::super::limits::Limits;
use super::super::output::Output;
use super::WHAT;
use super::charset;
use super::token::{Token, Tokens};
use super::write::RtfWriter;

/// Maximum open groups for each level of nesting that a document may have: a level
/// takes several groups.
const GROUPS: usize = 8;
/// Maximum fonts and styles that are known.
const MAX_TABLE: usize = 10_000;

/// Where the text of a group goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Body,
    Skipped,
    Fonts,
    Styles,
    Title,
    Note,
    Comment,
    Author,
    Header,
    Footer,
}

/// What holds until a group ends.
#[derive(Clone, Copy)]
struct RtfGroup {
    destination: Destination,
    encoding: &'static Encoding,
    /// Characters after a `\u` that old readers show in its place.
    replacements: usize,
    is_hidden: bool,
}

pub(super) struct RtfReader<'a> {
    writer: RtfWriter<'a>,
    limits: &'a Limits,
    groups: Vec<RtfGroup>,
    group: RtfGroup,
    default: &'static Encoding,
    fonts: HashMap<i32, &'static Encoding>,
    /// The font of text that names none.
    default_font: Option<i32>,
    /// The font or style that is being defined.
    defined: i32,
    name: String,
    styles: HashMap<i32, u8>,
    bytes: Vec<u8>,
    /// Units of UTF-16 that wait for their second half.
    high: Option<u16>,
    /// Replacements that are left to skip.
    skipped: usize,
    is_starred: bool,
    /// The group has just begun, where alone an asterisk has a meaning.
    is_first: bool,
    pictures: usize,
    objects: usize,
}

impl<'a> RtfReader<'a> {
    pub(super) fn new(output: &'a mut Output, limits: &'a Limits) -> Self {
        let group = RtfGroup {
            destination: Destination::Body,
            encoding: WINDOWS_1252,
            replacements: 1,
            is_hidden: false,
        };
        Self {
            writer: RtfWriter::new(output),
            limits,
            groups: Vec::new(),
            group,
            default: WINDOWS_1252,
            fonts: HashMap::new(),
            default_font: None,
            defined: 0,
            name: String::new(),
            styles: HashMap::new(),
            bytes: Vec::new(),
            high: None,
            skipped: 0,
            is_starred: false,
            is_first: false,
            pictures: 0,
            objects: 0,
        }
    }

    pub(super) fn read(mut self, bytes: &[u8]) -> Result<(), ExtractError> {
        let mut tokens = Tokens::new(bytes);
        while let Some(token) = tokens.next() {
            if !matches!(token, Token::Byte(_)) {
                self.flush_bytes();
            }
            let is_open = token == Token::Open;
            match token {
                Token::Open => self.open()?,
                Token::Close => {
                    self.close()?;
                    if self.groups.is_empty() {
                        break;
                    }
                }
                Token::Word("bin", count) => {
                    tokens.skip_bytes(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0));
                }
                Token::Word(word, number) => self.word(word, number)?,
                Token::Sign(sign) => self.sign(sign)?,
                Token::Byte(byte) => self.byte(byte),
            }
            self.is_first = is_open;
        }
        self.flush_bytes();
        let was_whole = self.groups.is_empty();
        self.writer.finish()?;
        if !was_whole {
            self.writer.warn("the document ends in the middle; what is there was read");
        }
        for (count, what, left) in [
            (self.pictures, "pictures", "were not read; text in them needs OCR (text recognition)"),
            (self.objects, "embedded objects", "were not read; upload the files that they were made of"),
        ] {
            if count > 0 {
                self.writer.warn(&format!("{count} {what} {left}"));
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), ExtractError> {
        let max = self.limits.depth.saturating_mul(GROUPS);
        if self.groups.len() >= max {
            return Err(error::too_deep(WHAT, max));
        }
        self.groups.push(self.group);
        self.skipped = 0;
        self.is_starred = false;
        Ok(())
    }

    fn close(&mut self) -> Result<(), ExtractError> {
        self.skipped = 0;
        let ended = self.group.destination;
        if let Some(group) = self.groups.pop() {
            self.group = group;
        }
        if ended == self.group.destination {
            if ended == Destination::Styles || ended == Destination::Fonts {
                self.define(ended);
            }
            return Ok(());
        }
        match ended {
            Destination::Fonts | Destination::Styles => self.define(ended),
            Destination::Title => {
                let title = std::mem::take(&mut self.name);
                self.writer.title(&title);
            }
            Destination::Author => {
                let author = std::mem::take(&mut self.name);
                self.writer.author(&author);
            }
            Destination::Note => self.writer.end_note()?,
            Destination::Comment => self.writer.end_comment()?,
            Destination::Header => self.writer.end_edge("Header"),
            Destination::Footer => self.writer.end_edge("Footer"),
            Destination::Body | Destination::Skipped => {}
        }
        Ok(())
    }

    /// Ends the definition of a style, whose name tells of a heading.
    fn define(&mut self, kind: Destination) {
        let name = std::mem::take(&mut self.name);
        if kind != Destination::Styles || self.styles.len() >= MAX_TABLE {
            return;
        }
        let name = name.trim().trim_end_matches(';').to_lowercase();
        let level = match name.as_str() {
            "title" => Some(1),
            _ => name.strip_prefix("heading ").and_then(|level| level.trim().parse::<u8>().ok()),
        };
        if let Some(level) = level.filter(|level| (1..=9).contains(level)) {
            self.styles.insert(self.defined, level);
        }
    }

    fn go(&mut self, destination: Destination) {
        if self.group.destination == Destination::Skipped {
            return;
        }
        self.group.destination = destination;
        match destination {
            Destination::Title | Destination::Author | Destination::Fonts | Destination::Styles => {
                self.name.clear();
            }
            Destination::Note | Destination::Comment | Destination::Header | Destination::Footer => {
                self.writer.begin_aside();
            }
            Destination::Body | Destination::Skipped => {}
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>) -> Result<(), ExtractError> {
        if self.skipped > 0 && word != "u" {
            self.skipped -= 1;
            return Ok(());
        }
        let was_starred = std::mem::take(&mut self.is_starred);
        match word {
            "u" => {
                self.unicode(number.unwrap_or(0));
                return Ok(());
            }
            "uc" => {
                self.group.replacements =
                    number.and_then(|count| usize::try_from(count).ok()).unwrap_or(1).min(16);
            }
            "ansicpg" => self.set_default(charset::of_code_page(number.unwrap_or(1_252))),
            "mac" => self.set_default(charset::of_code_page(10_000)),
            "deff" => self.default_font = number,
            "v" => self.group.is_hidden = number != Some(0),
            "deleted" => self.group.is_hidden = number != Some(0),
            "plain" => {
                self.group.is_hidden = false;
                self.use_font(self.default_font);
            }
            "f" if self.group.destination == Destination::Fonts => self.defined = number.unwrap_or(0),
            "f" => self.use_font(number),
            "fcharset" => {
                let page = charset::of_font(number.unwrap_or(0));
                self.add_font(page.map_or(self.default, charset::of_code_page));
            }
            "cpg" => self.add_font(charset::of_code_page(number.unwrap_or(1_252))),
            "s" if self.group.destination == Destination::Styles => self.defined = number.unwrap_or(0),
            "s" => self.writer.heading(number.and_then(|style| self.styles.get(&style).copied())),
            "outlinelevel" if self.group.destination != Destination::Styles => {
                let level = number.and_then(|level| u8::try_from(level).ok()).filter(|level| *level < 9);
                if let Some(level) = level {
                    self.writer.heading(Some(level + 1));
                }
            }
            _ if self.is_text() => return self.body_word(word, was_starred),
            _ => self.destination(word, was_starred),
        }
        Ok(())
    }

    fn is_text(&self) -> bool {
        matches!(
            self.group.destination,
            Destination::Body
                | Destination::Note
                | Destination::Comment
                | Destination::Header
                | Destination::Footer
        )
    }

    fn body_word(&mut self, word: &str, was_starred: bool) -> Result<(), ExtractError> {
        match word {
            "par" | "sect" | "page" | "column" => self.writer.end_paragraph()?,
            "line" | "softline" => self.writer.push("\n"),
            "tab" => self.writer.push("\t"),
            "cell" => self.writer.end_cell(),
            "row" => self.writer.end_row()?,
            "nestcell" | "nestrow" => self.writer.push(" "),
            "trowd" => self.writer.begin_row(),
            "cellx" => self.writer.define_cell(),
            "clmrg" => self.writer.merge(true),
            "clvmrg" => self.writer.merge(false),
            "intbl" => self.writer.in_table(true),
            "pard" => self.writer.begin_paragraph(),
            "emdash" => self.writer.push("—"),
            "endash" => self.writer.push("–"),
            "lquote" => self.writer.push("‘"),
            "rquote" => self.writer.push("’"),
            "ldblquote" => self.writer.push("“"),
            "rdblquote" => self.writer.push("”"),
            "bullet" => self.writer.push("•"),
            "emspace" | "enspace" | "qmspace" => self.writer.push(" "),
            "chftn" => self.writer.note_mark(),
            _ => self.destination(word, was_starred),
        }
        Ok(())
    }

    fn destination(&mut self, word: &str, was_starred: bool) {
        match word {
            "fonttbl" => self.go(Destination::Fonts),
            "stylesheet" => self.go(Destination::Styles),
            "title" if self.group.destination == Destination::Skipped => {
                // The properties are skipped but for their title.
                self.group.destination = Destination::Body;
                self.go(Destination::Title);
            }
            "footnote" => self.go(Destination::Note),
            "annotation" => self.go(Destination::Comment),
            "atnauthor" => self.go(Destination::Author),
            "header" | "headerl" | "headerr" | "headerf" => self.go(Destination::Header),
            "footer" | "footerl" | "footerr" | "footerf" => self.go(Destination::Footer),
            "pict" => {
                self.pictures += usize::from(self.is_text());
                self.go(Destination::Skipped);
            }
            "objdata" => {
                self.objects += 1;
                self.go(Destination::Skipped);
            }
            "info" | "colortbl" | "fldinst" | "xe" | "tc" | "rxe" | "nonshppict" | "nonesttables"
            | "filetbl" | "listtable" | "listoverridetable" | "revtbl" | "bkmkstart" | "bkmkend" | "pn"
            | "atnid" | "atndate" | "atnref" | "atnparent" | "atrfstart" | "atrfend" | "template"
            | "author" | "operator" | "comment" | "doccomm" | "keywords" | "subject" | "company"
            | "category" | "manager" | "private" | "txe" | "sp" | "objclass" | "objname" | "falt"
            | "panose" => self.go(Destination::Skipped),
            // A group that begins with an asterisk is one that not all readers know; these
            // hold text.
            "shpinst" | "moMath" | "moMathPara" | "moMathParaPr" | "shptxt" | "shppict" if was_starred => {}
            _ if was_starred => self.go(Destination::Skipped),
            _ => {}
        }
    }

    fn set_default(&mut self, encoding: &'static Encoding) {
        self.default = encoding;
        self.group.encoding = encoding;
    }

    fn add_font(&mut self, encoding: &'static Encoding) {
        if self.group.destination == Destination::Fonts && self.fonts.len() < MAX_TABLE {
            self.fonts.insert(self.defined, encoding);
        }
    }

    fn use_font(&mut self, font: Option<i32>) {
        let encoding = font.and_then(|font| self.fonts.get(&font).copied());
        self.group.encoding = encoding.unwrap_or(self.default);
    }

    fn sign(&mut self, sign: u8) -> Result<(), ExtractError> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        match sign {
            b'*' => self.is_starred = self.is_first,
            b'~' => self.text("\u{a0}"),
            b'_' => self.text("-"),
            b'\\' => self.text("\\"),
            b'{' => self.text("{"),
            b'}' => self.text("}"),
            b'\n' | b'\r' if self.is_text() => self.writer.end_paragraph()?,
            _ => {}
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        if self.group.destination != Destination::Skipped {
            self.bytes.push(byte);
        }
    }

    fn flush_bytes(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let (text, _) = self.group.encoding.decode_without_bom_handling(&bytes);
        self.text(&text);
        self.bytes = bytes;
        self.bytes.clear();
    }

    fn unicode(&mut self, number: i32) {
        self.skipped = self.group.replacements;
        // Numbers above 32,767 are written as negative ones.
        let unit = (number & 0xffff) as u16;
        let pair = [self.high.take().unwrap_or(unit), unit];
        let units = if pair.first() == pair.last() { pair.get(1..).unwrap_or_default() } else { &pair };
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        for character in char::decode_utf16(units.iter().copied()).flatten() {
            // Signs of symbol fonts mean nothing without them.
            if ('\u{f000}'..='\u{f0ff}').contains(&character) {
                let sign = char::from_u32(u32::from(character) - 0xf000).filter(|sign| *sign == '\u{b7}');
                self.text(sign.map_or("", |_| "•"));
            } else {
                self.text(character.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.group.is_hidden {
            return;
        }
        match self.group.destination {
            Destination::Skipped => {}
            Destination::Fonts | Destination::Styles | Destination::Title | Destination::Author => {
                if self.name.len() < 500 {
                    self.name.push_str(text);
                }
            }
            _ => self.writer.push(text),
        }
    }
}
