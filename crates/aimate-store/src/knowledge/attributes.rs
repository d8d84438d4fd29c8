//! What documents are filtered by, as their segments have it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aimate_core::{Error, Result};
use aimate_index::segment::attributes::{Attributes, Field, Scalar};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::database::Row;

/// A document as it is filtered.
pub(super) struct AttributeSubject<'a> {
    pub(super) name: &'a str,
    pub(super) title: &'a str,
    pub(super) source: Option<&'a str>,
    pub(super) media_type: &'a str,
    /// As JSON. Numbers are read from the text itself: what was written is the shortest that
    /// is the number, but not each reader finds back to its last bit.
    pub(super) metadata: &'a str,
}

impl AttributeSubject<'_> {
    pub(super) fn attributes(&self) -> Result<Attributes> {
        let mut attributes = Attributes::default();
        let own = [
            ("name", Some(self.name)),
            ("title", Some(self.title)),
            ("source", self.source),
            ("media_type", Some(self.media_type)),
        ];
        for (name, text) in own {
            if let Some(text) = text {
                let field = Field::own(name);
                attributes.add(&field);
                attributes.add_value(&field, Scalar::Text(text));
            }
        }
        let unreadable = |error| Error::internal("a document's metadata cannot be read").with_source(error);
        let metadata: Object<'_> = serde_json::from_str(self.metadata).map_err(unreadable)?;
        for (key, value) in &metadata {
            if let Some(field) = Field::of_key(&key.0) {
                add(&mut attributes, &field, value).map_err(unreadable)?;
            }
        }
        Ok(attributes)
    }
}

/// The attributes of a row with the document's name, title, source, media type, and the
/// metadata as text.
pub(super) fn of_row(row: &Row) -> Result<Attributes> {
    let (name, title, media_type): (String, String, String) =
        (row.get("name")?, row.get("title")?, row.get("media_type")?);
    let (source, metadata): (Option<String>, String) = (row.maybe("source")?, row.get("metadata")?);
    let subject = AttributeSubject {
        name: &name,
        title: &title,
        source: source.as_deref(),
        media_type: &media_type,
        metadata: &metadata,
    };
    subject.attributes()
}

type Object<'a> = BTreeMap<Key<'a>, &'a RawValue>;

/// A key, which has its own memory only where it is escaped.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn add(attributes: &mut Attributes, field: &Field, value: &RawValue) -> serde_json::Result<()> {
    match value.get().bytes().next() {
        Some(b'n') => return Ok(()),
        Some(b'{') => {
            for (key, value) in serde_json::from_str::<Object<'_>>(value.get())? {
                if let Some(field) = field.nested(&key.0) {
                    add(attributes, &field, value)?;
                }
            }
        }
        Some(b'[') => {
            for element in serde_json::from_str::<Vec<&RawValue>>(value.get())? {
                scalar(element, |element| attributes.add_element(field, element))?;
            }
        }
        _ => scalar(value, |value| attributes.add_value(field, value))?,
    }
    attributes.add(field);
    Ok(())
}

/// Calls `each` with the value, unless it is an object, a list or null.
fn scalar(value: &RawValue, each: impl FnOnce(Scalar<'_>)) -> serde_json::Result<()> {
    let json = value.get();
    match json.bytes().next() {
        Some(b'"') => each(Scalar::Text(&serde_json::from_str::<Key<'_>>(json)?.0)),
        Some(b't') => each(Scalar::Bool(true)),
        Some(b'f') => each(Scalar::Bool(false)),
        Some(b'n' | b'{' | b'[') | None => {}
        Some(_) => {
            if let Ok(number) = json.parse() {
                each(Scalar::Number(number));
            }
        }
    }
    Ok(())
}
