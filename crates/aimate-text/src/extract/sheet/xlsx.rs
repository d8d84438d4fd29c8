//! Workbooks of Excel since 2007.

use super::super::archive::Archive;
use super::super::drawing::{self, ChartData};
use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::ooxml::{self, Relations};
use super::super::output::Output;
use super::super::table::{Rows, shortest};
use super::super::xml::{Node, Walker};
use super::cells::{self, Notes, Surroundings};
use super::escape::unescaped;
use super::hidden::Met;
use super::styles::{CellStyles, Shared};
use super::{SheetHead, has_usual_name};

const WHAT: &str = "Excel workbook";

/// A sheet as the workbook lists it.
struct Entry {
    name: String,
    part: String,
    kind: String,
    is_hidden: bool,
}

pub(super) fn read(archive: &mut Archive, output: &mut Output, limits: &Limits) -> Result<(), ExtractError> {
    let part = ooxml::main_part(archive, "xl/workbook.xml", WHAT, limits)?;
    let relations = Relations::of(archive, &part, WHAT, limits)?;
    let (entries, is_1904) = entries(archive, &part, &relations, limits)?;
    let linked = |kind: &str, archive: &mut Archive| match relations.of_type(kind) {
        Some(name) => archive.text(name),
        None => Ok(None),
    };
    let strings = match linked("sharedStrings", archive)? {
        Some(text) => strings(&text, limits)?,
        None => Vec::new(),
    };
    let styles = match linked("styles", archive)? {
        Some(text) => CellStyles::read(&text, WHAT, limits)?,
        None => CellStyles::default(),
    };
    let shared = Shared { strings, styles, is_1904 };
    let is_alone = entries.iter().filter(|entry| entry.kind == "worksheet").count() == 1;
    let mut formulas = 0;
    for (number, entry) in (1..).zip(&entries) {
        if output.is_cut() {
            break;
        }
        let head = SheetHead {
            number,
            name: &entry.name,
            is_hidden: entry.is_hidden,
            is_silent: is_alone && has_usual_name(&entry.name),
        };
        let outcome = head.write(output, |output| {
            formulas += write_sheet(archive, entry, &shared, output, limits)?;
            Ok(())
        });
        output.keep(outcome)?;
    }
    super::warn_of_formulas(output, formulas);
    Ok(())
}

fn entries(
    archive: &mut Archive,
    part: &str,
    relations: &Relations,
    limits: &Limits,
) -> Result<(Vec<Entry>, bool), ExtractError> {
    let text = archive.need(part)?;
    let mut walker = Walker::new(&text, WHAT, limits);
    let (mut entries, mut is_1904) = (Vec::new(), false);
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "workbookPr" => {
                is_1904 = element.attribute("date1904").is_some_and(|on| on == "1" || on == "true");
            }
            "sheet" => {
                let id = element.attribute("id").unwrap_or_default();
                let (kind, part) = relations.get(&id).unwrap_or_default();
                entries.push(Entry {
                    name: element.attribute("name").unwrap_or_default(),
                    part: part.to_owned(),
                    kind: kind.to_owned(),
                    is_hidden: element.attribute("state").is_some_and(|state| state != "visible"),
                });
            }
            _ => {}
        }
    }
    Ok((entries, is_1904))
}

/// The texts that cells share, without their looks and their phonetic guides.
fn strings(text: &str, limits: &Limits) -> Result<Vec<String>, ExtractError> {
    let mut walker = Walker::new(text, WHAT, limits);
    let mut strings: Vec<String> = Vec::new();
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "si" => strings.push(String::new()),
            "rPh" => walker.skip()?,
            "t" => {
                let text = unescaped(walker.inner_text()?);
                if let Some(string) = strings.last_mut() {
                    string.push_str(&text);
                }
            }
            _ => {}
        }
    }
    Ok(strings)
}

/// Writes a sheet and returns how many of its formulas have no stored value.
fn write_sheet(
    archive: &mut Archive,
    entry: &Entry,
    shared: &Shared,
    output: &mut Output,
    limits: &Limits,
) -> Result<usize, ExtractError> {
    if !matches!(
        entry.kind.as_str(),
        "worksheet" | "chartsheet" | "dialogsheet" | "xlMacrosheet" | "xlIntlMacrosheet"
    ) {
        output.warn(format!("the sheet \"{}\" is missing from the file", entry.name));
        return Ok(0);
    }
    let Some(text) = archive.text(&entry.part)? else {
        output.warn(format!("the sheet \"{}\" is missing from the file", entry.name));
        return Ok(0);
    };
    let relations = Relations::of(archive, &entry.part, WHAT, limits)?;
    let mut met = Met::default();
    if entry.kind != "chartsheet" {
        let mut surroundings = Surroundings::read(&text, WHAT, limits)?;
        surroundings.notes = Notes::read(archive, &relations, WHAT, limits)?;
        for table in relations.all_of_type("table") {
            if let Some(table) = archive.text(&table)? {
                surroundings.add_table(&table, WHAT, limits)?;
            }
        }
        shortest(output, |output, style| {
            let mut rows = Rows::new(output, style);
            met = cells::write(&text, shared, &surroundings, &mut rows, WHAT, limits)?;
            rows.end()
        })?;
        met.hidden.warn(&entry.name, output);
    }
    for drawing in relations.all_of_type("drawing") {
        write_drawing(archive, &drawing, output, limits)?;
    }
    Ok(met.formulas)
}

/// The text boxes of a sheet and what its charts are called; their figures are in
/// the cells.
fn write_drawing(
    archive: &mut Archive,
    part: &str,
    output: &mut Output,
    limits: &Limits,
) -> Result<(), ExtractError> {
    let Some(text) = archive.text(part)? else { return Ok(()) };
    let mut walker = Walker::new(&text, WHAT, limits);
    let mut ids = Vec::new();
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "txBody" => {
                let box_text = drawing::paragraphs(&mut walker)?.join("\n");
                output.paragraph(&box_text)?;
            }
            "Fallback" => walker.skip()?,
            _ => ids.extend(drawing::relation_of(&element)),
        }
    }
    let relations = Relations::of(archive, part, WHAT, limits)?;
    for text in drawing::of_part(archive, &relations, &ids, ChartData::Named, WHAT, limits)? {
        output.paragraph(&format!("Chart: {text}"))?;
    }
    Ok(())
}
