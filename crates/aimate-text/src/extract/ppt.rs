//! PowerPoint presentations before 2007: the texts of their slides, as Markdown.

use std::collections::HashMap;

use super::document::{Extracted, TextKind};
use super::error::{self, ExtractError};
use super::limits::Limits;
use super::line::clean_line;
use super::ole::{OleFile, size_at, u16_at, u32_at, wide};
use super::output::Output;
use super::source::Source;
use super::{markdown, media};

const WHAT: &str = "PowerPoint presentation";

/// Types of records.
const SLIDE_ATOM_LIST: u16 = 0x0ff0;
const SLIDE_PLACE: u16 = 0x03f3;
const NOTES_ATOM: u16 = 0x03f1;
const TEXT_HEADER: u16 = 0x0f9f;
const TEXT_WIDE: u16 = 0x0fa0;
const TEXT_NARROW: u16 = 0x0fa8;
const OUTLINE_TEXT: u16 = 0x0f9e;
const TEXT_BOX: u16 = 0xf00d;
const USER_EDIT: u16 = 0x0ff5;
const PLACES: u16 = 0x1772;

/// Maximum edits and slides that are followed.
const MAX_EDITS: usize = 10_000;
/// What stands in an encrypted file instead of the usual sign.
const ENCRYPTED: u32 = 0xf3d1_c4df;

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut container = OleFile::open(source, WHAT, limits)?;
    let user = container.stream("Current User")?.unwrap_or_default();
    if u32_at(&user, 12) == Some(ENCRYPTED) || container.stream("EncryptedSummary")?.is_some() {
        return Err(error::encrypted(WHAT));
    }
    let bytes = container.need("PowerPoint Document")?;
    let mut output = Output::new(limits);
    let deck = OldDeck { bytes: &bytes, places: places(&bytes, &user), max_depth: limits.depth };
    let slides = deck.slides(&user)?;
    if slides.is_empty() {
        // Its directory is damaged: all texts in their order.
        let texts = deck.texts(&bytes)?;
        if !texts.is_empty() {
            output.warn("the order of the slides is damaged; their texts may be in another order, or of older versions");
        }
        texts.iter().try_for_each(|text| output.paragraph(&markdown::escape(&text.text)))?;
    }
    for (number, slide) in (1..).zip(&slides) {
        let outcome = slide.write(number, &mut output);
        output.keep(outcome)?;
    }
    output.finish(media::PPT, TextKind::Markdown)
}

/// A record: its type, its instance, and its content.
struct Record<'a> {
    kind: u16,
    instance: u16,
    is_container: bool,
    content: &'a [u8],
}

/// The records in a stretch of bytes.
struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let head = u16_at(self.bytes, self.at)?;
        let kind = u16_at(self.bytes, self.at + 2)?;
        let length = size_at(self.bytes, self.at + 4)?;
        let start = self.at + 8;
        let end = start.saturating_add(length).min(self.bytes.len());
        self.at = end;
        Some(Record {
            kind,
            instance: head >> 4,
            is_container: head & 0xf == 0xf,
            content: self.bytes.get(start..end).unwrap_or_default(),
        })
    }
}

fn records(bytes: &[u8]) -> Records<'_> {
    Records { bytes, at: 0 }
}

/// Where the objects of the newest version are, by their ids.
fn places(bytes: &[u8], user: &[u8]) -> HashMap<u32, usize> {
    let mut places = HashMap::new();
    let mut edit = size_at(user, 16);
    for _ in 0..MAX_EDITS {
        let Some(at) = edit.filter(|at| *at > 0) else { break };
        let Some(record) =
            bytes.get(at..).and_then(|rest| records(rest).next()).filter(|record| record.kind == USER_EDIT)
        else {
            break;
        };
        let directory = size_at(record.content, 12).and_then(|at| records(bytes.get(at..)?).next());
        if let Some(directory) = directory.filter(|directory| directory.kind == PLACES) {
            let mut at = 0;
            while let Some(head) = u32_at(directory.content, at) {
                let (first, count) = (head & 0xf_ffff, head >> 20);
                for index in 0..count {
                    at += 4;
                    if let Some(place) = size_at(directory.content, at) {
                        // Newer versions come first.
                        places.entry(first + index).or_insert(place);
                    }
                }
                at += 4;
            }
        }
        // The version before this one is before it in the file too, or the chain is a ring.
        edit = size_at(record.content, 8).filter(|before| *before < at);
    }
    places
}

#[derive(Clone, Default)]
struct SlideText {
    is_title: bool,
    text: String,
}

#[derive(Default)]
struct OldSlide {
    texts: Vec<SlideText>,
    notes: Vec<String>,
}

struct OldDeck<'a> {
    bytes: &'a [u8],
    places: HashMap<u32, usize>,
    max_depth: usize,
}

impl OldDeck<'_> {
    fn object(&self, id: u32) -> Option<Record<'_>> {
        records(self.bytes.get(*self.places.get(&id)?..)?).next()
    }

    fn slides(&self, user: &[u8]) -> Result<Vec<OldSlide>, ExtractError> {
        let edit = size_at(user, 16).and_then(|at| records(self.bytes.get(at..)?).next());
        let document = edit.and_then(|edit| self.object(u32_at(edit.content, 16)?));
        let Some(document) = document else { return Ok(Vec::new()) };
        let mut notes: HashMap<u32, Vec<String>> = HashMap::new();
        let mut slides = Vec::new();
        for list in records(document.content).filter(|record| record.kind == SLIDE_ATOM_LIST) {
            for (place, outline) in outlines(list.content) {
                if slides.len() >= MAX_EDITS {
                    break;
                }
                let object = u32_at(place, 0).and_then(|id| self.object(id));
                match list.instance {
                    0 => {
                        let texts = self.slide_texts(object.as_ref(), outline)?;
                        slides.push((u32_at(place, 12).unwrap_or(0), texts));
                    }
                    2 => {
                        let Some(object) = object else { continue };
                        let of = records(object.content).find(|record| record.kind == NOTES_ATOM);
                        let slide = of.and_then(|atom| u32_at(atom.content, 0)).unwrap_or(0);
                        let texts = self.slide_texts(Some(&object), outline)?;
                        notes.entry(slide).or_default().extend(texts.into_iter().map(|text| text.text));
                    }
                    _ => {}
                }
            }
        }
        let with_notes = |(id, texts)| OldSlide { texts, notes: notes.remove(&id).unwrap_or_default() };
        Ok(slides.into_iter().map(with_notes).collect())
    }

    /// The texts of a slide in the order of its shapes; those of its outline stand
    /// apart from it.
    fn slide_texts(
        &self,
        object: Option<&Record<'_>>,
        mut outline: Vec<Option<SlideText>>,
    ) -> Result<Vec<SlideText>, ExtractError> {
        let mut texts = Vec::new();
        if let Some(object) = object {
            self.walk(object.content, 0, &mut |record| {
                if record.kind != TEXT_BOX {
                    return Ok(true);
                }
                let refers = records(record.content).find(|inner| inner.kind == OUTLINE_TEXT);
                let index = refers.and_then(|atom| size_at(atom.content, 0));
                match index.and_then(|index| outline.get_mut(index)).and_then(Option::take) {
                    Some(text) => texts.push(text),
                    None => texts.extend(text_of(record.content)),
                }
                Ok(false)
            })?;
        }
        texts.extend(outline.into_iter().flatten());
        Ok(texts)
    }

    /// All texts in a stretch of records.
    fn texts(&self, bytes: &[u8]) -> Result<Vec<SlideText>, ExtractError> {
        let mut texts = Vec::new();
        self.walk(bytes, 0, &mut |record| {
            texts.extend(text_of_atom(record));
            Ok(true)
        })?;
        Ok(texts)
    }

    /// Shows each record, and those in it where `take` wants them.
    fn walk<'b>(
        &self,
        bytes: &'b [u8],
        depth: usize,
        take: &mut dyn FnMut(&Record<'b>) -> Result<bool, ExtractError>,
    ) -> Result<(), ExtractError> {
        if depth > self.max_depth {
            return Err(error::too_deep(WHAT, self.max_depth));
        }
        for record in records(bytes) {
            if take(&record)? && record.is_container {
                self.walk(record.content, depth + 1, take)?;
            }
        }
        Ok(())
    }
}

/// The slides of a list, each with its texts: titles and bodies stand here.
fn outlines(list: &[u8]) -> Vec<(&[u8], Vec<Option<SlideText>>)> {
    let mut outlines: Vec<(&[u8], Vec<Option<SlideText>>)> = Vec::new();
    let mut is_title = false;
    for record in records(list) {
        match record.kind {
            SLIDE_PLACE => outlines.push((record.content, Vec::new())),
            TEXT_HEADER => {
                is_title = is_title_kind(record.content);
                if let Some((_, texts)) = outlines.last_mut() {
                    texts.push(None);
                }
            }
            _ => {
                let text = text_of_atom(&record);
                if let Some((text, place)) =
                    text.zip(outlines.last_mut().and_then(|(_, texts)| texts.last_mut()))
                {
                    *place = Some(SlideText { is_title, ..text });
                }
            }
        }
    }
    outlines
}

fn is_title_kind(content: &[u8]) -> bool {
    matches!(u32_at(content, 0), Some(0 | 6))
}

/// The text of a box.
fn text_of(content: &[u8]) -> Option<SlideText> {
    let mut is_title = false;
    let mut found = None;
    for record in records(content) {
        if record.kind == TEXT_HEADER {
            is_title = is_title_kind(record.content);
        }
        if let Some(text) = text_of_atom(&record) {
            found = Some(SlideText { is_title, ..text });
        }
    }
    found
}

fn text_of_atom(record: &Record<'_>) -> Option<SlideText> {
    let text = match record.kind {
        TEXT_WIDE => wide(record.content),
        // The low halves of UTF-16.
        TEXT_NARROW => record.content.iter().map(|byte| char::from(*byte)).collect(),
        _ => return None,
    };
    let text = text.replace(['\r', '\u{b}'], "\n");
    let text = text.trim();
    (!text.is_empty()).then(|| SlideText { is_title: false, text: text.to_owned() })
}

impl OldSlide {
    fn write(&self, number: u32, output: &mut Output) -> Result<(), ExtractError> {
        let title = self.texts.iter().find(|text| text.is_title);
        let title = title.map(|title| clean_line(&title.text)).unwrap_or_default();
        output.page(number, Some(&title));
        if !title.is_empty() {
            output.title(&title);
            output.paragraph(&format!("## {title}"))?;
        }
        let mut is_written = false;
        for text in &self.texts {
            if text.is_title && !std::mem::replace(&mut is_written, true) {
                continue;
            }
            // A lone asterisk stands for the number of the slide.
            if text.text != "*" {
                output.paragraph(&markdown::escape(&text.text))?;
            }
        }
        let notes: Vec<&str> = self.notes.iter().map(String::as_str).filter(|note| *note != "*").collect();
        if notes.is_empty() { Ok(()) } else { output.paragraph(&format!("Notes: {}", notes.join("\n"))) }
    }
}
