//! PowerPoint presentations: each slide a page, as Markdown.

use std::collections::HashMap;

use super::archive::Archive;
use super::document::{Extracted, TextKind};
use super::drawing::{self, ChartData};
use super::error::ExtractError;
use super::grid::{self, GridCell};
use super::limits::Limits;
use super::line::clean_line;
use super::ooxml::{self, Relations};
use super::output::Output;
use super::source::Source;
use super::xml::{Node, Walker};
use super::{equation, markdown, media, picture};

const WHAT: &str = "PowerPoint presentation";

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut archive = Archive::open(source, WHAT, limits)?;
    let part = ooxml::main_part(&mut archive, "ppt/presentation.xml", WHAT, limits)?;
    let relations = Relations::of(&mut archive, &part, WHAT, limits)?;
    let mut output = Output::new(limits);
    if let Some(title) = ooxml::title(&mut archive, WHAT, limits) {
        output.title(&title);
    }
    let mut deck = Deck::read(&mut archive, &relations, limits)?;
    let order = archive.need(&part)?;
    let mut walker = Walker::new(&order, WHAT, limits);
    let mut number = 0;
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        if element.name() != "sldId" {
            continue;
        }
        if output.is_cut() {
            break;
        }
        number += 1;
        let id = element.prefixed("r:id").unwrap_or_default();
        let Some(name) = relations.target(&id).map(str::to_owned) else {
            output.warn(format!("slide {number} is missing from the file"));
            continue;
        };
        let outcome = deck.write_slide(&mut archive, &name, number, &mut output, limits);
        let outcome = output.spare(format_args!("slide {number}"), outcome);
        output.keep(outcome)?;
    }
    let warnings = [
        (deck.pictures, "pictures", "were not read; text in them needs OCR (text recognition)"),
        (deck.objects, "embedded objects", "were not read; upload the files that they were made of"),
    ];
    for (count, what, left) in warnings {
        if count > 0 {
            output.warn(format!("{count} {what} {left}"));
        }
    }
    output.finish(media::PPTX, TextKind::Markdown)
}

/// What slides share.
#[derive(Default)]
struct Deck {
    /// The names of those who wrote comments, by their ids.
    authors: HashMap<String, String>,
    /// The footers, headers and dates that were written.
    edges: Vec<String>,
    pictures: usize,
    objects: usize,
}

impl Deck {
    fn read(archive: &mut Archive, relations: &Relations, limits: &Limits) -> Result<Self, ExtractError> {
        let mut deck = Self::default();
        for kind in ["commentAuthors", "authors"] {
            let Some(part) = relations.of_type(kind).map(str::to_owned) else { continue };
            let Some(text) = archive.text(&part)? else { continue };
            let mut walker = Walker::new(&text, WHAT, limits);
            while let Some(node) = walker.next()? {
                let Node::Start(element) = node else { continue };
                if let (Some(id), Some(name)) = (element.attribute("id"), element.attribute("name")) {
                    deck.authors.insert(id, clean_line(&name));
                }
            }
        }
        Ok(deck)
    }

    fn write_slide(
        &mut self,
        archive: &mut Archive,
        name: &str,
        number: u32,
        output: &mut Output,
        limits: &Limits,
    ) -> Result<(), ExtractError> {
        let Some(text) = archive.text(name)? else {
            output.warn(format!("slide {number} is missing from the file"));
            return Ok(());
        };
        let slide = Slide::read(&text, limits)?;
        output.page(number, Some(&slide.title));
        if slide.is_hidden {
            output.warn(format!("slide {number} is hidden in its program; it was read"));
        }
        if !slide.title.is_empty() {
            output.title(&slide.title);
            output.paragraph(&format!("## {}", slide.title))?;
        }
        let relations = Relations::of(archive, name, WHAT, limits)?;
        for block in &slide.blocks {
            match block {
                SlideBlock::Text(text) => output.paragraph(text)?,
                SlideBlock::Drawing(id) => {
                    let ids = std::slice::from_ref(id);
                    for text in drawing::of_part(archive, &relations, ids, ChartData::Read, WHAT, limits)? {
                        output.paragraph(&markdown::escape(&text))?;
                    }
                }
            }
        }
        self.pictures += slide.pictures;
        self.objects += slide.objects;
        for edge in slide.edges {
            if !self.edges.contains(&edge) && self.edges.len() < 200 {
                output.paragraph(&edge)?;
                self.edges.push(edge);
            }
        }
        let notes = match relations.of_type("notesSlide") {
            Some(notes) => archive.text(notes)?,
            None => None,
        };
        if let Some(notes) = notes {
            let notes = Slide::read(&notes, limits)?;
            let texts = notes.blocks.iter().filter_map(|block| match block {
                SlideBlock::Text(text) => Some(text.as_str()),
                SlideBlock::Drawing(_) => None,
            });
            let notes = texts.collect::<Vec<_>>().join("\n");
            if !notes.trim().is_empty() {
                output.paragraph(&format!("Notes: {}", notes.trim()))?;
            }
        }
        for part in relations.all_of_type("comments") {
            if let Some(text) = archive.text(&part)? {
                self.write_comments(&text, output, limits)?;
            }
        }
        Ok(())
    }

    fn write_comments(&self, text: &str, output: &mut Output, limits: &Limits) -> Result<(), ExtractError> {
        let mut walker = Walker::new(text, WHAT, limits);
        let mut author = String::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "cm" | "reply" => {
                    let id = element.attribute("authorId").unwrap_or_default();
                    author = self.authors.get(&id).cloned().unwrap_or_default();
                }
                "text" | "txBody" => {
                    let is_plain = element.name() == "text";
                    let text = if is_plain {
                        walker.inner_text()?
                    } else {
                        drawing::paragraphs(&mut walker)?.join(" ")
                    };
                    let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
                    if !text.trim().is_empty() {
                        output.paragraph(&format!("Comment{by}: {}", text.trim()))?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The text of a slide.
#[derive(Default)]
struct Slide {
    title: String,
    blocks: Vec<SlideBlock>,
    /// Its footer, header and date.
    edges: Vec<String>,
    is_hidden: bool,
    pictures: usize,
    objects: usize,
}

enum SlideBlock {
    Text(String),
    /// The relation of a chart or diagram.
    Drawing(String),
}

/// Placeholders that number the slide or show it.
const SKIPPED_PLACEHOLDERS: [&str; 2] = ["sldNum", "sldImg"];
/// Placeholders at the edges of slides: what they say is written once.
const EDGES: [(&str, &str); 3] = [("ftr", "Footer: "), ("hdr", "Header: "), ("dt", "")];

impl Slide {
    fn read(text: &str, limits: &Limits) -> Result<Self, ExtractError> {
        let mut slide = Self::default();
        let mut walker = Walker::new(text, WHAT, limits);
        let mut place = String::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "sld" => slide.is_hidden = element.attribute("show").is_some_and(|show| show == "0"),
                "sp" => place.clear(),
                "ph" => place = element.attribute("type").unwrap_or_else(|| "body".to_owned()),
                "txBody" if SKIPPED_PLACEHOLDERS.contains(&place.as_str()) => walker.skip()?,
                "txBody" => {
                    let lines = body(&mut walker)?;
                    slide.add(&place, &lines);
                }
                "tbl" => {
                    let rows = table(&mut walker)?;
                    slide.blocks.push(SlideBlock::Text(markdown::table(&rows)));
                }
                "blip" => slide.pictures += 1,
                "cNvPr" => {
                    let described = element.attribute("descr").and_then(|text| picture::described(&text));
                    slide.blocks.extend(described.map(SlideBlock::Text));
                }
                "oleObj" => slide.objects += 1,
                // The copy of a shape for old readers.
                "Fallback" => walker.skip()?,
                _ => slide.blocks.extend(drawing::relation_of(&element).map(SlideBlock::Drawing)),
            }
        }
        Ok(slide)
    }

    fn add(&mut self, place: &str, lines: &[(usize, String)]) {
        let plain = || lines.iter().map(|(_, line)| line.as_str());
        if ["title", "ctrTitle"].contains(&place) && self.title.is_empty() {
            self.title = clean_line(&plain().collect::<Vec<_>>().join(" "));
            return;
        }
        if let Some(name) = EDGES.iter().find(|(kind, _)| *kind == place) {
            let line = clean_line(&plain().collect::<Vec<_>>().join(" "));
            if !line.is_empty() {
                self.edges.push(format!("{}{line}", name.1));
            }
            return;
        }
        let is_list = lines.len() > 1 && ["body", "obj"].contains(&place);
        let text = if is_list {
            let items = lines.iter().map(|(level, line)| format!("{}- {line}", "  ".repeat((*level).min(8))));
            items.collect::<Vec<_>>().join("\n")
        } else {
            markdown::escape(&plain().collect::<Vec<_>>().join("\n"))
        };
        if !text.trim().is_empty() {
            self.blocks.push(SlideBlock::Text(text));
        }
    }
}

/// The paragraphs of a shape with their levels; blank ones are left out.
fn body(walker: &mut Walker<'_>) -> Result<Vec<(usize, String)>, ExtractError> {
    let inside = walker.depth();
    let mut lines: Vec<(usize, String)> = Vec::new();
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        match element.name() {
            "p" => lines.push((0, String::new())),
            "pPr" => {
                if let Some((level, _)) = lines.last_mut() {
                    *level = element.attribute("lvl").and_then(|level| level.parse().ok()).unwrap_or(0);
                }
            }
            "t" => {
                let text = walker.inner_text()?;
                if let Some((_, line)) = lines.last_mut() {
                    line.push_str(&text);
                }
            }
            "br" | "tab" => {
                if let Some((_, line)) = lines.last_mut() {
                    line.push(' ');
                }
            }
            "oMath" => {
                let text = equation::read(walker)?;
                if let Some((_, line)) = lines.last_mut() {
                    line.push_str(&text);
                }
            }
            "Fallback" => walker.skip()?,
            _ => {}
        }
    }
    lines.retain(|(_, line)| !line.trim().is_empty());
    Ok(lines)
}

fn table(walker: &mut Walker<'_>) -> Result<Vec<Vec<String>>, ExtractError> {
    let inside = walker.depth();
    let mut rows: Vec<Vec<GridCell>> = Vec::new();
    let mut is_covered = false;
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        match element.name() {
            "tr" => rows.push(Vec::new()),
            "tc" => {
                let number =
                    |name: &str| element.attribute(name).and_then(|number| number.parse().ok()).unwrap_or(1);
                let is = |name: &str| element.attribute(name).is_some_and(|on| on == "1" || on == "true");
                // A merged cell has cells of its own in the file.
                is_covered = is("hMerge") || is("vMerge");
                if let Some(row) = rows.last_mut().filter(|_| !is_covered) {
                    row.push(GridCell {
                        text: String::new(),
                        columns: number("gridSpan"),
                        rows: number("rowSpan"),
                    });
                }
            }
            "txBody" => {
                let lines = body(walker)?;
                let text = lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join(" ");
                if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()).filter(|_| !is_covered) {
                    cell.text = text;
                }
            }
            _ => {}
        }
    }
    Ok(grid::lay_out(rows))
}
