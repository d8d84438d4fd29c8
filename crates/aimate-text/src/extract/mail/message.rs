//! Messages and their parts: what is said, and what is attached.

use mail_parser::{
    Address, ContentType, HeaderName, HeaderValue, Message, MessagePart, MimeHeaders, PartType,
};

use super::super::decode;
use super::super::document::{Extracted, TextKind};
use super::super::error::{ExtractError, ExtractErrorKind};
use super::super::html::{self, ContentScope, HtmlPage};
use super::super::limits::Limits;
use super::super::media;
use super::super::output::Output;
use super::item::{Item, Section};
use super::mapi::OutlookBody;
use super::words::repaired;
use super::{calendar, tnef, transfer, write};

/// Reads a file that is attached to a message: its name, the type that the message
/// declares, its bytes.
pub(in super::super) type ReadAttached =
    fn(&str, Option<&str>, Vec<u8>, &Limits) -> Result<Extracted, ExtractError>;

/// How much more a second form of a body must say to be taken: some of what a web
/// page says is for no one's eyes.
const SAYS_MORE: (usize, usize) = (6, 5);
/// People of a header that are told.
const MAX_PEOPLE: usize = 50;

/// Reads messages into sections, with limits on how many parts they have and how
/// deep they are nested.
pub(super) struct Reader<'a> {
    limits: &'a Limits,
    read_attached: ReadAttached,
    /// How many parts may still be read.
    parts: usize,
    /// Bytes of text that may still be read, of attachments too.
    room: usize,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(read_attached: ReadAttached, limits: &'a Limits) -> Self {
        Self { limits, read_attached, parts: limits.parts, room: limits.output, warnings: Vec::new() }
    }

    pub(super) fn warn(&mut self, warning: Option<String>) {
        if let Some(warning) = warning.filter(|warning| !self.warnings.contains(warning)) {
            self.warnings.push(warning);
        }
    }

    /// Whether no more is read.
    pub(super) fn is_full(&mut self) -> bool {
        let is_full = self.parts == 0 || self.room == 0;
        if is_full {
            let parts = self.limits.parts;
            let warning = if self.parts == 0 {
                format!(
                    "there are more than {parts} parts and messages, the most that are read; the rest is left out"
                )
            } else {
                "there is more text than is read of one document; the rest is left out".to_owned()
            };
            self.warn(Some(warning));
        }
        is_full
    }

    /// Whether a message in one that is nested `depth` deep is read.
    pub(super) fn may_nest(&mut self, depth: usize) -> bool {
        depth < self.limits.nesting && !self.is_full()
    }

    pub(super) fn finish(self, sections: &[Section], media_type: &str) -> Result<Extracted, ExtractError> {
        write::write(sections, self.warnings, media_type, self.limits)
    }

    /// A message without a header.
    pub(super) fn bare(&mut self, bytes: &[u8]) -> Section {
        let text = self.text(bytes, None);
        Section { items: vec![Item::Text(text)], ..Section::default() }
    }

    /// A message that is nested `depth` messages deep.
    pub(super) fn message(&mut self, message: &Message<'_>, depth: usize) -> Section {
        let mut section = Section {
            subject: header_value(message, &HeaderName::Subject, message.subject().unwrap_or_default()),
            ..Section::default()
        };
        for (label, name, people) in [
            ("From", HeaderName::From, message.from()),
            ("To", HeaderName::To, message.to()),
            ("Cc", HeaderName::Cc, message.cc()),
        ] {
            if let Some(people) = people {
                section.headers.push((label, header_value(message, &name, &names(people))));
            }
        }
        if let Some(date) = message.date() {
            section.headers.push(("Date", date.to_rfc3339()));
        }
        self.part(message, 0, depth, &mut section.items);
        section
    }

    fn part(&mut self, message: &Message<'_>, id: u32, depth: usize, items: &mut Vec<Item>) {
        let Some(part) = message.parts.get(id as usize) else {
            return;
        };
        if self.is_full() {
            items.push(Item::Unread { name: name_of(part), reason: "beyond the limit" });
            return;
        }
        self.parts -= 1;
        match &part.body {
            PartType::Multipart(children) if subtype(part) == "alternative" => {
                self.alternative(message, children, depth, items);
            }
            PartType::Multipart(children) => {
                for child in children {
                    self.part(message, *child, depth, items);
                }
            }
            PartType::Message(inner) if depth < self.limits.nesting => {
                let inner = self.message(inner, depth + 1);
                items.push(Item::Message(inner));
            }
            PartType::Message(_) => {
                items.push(Item::Unread { name: "message".to_owned(), reason: "nested too deep" });
            }
            _ => self.leaf(message, part, depth, items),
        }
    }

    /// Of several forms of the same, takes the first one, unless another says more.
    /// An invitation is no form of a text: it is taken too.
    fn alternative(&mut self, message: &Message<'_>, forms: &[u32], depth: usize, items: &mut Vec<Item>) {
        let mut best: (usize, Vec<Item>) = (0, Vec::new());
        let mut invitation = None;
        for form in forms {
            let mut said = Vec::new();
            self.part(message, *form, depth, &mut said);
            if message.parts.get(*form as usize).is_some_and(|part| subtype(part) == "calendar") {
                invitation = Some(said);
                continue;
            }
            let words = said.iter().map(Item::words).sum::<usize>();
            let is_first = best.1.is_empty();
            let (numerator, denominator) = SAYS_MORE;
            if is_first || words * denominator > best.0 * numerator {
                // What is attached to the form that is left stays.
                let attached =
                    best.1.into_iter().filter(|item| !matches!(item, Item::Text(_) | Item::Markdown(_)));
                said.extend(attached.collect::<Vec<_>>());
                best = (words, said);
            } else {
                best.1.extend(
                    said.into_iter().filter(|item| !matches!(item, Item::Text(_) | Item::Markdown(_))),
                );
            }
        }
        items.extend(best.1);
        items.extend(invitation.into_iter().flatten());
    }

    /// A part that has no parts itself.
    fn leaf(&mut self, message: &Message<'_>, part: &MessagePart<'_>, depth: usize, items: &mut Vec<Item>) {
        let (kind, subtype) = (ctype(part), subtype(part));
        match (kind.as_str(), subtype.as_str()) {
            // Of those who check it, not of those who read.
            ("application", "pgp-signature" | "pkcs7-signature" | "x-pkcs7-signature" | "pgp-encrypted") => {
                return;
            }
            ("text", "x-amp-html") => return,
            // Pictures that a page shows are a part of it, as on the web.
            ("image", _) if part.content_id().is_some() && !is_attached(part) => return,
            _ => {}
        }
        let bytes = part_bytes(message, part);
        let is_body = !is_attached(part) && part.attachment_name().is_none();
        match (kind.as_str(), subtype.as_str()) {
            _ if bytes.trim_ascii().is_empty() => {}
            ("text", "html") if is_body => {
                let text = self.text(&bytes, charset_of(part).or_else(|| html::charset(&bytes)).as_deref());
                if let Some(text) = self.markdown(&text) {
                    items.push(Item::Markdown(text));
                }
            }
            ("text", "calendar") if is_body => {
                let text = self.text(&bytes, charset_of(part).as_deref());
                items.push(Item::Text(calendar::describe(&text)));
            }
            ("text", "rtf" | "richtext") => self.attachment(part, bytes, depth, items),
            ("text" | "", _) if is_body => {
                let text = self.text(&bytes, charset_of(part).as_deref());
                items.push(Item::Text(flowed(part, text)));
            }
            ("message", "delivery-status" | "disposition-notification" | "feedback-report") => {
                let text = self.text(&bytes, None);
                items.push(Item::Text(text));
            }
            ("application", "pkcs7-mime" | "x-pkcs7-mime") => {
                items.push(Item::Unread { name: name_of(part), reason: "encrypted, or signed as a whole" });
            }
            ("application", "ms-tnef" | "vnd.ms-tnef") => self.tnef(&bytes, depth, items),
            _ => self.attachment(part, bytes, depth, items),
        }
    }

    fn text(&mut self, bytes: &[u8], charset: Option<&str>) -> String {
        let (text, warning) = decode::decode_text(bytes, charset);
        self.warn(warning);
        self.room = self.room.saturating_sub(text.len());
        text
    }

    /// A body in HTML as Markdown; `None` where it says nothing.
    pub(super) fn markdown(&mut self, html: &str) -> Option<String> {
        let mut output = Output::new(self.limits);
        HtmlPage::read(html, ContentScope::Whole, false, self.limits).write(&mut output).ok()?;
        output.finish(media::HTML, TextKind::Markdown).ok().map(|page| page.text)
    }

    pub(super) fn tnef(&mut self, bytes: &[u8], depth: usize, items: &mut Vec<Item>) {
        let Some(found) = tnef::parse(bytes) else {
            items.push(Item::Unread { name: "winmail.dat".to_owned(), reason: "damaged" });
            return;
        };
        if let Some(body) = found.body {
            items.extend(self.body(body));
        }
        for (name, bytes) in found.attachments {
            self.file(&name, None, bytes, depth, items);
        }
    }

    /// The body of a message of Outlook.
    pub(super) fn body(&mut self, body: OutlookBody) -> Option<Item> {
        match body {
            OutlookBody::Text(text) if text.trim().is_empty() => None,
            OutlookBody::Text(text) => {
                self.room = self.room.saturating_sub(text.len());
                Some(Item::Text(text))
            }
            OutlookBody::Html(bytes) => {
                let text = self.text(&bytes, html::charset(&bytes).as_deref());
                self.markdown(&text).map(Item::Markdown)
            }
            OutlookBody::Rtf(bytes) => {
                let document =
                    self.document("body.rtf", Some("application/rtf"), bytes, self.limits.nesting).ok()?;
                Some(if document.kind == TextKind::Markdown {
                    Item::Markdown(document.text)
                } else {
                    Item::Text(document.text)
                })
            }
        }
    }

    fn attachment(&mut self, part: &MessagePart<'_>, bytes: Vec<u8>, depth: usize, items: &mut Vec<Item>) {
        let name = name_of(part);
        let declared = format!("{}/{}", ctype(part), subtype(part));
        self.file(&name, Some(&declared), bytes, depth, items);
    }

    /// A file that is attached: read as a document of its own would be.
    pub(super) fn file(
        &mut self,
        name: &str,
        declared: Option<&str>,
        bytes: Vec<u8>,
        depth: usize,
        items: &mut Vec<Item>,
    ) {
        let name = super::super::line::clean_line(name);
        let unread = |reason| Item::Unread { name: name.clone(), reason };
        if bytes.trim_ascii_start().starts_with(b"-----BEGIN PGP MESSAGE-----") {
            items.push(unread("encrypted"));
            return;
        }
        if name.eq_ignore_ascii_case("winmail.dat") {
            self.tnef(&bytes, depth, items);
            return;
        }
        if self.is_full() {
            items.push(unread("beyond the limit"));
            return;
        }
        if depth >= self.limits.nesting {
            items.push(unread("nested too deep"));
            return;
        }
        self.parts -= 1;
        items.push(match self.document(&name, declared, bytes, depth + 1) {
            Ok(document) => Item::Document { name, document: Box::new(document) },
            Err(failure) => unread(match failure.kind {
                ExtractErrorKind::Empty => "empty",
                ExtractErrorKind::Encrypted => "protected by a password",
                ExtractErrorKind::TooLarge => "too large",
                ExtractErrorKind::NoText => "without text",
                ExtractErrorKind::Unsupported => "of a kind that is not read",
                ExtractErrorKind::Timeout => "took too long",
                ExtractErrorKind::Damaged | ExtractErrorKind::Crashed | ExtractErrorKind::Io => "damaged",
            }),
        });
    }

    fn document(
        &mut self,
        name: &str,
        declared: Option<&str>,
        bytes: Vec<u8>,
        depth: usize,
    ) -> Result<Extracted, ExtractError> {
        let limits = Limits {
            output: self.room,
            nesting: self.limits.nesting.saturating_sub(depth),
            parts: self.parts,
            ..self.limits.clone()
        };
        let document = (self.read_attached)(name, declared, bytes, &limits)?;
        self.room = self.room.saturating_sub(document.text.len());
        Ok(document)
    }
}

/// The header's value as the parser has it, or as it can be read where the parser
/// could not.
fn header_value(message: &Message<'_>, name: &HeaderName<'static>, parsed: &str) -> String {
    let raw = || {
        let header = message.headers().iter().rfind(|header| header.name == *name);
        let range = header.map_or(0..0, |header| header.offset_start as usize..header.offset_end as usize);
        message.raw_message.get(range).unwrap_or_default()
    };
    repaired(parsed, raw).into_owned()
}

fn names(people: &Address<'_>) -> String {
    let each = people.iter().take(MAX_PEOPLE).map(|person| match (person.name(), person.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    });
    each.filter(|person| !person.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The bytes of a part, without the encoding for their way.
pub(super) fn part_bytes(message: &Message<'_>, part: &MessagePart<'_>) -> Vec<u8> {
    let body = part.offset_body as usize..part.offset_end as usize;
    let body = message.raw_message.get(body).unwrap_or_default();
    transfer::decode(part.content_transfer_encoding().unwrap_or_default(), body)
}

pub(super) fn charset_of(part: &MessagePart<'_>) -> Option<String> {
    part.content_type()?.attribute("charset").map(str::to_owned)
}

fn ctype(part: &MessagePart<'_>) -> String {
    part.content_type().map(ContentType::ctype).unwrap_or_default().to_ascii_lowercase()
}

fn subtype(part: &MessagePart<'_>) -> String {
    part.content_type().and_then(ContentType::subtype).unwrap_or_default().to_ascii_lowercase()
}

fn is_attached(part: &MessagePart<'_>) -> bool {
    part.content_disposition().is_some_and(ContentType::is_attachment)
}

/// The name of the file that a part is.
fn name_of(part: &MessagePart<'_>) -> String {
    let name = part.attachment_name().unwrap_or_default();
    let name = repaired(name, || name.as_bytes()).into_owned();
    if !name.is_empty() {
        return name;
    }
    // The subject that mailing lists give to the messages they put together.
    match part
        .headers
        .iter()
        .find(|header| header.name == HeaderName::ContentDescription)
        .map(|header| &header.value)
    {
        Some(HeaderValue::Text(description)) => description.to_string(),
        _ => "unnamed".to_owned(),
    }
}

fn flowed(part: &MessagePart<'_>, text: String) -> String {
    let attribute = |name| part.content_type().and_then(|kind| kind.attribute(name));
    let is = |name, value: &str| attribute(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    if is("format", "flowed") { transfer::unflow(&text, is("delsp", "yes")) } else { text }
}
