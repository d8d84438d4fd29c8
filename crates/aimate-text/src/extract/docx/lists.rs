//! The marks of list items in a Word document.

use std::collections::HashMap;

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::media;
use super::super::xml::{Node, Walker};

/// Which lists are numbered, and how far each was counted.
#[derive(Default)]
pub(super) struct Lists {
    /// By list and level, whether it is numbered.
    numbered: HashMap<(String, usize), bool>,
    counts: HashMap<String, Vec<u32>>,
}

impl Lists {
    pub(super) fn read(text: Option<&str>, limits: &Limits) -> Result<Self, ExtractError> {
        let mut lists = Self::default();
        let Some(text) = text else {
            return Ok(lists);
        };
        let mut walker = Walker::new(text, media::noun(media::DOCX), limits);
        let mut formats: HashMap<(String, usize), bool> = HashMap::new();
        let (mut of_abstract, mut of_list, mut level) = (String::new(), String::new(), 0);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "abstractNum" => of_abstract = element.attribute("abstractNumId").unwrap_or_default(),
                "lvl" => level = element.attribute("ilvl").and_then(|level| level.parse().ok()).unwrap_or(0),
                "numFmt" => {
                    let format = element.attribute("val").unwrap_or_default();
                    formats
                        .insert((of_abstract.clone(), level), !["bullet", "none"].contains(&format.as_str()));
                }
                "num" => of_list = element.attribute("numId").unwrap_or_default(),
                "abstractNumId" => {
                    let points_to = element.attribute("val").unwrap_or_default();
                    for level in 0..9 {
                        let is_numbered = formats.get(&(points_to.clone(), level)).copied().unwrap_or(false);
                        lists.numbered.insert((of_list.clone(), level), is_numbered);
                    }
                }
                _ => {}
            }
        }
        Ok(lists)
    }

    /// The mark of the next item of a list.
    pub(super) fn mark(&mut self, list: &str, level: usize) -> String {
        let level = level.min(8);
        let is_numbered = self.numbered.get(&(list.to_owned(), level)).copied().unwrap_or(false);
        if !is_numbered {
            return "-".to_owned();
        }
        let counts = self.counts.entry(list.to_owned()).or_default();
        // An item ends the lists that are inside of the one before it.
        counts.resize(level + 1, 0);
        let count = counts.last_mut().map_or(1, |count| {
            *count += 1;
            *count
        });
        format!("{count}.")
    }
}
