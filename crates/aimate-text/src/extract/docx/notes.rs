//! What stands beside the text of a Word document: notes, comments, headers.

use std::collections::BTreeMap;

use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::line::clean_line;
use super::super::media;
use super::super::xml::{Node, Walker};
use super::numbers::NoteNumbers;
use super::paragraph::Paragraph;

/// The footnotes or endnotes as paragraphs, in the order of their numbers.
pub(super) fn notes(
    text: &str,
    numbers: &mut NoteNumbers,
    limits: &Limits,
) -> Result<Vec<String>, ExtractError> {
    let mut walker = Walker::new(text, media::noun(media::DOCX), limits);
    // Damaged files have notes that share an id: each is kept.
    let mut notes = Vec::new();
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        if !["footnote", "endnote"].contains(&element.name()) {
            continue;
        }
        // Separators have a type; notes have none.
        if element.attribute("type").is_some_and(|kind| kind != "normal") {
            walker.skip()?;
            continue;
        }
        let (id, is_end) = (element.attribute("id"), element.name() == "endnote");
        let note = inner(&mut walker, numbers)?.join(" ");
        if !note.is_empty() {
            let mark = numbers.mark(id.clone(), is_end);
            notes.push((numbers.number(id.unwrap_or_default(), is_end), format!("{mark}: {note}")));
        }
    }
    notes.sort_by_key(|(number, _)| *number);
    Ok(notes.into_iter().map(|(_, note)| note).collect())
}

/// The comments of a document by their ids, each with its author. Damaged files have
/// comments that share an id: each is kept.
pub(super) fn comments(text: &str, limits: &Limits) -> Result<BTreeMap<String, Vec<String>>, ExtractError> {
    let mut walker = Walker::new(text, media::noun(media::DOCX), limits);
    let mut comments: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        if element.name() != "comment" {
            continue;
        }
        let id = element.attribute("id").unwrap_or_default();
        let author = clean_line(&element.attribute("author").unwrap_or_default());
        let comment = inner(&mut walker, &mut NoteNumbers::default())?.join(" ");
        if !comment.is_empty() {
            let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
            comments.entry(id).or_default().push(format!("Comment{by}: {comment}"));
        }
    }
    Ok(comments)
}

/// The lines of a header or footer, without page numbers and the words around them.
pub(super) fn edge(text: &str, limits: &Limits) -> Result<Vec<String>, ExtractError> {
    let mut walker = Walker::new(text, media::noun(media::DOCX), limits);
    let mut lines = Vec::new();
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "p" => {
                let paragraph = Paragraph::read(&mut walker, &mut NoteNumbers::default())?;
                let has_page = paragraph.has_page;
                for paragraph in std::iter::once(&paragraph).chain(&paragraph.boxed) {
                    let line = clean_line(&paragraph.text);
                    let letters = line.chars().filter(|character| character.is_alphanumeric()).count();
                    // "Page of", "Seite von", "- -".
                    let is_bare = (has_page || paragraph.has_page) && letters <= 9;
                    if letters > 0 && !is_bare {
                        lines.push(line);
                    }
                }
            }
            "Fallback" | "del" => walker.skip()?,
            _ => {}
        }
    }
    Ok(lines)
}

/// The paragraphs up to the end of the element whose start came last.
fn inner(walker: &mut Walker<'_>, numbers: &mut NoteNumbers) -> Result<Vec<String>, ExtractError> {
    let inside = walker.depth();
    let mut paragraphs = Vec::new();
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        if matches!(&node, Node::Start(element) if element.name() == "p") {
            let text = Paragraph::read(walker, numbers)?.text;
            if !text.trim().is_empty() {
                paragraphs.push(text.trim().to_owned());
            }
        }
    }
    Ok(paragraphs)
}
