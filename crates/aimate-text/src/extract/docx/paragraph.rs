//! Paragraphs of Word documents.

use super::super::drawing;
use super::super::equation;
use super::super::error::ExtractError;
use super::super::picture;
use super::super::symbol;
use super::super::xml::{Element, Node, Walker};
use super::numbers::NoteNumbers;

/// Elements whose text is not the document's: what was deleted and what was there
/// before a change, field codes, pictures' names, the copy of a shape for old readers,
/// phonetic guides.
pub(super) const SKIPPED: [&str; 16] = [
    "del",
    "moveFrom",
    "instrText",
    "Fallback",
    "sectPr",
    "rt",
    "docPartObj",
    "graphicFrameLocks",
    "pPrChange",
    "rPrChange",
    "sectPrChange",
    "tblPrChange",
    "trPrChange",
    "tcPrChange",
    "tblGridChange",
    "numberingChange",
];

/// A paragraph under construction.
#[derive(Default)]
pub(super) struct Paragraph {
    pub(super) text: String,
    pub(super) style: Option<String>,
    pub(super) outline: Option<u8>,
    /// The list and level that it names itself.
    pub(super) list: Option<(String, Option<usize>)>,
    /// The paragraphs of its text boxes.
    pub(super) boxed: Vec<Paragraph>,
    /// The ids of its comments.
    pub(super) comments: Vec<String>,
    /// The relations of its charts and diagrams.
    pub(super) drawings: Vec<String>,
    /// The descriptions of its pictures.
    pub(super) described: Vec<String>,
    pub(super) pictures: usize,
    pub(super) objects: usize,
    /// It has the number of a page, which is not read.
    pub(super) has_page: bool,
}

impl Paragraph {
    /// Reads to the end of a paragraph.
    pub(super) fn read(walker: &mut Walker<'_>, numbers: &mut NoteNumbers) -> Result<Self, ExtractError> {
        let inside = walker.depth();
        let mut paragraph = Self::default();
        let mut fields = Fields::default();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "instrText" => {
                    let code = walker.inner_text()?;
                    paragraph.has_page |= fields.code(&code);
                }
                "fldChar" => fields.mark(element.attribute("fldCharType").as_deref()),
                "fldSimple" if is_page(&element.attribute("instr").unwrap_or_default()) => {
                    paragraph.has_page = true;
                    walker.skip()?;
                }
                "t" => {
                    let text = walker.inner_text()?;
                    if !fields.is_hidden() {
                        paragraph.text.push_str(&text);
                    }
                }
                name if SKIPPED.contains(&name) => walker.skip()?,
                _ => paragraph.element(&element, walker, numbers)?,
            }
        }
        Ok(paragraph)
    }

    fn element(
        &mut self,
        element: &Element<'_>,
        walker: &mut Walker<'_>,
        numbers: &mut NoteNumbers,
    ) -> Result<(), ExtractError> {
        let value = || element.attribute("val");
        match element.name() {
            "tab" if self.text.is_empty() => {}
            "tab" | "ptab" => self.text.push('\t'),
            "br" | "cr" => self.text.push('\n'),
            "noBreakHyphen" => self.text.push('-'),
            "sym" => self.text.extend(symbol(element)),
            "footnoteReference" => self.text.push_str(&numbers.mark(element.attribute("id"), false)),
            "endnoteReference" => self.text.push_str(&numbers.mark(element.attribute("id"), true)),
            "commentReference" => self.comments.extend(element.attribute("id")),
            "pStyle" => self.style = value(),
            "outlineLvl" => {
                let level = value().and_then(|level| level.parse::<u8>().ok());
                self.outline = level.filter(|level| *level < 9).map(|level| level + 1);
            }
            "numId" => {
                let number = value().unwrap_or_default();
                let level = self.list.take().and_then(|(_, level)| level);
                self.list = Some((number, level));
            }
            "ilvl" => {
                let level = value().and_then(|level| level.parse().ok());
                let number = self.list.take().map(|(number, _)| number).unwrap_or_default();
                self.list = Some((number, level));
            }
            "oMath" => self.text.push_str(&equation::read(walker)?),
            "docPr" => self.describe(element, "descr"),
            // What Word wrote before 2010.
            "shape" => self.describe(element, "alt"),
            "blip" => self.pictures += 1,
            "OLEObject" => self.objects += 1,
            "p" => {
                let mut boxed = Self::read(walker, numbers)?;
                let inner = std::mem::take(&mut boxed.boxed);
                self.described.append(&mut boxed.described);
                self.comments.append(&mut boxed.comments);
                self.drawings.append(&mut boxed.drawings);
                self.pictures += boxed.pictures;
                self.objects += boxed.objects;
                self.boxed.extend(inner);
                self.boxed.push(boxed);
            }
            _ => self.drawings.extend(drawing::relation_of(element)),
        }
        Ok(())
    }

    fn describe(&mut self, element: &Element<'_>, name: &str) {
        self.described.extend(element.attribute(name).and_then(|text| picture::described(&text)));
    }
}

/// The fields that are open in a paragraph: what a page number shows depends on the
/// printer.
#[derive(Default)]
struct Fields {
    open: Vec<FieldState>,
}

#[derive(Default)]
struct FieldState {
    code: String,
    is_result: bool,
}

impl Fields {
    fn mark(&mut self, kind: Option<&str>) {
        match kind {
            Some("begin") if self.open.len() < 64 => self.open.push(FieldState::default()),
            Some("separate") => {
                if let Some(field) = self.open.last_mut() {
                    field.is_result = true;
                }
            }
            Some("end") => {
                self.open.pop();
            }
            _ => {}
        }
    }

    /// Takes a piece of a field's code; whether it is that of a page number.
    fn code(&mut self, code: &str) -> bool {
        let Some(field) = self.open.last_mut() else { return false };
        if field.code.len() < 200 {
            field.code.push_str(code);
        }
        is_page(&field.code)
    }

    fn is_hidden(&self) -> bool {
        self.open.iter().any(|field| field.is_result && is_page(&field.code))
    }
}

fn is_page(code: &str) -> bool {
    let name = code.split_whitespace().next().unwrap_or_default();
    ["PAGE", "NUMPAGES", "SECTIONPAGES"].iter().any(|page| name.eq_ignore_ascii_case(page))
}

/// A character of a symbol font; private-use ones of others mean nothing without the
/// font.
fn symbol(element: &Element<'_>) -> Option<char> {
    let code = u32::from_str_radix(&element.attribute("char")?, 16).ok()?;
    let shown = element.attribute("font").and_then(|font| symbol::shown(&font, code));
    shown.or_else(|| char::from_u32(code).filter(|_| !(0xe000..0xf900).contains(&code)))
}
