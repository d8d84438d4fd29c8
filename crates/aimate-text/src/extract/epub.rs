//! EPUB books: each part of the spine a page, as Markdown.

use std::collections::HashMap;

use super::archive::{Archive, resolve};
use super::document::{Extracted, TextKind};
use super::error::ExtractError;
use super::html::{ContentScope, HtmlPage};
use super::limits::Limits;
use super::output::Output;
use super::source::Source;
use super::xml::{Node, Walker};
use super::{error, media, progress};

const WHAT: &str = "EPUB book";

pub(super) fn read(source: &Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut archive = Archive::open(source, WHAT, limits)?;
    let package = package_name(&mut archive, limits)?;
    let text = archive.need(&package)?;
    let book = Book::read(&text, &package, limits)?;
    check_encryption(&mut archive, &book, limits)?;
    let mut output = Output::new(limits);
    if let Some(title) = &book.title {
        output.title(title);
    }
    let mut is_flat = false;
    for (number, name) in (1_u32..).zip(&book.spine) {
        if output.is_cut() {
            break;
        }
        progress::reached(number as usize - 1, book.spine.len());
        let text = match archive.text(name) {
            Ok(Some(text)) => text,
            Ok(None) => {
                output.warn(format!("part {number} is missing from the file"));
                continue;
            }
            Err(failure) => {
                output.spare(format_args!("part {number}"), Err(failure))?;
                continue;
            }
        };
        let chapter = HtmlPage::read(&text, ContentScope::Chapter, true, limits);
        is_flat |= chapter.is_flat;
        output.page(number, chapter.heading().or(chapter.title.as_deref()));
        let outcome = chapter.write(&mut output);
        output.keep(outcome)?;
    }
    if is_flat {
        output
            .warn(format!("elements nested more than {} levels deep were read as plain text", limits.depth));
    }
    output.finish(media::EPUB, TextKind::Markdown)
}

fn package_name(archive: &mut Archive, limits: &Limits) -> Result<String, ExtractError> {
    let text = archive.need("META-INF/container.xml")?;
    let mut walker = Walker::new(&text, WHAT, limits);
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        if element.name() == "rootfile"
            && let Some(name) = element.attribute("full-path")
        {
            return Ok(resolve("", &name));
        }
    }
    Err(error::damaged(WHAT, "it does not say where its contents are"))
}

struct Book {
    title: Option<String>,
    /// The names of its parts, in reading order.
    spine: Vec<String>,
}

impl Book {
    fn read(text: &str, package: &str, limits: &Limits) -> Result<Self, ExtractError> {
        let mut walker = Walker::new(text, WHAT, limits);
        let mut title = None;
        let mut items: HashMap<String, String> = HashMap::new();
        let mut spine = Vec::new();
        while let Some(node) = walker.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "title" if title.is_none() => title = Some(walker.inner_text()?),
                "item" => {
                    if let (Some(id), Some(target)) = (element.attribute("id"), element.attribute("href")) {
                        items.insert(id, resolve(package, &unescape(&target)));
                    }
                }
                "itemref" => spine.extend(element.attribute("idref")),
                _ => {}
            }
        }
        let spine: Vec<String> = spine.into_iter().filter_map(|id| items.get(&id).cloned()).collect();
        if spine.is_empty() {
            return Err(error::damaged(WHAT, "it lists no chapters"));
        }
        Ok(Self { title, spine })
    }
}

/// A book whose chapters are encrypted cannot be read; fonts may be.
fn check_encryption(archive: &mut Archive, book: &Book, limits: &Limits) -> Result<(), ExtractError> {
    let Some(text) = archive.text("META-INF/encryption.xml")? else {
        return Ok(());
    };
    let mut walker = Walker::new(&text, WHAT, limits);
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        if element.name() != "CipherReference" {
            continue;
        }
        let name = resolve("", &unescape(&element.attribute("URI").unwrap_or_default()));
        if book.spine.contains(&name) {
            return Err(ExtractError::new(
                super::error::ExtractErrorKind::Encrypted,
                "the EPUB book is protected against copying (DRM); upload one without protection",
            ));
        }
    }
    Ok(())
}

/// `%20` and the like of a reference.
fn unescape(reference: &str) -> String {
    let reference = reference.split('#').next().unwrap_or_default();
    let mut bytes = Vec::with_capacity(reference.len());
    let mut rest = reference.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
