//! How the lists and headings of OpenDocument are numbered.

use std::collections::HashMap;

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::numeral::{Numeral, written};
use super::super::xml::{Element, Node, Walker};

/// Levels of a list, as in the format.
const LEVELS: usize = 10;

/// The styles of lists by their names, and that of headings under an empty one.
#[derive(Default)]
pub(super) struct ListStyles {
    styles: HashMap<String, [ListLevel; LEVELS]>,
    /// How far each list was counted.
    counts: HashMap<String, [Option<u32>; LEVELS]>,
    /// The paragraph styles that are headings without a level of their own.
    pub(super) titles: Vec<String>,
    /// Tables that are not shown.
    pub(super) hidden: Vec<String>,
}

#[derive(Clone, Default)]
struct ListLevel {
    /// `None` is a bullet.
    numeral: Option<Numeral>,
    prefix: String,
    suffix: String,
    start: Option<u32>,
    /// How many levels its number shows.
    shown: usize,
}

impl ListStyles {
    pub(super) fn read(
        &mut self,
        text: &str,
        what: &'static str,
        limits: &Limits,
    ) -> Result<(), ExtractError> {
        if text.is_empty() {
            return Ok(());
        }
        let mut walker = Walker::new(text, what, limits);
        let mut name = None;
        let mut style = String::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "list-style" => name = element.attribute("name"),
                "outline-style" => name = Some(String::new()),
                "style" => {
                    style = element.attribute("name").unwrap_or_default();
                    let parent = element.prefixed("style:parent-style-name").unwrap_or_default();
                    if style == "Title" || parent == "Title" {
                        self.titles.push(style.clone());
                    }
                }
                "table-properties" if element.attribute("display").is_some_and(|shown| shown == "false") => {
                    self.hidden.push(style.clone());
                }
                "list-level-style-number" | "list-level-style-bullet" | "outline-level-style" => {
                    let level = ListLevel::of(&element);
                    let at = element.attribute("level").and_then(|level| level.parse::<usize>().ok());
                    if let (Some(name), Some(at)) = (&name, at.and_then(|at| at.checked_sub(1))) {
                        let levels = self.styles.entry(name.clone()).or_default();
                        if let Some(place) = levels.get_mut(at) {
                            *place = level;
                        }
                    }
                }
                "body" => break,
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins the count of a list anew.
    pub(super) fn restart(&mut self, style: &str) {
        self.counts.remove(style);
    }

    /// The mark of the next item at a level, from 0; empty where there is none.
    pub(super) fn mark(&mut self, style: &str, level: usize, start: Option<u32>) -> String {
        let level = level.min(LEVELS - 1);
        let Some(levels) = self.styles.get(style) else {
            return if style.is_empty() { String::new() } else { "-".to_owned() };
        };
        let counts = self.counts.entry(style.to_owned()).or_default();
        let first = |at: usize| levels.get(at).and_then(|level| level.start).unwrap_or(1);
        for (at, count) in counts.iter_mut().enumerate() {
            if at == level {
                *count = Some(
                    start.unwrap_or_else(|| count.map_or_else(|| first(at), |count| count.saturating_add(1))),
                );
            } else if at > level {
                *count = None;
            }
        }
        let Some(this) = levels.get(level) else { return String::new() };
        match this.numeral {
            None if style.is_empty() => String::new(),
            None => "-".to_owned(),
            Some(Numeral::None) => String::new(),
            Some(_) => {
                let from = (level + 1).saturating_sub(this.shown.max(1));
                let mut numbers = Vec::new();
                for at in from..=level {
                    let numeral = levels.get(at).and_then(|level| level.numeral).unwrap_or_default();
                    let number = counts.get(at).copied().flatten().unwrap_or_else(|| first(at));
                    let number = written(number, numeral);
                    if !number.is_empty() {
                        numbers.push(number);
                    }
                }
                format!("{}{}{}", this.prefix.trim(), numbers.join("."), this.suffix.trim())
            }
        }
    }
}

impl ListLevel {
    fn of(element: &Element<'_>) -> Self {
        let numeral = if element.name() == "list-level-style-bullet" {
            None
        } else {
            Some(match element.attribute("num-format").unwrap_or_default().as_str() {
                "a" => Numeral::LowerLetter,
                "A" => Numeral::UpperLetter,
                "i" => Numeral::LowerRoman,
                "I" => Numeral::UpperRoman,
                "" => Numeral::None,
                _ => Numeral::Decimal,
            })
        };
        Self {
            numeral,
            prefix: element.attribute("num-prefix").unwrap_or_default(),
            suffix: element.attribute("num-suffix").unwrap_or_default(),
            start: element.attribute("start-value").and_then(|start| start.parse().ok()),
            shown: element.attribute("display-levels").and_then(|shown| shown.parse().ok()).unwrap_or(1),
        }
    }
}
