//! Word documents before 2007: their text, with notes, comments and headers.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use super::document::{Extracted, TextKind};
use super::error::{self, ExtractError};
use super::limits::Limits;
use super::line::clean_line;
use super::media;
use super::ole::{OleFile, size_at, u16_at, u32_at, wide};
use super::output::Output;
use super::source::Source;

const WHAT: &str = "Word document";

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut container = OleFile::open(source, WHAT, limits)?;
    let main = container.need("WordDocument")?;
    let header = FileHeader::read(&main)?;
    let mut output = Output::new(limits);
    let text = if header.is_old {
        header.old_text(&main)?
    } else {
        let table = container.need(if header.uses_table_1 { "1Table" } else { "0Table" })?;
        pieces(&main, &table, limits, &mut output)?
    };
    let outcome = write_stories(&text, &Stories::of(&main, header.is_old), &mut output);
    output.keep(outcome)?;
    output.finish(media::DOC, TextKind::Plain)
}

/// Writes the body, and what stands beside it.
fn write_stories(text: &str, stories: &Stories, output: &mut Output) -> Result<(), ExtractError> {
    let mut units = Units { text, at: 0 };
    write(&units.take(stories.main), "", output)?;
    let footnotes = units.take(stories.footnotes);
    let headers = units.take(stories.headers);
    units.take(stories.macros);
    let comments = units.take(stories.comments);
    let endnotes = units.take(stories.endnotes);
    let boxes = units.take(stories.boxes);
    write(&boxes, "", output)?;
    for (notes, name) in [(footnotes, "Footnote"), (endnotes, "Endnote"), (comments, "Comment")] {
        write(&notes, name, output)?;
    }
    let mut seen: Vec<String> = Vec::new();
    for line in lines(&headers) {
        let line = clean_line(&line);
        let letters = line.chars().filter(|character| character.is_alphanumeric()).count();
        if letters > 8 && !seen.contains(&line) && seen.len() < 200 {
            output.paragraph(&format!("Header or footer: {line}"))?;
            seen.push(line);
        }
    }
    Ok(())
}

/// What the head of the main stream says.
struct FileHeader {
    /// Of Word 6 or 95, whose text is in the encoding of its language.
    is_old: bool,
    is_complex: bool,
    uses_table_1: bool,
    text: (usize, usize),
}

impl FileHeader {
    fn read(main: &[u8]) -> Result<Self, ExtractError> {
        let damaged = || error::damaged(WHAT, "its header is cut off");
        let magic = u16_at(main, 0).ok_or_else(damaged)?;
        if magic != 0xa5ec && magic != 0xa5dc {
            return Err(error::damaged(WHAT, "it has no header of Word"));
        }
        let version = u16_at(main, 2).ok_or_else(damaged)?;
        let flags = u16_at(main, 10).ok_or_else(damaged)?;
        if flags & 0x0100 != 0 {
            return Err(error::encrypted(WHAT));
        }
        let (first, last) = (size_at(main, 0x18), size_at(main, 0x1c));
        Ok(Self {
            is_old: version < 0xc1,
            is_complex: flags & 0x0004 != 0,
            uses_table_1: flags & 0x0200 != 0,
            text: (first.ok_or_else(damaged)?, last.ok_or_else(damaged)?),
        })
    }

    fn old_text(&self, main: &[u8]) -> Result<String, ExtractError> {
        let mut bytes = Vec::new();
        if self.is_complex {
            // The pieces stand in the main stream.
            let (at, length) = (size_at(main, 0x160).unwrap_or(0), size_at(main, 0x164).unwrap_or(0));
            let table = main.get(at..at.saturating_add(length)).unwrap_or_default();
            for piece in piece_table(table) {
                let start = usize::try_from(piece.place & 0x3fff_ffff).unwrap_or(usize::MAX);
                let end = start.saturating_add(piece.characters).min(main.len());
                bytes.extend_from_slice(main.get(start..end).unwrap_or_default());
                if bytes.len() > main.len() {
                    break;
                }
            }
        }
        if bytes.is_empty() {
            let (first, last) = self.text;
            bytes.extend_from_slice(main.get(first..last.min(main.len())).unwrap_or_default());
        }
        // Marks would pass for binary data.
        let marks = |byte: &u8| {
            *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 7 | 0x0b | 0x0c | 0x13..=0x15)
        };
        bytes.retain(|byte| !marks(byte));
        let shown: Vec<u8> =
            bytes.iter().map(|byte| if matches!(byte, 0x13..=0x15 | 7) { b' ' } else { *byte }).collect();
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(&shown, true);
        let encoding = detector.guess(None, Utf8Detection::Deny);
        Ok(encoding.decode_without_bom_handling(&bytes).0.into_owned())
    }
}

/// A stretch of text and where its characters are.
struct TextPiece {
    characters: usize,
    place: u32,
}

fn pieces(main: &[u8], table: &[u8], limits: &Limits, output: &mut Output) -> Result<String, ExtractError> {
    let (at, length) = (size_at(main, 0x1a2).unwrap_or(0), size_at(main, 0x1a6).unwrap_or(0));
    let table = table.get(at..at.saturating_add(length).min(table.len())).unwrap_or_default();
    let pieces = piece_table(table);
    if pieces.is_empty() {
        return Err(error::damaged(WHAT, "it has no table of its text"));
    }
    let mut text = String::new();
    for TextPiece { characters, place } in pieces {
        let is_narrow = place & 0x4000_0000 != 0;
        let place = usize::try_from(place & 0x3fff_ffff).unwrap_or(usize::MAX);
        if is_narrow {
            let start = place / 2;
            let bytes = main.get(start..start.saturating_add(characters).min(main.len())).unwrap_or_default();
            text.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0);
        } else {
            let end = place.saturating_add(characters.saturating_mul(2)).min(main.len());
            text.push_str(&wide(main.get(place..end).unwrap_or_default()));
        }
        // Pieces can show the same bytes again and again.
        if text.len() > limits.output.saturating_mul(2) {
            output.cut_short();
            break;
        }
    }
    Ok(text)
}

fn piece_table(table: &[u8]) -> Vec<TextPiece> {
    let mut at = 0;
    // Properties of text stand before the pieces.
    while table.get(at) == Some(&1) {
        let Some(length) = u16_at(table, at + 1) else { return Vec::new() };
        at += 3 + usize::from(length);
    }
    if table.get(at) != Some(&2) {
        return Vec::new();
    }
    let Some(length) = size_at(table, at + 1) else { return Vec::new() };
    let count = length.saturating_sub(4) / 12;
    let first = at + 5;
    let mut pieces = Vec::new();
    for index in 0..count {
        let (Some(start), Some(end)) =
            (size_at(table, first + index * 4), size_at(table, first + index * 4 + 4))
        else {
            break;
        };
        let Some(place) = u32_at(table, first + (count + 1) * 4 + index * 8 + 2) else { break };
        let Some(characters) = end.checked_sub(start) else { break };
        pieces.push(TextPiece { characters, place });
    }
    pieces
}

/// The lengths of the texts that follow each other, in units of UTF-16.
struct Stories {
    main: usize,
    footnotes: usize,
    headers: usize,
    macros: usize,
    comments: usize,
    endnotes: usize,
    boxes: usize,
}

impl Stories {
    fn of(main: &[u8], is_old: bool) -> Self {
        let first = if is_old { 0x34 } else { 0x4c };
        let length = |index: usize| size_at(main, first + index * 4).unwrap_or(0);
        Self {
            main: length(0),
            footnotes: length(1),
            headers: length(2),
            macros: length(3),
            comments: length(4),
            endnotes: length(5),
            boxes: length(6),
        }
    }
}

struct Units<'a> {
    text: &'a str,
    at: usize,
}

impl Units<'_> {
    /// The next so many units.
    fn take(&mut self, count: usize) -> String {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut left = count;
        let mut end = 0;
        for character in rest.chars() {
            let units = character.len_utf16();
            if units > left {
                break;
            }
            left -= units;
            end += character.len_utf8();
        }
        self.at += end;
        rest.get(..end).unwrap_or_default().to_owned()
    }
}

fn write(text: &str, name: &str, output: &mut Output) -> Result<(), ExtractError> {
    let mut was_row = false;
    for line in lines(text) {
        let line = line.trim_end();
        if line.trim().is_empty() {
            was_row = false;
            continue;
        }
        // The rows of a table stay together.
        let is_row = line.contains('\t') && name.is_empty();
        if is_row && was_row {
            output.end_line();
            output.push(line)?;
            output.end_line();
        } else if name.is_empty() {
            output.paragraph(line)?;
        } else {
            output.paragraph(&format!("{name}: {}", line.trim()))?;
        }
        was_row = is_row;
    }
    Ok(())
}

/// The paragraphs and rows of a text, without the codes of fields.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    // Of each open field, whether its result has begun.
    let mut fields: Vec<bool> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{13}' => fields.push(false),
            '\u{14}' => {
                if let Some(field) = fields.last_mut() {
                    *field = true;
                }
            }
            '\u{15}' => {
                fields.pop();
            }
            // A code that never ends does not swallow the rest.
            '\r' | '\u{c}' => {
                fields.clear();
                lines.push(std::mem::take(&mut line));
            }
            _ if fields.last() == Some(&false) => {}
            // The end of a cell; after the last one comes that of the row.
            '\u{7}' if characters.peek() == Some(&'\u{7}') => {
                while characters.next_if_eq(&'\u{7}').is_some() {
                    if characters.peek() == Some(&'\u{7}') {
                        line.push('\t');
                    }
                }
                lines.push(std::mem::take(&mut line));
            }
            '\u{7}' => line.push('\t'),
            '\u{b}' => line.push('\n'),
            '\u{1e}' => line.push('-'),
            '\u{1f}' | '\0'..='\u{8}' | '\u{e}'..='\u{12}' | '\u{16}'..='\u{1d}' => {}
            other => line.push(other),
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_the_text_are_lines_and_cells() {
        let text = "One\r\u{13} PAGE \u{14}2\u{15} of\u{b}it\rShip\u{7}Tons\u{7}\u{7}Aurora\u{7}\u{7}\u{7}End\u{1}\r";
        assert_eq!(lines(text), ["One", "2 of\nit", "Ship\tTons", "Aurora\t", "End", ""]);
        assert_eq!(lines("\u{13} HYPERLINK\rrest"), ["", "rest"]);
    }

    #[test]
    fn broken_tables_have_no_pieces() {
        for table in [
            &[][..],
            &[1],
            &[1, 255, 255],
            &[2],
            &[2, 255, 255, 255, 255],
            &[2, 16, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0],
        ] {
            assert!(piece_table(table).is_empty());
        }
    }
}
