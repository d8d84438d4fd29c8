//! The numbers of list items and headings in a Word document.

use std::collections::{HashMap, HashSet};

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::media;
use super::super::numeral::{Numeral, written};
use super::super::xml::{Node, Walker};

/// Levels of a list, as in Word.
const LEVELS: usize = 9;

/// How lists are numbered, and how far each was counted.
#[derive(Default)]
pub(super) struct Lists {
    definitions: HashMap<String, Definition>,
    lists: HashMap<String, WordList>,
    /// By definition: lists of the same definition go on counting.
    counts: HashMap<String, [Option<u32>; LEVELS]>,
    /// The lists and levels whose own start has been used.
    started: HashSet<(String, usize)>,
}

#[derive(Clone, Default)]
struct Definition {
    levels: [Level; LEVELS],
    /// The style of lists that has the levels instead.
    link: Option<String>,
    /// The style of lists that this one is of.
    style: Option<String>,
}

#[derive(Clone, Default)]
struct Level {
    numeral: Option<Numeral>,
    /// Such as `%1.%2`.
    text: String,
    start: Option<u32>,
    /// The level whose items begin the count anew; 0 is none.
    restart: Option<usize>,
    /// All numbers in its text are decimal.
    is_legal: bool,
    /// The paragraph style of its items.
    style: Option<String>,
}

#[derive(Default)]
struct WordList {
    definition: String,
    starts: HashMap<usize, u32>,
    levels: HashMap<usize, Level>,
}

impl Lists {
    pub(super) fn read(text: Option<&str>, limits: &Limits) -> Result<Self, ExtractError> {
        let mut lists = Self::default();
        let Some(text) = text else {
            return Ok(lists);
        };
        let mut walker = Walker::new(text, media::noun(media::DOCX), limits);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "abstractNum" => {
                    let id = element.attribute("abstractNumId").unwrap_or_default();
                    let definition = Definition::read(&mut walker)?;
                    lists.definitions.insert(id, definition);
                }
                "num" => {
                    let id = element.attribute("numId").unwrap_or_default();
                    let list = WordList::read(&mut walker)?;
                    lists.lists.insert(id, list);
                }
                _ => {}
            }
        }
        lists.resolve_links();
        Ok(lists)
    }

    /// A definition can have its levels in the definition of a list style.
    fn resolve_links(&mut self) {
        let of_style: HashMap<String, [Level; LEVELS]> = self
            .definitions
            .values()
            .filter_map(|definition| Some((definition.style.clone()?, definition.levels.clone())))
            .collect();
        for definition in self.definitions.values_mut() {
            if let Some(levels) = definition.link.as_ref().and_then(|link| of_style.get(link)) {
                definition.levels.clone_from(levels);
            }
        }
    }

    /// The level of a list whose items have a paragraph style.
    pub(super) fn level_of_style(&self, list: &str, style: &str) -> Option<usize> {
        let list = self.lists.get(list)?;
        let definition = self.definitions.get(&list.definition)?;
        definition.levels.iter().position(|level| level.style.as_deref() == Some(style))
    }

    /// The mark of the next item of a list: its number, `-`, or nothing.
    pub(super) fn mark(&mut self, id: &str, level: usize) -> String {
        let level = level.min(LEVELS - 1);
        let Some(list) = self.lists.get(id) else { return "-".to_owned() };
        let empty = Definition::default();
        let definition = self.definitions.get(&list.definition).unwrap_or(&empty);
        let levels: Vec<&Level> =
            (0..).zip(&definition.levels).map(|(at, level)| list.levels.get(&at).unwrap_or(level)).collect();
        let counts = self.counts.entry(list.definition.clone()).or_default();
        let start = |at: usize| levels.get(at).and_then(|level| level.start).unwrap_or(0);
        let own_start = list.starts.get(&level).filter(|_| self.started.insert((id.to_owned(), level)));
        for (at, count) in counts.iter_mut().enumerate() {
            if at == level {
                *count = Some(match (own_start, *count) {
                    (Some(own), _) => *own,
                    (None, Some(count)) => count.saturating_add(1),
                    (None, None) => start(at),
                });
            } else if at > level {
                // An item ends the lists that are inside of the one before it.
                let restart = levels.get(at).and_then(|level| level.restart);
                if restart.is_none_or(|restart| restart > level) {
                    *count = None;
                }
            }
        }
        let Some(this) = levels.get(level) else { return "-".to_owned() };
        match this.numeral {
            None => "-".to_owned(),
            Some(Numeral::None) if this.text.contains('%') => String::new(),
            Some(_) => {
                let mut mark = String::new();
                let mut characters = this.text.chars().peekable();
                while let Some(character) = characters.next() {
                    let digit =
                        characters.peek().and_then(|next| next.to_digit(10)).filter(|_| character == '%');
                    let Some(digit) = digit.and_then(|digit| usize::try_from(digit).ok()) else {
                        mark.push(character);
                        continue;
                    };
                    characters.next();
                    let Some(at) = digit.checked_sub(1) else { continue };
                    let number = counts.get(at).copied().flatten().unwrap_or_else(|| start(at));
                    // A bullet has no number.
                    let numeral = levels.get(at).and_then(|level| level.numeral).unwrap_or(Numeral::None);
                    mark.push_str(&written(number, if this.is_legal { Numeral::Decimal } else { numeral }));
                }
                mark.trim().to_owned()
            }
        }
    }
}

impl Definition {
    fn read(walker: &mut Walker<'_>) -> Result<Self, ExtractError> {
        let inside = walker.depth();
        let mut definition = Self::default();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "lvl" => {
                    let at = element.attribute("ilvl").and_then(|at| at.parse::<usize>().ok());
                    let level = Level::read(walker)?;
                    if let Some(place) = at.and_then(|at| definition.levels.get_mut(at)) {
                        *place = level;
                    }
                }
                "numStyleLink" => definition.link = element.attribute("val"),
                "styleLink" => definition.style = element.attribute("val"),
                _ => {}
            }
        }
        Ok(definition)
    }
}

impl Level {
    fn read(walker: &mut Walker<'_>) -> Result<Self, ExtractError> {
        let inside = walker.depth();
        let mut level = Self { numeral: Some(Numeral::Decimal), ..Self::default() };
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            let value = || element.attribute("val").unwrap_or_default();
            match element.name() {
                "numFmt" => level.numeral = Numeral::named(&value()),
                "lvlText" => level.text = value(),
                "start" => level.start = value().parse().ok(),
                "lvlRestart" => level.restart = value().parse().ok(),
                "isLgl" => level.is_legal = !["0", "false", "off"].contains(&value().as_str()),
                "pStyle" => level.style = element.attribute("val"),
                _ => {}
            }
        }
        Ok(level)
    }
}

impl WordList {
    fn read(walker: &mut Walker<'_>) -> Result<Self, ExtractError> {
        let inside = walker.depth();
        let mut list = Self::default();
        let mut level = 0;
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "abstractNumId" => list.definition = element.attribute("val").unwrap_or_default(),
                "lvlOverride" => {
                    level = element.attribute("ilvl").and_then(|level| level.parse().ok()).unwrap_or(0);
                }
                "startOverride" => {
                    let start = element.attribute("val").and_then(|start| start.parse().ok());
                    list.starts.extend(start.map(|start| (level, start)));
                }
                "lvl" => {
                    let own = Level::read(walker)?;
                    if level < LEVELS {
                        list.levels.insert(level, own);
                    }
                }
                _ => {}
            }
        }
        Ok(list)
    }
}
