//! Files that are attached to a document.

use std::collections::HashSet;

use hayro_font::hayro_syntax::Pdf;
use hayro_font::hayro_syntax::object::{Array, Dict, MaybeRef, Object, Stream, String as PdfString};

use super::string::text_string;
use crate::extract::line::clean_line;
use crate::extract::{decode, media};

/// Maximum attached files that are named.
const MAX_FILES: usize = 100;
/// Maximum nodes of the tree of their names.
const MAX_NODES: usize = 1_000;
/// Maximum bytes of an attached file that is read.
const MAX_BYTES: usize = 1 << 20;

/// A file that is attached to a document.
pub(super) struct Attachment {
    pub(super) name: String,
    /// Its text, if it is a plain one.
    pub(super) text: Option<String>,
}

/// The attached files, by the document's list of them and the marks on its pages.
pub(super) fn attachments(pdf: &Pdf) -> Vec<Attachment> {
    let mut files: Vec<Attachment> = Vec::new();
    let mut names = HashSet::new();
    let mut add = |file: &Dict<'_>| {
        if let Some(file) = attachment(file)
            && names.insert(file.name.clone())
        {
            files.push(file);
        }
    };
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let tree = catalog
        .and_then(|catalog| catalog.get::<Dict<'_>>(b"Names"))
        .and_then(|names| names.get::<Dict<'_>>(b"EmbeddedFiles"));
    let mut open: Vec<Dict<'_>> = tree.into_iter().collect();
    let mut nodes = 0;
    while let Some(node) = open.pop() {
        nodes += 1;
        if nodes > MAX_NODES {
            break;
        }
        if let Some(children) = node.get::<Array<'_>>(b"Kids") {
            open.extend(children.iter::<Dict<'_>>().take(MAX_NODES));
        }
        if let Some(entries) = node.get::<Array<'_>>(b"Names") {
            for entry in entries.iter::<Object<'_>>().take(2 * MAX_FILES) {
                if let Object::Dict(file) = entry {
                    add(&file);
                }
            }
        }
    }
    for page in pdf.pages().iter() {
        let marks = page.raw().get::<Array<'_>>(b"Annots");
        for mark in marks.iter().flat_map(|marks| marks.iter::<Dict<'_>>().take(MAX_NODES)) {
            if let Some(file) = mark.get::<Dict<'_>>(b"FS") {
                add(&file);
            }
        }
    }
    files.truncate(MAX_FILES);
    files
}

fn attachment(file: &Dict<'_>) -> Option<Attachment> {
    let embedded = file.get::<Dict<'_>>(b"EF")?;
    let name = ["UF", "F"].iter().find_map(|key| file.get::<PdfString<'_>>(key.as_bytes()));
    let name = name.map(|name| clean_line(&text_string(name.as_bytes()))).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| "unnamed".to_owned());
    let content = ["UF", "F"].iter().find_map(|key| embedded.get::<Stream<'_>>(key.as_bytes()));
    let text = content.and_then(|content| plain_text(&name, &content));
    Some(Attachment { name, text })
}

fn plain_text(name: &str, content: &Stream<'_>) -> Option<String> {
    if content.raw_data().len() > MAX_BYTES {
        return None;
    }
    let bytes = content.decoded_data().ok()?;
    let head = bytes.get(..media::HEAD.min(bytes.len()))?;
    let kind = media::media_type(name, head);
    let is_plain = [media::PLAIN, media::MARKDOWN, media::CSV, media::TSV].contains(&kind);
    if bytes.len() > MAX_BYTES || !is_plain {
        return None;
    }
    decode::decode(&bytes, None).ok().map(|(text, _)| text)
}

/// The layers that are not shown.
pub(super) fn hidden_layers(pdf: &Pdf) -> HashSet<(u32, i32)> {
    let mut hidden = HashSet::new();
    let Some(catalog) = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id()) else {
        return hidden;
    };
    let shown = catalog.get::<Dict<'_>>(b"OCProperties").and_then(|layers| layers.get::<Dict<'_>>(b"D"));
    if let Some(off) = shown.and_then(|shown| shown.get::<Array<'_>>(b"OFF")) {
        for layer in off.raw_iter().take(10_000) {
            if let MaybeRef::Ref(layer) = layer {
                hidden.insert((layer.obj_number, layer.gen_number));
            }
        }
    }
    hidden
}
