//! A pull parser for XML that refuses custom entities and deep nesting.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::error;
use super::error::ExtractError;
use super::limits::Limits;
use super::progress;

/// What comes next in a part. Names are without their prefix.
pub(super) enum Node<'a> {
    Start(Element<'a>),
    End,
    Text(Cow<'a, str>),
}

/// The start of an element. An empty element has its end too.
pub(super) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// Whether its name has this prefix.
    pub(super) fn is_of(&self, prefix: &str) -> bool {
        self.0.name().into_inner().strip_prefix(prefix).is_some_and(|rest| rest.starts_with(':'))
    }

    /// The value of the first attribute with this name, whatever its prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let found = attributes
            .with_checks(false)
            .flatten()
            .find(|found| found.key.local_name().into_inner() == name || found.key.into_inner() == name)?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }

    /// Shows each attribute, its name without its prefix and its value as it is
    /// written, to `take`.
    pub(super) fn each(&self, mut take: impl FnMut(&str, &str)) {
        for attribute in self.0.attributes().with_checks(false).flatten() {
            take(attribute.key.local_name().into_inner(), &attribute.value);
        }
    }

    /// The value of the attribute with this prefix and name.
    pub(super) fn prefixed(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().find(|found| found.key.into_inner() == name)?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }
}

/// Reads a part.
pub(super) struct Walker<'a> {
    reader: Reader<&'a [u8]>,
    what: &'static str,
    depth: usize,
    max_depth: usize,
    /// How many bytes were told of as read.
    told: usize,
}

/// Bytes that are told of at once.
const STEP: usize = 32 << 10;

impl<'a> Walker<'a> {
    pub(super) fn new(text: &'a str, what: &'static str, limits: &Limits) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, what, depth: 0, max_depth: limits.depth, told: 0 }
    }

    /// The next event; `None` at the end of the part.
    pub(super) fn next(&mut self) -> Result<Option<Node<'a>>, ExtractError> {
        let read = self.position().saturating_sub(self.told);
        if read > STEP {
            progress::advance(read as u64);
            self.told = self.position();
        }
        loop {
            let event = self.reader.read_event().map_err(|failure| error::damaged(self.what, failure))?;
            return Ok(Some(match event {
                Event::Start(start) | Event::Empty(start) => {
                    self.depth += 1;
                    if self.depth > self.max_depth {
                        return Err(error::too_deep(self.what, self.max_depth));
                    }
                    Node::Start(Element(start))
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    Node::End
                }
                Event::Text(text) => Node::Text(text.into_inner()),
                Event::CData(text) => Node::Text(text.into_inner()),
                Event::GeneralRef(reference) => match resolve(&reference) {
                    Some(character) => Node::Text(Cow::Owned(character.to_string())),
                    None => continue,
                },
                Event::DocType(doctype) if doctype.borrow().into_inner().contains("<!ENTITY") => {
                    return Err(error::too_large(format!(
                        "the {} defines XML entities, which can grow without end and are not read",
                        self.what
                    )));
                }
                Event::Eof if self.depth > 0 => {
                    return Err(error::damaged(self.what, "an XML part ends too early"));
                }
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
            }));
        }
    }

    /// Reads on to the end of the element whose start came last.
    pub(super) fn skip(&mut self) -> Result<(), ExtractError> {
        let inside = self.depth;
        while self.depth >= inside {
            if self.next()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The characters up to the end of the element whose start came last.
    pub(super) fn inner_text(&mut self) -> Result<String, ExtractError> {
        let inside = self.depth;
        let mut text = String::new();
        while self.depth >= inside {
            match self.next()? {
                Some(Node::Text(piece)) => text.push_str(&piece),
                Some(_) => {}
                None => break,
            }
        }
        Ok(text)
    }

    /// The byte after what was read.
    pub(super) fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    /// How many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

/// The character of a reference; the predefined entities only.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    match reference.borrow().into_inner().as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}
