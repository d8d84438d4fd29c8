//! The common parts of Word, PowerPoint and Excel files.

use std::collections::HashMap;

use super::archive::{Archive, resolve};
use super::error::ExtractError;
use super::limits::Limits;
use super::xml::{Node, Walker};

/// The parts that `part` points to: by the id of the relation, its type (the
/// last word of it) and the name of the part.
pub(super) struct Relations(HashMap<String, (String, String)>);

impl Relations {
    pub(super) fn of(
        archive: &mut Archive,
        part: &str,
        what: &'static str,
        limits: &Limits,
    ) -> Result<Self, ExtractError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let name = if folder.is_empty() {
            format!("_rels/{file}.rels")
        } else {
            format!("{folder}/_rels/{file}.rels")
        };
        let mut relations = HashMap::new();
        let Some(text) = archive.text(&name)? else {
            return Ok(Self(relations));
        };
        let mut walker = Walker::new(&text, what, limits);
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            if element.name() != "Relationship"
                || element.attribute("TargetMode").as_deref() == Some("External")
            {
                continue;
            }
            if let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target")) {
                let kind = element.attribute("Type").unwrap_or_default();
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                relations.insert(id, (kind, resolve(part, &target)));
            }
        }
        Ok(Self(relations))
    }

    /// The part that a relation points to.
    pub(super) fn target(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(|(_, target)| target.as_str())
    }

    /// The type of a relation and the part that it points to.
    pub(super) fn get(&self, id: &str) -> Option<(&str, &str)> {
        self.0.get(id).map(|(kind, target)| (kind.as_str(), target.as_str()))
    }

    /// The parts that are pointed to by relations of a type, in the order of their
    /// names.
    pub(super) fn all_of_type(&self, kind: &str) -> Vec<String> {
        let found = self.0.values().filter(|(found, _)| found == kind);
        let mut parts: Vec<String> = found.map(|(_, target)| target.clone()).collect();
        // `header2.xml` comes before `header10.xml`.
        parts.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        parts.dedup();
        parts
    }

    /// A part that is pointed to by a relation of a type.
    pub(super) fn of_type(&self, kind: &str) -> Option<&str> {
        self.0.values().find(|(found, _)| found == kind).map(|(_, target)| target.as_str())
    }
}

/// The main part of a document: what the package points to, else `usual`.
pub(super) fn main_part(
    archive: &mut Archive,
    usual: &str,
    what: &'static str,
    limits: &Limits,
) -> Result<String, ExtractError> {
    if archive.has(usual) {
        return Ok(usual.to_owned());
    }
    let relations = Relations::of(archive, "", what, limits)?;
    Ok(relations.of_type("officeDocument").unwrap_or(usual).to_owned())
}

/// The title in the document's properties.
pub(super) fn title(archive: &mut Archive, what: &'static str, limits: &Limits) -> Option<String> {
    let text = archive.text("docProps/core.xml").ok().flatten()?;
    let mut walker = Walker::new(&text, what, limits);
    while let Ok(Some(node)) = walker.next() {
        if matches!(&node, Node::Start(element) if element.name() == "title") {
            return walker.inner_text().ok().filter(|title| is_title(title));
        }
    }
    None
}

/// Whether a title was given by a person, not by a program.
fn is_title(title: &str) -> bool {
    let title = title.trim();
    let made = ["PowerPoint Presentation", "Untitled", "Document", "Microsoft Word - ", "Word Document"];
    !title.is_empty()
        && !made.iter().any(|made| title == *made || (made.ends_with(' ') && title.starts_with(made)))
}
