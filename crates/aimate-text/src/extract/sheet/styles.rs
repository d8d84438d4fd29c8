//! What the cells of a workbook share: texts and looks.

use std::collections::HashMap;

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::number::Format;
use super::super::table::Hint;
use super::super::xml::{Node, Walker};

/// What the sheets of a workbook share.
pub(super) struct Shared {
    pub(super) strings: Vec<String>,
    pub(super) styles: CellStyles,
    pub(super) is_1904: bool,
}

/// The number format of each style and whether it is marked, by the style's number.
#[derive(Default)]
pub(super) struct CellStyles {
    styles: Vec<(u32, Hint)>,
    formats: HashMap<u32, Format>,
    general: Format,
}

impl CellStyles {
    pub(super) fn read(text: &str, what: &'static str, limits: &Limits) -> Result<Self, ExtractError> {
        let mut styles = Self::default();
        let mut walker = Walker::new(text, what, limits);
        let (mut fonts, mut fills): (Vec<bool>, Vec<bool>) = (Vec::new(), Vec::new());
        let mut group = String::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            let number = |name: &str| element.attribute(name).and_then(|number| number.parse::<u32>().ok());
            match element.name() {
                name @ ("numFmts" | "fonts" | "fills" | "cellXfs" | "cellStyleXfs" | "dxfs" | "borders") => {
                    group = name.to_owned();
                }
                "numFmt" if group == "numFmts" => {
                    if let (Some(id), Some(code)) = (number("numFmtId"), element.attribute("formatCode")) {
                        styles.formats.insert(id, Format::new(&code));
                    }
                }
                "font" if group == "fonts" => fonts.push(false),
                "b" if group == "fonts" => {
                    let is_off = element.attribute("val").is_some_and(|on| on == "0" || on == "false");
                    if let Some(is_bold) = fonts.last_mut() {
                        *is_bold = !is_off;
                    }
                }
                "patternFill" if group == "fills" => {
                    let kind = element.attribute("patternType").unwrap_or_default();
                    fills.push(!["", "none", "gray125"].contains(&kind.as_str()));
                }
                "gradientFill" if group == "fills" => fills.push(true),
                "xf" if group == "cellXfs" => {
                    let is = |flags: &[bool], id: Option<u32>| {
                        id.and_then(|id| flags.get(usize::try_from(id).ok()?).copied()).unwrap_or(false)
                    };
                    let is_marked = is(&fonts, number("fontId")) || is(&fills, number("fillId"));
                    let hint = if is_marked { Hint::Marked } else { Hint::None };
                    styles.styles.push((number("numFmtId").unwrap_or(0), hint));
                }
                _ => {}
            }
        }
        Ok(Self::of(styles.styles, styles.formats))
    }

    /// The number of a format and the looks of each style, and the formats that are
    /// not built in.
    pub(super) fn of(styles: Vec<(u32, Hint)>, mut formats: HashMap<u32, Format>) -> Self {
        for (id, _) in &styles {
            formats.entry(*id).or_insert_with(|| Format::built_in(*id));
        }
        Self { styles, formats, general: Format::built_in(0) }
    }

    pub(super) fn format(&self, style: usize) -> &Format {
        let id = self.styles.get(style).map(|(id, _)| id);
        id.and_then(|id| self.formats.get(id)).unwrap_or(&self.general)
    }

    pub(super) fn hint(&self, style: usize) -> Hint {
        self.styles.get(style).map_or(Hint::None, |(_, hint)| *hint)
    }
}
