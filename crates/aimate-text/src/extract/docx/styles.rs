//! What the styles of a Word document mean.

use std::collections::HashMap;

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::media;
use super::super::xml::{Node, Walker};

/// The styles that make headings and list items.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Default)]
pub(super) struct Style {
    name: String,
    base: Option<String>,
    outline: Option<u8>,
    list: Option<(String, usize)>,
}

impl Styles {
    pub(super) fn read(text: Option<&str>, limits: &Limits) -> Result<Self, ExtractError> {
        let mut styles = Self::default();
        let Some(text) = text else {
            return Ok(styles);
        };
        let mut walker = Walker::new(text, media::noun(media::DOCX), limits);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            if element.name() == "style" {
                let id = element.attribute("styleId").unwrap_or_default();
                let style = Style::read(&mut walker)?;
                styles.0.insert(id, style);
            }
        }
        Ok(styles)
    }

    /// The level of the heading that a style makes.
    pub(super) fn heading(&self, id: Option<&str>) -> Option<u8> {
        self.up(id?, |id, style| {
            let name = style.map_or(id, |style| style.name.as_str()).to_ascii_lowercase();
            match name.as_str() {
                "title" => Some(1),
                "subtitle" => None,
                _ => {
                    let level =
                        name.strip_prefix("heading").map(str::trim).and_then(|level| level.parse().ok());
                    level.filter(|level| (1..=9).contains(level)).or(style.and_then(|style| style.outline))
                }
            }
        })
    }

    pub(super) fn is_title(&self, id: Option<&str>) -> bool {
        self.name(id).is_some_and(|name| name.eq_ignore_ascii_case("title"))
    }

    /// Whether a style is that of a table of contents, which repeats the headings.
    pub(super) fn is_contents(&self, id: Option<&str>) -> bool {
        let digit =
            self.name(id).and_then(|name| name.to_ascii_lowercase().strip_prefix("toc ").map(str::to_owned));
        digit.is_some_and(|digit| digit.parse::<u8>().is_ok())
    }

    fn name<'a>(&'a self, id: Option<&'a str>) -> Option<&'a str> {
        id.map(|id| self.0.get(id).map_or(id, |style| style.name.as_str()))
    }

    /// The list and level that a style puts its paragraphs into.
    pub(super) fn list(&self, id: Option<&str>) -> Option<(String, usize)> {
        self.up(id?, |_, style| style.and_then(|style| style.list.clone()))
    }

    /// The first answer from a style or those it is based on.
    pub(super) fn up<T>(&self, id: &str, answer: impl Fn(&str, Option<&Style>) -> Option<T>) -> Option<T> {
        let mut id = id;
        // Styles can be based on each other in a ring.
        for _ in 0..16 {
            let style = self.0.get(id);
            if let Some(found) = answer(id, style) {
                return Some(found);
            }
            id = style?.base.as_deref()?;
        }
        None
    }
}

impl Style {
    fn read(walker: &mut Walker<'_>) -> Result<Self, ExtractError> {
        let inside = walker.depth();
        let mut style = Self::default();
        let mut level = 0;
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            let value = element.attribute("val");
            match element.name() {
                "name" => style.name = value.unwrap_or_default(),
                "basedOn" => style.base = value,
                "outlineLvl" => {
                    let level = value.and_then(|level| level.parse::<u8>().ok()).filter(|level| *level < 9);
                    style.outline = level.map(|level| level + 1);
                }
                "ilvl" => level = value.and_then(|level| level.parse().ok()).unwrap_or(0),
                "numId" => style.list = value.map(|number| (number, 0)),
                _ => {}
            }
        }
        if let Some((_, of_list)) = &mut style.list {
            *of_list = level;
        }
        Ok(style)
    }
}
