//! Texts and presentations of OpenDocument, as Markdown.

mod body;
mod lists;

use super::archive::Archive;
use super::document::{Extracted, TextKind};
use super::error::{self, ExtractError};
use super::limits::Limits;
use super::line::clean_line;
use super::media;
use super::output::Output;
use super::source::Source;
use super::xml::{Node, Walker};
use body::OdfBody;
use lists::ListStyles;

pub(super) fn read(
    source: &Source,
    media_type: &'static str,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let what = media::noun(media_type);
    let mut archive = Archive::open(source, what, limits)?;
    check_open(&mut archive, what)?;
    let mut output = Output::new(limits);
    if let Some(title) = title(&mut archive, what, limits) {
        output.title(&title);
    }
    let styles = archive.text("styles.xml")?.unwrap_or_default();
    let content = archive.need("content.xml")?;
    let mut lists = ListStyles::default();
    lists.read(&styles, what, limits)?;
    lists.read(&content, what, limits)?;
    let mut body = OdfBody::new(&mut archive, &mut output, lists, what, limits);
    let mut outcome = body.read(&content);
    if outcome.is_ok() && media_type == media::ODT {
        outcome = body.edges(&styles);
    }
    body.finish();
    output.keep(outcome)?;
    output.finish(media_type, TextKind::Markdown)
}

/// Refuses a document whose parts are encrypted.
pub(super) fn check_open(archive: &mut Archive, what: &'static str) -> Result<(), ExtractError> {
    let manifest = archive.text("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") {
        return Err(error::encrypted(what));
    }
    Ok(())
}

/// The title in the document's properties.
pub(super) fn title(archive: &mut Archive, what: &'static str, limits: &Limits) -> Option<String> {
    let text = archive.text("meta.xml").ok().flatten()?;
    let mut walker = Walker::new(&text, what, limits);
    while let Ok(Some(node)) = walker.next() {
        if matches!(&node, Node::Start(element) if element.name() == "title") {
            return walker
                .inner_text()
                .ok()
                .map(|title| clean_line(&title))
                .filter(|title| !title.is_empty());
        }
    }
    None
}
