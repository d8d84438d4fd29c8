//! PowerPoint presentations: each slide a page, as Markdown.

use super::archive::Archive;
use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::limits::Limits;
use super::ooxml::{self, Relations};
use super::output::Output;
use super::source::Source;
use super::xml::{Node, Walker};
use super::{markdown, media};

const WHAT: &str = "PowerPoint presentation";

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut archive = Archive::open(source, WHAT, limits)?;
    let part = ooxml::main_part(&mut archive, "ppt/presentation.xml", WHAT, limits)?;
    let relations = Relations::of(&mut archive, &part, WHAT, limits)?;
    let mut output = Output::new(limits);
    if let Some(title) = ooxml::title(&mut archive, WHAT, limits) {
        output.title(&title);
    }
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
        let outcome = write_slide(&mut archive, &name, number, &mut output, limits);
        output.keep(outcome)?;
    }
    output.finish(media::PPTX, TextKind::Markdown)
}

fn write_slide(
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
    if !slide.title.is_empty() {
        output.title(&slide.title);
        output.paragraph(&format!("## {}", slide.title))?;
    }
    for block in &slide.blocks {
        output.paragraph(block)?;
    }
    let relations = Relations::of(archive, name, WHAT, limits)?;
    let notes = match relations.of_type("notesSlide") {
        Some(notes) => archive.text(notes)?,
        None => None,
    };
    if let Some(notes) = notes {
        let notes = Slide::read(&notes, limits)?.blocks.join("\n");
        if !notes.trim().is_empty() {
            output.paragraph(&format!("Notes: {}", notes.trim()))?;
        }
    }
    Ok(())
}

/// The text of a slide.
#[derive(Default)]
struct Slide {
    title: String,
    blocks: Vec<String>,
}

/// Placeholders that are the same on every slide.
const REPEATED_PLACEHOLDERS: [&str; 5] = ["sldNum", "dt", "ftr", "hdr", "sldImg"];

impl Slide {
    fn read(text: &str, limits: &Limits) -> Result<Self, ExtractError> {
        let mut slide = Self::default();
        let mut walker = Walker::new(text, WHAT, limits);
        let mut place = String::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "sp" => place.clear(),
                "ph" => place = element.attribute("type").unwrap_or_else(|| "body".to_owned()),
                "txBody" if REPEATED_PLACEHOLDERS.contains(&place.as_str()) => walker.skip()?,
                "txBody" => {
                    let lines = body(&mut walker)?;
                    slide.add(&place, &lines);
                }
                "tbl" => {
                    let rows = table(&mut walker)?;
                    slide.blocks.push(markdown::table(&rows));
                }
                // The copy of a shape for old readers.
                "Fallback" => walker.skip()?,
                _ => {}
            }
        }
        Ok(slide)
    }

    fn add(&mut self, place: &str, lines: &[(usize, String)]) {
        let plain = || lines.iter().map(|(_, line)| line.as_str());
        if ["title", "ctrTitle"].contains(&place) && self.title.is_empty() {
            self.title = super::line::clean_line(&plain().collect::<Vec<_>>().join(" "));
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
            self.blocks.push(text);
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
            _ => {}
        }
    }
    lines.retain(|(_, line)| !line.trim().is_empty());
    Ok(lines)
}

fn table(walker: &mut Walker<'_>) -> Result<Vec<Vec<String>>, ExtractError> {
    let inside = walker.depth();
    let mut rows: Vec<Vec<String>> = Vec::new();
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        match element.name() {
            "tr" => rows.push(Vec::new()),
            "txBody" => {
                let lines = body(walker)?;
                let cell = lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join(" ");
                if let Some(row) = rows.last_mut() {
                    row.push(cell);
                }
            }
            _ => {}
        }
    }
    Ok(rows)
}
